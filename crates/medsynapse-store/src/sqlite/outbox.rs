//! What waits to be sent and what was, read.

use medsynapse::StudyStatus;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::filter::Filter;
use super::orders::next;
use super::rows::{maybe_moment, moment, odd};
use crate::error::StoreError;
use crate::outbox::{Next, OutboxEntry, OutboxItem, OutboxQuery, OutboxState, QueueDepth, Try};
use crate::query::Slice;
use crate::record::digest;
use crate::work::DeliveryOutcome;

/// Most tries that are given of a message.
const TRIES_MAX: u32 = 1_000;

const COLUMNS: &str = "o.message_id, o.destination, o.state, o.accession_number, o.study_status, \
    o.with_text, o.caused_by, m.control_id, o.queued_at, o.settled_at, o.tries, o.last_try_at, \
    o.last_reason";

fn item(row: &Row<'_>) -> rusqlite::Result<OutboxItem> {
    Ok(OutboxItem {
        message_id: row.get(0)?,
        destination: row.get(1)?,
        state: OutboxState::from_name(row.get_ref(2)?.as_str()?)
            .ok_or_else(|| odd(2, "outbox state"))?,
        accession_number: row.get(3)?,
        study_status: StudyStatus::from_code(row.get_ref(4)?.as_str()?)
            .ok_or_else(|| odd(4, "study status"))?,
        with_text: row.get(5)?,
        caused_by: row.get(6)?,
        control_id: row.get(7)?,
        queued_at: moment(row, 8)?,
        settled_at: maybe_moment(row, 9)?,
        tries: row.get(10)?,
        last_try_at: maybe_moment(row, 11)?,
        last_reason: row.get(12)?,
    })
}

pub(super) fn list(
    connection: &Connection,
    query: &OutboxQuery,
) -> Result<Slice<OutboxItem>, StoreError> {
    let mut filter = Filter::default();
    filter.maybe("o.message_id < ?", query.paging.cursor);
    filter.maybe("o.destination = ?", query.destination.clone());
    filter.maybe("o.accession_number = ?", query.accession_number.clone());
    filter.maybe("o.caused_by = ?", query.caused_by);
    match query.state {
        None => {}
        // Said as the indexes say it.
        Some(OutboxState::Queued) => filter.fixed("o.state = 'queued'"),
        Some(OutboxState::Held) => filter.fixed("o.state = 'held'"),
        Some(OutboxState::Refused) => filter.fixed("o.state = 'refused'"),
        Some(state) => filter.with("o.state = ?", state.as_str().to_owned()),
    }
    let (condition, mut values) = filter.into_parts();
    values.push(Value::Integer(i64::from(query.paging.limit)));
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox o JOIN messages m ON m.id = o.message_id{condition} \
         ORDER BY o.message_id DESC LIMIT ?"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), item)?;
    let items: Vec<OutboxItem> = rows.collect::<Result<_, _>>()?;
    let next = next(&items, query.paging.limit, |item| item.message_id);
    Ok(Slice { items, next })
}

pub(super) fn entry(
    connection: &Connection,
    message_id: i64,
) -> Result<Option<OutboxEntry>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox o JOIN messages m ON m.id = o.message_id \
         WHERE o.message_id = ?1"
    );
    let found = connection
        .prepare_cached(&sql)?
        .query_row([message_id], item)
        .optional()?;
    let Some(item) = found else {
        return Ok(None);
    };
    let mut statement = connection.prepare_cached(
        "SELECT id, at, took, outcome, reason, answer FROM deliveries WHERE message_id = ?1 \
         ORDER BY id DESC LIMIT ?2",
    )?;
    let tries = statement.query_map(params![message_id, TRIES_MAX], |row| {
        Ok(Try {
            entry_id: row.get(0)?,
            at: moment(row, 1)?,
            took_micros: row.get(2)?,
            outcome: DeliveryOutcome::from_name(row.get_ref(3)?.as_str()?)
                .ok_or_else(|| odd(3, "outcome"))?,
            reason: row.get(4)?,
            answer: row.get(5)?,
        })
    })?;
    Ok(Some(OutboxEntry {
        item,
        tries: tries.collect::<Result<_, _>>()?,
    }))
}

pub(super) fn next_outgoing(
    connection: &Connection,
    destination: &str,
) -> Result<Option<Next>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT o.message_id, o.tries, m.raw, m.digest FROM outbox o \
         JOIN messages m ON m.id = o.message_id \
         WHERE o.message_id = (SELECT message_id FROM outbox \
         WHERE destination = ?1 AND state = 'queued' ORDER BY position LIMIT 1)",
    )?;
    let found = statement
        .query_row([destination], |row| {
            let next = Next {
                message_id: row.get(0)?,
                tries: row.get(1)?,
                raw: row.get(2)?,
            };
            Ok((next, row.get::<_, Vec<u8>>(3)?))
        })
        .optional()?;
    let Some((next, kept)) = found else {
        return Ok(None);
    };
    if digest(&next.raw).as_slice() != kept {
        return Err(StoreError::Corrupt {
            id: next.message_id,
        });
    }
    Ok(Some(next))
}

pub(super) fn depths(connection: &Connection) -> Result<Vec<QueueDepth>, StoreError> {
    let mut depths: Vec<QueueDepth> = Vec::new();
    // Two queries that indexes answer, whatever was sent before.
    let mut statement = connection.prepare_cached(
        "SELECT destination, count(*), min(queued_at) FROM outbox WHERE state = 'queued' \
         GROUP BY destination",
    )?;
    let waiting = statement.query_map([], |row| {
        Ok(QueueDepth {
            destination: row.get(0)?,
            queued: row.get(1)?,
            oldest_queued_at: maybe_moment(row, 2)?,
            ..QueueDepth::default()
        })
    })?;
    for depth in waiting {
        depths.push(depth?);
    }
    let mut statement = connection.prepare_cached(
        "SELECT destination, sum(state = 'held'), sum(state = 'refused') FROM outbox \
         WHERE state IN ('held', 'refused') GROUP BY destination",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let place = if let Some(found) = depths.iter().position(|d| d.destination == name) {
            found
        } else {
            depths.push(QueueDepth {
                destination: name,
                ..QueueDepth::default()
            });
            depths.len() - 1
        };
        if let Some(depth) = depths.get_mut(place) {
            depth.held = row.get(1)?;
            depth.refused = row.get(2)?;
        }
    }
    depths.sort_by(|a, b| a.destination.cmp(&b.destination));
    Ok(depths)
}
