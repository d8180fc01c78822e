//! Events, read off the log.

use deadpool_postgres::GenericClient;

use super::messages::rows;
use super::rows::{damaged, get, moment};
use crate::decide::events::{of_action, of_delivery, of_message};
use crate::error::StoreError;
use crate::event::{Event, EventKind, ReportChange};
use crate::work::DeliveryOutcome;

/// The entries of the log from a number on, whatever their sort, with what they have to tell.
const ENTRIES: &str = "SELECT * FROM (\
    (SELECT id, 0 AS sort, received_at AS at, direction AS what, effect AS more, \
    accession_number, NULL::bigint AS message_id FROM messages WHERE id >= $1 \
    ORDER BY id LIMIT $2) UNION ALL \
    (SELECT id, 1, at, events, '', NULL, NULL FROM actions \
    WHERE id >= $1 AND events <> '[]' ORDER BY id LIMIT $2) UNION ALL \
    (SELECT d.id, 2, d.at, d.outcome, '', o.accession_number, d.message_id FROM deliveries d \
    LEFT JOIN outbox o ON o.message_id = d.message_id \
    WHERE d.id >= $1 AND d.outcome <> 'failed' ORDER BY d.id LIMIT $2)) entries \
    ORDER BY id LIMIT $2";

/// What happened after an event, in order. One statement: what it sees was committed when it
/// began, and entries become visible in the order of their numbers, so that none is skipped.
pub(super) async fn after(
    client: &impl GenericClient,
    id: i64,
    limit: u32,
) -> Result<Vec<Event>, StoreError> {
    // The entry of the event itself may have more to tell.
    let first = Event::entry_of(id.max(0));
    let entries = i64::from(limit) + 1;
    let mut events = Vec::new();
    for row in rows(client, ENTRIES, &[&first, &entries]).await? {
        let entry_id: i64 = get(&row, 0)?;
        let accession_number: Option<&str> = get(&row, 5)?;
        let what: &str = get(&row, 3)?;
        let kinds = match get::<i32>(&row, 1)? {
            0 if what == "out" => vec![EventKind::Report {
                change: ReportChange::Queued,
                accession_number: accession_number.unwrap_or_default().into(),
                entry_id,
            }],
            0 => of_message(entry_id, get(&row, 4)?, accession_number),
            1 => {
                let kept: Vec<(String, Option<String>)> =
                    serde_json::from_str(what).map_err(|_| damaged("actions", entry_id))?;
                kept.iter()
                    .filter_map(|(name, order)| of_action(name, order.as_deref(), entry_id))
                    .collect()
            }
            _ => {
                let outcome =
                    DeliveryOutcome::from_name(what).ok_or(damaged("deliveries", entry_id))?;
                of_delivery(get(&row, 6)?, outcome, accession_number.unwrap_or_default())
            }
        };
        events.extend(Event::numbered(entry_id, moment(&row, 2)?, kinds));
    }
    events.retain(|event| event.id > Some(id));
    events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(events)
}

/// The id of the last event.
pub(super) async fn last(client: &impl GenericClient) -> Result<i64, StoreError> {
    // What can be seen: a number that was given out may be on its way still.
    let sql = "SELECT greatest((SELECT max(id) FROM messages), (SELECT max(id) FROM actions), \
        (SELECT max(id) FROM deliveries))";
    let found = rows(client, sql, &[]).await?;
    let entry = found
        .first()
        .map_or(Ok(None), |row| get::<Option<i64>>(row, 0))?;
    Ok(last_of(entry.unwrap_or(0)))
}

/// The last id that an entry can have: what comes next has a larger one.
pub(super) fn last_of(entry: i64) -> i64 {
    if entry == 0 {
        0
    } else {
        Event::id_of(entry + 1, 0) - 1
    }
}
