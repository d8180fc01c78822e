//! [`Work`]: what is committed together, one entry of the log each.

use chrono::{DateTime, Utc};

use crate::action::{Acted, Action};
use crate::event::Event;
use crate::record::{Applied, Received};

/// A piece of work for the writer.
#[derive(Debug, Clone)]
pub enum Work {
    /// A message that came in.
    Message(Box<Received>),
    /// What a person or a modality did.
    Action(Box<Action>),
    /// What became of a message that was sent.
    Delivery(Delivery),
}

impl Work {
    /// How much memory it holds, about.
    pub fn size(&self) -> usize {
        match self {
            Self::Message(received) => received.raw.len(),
            Self::Action(action) => action.size(),
            Self::Delivery(delivery) => delivery.size(),
        }
    }
}

impl From<Received> for Work {
    fn from(received: Received) -> Self {
        Self::Message(Box::new(received))
    }
}

impl From<Action> for Work {
    fn from(action: Action) -> Self {
        Self::Action(Box::new(action))
    }
}

impl From<Delivery> for Work {
    fn from(delivery: Delivery) -> Self {
        Self::Delivery(delivery)
    }
}

/// Work that is on disk, in the form of what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Of [`Work::Message`].
    Message(Applied),
    /// Of [`Work::Action`].
    Action(Acted),
    /// Of [`Work::Delivery`].
    Delivery(Settled),
}

impl Done {
    /// What there is to tell of it, in order.
    pub fn events(&self) -> &[Event] {
        match self {
            Self::Message(applied) => &applied.events,
            Self::Action(acted) => &acted.events,
            Self::Delivery(settled) => &settled.events,
        }
    }

    /// Of a message.
    pub fn message(self) -> Option<Applied> {
        match self {
            Self::Message(applied) => Some(applied),
            Self::Action(_) | Self::Delivery(_) => None,
        }
    }

    /// Of an action.
    pub fn action(self) -> Option<Acted> {
        match self {
            Self::Action(acted) => Some(acted),
            Self::Message(_) | Self::Delivery(_) => None,
        }
    }

    /// Of a delivery.
    pub fn delivery(self) -> Option<Settled> {
        match self {
            Self::Delivery(settled) => Some(settled),
            Self::Message(_) | Self::Action(_) => None,
        }
    }
}

/// One try to deliver a message of the outbox.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which message.
    pub message_id: i64,
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took, in microseconds.
    pub took_micros: u64,
    /// What became of it.
    pub outcome: DeliveryOutcome,
    /// MSA-1 and MSA-3 of the answer, or the name of the failure.
    pub reason: String,
    /// The answer as it came, if one came.
    pub answer: Option<Vec<u8>>,
    /// The fence of the lane that it went through, where several servers have one store: it is
    /// kept only while that is the last one.
    pub fence: Option<i64>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("message_id", &self.message_id)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl Delivery {
    fn size(&self) -> usize {
        self.reason.len() + self.answer.as_ref().map_or(0, Vec::len)
    }
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryOutcome {
    /// AA under the Message Control ID that was sent: it leaves the queue.
    Accepted,
    /// AE or AR under it, or the message cannot be sent at all: it leaves the queue as refused.
    Refused,
    /// Anything else: it stays where it is.
    Failed,
}

impl DeliveryOutcome {
    /// Its name in databases and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Accepted, Self::Refused, Self::Failed]
            .into_iter()
            .find(|outcome| outcome.as_str() == name)
    }
}

/// A try that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Its number in the log; `None` where the outbox holds no such message.
    pub entry_id: Option<i64>,
    /// How many tries the message has had.
    pub tries: u32,
    /// What there is to tell.
    pub events: Vec<Event>,
}
