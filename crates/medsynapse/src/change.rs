//! [`Change`]: what an accepted message asks the broker to do.

use core::fmt;

use hl7_message::{Message, SegmentId};

use crate::id::{AccessionNumber, PatientId};
use crate::map::Patches;
use crate::report::Report;

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

/// The segments of a message that are kept for the reports that go back, byte for byte, with
/// the delimiters and the character set that they are written in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Segments {
    /// MSH-1 and MSH-2, for instance `|^~\&`.
    pub delimiters: Vec<u8>,
    /// MSH-18, as it came.
    pub charset: Vec<u8>,
    /// The segments in the order PID, PV1, ORC, OBR, ZDS, each ended with CR.
    pub bytes: Vec<u8>,
}

impl Segments {
    const KEPT: [SegmentId; 5] = [
        SegmentId::PID,
        SegmentId::PV1,
        SegmentId::ORC,
        SegmentId::OBR,
        SegmentId::ZDS,
    ];

    /// Takes them from a message.
    pub fn of(message: &Message<'_>) -> Self {
        let mut bytes = Vec::new();
        for id in Self::KEPT {
            if let Some(segment) = message.segment(id) {
                bytes.extend_from_slice(segment.as_bytes());
                bytes.push(b'\r');
            }
        }
        let separators = message.separators();
        let mut delimiters = vec![separators.field()];
        delimiters.extend(separators.encoding_characters());
        let charset = message.header().character_set().as_bytes().to_vec();
        Self {
            delimiters,
            charset,
            bytes,
        }
    }
}

impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segments({} bytes)", self.bytes.len())
    }
}
