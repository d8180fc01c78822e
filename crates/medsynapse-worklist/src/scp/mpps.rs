//! N-CREATE and N-SET of performed procedure steps.

use std::sync::Arc;

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries;
use dicom_ul::pdu::PresentationContextNegotiated;
use medsynapse::StudyInstanceUid;
use tokio::io::{AsyncRead, AsyncWrite};

use super::association::{Association, data_set, offending};
use super::department::{
    Department, Occurrence, ProcedureOutcome, ProcedureStep, Reference, StepStatus,
};
use super::message::{Answer, Message, field, status, text};
use super::{End, lengths};

/// Error ID: the procedure step has ended and may not be changed any more, PS3.4 F.7.2.2.2.
const NO_LONGER_CHANGED: u16 = 0xA506;

/// Answers N-CREATE and N-SET.
pub(crate) async fn answer<S, D>(
    association: &mut Association<S, D>,
    message: Message,
    context: &PresentationContextNegotiated,
) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    D: Department,
{
    let department = Arc::clone(&association.desk.department);
    let calling = association.agreed.calling.clone();
    let create = message.command.field == field::N_CREATE;
    let uid = message.command.uid(if create {
        tags::AFFECTED_SOP_INSTANCE_UID
    } else {
        tags::REQUESTED_SOP_INSTANCE_UID
    });
    let mut answer = match read(&message, context, &calling, &uid) {
        Ok(step) => match department.procedure(step).await {
            Ok(outcome) => of(outcome),
            Err(_) => Answer::status(status::PROCESSING_FAILURE)
                .comment("the broker cannot keep it now; send it again later"),
        },
        Err(answer) => *answer,
    };
    department.heard(Occurrence::Procedure {
        calling,
        sop_instance_uid: uid.clone(),
        status: answer.status,
    });
    answer.instance_uid = Some(uid).filter(|uid| !uid.is_empty());
    association.answer(&message, &answer, None).await
}

fn of(outcome: ProcedureOutcome) -> Answer {
    match outcome {
        ProcedureOutcome::Done => Answer::status(status::SUCCESS),
        ProcedureOutcome::Duplicate => Answer::status(status::DUPLICATE_INSTANCE),
        ProcedureOutcome::Unknown => Answer::status(status::NO_SUCH_INSTANCE),
        ProcedureOutcome::Final => Answer {
            error_id: Some(NO_LONGER_CHANGED),
            ..Answer::status(status::PROCESSING_FAILURE)
                .comment("the procedure step has ended: it may not be changed")
        },
    }
}

fn read(
    message: &Message,
    context: &PresentationContextNegotiated,
    calling: &str,
    uid: &str,
) -> Result<ProcedureStep, Box<Answer>> {
    if !StudyInstanceUid::is_valid(uid) {
        let what = if uid.is_empty() {
            "no SOP Instance UID"
        } else {
            "not a UID"
        };
        let answer = Answer::status(status::INVALID_INSTANCE).comment(what);
        return Err(Box::new(answer));
    }
    let mut dataset = data_set(message, context).map_err(|mut answer| {
        answer.status = status::PROCESSING_FAILURE;
        answer
    })?;
    let create = message.command.field == field::N_CREATE;
    let tag = tags::PERFORMED_PROCEDURE_STEP_STATUS;
    let term = text(&dataset, tag);
    let step_status = match StepStatus::from_term(&term) {
        Some(StepStatus::InProgress) if create => Some(StepStatus::InProgress),
        Some(step_status) if !create => Some(step_status),
        None if term.is_empty() && !create => None,
        None if term.is_empty() => {
            let answer = offending(status::MISSING_ATTRIBUTE, tag, "no status");
            return Err(Box::new(answer));
        }
        _ => {
            let comment = if create {
                "a new step is IN PROGRESS"
            } else {
                "no such status"
            };
            let answer = offending(status::INVALID_ATTRIBUTE_VALUE, tag, comment);
            return Err(Box::new(answer));
        }
    };
    let references = references(&dataset);
    dataset.convert_to_utf8();
    Ok(ProcedureStep {
        calling: calling.to_owned(),
        sop_instance_uid: uid.to_owned(),
        create,
        status: step_status,
        references,
        dataset,
    })
}

/// The items of the Scheduled Step Attributes Sequence.
fn references(dataset: &InMemDicomObject) -> Vec<Reference> {
    dataset
        .get(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE)
        .and_then(DataElement::items)
        .unwrap_or_default()
        .iter()
        .map(|item| Reference {
            accession_number: text(item, tags::ACCESSION_NUMBER),
            study_instance_uid: text(item, tags::STUDY_INSTANCE_UID),
            step_id: text(item, tags::SCHEDULED_PROCEDURE_STEP_ID),
            requested_procedure_id: text(item, tags::REQUESTED_PROCEDURE_ID),
        })
        .collect()
}

/// A procedure step as it is kept: what is stored with what an N-SET says put over it, in
/// Explicit VR Little Endian and UTF-8.
///
/// Bytes that cannot be read are left out.
pub fn merge(stored: &[u8], changes: &InMemDicomObject) -> Vec<u8> {
    let syntax = entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
    let mut object = InMemDicomObject::read_dataset_with_ts(stored, &syntax)
        .unwrap_or_else(|_| InMemDicomObject::new_empty());
    for element in changes {
        object.put(element.clone());
    }
    object.put(DataElement::new(
        tags::SPECIFIC_CHARACTER_SET,
        VR::CS,
        PrimitiveValue::from("ISO_IR 192"),
    ));
    let mut bytes = Vec::new();
    // What was read can be written: UTF-8 has every character.
    let _ = object.write_dataset_with_ts(&mut bytes, &syntax);
    bytes
}

/// A procedure step as it is kept, as DICOM JSON, with its SOP class and instance; `None` where
/// it cannot be read.
pub fn procedure_json(sop_instance_uid: &str, stored: &[u8]) -> Option<serde_json::Value> {
    let mut object = lengths::read(stored, entries::EXPLICIT_VR_LITTLE_ENDIAN.uid())?;
    for (tag, uid) in [
        (tags::SOP_CLASS_UID, uids::MODALITY_PERFORMED_PROCEDURE_STEP),
        (tags::SOP_INSTANCE_UID, sop_instance_uid),
    ] {
        let value = PrimitiveValue::from(uid);
        object.put(DataElement::new(tag, VR::UI, value));
    }
    dicom_json::to_value(object).ok()
}
