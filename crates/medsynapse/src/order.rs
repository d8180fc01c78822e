//! [`Order`]: an imaging order as the broker knows it.

use crate::id::AccessionNumber;
use crate::map::{Attribute, Attributes};
use crate::person_name::PersonName;
use crate::segments::Segments;

/// Where an order is in its life.
///
/// A CA deletes the order from any of these; what is reported about it is
/// [`ReportStatus`](crate::ReportStatus), kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderState {
    /// Waiting for the patient and the modality.
    Scheduled,
    /// The patient is there.
    Arrived,
    /// The patient is ready for the modality.
    Ready,
    /// The modality has begun.
    Started,
    /// Done: never shown to a modality again.
    Completed,
    /// Begun and given up.
    Discontinued,
}

impl OrderState {
    /// All of them, in the order of an order's life.
    pub const ALL: [Self; 6] = [
        Self::Scheduled,
        Self::Arrived,
        Self::Ready,
        Self::Started,
        Self::Completed,
        Self::Discontinued,
    ];

    /// Its name in databases and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Arrived => "ARRIVED",
            Self::Ready => "READY",
            Self::Started => "STARTED",
            Self::Completed => "COMPLETED",
            Self::Discontinued => "DISCONTINUED",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether an order goes from this state into that one.
    ///
    /// What is completed stays so: it is never shown to a modality again. What was given up can
    /// be begun again, or scheduled again.
    ///
    /// ```
    /// use medsynapse::OrderState;
    ///
    /// assert!(OrderState::Scheduled.goes_to(OrderState::Started));
    /// assert!(!OrderState::Completed.goes_to(OrderState::Started));
    /// ```
    pub const fn goes_to(self, next: Self) -> bool {
        match next {
            Self::Scheduled => matches!(
                self,
                Self::Arrived | Self::Ready | Self::Started | Self::Discontinued
            ),
            Self::Arrived => matches!(self, Self::Scheduled | Self::Ready),
            Self::Ready => matches!(self, Self::Scheduled | Self::Arrived),
            Self::Started => !matches!(self, Self::Started | Self::Completed),
            Self::Completed => !matches!(self, Self::Completed),
            Self::Discontinued => !matches!(self, Self::Completed | Self::Discontinued),
        }
    }

    /// Whether a modality may still see the order on its worklist.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Completed | Self::Discontinued)
    }
}

/// An imaging order: what its messages said, and where it is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Names the order.
    pub accession_number: AccessionNumber,
    /// Where it is in its life.
    pub state: OrderState,
    /// Everything that is known of it.
    pub attributes: Attributes,
    /// PID, PV1, ORC, OBR and ZDS as they came, for the reports that go back.
    pub segments: Segments,
}

impl Order {
    /// The patient's name, if it is known.
    pub fn patient_name(&self) -> Option<PersonName> {
        self.attributes
            .get(Attribute::PatientName)
            .map(PersonName::from_xpn)
    }
}
