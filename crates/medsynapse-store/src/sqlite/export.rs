//! [`Export`]: every row of a database, checked, for another one.

use std::fs::File;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use super::hidden::RAW;
use super::lock;
use super::log::Log;
use super::seal::Sealed;
use super::tables::TABLES;
use crate::error::StoreError;
use crate::vault::Keys;

/// The columns by which rows are paged through, of tables that have no number of their own.
const KEYS: [(&str, &[&str]); 6] = [
    ("message_counts", &["direction", "message_code"]),
    ("patients", &["patient_id"]),
    ("orders", &["accession_number"]),
    ("cancelled_orders", &["accession_number"]),
    ("reports", &["accession_number", "version"]),
    ("procedure_steps", &["sop_instance_uid"]),
];

/// A database that nobody writes to while this is here.
#[derive(Debug)]
pub(crate) struct Export {
    log: Log,
    _lock: File,
}

/// A page of a table: its rows, and where the next one begins.
pub(crate) struct Rows {
    pub(crate) rows: Vec<Vec<Value>>,
    pub(crate) next: Option<Vec<Value>>,
}

impl Export {
    /// Opens the database of a directory, which no server may use.
    pub(crate) fn open(directory: &Path, keys: Option<&Keys>) -> Result<Self, StoreError> {
        let log = Log::open(directory, keys)?;
        Ok(Self {
            _lock: lock(&directory.join("lock"))?,
            log,
        })
    }

    /// The next rows of a table, with these columns; each is held to its checksum.
    pub(crate) fn page(
        &self,
        name: &str,
        columns: &[&str],
        after: Option<&[Value]>,
        limit: usize,
    ) -> Result<Rows, StoreError> {
        let table: &Sealed = TABLES
            .into_iter()
            .find(|table| table.name == name)
            .ok_or_else(|| StoreError::Database(format!("no table {name}")))?;
        let key = KEYS.iter().find(|(table, _)| *table == name);
        let key: &[&str] = match (key, name) {
            (Some((_, key)), _) => key,
            (None, "outbox") => &["message_id"],
            (None, _) => &["id"],
        };
        // Behind the columns that have a checksum: those that have not, and the key as it is
        // stored.
        let more = |column: &&&str| !table.columns.contains(*column);
        let more: Vec<&str> = columns.iter().filter(more).copied().collect();
        let expression = |column: &str| match column {
            "raw" => RAW.to_owned(),
            column => column.to_owned(),
        };
        let mut selected = vec![table.select("")];
        selected.extend(more.iter().map(|column| expression(column)));
        selected.extend(key.iter().map(|column| (*column).to_owned()));
        let names = key.join(", ");
        let places: Vec<String> = (1..=key.len()).map(|place| format!("?{place}")).collect();
        let condition = match after {
            None => String::new(),
            Some(_) => format!(" WHERE ({names}) > ({})", places.join(", ")),
        };
        let sql = format!(
            "SELECT {} FROM {name}{condition} ORDER BY {names} LIMIT {limit}",
            selected.join(", ")
        );
        let mut statement = self.log.connection.prepare_cached(&sql)?;
        let mut found = statement.query(params_from_iter(after.unwrap_or_default()))?;
        let (mut rows, mut next) = (Vec::new(), None);
        while let Some(row) = found.next()? {
            table.check(row, 0)?;
            let value = |column: &&str| -> Result<Value, StoreError> {
                let place = table.columns.iter().position(|name| name == column);
                let behind = || more.iter().position(|name| name == column);
                let place = place.or_else(|| Some(table.width() + behind()?));
                let place = place.unwrap_or_default();
                Ok(row.get(place)?)
            };
            rows.push(columns.iter().map(value).collect::<Result<_, _>>()?);
            next = Some(stored_key(row, table.width() + more.len(), key.len())?);
        }
        let next = next.filter(|_| rows.len() == limit);
        Ok(Rows { rows, next })
    }
}

fn stored_key(row: &Row<'_>, first: usize, count: usize) -> Result<Vec<Value>, StoreError> {
    let values = (first..first + count).map(|place| row.get(place));
    Ok(values.collect::<Result<_, _>>()?)
}
