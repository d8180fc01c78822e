//! `GET /outbox` and `GET /outbox/{id}`: what goes to the RIS, and each try.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use medsynapse::StudyStatus;
use medsynapse_broker::Clock;
use medsynapse_store::{DeliveryOutcome, OutboxItem, OutboxQuery, OutboxState, Paging, Slice, Try};
use serde::Deserialize;

use crate::act;
use crate::address::{self, Address};
use crate::app::{Frame, Shared};
use crate::error_page::{error_page, render, unavailable};
use crate::lane::{LaneView, lanes};
use crate::line::{Line, lines};
use crate::reading::read;
use crate::wall::Wall;

#[derive(Debug, Default, Clone, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    destination: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    before: String,
}

#[derive(Template)]
#[template(path = "outbox.html")]
struct OutboxPage {
    frame: Frame,
    asked: Asked,
    lanes: Vec<LaneView>,
    states: Vec<&'static str>,
    rows: Vec<ItemRow>,
    first: bool,
    older: Option<String>,
}

/// A message of the outbox in a list.
struct ItemRow {
    id: i64,
    destination: String,
    state: &'static str,
    tone: &'static str,
    what: String,
    accession_number: String,
    order: String,
    queued: Wall,
    tries: u32,
    last: String,
}

#[derive(Template)]
#[template(path = "outbox_item.html")]
struct ItemPage {
    frame: Frame,
    row: ItemRow,
    control_id: String,
    settled: Option<Wall>,
    said: Option<(&'static str, &'static str)>,
    commands: Vec<(&'static str, &'static str)>,
    lines: Vec<Line>,
    tries: Vec<TryView>,
}

struct TryView {
    at: Wall,
    millis: String,
    tone: &'static str,
    outcome: &'static str,
    reason: String,
    answer: Vec<Line>,
}

impl ItemRow {
    fn of(item: OutboxItem, clock: &dyn Clock) -> Self {
        let (state, tone) = match item.state {
            OutboxState::Queued if item.tries > 0 => ("Trying", "warn"),
            OutboxState::Queued => ("Waiting", ""),
            OutboxState::Held => ("Held", "warn"),
            OutboxState::Sent => ("Sent", "ok"),
            OutboxState::Refused => ("Refused", "bad"),
            OutboxState::Cancelled => ("Cancelled", ""),
        };
        let text = if item.with_text {
            ", with the report"
        } else {
            ""
        };
        Self {
            id: item.message_id,
            destination: item.destination,
            state,
            tone,
            what: format!("{}{text}", status_words(item.study_status)),
            order: address::order(&item.accession_number),
            accession_number: item.accession_number,
            queued: Wall::of(item.queued_at, clock),
            tries: item.tries,
            last: match item.last_reason.as_deref() {
                Some("refused") => "connection refused".into(),
                reason => reason.unwrap_or_default().to_owned(),
            },
        }
    }
}

const fn status_words(status: StudyStatus) -> &'static str {
    match status {
        StudyStatus::Completed => "Study completed (I)",
        StudyStatus::Read => "Report read (R)",
        StudyStatus::Final => "Report final (F)",
        StudyStatus::Printed => "Report printed (P)",
    }
}

impl Asked {
    fn address(&self, before: Option<i64>) -> String {
        let before = before.map(|id| id.to_string()).unwrap_or_default();
        Address::to("/outbox")
            .with("destination", &self.destination)
            .with("state", &self.state)
            .with("before", &before)
            .done()
    }
}

pub(crate) async fn outbox(
    State(shared): State<Arc<Shared>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let mut asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let state = OutboxState::from_name(&asked.state);
    state
        .map_or("", OutboxState::as_str)
        .clone_into(&mut asked.state);
    let query = OutboxQuery {
        destination: Some(asked.destination.clone()).filter(|name| !name.is_empty()),
        state,
        paging: Paging {
            cursor: asked.before.parse().ok(),
            limit: shared.app.limits.page_rows,
        },
        ..OutboxQuery::default()
    };
    let found = read(shared.app.broker.store(), move |store| {
        Ok((store.outbox(&query)?, store.queue_depths()?))
    });
    let Some((Slice { items, next }, depths)) = found.await else {
        return unavailable(&shared);
    };
    let clock = shared.app.clock.as_ref();
    render(&OutboxPage {
        frame: Frame::of(&shared.app),
        lanes: lanes(&shared, depths),
        states: OutboxState::ALL.map(OutboxState::as_str).into(),
        rows: items
            .into_iter()
            .map(|item| ItemRow::of(item, clock))
            .collect(),
        first: asked.before.is_empty(),
        older: next.map(|id| asked.address(Some(id))),
        asked,
    })
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct After {
    #[serde(default)]
    outcome: String,
}

pub(crate) async fn item(
    State(shared): State<Arc<Shared>>,
    id: Result<Path<i64>, PathRejection>,
    after: Result<Query<After>, QueryRejection>,
) -> Response {
    let text = "The outbox has no message with this number.";
    let not_found = || error_page(&shared, StatusCode::NOT_FOUND, "No such message", text);
    let Ok(Path(id)) = id else { return not_found() };
    let found = read(shared.app.broker.store(), move |store| {
        let Some(entry) = store.outbox_entry(id)? else {
            return Ok(None);
        };
        Ok(Some((entry, store.message(id)?)))
    });
    let (entry, message) = match found.await {
        None => return unavailable(&shared),
        Some(None) => return not_found(),
        Some(Some(found)) => found,
    };
    let clock = shared.app.clock.as_ref();
    let commands = match entry.item.state {
        OutboxState::Queued => &[("retry", "Try now"), ("hold", "Hold"), ("cancel", "Cancel")][..],
        OutboxState::Held => &[("retry", "Release"), ("cancel", "Cancel")],
        OutboxState::Refused | OutboxState::Cancelled => &[("retry", "Send again")],
        OutboxState::Sent => &[],
    };
    let raw = message.map(|message| message.raw).unwrap_or_default();
    render(&ItemPage {
        frame: Frame::of(&shared.app),
        control_id: entry.item.control_id.clone(),
        settled: entry.item.settled_at.map(|at| Wall::of(at, clock)),
        said: after
            .ok()
            .and_then(|Query(after)| act::said(&after.outcome)),
        commands: commands.to_vec(),
        lines: lines(&raw).0,
        tries: entry
            .tries
            .into_iter()
            .map(|one| try_view(one, clock))
            .collect(),
        row: ItemRow::of(entry.item, clock),
    })
}

fn try_view(one: Try, clock: &dyn Clock) -> TryView {
    let (tone, outcome) = match one.outcome {
        DeliveryOutcome::Accepted => ("ok", "accepted"),
        DeliveryOutcome::Refused => ("bad", "refused"),
        DeliveryOutcome::Failed => ("warn", "no answer that counts"),
    };
    TryView {
        at: Wall::of(one.at, clock),
        #[expect(clippy::cast_precision_loss, reason = "a time to be shown")]
        millis: format!("{:.1}", one.took_micros as f64 / 1000.0),
        tone,
        outcome,
        reason: match (one.outcome, one.reason.as_str()) {
            // Not to be taken for a refusal of the message.
            (DeliveryOutcome::Failed, "refused") => "connection refused".into(),
            _ => one.reason,
        },
        answer: one
            .answer
            .as_deref()
            .map(|a| lines(a).0)
            .unwrap_or_default(),
    }
}
