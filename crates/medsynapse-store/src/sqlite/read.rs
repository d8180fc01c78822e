//! The message log, read on connections of its own.

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::connect;
use super::rows::{moment, odd};
use crate::error::StoreError;
use crate::query::{Direction, MessageOrder, MessageQuery, Page};
use crate::record::{MessageSummary, Note, StoredMessage, digest};

/// A few connections that read; a reader waits until one is free.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Mutex<Vec<Connection>>,
    returned: Condvar,
}

impl Readers {
    pub(super) fn open(path: &Path, count: usize) -> Result<Self, StoreError> {
        let idle = (0..count)
            .map(|_| connect(path, true))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            idle: Mutex::new(idle),
            returned: Condvar::new(),
        })
    }

    /// Reads one snapshot.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = loop {
            match idle.pop() {
                Some(connection) => break connection,
                None => {
                    idle = self
                        .returned
                        .wait(idle)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        drop(idle);
        // Given back whatever happens, also when the caller's part of the reading panics.
        let lent = Lent {
            readers: self,
            connection: Some(connection),
        };
        let Some(connection) = &lent.connection else {
            return Err(StoreError::Database("no connection".into()));
        };
        // One transaction, so that a list and its count are of one moment.
        connection
            .unchecked_transaction()
            .map_err(StoreError::from)
            .and_then(|transaction| {
                let result = read(&transaction);
                transaction.finish()?;
                result
            })
    }
}

/// A connection that a reader has.
struct Lent<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.readers
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(self.connection.take());
        self.readers.returned.notify_one();
    }
}

pub(super) const SUMMARY: &str = "id, received_at, transport, peer, sending_application, sending_facility, \
    sent_at, message_code, trigger_event, control_id, accession_number, patient_id, patient_name, \
    ack_code, ack_text, warning_count, retransmissions, size, direction";

pub(super) fn summary(row: &Row<'_>) -> rusqlite::Result<MessageSummary> {
    Ok(MessageSummary {
        id: row.get(0)?,
        direction: Direction::from_name(row.get_ref(18)?.as_str()?)
            .ok_or_else(|| odd(18, "direction"))?,
        received_at: moment(row, 1)?,
        transport: row.get(2)?,
        peer: row.get(3)?,
        sending_application: row.get(4)?,
        sending_facility: row.get(5)?,
        sent_at: row.get(6)?,
        message_code: row.get(7)?,
        trigger_event: row.get(8)?,
        control_id: row.get(9)?,
        accession_number: row.get(10)?,
        patient_id: row.get(11)?,
        patient_name: row.get(12)?,
        ack_code: row.get(13)?,
        ack_text: row.get(14)?,
        warning_count: row.get(15)?,
        retransmissions: row.get(16)?,
        size: row.get(17)?,
    })
}

pub(super) fn messages(
    connection: &Connection,
    query: &MessageQuery,
) -> Result<Page<MessageSummary>, StoreError> {
    let mut conditions: Vec<&str> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    let texts = [
        ("message_code = ?", &query.message_code),
        ("accession_number = ?", &query.accession_number),
        ("patient_id = ?", &query.patient_id),
        ("control_id = ?", &query.control_id),
        ("ack_code = ?", &query.ack_code),
    ];
    for (condition, value) in texts {
        if let Some(text) = value {
            conditions.push(condition);
            values.push(Value::Text(text.clone()));
        }
    }
    let direction = query.direction.map(Direction::as_str);
    if let Some(direction) = direction {
        conditions.push("direction = ?");
        values.push(Value::Text(direction.into()));
    }
    let total = total(connection, query, &conditions, &values)?;
    for (condition, value) in [("id > ?", query.after), ("id < ?", query.before)] {
        if let Some(id) = value {
            conditions.push(condition);
            values.push(Value::Integer(id));
        }
    }
    let condition = condition(&conditions);
    let ascending = match query.order {
        MessageOrder::OldestFirst => "ASC",
        MessageOrder::NewestFirst => "DESC",
    };
    values.push(Value::Integer(i64::from(query.limit)));
    values.push(Value::Integer(
        i64::try_from(query.offset).unwrap_or(i64::MAX),
    ));
    let sql = format!(
        "SELECT {SUMMARY} FROM messages{condition} ORDER BY id {ascending} LIMIT ? OFFSET ?"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), summary)?;
    Ok(Page {
        items: rows.collect::<Result<_, _>>()?,
        total,
    })
}

/// How many messages match, from the kept counts where they say it.
fn total(
    connection: &Connection,
    query: &MessageQuery,
    conditions: &[&str],
    values: &[Value],
) -> Result<u64, StoreError> {
    let counted =
        usize::from(query.message_code.is_some()) + usize::from(query.direction.is_some());
    if conditions.len() == counted {
        let mut statement = connection.prepare_cached(
            "SELECT coalesce(sum(messages), 0) FROM message_counts \
             WHERE (?1 IS NULL OR message_code = ?1) AND (?2 IS NULL OR direction = ?2)",
        )?;
        let direction = query.direction.map(Direction::as_str);
        return Ok(statement.query_row(params![query.message_code, direction], |row| row.get(0))?);
    }
    let sql = format!("SELECT count(*) FROM messages{}", condition(conditions));
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row(params_from_iter(values), |row| row.get(0))?)
}

fn condition(conditions: &[&str]) -> String {
    if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    }
}

pub(super) fn message(
    connection: &Connection,
    id: i64,
) -> Result<Option<StoredMessage>, StoreError> {
    let sql = format!(
        "SELECT {SUMMARY}, raw, ack, findings, warnings, digest FROM messages WHERE id = ?1"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement
        .query_row([id], |row| {
            let notes = |index: usize| -> rusqlite::Result<Vec<Note>> {
                let Some(json) = row.get_ref(index)?.as_str_or_null()? else {
                    return Ok(Vec::new());
                };
                serde_json::from_str(json).map_err(|error| {
                    let kind = rusqlite::types::Type::Text;
                    rusqlite::Error::FromSqlConversionFailure(index, kind, error.into())
                })
            };
            let stored = StoredMessage {
                summary: summary(row)?,
                raw: row.get(19)?,
                ack: row.get(20)?,
                findings: notes(21)?,
                warnings: notes(22)?,
            };
            Ok((stored, row.get::<_, Vec<u8>>(23)?))
        })
        .optional()?;
    let Some((stored, kept)) = found else {
        return Ok(None);
    };
    if digest(&stored.raw).as_slice() != kept {
        return Err(StoreError::Corrupt { id });
    }
    Ok(Some(stored))
}

pub(super) fn message_types(connection: &Connection) -> Result<Vec<(String, u64)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT message_code, sum(messages) FROM message_counts GROUP BY message_code \
         ORDER BY message_code",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
