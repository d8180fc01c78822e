//! What waits to be sent and what was, read.

use deadpool_postgres::GenericClient;

use super::filter::{Filter, asked, next, without_nul};
use super::messages::rows;
use super::rows::{
    OUTBOX, OUTBOX_WIDTH, TRY, count64, damaged, delivery, get, maybe_moment, of,
    outbox as outbox_of_row,
};
use crate::error::StoreError;
use crate::outbox::{Next, OutboxEntry, OutboxItem, OutboxQuery, OutboxState, QueueDepth};
use crate::query::Slice;
use crate::record::digest;

/// Most tries that are given of a message.
const TRIES_MAX: i64 = 1_000;

/// Entries with the control ids of their messages.
fn select(more: &str) -> String {
    format!(
        "SELECT {}, m.control_id{more} FROM outbox o JOIN messages m ON m.id = o.message_id",
        of("o.", OUTBOX)
    )
}

pub(super) async fn list(
    client: &impl GenericClient,
    query: &OutboxQuery,
) -> Result<Slice<OutboxItem>, StoreError> {
    let mut filter = Filter::default();
    filter.maybe("o.message_id < ?", query.paging.cursor);
    filter.maybe("o.destination = ?", asked(query.destination.as_ref()));
    filter.maybe(
        "o.accession_number = ?",
        asked(query.accession_number.as_ref()),
    );
    filter.maybe("o.caused_by = ?", query.caused_by);
    match query.state {
        None => {}
        // Said as the indexes say it.
        Some(OutboxState::Queued) => filter.fixed("o.state = 'queued'"),
        Some(OutboxState::Held) => filter.fixed("o.state = 'held'"),
        Some(OutboxState::Refused) => filter.fixed("o.state = 'refused'"),
        Some(state) => filter.with("o.state = ?", state.as_str()),
    }
    let limit = filter.value(i64::from(query.paging.limit));
    let sql = format!(
        "{}{} ORDER BY o.message_id DESC LIMIT {limit}",
        select(""),
        filter.text()
    );
    let found = rows(client, &sql, &filter.values()).await?;
    let items: Vec<OutboxItem> = found.iter().map(outbox_of_row).collect::<Result<_, _>>()?;
    let next = next(&items, query.paging.limit, |item| item.message_id);
    Ok(Slice { items, next })
}

pub(super) async fn entry(
    client: &impl GenericClient,
    message_id: i64,
) -> Result<Option<OutboxEntry>, StoreError> {
    let sql = format!("{} WHERE o.message_id = $1", select(""));
    let found = rows(client, &sql, &[&message_id]).await?;
    let Some(item) = found.first().map(outbox_of_row).transpose()? else {
        return Ok(None);
    };
    let sql =
        format!("SELECT {TRY} FROM deliveries WHERE message_id = $1 ORDER BY id DESC LIMIT $2");
    let tries = rows(client, &sql, &[&message_id, &TRIES_MAX]).await?;
    Ok(Some(OutboxEntry {
        item,
        tries: tries.iter().map(delivery).collect::<Result<_, _>>()?,
    }))
}

pub(super) async fn next_outgoing(
    client: &impl GenericClient,
    destination: &str,
) -> Result<Option<Next>, StoreError> {
    let sql = format!(
        "{} WHERE o.destination = $1 AND o.state = 'queued' ORDER BY o.position LIMIT 1",
        select(", m.digest, m.raw")
    );
    let found = rows(client, &sql, &[&without_nul(destination)]).await?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let item = outbox_of_row(row)?;
    let raw: Vec<u8> = get(row, OUTBOX_WIDTH + 2)?;
    if digest(&raw) != *get::<&[u8]>(row, OUTBOX_WIDTH + 1)? {
        return Err(damaged("messages", item.message_id));
    }
    Ok(Some(Next {
        message_id: item.message_id,
        tries: item.tries,
        raw,
    }))
}

pub(super) async fn depths(client: &impl GenericClient) -> Result<Vec<QueueDepth>, StoreError> {
    // One statement, so that it is of one moment; indexes have what waits and what is odd.
    let sql = "SELECT destination, count(*) FILTER (WHERE state = 'queued'), \
               min(queued_at) FILTER (WHERE state = 'queued'), \
               count(*) FILTER (WHERE state = 'held'), \
               count(*) FILTER (WHERE state = 'refused') \
               FROM (SELECT destination, state, queued_at FROM outbox WHERE state = 'queued' \
               UNION ALL SELECT destination, state, queued_at FROM outbox \
               WHERE state IN ('held', 'refused')) waiting \
               GROUP BY destination ORDER BY destination";
    let found = rows(client, sql, &[]).await?;
    found
        .iter()
        .map(|row| {
            Ok(QueueDepth {
                destination: get(row, 0)?,
                queued: count64(row, 1)?,
                oldest_queued_at: maybe_moment(row, 2)?,
                held: count64(row, 3)?,
                refused: count64(row, 4)?,
            })
        })
        .collect()
}
