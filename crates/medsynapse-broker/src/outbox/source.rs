//! [`LaneSource`]: where a lane gets its messages, and where it says what became of them.

use std::future::Future;
use std::sync::Arc;

use medsynapse_store::{Delivery, Next, StoreError};
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
}

impl LaneSource for Broker {
    async fn next(&self, destination: &str) -> Result<Option<Next>, StoreError> {
        let (store, destination) = (Arc::clone(self.store()), destination.to_owned());
        tokio::task::spawn_blocking(move || store.next_outgoing(&destination))
            .await
            .map_err(|error| StoreError::Database(error.to_string()))?
    }

    async fn settle(&self, delivery: Delivery) -> Result<(), ActError> {
        Self::settle(self, delivery).await.map(drop)
    }

    fn pulse(&self) -> watch::Receiver<Pulse> {
        self.outbox_changes()
    }
}
