//! Orders and reports as rows, both ways.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use medsynapse::{
    AccessionNumber, Attribute, Attributes, Order, OrderState, PatientId, Report, ReportFormat,
    ReportStatus, Segments,
};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::tables::{CANCELLED, ORDERS, REPORTS};
use crate::decide::Entry;
use crate::error::StoreError;
use crate::record::{OrderRecord, ReportRecord};
use crate::vault::Vault;

static TOMBSTONE: LazyLock<String> = LazyLock::new(|| {
    let columns = CANCELLED.stored("");
    format!("SELECT {columns} FROM cancelled_orders WHERE accession_number = ?1")
});

/// Microseconds since 1970.
pub(super) fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

pub(super) fn moment(row: &Row<'_>, index: usize) -> rusqlite::Result<DateTime<Utc>> {
    let micros: i64 = row.get(index)?;
    DateTime::from_timestamp_micros(micros)
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(index, micros))
}

pub(super) fn maybe_moment(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<DateTime<Utc>>> {
    match row.get_ref(index)? {
        ValueRef::Null => Ok(None),
        _ => moment(row, index).map(Some),
    }
}

/// A stored text that is not what it should be: the database was changed by another hand.
pub(super) fn odd(index: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, what.into())
}

/// The columns of an order behind its attributes, the last of which is its number.
const TAIL_COUNT: usize = 14;

/// `SELECT … FROM orders`, for [`read_order`].
pub(super) static SELECT: LazyLock<String> = LazyLock::new(|| {
    let columns = ORDERS.select("");
    format!("SELECT {columns} FROM orders")
});

static BY_ACCESSION: LazyLock<String> =
    LazyLock::new(|| format!("{} WHERE accession_number = ?1", *SELECT));

static BY_PATIENT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{} WHERE patient_id = patient_token(?1) ORDER BY accession_number",
        *SELECT
    )
});

static UPSERT: LazyLock<String> = LazyLock::new(|| ORDERS.upsert("accession_number"));

static REPORT: LazyLock<String> = LazyLock::new(|| {
    let columns = REPORTS.select("");
    format!(
        "SELECT {columns} FROM reports WHERE accession_number = ?1 ORDER BY version DESC LIMIT ?2"
    )
});

static INSERT_REPORT: LazyLock<String> = LazyLock::new(|| REPORTS.insert(None));

static PUT_CANCELLED: LazyLock<String> = LazyLock::new(|| CANCELLED.upsert("accession_number"));

