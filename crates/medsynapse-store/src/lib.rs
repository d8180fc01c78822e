#![doc = include_str!("../README.md")]

mod access;
mod error;
mod query;
mod record;
mod sqlite;

pub use access::{
    AccessStore, FirstAnswer, KeyRecord, Ticket, TrailCheck, TrailEntry, TrailKey, TrailPage,
    TrailRecord,
};
pub use error::StoreError;
pub use query::{Direction, MessageOrder, MessageQuery, Page};
pub use record::{
    Applied, MessageSummary, Note, OrderRecord, Received, ReportRecord, StoredMessage, Transport,
};
pub use sqlite::{BackupSummary, SqliteOptions, SqliteStore, backup};

use medsynapse::{AccessionNumber, PatientId};

/// What survives a restart.
///
/// The methods block; call them from a thread that may. One caller applies at
/// a time, any number read.
pub trait Store: Send + Sync + 'static {
    /// Applies messages in order and commits them together.
    ///
    /// Gives one result for each, in order. What is `Ok` is on disk, its
    /// acknowledgement included; what is `Err` left no trace.
    fn apply(&self, batch: &[Received]) -> Vec<Result<Applied, StoreError>>;

    /// The messages that a query names.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    fn messages(&self, query: &MessageQuery) -> Result<Page<MessageSummary>, StoreError>;

    /// One message with its acknowledgement.
    ///
    /// # Errors
    ///
    /// The database cannot be read, or the message does not match its digest.
    fn message(&self, id: i64) -> Result<Option<StoredMessage>, StoreError>;

    /// How many messages there are of each message code (MSH-9.1), by name.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    fn message_types(&self) -> Result<Vec<(String, u64)>, StoreError>;

    /// One order.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    fn order(&self, accession_number: &AccessionNumber) -> Result<Option<OrderRecord>, StoreError>;

    /// The orders of a patient, by accession number.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    fn orders_of(&self, patient_id: &PatientId) -> Result<Vec<OrderRecord>, StoreError>;

    /// The report of a study.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    fn report(
        &self,
        accession_number: &AccessionNumber,
    ) -> Result<Option<ReportRecord>, StoreError>;

    /// How many orders there are.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    fn order_count(&self) -> Result<u64, StoreError>;
}
