//! What a desk has written, as one statement: rows of a sort are columns of arrays in it. Behind it
//! comes what is done in turn.

use std::cell::Cell;
use std::pin::pin;
use std::task::Poll;

use futures_util::future::join_all;
use medsynapse::{Attribute, ReportStatus};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::desk::{Desk, NEW_ORDER};
use super::error::{failed, plain};
use super::filter::without_nul;
use super::put::Put;
use super::sql::ROLLBACK;
use super::statements::{Shape, Statements};
use crate::error::StoreError;
use crate::query::Direction;
use crate::record::OrderRecord;

type Column<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// Rows of a sort, by columns.
struct Step<'a> {
    put: Put,
    columns: Vec<Column<'a>>,
}

fn column<'a, R: 'a, T: ToSql + Sync + Send + 'a>(
    rows: impl IntoIterator<Item = &'a R>,
    value: impl Fn(&'a R) -> T,
) -> Column<'a> {
    Box::new(rows.into_iter().map(value).collect::<Vec<T>>())
}

/// What becomes of a commit.
pub(super) enum Ended {
    /// All of it is on disk.
    Committed,
    /// None of it is.
    RolledBack(StoreError),
    /// The connection broke off before PostgreSQL said which.
    Unknown(String),
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    /// A turn that was taken before.
    Taken(i64),
    /// The log is this server's alone: its turn comes with what it writes, behind this number.
    Alone(i64),
}

/// Sends everything and the commit behind it, in one round trip, and waits for every answer.
///
/// A statement that PostgreSQL refuses ends the transaction, and the commit behind it commits
/// nothing. So the outcome is known from the answers, and only a connection that breaks off
/// before the last of them leaves it open.
pub(super) async fn flush(
    client: &Client,
    statements: &Statements,
    desk: &Desk<'_>,
    turn: Turn,
    told: &str,
) -> Ended {
    let steps = steps(desk);
    let puts = steps.iter().fold(0, |bits, step| bits | step.put.bit());
    let (turn, entries) = match turn {
        Turn::Taken(turn) => (Some(turn), None),
        Turn::Alone(first) => (None, Some(desk.entry - first)),
    };
    let counts = || desk.written.counts.iter();
    let ways: Vec<&str> = counts().map(|((way, _), _)| *way).collect();
    let codes: Vec<&String> = counts().map(|((_, code), _)| code).collect();
    let numbers_of: Vec<i64> = counts().map(|(_, count)| *count).collect();
    let mut sent: Vec<(Shape, Vec<&(dyn ToSql + Sync)>)> = Vec::with_capacity(2);
    if let Some(entries) = &entries {
        sent.push((Shape::Turn, vec![entries]));
    }
    let columns = steps.iter().flat_map(|step| &step.columns);
    let mut values: Vec<&(dyn ToSql + Sync)> = columns.map(|column| &**column as _).collect();
    values.extend::<[&(dyn ToSql + Sync); 5]>([&turn, &told, &ways, &codes, &numbers_of]);
    sent.push((Shape::Puts(puts), values));
    let shapes: Vec<Shape> = sent.iter().map(|(shape, _)| *shape).collect();
    let ready = match statements.ready(client, &shapes).await {
        Ok(ready) => ready,
        Err(error) => return abandon(client, error).await,
    };
    let unsent = Cell::new(None);
    let sending = sent
        .iter()
        .zip(&ready)
        .map(async |((_, values), statement)| {
            let done = client.execute(statement, values).await;
            if let Err(error) = &done {
                unsent.set(Some(failed(error)));
            }
            done
        });
    let mut written = pin!(join_all(sending));
    // Polled once, each of them has been sent, in order; or could not be, and then there must be
    // no commit behind the others.
    let first = futures_util::poll!(&mut written);
    if let Some(error) = unsent.take() {
        return abandon(client, error).await;
    }
    let commit = client.batch_execute("COMMIT");
    let (written, committed) = match first {
        Poll::Ready(written) => (written, commit.await),
        Poll::Pending => {
            // The commit goes out at once, before the first answer is waited for.
            let (committed, written) = futures_util::join!(commit, written);
            (written, committed)
        }
    };
    match (written.into_iter().find_map(Result::err), committed) {
        (None, Ok(())) => Ended::Committed,
        (Some(error), _) if error.as_db_error().is_some() => Ended::RolledBack(failed(&error)),
        (Some(error), _) | (None, Err(error)) => Ended::Unknown(plain(&error)),
    }
}

