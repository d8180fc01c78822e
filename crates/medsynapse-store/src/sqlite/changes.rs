//! Patients, and what changed of them and of their orders.

use std::sync::LazyLock;

use medsynapse::{Attribute, Attributes, Order, Patch, Patches, PatientId, ReportStatus};
use rusqlite::{Connection, OptionalExtension, params};

use super::apply::Entry;
use super::rows::micros;
use super::seal::{CHANGES, PATIENTS, REPORTS};
use crate::error::StoreError;
use crate::record::{FieldChange, OrderRecord};

static INSERT: LazyLock<String> = LazyLock::new(|| CHANGES.insert(&[]));

static FIND: LazyLock<String> = LazyLock::new(|| {
    let columns = PATIENTS.select("");
    format!("SELECT {columns} FROM patients WHERE patient_id = ?1")
});

static UPSERT: LazyLock<String> = LazyLock::new(|| PATIENTS.upsert("patient_id"));

/// The fields that differ.
pub(super) fn between(before: &OrderRecord, after: &OrderRecord) -> Vec<FieldChange> {
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
pub(super) fn of_order(
    connection: &Connection,
    entry: Entry,
    order: &Order,
    fields: &[FieldChange],
) -> Result<(), StoreError> {
    if fields.is_empty() {
        return Ok(());
    }
    let patient_id = order.attributes.get(Attribute::PatientId);
    let change = Change {
        patient_id: patient_id.unwrap_or_default(),
        accession_number: Some(order.accession_number.as_str()),
        merged_into: None,
        fields,
    };
    change.insert(connection, entry)
}

struct Change<'a> {
    patient_id: &'a str,
    accession_number: Option<&'a str>,
    merged_into: Option<&'a str>,
    fields: &'a [FieldChange],
}

impl Change<'_> {
    fn insert(&self, connection: &Connection, entry: Entry) -> Result<(), StoreError> {
        let fields = serde_json::to_string(self.fields)
            .map_err(|error| StoreError::Database(error.to_string()))?;
        let values = params![
            entry.id,
            micros(entry.at),
            self.patient_id,
            self.accession_number,
            self.merged_into,
            fields
        ];
        Ok(CHANGES.put(connection, &INSERT, values, &[])?)
    }
}

/// What is kept of a patient: name, sex, birth date, and the id that this one went to.
type Row = [Option<String>; 4];

const COLUMNS: [&str; 4] = ["name", "sex", "birth_date", "merged_into"];

fn patient(connection: &Connection, patient_id: &str) -> Result<Option<Row>, StoreError> {
    Ok(connection
        .prepare_cached(&FIND)?
        .query_row([patient_id], |row| {
            PATIENTS.check(row, 0)?;
            Ok([row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?])
        })
        .optional()?)
}

/// What is known of a patient follows the last order.
pub(super) fn put_patient(
    connection: &Connection,
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
    let before = patient(connection, patient_id)?;
    write(connection, entry, patient_id, before.as_ref(), &after)
}

/// What a message says of a patient who is known but has no orders.
pub(super) fn patch_patient(
    connection: &Connection,
    entry: Entry,
    patient_id: &PatientId,
    patches: &Patches,
) -> Result<(), StoreError> {
    let Some(before) = patient(connection, patient_id.as_str())? else {
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
    write(
        connection,
        entry,
        patient_id.as_str(),
        Some(&before),
        &after,
    )
}

fn write(
    connection: &Connection,
    entry: Entry,
    patient_id: &str,
    before: Option<&Row>,
    after: &Row,
) -> Result<(), StoreError> {
    if before == Some(after) {
        return Ok(());
    }
    let [name, sex, birth_date, merged_into] = after;
    let values = params![
        patient_id,
        name,
        sex,
        birth_date,
        merged_into,
        micros(entry.at),
        entry.id,
    ];
    PATIENTS.put(connection, &UPSERT, values, &[])?;
    let Some(before) = before else {
        return Ok(());
    };
    let fields: Vec<FieldChange> = COLUMNS
        .iter()
        .zip(before.iter().zip(after))
        .filter(|(_, (old, new))| old != new)
        .map(|(name, (old, new))| FieldChange((*name).into(), old.clone(), new.clone()))
        .collect();
    let change = Change {
        patient_id,
        accession_number: None,
        merged_into: None,
        fields: &fields,
    };
    change.insert(connection, entry)
}

/// Everything else under the old id goes to the new one.
pub(super) fn merge(
    connection: &Connection,
    entry: Entry,
    from: &PatientId,
    into: &PatientId,
) -> Result<(), StoreError> {
    let (from, into) = (from.as_str(), into.as_str());
    let moved = REPORTS.update(&[("patient_id", "?2")], "patient_id = ?1");
    connection.prepare_cached(&moved)?.execute([from, into])?;
    let sets = [
        ("merged_into", "?2"),
        ("updated_at", "?3"),
        ("updated_by", "?4"),
    ];
    let known = connection
        .prepare_cached(&PATIENTS.update(&sets, "patient_id = ?1"))?
        .execute(params![from, into, micros(entry.at), entry.id])?;
    if known == 0 {
        return Ok(());
    }
    let change = Change {
        patient_id: from,
        accession_number: None,
        merged_into: Some(into),
        fields: &[],
    };
    change.insert(connection, entry)
}
