//! Orders and reports as rows, both ways.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use medsynapse::{
    AccessionNumber, Attribute, Attributes, Order, OrderState, PatientId, Report, ReportFormat,
    Segments,
};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

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

/// A stored text that is not what it should be: the database was changed by another hand.
fn odd(index: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, what.into())
}

/// The columns of an order behind its attributes.
const TAIL: [&str; 8] = [
    "state",
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

static SELECT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {} FROM orders",
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
    let tail: [&dyn ToSql; 8] = [
        &state,
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

fn read_order(row: &Row<'_>) -> rusqlite::Result<OrderRecord> {
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
    Ok(OrderRecord {
        order: Order {
            accession_number,
            state,
            attributes,
            segments: segments(row, tail + 1)?,
        },
        created_at: moment(row, tail + 4)?,
        updated_at: moment(row, tail + 5)?,
        created_by: row.get(tail + 6)?,
        updated_by: row.get(tail + 7)?,
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
    at: DateTime<Utc>,
    message_id: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO reports (accession_number, version, patient_id, format, text, date, \
             status, physician_id, physician_name, segment_delimiters, segment_charset, segments, \
             updated_at, message_id) \
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
            micros(at),
            message_id,
        ])?;
    Ok(())
}

pub(super) fn report(
    connection: &Connection,
    accession_number: &AccessionNumber,
) -> Result<Option<ReportRecord>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT version, patient_id, format, text, date, status, physician_id, physician_name, \
         segment_delimiters, segment_charset, segments, updated_at, message_id \
         FROM reports WHERE accession_number = ?1 ORDER BY version DESC LIMIT 1",
    )?;
    let record = statement.query_row([accession_number.as_str()], |row| {
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
    });
    Ok(record.optional()?)
}
