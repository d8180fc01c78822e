//! [`Event`]: what happened, told after it is on disk.
//!
//! Events are read off the log, not written beside it: the number of an entry and the place of
//! the event in it make an id that stays, in order, at no cost to the writer.

use chrono::{DateTime, Utc};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number, larger than that of every event before it; `None` for what is told and not
    /// kept (connections).
    pub id: Option<i64>,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub kind: EventKind,
}

/// How many events an entry of the log can have.
const PER_ENTRY: i64 = 64;

impl Event {
    /// The id of an event: its entry, and its place in it.
    pub(crate) fn id_of(entry_id: i64, place: usize) -> i64 {
        let place = i64::try_from(place).unwrap_or(PER_ENTRY - 1);
        entry_id * PER_ENTRY + place.min(PER_ENTRY - 1)
    }

    /// The entry of the log that an id belongs to.
    pub(crate) const fn entry_of(id: i64) -> i64 {
        id.div_euclid(PER_ENTRY)
    }

    /// Numbers what an entry has to tell.
    pub(crate) fn numbered(entry_id: i64, at: DateTime<Utc>, kinds: Vec<EventKind>) -> Vec<Self> {
        kinds
            .into_iter()
            .enumerate()
            .map(|(place, kind)| Self {
                id: Some(Self::id_of(entry_id, place)),
                at,
                kind,
            })
            .collect()
    }
}

/// The kinds of [`Event`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A message came in and is stored.
    MessageReceived {
        /// Its number in the log.
        message_id: i64,
    },
    /// A message went out and was answered.
    MessageSent {
        /// Its number in the log.
        message_id: i64,
    },
    /// Something became of an order.
    Order {
        /// What.
        change: OrderChange,
        /// Its accession number.
        accession_number: String,
        /// The entry of the log that did it: a message or an action.
        entry_id: i64,
    },
    /// Something became of a report.
    Report {
        /// What.
        change: ReportChange,
        /// The order that it reports on.
        accession_number: String,
        /// The entry of the log that did it: a message, an action, or the message that goes out.
        entry_id: i64,
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
    /// A modality began a procedure step.
    ProcedureStarted {
        /// The action that says so.
        entry_id: i64,
    },
    /// A modality ended a procedure step.
    ProcedureCompleted {
        /// The action that says so.
        entry_id: i64,
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
    /// Something happened on the DICOM side.
    Dicom {
        /// What: `association.opened`, `association.refused`, `association.closed`,
        /// `worklist.queried` or `worklist.mismatch`.
        name: &'static str,
        /// From where; empty where that does not matter.
        peer: String,
        /// The calling AE title.
        calling: String,
        /// More, in words; it names no patient.
        detail: String,
    },
}

/// What can become of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderChange {
    /// It is new.
    Created,
    /// It changed.
    Updated,
    /// It was cancelled.
    Cancelled,
    /// It was completed.
    Completed,
    /// The modality has begun.
    Started,
    /// It was given up.
    Discontinued,
    /// The first object of its study came.
    StudyArriving,
    /// Its study is all there.
    StudyArrived,
}

/// What can become of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportChange {
    /// Its text is here.
    Stored,
    /// The study was read.
    Read,
    /// It is final.
    Final,
    /// It was printed.
    Printed,
    /// A message about it waits for the RIS.
    Queued,
    /// The RIS took the message.
    Delivered,
    /// The RIS refused the message.
    Refused,
}

impl EventKind {
    /// Its name on the wire, for instance `message.received`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MessageReceived { .. } => "message.received",
            Self::MessageSent { .. } => "message.sent",
            Self::Order { change, .. } => match change {
                OrderChange::Created => "order.created",
                OrderChange::Updated => "order.updated",
                OrderChange::Cancelled => "order.cancelled",
                OrderChange::Completed => "order.completed",
                OrderChange::Started => "order.started",
                OrderChange::Discontinued => "order.discontinued",
                OrderChange::StudyArriving => "study.arriving",
                OrderChange::StudyArrived => "study.arrived",
            },
            Self::Report { change, .. } => match change {
                ReportChange::Stored => "report.stored",
                ReportChange::Read => "report.read",
                ReportChange::Final => "report.final",
                ReportChange::Printed => "report.printed",
                ReportChange::Queued => "report.queued",
                ReportChange::Delivered => "report.delivered",
                ReportChange::Refused => "report.refused",
            },
            Self::PatientUpdated { .. } => "patient.updated",
            Self::PatientMerged { .. } => "patient.merged",
            Self::ProcedureStarted { .. } => "procedure.started",
            Self::ProcedureCompleted { .. } => "procedure.completed",
            Self::ConnectionOpened { .. } => "connection.opened",
            Self::ConnectionClosed { .. } => "connection.closed",
            Self::Dicom { name, .. } => name,
        }
    }

    /// The order that it is about.
    pub fn accession_number(&self) -> Option<&str> {
        match self {
            Self::Order {
                accession_number, ..
            }
            | Self::Report {
                accession_number, ..
            } => Some(accession_number),
            _ => None,
        }
    }

    /// The entry of the log that it is about.
    pub const fn entry_id(&self) -> Option<i64> {
        match self {
            Self::MessageReceived { message_id }
            | Self::MessageSent { message_id }
            | Self::PatientUpdated { message_id }
            | Self::PatientMerged { message_id } => Some(*message_id),
            Self::Order { entry_id, .. }
            | Self::Report { entry_id, .. }
            | Self::ProcedureStarted { entry_id }
            | Self::ProcedureCompleted { entry_id } => Some(*entry_id),
            Self::ConnectionOpened { .. } | Self::ConnectionClosed { .. } | Self::Dicom { .. } => {
                None
            }
        }
    }
}
