//! [`Log`]: what came in, what was done and what was delivered, in order, from one snapshot.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use medsynapse::AccessionNumber;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::hidden::RAW;
use super::rows::{moment, odd};
use super::tables::{ACTIONS, DELIVERIES, MESSAGES};
use super::{connect, unlock};
use crate::action::{ActionKind, OrderStep, OutboxCommand, Procedure, ProcedureState};
use crate::error::StoreError;
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

/// An entry of the log. Messages that went out belong to the action that sent them.
#[derive(Debug, Clone)]
pub enum LogEntry {
    /// A message that came in.
    Message(LoggedMessage),
    /// What a person or a modality did.
    Action(LoggedAction),
    /// What became of a message that was sent.
    Delivery(Delivery),
}

/// A message that came in, as far as it is not read from its bytes.
#[derive(Clone)]
pub struct LoggedMessage {
    /// The bytes, as they came.
    pub raw: Vec<u8>,
    /// The answer.
    pub ack: Vec<u8>,
    /// When.
    pub received_at: DateTime<Utc>,
    /// How.
    pub transport: Transport,
    /// From where.
    pub peer: String,
}

impl std::fmt::Debug for LoggedMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoggedMessage")
            .field("bytes", &self.raw.len())
            .finish_non_exhaustive()
    }
}

/// An action with the messages that it sent.
#[derive(Debug, Clone)]
pub struct LoggedAction {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// Under which key.
    pub idempotency_key: Option<String>,
    /// What.
    pub kind: ActionKind,
    /// To whom which bytes went, in order.
    pub sent: Vec<(String, Vec<u8>)>,
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

    /// The next entries with a larger number, at most `limit`.
    ///
    /// # Errors
    ///
    /// The database cannot be read, or a message does not match its checksum.
    pub fn after(&self, id: i64, limit: u32) -> Result<Vec<(i64, LogEntry)>, StoreError> {
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

/// The action of a row with all its columns.
fn kind(row: &Row<'_>) -> rusqlite::Result<ActionKind> {
    let name = row.get_ref(3)?.as_str()?;
    let accession_number = row
        .get_ref(4)?
        .as_str_or_null()?
        .and_then(|text| AccessionNumber::try_from(text).ok());
    let detail: serde_json::Value = serde_json::from_str(row.get_ref(7)?.as_str()?)
        .map_err(|_| odd(7, "detail of an action"))?;
    if let Some(word) = name.strip_prefix("procedure-") {
        let dataset: Option<Vec<u8>> = row.get(8)?;
        return procedure(word, &detail, dataset.unwrap_or_default())
            .ok_or_else(|| odd(5, "procedure step"));
    }
    if let Some(word) = name.strip_prefix("outbox-") {
        let command = OutboxCommand::from_name(word);
        let found = command.zip(detail.as_i64());
        return found
            .map(|(command, message_id)| ActionKind::Outbox {
                message_id,
                command,
            })
            .ok_or_else(|| odd(3, "outbox command"));
    }
    let steps = [
        OrderStep::Arrived,
        OrderStep::Ready,
        OrderStep::Started,
        OrderStep::Completed,
        OrderStep::Discontinued,
        OrderStep::Rescheduled,
        OrderStep::StudyArriving,
        OrderStep::StudyArrived,
        OrderStep::Read,
        OrderStep::Final(serde_json::from_value(detail).map_err(|_| odd(5, "final report"))?),
        OrderStep::Printed,
    ];
    let step = steps.into_iter().find(|step| step.as_str() == name);
    accession_number
        .zip(step)
        .map(|(accession_number, step)| ActionKind::Order {
            accession_number,
            step,
        })
        .ok_or_else(|| odd(3, "order step"))
}

fn procedure(word: &str, detail: &serde_json::Value, dataset: Vec<u8>) -> Option<ActionKind> {
    let text = |name: &str| detail.get(name)?.as_str().map(str::to_owned);
    let switch = |name: &str| detail.get(name).and_then(serde_json::Value::as_bool);
    let accession_numbers = detail
        .get("accession_numbers")?
        .as_array()?
        .iter()
        .map(|number| AccessionNumber::try_from(number.as_str()?).ok())
        .collect::<Option<_>>()?;
    Some(ActionKind::Procedure(Procedure {
        sop_instance_uid: text("sop_instance_uid")?,
        create: switch("create")?,
        state: match word {
            "started" => ProcedureState::InProgress,
            "completed" => ProcedureState::Completed,
            "discontinued" => ProcedureState::Discontinued,
            _ => return None,
        },
        station_ae_title: text("station_ae_title")?,
        study_instance_uid: text("study_instance_uid"),
        accession_numbers,
        dataset,
        reschedule_discontinued: switch("reschedule_discontinued")?,
    }))
}
