//! Finding messages in a log of any length: a page costs the same wherever it is.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::filter::Filter;
use super::hidden::RAW;
use super::read::{SUMMARY, summary};
use super::rows::micros;
use super::tables::MESSAGES;
use crate::error::StoreError;
use crate::query::{Direction, MessageSearch, Paging, Peer, Slice};
use crate::record::MessageSummary;

/// How many rows are looked at in one query; between them it is seen whether that is enough.
const WINDOW: i64 = 4_096;

pub(super) fn search(
    connection: &Connection,
    search: &MessageSearch,
) -> Result<Slice<MessageSummary>, StoreError> {
    let limit = usize::try_from(search.paging.limit).unwrap_or(usize::MAX);
    let newest: Option<i64> =
        connection.query_row("SELECT max(id) FROM messages", [], |row| row.get(0))?;
    let oldest: Option<i64> =
        connection.query_row("SELECT min(id) FROM messages", [], |row| row.get(0))?;
    let (Some(newest), Some(oldest)) = (newest, oldest) else {
        return Ok(Slice {
            items: Vec::new(),
            next: None,
        });
    };
    // Messages before `end` are looked at, down to `floor`.
    let mut end = search
        .paging
        .cursor
        .unwrap_or(i64::MAX)
        .min(newest.saturating_add(1));
    let mut floor = oldest;
    if let Some(to) = search.received_to {
        end = end.min(first_at(connection, to, oldest, newest)?);
    }
    if let Some(from) = search.received_from {
        floor = floor.max(first_at(connection, from, oldest, newest)?);
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
        let window = if selective(search) || index(search).is_some() {
            end.saturating_sub(floor)
        } else {
            WINDOW.min(budget)
        };
        let start = end.saturating_sub(window).max(floor);
        let wanted = limit - items.len();
        let found = page(connection, search, start, end, wanted)?;
        let full = found.len() == wanted;
        let last = found.last().map(|message| message.id);
        items.extend(found);
        budget -= window;
        match last {
            Some(last) if full => {
                return Ok(Slice {
                    items,
                    next: (last > floor).then_some(last),
                });
            }
            _ => end = start,
        }
    }
    Ok(Slice { items, next: None })
}

/// Whether an index finds all that can match.
fn selective(search: &MessageSearch) -> bool {
    let indexed = search.control_id.is_some()
        || search.accession_number.is_some()
        || search.patient_id.is_some();
    let plain = search.text.is_none() && search.peer.is_none();
    indexed && plain
}

/// The index that has few rows or all that match, in order: said by name, since the range of ids
/// tempts the planner to read every row.
fn index(search: &MessageSearch) -> Option<&'static str> {
    if selective(search) || search.text.is_some() || search.peer.is_some() {
        return None;
    }
    if search.ack_code.as_deref().is_some_and(|code| code != "AA") {
        return Some("messages_not_accepted");
    }
    if search.has_warnings == Some(true) {
        return Some("messages_with_warnings");
    }
    let by_code_alone = MessageSearch {
        message_code: None,
        paging: Paging::default(),
        rows_max: 0,
        ..search.clone()
    };
    let nothing_else = MessageSearch {
        rows_max: 0,
        ..MessageSearch::default()
    };
    (search.message_code.is_some() && by_code_alone == nothing_else).then_some("messages_by_code")
}

