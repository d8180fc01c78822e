//! What a change does to the rows, decided before anything is written.

use hl7_message::loc;
use medsynapse::{
    AccessionNumber, Attribute, Attributes, Change, Effect, Order, OrderControl, OrderState, Patch,
    Patches, PatientId, PatientMerge, PatientUpdate, RegisterOrder, Report,
};
use rusqlite::{Transaction, params};

use super::rows::{micros, next_version, order, orders_of, put_order, put_report};
use crate::error::StoreError;
use crate::record::{Note, OrderRecord, Received};

/// What becomes of a change, and the rows that say so.
pub(super) struct Plan {
    pub(super) effect: Effect,
    pub(super) writes: Vec<Write>,
    pub(super) warnings: Vec<Note>,
}

impl Plan {
    fn nothing(effect: Effect) -> Self {
        Self {
            effect,
            writes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn one(effect: Effect, write: Write) -> Self {
        Self {
            effect,
            writes: vec![write],
            warnings: Vec::new(),
        }
    }
}

/// One thing to write.
pub(super) enum Write {
    /// An order, and what it says of its patient.
    Order(Box<OrderRecord>),
    DeleteOrder(AccessionNumber),
    Report(Box<Report>, u32),
    /// Everything else under the old id goes to the new one.
    Merge {
        from: PatientId,
        into: PatientId,
    },
}

impl Write {
    pub(super) fn run(
        &self,
        transaction: &Transaction<'_>,
        received: &Received,
        id: i64,
    ) -> Result<(), StoreError> {
        match self {
            Self::Order(record) => {
                put_order(transaction, record)?;
                put_patient(transaction, &record.order.attributes, received, id)
            }
            Self::DeleteOrder(accession_number) => {
                transaction
                    .prepare_cached("DELETE FROM orders WHERE accession_number = ?1")?
                    .execute([accession_number.as_str()])?;
                Ok(())
            }
            Self::Report(report, version) => {
                put_report(transaction, report, *version, received.received_at, id)
            }
            Self::Merge { from, into } => merge(transaction, from, into, received, id),
        }
    }
}

/// Decides what a change does.
pub(super) fn plan(
    transaction: &Transaction<'_>,
    change: &Change,
    received: &Received,
    id: i64,
) -> Result<Plan, StoreError> {
    match change {
        Change::RegisterOrder(register) => register_order(transaction, register, received, id),
        Change::CancelOrder(accession_number) => {
            Ok(if order(transaction, accession_number)?.is_none() {
                Plan::nothing(Effect::UnknownOrder(accession_number.clone()))
            } else {
                let delete = Write::DeleteOrder(accession_number.clone());
                Plan::one(Effect::OrderCancelled, delete)
            })
        }
        Change::CompleteOrder(accession_number) => {
            Ok(match order(transaction, accession_number)? {
                None => Plan::nothing(Effect::UnknownOrder(accession_number.clone())),
                Some(mut record) => {
                    record.order.state = OrderState::Completed;
                    Plan::one(Effect::OrderCompleted, changed(record, received, id))
                }
            })
        }
        Change::StoreReport(report) => {
            let version = next_version(transaction, &report.accession_number)?;
            let effect = if version == 1 {
                Effect::ReportRegistered
            } else {
                Effect::ReportUpdated
            };
            Ok(Plan {
                warnings: foreign(transaction, report)?,
                ..Plan::one(effect, Write::Report(Box::new(report.clone()), version))
            })
        }
        Change::UpdatePatient(update) => update_patient(transaction, update, received, id),
        Change::MergePatient(merge) => merge_patient(transaction, merge, received, id),
    }
}

/// An order that this message changed.
fn changed(record: OrderRecord, received: &Received, id: i64) -> Write {
    let updated_at = received.received_at;
    Write::Order(Box::new(OrderRecord {
        updated_at,
        updated_by: id,
        ..record
    }))
}

fn register_order(
    transaction: &Transaction<'_>,
    register: &RegisterOrder,
    received: &Received,
    id: i64,
) -> Result<Plan, StoreError> {
    let known = order(transaction, &register.accession_number)?;
    if known.is_none() && register.control == OrderControl::Change {
        return Ok(Plan::nothing(Effect::UnknownOrder(
            register.accession_number.clone(),
        )));
    }
    let warnings = known
        .as_ref()
        .map(|known| moved(known, register))
        .unwrap_or_default();
    let effect = if known.is_some() {
        Effect::OrderUpdated
    } else {
        Effect::OrderRegistered
    };
    let mut record = known.unwrap_or_else(|| OrderRecord {
        order: Order {
            accession_number: register.accession_number.clone(),
            state: OrderState::Scheduled,
            attributes: Attributes::default(),
            segments: register.segments.clone(),
        },
        created_at: received.received_at,
        updated_at: received.received_at,
        created_by: id,
        updated_by: id,
    });
    record.order.segments = register.segments.clone();
    let attributes = &mut record.order.attributes;
    attributes.apply(&register.patches);
    if attributes.get(Attribute::StudyInstanceUid).is_none() {
        attributes.set(Attribute::StudyInstanceUid, &register.derived_uid);
    }
    Ok(Plan {
        warnings,
        ..Plan::one(effect, changed(record, received, id))
    })
}

/// What an update changes that should stay for the life of an order.
fn moved(known: &OrderRecord, register: &RegisterOrder) -> Vec<Note> {
    let differs = |attribute, new: Option<&str>| {
        let old = known.order.attributes.get(attribute);
        old.is_some() && new.is_some() && old != new
    };
    let mut warnings = Vec::new();
    if differs(Attribute::PatientId, Some(register.patient_id.as_str())) {
        let text = "the order was another patient's; it now belongs to this one";
        warnings.push(Note::warning("other-patient", Some(loc!("PID-3.1")), text));
    }
    let uid = register.patches.text(Attribute::StudyInstanceUid);
    if differs(Attribute::StudyInstanceUid, uid) {
        let text = "the order had another Study Instance UID; it now has this one";
        warnings.push(Note::warning("other-uid", Some(loc!("ZDS-1.1")), text));
    }
    warnings
}

/// What is odd about a report for an order that is known.
fn foreign(transaction: &Transaction<'_>, report: &Report) -> Result<Vec<Note>, StoreError> {
    let known = order(transaction, &report.accession_number)?;
    let patient = known
        .as_ref()
        .and_then(|o| o.order.attributes.get(Attribute::PatientId));
    if patient.is_none_or(|patient| patient == report.patient_id.as_str()) {
        return Ok(Vec::new());
    }
    let text = "the order of this report is another patient's";
    Ok(vec![Note::warning(
        "other-patient",
        Some(loc!("PID-3.1")),
        text,
    )])
}

fn update_patient(
    transaction: &Transaction<'_>,
    update: &PatientUpdate,
    received: &Received,
    id: i64,
) -> Result<Plan, StoreError> {
    let mut writes = Vec::new();
    for mut record in orders_of(transaction, &update.patient_id)? {
        record.order.attributes.apply(&update.patches);
        writes.push(changed(record, received, id));
    }
    Ok(Plan {
        effect: Effect::PatientUpdated {
            orders: writes.len() as u64,
        },
        writes,
        warnings: Vec::new(),
    })
}

fn merge_patient(
    transaction: &Transaction<'_>,
    merge: &PatientMerge,
    received: &Received,
    id: i64,
) -> Result<Plan, StoreError> {
    let patches = surviving(transaction, merge)?;
    let mut writes = Vec::new();
    for mut record in orders_of(transaction, &merge.from)? {
        record
            .order
            .attributes
            .set(Attribute::PatientId, merge.into.as_str());
        record.order.attributes.apply(&patches);
        writes.push(changed(record, received, id));
    }
    let effect = Effect::PatientMerged {
        orders: writes.len() as u64,
    };
    writes.push(Write::Merge {
        from: merge.from.clone(),
        into: merge.into.clone(),
    });
    Ok(Plan {
        effect,
        writes,
        warnings: Vec::new(),
    })
}

/// The demographics of the patient that stays: from the message, else from the order under its
/// id that was changed last.
fn surviving(transaction: &Transaction<'_>, merge: &PatientMerge) -> Result<Patches, StoreError> {
    let mut patches = merge.patches.clone();
    let held = orders_of(transaction, &merge.into)?;
    let Some(last) = held.iter().max_by_key(|record| record.updated_by) else {
        return Ok(patches);
    };
    let demographics = [
        Attribute::PatientName,
        Attribute::PatientSex,
        Attribute::PatientBirthDate,
    ];
    for attribute in demographics {
        if *patches.get(attribute) == Patch::Keep {
            let patch = match last.order.attributes.get(attribute) {
                Some(text) => Patch::Set(text.into()),
                None => Patch::Clear,
            };
            patches.put(attribute, patch);
        }
    }
    Ok(patches)
}

/// What is known of a patient follows the last order.
fn put_patient(
    transaction: &Transaction<'_>,
    attributes: &Attributes,
    received: &Received,
    id: i64,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO patients (patient_id, name, sex, birth_date, updated_at, updated_by) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (patient_id) DO UPDATE SET \
             name = excluded.name, sex = excluded.sex, birth_date = excluded.birth_date, \
             merged_into = NULL, updated_at = excluded.updated_at, \
             updated_by = excluded.updated_by",
        )?
        .execute(params![
            attributes.get(Attribute::PatientId),
            attributes.get(Attribute::PatientName),
            attributes.get(Attribute::PatientSex),
            attributes.get(Attribute::PatientBirthDate),
            micros(received.received_at),
            id,
        ])?;
    Ok(())
}

fn merge(
    transaction: &Transaction<'_>,
    from: &PatientId,
    into: &PatientId,
    received: &Received,
    id: i64,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached("UPDATE reports SET patient_id = ?2 WHERE patient_id = ?1")?
        .execute([from.as_str(), into.as_str()])?;
    transaction
        .prepare_cached(
            "UPDATE patients SET merged_into = ?2, updated_at = ?3, updated_by = ?4 \
             WHERE patient_id = ?1",
        )?
        .execute(params![
            from.as_str(),
            into.as_str(),
            micros(received.received_at),
            id
        ])?;
    Ok(())
}
