//! What a change does to the rows, decided before anything is written.

use hl7_message::{Charset, loc};
use medsynapse::{
    Attribute, Attributes, Change, Effect, Order, OrderControl, OrderState, Patch, Patches,
    PatientId, PatientMerge, PatientUpdate, RegisterOrder, Report, ReportStatus,
};

use super::changes;
use super::rows::{Entry, Rows};
use crate::error::StoreError;
use crate::record::{FieldChange, Note, OrderRecord, Received};

/// What becomes of a change, and the rows that say so.
pub(crate) struct Plan {
    pub(crate) effect: Effect,
    pub(crate) writes: Vec<Write>,
    pub(crate) warnings: Vec<Note>,
}

impl Plan {
    pub(crate) fn nothing(effect: Effect) -> Self {
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
pub(crate) enum Write {
    /// An order and what changed of it, and what it says of its patient.
    Order(Box<OrderRecord>, Vec<FieldChange>),
    CancelOrder(Box<OrderRecord>),
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
    pub(crate) fn run(&self, rows: &mut dyn Rows, entry: Entry) -> Result<(), StoreError> {
        match self {
            Self::Order(record, fields) => {
                rows.put_order(record)?;
                let order = &record.order;
                changes::of_order(rows, entry, order, fields)?;
                changes::put_patient(rows, entry, &order.attributes)
            }
            Self::CancelOrder(record) => rows.cancel_order(record, entry),
            Self::Report(report, version) => rows.put_report(report, *version, entry),
            Self::Patient(patient_id, patches) => {
                changes::patch_patient(rows, entry, patient_id, patches)
            }
            Self::Merge { from, into } => changes::merge(rows, entry, from, into),
        }
    }
}

/// Decides what a change does.
pub(crate) fn plan(
    rows: &mut dyn Rows,
    change: &Change,
    received: &Received,
    entry: Entry,
) -> Result<Plan, StoreError> {
    match change {
        Change::RegisterOrder(register) => register_order(rows, register, received, entry),
        Change::CancelOrder(accession_number) => Ok(match rows.order(accession_number)? {
            None => Plan::nothing(Effect::UnknownOrder(accession_number.clone())),
            Some(record) => Plan::one(Effect::OrderCancelled, Write::CancelOrder(Box::new(record))),
        }),
        Change::CompleteOrder(accession_number) => Ok(match rows.order(accession_number)? {
            None => Plan::nothing(Effect::UnknownOrder(accession_number.clone())),
            Some(record) => {
                let mut after = record.clone();
                after.order.state = OrderState::Completed;
                Plan::one(Effect::OrderCompleted, changed(&record, after, entry))
            }
        }),
        Change::StoreReport(report) => store_report(rows, report, entry),
        Change::UpdatePatient(update) => update_patient(rows, update, received, entry),
        Change::MergePatient(merge) => merge_patient(rows, merge, received, entry),
    }
}

/// An order that this entry changed.
pub(crate) fn changed(before: &OrderRecord, after: OrderRecord, entry: Entry) -> Write {
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

fn store_report(rows: &mut dyn Rows, report: &Report, entry: Entry) -> Result<Plan, StoreError> {
    let version = rows.next_version(&report.accession_number)?;
    let effect = if version == 1 {
        Effect::ReportRegistered
    } else {
        Effect::ReportUpdated
    };
    let known = rows.order(&report.accession_number)?;
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
    rows: &mut dyn Rows,
    register: &RegisterOrder,
    received: &Received,
    entry: Entry,
) -> Result<Plan, StoreError> {
    let known = rows.order(&register.accession_number)?;
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
        let uid = rows.cancelled_uid(&register.accession_number)?;
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
    rows: &mut dyn Rows,
    update: &PatientUpdate,
    received: &Received,
    entry: Entry,
) -> Result<Plan, StoreError> {
    let mut writes = Vec::new();
    for record in rows.orders_of(&update.patient_id)? {
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
    rows: &mut dyn Rows,
    merge: &PatientMerge,
    received: &Received,
    entry: Entry,
) -> Result<Plan, StoreError> {
    let patches = surviving(rows, merge)?;
    let mut writes = Vec::new();
    for record in rows.orders_of(&merge.from)? {
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
fn surviving(rows: &mut dyn Rows, merge: &PatientMerge) -> Result<Patches, StoreError> {
    let mut patches = merge.patches.clone();
    let held = rows.orders_of(&merge.into)?;
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
