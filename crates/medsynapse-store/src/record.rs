//! What goes into the store and what comes out.

use chrono::{DateTime, Utc};
use hl7_message::{AckCode, Charset, Location, Reply};
use medsynapse::{
    AccessionNumber, Attribute, Change, Effect, Facts, Order, OrderState, PatientId, Rejection,
    Report, ReportStatus, Warning,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::action::ProcedureState;
use crate::event::Event;
use crate::outbox::OutboxItem;
use crate::query::Direction;

/// How a message came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// MLLP over TCP.
    Mllp,
    /// The REST API.
    Http,
}

impl Transport {
    /// Its name in databases and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mllp => "mllp",
            Self::Http => "http",
        }
    }
}

/// A message on its way into the store.
#[derive(Debug, Clone)]
pub struct Received {
    /// The bytes, as they came.
    pub raw: Vec<u8>,
    /// When.
    pub received_at: DateTime<Utc>,
    /// How.
    pub transport: Transport,
    /// From where: an address.
    pub peer: String,
    /// What it is about.
    pub facts: Facts,
    /// What it asks for, or why it is refused.
    pub outcome: Result<Change, Rejection>,
    /// What is odd about it.
    pub warnings: Vec<Warning>,
    /// The answer, but for code and text.
    pub reply: Reply,
    /// Whether a Message Control ID may come again with other content.
    pub accept_reused_control_id: bool,
    /// Whether a refusal carries ERR.
    pub send_err: bool,
    /// What text is written in where MSH-18 is empty.
    pub default_charset: Charset,
}

impl Received {
    /// SHA-256 of the bytes.
    pub fn digest(&self) -> [u8; 32] {
        digest(&self.raw)
    }
}

/// SHA-256 of a message.
pub(crate) fn digest(raw: &[u8]) -> [u8; 32] {
    Sha256::digest(raw).into()
}

/// A message that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its number in the message log; for a resent message that of the first one.
    pub message_id: i64,
    /// MSA-1 of the answer.
    pub code: AckCode,
    /// MSA-3 of the answer.
    pub text: String,
    /// The answer.
    pub ack: Vec<u8>,
    /// Whether it was here before.
    pub duplicate: bool,
    /// OBR-2.1, if it has one.
    pub accession_number: Option<String>,
    /// What became of it; `None` for a refused or a resent one.
    pub effect: Option<Effect>,
    /// What there is to tell; nothing for a resent one.
    pub events: Vec<Event>,
}

/// A finding or a warning as it is kept with its message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The number of table 0357, or the name of the warning.
    pub code: String,
    /// The place in HL7 terms; empty for a line that has no name.
    pub path: String,
    /// The place in bytes, where it is there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offset: Option<usize>,
    /// What is wrong, in a sentence.
    pub message: String,
}

impl Note {
    pub(crate) fn warning(code: &str, location: Option<Location>, message: &str) -> Self {
        Self {
            code: code.into(),
            path: location.map(|at| at.to_string()).unwrap_or_default(),
            offset: None,
            message: message.into(),
        }
    }

    pub(crate) fn of_rejection(rejection: &Rejection) -> Vec<Self> {
        let note = |finding: &medsynapse::Finding| Self {
            code: finding.condition.code().to_string(),
            path: finding.location.to_string(),
            offset: finding.offset,
            message: finding.message.clone(),
        };
        rejection.findings.iter().map(note).collect()
    }

    pub(crate) fn of_warnings(warnings: &[Warning]) -> Vec<Self> {
        warnings
            .iter()
            .map(|w| Self::warning(w.code, w.location, &w.message))
            .collect()
    }
}

/// A message in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageSummary {
    /// Its number in the message log, from 1.
    pub id: i64,
    /// Whether it came in or went out.
    pub direction: Direction,
    /// When it came, or was written.
    pub received_at: DateTime<Utc>,
    /// How it came or goes: `mllp` or `http`.
    pub transport: String,
    /// From where; for what goes out, the name of the destination.
    pub peer: String,
    /// MSH-3
    pub sending_application: String,
    /// MSH-4
    pub sending_facility: String,
    /// MSH-7, as it came.
    pub sent_at: String,
    /// MSH-9.1; empty where the bytes have no header.
    pub message_code: String,
    /// MSH-9.2
    pub trigger_event: String,
    /// MSH-10
    pub control_id: String,
    /// OBR-2.1
    pub accession_number: Option<String>,
    /// PID-3.1
    pub patient_id: Option<String>,
    /// PID-5
    pub patient_name: Option<String>,
    /// MSA-1 of the answer; empty while a message that goes out has none.
    pub ack_code: String,
    /// MSA-3 of the answer.
    pub ack_text: String,
    /// How many warnings it has.
    pub warning_count: u32,
    /// How often it was sent again.
    pub retransmissions: u32,
    /// How long it is in bytes.
    pub size: u64,
}

/// A message with everything that is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// What lists show.
    pub summary: MessageSummary,
    /// The bytes, as they came.
    pub raw: Vec<u8>,
    /// The answer.
    pub ack: Vec<u8>,
    /// Why it was refused.
    pub findings: Vec<Note>,
    /// What is odd about it.
    pub warnings: Vec<Note>,
}

/// An order with its history in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRecord {
    /// Its number; an order registered later has a larger one.
    pub id: i64,
    /// The order.
    pub order: Order,
    /// How far its report has come.
    pub report_status: Option<ReportStatus>,
    /// Whether the RIS was told that the study is completed.
    pub completion_told: bool,
    /// When the first object of its study was seen.
    pub study_seen_at: Option<DateTime<Utc>>,
    /// MSH-3 of the message that brought its segments.
    pub sending_application: String,
    /// MSH-4 of the message that brought its segments.
    pub sending_facility: String,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// The message that registered it.
    pub created_by: i64,
    /// The entry of the log that last changed it: a message or an action.
    pub updated_by: i64,
}

