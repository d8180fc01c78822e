//! [`LaneSource`]: where a lane gets its messages, and where it says what became of them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use medsynapse_store::{Delivery, Next, Store, StoreError};
use tokio::sync::watch;

use crate::broker::{ActError, Broker};

/// Counts what happens to the outbox, so that a lane wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pulse {
    /// Actions that may have queued something.
    pub queued: u64,
    /// Commands of persons: a lane that waits to try again looks at once.
    pub commands: u64,
}

/// Whether a lane is there to send through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Nobody else could send through it.
    Alone,
    /// It is, with this fence.
    Fence(i64),
    /// Another server has it.
    Elsewhere,
}

/// A queue as a lane sees it. [`Broker`] is one; simulations bring others.
pub trait LaneSource: Send + Sync + 'static {
    /// The message that the destination gets next.
    fn next(
        &self,
        destination: &str,
    ) -> impl Future<Output = Result<Option<Next>, StoreError>> + Send;

    /// Keeps what became of a try; when it returns, that is on disk.
    fn settle(&self, delivery: Delivery) -> impl Future<Output = Result<(), ActError>> + Send;

    /// Changes when something may wait.
    fn pulse(&self) -> watch::Receiver<Pulse>;

    /// Takes the lane of a destination for a while, where several servers could send through it.
    fn take(
        &self,
        _destination: &str,
        _life: Duration,
    ) -> impl Future<Output = Result<Taken, StoreError>> + Send {
        async { Ok(Taken::Alone) }
    }

    /// Keeps it for another while; `false` where another server has taken it.
    fn keep(
        &self,
        _destination: &str,
        _fence: i64,
        _life: Duration,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send {
        async { Ok(true) }
    }

    /// Gives it back.
    fn give(
        &self,
        _destination: &str,
        _fence: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { Ok(()) }
    }
}

/// Asks the store on a thread that may block.
async fn ask<T: Send + 'static>(
    broker: &Broker,
    question: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = Arc::clone(broker.store());
    tokio::task::spawn_blocking(move || question(&*store))
        .await
        .map_err(|error| StoreError::Database(error.to_string()))?
}

impl LaneSource for Broker {
    async fn next(&self, destination: &str) -> Result<Option<Next>, StoreError> {
        let destination = destination.to_owned();
        ask(self, move |store| store.next_outgoing(&destination)).await
    }

    async fn settle(&self, delivery: Delivery) -> Result<(), ActError> {
        Self::settle(self, delivery).await.map(drop)
    }

    fn pulse(&self) -> watch::Receiver<Pulse> {
        self.outbox_changes()
    }

    async fn take(&self, destination: &str, life: Duration) -> Result<Taken, StoreError> {
        let destination = destination.to_owned();
        ask(self, move |store| match store.shared() {
            None => Ok(Taken::Alone),
            Some(shared) => Ok(match shared.take_lane(&destination, life)? {
                Some(fence) => Taken::Fence(fence),
                None => Taken::Elsewhere,
            }),
        })
        .await
    }

    async fn keep(
        &self,
        destination: &str,
        fence: i64,
        life: Duration,
    ) -> Result<bool, StoreError> {
        let destination = destination.to_owned();
        ask(self, move |store| match store.shared() {
            None => Ok(true),
            Some(shared) => shared.keep_lane(&destination, fence, life),
        })
        .await
    }

    async fn give(&self, destination: &str, fence: i64) -> Result<(), StoreError> {
        let destination = destination.to_owned();
        ask(self, move |store| match store.shared() {
            None => Ok(()),
            Some(shared) => shared.give_lane(&destination, fence),
        })
        .await
    }
}
