//! What a change does to the rows, decided before anything is written.

use hl7_message::{Charset, loc};
use medsynapse::{
    Attribute, Attributes, Change, Effect, Order, OrderControl, OrderState, Patch, Patches,
    PatientId, PatientMerge, PatientUpdate, RegisterOrder, Report, ReportStatus,
};
use rusqlite::Transaction;

use super::apply::Entry;
use super::changes;
use super::rows::{
    cancelled_uid, delete_order, next_version, order, orders_of, put_order, put_report,
};
use super::tombstones::Tombstones;
use crate::error::StoreError;
use crate::record::{FieldChange, Note, OrderRecord, Received};

/// What becomes of a change, and the rows that say so.
pub(super) struct Plan {
    pub(super) effect: Effect,
    pub(super) writes: Vec<Write>,
    pub(super) warnings: Vec<Note>,
}

impl Plan {
    pub(super) fn nothing(effect: Effect) -> Self {
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
    /// An order and what changed of it, and what it says of its patient.
    Order(Box<OrderRecord>, Vec<FieldChange>),
    DeleteOrder(Box<OrderRecord>),
    Report(Box<Report>, u32),
    /// What a message says of a patient who has no orders.
    Patient(PatientId, Box<Patches>),
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
        entry: Entry,
    ) -> Result<(), StoreError> {
        match self {
            Self::Order(record, fields) => {
                put_order(transaction, record)?;
                let order = &record.order;
                changes::of_order(transaction, entry, order, fields)?;
                changes::put_patient(transaction, entry, &order.attributes)
            }
            Self::DeleteOrder(record) => delete_order(transaction, record, entry),
            Self::Report(report, version) => put_report(transaction, report, *version, entry),
            Self::Patient(patient_id, patches) => {
                changes::patch_patient(transaction, entry, patient_id, patches)
            }
            Self::Merge { from, into } => changes::merge(transaction, entry, from, into),
        }
    }
}

/// Decides what a change does.
pub(super) fn plan(
    transaction: &Transaction<'_>,
    change: &Change,
    received: &Received,
    entry: Entry,
    tombstones: &mut Tombstones,
) -> Result<Plan, StoreError> {
    match change {
        Change::RegisterOrder(register) => {
            register_order(transaction, register, received, entry, tombstones)
        }
        Change::CancelOrder(accession_number) => Ok(match order(transaction, accession_number)? {
            None => Plan::nothing(Effect::UnknownOrder(accession_number.clone())),
            Some(record) => {
                tombstones.insert(accession_number.as_str());
                Plan::one(Effect::OrderCancelled, Write::DeleteOrder(Box::new(record)))
            }
        }),
        Change::CompleteOrder(accession_number) => {
            Ok(match order(transaction, accession_number)? {
                None => Plan::nothing(Effect::UnknownOrder(accession_number.clone())),
                Some(record) => {
                    let mut after = record.clone();
                    after.order.state = OrderState::Completed;
                    Plan::one(Effect::OrderCompleted, changed(&record, after, entry))
                }
            })
        }
        Change::StoreReport(report) => store_report(transaction, report, entry),
        Change::UpdatePatient(update) => update_patient(transaction, update, received, entry),
        Change::MergePatient(merge) => merge_patient(transaction, merge, received, entry),
    }
}

/// An order that this entry changed.
pub(super) fn changed(before: &OrderRecord, after: OrderRecord, entry: Entry) -> Write {
    let fields = changes::between(before, &after);
    Write::Order(
        Box::new(OrderRecord {
            updated_at: entry.at,
            updated_by: entry.id,
            ..after
        }),
        fields,
    )
}

fn store_report(
    transaction: &Transaction<'_>,
    report: &Report,
    entry: Entry,
) -> Result<Plan, StoreError> {
    let version = next_version(transaction, &report.accession_number)?;
    let effect = if version == 1 {
        Effect::ReportRegistered
    } else {
        Effect::ReportUpdated
    };
    let known = order(transaction, &report.accession_number)?;
    let mut plan = Plan {
        warnings: known
            .as_ref()
            .map(|known| foreign(known, report))
            .unwrap_or_default(),
        ..Plan::one(effect, Write::Report(Box::new(report.clone()), version))
    };
    // A report from the RIS is final.
    if let Some(known) = known.filter(|known| known.report_status != Some(ReportStatus::Final)) {
        let after = OrderRecord {
            report_status: Some(ReportStatus::Final),
            ..known.clone()
        };
        plan.writes.push(changed(&known, after, entry));
    }
    Ok(plan)
}

