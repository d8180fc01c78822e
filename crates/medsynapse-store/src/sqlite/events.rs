//! Events, read off the log.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::moment;
use super::seal::Sealed;
use super::tables::{ACTIONS, DELIVERIES, MESSAGES, OUTBOX};
use crate::decide::events::{of_action, of_delivery, of_message};
use crate::error::StoreError;
use crate::event::{Event, EventKind, ReportChange};
use crate::work::DeliveryOutcome;

/// What happened after an event, in order.
pub(super) fn after(
    connection: &Connection,
    id: i64,
    limit: u32,
) -> Result<Vec<Event>, StoreError> {
    // The entry of the event itself may have more to tell.
    let first = Event::entry_of(id.max(0));
    let mut events = messages(connection, first, limit)?;
    events.extend(actions(connection, first, limit)?);
    events.extend(deliveries(connection, first, limit)?);
    events.retain(|event| event.id > Some(id));
    events.sort_by_key(|event| event.id);
    events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(events)
}

fn messages(connection: &Connection, first: i64, limit: u32) -> Result<Vec<Event>, StoreError> {
    let sql = format!(
        "SELECT {} FROM messages WHERE id >= ?1 ORDER BY id LIMIT ?2 + 1",
        MESSAGES.stored("")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    gather(statement.query_map(params![first, limit], |row| {
        MESSAGES.check(row, 0)?;
        let id = row.get(0)?;
        let accession_number = row.get_ref(10)?.as_str_or_null()?;
        let kinds = if row.get_ref(18)?.as_str()? == "out" {
            vec![EventKind::Report {
                change: ReportChange::Queued,
                accession_number: accession_number.unwrap_or_default().into(),
                entry_id: id,
            }]
        } else {
            let effect = row.get_ref(20)?.as_str_or_null()?;
            of_message(id, effect.unwrap_or_default(), accession_number)
        };
        Ok(Event::numbered(id, moment(row, 1)?, kinds))
    })?)
}

fn actions(connection: &Connection, first: i64, limit: u32) -> Result<Vec<Event>, StoreError> {
    let sql = format!(
        "SELECT {} FROM actions WHERE id >= ?1 AND events <> '[]' ORDER BY id LIMIT ?2 + 1",
        ACTIONS.stored("")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    gather(statement.query_map(params![first, limit], |row| {
        ACTIONS.check(row, 0)?;
        let id = row.get(0)?;
        let kept: Vec<(String, Option<String>)> =
            serde_json::from_str(row.get_ref(9)?.as_str()?)
                .map_err(|_| super::rows::odd(9, "list of events"))?;
        let kinds = kept
            .iter()
            .filter_map(|(name, order)| of_action(name, order.as_deref(), id))
            .collect();
        Ok(Event::numbered(id, moment(row, 1)?, kinds))
    })?)
}

fn deliveries(connection: &Connection, first: i64, limit: u32) -> Result<Vec<Event>, StoreError> {
    let sql = format!(
        "SELECT {}, {} FROM deliveries d LEFT JOIN outbox o ON o.message_id = d.message_id \
         WHERE d.id >= ?1 AND d.outcome <> 'failed' ORDER BY d.id LIMIT ?2 + 1",
        DELIVERIES.stored("d."),
        OUTBOX.stored("o.")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    gather(statement.query_map(params![first, limit], |row| {
        let of = DELIVERIES.width();
        DELIVERIES.check(row, 0)?;
        OUTBOX.check(row, of)?;
        let outcome = DeliveryOutcome::from_name(row.get_ref(4)?.as_str()?)
            .unwrap_or(DeliveryOutcome::Failed);
        let kinds = of_delivery(row.get(1)?, outcome, row.get_ref(of + 3)?.as_str()?);
        Ok(Event::numbered(row.get(0)?, moment(row, 2)?, kinds))
    })?)
}

fn gather(
    rows: impl Iterator<Item = rusqlite::Result<Vec<Event>>>,
) -> Result<Vec<Event>, StoreError> {
    let mut events = Vec::new();
    for row in rows {
        events.extend(row?);
    }
    Ok(events)
}

/// The id of the last event.
pub(super) fn last(connection: &Connection) -> Result<i64, StoreError> {
    let last = |table: &Sealed| -> Result<Option<i64>, StoreError> {
        let (columns, name) = (table.stored(""), table.name);
        let sql = format!("SELECT {columns} FROM {name} ORDER BY id DESC LIMIT 1");
        let id = |row: &Row<'_>| {
            table.check(row, 0)?;
            row.get(0)
        };
        Ok(connection
            .prepare_cached(&sql)?
            .query_row([], id)
            .optional()?)
    };
    let entries = [last(&MESSAGES)?, last(&ACTIONS)?, last(&DELIVERIES)?];
    // Beyond every place that an entry has: what comes next has a larger id.
    Ok(entries
        .into_iter()
        .flatten()
        .max()
        .map_or(0, |entry| Event::id_of(entry + 1, 0) - 1))
}
