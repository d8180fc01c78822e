//! [`Log`]: what came in, what was done and what was delivered, in order, from one snapshot.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::hidden::RAW;
use super::rows::{moment, odd};
use super::tables::{ACTIONS, DELIVERIES, MESSAGES};
use super::{Comparison, Rebuild, connect, unlock};
use crate::action::ActionKind;
use crate::error::StoreError;
use crate::log::{LogEntry, LoggedAction, LoggedMessage, Replayable, action_kind};
use crate::record::{Transport, digest};
use crate::vault::{Keys, Vault};
use crate::work::{Delivery, DeliveryOutcome};

static MESSAGE: LazyLock<String> = LazyLock::new(|| {
    let columns = MESSAGES.select("");
    format!("SELECT {columns}, {RAW} FROM messages WHERE id = ?1")
});

static SENT: LazyLock<String> = LazyLock::new(|| format!("{} AND direction = 'out'", *MESSAGE));

static ACTION: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM actions WHERE id = ?1", ACTIONS.select("")));

static DELIVERY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {} FROM deliveries WHERE id = ?1",
        DELIVERIES.select("")
    )
});

/// The log of a data directory as it is when it is opened; a server may use the directory.
#[derive(Debug)]
pub struct Log {
    pub(super) connection: Connection,
    pub(super) vault: Option<Arc<Vault>>,
}

impl Log {
    /// Opens the log of a data directory, with the keys of an encrypted one.
    ///
    /// # Errors
    ///
    /// There is no database, it is of an older version, it cannot be read, or not with these keys.
    pub fn open(directory: &Path, keys: Option<&Keys>) -> Result<Self, StoreError> {
        let path = directory.join("medsynapse.db");
        if !path.exists() {
            return Err(StoreError::File {
                path: path.display().to_string(),
                message: "no database is there".into(),
            });
        }
        let connection = connect(&path, true)?;
        let current: bool = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('messages') WHERE name = 'sealed')",
            [],
            |row| row.get(0),
        )?;
        if !current {
            let text = "it is of an older version; start the server on it, or on a copy, once";
            return Err(StoreError::Migration(text.into()));
        }
        // Until it is dropped: all of it is read from one snapshot.
        connection.execute_batch("BEGIN")?;
        let vault = unlock::for_reading(&connection, keys)?;
        Ok(Self { connection, vault })
    }

    fn message(&self, id: i64) -> Result<LoggedMessage, StoreError> {
        let (message, kept) = self
            .connection
            .prepare_cached(&MESSAGE)?
            .query_row([id], |row| {
                MESSAGES.check(row, 0)?;
                let message = LoggedMessage {
                    raw: row.get(MESSAGES.width())?,
                    ack: row.get(24)?,
                    received_at: moment(row, 1)?,
                    transport: match row.get_ref(2)?.as_str()? {
                        "http" => Transport::Http,
                        _ => Transport::Mllp,
                    },
                    peer: row.get(3)?,
                };
                Ok((message, row.get::<_, Vec<u8>>(21)?))
            })?;
        if digest(&message.raw).as_slice() != kept {
            return Err(MESSAGES.damaged(id).into());
        }
        Ok(message)
    }

    fn action(&self, id: i64) -> Result<LoggedAction, StoreError> {
        let mut action = self
            .connection
            .prepare_cached(&ACTION)?
            .query_row([id], |row| {
                ACTIONS.check(row, 0)?;
                Ok(LoggedAction {
                    at: moment(row, 1)?,
                    actor: row.get(2)?,
                    idempotency_key: row.get(6)?,
                    kind: kind(row)?,
                    sent: Vec::new(),
                })
            })?;
        // What an action sends stands right behind it.
        let mut statement = self.connection.prepare_cached(&SENT)?;
        for id in id + 1.. {
            let sent: Option<(String, Vec<u8>, Vec<u8>)> = statement
                .query_row([id], |row| {
                    MESSAGES.check(row, 0)?;
                    Ok((row.get(3)?, row.get(MESSAGES.width())?, row.get(21)?))
                })
                .optional()?;
            let Some((destination, raw, kept)) = sent else {
                break;
            };
            if digest(&raw).as_slice() != kept {
                return Err(MESSAGES.damaged(id).into());
            }
            action.sent.push((destination, raw));
        }
        Ok(action)
    }

    fn delivery(&self, id: i64) -> Result<Delivery, StoreError> {
        Ok(self
            .connection
            .prepare_cached(&DELIVERY)?
            .query_row([id], |row| {
                DELIVERIES.check(row, 0)?;
                Ok(Delivery {
                    message_id: row.get(1)?,
                    at: moment(row, 2)?,
                    took_micros: row.get(3)?,
                    outcome: DeliveryOutcome::from_name(row.get_ref(4)?.as_str()?)
                        .ok_or_else(|| odd(4, "delivery outcome"))?,
                    reason: row.get(5)?,
                    answer: row.get(6)?,
                    fence: None,
                })
            })?)
    }
}

impl Replayable for Log {
    fn after(&self, id: i64, limit: u32) -> Result<Vec<(i64, LogEntry)>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT * FROM (\
             SELECT * FROM (SELECT id, 0 AS kind FROM messages WHERE id > ?1 AND direction = 'in' ORDER BY id LIMIT ?2) \
             UNION ALL SELECT * FROM (SELECT id, 1 FROM actions WHERE id > ?1 ORDER BY id LIMIT ?2) \
             UNION ALL SELECT * FROM (SELECT id, 2 FROM deliveries WHERE id > ?1 ORDER BY id LIMIT ?2)) \
             ORDER BY id LIMIT ?2",
        )?;
        let found: Vec<(i64, i64)> = statement
            .query_map(params![id, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        found
            .into_iter()
            .map(|(id, kind)| {
                let entry = match kind {
                    0 => LogEntry::Message(self.message(id)?),
                    1 => LogEntry::Action(self.action(id)?),
                    _ => LogEntry::Delivery(self.delivery(id)?),
                };
                Ok((id, entry))
            })
            .collect()
    }

    fn rebuild(&self, into: &Path) -> Result<Rebuild, StoreError> {
        Rebuild::create(into, self.vault.as_ref())
    }

    fn compare(&self, rebuild: &Rebuild) -> Result<Comparison, StoreError> {
        rebuild.compare(&self.connection)
    }
}

/// The action of a row with all its columns.
fn kind(row: &Row<'_>) -> rusqlite::Result<ActionKind> {
    let found = action_kind(
        row.get_ref(3)?.as_str()?,
        row.get_ref(4)?.as_str_or_null()?,
        row.get_ref(7)?.as_str()?,
        row.get(8)?,
    );
    found.ok_or_else(|| odd(3, "action"))
}
