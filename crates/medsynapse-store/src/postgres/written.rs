//! [`Written`]: the rows that a batch writes, each once.

use std::collections::{BTreeMap, BTreeSet};

use medsynapse::Report;

use crate::outbox::OutboxState;
use crate::query::Direction;

/// A message as it is written.
pub(super) struct MessageOut {
    pub(super) id: i64,
    pub(super) direction: Direction,
    pub(super) received_at: i64,
    pub(super) transport: String,
    pub(super) peer: String,
    pub(super) sending_application: String,
    pub(super) sending_facility: String,
    pub(super) sent_at: String,
    pub(super) message_code: String,
    pub(super) trigger_event: String,
    pub(super) control_id: String,
    pub(super) version: String,
    pub(super) accession_number: Option<String>,
    pub(super) patient_id: Option<String>,
    pub(super) patient_name: Option<String>,
    pub(super) ack_code: String,
    pub(super) ack_text: String,
    pub(super) effect: String,
    pub(super) warning_count: i32,
    pub(super) retransmissions: i32,
    pub(super) digest: [u8; 32],
    pub(super) findings: Option<String>,
    pub(super) warnings: Option<String>,
    pub(super) ack: Vec<u8>,
    pub(super) raw: Vec<u8>,
}

/// The answer to a message that was sent before.
pub(super) struct AnswerOut {
    pub(super) id: i64,
    pub(super) code: String,
    pub(super) text: String,
    pub(super) answer: Vec<u8>,
}

/// What stays of an order that was cancelled.
pub(super) struct CancelledOut {
    pub(super) patient_id: String,
    pub(super) study_instance_uid: String,
    pub(super) state: &'static str,
    pub(super) created_at: i64,
    pub(super) cancelled_at: i64,
    pub(super) created_by: i64,
    pub(super) cancelled_by: i64,
}

/// A version of a report as it is written.
pub(super) struct ReportOut {
    pub(super) report: Report,
    pub(super) patient_id: String,
    pub(super) version: i32,
    pub(super) at: i64,
    pub(super) by: i64,
}

/// What changed, as it is written.
pub(super) struct ChangeOut {
    pub(super) entry_id: i64,
    pub(super) at: i64,
    pub(super) patient_id: String,
    pub(super) accession_number: Option<String>,
    pub(super) merged_into: Option<String>,
    pub(super) fields: String,
}

/// An action as it is written.
pub(super) struct ActionOut {
    pub(super) id: i64,
    pub(super) at: i64,
    pub(super) actor: String,
    pub(super) kind: String,
    pub(super) accession_number: Option<String>,
    pub(super) outcome: String,
    pub(super) idempotency_key: Option<String>,
    pub(super) detail: String,
    pub(super) body: Option<Vec<u8>>,
    pub(super) events: String,
    pub(super) digest: [u8; 32],
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutboxFull {
    pub(super) message_id: i64,
    pub(super) destination: String,
    pub(super) state: OutboxState,
    pub(super) accession_number: String,
    pub(super) study_status: String,
    pub(super) with_text: bool,
    pub(super) caused_by: i64,
    pub(super) queued_at: i64,
    pub(super) settled_at: Option<i64>,
    pub(super) tries: u32,
    pub(super) last_try_at: Option<i64>,
    pub(super) last_reason: Option<String>,
    pub(super) position: i64,
}

/// A try as it is written.
pub(super) struct DeliveryOut {
    pub(super) id: i64,
    pub(super) message_id: i64,
    pub(super) at: i64,
    pub(super) took: i64,
    pub(super) outcome: &'static str,
    pub(super) reason: String,
    pub(super) answer: Option<Vec<u8>>,
}

/// What is to be written, each row once; what has a key is in the order of its keys.
#[derive(Default)]
pub(super) struct Written {
    pub(super) messages: Vec<MessageOut>,
    pub(super) resent: BTreeMap<i64, i32>,
    pub(super) answers: Vec<AnswerOut>,
    pub(super) counts: BTreeMap<(&'static str, String), i64>,
    pub(super) orders: BTreeSet<String>,
    pub(super) cancelled: BTreeMap<String, CancelledOut>,
    /// Which id the reports of which go to.
    pub(super) moved_reports: BTreeMap<String, String>,
    pub(super) reports: Vec<ReportOut>,
    /// When and by which entry.
    pub(super) patients: BTreeMap<String, (i64, i64)>,
    pub(super) changes: Vec<ChangeOut>,
    pub(super) actions: Vec<ActionOut>,
    pub(super) outbox: BTreeSet<i64>,
    pub(super) deliveries: Vec<DeliveryOut>,
    pub(super) procedures: BTreeSet<String>,
}
