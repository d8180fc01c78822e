//! Columns that an encrypted database hides: sealed as they are written, opened as they are read.
//!
//! The hidden columns of a row are sealed together in its column `sealed`; in their own places
//! stands what an index needs, or nothing. Queries are the same for both kinds of database: they
//! read hidden columns through SQL functions, which a connection knows by what it was opened
//! with. `plain()` is asked once a statement, so that a database that is not encrypted pays nothing
//! for a row.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Error, Result};

use super::seal::{Sealed, Sum};
use super::tables::TABLES;
use crate::vault::{Bundle, Item, Packer, Vault, VaultError};

/// What stands in the place of a hidden column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// NULL.
    Null,
    /// An empty text.
    Text,
    /// An empty blob.
    Blob,
    /// `null` for `null`, else an empty text.
    Json,
    /// A keyed hash of a patient id, by which rows are found.
    Token,
    /// A keyed hash of a digest, by which a message that comes again is found.
    Digest,
}

/// What a row says whose checksum is right and whose hidden columns open.
pub(super) const WHOLE: &str = "checked and opened";

/// The bytes of a message, opened; empty if they do not open.
pub(super) const RAW: &str = "iif(plain(), raw, opened_body(id, raw))";

/// The context of the bytes of a message, which are sealed by themselves.
const BODY: &[u8] = b"messages.raw";

pub(super) fn item(value: ValueRef<'_>) -> Item<'_> {
    match value {
        // No column has fractions.
        ValueRef::Null | ValueRef::Real(_) => Item::Null,
        ValueRef::Integer(number) => Item::Integer(number),
        ValueRef::Text(text) => Item::Text(text),
        ValueRef::Blob(blob) => Item::Blob(blob),
    }
}

/// What names a row: its table, and the columns that stay as long as it is there.
pub(super) fn context<'v>(
    name: &str,
    row: impl Iterator<Item = ValueRef<'v>>,
    context: &mut Vec<u8>,
) {
    context.clear();
    let mut add = |kind: u8, bytes: &[u8]| {
        context.push(kind);
        context.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        context.extend_from_slice(bytes);
    };
    add(0, name.as_bytes());
    for value in row {
        match item(value) {
            Item::Null => add(1, &[]),
            Item::Integer(number) => add(2, &number.to_le_bytes()),
            Item::Text(text) => add(3, text),
            Item::Blob(blob) => add(4, blob),
        }
    }
}

fn body_context(id: i64) -> Vec<u8> {
    let mut bytes = BODY.to_vec();
    bytes.extend_from_slice(&id.to_le_bytes());
    bytes
}

/// The bytes of a message, sealed.
pub(super) fn seal_body(vault: &Vault, id: i64, raw: &[u8]) -> Result<Vec<u8>> {
    let sealed = vault.sealer().seal(&body_context(id), raw);
    sealed.map_err(failed)
}

/// The bytes of a message, opened.
pub(super) fn open_body(vault: &Vault, id: i64, sealed: &[u8]) -> Option<Vec<u8>> {
    vault.sealer().open(&body_context(id), sealed).ok()
}

/// Something cannot be sealed.
fn failed(error: VaultError) -> Error {
    Error::UserFunctionError(error.into())
}

/// What a row becomes in an encrypted database.
pub(super) struct Hidden<'v> {
    /// One for each column.
    pub(super) stored: Vec<ToSqlOutput<'v>>,
    pub(super) sealed: Vec<u8>,
}

/// What a value is to be bound as.
pub(super) fn value_of<'v>(output: &'v ToSqlOutput<'v>) -> Result<ValueRef<'v>> {
    match output {
        ToSqlOutput::Borrowed(value) => Ok(*value),
        ToSqlOutput::Owned(value) => Ok(ValueRef::from(value)),
        _ => Err(Error::InvalidQuery),
    }
}

