//! Orders and reports as rows, both ways.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use medsynapse::{
    AccessionNumber, Attribute, Attributes, Order, OrderState, PatientId, Report, ReportFormat,
    ReportStatus, Segments,
};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::apply::Entry;
use crate::error::StoreError;
use crate::record::{OrderRecord, ReportRecord};

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

const TAIL_COUNT: usize = 13;

/// The columns of an order behind its attributes.
const TAIL: [&str; TAIL_COUNT] = [
    "state",
    "report_status",
    "completion_told",
    "study_seen_at",
    "sending_application",
    "sending_facility",
    "segment_delimiters",
    "segment_charset",
    "segments",
    "created_at",
    "updated_at",
    "created_by",
    "updated_by",
];

fn columns() -> impl Iterator<Item = &'static str> {
    Attribute::ALL
        .into_iter()
        .map(|attribute| attribute.row().column)
        .chain(TAIL)
}

/// `SELECT … FROM orders`, for [`read_order`].
pub(super) static SELECT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {}, id FROM orders",
        columns().collect::<Vec<_>>().join(", ")
    )
});

static BY_ACCESSION: LazyLock<String> =
    LazyLock::new(|| format!("{} WHERE accession_number = ?1", *SELECT));

static BY_PATIENT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{} WHERE patient_id = ?1 ORDER BY accession_number",
        *SELECT
    )
});

static UPSERT: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<&str> = columns().collect();
    let places: Vec<String> = (1..=names.len()).map(|n| format!("?{n}")).collect();
    let updates: Vec<String> = names
        .iter()
        .filter(|name| !matches!(**name, "accession_number" | "created_at" | "created_by"))
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    format!(
        "INSERT INTO orders ({}) VALUES ({}) ON CONFLICT (accession_number) DO UPDATE SET {}",
        names.join(", "),
        places.join(", "),
        updates.join(", "),
    )
});

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

/// Writes an order, new or changed.
pub(super) fn put_order(connection: &Connection, record: &OrderRecord) -> Result<(), StoreError> {
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
    ];
    let values: Vec<&dyn ToSql> = texts
        .iter()
        .map(|text| text as &dyn ToSql)
        .chain(tail)
        .collect();
    connection
        .prepare_cached(&UPSERT)?
        .execute(values.as_slice())?;
    Ok(())
}

pub(super) fn read_order(row: &Row<'_>) -> rusqlite::Result<OrderRecord> {
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
        id: row.get(tail + TAIL_COUNT)?,
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
        .query_row([accession_number.as_str()], read_order)
        .optional()?)
}

pub(super) fn orders_of(
    connection: &Connection,
    patient_id: &PatientId,
) -> Result<Vec<OrderRecord>, StoreError> {
    let mut statement = connection.prepare_cached(&BY_PATIENT)?;
    let rows = statement.query_map([patient_id.as_str()], read_order)?;
    Ok(rows.collect::<Result<_, _>>()?)
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
    report: &Report,
    version: u32,
    entry: Entry,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO reports (accession_number, version, patient_id, format, text, date, \
             status, physician_id, physician_name, segment_delimiters, segment_charset, segments, \
             updated_at, written_by) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(params![
            report.accession_number.as_str(),
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
        ])?;
    Ok(())
}

/// The order goes; what has to stay of it stays.
pub(super) fn delete_order(
    connection: &Connection,
    record: &OrderRecord,
    entry: Entry,
) -> Result<(), StoreError> {
    let of = |attribute| record.order.attributes.get(attribute).unwrap_or_default();
    let accession_number = record.order.accession_number.as_str();
    connection
        .prepare_cached(
            "INSERT INTO cancelled_orders (accession_number, patient_id, study_instance_uid, \
             state, created_at, cancelled_at, created_by, cancelled_by) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (accession_number) DO UPDATE SET \
             patient_id = excluded.patient_id, study_instance_uid = excluded.study_instance_uid, \
             state = excluded.state, created_at = excluded.created_at, \
             cancelled_at = excluded.cancelled_at, created_by = excluded.created_by, \
             cancelled_by = excluded.cancelled_by",
        )?
        .execute(params![
            accession_number,
            of(Attribute::PatientId),
            of(Attribute::StudyInstanceUid),
            record.order.state.as_str(),
            micros(record.created_at),
            micros(entry.at),
            record.created_by,
            entry.id,
        ])?;
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
    let mut statement = connection.prepare_cached(
        "SELECT study_instance_uid FROM cancelled_orders WHERE accession_number = ?1",
    )?;
    Ok(statement
        .query_row([accession_number.as_str()], |row| row.get(0))
        .optional()?)
}

/// The versions of a report, the last first.
pub(super) fn reports(
    connection: &Connection,
    accession_number: &AccessionNumber,
    limit: u32,
) -> Result<Vec<ReportRecord>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT version, patient_id, format, text, date, status, physician_id, physician_name, \
         segment_delimiters, segment_charset, segments, updated_at, written_by \
         FROM reports WHERE accession_number = ?1 ORDER BY version DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![accession_number.as_str(), limit], |row| {
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
