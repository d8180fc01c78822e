//! [`Action`]: what a person or a modality does, kept as durably as a message.

use chrono::{DateTime, Utc};
use medsynapse::{AccessionNumber, OrderState, ReportFormat};
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::outbox::OutboxState;
use crate::outgoing::Outgoing;

/// Something that is done here, not told by a message.
#[derive(Debug, Clone)]
pub struct Action {
    /// When.
    pub at: DateTime<Utc>,
    /// Who: the name of a key, an AE title; no patient.
    pub actor: String,
    /// The same key again gives the first answer again and does nothing.
    pub idempotency_key: Option<String>,
    /// What.
    pub kind: ActionKind,
    /// How the destinations are told.
    pub outgoing: Outgoing,
}

impl Action {
    pub(crate) fn size(&self) -> usize {
        match &self.kind {
            ActionKind::Order {
                step: OrderStep::Final(Some(report)),
                ..
            } => report.text.len(),
            ActionKind::Procedure(procedure) => procedure.dataset.len(),
            ActionKind::Order { .. } | ActionKind::Outbox { .. } => 64,
        }
    }
}

/// The kinds of [`Action`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionKind {
    /// An order goes on.
    Order {
        /// Which one.
        accession_number: AccessionNumber,
        /// How.
        step: OrderStep,
    },
    /// A modality says what it does: DICOM MPPS.
    Procedure(Procedure),
    /// Something is done to a message of the outbox.
    Outbox {
        /// Which one.
        message_id: i64,
        /// What.
        command: OutboxCommand,
    },
}

/// A step in the life of an order, or of its report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderStep {
    /// The patient is there.
    Arrived,
    /// The patient is ready.
    Ready,
    /// The modality has begun.
    Started,
    /// The study is completed: the RIS is told once (I).
    Completed,
    /// The study was given up.
    Discontinued,
    /// It is to be done again, or at another time.
    Rescheduled,
    /// The first object of the study was stored.
    StudyArriving,
    /// No more objects come: completed, as [`Completed`](Self::Completed).
    StudyArrived,
    /// The study was read: the RIS is told (R).
    Read,
    /// The report is final: the RIS is told (F) and gets the text (F again). Without a text, the
    /// one that is stored.
    Final(Option<FinalReport>),
    /// The report was printed: the RIS is told (P).
    Printed,
}

impl OrderStep {
    /// Its name in databases and JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Arrived => "arrived",
            Self::Ready => "ready",
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Discontinued => "discontinued",
            Self::Rescheduled => "rescheduled",
            Self::StudyArriving => "study-arriving",
            Self::StudyArrived => "study-arrived",
            Self::Read => "read",
            Self::Final(_) => "final",
            Self::Printed => "printed",
        }
    }
}

/// The text that makes a report final.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalReport {
    /// `TX` or `RTF`.
    #[serde(with = "format_code")]
    pub format: ReportFormat,
    /// The text, its line ends LF.
    pub text: String,
    /// OBX-14 as HL7 writes it; empty: the moment of the action.
    pub date: String,
    /// OBX-16.1
    pub physician_id: Option<String>,
    /// OBX-16.2
    pub physician_name: Option<String>,
}