fn register_order(
    transaction: &Transaction<'_>,
    register: &RegisterOrder,
    received: &Received,
    entry: Entry,
    tombstones: &Tombstones,
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
    let mut record = known.clone().unwrap_or_else(|| OrderRecord {
        id: 0,
        order: Order {
            accession_number: register.accession_number.clone(),
            state: OrderState::Scheduled,
            attributes: Attributes::default(),
            segments: register.segments.clone(),
        },
        report_status: None,
        completion_told: false,
        study_seen_at: None,
        sending_application: String::new(),
        sending_facility: String::new(),
        created_at: entry.at,
        updated_at: entry.at,
        created_by: entry.id,
        updated_by: entry.id,
    });
    record.order.segments = register.segments.clone();
    let facts = &received.facts;
    record
        .sending_application
        .clone_from(&facts.sending_application);
    record.sending_facility.clone_from(&facts.sending_facility);
    let attributes = &mut record.order.attributes;
    attributes.apply(&register.patches);
    if attributes.get(Attribute::StudyInstanceUid).is_none() {
        // An order that was cancelled and comes again is the same study.
        let uid = if tombstones.may_contain(register.accession_number.as_str()) {
            cancelled_uid(transaction, &register.accession_number)?
        } else {
            None
        };
        let uid = uid.as_deref().unwrap_or(&register.derived_uid);
        attributes.set(Attribute::StudyInstanceUid, uid);
    }
    let write = match &known {
        Some(known) => changed(known, record, entry),
        None => Write::Order(Box::new(record), Vec::new()),
    };
    Ok(Plan {
        warnings,
        ..Plan::one(effect, write)
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
fn foreign(known: &OrderRecord, report: &Report) -> Vec<Note> {
    let patient = known.order.attributes.get(Attribute::PatientId);
    if patient.is_none_or(|patient| patient == report.patient_id.as_str()) {
        return Vec::new();
    }
    let text = "the order of this report is another patient's";
    vec![Note::warning("other-patient", Some(loc!("PID-3.1")), text)]
}

/// An order whose demographics are these now, in what goes back to the RIS too.
fn with_demographics(
    record: &OrderRecord,
    default_charset: Charset,
    change: impl FnOnce(&mut Attributes),
) -> OrderRecord {
    let mut after = record.clone();
    change(&mut after.order.attributes);
    let changed: Vec<Attribute> = Attribute::ALL
        .into_iter()
        .filter(|&attribute| {
            record.order.attributes.get(attribute) != after.order.attributes.get(attribute)
        })
        .collect();
    let order = &mut after.order;
    // Segments that cannot be edited stay as they came: they were the RIS's own.
    if let Some(segments) =
        order
            .segments
            .with_demographics(&order.attributes, &changed, default_charset)
    {
        order.segments = segments;
    }
    after
}

fn update_patient(
    transaction: &Transaction<'_>,
    update: &PatientUpdate,
    received: &Received,
    entry: Entry,
) -> Result<Plan, StoreError> {
    let mut writes = Vec::new();
    for record in orders_of(transaction, &update.patient_id)? {
        let after = with_demographics(&record, received.default_charset, |attributes| {
            attributes.apply(&update.patches);
        });
        writes.push(changed(&record, after, entry));
    }
    let effect = Effect::PatientUpdated {
        orders: writes.len() as u64,
    };
    if writes.is_empty() {
        writes.push(Write::Patient(
            update.patient_id.clone(),
            Box::new(update.patches.clone()),
        ));
    }
    Ok(Plan {
        effect,
        writes,
        warnings: Vec::new(),
    })
}

fn merge_patient(
    transaction: &Transaction<'_>,
    merge: &PatientMerge,
    received: &Received,
    entry: Entry,
) -> Result<Plan, StoreError> {
    let patches = surviving(transaction, merge)?;
    let mut writes = Vec::new();
    for record in orders_of(transaction, &merge.from)? {
        let after = with_demographics(&record, received.default_charset, |attributes| {
            attributes.set(Attribute::PatientId, merge.into.as_str());
            attributes.apply(&patches);
        });
        writes.push(changed(&record, after, entry));
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
