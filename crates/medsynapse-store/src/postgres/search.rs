//! Finding messages in a log of any length: a page costs the same wherever it is.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;

use super::filter::{Filter, asked, without_nul};
use super::messages::rows;
use super::rows::{SUMMARY, SUMMARY_WIDTH, get, summary};
use crate::error::StoreError;
use crate::query::{Direction, MessageSearch, Peer, Slice};
use crate::record::MessageSummary;

/// How many rows are looked at in one query; between them it is seen whether that is enough.
const WINDOW: i64 = 4_096;

pub(super) async fn search(
    client: &impl GenericClient,
    search: &MessageSearch,
) -> Result<Slice<MessageSummary>, StoreError> {
    let limit = usize::try_from(search.paging.limit).unwrap_or(usize::MAX);
    let ends = rows(client, "SELECT min(id), max(id) FROM messages", &[]).await?;
    let end_of = |index| match ends.first() {
        Some(row) => get::<Option<i64>>(row, index),
        None => Ok(None),
    };
    let (Some(oldest), Some(newest)) = (end_of(0)?, end_of(1)?) else {
        return Ok(Slice {
            items: Vec::new(),
            next: None,
        });
    };
    // Messages before `end` are looked at, down to `floor`.
    let after_all = newest.saturating_add(1);
    let mut end = search.paging.cursor.unwrap_or(i64::MAX).min(after_all);
    let mut floor = oldest;
    if let Some(to) = search.received_to {
        end = end.min(first_at(client, to, oldest, newest).await?);
    }
    if let Some(from) = search.received_from {
        floor = floor.max(first_at(client, from, oldest, newest).await?);
    }
    let mut items: Vec<MessageSummary> = Vec::new();
    let mut budget = i64::from(search.rows_max.max(1));
    while items.len() < limit && end > floor {
        if budget <= 0 {
            return Ok(Slice {
                items,
                next: Some(end),
            });
        }
        let window = if indexed(search) {
            end.saturating_sub(floor)
        } else {
            WINDOW.min(budget)
        };
        let start = end.saturating_sub(window).max(floor);
        let wanted = limit - items.len();
        let found = window_of(client, search, start, end, wanted).await?;
        items.extend(found.items);
        match found.cut_at {
            Some(last) if items.len() >= limit => {
                return Ok(Slice {
                    items,
                    next: (last > floor).then_some(last),
                });
            }
            // Some rows only looked as if they matched: on from there.
            Some(last) => {
                budget -= end - last;
                end = last;
            }
            None => {
                budget -= window;
                end = start;
            }
        }
    }
    Ok(Slice { items, next: None })
}

/// Whether an index finds all that can match, or rows that are few.
fn indexed(search: &MessageSearch) -> bool {
    let keyed = search.control_id.is_some()
        || search.accession_number.is_some()
        || search.patient_id.is_some()
        || search.has_warnings == Some(true)
        || search.ack_code.as_deref().is_some_and(|code| code != "AA");
    keyed && search.text.is_none() && search.peer.is_none()
}

/// What a window has.
struct Found {
    items: Vec<MessageSummary>,
    /// The last row that was read, if there may be more in the window.
    cut_at: Option<i64>,
}

