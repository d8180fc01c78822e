//! [`Change`]: what an accepted message asks the broker to do.

use crate::id::{AccessionNumber, PatientId};
use crate::map::Patches;
use crate::report::Report;
use crate::segments::Segments;

/// What a message asks for, checked as far as the message alone tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// ORM^O01 with NW or XO.
    RegisterOrder(RegisterOrder),
    /// ORM^O01 with CA: the order goes from the database.
    CancelOrder(AccessionNumber),
    /// ORM^O01 with CM: the order is never shown to a modality again.
    CompleteOrder(AccessionNumber),
    /// ORU^R01.
    StoreReport(Report),
    /// ADT^A08.
    UpdatePatient(PatientUpdate),
    /// ADT^A40.
    MergePatient(PatientMerge),
}

/// ORC-1, as far as the broker knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderControl {
    /// NW: a new order, or an update of one that is known.
    New,
    /// XO: an update of an order that must be known.
    Change,
}

/// An order to register or to update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterOrder {
    /// NW or XO.
    pub control: OrderControl,
    /// Names the order.
    pub accession_number: AccessionNumber,
    /// PID-3.1.
    pub patient_id: PatientId,
    /// What the message says about each attribute.
    pub patches: Patches,
    /// The Study Instance UID that a new order gets where the message brings none.
    pub derived_uid: String,
    /// The segments that it came with.
    pub segments: Segments,
}

/// New demographics for all orders of a patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientUpdate {
    /// PID-3.1.
    pub patient_id: PatientId,
    /// Patient Name, Patient Sex and Admission ID; the others are kept.
    pub patches: Patches,
}

/// All orders of one patient id go to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientMerge {
    /// MRG-1.1, the id that goes.
    pub from: PatientId,
    /// PID-3.1, the id that stays.
    pub into: PatientId,
    /// What the message says of the patient that stays.
    pub patches: Patches,
}
