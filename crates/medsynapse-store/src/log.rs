//! [`Replayable`]: the log of a store, from which all else can be made again.

use std::path::Path;

use chrono::{DateTime, Utc};
use medsynapse::AccessionNumber;

use crate::action::{ActionKind, OrderStep, OutboxCommand, Procedure, ProcedureState};
use crate::error::StoreError;
use crate::record::Transport;
use crate::sqlite::{Comparison, Rebuild};
use crate::work::Delivery;

/// What came in, what was done and what was delivered, in order, from one snapshot, beside what
/// was kept of it.
pub trait Replayable {
    /// The next entries with a larger number, at most `limit`.
    ///
    /// # Errors
    ///
    /// The database cannot be read, or a message does not match its checksum or digest.
    fn after(&self, id: i64, limit: u32) -> Result<Vec<(i64, LogEntry)>, StoreError>;

    /// An empty database in a directory that must not hold one yet, for what the log leads to.
    ///
    /// # Errors
    ///
    /// A database is there already, or the directory cannot be written.
    fn rebuild(&self, into: &Path) -> Result<Rebuild, StoreError>;

    /// Compares every row that was made with the one that was kept.
    ///
    /// # Errors
    ///
    /// One of the databases cannot be read.
    fn compare(&self, rebuild: &Rebuild) -> Result<Comparison, StoreError>;
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

/// The action of a row: its name, its accession number, its detail and its data set.
pub(crate) fn action_kind(
    name: &str,
    accession_number: Option<&str>,
    detail: &str,
    body: Option<Vec<u8>>,
) -> Option<ActionKind> {
    let accession_number = accession_number.and_then(|text| AccessionNumber::try_from(text).ok());
    let detail: serde_json::Value = serde_json::from_str(detail).ok()?;
    if let Some(word) = name.strip_prefix("procedure-") {
        return procedure(word, &detail, body.unwrap_or_default());
    }
    if let Some(word) = name.strip_prefix("outbox-") {
        return Some(ActionKind::Outbox {
            message_id: detail.as_i64()?,
            command: OutboxCommand::from_name(word)?,
        });
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
        OrderStep::Final(serde_json::from_value(detail).ok()?),
        OrderStep::Printed,
    ];
    let step = steps.into_iter().find(|step| step.as_str() == name);
    accession_number
        .zip(step)
        .map(|(accession_number, step)| ActionKind::Order {
            accession_number,
            step,
        })
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
