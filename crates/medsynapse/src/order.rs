//! [`Order`]: an imaging order as the broker knows it.

use crate::change::Segments;
use crate::id::AccessionNumber;
use crate::map::{Attribute, Attributes};
use crate::person_name::PersonName;

/// Where an order is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderState {
    /// Waiting for the modality: shown on worklists.
    Scheduled,
    /// Done: never shown to a modality again.
    Completed,
}

impl OrderState {
    /// Its name in databases and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Completed => "COMPLETED",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Scheduled, Self::Completed]
            .into_iter()
            .find(|state| state.as_str() == name)
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
