//! ADT^A08 and ADT^A40.

use hl7_message::{ErrorCondition, loc};

use super::fields::Reader;
use super::order::{patient_id, rejection};
use crate::change::{Change, PatientMerge, PatientUpdate};
use crate::id::PatientId;
use crate::map::{Attribute, Patch};
use crate::rejection::{Finding, Rejection, Warning};

pub(super) fn read_update(
    reader: Reader<'_, '_>,
    warnings: &mut Vec<Warning>,
) -> Result<Change, Rejection> {
    use Attribute as A;
    let mut findings = Vec::new();
    let only = |attribute| {
        matches!(
            attribute,
            A::PatientId | A::PatientName | A::PatientSex | A::AdmissionId
        )
    };
    // The name is mandatory, but `""` in it clears nothing: it is told apart below.
    let mandatory = |row: &crate::map::Row| row.attribute == A::PatientId;
    let mut patches = reader.patches(only, mandatory, &mut findings, warnings);
    match patches.get(A::PatientName) {
        Patch::Set(_) => {}
        Patch::Keep => findings.push(reader.missing(loc!("PID-5.1"))),
        Patch::Clear => {
            warnings.push(Warning {
                code: "kept",
                location: Some(loc!("PID-5.1")),
                message: "the name of a patient is never cleared".into(),
            });
            patches.put(A::PatientName, Patch::Keep);
        }
    }
    let id = patient_id(patches.text(A::PatientId), &mut findings);
    patches.put(A::PatientId, Patch::Keep);
    match (id, Rejection::of(findings)) {
        (Some(patient_id), None) => Ok(Change::UpdatePatient(PatientUpdate {
            patient_id,
            patches,
        })),
        (_, Some(rejection)) => Err(rejection),
        (None, None) => Err(rejection(vec![reader.missing(loc!("PID-3.1"))])),
    }
}

pub(super) fn read_merge(
    reader: Reader<'_, '_>,
    warnings: &mut Vec<Warning>,
) -> Result<Change, Rejection> {
    use Attribute as A;
    let mut findings = Vec::new();
    let only = |attribute| {
        matches!(
            attribute,
            A::PatientId | A::PatientName | A::PatientSex | A::PatientBirthDate | A::AdmissionId
        )
    };
    let mandatory = |row: &crate::map::Row| row.attribute == A::PatientId;
    let mut patches = reader.patches(only, mandatory, &mut findings, warnings);
    for mandatory in [A::PatientName, A::PatientSex] {
        if *patches.get(mandatory) == Patch::Clear {
            patches.put(mandatory, Patch::Keep);
        }
    }
    let into = patient_id(patches.text(A::PatientId), &mut findings);
    patches.put(A::PatientId, Patch::Keep);
    let from = old_id(reader, &mut findings);
    let (Some(from), Some(into)) = (from, into) else {
        return Err(rejection(findings));
    };
    if let Some(rejection) = Rejection::of(findings) {
        return Err(rejection);
    }
    if from == into {
        return Err(Rejection::single(
            ErrorCondition::DuplicateKey,
            loc!("MRG-1.1"),
            reader
                .message
                .leaf(loc!("MRG-1.1"))
                .map(|leaf| leaf.span().start),
            "MRG-1 and PID-3 are the same patient id.",
        ));
    }
    Ok(Change::MergePatient(PatientMerge {
        from,
        into,
        patches,
    }))
}

/// MRG-1.1.
fn old_id(reader: Reader<'_, '_>, findings: &mut Vec<Finding>) -> Option<PatientId> {
    let at = loc!("MRG-1.1");
    let text = match reader.some_text(at) {
        Ok(Some(text)) => text,
        Ok(None) => {
            findings.push(reader.missing(at));
            return None;
        }
        Err(finding) => {
            findings.push(finding);
            return None;
        }
    };
    let max = Attribute::PatientId
        .row()
        .characters_max
        .unwrap_or(usize::MAX);
    if reader.profile.check_lengths && text.chars().count() > max {
        let text = "MRG-1 is longer than 64 characters.".into();
        findings.push(reader.wrong(at, ErrorCondition::DataType, text));
    }
    let id = PatientId::try_from(text.as_str()).ok();
    if id.is_none() {
        let text = "MRG-1 holds control characters.".into();
        findings.push(reader.wrong(at, ErrorCondition::DataType, text));
    }
    id
}
