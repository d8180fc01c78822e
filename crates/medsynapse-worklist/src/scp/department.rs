//! [`Department`]: what the DICOM service asks of the broker behind it, and tells it.

use std::net::SocketAddr;
use std::pin::Pin;

use dicom_object::InMemDicomObject;

use super::End;
use super::negotiate::Refusal;
use crate::board::{Found, TooMany};
use crate::query::Query;
use crate::view::View;

/// An answer that comes later.
pub type Future<'a, T> = Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;

/// The broker cannot do it now.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// Why a query has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FindError {
    /// More items than are allowed.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The broker cannot look.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Performed Procedure Step Status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepStatus {
    /// `IN PROGRESS`
    InProgress,
    /// `COMPLETED`
    Completed,
    /// `DISCONTINUED`
    Discontinued,
}

impl StepStatus {
    /// Its defined term.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Discontinued => "DISCONTINUED",
        }
    }

    /// The status of that term.
    pub fn from_term(term: &str) -> Option<Self> {
        [Self::InProgress, Self::Completed, Self::Discontinued]
            .into_iter()
            .find(|status| status.as_str() == term)
    }
}

/// One item of the Scheduled Step Attributes Sequence. What is empty was not said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reference {
    /// (0008,0050)
    pub accession_number: String,
    /// (0020,000D)
    pub study_instance_uid: String,
    /// (0040,0009); empty where nothing was scheduled.
    pub step_id: String,
    /// (0040,1001)
    pub requested_procedure_id: String,
}

/// N-CREATE or N-SET of a performed procedure step.
#[derive(Clone)]
pub struct ProcedureStep {
    /// The calling AE title.
    pub calling: String,
    /// Its SOP Instance UID.
    pub sop_instance_uid: String,
    /// N-CREATE; else N-SET.
    pub create: bool,
    /// What it says of the status; an N-SET may say nothing.
    pub status: Option<StepStatus>,
    /// What was scheduled.
    pub references: Vec<Reference>,
    /// The data set, its text in UTF-8.
    pub dataset: InMemDicomObject,
}

impl std::fmt::Debug for ProcedureStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcedureStep")
            .field("calling", &self.calling)
            .field("sop_instance_uid", &self.sop_instance_uid)
            .field("create", &self.create)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What became of a [`ProcedureStep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcedureOutcome {
    /// It is kept.
    Done,
    /// N-CREATE of one that is there.
    Duplicate,
    /// N-SET of one that is not.
    Unknown,
    /// N-SET of one that has ended.
    Final,
}

/// An object that a modality stored: what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredObject {
    /// The calling AE title.
    pub calling: String,
    /// (0008,0016)
    pub sop_class_uid: String,
    /// (0008,0018)
    pub sop_instance_uid: String,
    /// (0020,000D)
    pub study_instance_uid: String,
    /// (0020,000E)
    pub series_instance_uid: String,
    /// (0008,0050)
    pub accession_number: String,
    /// (0010,0020)
    pub patient_id: String,
    /// (0008,0060)
    pub modality: String,
}

/// What the orders know of an AE title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Station {
    /// Steps are scheduled for it.
    Known,
    /// For one that differs in case alone.
    Differs(String),
    /// None is.
    Unknown,
}

/// What happens on the DICOM side; it names no patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occurrence {
    /// An association was agreed on.
    Opened {
        /// From where.
        peer: SocketAddr,
        /// By whom.
        calling: String,
    },
    /// An association was refused.
    Refused {
        /// From where.
        peer: SocketAddr,
        /// By whom, where that is known.
        calling: String,
        /// Why.
        refusal: Refusal,
    },
    /// An association ended.
    Closed {
        /// From where.
        peer: SocketAddr,
        /// By whom.
        calling: String,
        /// How.
        end: End,
    },
    /// What came is no DICOM, or nothing came in time.
    Garbage {
        /// From where.
        peer: SocketAddr,
        /// What is wrong.
        what: String,
    },
    /// A query was answered.
    Query {
        /// By whom it was asked.
        calling: String,
        /// The keywords of the keys that restrict.
        keys: Vec<&'static str>,
        /// The accession numbers of the items that were sent.
        items: Vec<String>,
        /// The last status.
        status: u16,
    },
    /// A query asked for an AE title that no order uses.
    NoSuchStation {
        /// By whom it was asked.
        calling: String,
        /// For which AE title.
        asked: String,
        /// One that differs in case alone.
        similar: Option<String>,
    },
    /// A procedure step was made or changed, or refused.
    Procedure {
        /// By whom.
        calling: String,
        /// Its SOP Instance UID.
        sop_instance_uid: String,
        /// The status of the answer.
        status: u16,
    },
}

/// The broker behind the DICOM service.
pub trait Department: Send + Sync + 'static {
    /// The items that a query finds. Blocks.
    ///
    /// # Errors
    ///
    /// Too many, or the broker cannot look.
    fn find(&self, query: &Query, view: &View) -> Result<Found, FindError>;

    /// What the orders know of an AE title. Blocks.
    fn station(&self, ae_title: &str) -> Station;

    /// Keeps a procedure step.
    fn procedure(&self, step: ProcedureStep) -> Future<'_, Result<ProcedureOutcome, Unavailable>>;

    /// Hears of an object that was stored.
    fn stored(&self, object: StoredObject) -> Future<'_, Result<(), Unavailable>>;

    /// Hears what happens.
    fn heard(&self, occurrence: Occurrence);
}
