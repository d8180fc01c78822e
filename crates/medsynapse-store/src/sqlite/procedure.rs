//! Performed procedure steps as rows, both ways.

use std::sync::LazyLock;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::{micros, moment, odd};
use super::tables::PROCEDURES;
use crate::action::ProcedureState;
use crate::decide::ProcedureRow;
use crate::error::StoreError;
use crate::record::ProcedureRecord;
use crate::vault::Vault;

static FIND: LazyLock<String> = LazyLock::new(|| {
    let columns = PROCEDURES.select("");
    format!("SELECT {columns} FROM procedure_steps WHERE sop_instance_uid = ?1")
});

static UPSERT: LazyLock<String> = LazyLock::new(|| PROCEDURES.upsert("sop_instance_uid"));

/// One procedure step.
pub(super) fn read(
    connection: &Connection,
    sop_instance_uid: &str,
) -> Result<Option<ProcedureRow>, StoreError> {
    let mut statement = connection.prepare_cached(&FIND)?;
    let record = |row: &Row<'_>| {
        PROCEDURES.check(row, 0)?;
        let record = ProcedureRecord {
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
        };
        Ok(ProcedureRow {
            record,
            created_by: row.get(8)?,
            updated_by: row.get(9)?,
        })
    };
    Ok(statement.query_row([sop_instance_uid], record).optional()?)
}

/// Writes a procedure step, new or changed.
pub(super) fn put(
    connection: &Connection,
    vault: Option<&Vault>,
    row: &ProcedureRow,
) -> Result<(), StoreError> {
    let record = &row.record;
    let names = serde_json::to_string(&record.accession_numbers)
        .map_err(|error| StoreError::Database(error.to_string()))?;
    let values = params![
        record.sop_instance_uid,
        record.state.as_str(),
        record.station_ae_title,
        record.study_instance_uid,
        names,
        record.dataset,
        micros(record.created_at),
        micros(record.updated_at),
        row.created_by,
        row.updated_by,
    ];
    Ok(PROCEDURES.put(connection, vault, &UPSERT, values, None)?)
}
