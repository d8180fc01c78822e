//! The first answer to a request that may come again.

use chrono::{DateTime, TimeDelta, Utc};

use super::AccessStore;
use crate::error::StoreError;

/// How long an answer is kept.
pub(crate) const KEPT: TimeDelta = TimeDelta::hours(24);

/// What was answered the first time.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Header lines that belong to it, `name: value`.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for FirstAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FirstAnswer({}, {} bytes)", self.status, self.body.len())
    }
}

/// Whether a request may be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ticket {
    /// It is new: carry it out, then settle it.
    New,
    /// It was answered.
    Answered(FirstAnswer),
    /// It is being carried out, or the server went down over it.
    Unsettled,
    /// The key came with another request before.
    OtherRequest,
}

/// What there is to say of a request whose key is known.
pub(crate) fn ticket(request: &[u8; 32], known: &[u8], answer: Option<FirstAnswer>) -> Ticket {
    match answer {
        _ if known != request => Ticket::OtherRequest,
        None => Ticket::Unsettled,
        Some(answer) => Ticket::Answered(answer),
    }
}

/// Where answers are kept; the methods are those of [`AccessStore`].
pub(crate) trait Answers {
    fn begin(
        &self,
        caller: &str,
        key: &str,
        request: &[u8; 32],
        now: DateTime<Utc>,
    ) -> Result<Ticket, StoreError>;
    fn settle(&self, caller: &str, key: &str, answer: &FirstAnswer) -> Result<(), StoreError>;
    fn forget(&self, caller: &str, key: &str) -> Result<(), StoreError>;
}

impl AccessStore {
    /// Whether the request of `caller` with this key may be carried out; `request` is a digest of
    /// all that it asks for. A new one is on disk as unsettled when this returns, and of any
    /// number of callers, on any number of servers, one is told that it is new.
    ///
    /// # Errors
    ///
    /// The database cannot be written.
    pub fn begin(
        &self,
        caller: &str,
        key: &str,
        request: &[u8; 32],
        now: DateTime<Utc>,
    ) -> Result<Ticket, StoreError> {
        self.home.begin(caller, key, request, now)
    }

    /// Keeps the answer to a request that was new.
    ///
    /// # Errors
    ///
    /// The database cannot be written.
    pub fn settle(&self, caller: &str, key: &str, answer: &FirstAnswer) -> Result<(), StoreError> {
        self.home.settle(caller, key, answer)
    }

    /// Forgets a request that had no effect, so that it can come again.
    ///
    /// # Errors
    ///
    /// The database cannot be written.
    pub fn forget(&self, caller: &str, key: &str) -> Result<(), StoreError> {
        self.home.forget(caller, key)
    }
}
