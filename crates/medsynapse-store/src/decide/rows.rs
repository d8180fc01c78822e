//! [`Rows`]: what a decision reads, and what it has written.

use chrono::{DateTime, Utc};
use hl7_message::AckCode;
use medsynapse::{AccessionNumber, PatientId, Report};

use crate::action::ActionOutcome;
use crate::error::StoreError;
use crate::outbox::OutboxState;
use crate::query::Direction;
use crate::record::{FieldChange, Note, OrderRecord, ProcedureRecord, ReportRecord};
use crate::work::Delivery;

/// The entry of the log that does something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) id: i64,
    pub(crate) at: DateTime<Utc>,
}

/// The rows of a store in one transaction.
///
/// What was written is seen by what reads later. The entry of the log is written before the rows
/// that name it.
pub(crate) trait Rows {
    /// The next number of the log.
    fn take_id(&mut self) -> i64;

    /// Whether a message was here before.
    fn known(&mut self, sender: &Sender<'_>) -> Result<Known, StoreError>;
    /// A message came again.
    fn put_resent(&mut self, message_id: i64) -> Result<(), StoreError>;
    fn put_message(&mut self, row: &MessageRow<'_>) -> Result<(), StoreError>;
    /// The answer to a message that was sent; nothing where its row is damaged.
    fn put_answer(
        &mut self,
        message_id: i64,
        code: &str,
        text: &str,
        answer: &[u8],
    ) -> Result<(), StoreError>;

    fn order(
        &mut self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<OrderRecord>, StoreError>;
    /// By accession number.
    fn orders_of(&mut self, patient_id: &PatientId) -> Result<Vec<OrderRecord>, StoreError>;
    /// New (its number is 0) or changed.
    fn put_order(&mut self, record: &OrderRecord) -> Result<(), StoreError>;
    /// The order goes; what has to stay of it stays.
    fn cancel_order(&mut self, record: &OrderRecord, entry: Entry) -> Result<(), StoreError>;
    /// The Study Instance UID of an order that was cancelled.
    fn cancelled_uid(
        &mut self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<String>, StoreError>;

    /// The number that the next version of a report gets, from 1.
    fn next_version(&mut self, accession_number: &AccessionNumber) -> Result<u32, StoreError>;
    /// The report that counts.
    fn report(
        &mut self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<ReportRecord>, StoreError>;
    fn put_report(&mut self, report: &Report, version: u32, entry: Entry)
    -> Result<(), StoreError>;

    fn patient(&mut self, patient_id: &str) -> Result<Option<PatientRow>, StoreError>;
    fn put_patient(
        &mut self,
        patient_id: &str,
        row: &PatientRow,
        entry: Entry,
    ) -> Result<(), StoreError>;
    /// The reports of a patient go to another one.
    fn move_reports(&mut self, from: &PatientId, into: &PatientId) -> Result<(), StoreError>;
    fn put_change(&mut self, row: &ChangeRow<'_>, entry: Entry) -> Result<(), StoreError>;

    /// The action that used this key.
    fn action_of(&mut self, idempotency_key: &str) -> Result<Option<FirstAction>, StoreError>;
    fn put_action(&mut self, row: &ActionRow<'_>) -> Result<(), StoreError>;

    fn outbox(&mut self, message_id: i64) -> Result<Option<Waiting>, StoreError>;
    fn put_outbox(&mut self, row: &OutboxRow<'_>) -> Result<(), StoreError>;
    /// A person moved a message of the outbox.
    fn move_outbox(&mut self, message_id: i64, to: &Moved) -> Result<(), StoreError>;
    /// A try, and where the message is after it.
    fn put_delivery(
        &mut self,
        id: i64,
        delivery: &Delivery,
        state: OutboxState,
        tries: u32,
    ) -> Result<(), StoreError>;

    fn procedure(&mut self, sop_instance_uid: &str) -> Result<Option<ProcedureRow>, StoreError>;
    fn put_procedure(&mut self, row: &ProcedureRow) -> Result<(), StoreError>;
}

/// What a message is known by.
pub(crate) struct Sender<'a> {
    pub(crate) application: &'a str,
    pub(crate) facility: &'a str,
    /// Never empty.
    pub(crate) control_id: &'a str,
    pub(crate) digest: [u8; 32],
}

/// Whether a message was here before.
pub(crate) enum Known {
    /// Its Message Control ID was not.
    New,
    /// Its Message Control ID was, with other content.
    Reused,
    /// It was.
    Before {
        message_id: i64,
        code: AckCode,
        text: String,
    },
}

/// A row of the message log.
pub(crate) struct MessageRow<'a> {
    pub(crate) id: i64,
    pub(crate) direction: Direction,
    pub(crate) received_at: DateTime<Utc>,
    pub(crate) transport: &'a str,
    pub(crate) peer: &'a str,
    pub(crate) sending_application: &'a str,
    pub(crate) sending_facility: &'a str,
    pub(crate) sent_at: &'a str,
    pub(crate) message_code: &'a str,
    pub(crate) trigger_event: &'a str,
    pub(crate) control_id: &'a str,
    pub(crate) version: &'a str,
    pub(crate) accession_number: Option<&'a str>,
    pub(crate) patient_id: Option<&'a str>,
    pub(crate) patient_name: Option<&'a str>,
    pub(crate) ack_code: &'a str,
    pub(crate) ack_text: &'a str,
    pub(crate) effect: &'a str,
    pub(crate) digest: [u8; 32],
    pub(crate) findings: &'a [Note],
    pub(crate) warnings: &'a [Note],
    pub(crate) ack: &'a [u8],
    pub(crate) raw: &'a [u8],
}

/// What is kept of a patient: name, sex, birth date, and the id that this one went to.
pub(crate) type PatientRow = [Option<String>; 4];

/// The names of the columns of a [`PatientRow`].
pub(crate) const PATIENT_COLUMNS: [&str; 4] = ["name", "sex", "birth_date", "merged_into"];

/// What changed of a patient or an order.
pub(crate) struct ChangeRow<'a> {
    pub(crate) patient_id: &'a str,
    pub(crate) accession_number: Option<&'a str>,
    pub(crate) merged_into: Option<&'a str>,
    pub(crate) fields: &'a [FieldChange],
}

/// An action as it is written down.
pub(crate) struct ActionRow<'a> {
    pub(crate) id: i64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) actor: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) accession_number: Option<&'a str>,
    pub(crate) outcome: &'a str,
    pub(crate) idempotency_key: Option<&'a str>,
    pub(crate) detail: &'a str,
    pub(crate) body: Option<&'a [u8]>,
    pub(crate) events: &'a str,
    pub(crate) digest: [u8; 32],
}

/// The action that used a key first.
pub(crate) struct FirstAction {
    pub(crate) entry_id: i64,
    pub(crate) outcome: ActionOutcome,
    pub(crate) digest: [u8; 32],
    /// The messages that it put into the outbox.
    pub(crate) queued: Vec<i64>,
}

/// A message of the outbox, where it is now.
pub(crate) struct Waiting {
    pub(crate) state: OutboxState,
    pub(crate) tries: u32,
    pub(crate) accession_number: String,
}

/// A message of the outbox as it is put there.
pub(crate) struct OutboxRow<'a> {
    pub(crate) message_id: i64,
    pub(crate) destination: &'a str,
    pub(crate) accession_number: &'a str,
    pub(crate) study_status: &'a str,
    pub(crate) with_text: bool,
    pub(crate) caused_by: Entry,
}

/// Where a message of the outbox goes.
pub(crate) struct Moved {
    pub(crate) state: OutboxState,
    /// Its place in the queue, if that is another one now.
    pub(crate) position: Option<i64>,
    pub(crate) settled_at: Option<DateTime<Utc>>,
}

/// A procedure step with the entries of the log that made it.
pub(crate) struct ProcedureRow {
    pub(crate) record: ProcedureRecord,
    pub(crate) created_by: i64,
    pub(crate) updated_by: i64,
}