fn page(
    connection: &Connection,
    search: &MessageSearch,
    start: i64,
    end: i64,
    limit: usize,
) -> Result<Vec<MessageSummary>, StoreError> {
    let mut filter = Filter::default();
    filter.with("id >= ?", start);
    filter.with("id < ?", end);
    let text = |value: &Option<String>| value.clone();
    if let Some(control_id) = &search.control_id {
        let both = [control_id, control_id].map(|id| Value::Text(id.clone()));
        filter.with_all(
            "id IN (SELECT id FROM messages WHERE control_id = ? AND control_id <> '' \
             AND direction = 'in' UNION ALL \
             SELECT id FROM messages WHERE control_id = ? AND direction = 'out')"
                .into(),
            both.to_vec(),
        );
    }
    filter.maybe("accession_number = ?", text(&search.accession_number));
    filter.maybe("patient_id = patient_token(?)", text(&search.patient_id));
    filter.maybe("message_code = ?", text(&search.message_code));
    filter.maybe("trigger_event = ?", text(&search.trigger_event));
    filter.maybe("sending_application = ?", text(&search.sending_application));
    filter.maybe("sending_facility = ?", text(&search.sending_facility));
    match search.ack_code.as_deref() {
        None => {}
        Some("AA") => filter.fixed("ack_code = 'AA'"),
        // Said so that the index of those that were not accepted is used.
        Some(code) => filter.with("ack_code <> 'AA' AND ack_code = ?", code.to_owned()),
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
    filter.maybe("received_at >= ?", search.received_from.map(micros));
    filter.maybe("received_at < ?", search.received_to.map(micros));
    match &search.peer {
        None => {}
        Some(Peer::Exactly(peer)) => filter.with("peer = ?", peer.clone()),
        Some(Peer::Address(address)) => {
            let prefix = match address {
                IpAddr::V4(address) => format!("{address}:"),
                IpAddr::V6(address) => format!("[{address}]:"),
            };
            let length = i64::try_from(prefix.len()).unwrap_or(i64::MAX);
            let values = vec![
                Value::Integer(length),
                Value::Text(prefix),
                Value::Text(address.to_string()),
            ];
            filter.with_all("(substr(peer, 1, ?) = ? OR peer = ?)".into(), values);
        }
    }
    if let Some(text) = search.text.as_deref().filter(|text| !text.is_empty()) {
        // The bytes as they came: ASCII letters of either case are the same.
        let wanted = text.to_ascii_lowercase();
        filter.with(&format!("instr(lower(CAST({RAW} AS TEXT)), ?) > 0"), wanted);
    }
    let (condition, mut values) = filter.into_parts();
    values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
    let select = &*SUMMARY;
    let by = index(search).map_or(String::new(), |name| format!(" INDEXED BY {name}"));
    let sql = format!("SELECT {select} FROM messages{by}{condition} ORDER BY id DESC LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), summary)?;
    let items: Vec<MessageSummary> = rows.collect::<Result<_, _>>()?;
    for message in &items {
        let same =
            |asked: &Option<String>, is: Option<&str>| asked.is_none() || asked.as_deref() == is;
        let right = same(&search.message_code, Some(&message.message_code))
            && same(
                &search.accession_number,
                message.accession_number.as_deref(),
            )
            && same(&search.patient_id, message.patient_id.as_deref())
            && same(&search.control_id, Some(&message.control_id))
            && same(&search.ack_code, Some(&message.ack_code))
            && search
                .has_warnings
                .is_none_or(|has| has == (message.warning_count > 0));
        // An index gave out something else than was asked for.
        MESSAGES.unless(right, message.id)?;
    }
    MESSAGES.in_order(&items, |message| message.id, |message| message.id)?;
    Ok(items)
}

/// The first message that was received at a moment or later, by halving: messages are numbered
/// as they come. A clock that was set back can put a message on the wrong side; the condition on
/// its own time still holds for everything that is found.
fn first_at(
    connection: &Connection,
    at: DateTime<Utc>,
    oldest: i64,
    newest: i64,
) -> Result<i64, StoreError> {
    let sql = format!(
        "SELECT {} FROM messages WHERE id >= ?1 ORDER BY id LIMIT 1",
        MESSAGES.stored("")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let (mut low, mut high) = (oldest, newest.saturating_add(1));
    while low < high {
        let middle = low + high.saturating_sub(low) / 2;
        let found: Option<(i64, i64)> = statement
            .query_row([middle], |row| {
                MESSAGES.check(row, 0)?;
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        match found {
            Some((id, received_at)) if received_at < micros(at) => low = id + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
