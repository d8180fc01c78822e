//! [`Event`]: what happened, told after it is on disk.

use chrono::{DateTime, Utc};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub kind: EventKind,
}

/// The kinds of [`Event`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A message came in and is stored.
    MessageReceived {
        /// Its number in the message log.
        message_id: i64,
    },
    /// An order is new.
    OrderCreated {
        /// Its accession number.
        accession_number: String,
        /// The message that did it.
        message_id: i64,
    },
    /// An order changed.
    OrderUpdated {
        /// Its accession number.
        accession_number: String,
        /// The message that did it.
        message_id: i64,
    },
    /// An order was cancelled.
    OrderCancelled {
        /// Its accession number.
        accession_number: String,
        /// The message that did it.
        message_id: i64,
    },
    /// An order was completed.
    OrderCompleted {
        /// Its accession number.
        accession_number: String,
        /// The message that did it.
        message_id: i64,
    },
    /// A report came in.
    ReportStored {
        /// The order that it reports on.
        accession_number: String,
        /// The message that did it.
        message_id: i64,
    },
    /// A patient's demographics changed.
    PatientUpdated {
        /// The message that did it.
        message_id: i64,
    },
    /// A patient id went to another.
    PatientMerged {
        /// The message that did it.
        message_id: i64,
    },
    /// A connection was opened.
    ConnectionOpened {
        /// From where.
        peer: String,
    },
    /// A connection was closed.
    ConnectionClosed {
        /// From where.
        peer: String,
    },
}

impl EventKind {
    /// Its name on the wire, for instance `message.received`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MessageReceived { .. } => "message.received",
            Self::OrderCreated { .. } => "order.created",
            Self::OrderUpdated { .. } => "order.updated",
            Self::OrderCancelled { .. } => "order.cancelled",
            Self::OrderCompleted { .. } => "order.completed",
            Self::ReportStored { .. } => "report.stored",
            Self::PatientUpdated { .. } => "patient.updated",
            Self::PatientMerged { .. } => "patient.merged",
            Self::ConnectionOpened { .. } => "connection.opened",
            Self::ConnectionClosed { .. } => "connection.closed",
        }
    }
}