impl Sealed {
    /// Seals the values of a row.
    pub(super) fn hide<'v>(
        &self,
        vault: &Vault,
        values: &'v [&'v dyn ToSql],
    ) -> Result<Hidden<'v>> {
        let mut packer = Packer::new(512);
        let mut stored = Vec::with_capacity(values.len());
        for (keep, value) in self.keeps().zip(values) {
            let output = value.to_sql()?;
            let Some((_, keep)) = keep else {
                stored.push(output);
                continue;
            };
            let value = value_of(&output)?;
            packer.add(item(value));
            stored.push(match (keep, value) {
                (_, ValueRef::Null) | (Keep::Null, _) => ToSqlOutput::from(rusqlite::types::Null),
                (Keep::Json, ValueRef::Text(b"null")) => output,
                (Keep::Text | Keep::Json, _) => ToSqlOutput::from(""),
                (Keep::Blob, _) => ToSqlOutput::Borrowed(ValueRef::Blob(&[])),
                (Keep::Token, value) => ToSqlOutput::from(vault.token(value.as_str()?)),
                (Keep::Digest, value) => ToSqlOutput::from(vault.digest(value.as_blob()?).to_vec()),
            });
        }
        let row = self.row_of(|index| stored.get(index).and_then(|value| value_of(value).ok()));
        let mut bytes = Vec::with_capacity(64);
        context(self.name, row, &mut bytes);
        let mut sealed = packer.into_bytes();
        vault
            .sealer()
            .seal_behind_head(&bytes, &mut sealed)
            .map_err(failed)?;
        Ok(Hidden { stored, sealed })
    }

    /// The values that name a row, from all of them.
    pub(super) fn row_of<'v>(
        &self,
        get: impl Fn(usize) -> Option<ValueRef<'v>>,
    ) -> impl Iterator<Item = ValueRef<'v>> {
        self.row
            .iter()
            .map(move |index| get(*index).unwrap_or(ValueRef::Null))
    }
}

/// Opens the rows that a connection reads.
struct Opener {
    vault: Arc<Vault>,
    /// The last row that was opened: each of its columns is asked for by itself.
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    context: Vec<u8>,
    sealed: Vec<u8>,
    plain: Vec<u8>,
    asked: Vec<u8>,
}

impl Opener {
    /// Does something with the values of a row, if it opens.
    fn with<'v, T>(
        &self,
        table: &Sealed,
        sealed: ValueRef<'_>,
        row: impl Iterator<Item = ValueRef<'v>>,
        then: impl FnOnce(Bundle<'_>) -> T,
    ) -> Option<T> {
        let ValueRef::Blob(sealed) = sealed else {
            return None;
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut *last;
        context(table.name, row, &mut last.asked);
        if last.sealed != sealed || last.context != last.asked {
            last.sealed.clear();
            last.context.clear();
            self.vault
                .sealer()
                .open_into(&last.asked, sealed, &mut last.plain)
                .ok()?;
            last.sealed.extend_from_slice(sealed);
            std::mem::swap(&mut last.context, &mut last.asked);
        }
        Some(then(Bundle::new(&last.plain)))
    }
}

fn table(context: &Context<'_>) -> Result<&'static Sealed> {
    let number: usize = context.get(0)?;
    TABLES.get(number).copied().ok_or(Error::InvalidQuery)
}

pub(super) fn value(item: Option<Item<'_>>) -> Value {
    match item {
        None | Some(Item::Null) => Value::Null,
        Some(Item::Integer(number)) => Value::Integer(number),
        Some(Item::Text(text)) => {
            // Text came in as text; bytes that are none were never sealed.
            String::from_utf8(text.to_vec()).map_or(Value::Null, Value::Text)
        }
        Some(Item::Blob(blob)) => Value::Blob(blob.to_vec()),
    }
}

/// Whether the arguments from `first` on are a row that is what was written.
fn whole(opener: &Opener, context: &Context<'_>) -> Result<bool> {
    let table = table(context)?;
    let columns = table.columns.len();
    if context.len() != columns + 3 {
        return Err(Error::InvalidQuery);
    }
    let mut sum = Sum::of(table.name);
    for index in 0..columns {
        sum.add(context.get_raw(index + 3));
    }
    if context.get_raw(1) != ValueRef::Integer(sum.finish()) {
        return Ok(false);
    }
    let row = table.row_of(|index| Some(context.get_raw(index + 3)));
    let count = table.hidden.len();
    let found = opener.with(table, context.get_raw(2), row, |bundle| {
        bundle.iter().flatten().count()
    });
    Ok(found == Some(count))
}

/// The values that name a row, `from` this argument on.
fn row<'c>(
    context: &'c Context<'_>,
    table: &Sealed,
    from: usize,
) -> impl Iterator<Item = ValueRef<'c>> {
    let end = context.len().min(from + table.row.len());
    (from..end).map(|index| context.get_raw(index))
}