/// Ends a transaction in which nothing was written.
async fn abandon(client: &Client, error: StoreError) -> Ended {
    // If this does not get through either, the connection is gone and the transaction with it.
    let _ = client.batch_execute(ROLLBACK).await;
    Ended::RolledBack(error)
}

fn micros(at: chrono::DateTime<chrono::Utc>) -> i64 {
    at.timestamp_micros()
}

fn steps<'a>(desk: &'a Desk<'_>) -> Vec<Step<'a>> {
    let written = &desk.written;
    let mut steps = Vec::with_capacity(18);
    let mut add = |put, columns: Vec<Column<'a>>| steps.push(Step { put, columns });
    if !written.messages.is_empty() {
        add(Put::Messages, messages(desk));
    }
    if !written.resent.is_empty() {
        let ids: Vec<i64> = written.resent.keys().copied().collect();
        let times: Vec<i32> = written.resent.values().copied().collect();
        add(Put::Resent, vec![Box::new(ids), Box::new(times)]);
    }
    if !written.answers.is_empty() {
        let rows = &written.answers;
        add(
            Put::Answers,
            vec![
                column(rows, |row| row.id),
                column(rows, |row| &row.code),
                column(rows, |row| &row.text),
                column(rows, |row| row.answer.as_slice()),
            ],
        );
    }
    let (kept, gone): (Vec<_>, Vec<_>) = written
        .orders
        .iter()
        .map(|name| (name, desk.orders.get(name).and_then(Option::as_ref)))
        .partition(|(_, record)| record.is_some());
    if !kept.is_empty() {
        let mut records: Vec<&OrderRecord> =
            kept.iter().filter_map(|(_, record)| *record).collect();
        // By name; new ones as they came.
        records.sort_by_key(|record| record.id.max(NEW_ORDER));
        add(Put::Orders, orders(&records));
    }
    if !gone.is_empty() {
        let names: Vec<&String> = gone.iter().map(|(name, _)| *name).collect();
        add(Put::DroppedOrders, vec![Box::new(names)]);
    }
    if !written.cancelled.is_empty() {
        add(Put::Cancelled, cancelled(desk));
    }
    if !written.moved_reports.is_empty() {
        let (from, into): (Vec<_>, Vec<_>) = written.moved_reports.iter().unzip();
        add(Put::MovedReports, vec![Box::new(from), Box::new(into)]);
    }
    if !written.reports.is_empty() {
        add(Put::Reports, reports(desk));
    }
    if !written.patients.is_empty() {
        add(Put::Patients, patients(desk));
    }
    if !written.changes.is_empty() {
        let rows = &written.changes;
        add(
            Put::Changes,
            vec![
                column(rows, |row| row.entry_id),
                column(rows, |row| row.at),
                column(rows, |row| &row.patient_id),
                column(rows, |row| &row.accession_number),
                column(rows, |row| &row.merged_into),
                column(rows, |row| &row.fields),
            ],
        );
    }
    if !written.actions.is_empty() {
        add(Put::Actions, actions(desk));
    }
    if !written.outbox.is_empty() {
        add(Put::Outbox, outbox(desk));
    }
    if !written.deliveries.is_empty() {
        let rows = &written.deliveries;
        add(
            Put::Deliveries,
            vec![
                column(rows, |row| row.id),
                column(rows, |row| row.message_id),
                column(rows, |row| row.at),
                column(rows, |row| row.took),
                column(rows, |row| row.outcome),
                column(rows, |row| &row.reason),
                column(rows, |row| row.answer.as_deref()),
            ],
        );
    }
    if !written.procedures.is_empty() {
        add(Put::Procedures, procedures(desk));
    }
    debug_assert!(
        steps.is_sorted_by_key(|step| step.put),
        "the order of the parameters"
    );
    steps
}