impl std::fmt::Debug for FinalReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FinalReport")
            .field("format", &self.format)
            .field("text_bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

mod format_code {
    use medsynapse::ReportFormat;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    pub(super) fn serialize<S: Serializer>(
        format: &ReportFormat,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(format.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ReportFormat, D::Error> {
        let code = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        ReportFormat::from_code(&code).ok_or_else(|| serde::de::Error::custom("no such format"))
    }
}

/// A Modality Performed Procedure Step: N-CREATE or N-SET.
#[derive(Clone, PartialEq, Eq)]
pub struct Procedure {
    /// The SOP Instance UID under which the modality made it.
    pub sop_instance_uid: String,
    /// N-CREATE; else N-SET of one that is known.
    pub create: bool,
    /// Performed Procedure Step Status.
    pub state: ProcedureState,
    /// The calling AE title.
    pub station_ae_title: String,
    /// The study that it belongs to.
    pub study_instance_uid: Option<String>,
    /// The orders that it is about; an N-SET that names none means those of its N-CREATE.
    pub accession_numbers: Vec<AccessionNumber>,
    /// The whole data set as it is to be kept; empty keeps the one that is stored.
    pub dataset: Vec<u8>,
    /// Whether orders that are given up are scheduled again.
    pub reschedule_discontinued: bool,
}

impl std::fmt::Debug for Procedure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Procedure")
            .field("sop_instance_uid", &self.sop_instance_uid)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Performed Procedure Step Status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProcedureState {
    /// The modality works.
    InProgress,
    /// It is done.
    Completed,
    /// It gave up.
    Discontinued,
}

impl ProcedureState {
    /// Its name in DICOM and databases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Discontinued => "DISCONTINUED",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::InProgress, Self::Completed, Self::Discontinued]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// What a person can do to a message of the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutboxCommand {
    /// Send again what was refused or cancelled, at the end of the queue; release what is held, at
    /// its own place; try at once what waits.
    Retry,
    /// Pass over it until it is released.
    Hold,
    /// Never send it.
    Cancel,
}

impl OutboxCommand {
    /// Its name in databases and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Hold => "hold",
            Self::Cancel => "cancel",
        }
    }

    /// The command of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Retry, Self::Hold, Self::Cancel]
            .into_iter()
            .find(|command| command.as_str() == name)
    }
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionOutcome {
    /// It was done.
    Done,
    /// It was so already.
    Unchanged,
    /// No order has this accession number.
    UnknownOrder,
    /// The order cannot go there from where it is.
    NotPossible(OrderState),
    /// A final report needs a text, and none is stored.
    NoReportText,
    /// The key was used before for something else.
    KeyReused,
    /// The outbox has no such message.
    UnknownMessage,
    /// That cannot be done to a message in this state.
    NotInState(OutboxState),
    /// N-CREATE of an instance that is there (DICOM 0111).
    DuplicateInstance,
    /// N-SET of an instance that is not (DICOM 0112).
    UnknownInstance,
    /// N-SET of an instance that is completed or discontinued (DICOM 0110, A506).
    FinalInstance,
}

impl ActionOutcome {
    /// Whether what was asked for is so now.
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::Unchanged)
    }

    /// Its name in databases and JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::UnknownOrder => "unknown-order",
            Self::NotPossible(_) => "not-possible",
            Self::NoReportText => "no-report-text",
            Self::KeyReused => "key-reused",
            Self::UnknownMessage => "unknown-message",
            Self::NotInState(_) => "not-in-state",
            Self::DuplicateInstance => "duplicate-instance",
            Self::UnknownInstance => "unknown-instance",
            Self::FinalInstance => "final-instance",
        }
    }

    /// With what it carries, as databases keep it: `not-possible:COMPLETED`.
    pub(crate) fn kept(&self) -> String {
        match self {
            Self::NotPossible(state) => format!("{}:{}", self.as_str(), state.as_str()),
            Self::NotInState(state) => format!("{}:{}", self.as_str(), state.as_str()),
            _ => self.as_str().into(),
        }
    }

    /// The outcome that is kept so.
    pub(crate) fn from_kept(text: &str) -> Option<Self> {
        let (name, state) = text.split_once(':').unwrap_or((text, ""));
        let all = [
            Self::Done,
            Self::Unchanged,
            Self::UnknownOrder,
            Self::NoReportText,
            Self::KeyReused,
            Self::UnknownMessage,
            Self::DuplicateInstance,
            Self::UnknownInstance,
            Self::FinalInstance,
        ];
        match name {
            "not-possible" => OrderState::from_name(state).map(Self::NotPossible),
            "not-in-state" => OutboxState::from_name(state).map(Self::NotInState),
            name => all.into_iter().find(|outcome| outcome.as_str() == name),
        }
    }

    /// What happened, in a sentence.
    pub fn text(&self) -> String {
        match self {
            Self::Done => "Done.".into(),
            Self::Unchanged => "It was so already.".into(),
            Self::UnknownOrder => "No order has this accession number.".into(),
            Self::NotPossible(state) => {
                format!("The order is {}; that is not possible.", state.as_str())
            }
            Self::NoReportText => "A final report needs a text, and none is stored.".into(),
            Self::KeyReused => "The idempotency key was used before for something else.".into(),
            Self::UnknownMessage => "The outbox has no such message.".into(),
            Self::NotInState(state) => {
                format!("The message is {}; that is not possible.", state.as_str())
            }
            Self::DuplicateInstance => "The procedure step is there already.".into(),
            Self::UnknownInstance => "No such procedure step is known.".into(),
            Self::FinalInstance => "The procedure step has ended; it may not be changed.".into(),
        }
    }
}

/// An action that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted {
    /// Its number in the log; that of the first one for a key that came again.
    pub entry_id: i64,
    /// What became of it.
    pub outcome: ActionOutcome,
    /// Whether it was here before, by its key.
    pub duplicate: bool,
    /// The messages that it put into the outbox, in order.
    pub queued: Vec<i64>,
    /// What there is to tell; nothing for a duplicate.
    pub events: Vec<Event>,
}
