//! What waits to be sent, and what was.

use chrono::{DateTime, Utc};
use medsynapse::StudyStatus;

use crate::query::Paging;
use crate::work::DeliveryOutcome;

/// Where a message of the outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutboxState {
    /// Waits for its turn.
    Queued,
    /// Passed over until somebody releases it.
    Held,
    /// Answered with AA.
    Sent,
    /// Answered with AE or AR.
    Refused,
    /// Taken out by a person.
    Cancelled,
}

impl OutboxState {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Held,
        Self::Sent,
        Self::Refused,
        Self::Cancelled,
    ];

    /// Its name in databases and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Held => "held",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A message of the outbox in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxItem {
    /// Its number in the message log.
    pub message_id: i64,
    /// To whom.
    pub destination: String,
    /// Where it is.
    pub state: OutboxState,
    /// The order that it is about.
    pub accession_number: String,
    /// OBX-11.
    pub study_status: StudyStatus,
    /// Whether it carries the text of the report.
    pub with_text: bool,
    /// The action that caused it.
    pub caused_by: i64,
    /// MSH-10
    pub control_id: String,
    /// When it was queued.
    pub queued_at: DateTime<Utc>,
    /// When it left the queue.
    pub settled_at: Option<DateTime<Utc>>,
    /// How often it was tried.
    pub tries: u32,
    /// When it was tried last.
    pub last_try_at: Option<DateTime<Utc>>,
    /// What became of the last try: MSA-1 and MSA-3, or the name of the failure.
    pub last_reason: Option<String>,
}

/// One try.
#[derive(Clone, PartialEq, Eq)]
pub struct Try {
    /// Its number in the log.
    pub entry_id: i64,
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took, in microseconds.
    pub took_micros: u64,
    /// How it ended.
    pub outcome: DeliveryOutcome,
    /// MSA-1 and MSA-3, or the name of the failure.
    pub reason: String,
    /// The answer as it came.
    pub answer: Option<Vec<u8>>,
}

impl std::fmt::Debug for Try {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Try")
            .field("entry_id", &self.entry_id)
            .field("outcome", &self.outcome)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// A message of the outbox with its tries, the last first, at most 1,000 of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// What lists show.
    pub item: OutboxItem,
    /// The tries.
    pub tries: Vec<Try>,
}

/// The message that a destination gets next.
#[derive(Clone, PartialEq, Eq)]
pub struct Next {
    /// Its number in the message log.
    pub message_id: i64,
    /// How often it was tried.
    pub tries: u32,
    /// The bytes.
    pub raw: Vec<u8>,
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Next")
            .field("message_id", &self.message_id)
            .field("tries", &self.tries)
            .finish_non_exhaustive()
    }
}

/// Which messages of the outbox to list; what is `None` does not restrict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutboxQuery {
    /// To whom.
    pub destination: Option<String>,
    /// In which state.
    pub state: Option<OutboxState>,
    /// About which order.
    pub accession_number: Option<String>,
    /// Caused by which action.
    pub caused_by: Option<i64>,
    /// Which part of the list, newest first.
    pub paging: Paging,
}

/// How many messages a destination has, by state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueDepth {
    /// Of which destination.
    pub destination: String,
    /// How many wait.
    pub queued: u64,
    /// Since when the first of them waits.
    pub oldest_queued_at: Option<DateTime<Utc>>,
    /// How many are held.
    pub held: u64,
    /// How many were refused and not sent again.
    pub refused: u64,
}
