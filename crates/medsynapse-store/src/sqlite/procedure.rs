//! Performed procedure steps: what a modality says it does, and what that means for orders.

use medsynapse::AccessionNumber;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::act::{Effects, order_step};
use super::apply::Entry;
use super::rows::{micros, moment, odd};
use super::seal::PROCEDURES;
use crate::action::{Action, ActionOutcome, OrderStep, Procedure, ProcedureState};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::record::ProcedureRecord;

/// Decides what a procedure step does. Orders that are not known, or cannot go there, stop
/// nothing: the modality has done what it says.
pub(super) fn plan(
    transaction: &Transaction<'_>,
    procedure: &Procedure,
    entry: Entry,
    action: &Action,
) -> Result<Effects, StoreError> {
    let known = read(transaction, &procedure.sop_instance_uid)?;
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
            let of_order = order_step(transaction, accession_number, &step, entry, action)?;
            effects.append(of_order);
        }
    }
    Ok(effects)
}

/// Writes the procedure step.
pub(super) fn put(
    transaction: &Transaction<'_>,
    procedure: &Procedure,
    entry: Entry,
) -> Result<(), StoreError> {
    let names: Vec<&str> = procedure
        .accession_numbers
        .iter()
        .map(AccessionNumber::as_str)
        .collect();
    let names =
        serde_json::to_string(&names).map_err(|error| StoreError::Database(error.to_string()))?;
    transaction
        .prepare_cached(
            "INSERT INTO procedure_steps (sop_instance_uid, state, station_ae_title, \
             study_instance_uid, accession_numbers, dataset, created_at, updated_at, created_by, \
             updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?8) \
             ON CONFLICT (sop_instance_uid) DO UPDATE SET state = excluded.state, \
             study_instance_uid = coalesce(excluded.study_instance_uid, study_instance_uid), \
             accession_numbers = iif(excluded.accession_numbers = '[]', accession_numbers, \
             excluded.accession_numbers), \
             dataset = iif(length(excluded.dataset) = 0, dataset, excluded.dataset), \
             updated_at = excluded.updated_at, updated_by = excluded.updated_by",
        )?
        .execute(params![
            procedure.sop_instance_uid,
            procedure.state.as_str(),
            procedure.station_ae_title,
            procedure.study_instance_uid,
            names,
            procedure.dataset,
            micros(entry.at),
            entry.id,
        ])?;
    // What was there before was read, and so checked, in this transaction.
    let sum = PROCEDURES.expression("", &[]);
    transaction
        .prepare_cached(&format!(
            "UPDATE procedure_steps SET checksum = {sum} WHERE sop_instance_uid = ?1"
        ))?
        .execute([&procedure.sop_instance_uid])?;
    Ok(())
}

/// One procedure step.
pub(super) fn read(
    connection: &Connection,
    sop_instance_uid: &str,
) -> Result<Option<ProcedureRecord>, StoreError> {
    let sql = format!(
        "SELECT {} FROM procedure_steps WHERE sop_instance_uid = ?1",
        PROCEDURES.select("")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let record = |row: &Row<'_>| {
        PROCEDURES.check(row, 0)?;
        Ok(ProcedureRecord {
            sop_instance_uid: row.get(0)?,
            state: ProcedureState::from_name(row.get_ref(1)?.as_str()?)
                .ok_or_else(|| odd(1, "procedure state"))?,
            station_ae_title: row.get(2)?,
            study_instance_uid: row.get(3)?,
            accession_numbers: serde_json::from_str(row.get_ref(4)?.as_str()?)
                .map_err(|_| odd(4, "list of accession numbers"))?,
            dataset: row.get(5)?,
            created_at: moment(row, 6)?,
            updated_at: moment(row, 7)?,
        })
    };
    Ok(statement.query_row([sop_instance_uid], record).optional()?)
}