/// `resealed(table, sealed, row…, place, value, …)`: a row with other values in some places.
fn resealed(opener: &Opener, context_of: &Context<'_>) -> Result<Vec<u8>> {
    let table = table(context_of)?;
    let sets = 2 + table.row.len();
    let mut packer = Packer::new(512);
    let kept = row(context_of, table, 2);
    let found = opener.with(table, context_of.get_raw(1), kept, |bundle| {
        for (place, was) in bundle.iter().enumerate() {
            let mut new = was.unwrap_or(Item::Null);
            for set in (sets..context_of.len().saturating_sub(1)).step_by(2) {
                if context_of.get_raw(set).as_i64().ok() == i64::try_from(place).ok() {
                    new = item(context_of.get_raw(set + 1));
                }
            }
            packer.add(new);
        }
    });
    found.ok_or_else(|| failed(VaultError::Damaged))?;
    let mut new = packer.into_bytes();
    let mut bytes = Vec::new();
    context(table.name, row(context_of, table, 2), &mut bytes);
    let sealer = opener.vault.sealer();
    sealer.seal_behind_head(&bytes, &mut new).map_err(failed)?;
    Ok(new)
}

const PURE: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC);

/// Makes known to a connection how the hidden columns of its database are read: as they stand.
pub(super) fn register_plain(connection: &Connection) -> Result<()> {
    let none = |_: &Context<'_>| Ok(Value::Null);
    connection.create_scalar_function("plain", 0, PURE, |_| Ok(true))?;
    connection.create_scalar_function("patient_token", 1, PURE, |c| c.get::<Value>(0))?;
    connection.create_scalar_function("digest_token", 1, PURE, |c| c.get::<Value>(0))?;
    connection.create_scalar_function("opened", -1, PURE, none)?;
    connection.create_scalar_function("opened_body", 2, PURE, none)?;
    connection.create_scalar_function("whole", -1, PURE, none)?;
    connection.create_scalar_function("opens", -1, PURE, none)?;
    connection.create_scalar_function("resealed", -1, FunctionFlags::SQLITE_UTF8, none)
}

/// Makes known to a connection how the hidden columns of its database are read: with these keys.
pub(super) fn register(connection: &Connection, vault: &Arc<Vault>) -> Result<()> {
    // What is sorted or gathered is opened: it stays in memory.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let opener = Arc::new(Opener {
        vault: Arc::clone(vault),
        last: Mutex::default(),
    });
    connection.create_scalar_function("plain", 0, PURE, |_| Ok(false))?;
    let of = Arc::clone(vault);
    connection.create_scalar_function("patient_token", 1, PURE, move |c| {
        let text = c.get_raw(0).as_str_or_null()?;
        Ok(text.map(|text| of.token(text)))
    })?;
    let of = Arc::clone(vault);
    connection.create_scalar_function("digest_token", 1, PURE, move |c| {
        let digest = c.get_raw(0).as_blob()?;
        Ok(of.digest(digest).to_vec())
    })?;
    let with = Arc::clone(&opener);
    connection.create_scalar_function("opened", -1, PURE, move |c| {
        let table = table(c)?;
        let place: usize = c.get(1)?;
        let found = with.with(table, c.get_raw(2), row(c, table, 3), |bundle| {
            value(bundle.get(place))
        });
        Ok(found.unwrap_or(Value::Null))
    })?;
    let of = Arc::clone(vault);
    connection.create_scalar_function("opened_body", 2, PURE, move |c| {
        let (id, sealed) = (c.get::<i64>(0)?, c.get_raw(1).as_blob()?);
        // What does not open is no message: its digest says so.
        Ok(open_body(&of, id, sealed).unwrap_or_default())
    })?;
    let with = Arc::clone(&opener);
    connection.create_scalar_function("whole", -1, PURE, move |c| {
        Ok(whole(&with, c)?.then_some(WHOLE))
    })?;
    let with = Arc::clone(&opener);
    connection.create_scalar_function("opens", -1, PURE, move |c| {
        let table = table(c)?;
        let found = with.with(table, c.get_raw(1), row(c, table, 2), |_| ());
        Ok(found.is_some())
    })?;
    connection.create_scalar_function("resealed", -1, FunctionFlags::SQLITE_UTF8, move |c| {
        resealed(&opener, c)
    })
}
