//! Rows as they are read.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use medsynapse::{
    AccessionNumber, Attribute, Attributes, Order, OrderState, PatientId, Report, ReportFormat,
    ReportStatus, Segments, StudyStatus,
};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::action::ProcedureState;
use crate::error::StoreError;
use crate::outbox::{OutboxItem, OutboxState, Try};
use crate::query::Direction;
use crate::record::{
    ActionRecord, CancelledOrder, ChangeRecord, MessageSummary, OrderRecord, PatientRecord,
    ProcedureRecord, ReportRecord,
};
use crate::work::DeliveryOutcome;

/// Columns with the alias of their table, a dot included, in front of each.
pub(super) fn of(alias: &str, columns: &str) -> String {
    let named: Vec<String> = columns
        .split(", ")
        .map(|column| format!("{alias}{column}"))
        .collect();
    named.join(", ")
}

/// A value of a row.
pub(super) fn get<'r, T: FromSql<'r>>(row: &'r Row, index: usize) -> Result<T, StoreError> {
    row.try_get(index).map_err(|_| {
        StoreError::Database(format!("column {index} of a row is not what it should be"))
    })
}

/// A row that is not what was written.
pub(super) const fn damaged(table: &'static str, id: i64) -> StoreError {
    StoreError::Corrupt { table, id }
}

pub(super) fn moment(row: &Row, index: usize) -> Result<DateTime<Utc>, StoreError> {
    maybe_moment(row, index)?
        .ok_or_else(|| StoreError::Database(format!("column {index} of a row has no time")))
}

pub(super) fn maybe_moment(row: &Row, index: usize) -> Result<Option<DateTime<Utc>>, StoreError> {
    let micros: Option<i64> = get(row, index)?;
    let Some(micros) = micros else {
        return Ok(None);
    };
    DateTime::from_timestamp_micros(micros)
        .map(Some)
        .ok_or_else(|| StoreError::Database(format!("column {index} of a row is no time")))
}

/// Numbers that are never negative, of which PostgreSQL has no type.
fn count32(row: &Row, index: usize) -> Result<u32, StoreError> {
    Ok(u32::try_from(get::<i32>(row, index)?).unwrap_or(0))
}

pub(super) fn count64(row: &Row, index: usize) -> Result<u64, StoreError> {
    Ok(u64::try_from(get::<i64>(row, index)?).unwrap_or(0))
}

/// The columns of a message, for [`summary`].
pub(super) const SUMMARY: &str = "id, direction, received_at, transport, peer, \
    sending_application, sending_facility, sent_at, message_code, trigger_event, control_id, \
    accession_number, patient_id, patient_name, ack_code, ack_text, warning_count, \
    retransmissions, size";
/// How many they are.
pub(super) const SUMMARY_WIDTH: usize = 19;

pub(super) fn summary(row: &Row) -> Result<MessageSummary, StoreError> {
    let id = get(row, 0)?;
    Ok(MessageSummary {
        id,
        direction: Direction::from_name(get(row, 1)?).ok_or(damaged("messages", id))?,
        received_at: moment(row, 2)?,
        transport: get(row, 3)?,
        peer: get(row, 4)?,
        sending_application: get(row, 5)?,
        sending_facility: get(row, 6)?,
        sent_at: get(row, 7)?,
        message_code: get(row, 8)?,
        trigger_event: get(row, 9)?,
        control_id: get(row, 10)?,
        accession_number: get(row, 11)?,
        patient_id: get(row, 12)?,
        patient_name: get(row, 13)?,
        ack_code: get(row, 14)?,
        ack_text: get(row, 15)?,
        warning_count: count32(row, 16)?,
        retransmissions: count32(row, 17)?,
        size: count64(row, 18)?,
    })
}

/// The columns of an order: its attributes, and what stands behind them.
pub(super) static ORDER: LazyLock<String> = LazyLock::new(|| {
    let attributes = Attribute::ALL.map(|attribute| attribute.row().column);
    format!("{}, {ORDER_TAIL}", attributes.join(", "))
});

