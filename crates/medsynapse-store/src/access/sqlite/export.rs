//! What the file holds, for another home.

use rusqlite::{OptionalExtension, params};

use super::SqliteAccess;
use super::idempotency::{COLUMNS, Kept};
use super::trail;
use crate::access::{FirstAnswer, TrailRecord};
use crate::error::StoreError;

/// A request and its answer, in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptAnswer {
    pub(crate) caller: String,
    pub(crate) key: String,
    pub(crate) at: i64,
    pub(crate) request: Vec<u8>,
    pub(crate) answer: Option<FirstAnswer>,
}

impl SqliteAccess {
    /// The entries of the trail behind a number, in order.
    pub(crate) fn trail_after(&self, n: i64, limit: u32) -> Result<Vec<TrailRecord>, StoreError> {
        let connection = self.durable();
        let columns = trail::COLUMNS;
        let sql = format!("SELECT {columns} FROM trail WHERE n > ?1 ORDER BY n LIMIT ?2");
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![n, limit], |row| {
            Ok((row.get::<_, i64>(0)?, trail::record(row).ok()))
        })?;
        rows.map(|row| {
            let (id, record) = row?;
            let table = "trail";
            record.ok_or(StoreError::Corrupt { table, id })
        })
        .collect()
    }

    /// The number of the last entry as the trail has it, and its seal.
    pub(crate) fn trail_head(&self) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
        let head = self
            .durable()
            .query_row("SELECT n, seal FROM trail_head", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            });
        Ok(head.optional()?)
    }

    /// The answers behind the one of a caller and a key, in order.
    pub(crate) fn answers_after(
        &self,
        (caller, key): (&str, &str),
        limit: u32,
    ) -> Result<Vec<KeptAnswer>, StoreError> {
        let connection = self.durable();
        let sql = format!(
            "SELECT {COLUMNS}, at FROM idempotency WHERE (caller, key) > (?1, ?2) \
             ORDER BY caller, key LIMIT ?3"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![caller, key, limit], |row| {
            Ok((Kept::read(row)?, row.get::<_, i64>(7)?))
        })?;
        rows.map(|row| {
            let (kept, at) = row?;
            let (caller, key) = (kept.caller.clone(), kept.key.clone());
            let (request, answer) = kept.open(self.sealer.as_ref())?;
            Ok(KeptAnswer {
                caller,
                key,
                at,
                request,
                answer,
            })
        })
        .collect()
    }
}
