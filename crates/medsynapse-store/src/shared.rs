//! [`Shared`]: what a store can do that several servers have at a time.

use std::time::Duration;

use crate::error::StoreError;

/// A store that several servers have at a time.
///
/// Every method blocks.
pub trait Shared: Send + Sync {
    /// Writes something, so that it is known whether the database can be written.
    ///
    /// # Errors
    ///
    /// It cannot.
    fn probe(&self) -> Result<(), StoreError>;

    /// Waits until somebody, perhaps this server, has written something that `seen` does not know,
    /// or `patience` is over, and gives what there is to know then. It is a hint: what was
    /// written is read from the log.
    fn wait(&self, seen: Heard, patience: Duration) -> Heard;

    /// Takes the lane of a destination, if nobody has it any more; gives its fence, which is
    /// larger than any before. The lane is this server's for `life`.
    ///
    /// # Errors
    ///
    /// The database cannot be reached.
    fn take_lane(&self, destination: &str, life: Duration) -> Result<Option<i64>, StoreError>;

    /// Keeps a lane for another `life`; `false` where another server has taken it.
    ///
    /// # Errors
    ///
    /// The database cannot be reached.
    fn keep_lane(&self, destination: &str, fence: i64, life: Duration) -> Result<bool, StoreError>;

    /// Gives a lane back, so that another server takes it at once.
    ///
    /// # Errors
    ///
    /// The database cannot be reached.
    fn give_lane(&self, destination: &str, fence: i64) -> Result<(), StoreError>;
}

/// What was heard of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// Counts what was heard.
    pub count: u64,
    /// Counts what may have put something into the outbox.
    pub queued: u64,
    /// Counts what persons did to the outbox.
    pub commands: u64,
    /// The id of the last event that was heard of; there may be later ones.
    pub last_event: i64,
}
