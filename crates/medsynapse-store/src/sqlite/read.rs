//! The message log, read on connections of its own.

use std::path::Path;
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::connect_with;
use super::hidden::RAW;
use super::rows::{moment, odd};
use super::tables::{COUNTS, MESSAGES};
use crate::error::StoreError;
use crate::query::{Direction, MessageOrder, MessageQuery, Page};
use crate::record::{MessageSummary, Note, StoredMessage, digest};
use crate::vault::Vault;

/// A few connections that read; a reader waits until one is free.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Mutex<Vec<Connection>>,
    returned: Condvar,
}

impl Readers {
    pub(super) fn open(
        path: &Path,
        count: usize,
        vault: Option<&Arc<Vault>>,
    ) -> Result<Self, StoreError> {
        let idle = (0..count)
            .map(|_| connect_with(path, true, vault))
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

/// The columns of a message, for [`summary`].
pub(super) static SUMMARY: LazyLock<String> = LazyLock::new(|| MESSAGES.select(""));

pub(super) fn summary(row: &Row<'_>) -> rusqlite::Result<MessageSummary> {
    MESSAGES.check(row, 0)?;
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
        ("patient_id = patient_token(?)", &query.patient_id),
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
        "SELECT {} FROM messages{condition} ORDER BY id {ascending} LIMIT ? OFFSET ?",
        *SUMMARY
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), summary)?;
    let items: Vec<MessageSummary> = rows.collect::<Result<_, _>>()?;
    for message in &items {
        let same =
            |asked: &Option<String>, is: Option<&str>| asked.is_none() || asked.as_deref() == is;
        let right = same(&query.message_code, Some(&message.message_code))
            && same(&query.accession_number, message.accession_number.as_deref())
            && same(&query.patient_id, message.patient_id.as_deref())
            && same(&query.control_id, Some(&message.control_id))
            && same(&query.ack_code, Some(&message.ack_code));
        // An index gave out something else than was asked for.
        MESSAGES.unless(right, message.id)?;
    }
    MESSAGES.in_order(&items, |message| message.id, |message| message.id)?;
    Ok(Page { items, total })
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
        return Ok(counts(connection)?
            .iter()
            .filter(|count| {
                query
                    .message_code
                    .as_ref()
                    .is_none_or(|code| *code == count.code)
            })
            .filter(|count| {
                query
                    .direction
                    .is_none_or(|way| way.as_str() == count.direction)
            })
            .map(|count| count.messages)
            .sum());
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
    let sql = format!("SELECT {}, {RAW} FROM messages WHERE id = ?1", *SUMMARY);
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
                raw: row.get(26)?,
                ack: row.get(24)?,
                findings: notes(22)?,
                warnings: notes(23)?,
            };
            Ok((stored, row.get::<_, Vec<u8>>(21)?))
        })
        .optional()?;
    let Some((stored, kept)) = found else {
        return Ok(None);
    };
    if digest(&stored.raw).as_slice() != kept {
        return Err(MESSAGES.damaged(id).into());
    }
    Ok(Some(stored))
}

/// How many messages there are of a code and a direction.
struct Count {
    code: String,
    messages: u64,
    direction: String,
}

fn counts(connection: &Connection) -> Result<Vec<Count>, StoreError> {
    let sql = format!(
        "SELECT {} FROM message_counts ORDER BY message_code, direction",
        COUNTS.select("")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], |row| {
        COUNTS.check(row, 0)?;
        Ok(Count {
            code: row.get(0)?,
            messages: row.get(1)?,
            direction: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn message_types(connection: &Connection) -> Result<Vec<(String, u64)>, StoreError> {
    let mut types: Vec<(String, u64)> = Vec::new();
    for count in counts(connection)? {
        match types.last_mut() {
            Some((code, messages)) if *code == count.code => *messages += count.messages,
            _ => types.push((count.code, count.messages)),
        }
    }
    Ok(types)
}