fn messages<'a>(desk: &'a Desk<'_>) -> Vec<Column<'a>> {
    let rows = &desk.written.messages;
    vec![
        column(rows, |row| row.id),
        column(rows, |row| Direction::as_str(row.direction)),
        column(rows, |row| row.received_at),
        column(rows, |row| &row.transport),
        column(rows, |row| &row.peer),
        column(rows, |row| &row.sending_application),
        column(rows, |row| &row.sending_facility),
        column(rows, |row| &row.sent_at),
        column(rows, |row| &row.message_code),
        column(rows, |row| &row.trigger_event),
        column(rows, |row| &row.control_id),
        column(rows, |row| &row.version),
        column(rows, |row| &row.accession_number),
        column(rows, |row| &row.patient_id),
        column(rows, |row| &row.patient_name),
        column(rows, |row| &row.ack_code),
        column(rows, |row| &row.ack_text),
        column(rows, |row| &row.effect),
        column(rows, |row| row.warning_count),
        column(rows, |row| row.retransmissions),
        column(rows, |row| i64::try_from(row.raw.len()).unwrap_or(i64::MAX)),
        column(rows, |row| row.digest.as_slice()),
        column(rows, |row| &row.findings),
        column(rows, |row| &row.warnings),
        column(rows, |row| row.ack.as_slice()),
        column(rows, |row| row.raw.as_slice()),
    ]
}

fn each<'a, T: ToSql + Sync + Send + 'a>(
    records: &[&'a OrderRecord],
    value: impl Fn(&'a OrderRecord) -> T,
) -> Column<'a> {
    Box::new(
        records
            .iter()
            .map(|record| value(record))
            .collect::<Vec<T>>(),
    )
}

fn orders<'a>(records: &[&'a OrderRecord]) -> Vec<Column<'a>> {
    let of = |records: &[&'a OrderRecord], attribute| -> Column<'a> {
        let texts = records.iter().map(|record| {
            let text = record.order.attributes.get(attribute);
            text.map(without_nul)
        });
        Box::new(texts.collect::<Vec<_>>())
    };
    let attributes = Attribute::ALL.into_iter();
    let mut columns: Vec<Column<'a>> = attributes.map(|attribute| of(records, attribute)).collect();
    columns.extend([
        each(records, |record| record.order.state.as_str()),
        each(records, |record| {
            record.report_status.map(ReportStatus::as_str)
        }),
        each(records, |record| record.completion_told),
        each(records, |record| record.study_seen_at.map(micros)),
        each(records, |record| without_nul(&record.sending_application)),
        each(records, |record| without_nul(&record.sending_facility)),
        each(records, |record| {
            record.order.segments.delimiters.as_slice()
        }),
        each(records, |record| record.order.segments.charset.as_slice()),
        each(records, |record| record.order.segments.bytes.as_slice()),
        each(records, |record| micros(record.created_at)),
        each(records, |record| micros(record.updated_at)),
        each(records, |record| record.created_by),
        each(records, |record| record.updated_by),
        each(records, |record| {
            (record.id < NEW_ORDER).then_some(record.id)
        }),
    ]);
    columns
}

fn cancelled<'a>(desk: &'a Desk<'_>) -> Vec<Column<'a>> {
    let names: Vec<&String> = desk.written.cancelled.keys().collect();
    let rows = || desk.written.cancelled.values();
    vec![
        Box::new(names),
        column(rows(), |row| &row.patient_id),
        column(rows(), |row| &row.study_instance_uid),
        column(rows(), |row| row.state),
        column(rows(), |row| row.created_at),
        column(rows(), |row| row.cancelled_at),
        column(rows(), |row| row.created_by),
        column(rows(), |row| row.cancelled_by),
    ]
}