/// An attribute as it is bound.
struct Text<'a>(Option<&'a str>);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            None => ValueRef::Null,
            Some(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

/// Writes an order, new or changed, under this number.
pub(super) fn put_order(
    connection: &Connection,
    vault: Option<&Vault>,
    record: &OrderRecord,
    id: i64,
) -> Result<(), StoreError> {
    let order = &record.order;
    let segments = &order.segments;
    let texts = Attribute::ALL.map(|attribute| Text(order.attributes.get(attribute)));
    let state = order.state.as_str();
    let (created_at, updated_at) = (micros(record.created_at), micros(record.updated_at));
    let report_status = record.report_status.map(ReportStatus::as_str);
    let study_seen_at = record.study_seen_at.map(micros);
    let tail: [&dyn ToSql; TAIL_COUNT] = [
        &state,
        &report_status,
        &record.completion_told,
        &study_seen_at,
        &record.sending_application,
        &record.sending_facility,
        &segments.delimiters,
        &segments.charset,
        &segments.bytes,
        &created_at,
        &updated_at,
        &record.created_by,
        &record.updated_by,
        &id,
    ];
    let values: Vec<&dyn ToSql> = texts
        .iter()
        .map(|text| text as &dyn ToSql)
        .chain(tail)
        .collect();
    Ok(ORDERS.put(connection, vault, &UPSERT, &values, None)?)
}

pub(super) fn read_order(row: &Row<'_>) -> rusqlite::Result<OrderRecord> {
    ORDERS.check(row, 0)?;
    let mut attributes = Attributes::default();
    for (index, attribute) in Attribute::ALL.into_iter().enumerate() {
        if let Some(text) = row.get_ref(index)?.as_str_or_null()? {
            attributes.set(attribute, text);
        }
    }
    let tail = Attribute::COUNT;
    let accession_number = attributes
        .get(Attribute::AccessionNumber)
        .and_then(|text| AccessionNumber::try_from(text).ok())
        .ok_or_else(|| odd(0, "accession number"))?;
    let state = OrderState::from_name(row.get_ref(tail)?.as_str()?)
        .ok_or_else(|| odd(tail, "order state"))?;
    let report_status = match row.get_ref(tail + 1)?.as_str_or_null()? {
        None => None,
        Some(name) => {
            Some(ReportStatus::from_name(name).ok_or_else(|| odd(tail + 1, "report status"))?)
        }
    };
    Ok(OrderRecord {
        id: row.get(tail + TAIL_COUNT - 1)?,
        order: Order {
            accession_number,
            state,
            attributes,
            segments: segments(row, tail + 6)?,
        },
        report_status,
        completion_told: row.get(tail + 2)?,
        study_seen_at: maybe_moment(row, tail + 3)?,
        sending_application: row.get(tail + 4)?,
        sending_facility: row.get(tail + 5)?,
        created_at: moment(row, tail + 9)?,
        updated_at: moment(row, tail + 10)?,
        created_by: row.get(tail + 11)?,
        updated_by: row.get(tail + 12)?,
    })
}

fn segments(row: &Row<'_>, index: usize) -> rusqlite::Result<Segments> {
    Ok(Segments {
        delimiters: row.get(index)?,
        charset: row.get(index + 1)?,
        bytes: row.get(index + 2)?,
    })
}

pub(super) fn order(
    connection: &Connection,
    accession_number: &AccessionNumber,
) -> Result<Option<OrderRecord>, StoreError> {
    let mut statement = connection.prepare_cached(&BY_ACCESSION)?;
    Ok(statement
        .query_row([accession_number.as_str()], |row| {
            let record = read_order(row)?;
            let right = record.order.accession_number == *accession_number;
            ORDERS.unless(right, record.id)?;
            Ok(record)
        })
        .optional()?)
}

pub(super) fn orders_of(
    connection: &Connection,
    patient_id: &PatientId,
) -> Result<Vec<OrderRecord>, StoreError> {
    let mut statement = connection.prepare_cached(&BY_PATIENT)?;
    let rows = statement.query_map([patient_id.as_str()], |row| {
        let record = read_order(row)?;
        let whose = record.order.attributes.get(Attribute::PatientId);
        ORDERS.unless(whose == Some(patient_id.as_str()), record.id)?;
        Ok(record)
    })?;
    let records: Vec<OrderRecord> = rows.collect::<Result<_, _>>()?;
    let name = |record: &OrderRecord| record.order.accession_number.as_str().to_owned();
    ORDERS.in_order(&records, name, |record| record.id)?;
    Ok(records)
}

/// The number that the next version of a report gets, from 1.
pub(super) fn next_version(
    connection: &Connection,
    accession_number: &AccessionNumber,
) -> Result<u32, StoreError> {
    let last: Option<u32> = connection
        .prepare_cached("SELECT max(version) FROM reports WHERE accession_number = ?1")?
        .query_row([accession_number.as_str()], |row| row.get(0))?;
    Ok(last.unwrap_or(0) + 1)
}

/// Writes a version of a report.
pub(super) fn put_report(
    connection: &Connection,
    vault: Option<&Vault>,
    report: &Report,
    version: u32,
    entry: Entry,
) -> Result<(), StoreError> {
    let values = params![
        version,
        report.patient_id.as_str(),
        report.format.as_str(),
        report.text,
        report.date,
        report.status,
        report.physician_id,
        report.physician_name,
        report.segments.delimiters,
        report.segments.charset,
        report.segments.bytes,
        micros(entry.at),
        entry.id,
        report.accession_number.as_str(),
    ];
    Ok(REPORTS.put(connection, vault, &INSERT_REPORT, values, None)?)
}

/// The order goes; what has to stay of it stays.
pub(super) fn delete_order(
    connection: &Connection,
    vault: Option<&Vault>,
    record: &OrderRecord,
    entry: Entry,
) -> Result<(), StoreError> {
    let of = |attribute| record.order.attributes.get(attribute).unwrap_or_default();
    let accession_number = record.order.accession_number.as_str();
    let values = params![
        accession_number,
        of(Attribute::PatientId),
        of(Attribute::StudyInstanceUid),
        record.order.state.as_str(),
        micros(record.created_at),
        micros(entry.at),
        record.created_by,
        entry.id,
    ];
    CANCELLED.put(connection, vault, &PUT_CANCELLED, values, None)?;
    connection
        .prepare_cached("DELETE FROM orders WHERE accession_number = ?1")?
        .execute([accession_number])?;
    Ok(())
}

/// The Study Instance UID of an order that was cancelled.
pub(super) fn cancelled_uid(
    connection: &Connection,
    accession_number: &AccessionNumber,
) -> Result<Option<String>, StoreError> {
    Ok(connection
        .prepare_cached(&TOMBSTONE)?
        .query_row([accession_number.as_str()], |row| {
            CANCELLED.check(row, 0)?;
            row.get(2)
        })
        .optional()?)
}

/// The versions of a report, the last first.
pub(super) fn reports(
    connection: &Connection,
    accession_number: &AccessionNumber,
    limit: u32,
) -> Result<Vec<ReportRecord>, StoreError> {
    let mut statement = connection.prepare_cached(&REPORT)?;
    let rows = statement.query_map(params![accession_number.as_str(), limit], |row| {
        REPORTS.check(row, 0)?;
        let right = row.get_ref(13)?.as_str()? == accession_number.as_str();
        REPORTS.unless(right, row.get(12)?)?;
        Ok(ReportRecord {
            version: row.get(0)?,
            report: Report {
                accession_number: accession_number.clone(),
                patient_id: PatientId::try_from(row.get_ref(1)?.as_str()?)
                    .map_err(|_| odd(1, "patient id"))?,
                format: ReportFormat::from_code(row.get_ref(2)?.as_str()?)
                    .ok_or_else(|| odd(2, "report format"))?,
                text: row.get(3)?,
                date: row.get(4)?,
                status: row.get(5)?,
                physician_id: row.get(6)?,
                physician_name: row.get(7)?,
                segments: segments(row, 8)?,
            },
            updated_at: moment(row, 11)?,
            message_id: row.get(12)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The report that counts.
pub(super) fn report(
    connection: &Connection,
    accession_number: &AccessionNumber,
) -> Result<Option<ReportRecord>, StoreError> {
    Ok(reports(connection, accession_number, 1)?.pop())
}
