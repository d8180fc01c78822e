//! `GET /messages/{id}`: one message with everything that is known of it.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use hl7_json::Raw;
use hl7_message::{Message, Readable};
use medsynapse::Profile;
use medsynapse::domain::{Options, from_message};
use medsynapse_broker::Clock;
use medsynapse_store::{MessageOrder, MessageQuery, Store, StoreError, StoredMessage};
use serde::Deserialize;

use crate::address;
use crate::app::{Frame, Shared};
use crate::compare::{Compared, compare};
use crate::effect::{Effect, effects};
use crate::error_page::{error_page, render, unavailable};
use crate::exchange::{Pair, pairs};
use crate::line::{Line, lines};
use crate::list::Row;
use crate::reading::read;
use crate::tree::{Branch, Said, tree};
use crate::wall::grouped;

/// Longest JSON that is shown on the page.
const JSON_BYTES_MAX: usize = 256 << 10;

#[derive(Template)]
#[template(path = "message.html")]
struct DetailPage {
    frame: Frame,
    row: Row,
    facts: Vec<Fact>,
    said: Vec<Said>,
    lines: Vec<Line>,
    more_lines: usize,
    answer: Vec<Line>,
    branches: Vec<Branch>,
    more_branches: bool,
    /// What was sent beside what was answered.
    pairs: Vec<Pair>,
    effects: Vec<Effect>,
    json: Option<String>,
    domain: Option<String>,
    newer: Option<i64>,
    older: Option<i64>,
    /// The number that was asked for, as it was written.
    with: String,
    compared: Option<Compared>,
}

/// What else is asked for.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// The number of a message to compare this one with.
    #[serde(default)]
    with: String,
}

/// Something of the header.
struct Fact {
    what: &'static str,
    value: String,
    /// Where messages that share it are listed.
    list: Option<String>,
}

/// A message and its neighbours in the log.
struct Found {
    message: StoredMessage,
    effects: Vec<Effect>,
    newer: Option<i64>,
    older: Option<i64>,
}

pub(crate) async fn detail(
    State(shared): State<Arc<Shared>>,
    id: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let with = asked.map(|Query(asked)| asked.with).unwrap_or_default();
    let with: String = with.trim().chars().take(20).collect();
    let text = "The message log has no message with this number.";
    let not_found = || error_page(&shared, StatusCode::NOT_FOUND, "No such message", text);
    let number = id.ok().and_then(|Path(id)| id.parse::<i64>().ok());
    let Some(id) = number.filter(|id| *id >= 1) else {
        return not_found();
    };
    let clock = Arc::clone(&shared.app.clock);
    let frame = Frame::of(&shared.app);
    let broker = Arc::clone(&shared.app.broker);
    let page = read(shared.app.broker.store(), move |store| {
        let Some(found) = find(store, id)? else {
            return Ok(None);
        };
        let other = match with.parse() {
            Ok(other) => store.message(other)?,
            Err(_) => None,
        };
        let compared = other.map(|other| compare(&found.message.raw, &other.raw, other.summary.id));
        Ok(Some(DetailPage {
            with,
            compared,
            ..page(frame, found, broker.profile(), clock.as_ref())
        }))
    });
    match page.await {
        None => unavailable(&shared),
        Some(None) => not_found(),
        Some(Some(page)) => render(&page),
    }
}

fn find(store: &dyn Store, id: i64) -> Result<Option<Found>, StoreError> {
    let Some(message) = store.message(id)? else {
        return Ok(None);
    };
    let neighbour = |query: MessageQuery| -> Result<_, StoreError> {
        let page = store.messages(&MessageQuery { limit: 1, ..query })?;
        Ok(page.items.first().map(|message| message.id))
    };
    let newer = MessageQuery {
        after: Some(id),
        ..MessageQuery::default()
    };
    let older = MessageQuery {
        before: Some(id),
        order: MessageOrder::NewestFirst,
        ..MessageQuery::default()
    };
    Ok(Some(Found {
        effects: effects(store, &message.summary, &message.raw)?,
        message,
        newer: neighbour(newer)?,
        older: neighbour(older)?,
    }))
}

fn page(frame: Frame, found: Found, profile: &Profile, clock: &dyn Clock) -> DetailPage {
    let StoredMessage {
        summary,
        raw,
        ack,
        findings,
        warnings,
    } = found.message;
    let findings = findings.into_iter().map(|note| Said::of(note, "bad"));
    let mut said: Vec<Said> = findings
        .chain(warnings.into_iter().map(|note| Said::of(note, "warn")))
        .collect();
    let readable = Readable::of(&raw, profile.default_charset);
    let message = Message::parse(readable.as_bytes()).ok();
    let (branches, more_branches) = message
        .as_ref()
        .map(|message| tree(message, &mut said, profile.mapping_of(&message.header())))
        .unwrap_or_default();
    let json = message
        .as_ref()
        .and_then(|message| serde_json::to_string_pretty(&Raw(message)).ok());
    let domain = message.as_ref().and_then(|message| {
        let value = from_message(message, &Options::default()).ok()?;
        serde_json::to_string_pretty(&value).ok()
    });
    let (lines, more_lines) = lines(readable.as_bytes());
    let sender = [
        summary.sending_application.as_str(),
        summary.sending_facility.as_str(),
    ];
    let sender: Vec<&str> = sender.into_iter().filter(|part| !part.is_empty()).collect();
    let sender = sender.join(" · ");
    let (sent_at, size) = (summary.sent_at.clone(), summary.size);
    let row = Row::of(summary, clock);
    DetailPage {
        frame,
        facts: facts(&row, sender, sent_at, size),
        row,
        said,
        lines,
        more_lines,
        answer: self::lines(&ack).0,
        branches,
        more_branches,
        pairs: pairs(readable.as_bytes(), &ack),
        effects: found.effects,
        json: json.filter(|json| json.len() <= JSON_BYTES_MAX),
        domain: domain.filter(|json| json.len() <= JSON_BYTES_MAX),
        newer: found.newer,
        older: found.older,
        with: String::new(),
        compared: None,
    }
}

fn facts(row: &Row, sender: String, sent_at: String, size: u64) -> Vec<Fact> {
    let list = |prefix: &str, text: &str| {
        let text = format!("{prefix}{text}");
        Some(
            crate::search::Search {
                text,
                page: 1,
                ..Default::default()
            }
            .address(),
        )
    };
    let plain = |what, value| Fact {
        what,
        value,
        list: None,
    };
    let facts = [
        plain("Patient", row.patient_name.clone()),
        Fact {
            what: "Patient ID",
            value: row.patient_id.clone(),
            list: list("pid:", &row.patient_id),
        },
        Fact {
            what: "Accession number",
            value: row.accession_number.clone(),
            list: Some(address::order(&row.accession_number)),
        },
        plain("Control ID", row.control_id.clone()),
        plain("Sender", sender),
        plain("Sent (MSH-7)", sent_at),
        plain("Received", row.at.full.clone()),
        if row.out {
            plain("Sent to", row.peer.clone())
        } else {
            plain("Came in by", format!("{} from {}", row.transport, row.peer))
        },
        plain("Size", format!("{} bytes", grouped(size))),
        plain(
            "Sent again",
            match row.retransmissions {
                0 => String::new(),
                1 => "once".into(),
                n => format!("{n} times"),
            },
        ),
    ];
    facts
        .into_iter()
        .filter(|fact| !fact.value.is_empty())
        .collect()
}
