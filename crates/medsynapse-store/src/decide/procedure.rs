//! Performed procedure steps: what a modality says it does, and what that means for orders.

use medsynapse::AccessionNumber;

use super::act::{Effects, order_step};
use super::rows::{Entry, ProcedureRow, Rows};
use crate::action::{Action, ActionOutcome, OrderStep, Procedure, ProcedureState};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::record::ProcedureRecord;

/// Decides what a procedure step does. Orders that are not known, or cannot go there, stop
/// nothing: the modality has done what it says.
pub(crate) fn plan(
    rows: &mut dyn Rows,
    procedure: &Procedure,
    entry: Entry,
    action: &Action,
) -> Result<Effects, StoreError> {
    let known = rows
        .procedure(&procedure.sop_instance_uid)?
        .map(|row| row.record);
    let accession_numbers = match (&known, procedure.create) {
        (Some(_), true) => return Ok(Effects::only(ActionOutcome::DuplicateInstance)),
        (None, false) => return Ok(Effects::only(ActionOutcome::UnknownInstance)),
        (Some(known), false) if known.state != ProcedureState::InProgress => {
            return Ok(Effects::only(ActionOutcome::FinalInstance));
        }
        (Some(known), false) if procedure.accession_numbers.is_empty() => known
            .accession_numbers
            .iter()
            .filter_map(|text| AccessionNumber::try_from(text.as_str()).ok())
            .collect(),
        _ => procedure.accession_numbers.clone(),
    };
    let mut effects = Effects::only(ActionOutcome::Done);
    match procedure.state {
        ProcedureState::InProgress if !procedure.create => return Ok(effects),
        ProcedureState::InProgress => effects
            .events
            .push(EventKind::ProcedureStarted { entry_id: entry.id }),
        ProcedureState::Completed | ProcedureState::Discontinued => {
            effects
                .events
                .push(EventKind::ProcedureCompleted { entry_id: entry.id });
        }
    }
    let step = match procedure.state {
        ProcedureState::InProgress => OrderStep::Started,
        ProcedureState::Completed => OrderStep::Completed,
        ProcedureState::Discontinued if procedure.reschedule_discontinued => OrderStep::Rescheduled,
        ProcedureState::Discontinued => OrderStep::Discontinued,
    };
    let mut seen: Vec<&AccessionNumber> = Vec::new();
    for accession_number in &accession_numbers {
        if !seen.contains(&accession_number) {
            seen.push(accession_number);
            let of_order = order_step(rows, accession_number, &step, entry, action)?;
            effects.append(of_order);
        }
    }
    Ok(effects)
}

/// Writes the procedure step: what the modality did not say stays as it was.
pub(crate) fn put(
    rows: &mut dyn Rows,
    procedure: &Procedure,
    entry: Entry,
) -> Result<(), StoreError> {
    let known = rows.procedure(&procedure.sop_instance_uid)?;
    let names = procedure.accession_numbers.iter();
    let names: Vec<String> = names.map(|name| name.as_str().into()).collect();
    let row = match known {
        None => ProcedureRow {
            record: ProcedureRecord {
                sop_instance_uid: procedure.sop_instance_uid.clone(),
                state: procedure.state,
                station_ae_title: procedure.station_ae_title.clone(),
                study_instance_uid: procedure.study_instance_uid.clone(),
                accession_numbers: names,
                dataset: procedure.dataset.clone(),
                created_at: entry.at,
                updated_at: entry.at,
            },
            created_by: entry.id,
            updated_by: entry.id,
        },
        Some(mut row) => {
            let record = &mut row.record;
            record.state = procedure.state;
            if procedure.study_instance_uid.is_some() {
                record
                    .study_instance_uid
                    .clone_from(&procedure.study_instance_uid);
            }
            if !names.is_empty() {
                record.accession_numbers = names;
            }
            if !procedure.dataset.is_empty() {
                record.dataset.clone_from(&procedure.dataset);
            }
            record.updated_at = entry.at;
            row.updated_by = entry.id;
            row
        }
    };
    rows.put_procedure(&row)
}
