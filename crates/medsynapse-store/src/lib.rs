#![doc = include_str!("../README.md")]

mod access;
mod action;
#[cfg(feature = "contract")]
#[expect(clippy::expect_used, reason = "a test suite ends in a panic")]
pub mod contract;
mod decide;
mod error;
mod event;
mod log;
mod outbox;
mod outgoing;
#[cfg(feature = "postgres")]
mod postgres;
mod query;
mod record;
mod shared;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;
mod vault;
mod work;

use std::ops::ControlFlow;

pub use access::{
    AccessStore, FirstAnswer, KeyRecord, Ticket, TrailCheck, TrailEntry, TrailKey, TrailPage,
    TrailRecord,
};
pub use action::{
    Acted, Action, ActionKind, ActionOutcome, FinalReport, OrderStep, OutboxCommand, Procedure,
    ProcedureState,
};
pub use error::StoreError;
pub use event::{Event, EventKind, OrderChange, ReportChange};
pub use log::{LogEntry, LoggedAction, LoggedMessage, Replayable};
pub use outbox::{Next, OutboxEntry, OutboxItem, OutboxQuery, OutboxState, QueueDepth, Try};
pub use outgoing::{DefaultCharset, Destination, Outgoing, OutgoingSettings, Source};
#[cfg(feature = "postgres")]
pub use postgres::{
    CopiedTable, CopyOptions, PostgresOptions, PostgresStore, SharedLog, SharedPurge,
    copy_to_postgres,
};
pub use query::{
    Direction, MessageOrder, MessageQuery, MessageSearch, OrderQuery, Page, Paging, PatientQuery,
    Peer, Slice, StepQuery,
};
pub use record::{
    ActionRecord, Applied, CancelledOrder, ChangeRecord, FieldChange, MessageSummary, Note,
    OrderHistory, OrderRecord, PatientHistory, PatientRecord, ProcedureRecord, Received,
    ReportRecord, ScheduledStep, StoredMessage, Transport,
};
pub use shared::{Heard, Shared};
pub use sqlite::{
    BackupSummary, Comparison, Converted, Difference, Encryption, Log, Purge, Purged, Rebuild,
    SqliteOptions, SqliteStore, backup, check_keys, decrypt, encrypt, encryption, rekey,
};
pub use vault::{Keys, KeysError, VaultError};
pub use work::{Delivery, DeliveryOutcome, Done, Settled, Work};

use medsynapse::{AccessionNumber, PatientId};

/// What survives a restart.
///
/// The methods block; call them from a thread that may. One caller applies at
/// a time, any number read; each call that reads sees one snapshot.
///
/// # Errors
///
/// Whatever reads fails where the database cannot be read.
pub trait Store: Send + Sync + 'static {
    /// Applies work in order and commits it together.
    ///
    /// Gives one result for each, in order and in kind. What is `Ok` is on disk, the
    /// acknowledgement of a message and the messages that an action sends included; what is
    /// `Err` left no trace.
    fn apply(&self, batch: &[Work]) -> Vec<Result<Done, StoreError>>;

    /// As [`apply`](Self::apply); a store that has to wait before it can begin asks for `more`,
    /// which may put further work behind what is there.
    fn apply_with(
        &self,
        batch: &mut Vec<Work>,
        more: &mut dyn FnMut(&mut Vec<Work>),
    ) -> Vec<Result<Done, StoreError>> {
        let _ = more;
        self.apply(batch)
    }

    /// The messages that a query names, with their count.
    fn messages(&self, query: &MessageQuery) -> Result<Page<MessageSummary>, StoreError>;

    /// The messages that a search finds, newest first, a page at a time.
    fn search(&self, search: &MessageSearch) -> Result<Slice<MessageSummary>, StoreError>;

    /// One message with its acknowledgement.
    ///
    /// # Errors
    ///
    /// As above, and a message that does not match its digest.
    fn message(&self, id: i64) -> Result<Option<StoredMessage>, StoreError>;

    /// How many messages there are of each message code (MSH-9.1), by name.
    fn message_types(&self) -> Result<Vec<(String, u64)>, StoreError>;

    /// One order.
    fn order(&self, accession_number: &AccessionNumber) -> Result<Option<OrderRecord>, StoreError>;

    /// The orders of a patient, by accession number.
    fn orders_of(&self, patient_id: &PatientId) -> Result<Vec<OrderRecord>, StoreError>;

    /// The orders that a query names, the one registered last first.
    fn orders(&self, query: &OrderQuery) -> Result<Slice<OrderRecord>, StoreError>;

    /// Everything that happened to an order, also to one that was cancelled; at most 1,000
    /// entries of each sort.
    fn order_history(
        &self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<OrderHistory>, StoreError>;

    /// The orders that a worklist may show (neither completed nor discontinued), by start and
    /// accession number, one at a time from one snapshot.
    ///
    /// `each` should take what it needs and return: while it runs a reader is in use. It ends
    /// the reading with [`ControlFlow::Break`].
    fn scheduled_steps(
        &self,
        query: &StepQuery,
        each: &mut dyn FnMut(&ScheduledStep<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// The report of a study.
    fn report(
        &self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<ReportRecord>, StoreError>;

    /// How many orders there are.
    fn order_count(&self) -> Result<u64, StoreError>;

    /// One patient with their history.
    fn patient(&self, patient_id: &PatientId) -> Result<Option<PatientHistory>, StoreError>;

    /// The patients that a query names, by id.
    fn patients(&self, query: &PatientQuery) -> Result<Slice<PatientRecord, String>, StoreError>;

    /// A performed procedure step.
    fn procedure(&self, sop_instance_uid: &str) -> Result<Option<ProcedureRecord>, StoreError>;

    /// The message that a destination gets next.
    ///
    /// # Errors
    ///
    /// As above, and a message that does not match its digest.
    fn next_outgoing(&self, destination: &str) -> Result<Option<Next>, StoreError>;

    /// The messages of the outbox that a query names, newest first.
    fn outbox(&self, query: &OutboxQuery) -> Result<Slice<OutboxItem>, StoreError>;

    /// One message of the outbox with its tries.
    fn outbox_entry(&self, message_id: i64) -> Result<Option<OutboxEntry>, StoreError>;

    /// How full the queue of each destination is, by name.
    fn queue_depths(&self) -> Result<Vec<QueueDepth>, StoreError>;

    /// What happened after the event of this id, in order. From the last id that was seen one
    /// can always go on; what retention has taken from the log is not told any more.
    fn events_after(&self, id: i64, limit: u32) -> Result<Vec<Event>, StoreError>;

    /// The id of the last event; 0 where nothing has happened.
    fn last_event(&self) -> Result<i64, StoreError>;

    /// What several servers need that have one store at a time; `None` where this server has it
    /// alone.
    fn shared(&self) -> Option<&dyn Shared> {
        None
    }
}
