//! `GET /`: the messages, newest first.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use medsynapse::PersonName;
use medsynapse_broker::Clock;
use medsynapse_store::{Direction, MessageSummary};

use crate::app::{Frame, Shared};
use crate::badge::Badge;
use crate::error_page::{render, unavailable};
use crate::reading::read;
use crate::search::{Found, Parameters, Search};
use crate::tempo::Sparkline;
use crate::wall::{Wall, grouped};
use crate::words::{self, Words};

/// Most types that have a filter of their own; a stranger can send any number.
const CHIPS_MAX: usize = 12;

#[derive(Template)]
#[template(path = "messages.html")]
struct ListPage {
    frame: Frame,
    search: Search,
    narrows: bool,
    rows: Vec<Row>,
    chips: Vec<Chip>,
    sparkline: Option<Sparkline>,
    /// `1–50 of 1,204`
    range: String,
    total: u64,
    everything: u64,
    /// Whether somebody is told of studies.
    destinations: bool,
    taken_for: Option<&'static str>,
    also: Vec<Also>,
    /// Why nothing was looked for.
    problem: Option<&'static str>,
    newer: Option<String>,
    older: Option<String>,
    last_id: i64,
}

/// A filter by type.
struct Chip {
    words: &'static str,
    code: String,
    count: String,
    address: String,
    current: bool,
}

/// Something else that the text of a search names.
struct Also {
    words: &'static str,
    count: String,
    address: String,
}

/// A message in a list.
pub(crate) struct Row {
    pub(crate) id: i64,
    /// Whether the broker sent it.
    pub(crate) out: bool,
    pub(crate) at: Wall,
    pub(crate) about: Words,
    pub(crate) type_code: String,
    pub(crate) control_id: String,
    pub(crate) patient_name: String,
    pub(crate) patient_id: String,
    pub(crate) accession_number: String,
    pub(crate) transport: &'static str,
    pub(crate) peer: String,
    pub(crate) badge: Badge,
    pub(crate) ack_text: String,
    pub(crate) warnings: u32,
    pub(crate) retransmissions: u32,
}

impl Row {
    pub(crate) fn of(from: MessageSummary, clock: &dyn Clock) -> Self {
        let name = from.patient_name.as_deref().map(PersonName::from_xpn);
        Self {
            id: from.id,
            out: from.direction == Direction::Out,
            at: Wall::of(from.received_at, clock),
            about: words::of(&from.message_code, &from.trigger_event, &from.ack_text),
            type_code: words::type_code(&from.message_code, &from.trigger_event),
            control_id: from.control_id,
            patient_name: name.map(|name| name.to_string()).unwrap_or_default(),
            patient_id: from.patient_id.unwrap_or_default(),
            accession_number: from.accession_number.unwrap_or_default(),
            transport: match from.transport.as_str() {
                "mllp" => "MLLP",
                "http" => "HTTP",
                _ => "other",
            },
            peer: from.peer,
            badge: Badge::of(&from.ack_code),
            ack_text: from.ack_text,
            warnings: from.warning_count,
            retransmissions: from.retransmissions,
        }
    }
}

pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Response {
    let search = Search::from(parameters.map(|Query(given)| given).unwrap_or_default());
    let rows = shared.app.limits.page_rows;
    let (asked, clock) = (search.clone(), Arc::clone(&shared.app.clock));
    let with = Arc::clone(&shared);
    let found = read(shared.app.broker.store(), move |store| {
        with.tempo.count(store, clock.now())?;
        asked.find(store, rows, clock.as_ref())
    })
    .await;
    match found {
        Some(found) => render(&page(&shared, search, found)),
        None => unavailable(&shared),
    }
}

fn page(shared: &Shared, search: Search, found: Found) -> ListPage {
    let page_rows = u64::from(shared.app.limits.page_rows);
    let clock = shared.app.clock.as_ref();
    let total = found.page.total;
    let first = (search.page - 1).saturating_mul(page_rows);
    let shown = u64::try_from(found.page.items.len()).unwrap_or_default();
    let at_page = |page: u64| {
        Search {
            page,
            ..search.clone()
        }
        .address()
    };
    let pages = total.div_ceil(page_rows).max(1);
    let also = found.also.iter().map(|(by, count)| {
        let text = format!("{}{}", by.prefix(), search.text);
        let address = Search {
            text,
            page: 1,
            ..search.clone()
        }
        .address();
        Also {
            words: by.words(),
            count: grouped(*count),
            address,
        }
    });
    let first_again = Search {
        page: 1,
        before: None,
        ..search.clone()
    };
    let (newer, older) = match &found.filtered {
        Some(filtered) => (
            search.before.map(|_| first_again.address()),
            filtered.next.map(|before| {
                let before = Some(before);
                Search {
                    before,
                    ..first_again.clone()
                }
                .address()
            }),
        ),
        None => (
            (search.page > 1).then(|| at_page((search.page - 1).min(pages))),
            (search.page < pages).then(|| at_page(search.page + 1)),
        ),
    };
    let range = if found.filtered.is_some() {
        format!("{} on this page", grouped(shown))
    } else if shown == 0 {
        "0".to_owned()
    } else {
        format!(
            "{}–{} of {}",
            grouped(first + 1),
            grouped(first + shown),
            grouped(total)
        )
    };
    ListPage {
        frame: Frame::of(&shared.app),
        narrows: search.narrows(),
        chips: chips(&search, &found.types),
        sparkline: shared.tempo.sparkline(clock),
        range,
        total,
        destinations: !shared.app.broker.destinations().is_empty(),
        everything: found.types.iter().map(|(_, count)| count).sum(),
        taken_for: found.by.map(super::search::By::words),
        also: also.collect(),
        problem: found
            .filtered
            .as_ref()
            .and_then(|filtered| filtered.problem)
            .map(|problem| problem.0),
        newer,
        older,
        last_id: found
            .page
            .items
            .iter()
            .map(|message| message.id)
            .max()
            .unwrap_or_default(),
        rows: found
            .page
            .items
            .into_iter()
            .map(|message| Row::of(message, clock))
            .collect(),
        search,
    }
}

fn chips(search: &Search, types: &[(String, u64)]) -> Vec<Chip> {
    let chip = |kind: Option<&str>, words, code: &str, count| Chip {
        words,
        code: code.to_owned(),
        count: grouped(count),
        address: Search {
            kind: kind.map(str::to_owned),
            page: 1,
            before: None,
            ..search.clone()
        }
        .address(),
        current: search.kind.as_deref() == kind,
    };
    let all = chip(None, "All", "", types.iter().map(|(_, count)| count).sum());
    let mut types: Vec<_> = types.iter().collect();
    types.sort_by_key(|(code, _)| words::rank(code));
    let shown = types.iter().take(CHIPS_MAX);
    let each = shown.map(|(code, count)| chip(Some(code), words::plural(code), code, *count));
    std::iter::once(all).chain(each).collect()
}