fn reports<'a>(desk: &'a Desk<'_>) -> Vec<Column<'a>> {
    let rows = &desk.written.reports;
    vec![
        column(rows, |row| row.report.accession_number.as_str()),
        column(rows, |row| row.version),
        column(rows, |row| &row.patient_id),
        column(rows, |row| row.report.format.as_str()),
        column(rows, |row| without_nul(&row.report.text)),
        column(rows, |row| without_nul(&row.report.date)),
        column(rows, |row| row.report.status.as_deref().map(without_nul)),
        column(rows, |row| {
            row.report.physician_id.as_deref().map(without_nul)
        }),
        column(rows, |row| {
            row.report.physician_name.as_deref().map(without_nul)
        }),
        column(rows, |row| row.report.segments.delimiters.as_slice()),
        column(rows, |row| row.report.segments.charset.as_slice()),
        column(rows, |row| row.report.segments.bytes.as_slice()),
        column(rows, |row| row.at),
        column(rows, |row| row.by),
    ]
}

fn patients<'a>(desk: &'a Desk<'_>) -> Vec<Column<'a>> {
    let names: Vec<&String> = desk.written.patients.keys().collect();
    let part = |index: usize| -> Column<'a> {
        let texts = desk.written.patients.keys().map(|id| {
            let row = desk.patients.get(id).and_then(Option::as_ref);
            let text = row.and_then(|row| row.get(index)?.as_deref());
            text.map(without_nul)
        });
        Box::new(texts.collect::<Vec<_>>())
    };
    let when = || desk.written.patients.values();
    vec![
        Box::new(names),
        part(0),
        part(1),
        part(2),
        part(3),
        column(when(), |(at, _)| *at),
        column(when(), |(_, by)| *by),
    ]
}

fn actions<'a>(desk: &'a Desk<'_>) -> Vec<Column<'a>> {
    let rows = &desk.written.actions;
    vec![
        column(rows, |row| row.id),
        column(rows, |row| row.at),
        column(rows, |row| &row.actor),
        column(rows, |row| &row.kind),
        column(rows, |row| &row.accession_number),
        column(rows, |row| &row.outcome),
        column(rows, |row| &row.idempotency_key),
        column(rows, |row| &row.detail),
        column(rows, |row| row.body.as_deref()),
        column(rows, |row| &row.events),
        column(rows, |row| row.digest.as_slice()),
    ]
}

fn outbox<'a>(desk: &'a Desk<'_>) -> Vec<Column<'a>> {
    let ids = desk.written.outbox.iter();
    let rows: Vec<_> = ids.filter_map(|id| desk.outbox.get(id)?.as_ref()).collect();
    let rows = || rows.iter().copied();
    vec![
        column(rows(), |row| row.message_id),
        column(rows(), |row| &row.destination),
        column(rows(), |row| row.state.as_str()),
        column(rows(), |row| &row.accession_number),
        column(rows(), |row| &row.study_status),
        column(rows(), |row| row.with_text),
        column(rows(), |row| row.caused_by),
        column(rows(), |row| row.queued_at),
        column(rows(), |row| row.settled_at),
        column(rows(), |row| i32::try_from(row.tries).unwrap_or(i32::MAX)),
        column(rows(), |row| row.last_try_at),
        column(rows(), |row| &row.last_reason),
        column(rows(), |row| row.position),
    ]
}

fn procedures<'a>(desk: &'a Desk<'_>) -> Vec<Column<'a>> {
    let uids = desk.written.procedures.iter();
    let rows: Vec<_> = uids
        .filter_map(|uid| desk.procedures.get(uid)?.as_ref())
        .collect();
    let rows = || rows.iter().copied();
    let names = |names: &[String]| {
        // Texts are always JSON.
        serde_json::to_string(names).unwrap_or_else(|_| "[]".into())
    };
    vec![
        column(rows(), |row| without_nul(&row.record.sop_instance_uid)),
        column(rows(), |row| row.record.state.as_str()),
        column(rows(), |row| without_nul(&row.record.station_ae_title)),
        column(rows(), |row| {
            row.record.study_instance_uid.as_deref().map(without_nul)
        }),
        column(rows(), |row| names(&row.record.accession_numbers)),
        column(rows(), |row| row.record.dataset.as_slice()),
        column(rows(), |row| micros(row.record.created_at)),
        column(rows(), |row| micros(row.record.updated_at)),
        column(rows(), |row| row.created_by),
        column(rows(), |row| row.updated_by),
    ]
}
