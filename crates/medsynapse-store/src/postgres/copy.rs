//! [`copy_to_postgres`]: a database of one server, moved to where several have it.

use std::path::Path;

use rusqlite::types::Value;
use sha2::{Digest, Sha256};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::filter::without_nul;
use super::rows::get;
use super::sql::{
    ACTIONS, CANCELLED, CHANGES, COUNTS, DELIVERIES, MESSAGES, OUTBOX_COLUMNS, PATIENTS,
    PROCEDURES, REPORTS, insert, order_columns,
};
use super::{PostgresOptions, access, block, migrate, runtime};
use crate::access::TrailKey;
use crate::error::StoreError;
use crate::sqlite::Export;
use crate::vault::Keys;

/// Rows in one transaction.
const PAGE: usize = 500;

/// A table, its columns there, and the one by whose number a copy that broke off goes on.
struct Table {
    name: &'static str,
    columns: Vec<(&'static str, &'static str)>,
    number: Option<&'static str>,
}

fn tables() -> Vec<Table> {
    let table = |name, columns: &[(&'static str, &'static str)], number| Table {
        name,
        columns: columns.to_vec(),
        number,
    };
    vec![
        table("messages", &MESSAGES, Some("id")),
        table("actions", &ACTIONS, Some("id")),
        table("deliveries", &DELIVERIES, Some("id")),
        table("changes", &CHANGES, Some("id")),
        table("outbox", &OUTBOX_COLUMNS, Some("message_id")),
        table("orders", &order_columns(), None),
        table("cancelled_orders", &CANCELLED, None),
        table("reports", &REPORTS, None),
        table("patients", &PATIENTS, None),
        table("procedure_steps", &PROCEDURES, None),
        table("message_counts", &COUNTS, None),
    ]
}

/// What a copy needs beside its two ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyOptions<'a> {
    /// Those of an encrypted data directory; the copy is in the clear.
    pub keys: Option<&'a Keys>,
    /// The secret of the audit trail, which goes with it.
    pub trail_key: Option<&'a TrailKey>,
    /// Whether each server will be given that secret by its configuration: then it is not put into
    /// the database.
    pub trail_key_apart: bool,
}

/// What was copied of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub table: &'static str,
    /// How many rows it has, here and there.
    pub rows: u64,
    /// How many of them were there already, from a copy that broke off; 0 where that is not
    /// looked at.
    pub before: u64,
}

/// The rows of a table as one number, whatever their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum {
    rows: u64,
    sum: u128,
}

impl Sum {
    fn add(&mut self, row: &[Value]) {
        let mut hash = Sha256::new();
        for value in row {
            let (kind, bytes): (u8, &[u8]) = match value {
                Value::Null | Value::Real(_) => (0, &[]),
                Value::Integer(number) => (1, &number.to_le_bytes()),
                Value::Text(text) => (2, text.as_bytes()),
                Value::Blob(blob) => (3, blob),
            };
            hash.update([kind]);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(digest) {
            *to = from;
        }
        self.rows += 1;
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(half));
    }
}

