//! What goes into the store and what comes out.

use chrono::{DateTime, Utc};
use hl7_message::{AckCode, Location, Reply};
use medsynapse::{Change, Effect, Facts, Order, Rejection, Report, Warning};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// How it came: `mllp` or `http`.
    pub transport: String,
    /// From where.
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
    /// MSA-1 of the answer.
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
    /// The order.
    pub order: Order,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When a message last changed it.
    pub updated_at: DateTime<Utc>,
    /// The message that registered it.
    pub created_by: i64,
    /// The message that last changed it.
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
    /// The message that brought it.
    pub message_id: i64,
}