/// The columns of an order behind its attributes.
pub(super) const ORDER_TAIL: &str = "state, report_status, completion_told, study_seen_at, \
    sending_application, sending_facility, segment_delimiters, segment_charset, segments, \
    created_at, updated_at, created_by, updated_by, id";

pub(super) fn order(row: &Row) -> Result<OrderRecord, StoreError> {
    let tail = Attribute::COUNT;
    let id = get(row, tail + 13)?;
    let odd = || damaged("orders", id);
    let mut attributes = Attributes::default();
    for (index, attribute) in Attribute::ALL.into_iter().enumerate() {
        if let Some(text) = get::<Option<&str>>(row, index)? {
            attributes.set(attribute, text);
        }
    }
    let accession_number = attributes
        .get(Attribute::AccessionNumber)
        .and_then(|text| AccessionNumber::try_from(text).ok())
        .ok_or_else(odd)?;
    let report_status = match get::<Option<&str>>(row, tail + 1)? {
        None => None,
        Some(name) => Some(ReportStatus::from_name(name).ok_or_else(odd)?),
    };
    Ok(OrderRecord {
        id,
        order: Order {
            accession_number,
            state: OrderState::from_name(get(row, tail)?).ok_or_else(odd)?,
            attributes,
            segments: segments(row, tail + 6)?,
        },
        report_status,
        completion_told: get(row, tail + 2)?,
        study_seen_at: maybe_moment(row, tail + 3)?,
        sending_application: get(row, tail + 4)?,
        sending_facility: get(row, tail + 5)?,
        created_at: moment(row, tail + 9)?,
        updated_at: moment(row, tail + 10)?,
        created_by: get(row, tail + 11)?,
        updated_by: get(row, tail + 12)?,
    })
}

fn segments(row: &Row, index: usize) -> Result<Segments, StoreError> {
    Ok(Segments {
        delimiters: get(row, index)?,
        charset: get(row, index + 1)?,
        bytes: get(row, index + 2)?,
    })
}

/// The columns of a report.
pub(super) const REPORT: &str = "accession_number, version, patient_id, format, text, date, \
    status, physician_id, physician_name, segment_delimiters, segment_charset, segments, \
    updated_at, written_by";

pub(super) fn report(row: &Row) -> Result<ReportRecord, StoreError> {
    let message_id = get(row, 13)?;
    let odd = || damaged("reports", message_id);
    Ok(ReportRecord {
        report: Report {
            accession_number: AccessionNumber::try_from(get::<&str>(row, 0)?).map_err(|_| odd())?,
            patient_id: PatientId::try_from(get::<&str>(row, 2)?).map_err(|_| odd())?,
            format: ReportFormat::from_code(get(row, 3)?).ok_or_else(odd)?,
            text: get(row, 4)?,
            date: get(row, 5)?,
            status: get(row, 6)?,
            physician_id: get(row, 7)?,
            physician_name: get(row, 8)?,
            segments: segments(row, 9)?,
        },
        version: count32(row, 1)?,
        updated_at: moment(row, 12)?,
        message_id,
    })
}

/// The columns of an order that was cancelled.
pub(super) const CANCELLED: &str = "accession_number, patient_id, study_instance_uid, state, \
    created_at, cancelled_at, created_by, cancelled_by";

pub(super) fn cancelled(row: &Row) -> Result<CancelledOrder, StoreError> {
    let cancelled_by = get(row, 7)?;
    Ok(CancelledOrder {
        accession_number: get(row, 0)?,
        patient_id: get(row, 1)?,
        study_instance_uid: get(row, 2)?,
        state: OrderState::from_name(get(row, 3)?)
            .ok_or(damaged("cancelled_orders", cancelled_by))?,
        created_at: moment(row, 4)?,
        cancelled_at: moment(row, 5)?,
        created_by: get(row, 6)?,
        cancelled_by,
    })
}

/// The columns of a change.
pub(super) const CHANGE: &str = "entry_id, at, patient_id, accession_number, merged_into, fields";

