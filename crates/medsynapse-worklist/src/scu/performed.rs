//! What a modality says of what it did: the data sets of MPPS, and a tiny object.

use dicom_core::value::{C, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::mem::InMemElement;
use uuid::Uuid;

use super::sequence;
use crate::scp::StepStatus;

/// When something was done: `YYYYMMDD` and `HHMMSS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The day.
    pub date: String,
    /// The time.
    pub time: String,
}

/// A UID that is always the same for the same words, PS3.5 annex B.2.
///
/// ```
/// use medsynapse_worklist::scu::derived_uid;
///
/// let uid = derived_uid(&["CT1", "ACC1", "step"]);
/// assert!(uid.starts_with("2.25."));
/// assert_eq!(uid, derived_uid(&["CT1", "ACC1", "step"]));
/// ```
pub fn derived_uid(words: &[&str]) -> String {
    let root = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"medsynapse.pretend-modality");
    let uuid = Uuid::new_v5(&root, words.join("\0").as_bytes());
    format!("2.25.{}", uuid.as_u128())
}

fn put(tag: Tag, vr: VR, text: &str) -> InMemElement {
    if text.is_empty() {
        return DataElement::empty(tag, vr);
    }
    DataElement::new(tag, vr, PrimitiveValue::from(text))
}

/// The item of the procedure step in a worklist item.
fn step(item: &InMemDicomObject) -> Option<&InMemDicomObject> {
    item.get(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE)?
        .items()?
        .first()
}

/// An element as the worklist item has it; empty where it does not.
fn copied(from: Option<&InMemDicomObject>, tag: Tag, vr: VR) -> InMemElement {
    from.and_then(|object| object.get(tag))
        .cloned()
        .unwrap_or_else(|| DataElement::empty(tag, vr))
}

/// The keys of a query that gives what [`step_started`] and [`tiny_object`] need.
pub fn keys_of_a_step(accession_number: &str) -> InMemDicomObject {
    let empty = |tag, vr| DataElement::empty(tag, vr);
    InMemDicomObject::from_element_iter([
        put(tags::ACCESSION_NUMBER, VR::SH, accession_number),
        empty(tags::PATIENT_NAME, VR::PN),
        empty(tags::PATIENT_ID, VR::LO),
        empty(tags::PATIENT_BIRTH_DATE, VR::DA),
        empty(tags::PATIENT_SEX, VR::CS),
        empty(tags::STUDY_INSTANCE_UID, VR::UI),
        empty(tags::REQUESTED_PROCEDURE_ID, VR::SH),
        empty(tags::REQUESTED_PROCEDURE_DESCRIPTION, VR::LO),
        sequence(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, Vec::new()),
    ])
}

/// N-CREATE of the step that a worklist item asks for.
pub fn step_started(item: &InMemDicomObject, calling: &str, at: &Moment) -> InMemDicomObject {
    let step = step(item);
    let root = Some(item);
    let scheduled = vec![
        copied(root, tags::STUDY_INSTANCE_UID, VR::UI),
        DataElement::empty(tags::REFERENCED_STUDY_SEQUENCE, VR::SQ),
        copied(root, tags::ACCESSION_NUMBER, VR::SH),
        copied(root, tags::REQUESTED_PROCEDURE_ID, VR::SH),
        copied(root, tags::REQUESTED_PROCEDURE_DESCRIPTION, VR::LO),
        copied(step, tags::SCHEDULED_PROCEDURE_STEP_ID, VR::SH),
        copied(step, tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, VR::LO),
        DataElement::empty(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE, VR::SQ),
    ];
    let mut elements = vec![
        copied(root, tags::PATIENT_NAME, VR::PN),
        copied(root, tags::PATIENT_ID, VR::LO),
        copied(root, tags::PATIENT_BIRTH_DATE, VR::DA),
        copied(root, tags::PATIENT_SEX, VR::CS),
        copied(step, tags::MODALITY, VR::CS),
        sequence(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, vec![scheduled]),
        put(tags::PERFORMED_PROCEDURE_STEP_ID, VR::SH, "PPS1"),
        put(tags::PERFORMED_STATION_AE_TITLE, VR::AE, calling),
        put(tags::PERFORMED_PROCEDURE_STEP_START_DATE, VR::DA, &at.date),
        put(tags::PERFORMED_PROCEDURE_STEP_START_TIME, VR::TM, &at.time),
        put(
            tags::PERFORMED_PROCEDURE_STEP_STATUS,
            VR::CS,
            StepStatus::InProgress.as_str(),
        ),
        DataElement::empty(tags::PERFORMED_STATION_NAME, VR::SH),
        DataElement::empty(tags::PERFORMED_LOCATION, VR::SH),
        DataElement::empty(tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION, VR::LO),
        DataElement::empty(tags::PERFORMED_PROCEDURE_STEP_END_DATE, VR::DA),
        DataElement::empty(tags::PERFORMED_PROCEDURE_STEP_END_TIME, VR::TM),
        DataElement::empty(tags::STUDY_ID, VR::SH),
        sequence(tags::PERFORMED_SERIES_SEQUENCE, Vec::new()),
    ];
    if let Some(charset) = item.get(tags::SPECIFIC_CHARACTER_SET) {
        elements.push(charset.clone());
    }
    InMemDicomObject::from_element_iter(elements)
}

/// N-SET that ends a step.
pub fn step_ended(status: StepStatus, at: &Moment) -> InMemDicomObject {
    InMemDicomObject::from_element_iter([
        put(
            tags::PERFORMED_PROCEDURE_STEP_STATUS,
            VR::CS,
            status.as_str(),
        ),
        put(tags::PERFORMED_PROCEDURE_STEP_END_DATE, VR::DA, &at.date),
        put(tags::PERFORMED_PROCEDURE_STEP_END_TIME, VR::TM, &at.time),
    ])
}

/// The SOP class of [`tiny_object`].
pub const TINY_OBJECT_CLASS: &str = uids::SECONDARY_CAPTURE_IMAGE_STORAGE;

/// An image of two by two pixels for a worklist item.
pub fn tiny_object(item: &InMemDicomObject, uid: &str, series: &str) -> InMemDicomObject {
    let root = Some(item);
    let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    let pixels = PrimitiveValue::U8(C::from_slice(&[0, 85, 170, 255]));
    let mut elements = vec![
        put(tags::SOP_CLASS_UID, VR::UI, TINY_OBJECT_CLASS),
        put(tags::SOP_INSTANCE_UID, VR::UI, uid),
        copied(root, tags::ACCESSION_NUMBER, VR::SH),
        copied(step(item), tags::MODALITY, VR::CS),
        put(tags::CONVERSION_TYPE, VR::CS, "SYN"),
        copied(root, tags::PATIENT_NAME, VR::PN),
        copied(root, tags::PATIENT_ID, VR::LO),
        copied(root, tags::STUDY_INSTANCE_UID, VR::UI),
        put(tags::SERIES_INSTANCE_UID, VR::UI, series),
        number(tags::SAMPLES_PER_PIXEL, 1),
        put(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        number(tags::ROWS, 2),
        number(tags::COLUMNS, 2),
        number(tags::BITS_ALLOCATED, 8),
        number(tags::BITS_STORED, 8),
        number(tags::HIGH_BIT, 7),
        number(tags::PIXEL_REPRESENTATION, 0),
        DataElement::new(tags::PIXEL_DATA, VR::OB, pixels),
    ];
    if let Some(charset) = item.get(tags::SPECIFIC_CHARACTER_SET) {
        elements.push(charset.clone());
    }
    InMemDicomObject::from_element_iter(elements)
}
