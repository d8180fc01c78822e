//! What waits to be sent and what was, read.

use std::sync::LazyLock;

use medsynapse::StudyStatus;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::filter::Filter;
use super::orders::next;
use super::rows::{maybe_moment, moment, odd};
use super::tables::{DELIVERIES, MESSAGES, OUTBOX};
use crate::error::StoreError;
use crate::outbox::{Next, OutboxEntry, OutboxItem, OutboxQuery, OutboxState, QueueDepth, Try};
use crate::query::Slice;
use crate::record::digest;
use crate::work::DeliveryOutcome;

static NEXT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {}, iif(plain(), m.raw, opened_body(m.id, m.raw)), {} FROM outbox o LEFT JOIN messages m ON m.id = o.message_id \
         WHERE o.message_id = (SELECT message_id FROM outbox \
         WHERE destination = ?1 AND state = 'queued' ORDER BY position LIMIT 1)",
        *COLUMNS,
        MESSAGES.column("m.", "digest")
    )
});

static WAITING: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT destination, count(*), min(queued_at), min(iif({}, NULL, message_id)) \
         FROM outbox WHERE state = 'queued' GROUP BY destination",
        OUTBOX.intact("")
    )
});

// A damaged index may give out a row twice: it is counted once.
static ODD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT destination, count(DISTINCT iif(state = 'held', message_id, NULL)), \
         count(DISTINCT iif(state = 'refused', message_id, NULL)), \
         min(iif({}, NULL, message_id)) \
         FROM outbox WHERE state IN ('held', 'refused') GROUP BY destination",
        OUTBOX.intact("")
    )
});

/// Most tries that are given of a message.
const TRIES_MAX: u32 = 1_000;

/// The columns of an entry and of its message, for [`item`]; a message that is not there is one
/// that is damaged.
static COLUMNS: LazyLock<String> =
    LazyLock::new(|| format!("{}, {}", OUTBOX.select("o."), MESSAGES.stored("m.")));

fn item(row: &Row<'_>) -> rusqlite::Result<OutboxItem> {
    let message = OUTBOX.width();
    OUTBOX.check(row, 0)?;
    MESSAGES.check(row, message)?;
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
        control_id: row.get(message + 9)?,
        queued_at: moment(row, 7)?,
        settled_at: maybe_moment(row, 8)?,
        tries: row.get(9)?,
        last_try_at: maybe_moment(row, 10)?,
        last_reason: row.get(11)?,
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
        "SELECT {} FROM outbox o LEFT JOIN messages m ON m.id = o.message_id{condition} \
         ORDER BY o.message_id DESC LIMIT ?",
        *COLUMNS
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| {
        let item = item(row)?;
        OUTBOX.unless(asked(query, &item), item.message_id)?;
        Ok(item)
    })?;
    let items: Vec<OutboxItem> = rows.collect::<Result<_, _>>()?;
    OUTBOX.in_order(&items, |item| item.message_id, |item| item.message_id)?;
    let next = next(&items, query.paging.limit, |item| item.message_id);
    Ok(Slice { items, next })
}

/// Whether an index gave out what was asked for.
fn asked(query: &OutboxQuery, item: &OutboxItem) -> bool {
    let same = |asked: &Option<String>, is: &str| asked.as_deref().is_none_or(|text| text == is);
    same(&query.destination, &item.destination)
        && same(&query.accession_number, &item.accession_number)
        && query
            .caused_by
            .is_none_or(|action| action == item.caused_by)
        && query.state.is_none_or(|state| state == item.state)
}

pub(super) fn entry(
    connection: &Connection,
    message_id: i64,
) -> Result<Option<OutboxEntry>, StoreError> {
    let sql = format!(
        "SELECT {} FROM outbox o LEFT JOIN messages m ON m.id = o.message_id WHERE o.message_id = ?1",
        *COLUMNS
    );
    let found = connection
        .prepare_cached(&sql)?
        .query_row([message_id], item)
        .optional()?;
    let Some(item) = found else {
        return Ok(None);
    };
    let sql = format!(
        "SELECT {} FROM deliveries WHERE message_id = ?1 ORDER BY id DESC LIMIT ?2",
        DELIVERIES.select("")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let tries = statement.query_map(params![message_id, TRIES_MAX], |row| {
        DELIVERIES.check(row, 0)?;
        let right = row.get_ref(1)? == ValueRef::Integer(message_id);
        DELIVERIES.unless(right, row.get(0)?)?;
        Ok(Try {
            entry_id: row.get(0)?,
            at: moment(row, 2)?,
            took_micros: row.get(3)?,
            outcome: DeliveryOutcome::from_name(row.get_ref(4)?.as_str()?)
                .ok_or_else(|| odd(4, "outcome"))?,
            reason: row.get(5)?,
            answer: row.get(6)?,
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
    let mut statement = connection.prepare_cached(&NEXT)?;
    let found = statement
        .query_row([destination], |row| {
            let item = item(row)?;
            let right = item.destination == destination && item.state == OutboxState::Queued;
            OUTBOX.unless(right, item.message_id)?;
            let message = OUTBOX.width();
            let next = Next {
                message_id: item.message_id,
                tries: item.tries,
                raw: row.get(message + MESSAGES.width())?,
            };
            Ok((next, row.get::<_, Vec<u8>>(message + MESSAGES.width() + 1)?))
        })
        .optional()?;
    let Some((next, kept)) = found else {
        return Ok(None);
    };
    if digest(&next.raw).as_slice() != kept {
        return Err(MESSAGES.damaged(next.message_id).into());
    }
    Ok(Some(next))
}

pub(super) fn depths(connection: &Connection) -> Result<Vec<QueueDepth>, StoreError> {
    let mut depths: Vec<QueueDepth> = Vec::new();
    // Two queries that indexes answer, whatever was sent before.
    let intact = |row: &Row<'_>| match row.get(3)? {
        None => Ok(()),
        Some(message_id) => Err(OUTBOX.damaged(message_id)),
    };
    let mut statement = connection.prepare_cached(&WAITING)?;
    let waiting = statement.query_map([], |row| {
        intact(row)?;
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
    let mut statement = connection.prepare_cached(&ODD)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        intact(row)?;
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