/// A report with its history in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRecord {
    /// The report.
    pub report: Report,
    /// Which version of it this is, from 1.
    pub version: u32,
    /// When this version came.
    pub updated_at: DateTime<Utc>,
    /// The entry of the log that brought it: a message or an action.
    pub message_id: i64,
}

/// What is left of an order that was cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelledOrder {
    /// Its accession number.
    pub accession_number: String,
    /// Whose it was.
    pub patient_id: String,
    /// Its study; an order that comes again under the accession number has the same.
    pub study_instance_uid: String,
    /// Where it was in its life.
    pub state: OrderState,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When it was cancelled.
    pub cancelled_at: DateTime<Utc>,
    /// The message that registered it.
    pub created_by: i64,
    /// The message that cancelled it.
    pub cancelled_by: i64,
}

/// An action as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionRecord {
    /// Its number in the log.
    pub entry_id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// What: `completed`, `final`, `outbox-retry`.
    pub kind: String,
    /// The order that it is about.
    pub accession_number: Option<String>,
    /// What became of it: the name of the outcome.
    pub outcome: String,
}

/// What an entry of the log changed of a patient or of an order.
#[derive(Clone, PartialEq, Eq)]
pub struct ChangeRecord {
    /// The entry: a message or an action.
    pub entry_id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Whose.
    pub patient_id: String,
    /// The order; `None` for what is known of the patient.
    pub accession_number: Option<String>,
    /// The id that this one went to.
    pub merged_into: Option<String>,
    /// The fields that changed.
    pub fields: Vec<FieldChange>,
}

impl std::fmt::Debug for ChangeRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeRecord")
            .field("entry_id", &self.entry_id)
            .field("accession_number", &self.accession_number)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// A field before and after.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange(
    /// The name of its column, for instance `patient_name`.
    pub String,
    /// Before.
    pub Option<String>,
    /// After.
    pub Option<String>,
);

impl std::fmt::Debug for FieldChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FieldChange({})", self.0)
    }
}

/// Everything that happened to an order, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderHistory {
    /// The order as it is.
    pub order: Option<OrderRecord>,
    /// What is left of it, if it was cancelled.
    pub cancelled: Option<CancelledOrder>,
    /// Its messages, in and out.
    pub messages: Vec<MessageSummary>,
    /// What was done to it.
    pub actions: Vec<ActionRecord>,
    /// Which fields changed.
    pub changes: Vec<ChangeRecord>,
    /// What was sent about it.
    pub outbox: Vec<OutboxItem>,
    /// The versions of its report.
    pub reports: Vec<ReportRecord>,
}

/// A patient as the broker knows them.
#[derive(Clone, PartialEq, Eq)]
pub struct PatientRecord {
    /// PID-3.1
    pub patient_id: String,
    /// PID-5
    pub name: Option<String>,
    /// PID-8
    pub sex: Option<String>,
    /// PID-7
    pub birth_date: Option<String>,
    /// The id that this one went to.
    pub merged_into: Option<String>,
    /// How many orders there are.
    pub orders: u64,
    /// When anything of this last changed.
    pub updated_at: DateTime<Utc>,
    /// The entry of the log that did it.
    pub updated_by: i64,
}

impl std::fmt::Debug for PatientRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PatientRecord")
            .field("orders", &self.orders)
            .finish_non_exhaustive()
    }
}

/// A patient with everything that changed, oldest first, and the ids that went to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientHistory {
    /// The patient.
    pub patient: PatientRecord,
    /// What changed.
    pub changes: Vec<ChangeRecord>,
    /// The ids whose orders came here.
    pub merged: Vec<PatientId>,
}

/// A performed procedure step as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct ProcedureRecord {
    /// Its SOP Instance UID.
    pub sop_instance_uid: String,
    /// Its state.
    pub state: ProcedureState,
    /// The AE title of the modality.
    pub station_ae_title: String,
    /// The study that it belongs to.
    pub study_instance_uid: Option<String>,
    /// The orders that it is about.
    pub accession_numbers: Vec<String>,
    /// The data set as it is.
    pub dataset: Vec<u8>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl std::fmt::Debug for ProcedureRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcedureRecord")
            .field("sop_instance_uid", &self.sop_instance_uid)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// An order on its way to a worklist, borrowed from the row that is being read.
#[derive(Clone, Copy)]
pub struct ScheduledStep<'a> {
    pub(crate) values: &'a [Option<&'a str>; Attribute::COUNT],
    pub(crate) state: OrderState,
    pub(crate) updated_by: i64,
}

impl<'a> ScheduledStep<'a> {
    /// What is known of an attribute.
    pub fn get(&self, attribute: Attribute) -> Option<&'a str> {
        self.values.get(attribute as usize).copied().flatten()
    }

    /// Where the order is in its life.
    pub const fn state(&self) -> OrderState {
        self.state
    }

    /// The entry of the log that last changed the order.
    pub const fn updated_by(&self) -> i64 {
        self.updated_by
    }

    /// The order that it is of, if its row is whole.
    pub fn accession_number(&self) -> Option<AccessionNumber> {
        AccessionNumber::try_from(self.get(Attribute::AccessionNumber)?).ok()
    }
}

impl std::fmt::Debug for ScheduledStep<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScheduledStep")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