/// Copies the database of `directory`, which no server may use, to an empty PostgreSQL, and reads
/// both to compare counts and checksums of every table. Keys, audit trail and answers in
/// `access.db` go with it, the trail with its secret. A copy that broke off goes on where it
/// was. Only a copy that is whole can be opened by a server as more than an empty database.
///
/// `each` is called for every page, with the name of the table.
///
/// # Errors
///
/// A database cannot be read or written, a row is damaged, a server has used the target, or the
/// two differ in the end.
pub fn copy_to_postgres(
    directory: &Path,
    options: &CopyOptions<'_>,
    to: &PostgresOptions,
    mut each: impl FnMut(&'static str, u64),
) -> Result<Vec<CopiedTable>, StoreError> {
    let export = Export::open(directory, options.keys)?;
    let (target, runtime) = (to.target()?, runtime()?);
    let begun = block::on(runtime.handle(), async {
        let mut client = target.connect_reader().await?;
        migrate::migrate(&mut client).await?;
        client.batch_execute("SET statement_timeout = 0").await?;
        let head = client
            .query_one("SELECT is_called FROM log_entries", &[])
            .await?;
        if get::<bool>(&head, 0)? {
            return Err(StoreError::Settings(
                "the target has been copied to before, or a server has used it; name an empty \
                 database"
                    .into(),
            ));
        }
        Ok(client)
    });
    let others = begun.and_then(|client| {
        let copied = access::copy::copy(directory, options, to, &mut each)?;
        Ok((client, copied))
    });
    let copied = others.and_then(|(client, mut copied)| {
        block::on(runtime.handle(), async {
            for table in tables() {
                copied.push(copy(&export, &client, &table, &mut each).await?);
            }
            // From here on it is a database.
            client
                .batch_execute(
                    "SELECT setval('log_entries', greatest(1, \
                     (SELECT max(id) FROM messages), (SELECT max(id) FROM actions), \
                     (SELECT max(id) FROM deliveries))), \
                     setval('orders_ids', greatest(1, (SELECT max(id) FROM orders))), \
                     setval('changes_ids', greatest(1, (SELECT max(id) FROM changes))); ANALYZE",
                )
                .await?;
            Ok(copied)
        })
    });
    runtime.shutdown_background();
    copied
}

async fn copy(
    export: &Export,
    client: &Client,
    table: &Table,
    each: &mut impl FnMut(&'static str, u64),
) -> Result<CopiedTable, StoreError> {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let (mut here, mut cursor) = (Sum::default(), None);
    // What is numbered was copied in order: it is there up to its largest number.
    let there = match table.number {
        None => 0,
        Some(number) => {
            let sql = format!("SELECT coalesce(max({number}), 0) FROM {}", table.name);
            get::<i64>(&client.query_one(&sql, &[]).await?, 0)?
        }
    };
    let sql = insert(table.name, &table.columns, " ON CONFLICT DO NOTHING");
    let statement = client.prepare(&sql).await?;
    let mut before = 0;
    loop {
        let page = export.page(table.name, &names, cursor.as_deref(), PAGE)?;
        let mut fresh = Vec::new();
        for mut row in page.rows {
            for value in &mut row {
                if let Value::Text(text) = value
                    && text.contains('\0')
                {
                    *text = without_nul(text).into_owned();
                }
            }
            defaults(table, &mut row);
            here.add(&row);
            let known = table.number.is_some()
                && matches!(row.first(), Some(Value::Integer(id)) if *id <= there);
            if known {
                before += 1;
            } else {
                fresh.push(row);
            }
        }
        if !fresh.is_empty() {
            let columns = arrays(table, &fresh)?;
            let values: Vec<&(dyn ToSql + Sync)> =
                columns.iter().map(|column| &**column as _).collect();
            client.execute(&statement, &values).await?;
        }
        each(table.name, here.rows);
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let there = sum(client, table).await?;
    if there != here {
        return Err(StoreError::Database(format!(
            "{}: {} rows here and {} there are not the same; empty the target and copy again",
            table.name, here.rows, there.rows
        )));
    }
    Ok(CopiedTable {
        table: table.name,
        rows: here.rows,
        before,
    })
}

/// Columns that came with a later version are empty in older rows.
fn defaults(table: &Table, row: &mut [Value]) {
    for ((name, _), value) in table.columns.iter().zip(row) {
        if table.name == "messages" && *name == "effect" && *value == Value::Null {
            *value = Value::Text(String::new());
        }
    }
}

/// The columns of rows, as arrays.
fn arrays(
    table: &Table,
    rows: &[Vec<Value>],
) -> Result<Vec<Box<dyn ToSql + Sync + Send>>, StoreError> {
    let odd = || StoreError::Database(format!("{}: a value has another type", table.name));
    let column = |place: usize| rows.iter().map(move |row| row.get(place));
    let mut arrays: Vec<Box<dyn ToSql + Sync + Send>> = Vec::new();
    for (place, (_, kind)) in table.columns.iter().enumerate() {
        let number = |value: Option<&Value>| match value {
            Some(Value::Integer(number)) => Ok(Some(*number)),
            Some(Value::Null) => Ok(None),
            _ => Err(odd()),
        };
        arrays.push(match *kind {
            "bigint" => Box::new(column(place).map(number).collect::<Result<Vec<_>, _>>()?),
            "integer" => {
                let small = |value| {
                    let number = number(value)?;
                    Ok(number.map(|number| i32::try_from(number).unwrap_or(i32::MAX)))
                };
                let small = column(place).map(small);
                Box::new(small.collect::<Result<Vec<_>, StoreError>>()?)
            }
            "boolean" => {
                let switch = |value| Ok(number(value)?.map(|number| number != 0));
                let switch = column(place).map(switch);
                Box::new(switch.collect::<Result<Vec<_>, StoreError>>()?)
            }
            "bytea" => {
                let bytes = |value: Option<&Value>| match value {
                    Some(Value::Blob(blob)) => Ok(Some(blob.clone())),
                    Some(Value::Null) => Ok(None),
                    _ => Err(odd()),
                };
                Box::new(column(place).map(bytes).collect::<Result<Vec<_>, _>>()?)
            }
            _ => {
                let text = |value: Option<&Value>| match value {
                    Some(Value::Text(text)) => Ok(Some(text.clone())),
                    Some(Value::Null) => Ok(None),
                    _ => Err(odd()),
                };
                Box::new(column(place).map(text).collect::<Result<Vec<_>, _>>()?)
            }
        });
    }
    Ok(arrays)
}

/// The rows that are there, read back.
async fn sum(client: &Client, table: &Table) -> Result<Sum, StoreError> {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    client.batch_execute("BEGIN READ ONLY").await?;
    let sql = format!("SELECT {} FROM {}", names.join(", "), table.name);
    client
        .batch_execute(&format!("DECLARE copied NO SCROLL CURSOR FOR {sql}"))
        .await?;
    let mut sum = Sum::default();
    loop {
        let rows = client
            .query(&format!("FETCH {PAGE} FROM copied"), &[])
            .await?;
        for row in &rows {
            sum.add(&values(table, row)?);
        }
        if rows.len() < PAGE {
            break;
        }
    }
    client.batch_execute("COMMIT").await?;
    Ok(sum)
}

fn values(table: &Table, row: &Row) -> Result<Vec<Value>, StoreError> {
    let kinds = table.columns.iter().enumerate();
    kinds
        .map(|(place, (_, kind))| value(row, place, kind))
        .collect()
}

/// A value of a type of PostgreSQL, as the embedded store has it.
pub(super) fn value(row: &Row, place: usize, kind: &str) -> Result<Value, StoreError> {
    let value = match kind {
        "bigint" => get::<Option<i64>>(row, place)?.map(Value::Integer),
        "integer" => get::<Option<i32>>(row, place)?.map(|number| Value::Integer(number.into())),
        "boolean" => get::<Option<bool>>(row, place)?.map(|switch| Value::Integer(switch.into())),
        "bytea" => get::<Option<Vec<u8>>>(row, place)?.map(Value::Blob),
        _ => get::<Option<String>>(row, place)?.map(Value::Text),
    };
    Ok(value.unwrap_or(Value::Null))
}

/// The columns of a table that both stores have.
pub(super) fn columns_of(table: &str) -> Vec<&'static str> {
    let found = tables().into_iter().find(|found| found.name == table);
    let columns = found.into_iter().flat_map(|table| table.columns);
    columns.map(|(name, _)| name).collect()
}

/// The type of a column of a table.
pub(super) fn kind_of(table: &str, column: &str) -> &'static str {
    let found = tables().into_iter().find(|found| found.name == table);
    let mut columns = found.into_iter().flat_map(|table| table.columns);
    columns
        .find(|(name, _)| *name == column)
        .map_or("text", |(_, kind)| kind)
}
