//! Patients, and what changed of them and of their orders.

use medsynapse::{Attribute, Attributes, Order, Patch, Patches, PatientId, ReportStatus};

use super::rows::{ChangeRow, Entry, PATIENT_COLUMNS, PatientRow, Rows};
use crate::error::StoreError;
use crate::record::{FieldChange, OrderRecord};

/// The fields that differ.
pub(crate) fn between(before: &OrderRecord, after: &OrderRecord) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    let mut add = |name: &str, old: Option<&str>, new: Option<&str>| {
        if old != new {
            fields.push(FieldChange(
                name.into(),
                old.map(Into::into),
                new.map(Into::into),
            ));
        }
    };
    add(
        "state",
        Some(before.order.state.as_str()),
        Some(after.order.state.as_str()),
    );
    let status = |record: &OrderRecord| record.report_status.map(ReportStatus::as_str);
    add("report_status", status(before), status(after));
    for attribute in Attribute::ALL {
        add(
            attribute.row().column,
            before.order.attributes.get(attribute),
            after.order.attributes.get(attribute),
        );
    }
    fields
}

/// Keeps what changed of an order.
pub(crate) fn of_order(
    rows: &mut dyn Rows,
    entry: Entry,
    order: &Order,
    fields: &[FieldChange],
) -> Result<(), StoreError> {
    if fields.is_empty() {
        return Ok(());
    }
    let patient_id = order.attributes.get(Attribute::PatientId);
    let change = ChangeRow {
        patient_id: patient_id.unwrap_or_default(),
        accession_number: Some(order.accession_number.as_str()),
        merged_into: None,
        fields,
    };
    rows.put_change(&change, entry)
}

/// What is known of a patient follows the last order.
pub(crate) fn put_patient(
    rows: &mut dyn Rows,
    entry: Entry,
    attributes: &Attributes,
) -> Result<(), StoreError> {
    let text = |attribute| attributes.get(attribute).map(str::to_owned);
    let after = [
        text(Attribute::PatientName),
        text(Attribute::PatientSex),
        text(Attribute::PatientBirthDate),
        None,
    ];
    let patient_id = attributes.get(Attribute::PatientId).unwrap_or_default();
    let before = rows.patient(patient_id)?;
    write(rows, entry, patient_id, before.as_ref(), &after)
}

/// What a message says of a patient who is known but has no orders.
pub(crate) fn patch_patient(
    rows: &mut dyn Rows,
    entry: Entry,
    patient_id: &PatientId,
    patches: &Patches,
) -> Result<(), StoreError> {
    let Some(before) = rows.patient(patient_id.as_str())? else {
        return Ok(());
    };
    let mut after = before.clone();
    let places = [
        Attribute::PatientName,
        Attribute::PatientSex,
        Attribute::PatientBirthDate,
    ];
    for (slot, attribute) in after.iter_mut().zip(places) {
        match patches.get(attribute) {
            Patch::Keep => {}
            Patch::Clear => *slot = None,
            Patch::Set(text) => *slot = Some(text.as_ref().into()),
        }
    }
    write(rows, entry, patient_id.as_str(), Some(&before), &after)
}

fn write(
    rows: &mut dyn Rows,
    entry: Entry,
    patient_id: &str,
    before: Option<&PatientRow>,
    after: &PatientRow,
) -> Result<(), StoreError> {
    if before == Some(after) {
        return Ok(());
    }
    rows.put_patient(patient_id, after, entry)?;
    let Some(before) = before else {
        return Ok(());
    };
    let fields: Vec<FieldChange> = PATIENT_COLUMNS
        .iter()
        .zip(before.iter().zip(after))
        .filter(|(_, (old, new))| old != new)
        .map(|(name, (old, new))| FieldChange((*name).into(), old.clone(), new.clone()))
        .collect();
    let change = ChangeRow {
        patient_id,
        accession_number: None,
        merged_into: None,
        fields: &fields,
    };
    rows.put_change(&change, entry)
}

/// Everything else under the old id goes to the new one.
pub(crate) fn merge(
    rows: &mut dyn Rows,
    entry: Entry,
    from: &PatientId,
    into: &PatientId,
) -> Result<(), StoreError> {
    rows.move_reports(from, into)?;
    let Some(mut row) = rows.patient(from.as_str())? else {
        return Ok(());
    };
    let [.., merged_into] = &mut row;
    *merged_into = Some(into.as_str().into());
    rows.put_patient(from.as_str(), &row, entry)?;
    let change = ChangeRow {
        patient_id: from.as_str(),
        accession_number: None,
        merged_into: Some(into.as_str()),
        fields: &[],
    };
    rows.put_change(&change, entry)
}
