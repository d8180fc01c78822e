//! [`encrypt`], [`rekey`] and [`decrypt`]: a whole database is brought into another form.
//!
//! Row by row, in small transactions: stopped anywhere it goes on where it was, since each row says
//! itself whether it is done. A database that is on its way is not served. Every row is checked
//! before it is changed, and all of them once more at the end.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use rusqlite::types::{ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, params, params_from_iter};

use super::backup::{self, Form};
use super::hidden::{context, seal_body, value};
use super::seal::{Sealed, Sum};
use super::tables::{MESSAGES, TABLES};
use super::unlock::{self, State};
use super::{connect, lock, migrate};
use crate::access;
use crate::error::StoreError;
use crate::record::digest;
use crate::vault::{Bundle, Keys, Vault, VaultError};

/// Rows, and bytes, that are changed in one transaction.
const ROWS: usize = 500;
const BYTES: usize = 4 << 20;

/// What was done to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Converted {
    /// Rows that were changed now.
    pub rows: u64,
    /// Whether all of it is done; else it was stopped, and goes on the next time.
    pub complete: bool,
}

/// What a database says of its encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Encryption {
    /// `encrypted`, or `encrypting` or `decrypting` where that was stopped; `None`: not at all.
    pub state: Option<&'static str>,
    /// The names of the keys that something may be sealed with.
    pub keys: Vec<String>,
}

/// What the database in a directory says of its encryption.
///
/// # Errors
///
/// There is none, it is of an older version, or it cannot be read.
pub fn encryption(directory: &Path) -> Result<Encryption, StoreError> {
    let connection = connect(&there(directory)?, true)?;
    let lock = unlock::lock(&connection)?;
    Ok(Encryption {
        state: lock.as_ref().map(|lock| lock.state.as_str()),
        keys: lock
            .iter()
            .flat_map(|lock| lock.names().map(str::to_owned))
            .collect(),
    })
}