async fn window_of(
    client: &impl GenericClient,
    search: &MessageSearch,
    start: i64,
    end: i64,
    limit: usize,
) -> Result<Found, StoreError> {
    let mut filter = Filter::default();
    filter.with("id >= ?", start);
    filter.with("id < ?", end);
    if let Some(control_id) = asked(search.control_id.as_ref()) {
        // Each half as its index says it.
        filter.with_all(
            "((control_id = ? AND control_id <> '' AND direction = 'in') \
             OR (control_id = ? AND direction = 'out'))",
            vec![Box::new(control_id.clone()), Box::new(control_id)],
        );
    }
    for (condition, text) in [
        ("accession_number = ?", &search.accession_number),
        ("patient_id = ?", &search.patient_id),
        ("message_code = ?", &search.message_code),
        ("trigger_event = ?", &search.trigger_event),
        ("sending_application = ?", &search.sending_application),
        ("sending_facility = ?", &search.sending_facility),
    ] {
        filter.maybe(condition, asked(text.as_ref()));
    }
    match asked(search.ack_code.as_ref()) {
        None => {}
        Some(code) if code == "AA" => filter.fixed("ack_code = 'AA'"),
        // Said so that the index of those that were not accepted is used.
        Some(code) => filter.with("ack_code <> 'AA' AND ack_code = ?", code),
    }
    match search.direction {
        None => {}
        Some(Direction::In) => filter.fixed("direction = 'in'"),
        Some(Direction::Out) => filter.fixed("direction = 'out'"),
    }
    match search.has_warnings {
        None => {}
        Some(true) => filter.fixed("warning_count > 0"),
        Some(false) => filter.fixed("warning_count = 0"),
    }
    let micros = |at: DateTime<Utc>| at.timestamp_micros();
    filter.maybe("received_at >= ?", search.received_from.map(micros));
    filter.maybe("received_at < ?", search.received_to.map(micros));
    match &search.peer {
        None => {}
        Some(Peer::Exactly(peer)) => filter.with("peer = ?", without_nul(peer).into_owned()),
        Some(Peer::Address(address)) => {
            let prefix = match address {
                IpAddr::V4(address) => format!("{address}:"),
                IpAddr::V6(address) => format!("[{address}]:"),
            };
            filter.with_all(
                "(starts_with(peer, ?) OR peer = ?)",
                vec![Box::new(prefix), Box::new(address.to_string())],
            );
        }
    }
    // The bytes as they came: ASCII letters of either case are the same. PostgreSQL has no such
    // search of bytes; it searches them as text with escapes, which finds all that match and
    // perhaps more, and these few are looked at here.
    let text = search.text.as_deref().filter(|text| !text.is_empty());
    let text = text.map(|text| text.to_ascii_lowercase().into_bytes());
    if let Some(text) = &text {
        filter.with(
            "position(lower(encode(?, 'escape') COLLATE \"C\") \
             IN lower(encode(raw, 'escape') COLLATE \"C\")) > 0",
            text.clone(),
        );
    }
    let bytes = if text.is_some() { ", raw" } else { "" };
    let last = filter.value(i64::try_from(limit).unwrap_or(i64::MAX));
    let sql = format!(
        "SELECT {SUMMARY}{bytes} FROM messages{} ORDER BY id DESC LIMIT {last}",
        filter.text()
    );
    let found = rows(client, &sql, &filter.values()).await?;
    let cut_at = match found.last() {
        Some(row) if found.len() == limit => Some(get(row, 0)?),
        _ => None,
    };
    let mut items = Vec::with_capacity(found.len());
    for row in &found {
        let right = match &text {
            Some(text) => contains(get(row, SUMMARY_WIDTH)?, text),
            None => true,
        };
        if right {
            items.push(summary(row)?);
        }
    }
    Ok(Found { items, cut_at })
}

/// Whether `wanted`, in small letters, stands in `bytes`.
fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    let mut windows = bytes.windows(wanted.len());
    windows.any(|window| window.eq_ignore_ascii_case(wanted))
}

/// The first message that was received at a moment or later, by halving: messages are numbered
/// as they are stored. A clock that was set back, or that of another server, can put a message on
/// the wrong side; the condition on its own time still holds for everything that is found.
async fn first_at(
    client: &impl GenericClient,
    at: DateTime<Utc>,
    oldest: i64,
    newest: i64,
) -> Result<i64, StoreError> {
    let sql = "SELECT id, received_at FROM messages WHERE id >= $1 ORDER BY id LIMIT 1";
    let (mut low, mut high) = (oldest, newest.saturating_add(1));
    while low < high {
        let middle = low + high.saturating_sub(low) / 2;
        let found = rows(client, sql, &[&middle]).await?;
        match found.first() {
            Some(row) if get::<i64>(row, 1)? < at.timestamp_micros() => {
                low = get::<i64>(row, 0)? + 1;
            }
            _ => high = middle,
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_whatever_the_case_of_ascii_letters() {
        assert!(contains(b"MSH|^~\\&|RIS", b"ris"));
        assert!(!contains(b"\xc3\x84", b"303"));
        assert!(!contains(b"a", b"ab"));
    }
}