pub(super) fn change(row: &Row) -> Result<ChangeRecord, StoreError> {
    let entry_id = get(row, 0)?;
    Ok(ChangeRecord {
        entry_id,
        at: moment(row, 1)?,
        patient_id: get(row, 2)?,
        accession_number: get(row, 3)?,
        merged_into: get(row, 4)?,
        fields: serde_json::from_str(get(row, 5)?).map_err(|_| damaged("changes", entry_id))?,
    })
}

/// The columns of an action as lists show it.
pub(super) const ACTION: &str = "id, at, actor, kind, accession_number, outcome";

pub(super) fn action(row: &Row) -> Result<ActionRecord, StoreError> {
    Ok(ActionRecord {
        entry_id: get(row, 0)?,
        at: moment(row, 1)?,
        actor: get(row, 2)?,
        kind: get(row, 3)?,
        accession_number: get(row, 4)?,
        outcome: get(row, 5)?,
    })
}

/// The columns of a patient.
pub(super) const PATIENT: &str =
    "patient_id, name, sex, birth_date, merged_into, updated_at, updated_by";

/// Of the columns of a patient and the count of the orders.
pub(super) fn patient(row: &Row) -> Result<PatientRecord, StoreError> {
    Ok(PatientRecord {
        patient_id: get(row, 0)?,
        name: get(row, 1)?,
        sex: get(row, 2)?,
        birth_date: get(row, 3)?,
        merged_into: get(row, 4)?,
        updated_at: moment(row, 5)?,
        updated_by: get(row, 6)?,
        orders: count64(row, 7)?,
    })
}

/// The columns of an entry of the outbox, for [`outbox`]; the control id of its message stands
/// behind them.
pub(super) const OUTBOX: &str = "message_id, destination, state, accession_number, \
    study_status, with_text, caused_by, queued_at, settled_at, tries, last_try_at, last_reason, \
    position";
/// How many they are.
pub(super) const OUTBOX_WIDTH: usize = 13;

pub(super) fn outbox(row: &Row) -> Result<OutboxItem, StoreError> {
    let message_id = get(row, 0)?;
    let odd = || damaged("outbox", message_id);
    Ok(OutboxItem {
        message_id,
        destination: get(row, 1)?,
        state: OutboxState::from_name(get(row, 2)?).ok_or_else(odd)?,
        accession_number: get(row, 3)?,
        study_status: StudyStatus::from_code(get(row, 4)?).ok_or_else(odd)?,
        with_text: get(row, 5)?,
        caused_by: get(row, 6)?,
        control_id: get(row, OUTBOX_WIDTH)?,
        queued_at: moment(row, 7)?,
        settled_at: maybe_moment(row, 8)?,
        tries: count32(row, 9)?,
        last_try_at: maybe_moment(row, 10)?,
        last_reason: get(row, 11)?,
    })
}

/// The columns of a try.
pub(super) const TRY: &str = "id, at, took, outcome, reason, answer";

pub(super) fn delivery(row: &Row) -> Result<Try, StoreError> {
    let entry_id = get(row, 0)?;
    Ok(Try {
        entry_id,
        at: moment(row, 1)?,
        took_micros: count64(row, 2)?,
        outcome: DeliveryOutcome::from_name(get(row, 3)?).ok_or(damaged("deliveries", entry_id))?,
        reason: get(row, 4)?,
        answer: get(row, 5)?,
    })
}

/// The columns of a procedure step.
pub(super) const PROCEDURE: &str = "sop_instance_uid, state, station_ae_title, \
    study_instance_uid, accession_numbers, dataset, created_at, updated_at, created_by, \
    updated_by";

pub(super) fn procedure(row: &Row) -> Result<ProcedureRecord, StoreError> {
    let updated_by = get(row, 9)?;
    let odd = || damaged("procedure_steps", updated_by);
    Ok(ProcedureRecord {
        sop_instance_uid: get(row, 0)?,
        state: ProcedureState::from_name(get(row, 1)?).ok_or_else(odd)?,
        station_ae_title: get(row, 2)?,
        study_instance_uid: get(row, 3)?,
        accession_numbers: serde_json::from_str(get(row, 4)?).map_err(|_| odd())?,
        dataset: get(row, 5)?,
        created_at: moment(row, 6)?,
        updated_at: moment(row, 7)?,
    })
}
