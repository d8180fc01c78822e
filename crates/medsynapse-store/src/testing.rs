//! [`Failing`]: a store that fails when it is told to, and [`reseal`], for tests.

#[cfg(feature = "postgres")]
mod cluster;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use medsynapse::{AccessionNumber, PatientId};

use crate::{
    Done, Event, MessageQuery, MessageSearch, MessageSummary, Next, OrderHistory, OrderQuery,
    OrderRecord, OutboxEntry, OutboxItem, OutboxQuery, Page, PatientHistory, PatientQuery,
    PatientRecord, ProcedureRecord, QueueDepth, ReportRecord, ScheduledStep, Slice, StepQuery,
    Store, StoreError, StoredMessage, Work,
};

#[cfg(feature = "postgres")]
pub use cluster::{Cluster, ClusterOptions};

/// Makes every checksum of the database in a data directory anew: for a test that changed rows
/// by hand and means them to be so.
///
/// # Errors
///
/// The database cannot be written.
pub fn reseal(directory: &Path) -> Result<(), StoreError> {
    let path = directory.join("medsynapse.db");
    Ok(crate::sqlite::reseal(&crate::sqlite::connect(
        &path, false,
    )?)?)
}

/// What a [`Failing`] store is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`Store::apply`].
    Apply,
    /// What reads, by the name of the method.
    Read(&'static str),
}

/// A store in front of another one: before each call it asks whether the call is to fail.
pub struct Failing<F> {
    store: Arc<dyn Store>,
    fails: F,
}

impl<F> std::fmt::Debug for Failing<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Failing")
    }
}

impl<F> Failing<F>
where
    F: Fn(Call) -> Option<StoreError> + Send + Sync + 'static,
{
    /// In front of `store`; `fails` says which calls fail, and how.
    pub fn new(store: Arc<dyn Store>, fails: F) -> Self {
        Self { store, fails }
    }

    fn read(&self, method: &'static str) -> Result<&dyn Store, StoreError> {
        match (self.fails)(Call::Read(method)) {
            Some(error) => Err(error),
            None => Ok(&*self.store),
        }
    }
}

impl<F> Store for Failing<F>
where
    F: Fn(Call) -> Option<StoreError> + Send + Sync + 'static,
{
    fn apply(&self, batch: &[Work]) -> Vec<Result<Done, StoreError>> {
        match (self.fails)(Call::Apply) {
            Some(error) => batch.iter().map(|_| Err(error.clone())).collect(),
            None => self.store.apply(batch),
        }
    }

    fn messages(&self, query: &MessageQuery) -> Result<Page<MessageSummary>, StoreError> {
        self.read("messages")?.messages(query)
    }

    fn search(&self, search: &MessageSearch) -> Result<Slice<MessageSummary>, StoreError> {
        self.read("search")?.search(search)
    }

    fn message(&self, id: i64) -> Result<Option<StoredMessage>, StoreError> {
        self.read("message")?.message(id)
    }

    fn message_types(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.read("message_types")?.message_types()
    }

    fn order(&self, id: &AccessionNumber) -> Result<Option<OrderRecord>, StoreError> {
        self.read("order")?.order(id)
    }

    fn orders_of(&self, id: &PatientId) -> Result<Vec<OrderRecord>, StoreError> {
        self.read("orders_of")?.orders_of(id)
    }

    fn orders(&self, query: &OrderQuery) -> Result<Slice<OrderRecord>, StoreError> {
        self.read("orders")?.orders(query)
    }

    fn order_history(&self, id: &AccessionNumber) -> Result<Option<OrderHistory>, StoreError> {
        self.read("order_history")?.order_history(id)
    }

    fn scheduled_steps(
        &self,
        query: &StepQuery,
        each: &mut dyn FnMut(&ScheduledStep<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.read("scheduled_steps")?.scheduled_steps(query, each)
    }

    fn report(&self, id: &AccessionNumber) -> Result<Option<ReportRecord>, StoreError> {
        self.read("report")?.report(id)
    }

    fn order_count(&self) -> Result<u64, StoreError> {
        self.read("order_count")?.order_count()
    }

    fn patient(&self, id: &PatientId) -> Result<Option<PatientHistory>, StoreError> {
        self.read("patient")?.patient(id)
    }

    fn patients(&self, query: &PatientQuery) -> Result<Slice<PatientRecord, String>, StoreError> {
        self.read("patients")?.patients(query)
    }

    fn procedure(&self, uid: &str) -> Result<Option<ProcedureRecord>, StoreError> {
        self.read("procedure")?.procedure(uid)
    }

    fn next_outgoing(&self, destination: &str) -> Result<Option<Next>, StoreError> {
        self.read("next_outgoing")?.next_outgoing(destination)
    }

    fn outbox(&self, query: &OutboxQuery) -> Result<Slice<OutboxItem>, StoreError> {
        self.read("outbox")?.outbox(query)
    }

    fn outbox_entry(&self, message_id: i64) -> Result<Option<OutboxEntry>, StoreError> {
        self.read("outbox_entry")?.outbox_entry(message_id)
    }

    fn queue_depths(&self) -> Result<Vec<QueueDepth>, StoreError> {
        self.read("queue_depths")?.queue_depths()
    }

    fn events_after(&self, id: i64, limit: u32) -> Result<Vec<Event>, StoreError> {
        self.read("events_after")?.events_after(id, limit)
    }

    fn last_event(&self) -> Result<i64, StoreError> {
        self.read("last_event")?.last_event()
    }

    fn shared(&self) -> Option<&dyn crate::Shared> {
        self.store.shared()
    }
}