/// Encrypts a database that is not, under the first of these keys. No server may use it.
///
/// `progress` hears after each transaction how many rows are done, and may stop it.
///
/// # Errors
///
/// The directory is in use, a row is damaged, or the database cannot be written. What was done by
/// then stays done; the next call goes on.
pub fn encrypt(
    directory: &Path,
    keys: &Keys,
    progress: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Converted, StoreError> {
    let mut database = Database::open(directory)?;
    let vault = match unlock::lock(&database.connection)? {
        None => Vault::create(keys)?,
        Some(lock) if lock.state == State::Encrypting => lock.open(keys)?,
        Some(lock) if lock.state == State::Decrypting => {
            return Err(VaultError::Unfinished { command: "decrypt" }.into());
        }
        Some(lock) => {
            lock.open(keys)?;
            return Ok(Converted {
                rows: 0,
                complete: true,
            });
        }
    };
    unlock::set(&database.connection, &vault, State::Encrypting)?;
    let pass = Pass {
        vault: Arc::new(vault),
        to: To::Sealed,
        todo: "sealed IS NULL",
    };
    let converted = database.convert(&pass, progress)?;
    if converted.complete {
        access::convert(directory, pass.vault.sealer(), true)?;
        database.clean()?;
        database.verify(&pass)?;
        unlock::set(&database.connection, &pass.vault, State::Encrypted)?;
        database.settle()?;
    }
    Ok(converted)
}

/// Seals everything with the first of these keys that is sealed with another one. After that the
/// others can go. No server may use the database.
///
/// # Errors
///
/// As [`encrypt`]; and the database is not encrypted, or a key is missing.
pub fn rekey(
    directory: &Path,
    keys: &Keys,
    progress: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Converted, StoreError> {
    let mut database = Database::open(directory)?;
    let lock = unlock::lock(&database.connection)?.ok_or(VaultError::Plain)?;
    lock.finished()?;
    let vault = Arc::new(lock.open(keys)?);
    unlock::adopt(&database.connection, &vault)?;
    let pass = Pass {
        vault,
        to: To::Sealed,
        todo: "substr(sealed, 2, 4) IS NOT ?3",
    };
    let converted = database.convert(&pass, progress)?;
    if converted.complete {
        access::convert(directory, pass.vault.sealer(), true)?;
        database.clean()?;
        database.verify(&pass)?;
        let first = pass.vault.sealer().keys().first();
        database.connection.execute(
            "DELETE FROM vault_keys WHERE fingerprint <> ?1",
            [first.fingerprint],
        )?;
        database.settle()?;
    }
    Ok(converted)
}

/// Takes the encryption off a database. No server may use it.
///
/// # Errors
///
/// As [`rekey`].
pub fn decrypt(
    directory: &Path,
    keys: &Keys,
    progress: impl FnMut(u64) -> ControlFlow<()>,
) -> Result<Converted, StoreError> {
    let mut database = Database::open(directory)?;
    let lock = unlock::lock(&database.connection)?.ok_or(VaultError::Plain)?;
    if lock.state == State::Encrypting {
        return Err(VaultError::Unfinished { command: "encrypt" }.into());
    }
    let vault = Arc::new(lock.open(keys)?);
    unlock::set(&database.connection, &vault, State::Decrypting)?;
    let pass = Pass {
        vault,
        to: To::Plain,
        todo: "sealed IS NOT NULL",
    };
    let converted = database.convert(&pass, progress)?;
    if converted.complete {
        access::convert(directory, pass.vault.sealer(), false)?;
        database.verify(&pass)?;
        let transaction = database.connection.transaction()?;
        transaction.execute("DELETE FROM vault", [])?;
        transaction.execute("DELETE FROM vault_keys", [])?;
        transaction.commit()?;
        database.settle()?;
    }
    Ok(converted)
}

fn there(directory: &Path) -> Result<std::path::PathBuf, StoreError> {
    let path = directory.join("medsynapse.db");
    if path.exists() {
        return Ok(path);
    }
    Err(StoreError::File {
        path: path.display().to_string(),
        message: "no database is there".into(),
    })
}

/// What rows become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Sealed,
    Plain,
}

/// One way through all rows.
struct Pass {
    vault: Arc<Vault>,
    to: To,
    /// Which rows are not done yet.
    todo: &'static str,
}

/// A database that nobody else uses.
struct Database {
    connection: Connection,
    path: std::path::PathBuf,
    _lock: std::fs::File,
}

/// What a row becomes.
struct Row {
    key: Value,
    stored: Vec<Value>,
    sealed: Option<Vec<u8>>,
    body: Option<Vec<u8>>,
}

impl Database {
    fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = there(directory)?;
        let held = lock(&directory.join("lock"))?;
        let mut connection = connect(&path, false)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        migrate(&mut connection)?;
        // What a row said before is overwritten.
        connection.pragma_update(None, "secure_delete", "ON")?;
        Ok(Self {
            connection,
            path,
            _lock: held,
        })
    }

    fn convert(
        &mut self,
        pass: &Pass,
        mut progress: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Converted, StoreError> {
        let mut converted = Converted::default();
        for table in TABLES {
            if table.hidden.is_empty() {
                continue;
            }
            let mut cursor = match key(table) {
                "rowid" => Value::Integer(i64::MIN),
                _ => Value::Text(String::new()),
            };
            loop {
                let rows = pass.batch(&self.connection, table, &cursor)?;
                let Some(last) = rows.last() else {
                    break;
                };
                cursor = last.key.clone();
                converted.rows += rows.len() as u64;
                self.write(table, rows)?;
                if progress(converted.rows).is_break() {
                    return Ok(converted);
                }
            }
        }
        converted.complete = true;
        Ok(converted)
    }

    fn write(&mut self, table: &Sealed, rows: Vec<Row>) -> Result<(), StoreError> {
        let sets: Vec<String> = table
            .hidden
            .iter()
            .map(|(column, _)| *column)
            .chain(["checksum", "sealed"])
            .chain((table.name == MESSAGES.name).then_some("raw"))
            .enumerate()
            .map(|(n, column)| format!("{column} = ?{}", n + 2))
            .collect();
        let sql = format!(
            "UPDATE {} SET {} WHERE {} = ?1",
            table.name,
            sets.join(", "),
            key(table)
        );
        let transaction = self.connection.transaction()?;
        for row in rows {
            let mut sum = Sum::of(table.name);
            for value in &row.stored {
                sum.add(ValueRef::from(value));
            }
            let hidden = table
                .keeps()
                .zip(row.stored)
                .filter_map(|(keep, value)| keep.map(|_| value));
            let values = std::iter::once(row.key)
                .chain(hidden)
                .chain([
                    Value::Integer(sum.finish()),
                    row.sealed.map_or(Value::Null, Value::Blob),
                ])
                .chain(row.body.map(Value::Blob));
            transaction
                .prepare_cached(&sql)?
                .execute(params_from_iter(values))?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Leaves nothing of what rows said before: in free pages, and in the log.
    fn clean(&self) -> Result<(), StoreError> {
        self.connection.execute_batch("VACUUM")?;
        self.settle()
    }

    fn settle(&self) -> Result<(), StoreError> {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy: i64 = self.connection.query_row(sql, [], |row| row.get(0))?;
        if busy != 0 {
            return Err(StoreError::InUse);
        }
        Ok(())
    }

    /// Looks at every row once more.
    fn verify(&self, pass: &Pass) -> Result<(), StoreError> {
        let form = match pass.to {
            To::Sealed => Form::Opened(Arc::clone(&pass.vault)),
            To::Plain => Form::Plain,
        };
        backup::check(&self.path, |_| Ok(form)).map(drop)
    }
}

/// What a row is found by while its columns change.
fn key(table: &Sealed) -> &'static str {
    match table.name {
        "patients" => "patient_id",
        "cancelled_orders" => "accession_number",
        "procedure_steps" => "sop_instance_uid",
        _ => "rowid",
    }
}

impl Pass {
    /// Some rows that are not done, as they are to be.
    fn batch(
        &self,
        connection: &Connection,
        table: &Sealed,
        cursor: &Value,
    ) -> Result<Vec<Row>, StoreError> {
        let first = self.vault.sealer().keys().first().fingerprint;
        let is_message = table.name == MESSAGES.name;
        let mut todo = self.todo.to_owned();
        if is_message && todo.contains("?3") {
            // An answer seals its row anew, but not the message.
            todo.push_str(" OR substr(raw, 2, 4) IS NOT ?3");
        }
        let (name, key) = (table.name, key(table));
        let raw = if is_message { "raw" } else { "NULL" };
        let sql = format!(
            "SELECT {}, sealed, {raw}, {key} FROM {name} WHERE {key} > ?1 AND ({todo}) \
             AND ?3 IS NOT NULL ORDER BY {key} LIMIT ?2",
            table.stored("")
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![cursor, ROWS, first])?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let converted = self.row(table, row)?;
            bytes += converted.body.as_ref().map_or(0, Vec::len);
            bytes += converted.sealed.as_ref().map_or(0, Vec::len);
            found.push(converted);
            if bytes > BYTES {
                break;
            }
        }
        Ok(found)
    }

    fn row(&self, table: &Sealed, row: &rusqlite::Row<'_>) -> Result<Row, StoreError> {
        table.check(row, 0)?;
        let width = table.width();
        let mut values: Vec<Value> = (0..table.columns.len())
            .map(|index| row.get(index))
            .collect::<Result<_, _>>()?;
        let number = || row.get(table.called).unwrap_or_default();
        let damaged = || StoreError::from(table.damaged(number()));
        let sealed: Option<Vec<u8>> = row.get(width)?;
        let mut body: Option<Vec<u8>> = row.get(width + 1)?;
        let id: i64 = match values.first() {
            Some(Value::Integer(id)) => *id,
            _ => 0,
        };
        if let Some(sealed) = sealed {
            let mut named = Vec::new();
            let stored = table.row_of(|index| values.get(index).map(ValueRef::from));
            context(table.name, stored, &mut named);
            let plain = self.vault.sealer().open(&named, &sealed);
            let plain = plain.map_err(|_| damaged())?;
            let bundle = Bundle::new(&plain);
            for (keep, slot) in table.keeps().zip(&mut values) {
                if let Some((place, _)) = keep {
                    *slot = value(Some(bundle.get(place).ok_or_else(damaged)?));
                }
            }
            if let Some(body) = &mut body {
                *body = super::hidden::open_body(&self.vault, id, body).ok_or_else(damaged)?;
            }
        }
        if let Some(body) = &body {
            let kept = MESSAGES.columns.iter().position(|name| *name == "digest");
            let kept = kept.and_then(|index| values.get(index));
            if kept != Some(&Value::Blob(digest(body).to_vec())) {
                return Err(damaged());
            }
        }
        let key = row.get(width + 2)?;
        if self.to == To::Plain {
            return Ok(Row {
                key,
                stored: values,
                sealed: None,
                body,
            });
        }
        let bound: Vec<&dyn ToSql> = values.iter().map(|value| value as &dyn ToSql).collect();
        let hidden = table.hide(&self.vault, &bound)?;
        let stored = hidden
            .stored
            .into_iter()
            .map(|output| match output {
                ToSqlOutput::Owned(value) => Ok(value),
                ToSqlOutput::Borrowed(value) => Value::try_from(value).map_err(|_| damaged()),
                _ => Err(damaged()),
            })
            .collect::<Result<_, _>>()?;
        let body = body
            .map(|body| seal_body(&self.vault, id, &body))
            .transpose()?;
        Ok(Row {
            key,
            stored,
            sealed: Some(hidden.sealed),
            body,
        })
    }
}
