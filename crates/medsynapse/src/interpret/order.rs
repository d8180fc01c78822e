//! ORM^O01.

use hl7_message::{ErrorCondition, Location, loc};

use super::envelope::shown;
use super::fields::{Read, Reader, field};
use crate::change::{Change, OrderControl, RegisterOrder};
use crate::id::{AccessionNumber, PatientId, StudyInstanceUid};
use crate::map::{Attribute, Patch, Patches, Row};
use crate::rejection::{Finding, Rejection, Warning};

pub(super) fn read(
    reader: Reader<'_, '_>,
    warnings: &mut Vec<Warning>,
) -> Result<Change, Rejection> {
    let control = match reader.text(loc!("ORC-1")) {
        Ok(Read::Text(text)) => text,
        Ok(Read::Absent | Read::Null) => String::new(),
        Err(finding) => return Err(rejection(vec![finding])),
    };
    match control.as_str() {
        "NW" => register(reader, OrderControl::New, warnings),
        "XO" if reader.profile.accept_change_order => {
            register(reader, OrderControl::Change, warnings)
        }
        "CA" => accession_alone(reader, warnings).map(Change::CancelOrder),
        "CM" => accession_alone(reader, warnings).map(Change::CompleteOrder),
        other => {
            let offset = reader
                .message
                .leaf(loc!("ORC-1"))
                .map(|leaf| leaf.span().start);
            let condition = if other.is_empty() {
                ErrorCondition::RequiredFieldMissing
            } else {
                ErrorCondition::TableValueNotFound
            };
            Err(Rejection::single(
                condition,
                loc!("ORC-1"),
                offset,
                format!(
                    "Order control {} is not supported.",
                    shown(other.as_bytes())
                ),
            ))
        }
    }
}

fn register(
    reader: Reader<'_, '_>,
    control: OrderControl,
    warnings: &mut Vec<Warning>,
) -> Result<Change, Rejection> {
    let mut findings = Vec::new();
    let mandatory = |row: &Row| row.is_mandatory(reader.mapping);
    let mut patches = reader.patches(|_| true, mandatory, &mut findings, warnings);
    let accession_number = accession_number(reader, &patches, &mut findings);
    let patient_id = patient_id(patches.text(Attribute::PatientId), &mut findings);
    if let Some(rejection) = Rejection::of(findings) {
        return Err(rejection);
    }
    let (Some(accession_number), Some(patient_id)) = (accession_number, patient_id) else {
        // Both are mandatory: without findings they are there.
        return Err(rejection(vec![no_accession_number(reader)]));
    };
    if *patches.get(Attribute::StudyInstanceUid) == Patch::Clear {
        warnings.push(Warning {
            code: "kept",
            location: Some(loc!("ZDS-1.1")),
            message: "the Study Instance UID of an order is kept for good".into(),
        });
        patches.put(Attribute::StudyInstanceUid, Patch::Keep);
    }
    let facility = String::from_utf8_lossy(reader.message.header().sending_facility().as_bytes());
    let derived_uid = StudyInstanceUid::derived(&facility, &accession_number);
    Ok(Change::RegisterOrder(RegisterOrder {
        control,
        accession_number,
        patient_id,
        patches,
        derived_uid: derived_uid.as_str().to_owned(),
        segments: reader.segments(),
    }))
}

/// CA and CM need the accession number and nothing else.
fn accession_alone(
    reader: Reader<'_, '_>,
    warnings: &mut Vec<Warning>,
) -> Result<AccessionNumber, Rejection> {
    let mut findings = Vec::new();
    let only = |attribute| attribute == Attribute::AccessionNumber;
    let patches = reader.patches(only, |_| true, &mut findings, warnings);
    let accession_number = accession_number(reader, &patches, &mut findings);
    match (accession_number, Rejection::of(findings)) {
        (Some(accession_number), None) => Ok(accession_number),
        (_, Some(rejection)) => Err(rejection),
        (None, None) => Err(rejection(vec![no_accession_number(reader)])),
    }
}

/// The accession number that a message names; where it names what cannot be one, a finding.
pub(super) fn accession_number(
    reader: Reader<'_, '_>,
    patches: &Patches,
    findings: &mut Vec<Finding>,
) -> Option<AccessionNumber> {
    let row = Attribute::AccessionNumber.row();
    key(
        patches.text(row.attribute),
        row.place(reader.mapping),
        findings,
    )
}

fn no_accession_number(reader: Reader<'_, '_>) -> Finding {
    reader.missing(Attribute::AccessionNumber.row().place(reader.mapping))
}

/// The identifier in `text`; where there is text that cannot be one, a finding.
fn key<T: for<'t> TryFrom<&'t str>>(
    text: Option<&str>,
    location: Location,
    findings: &mut Vec<Finding>,
) -> Option<T> {
    let text = text?;
    let id = T::try_from(text).ok();
    if id.is_none() {
        findings.push(Finding {
            location,
            offset: None,
            condition: ErrorCondition::DataType,
            message: format!("{} holds control characters.", field(location)),
        });
    }
    id
}

pub(super) fn rejection(findings: Vec<Finding>) -> Rejection {
    let text = findings
        .first()
        .map(|finding| finding.message.clone())
        .unwrap_or_default();
    Rejection::of(findings).unwrap_or(Rejection {
        findings: Vec::new(),
        text,
    })
}

/// The patient id in `text`, as [`key`].
pub(super) fn patient_id(text: Option<&str>, findings: &mut Vec<Finding>) -> Option<PatientId> {
    key(text, Attribute::PatientId.row().location(), findings)
}
