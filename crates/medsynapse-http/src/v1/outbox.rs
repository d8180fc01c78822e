//! `/api/v1/outbox`

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use medsynapse_broker::LanePhase;
use medsynapse_store::{ActionKind, OutboxCommand, OutboxItem, OutboxQuery, OutboxState, Try};
use serde::Deserialize;
use serde_json::{Value, json};

use super::orders::act;
use super::{TWICE, given, list, no_message, number, paging};
use crate::access::Caller;
use crate::app::App;
use crate::moment::rfc3339;
use crate::problem::Problem;
use crate::problem_code::ProblemCode;
use crate::reading::read;

/// Which messages to list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// To whom.
    destination: Option<String>,
    /// `queued`, `held`, `sent`, `refused`, `cancelled`
    state: Option<String>,
    /// OBR-2.1
    accession: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// How many on a page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

fn shown(item: &OutboxItem) -> Value {
    json!({
        "id": item.message_id,
        "destination": item.destination,
        "state": item.state.as_str(),
        "accessionNumber": item.accession_number,
        "studyStatus": item.study_status.as_str(),
        "withText": item.with_text,
        "controlId": item.control_id,
        "queuedAt": rfc3339(item.queued_at),
        "settledAt": item.settled_at.map(rfc3339),
        "tries": item.tries,
        "lastTryAt": item.last_try_at.map(rfc3339),
        "lastReason": item.last_reason,
    })
}

/// What waits to be sent and what was, the latest first.
#[utoipa::path(get, path = "/api/v1/outbox", tag = "outbox", security(("apiKey" = ["read"])),
    params(Filter), responses((status = 200, body = Value)))]
pub(crate) async fn outbox(
    State(app): State<Arc<App>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(filter) = filter.map_err(|_| Problem::parameter(TWICE))?;
    let state = match given(filter.state) {
        None => None,
        Some(name) => {
            let wrong = "Invalid state: give queued, held, sent, refused or cancelled";
            Some(OutboxState::from_name(&name).ok_or_else(|| Problem::parameter(wrong))?)
        }
    };
    let query = OutboxQuery {
        destination: given(filter.destination),
        state,
        accession_number: given(filter.accession),
        caused_by: None,
        paging: paging(&app, filter.cursor.as_deref(), filter.limit.as_deref())?,
    };
    let found = read(app.broker.store(), move |store| store.outbox(&query)).await?;
    Ok(Json(list(
        found.items.iter().map(shown).collect(),
        found.next,
    )))
}

/// What each destination is doing: whether its lane is idle, sends, or waits to try again, and
/// what waits for it. `phase` is `idle`, `sending`, `waiting`, `blocked` or `stopped`; a
/// destination that is no longer configured has none.
#[utoipa::path(get, path = "/api/v1/outbox/lanes", tag = "outbox",
    security(("apiKey" = ["read"])), responses((status = 200, body = Value)))]
pub(crate) async fn lanes(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let depths = read(app.broker.store(), medsynapse_store::Store::queue_depths).await?;
    let lanes = app.lanes.status();
    let configured = app.broker.destinations().iter().map(|one| one.name.clone());
    let mut names: Vec<String> = configured.collect();
    for depth in &depths {
        if !names.contains(&depth.destination) {
            names.push(depth.destination.clone());
        }
    }
    let items = names.into_iter().map(|name| {
        let depth = depths.iter().find(|depth| depth.destination == name);
        let depth = depth.cloned().unwrap_or_default();
        let lane = lanes.iter().find(|lane| lane.destination == name);
        let (message_id, until) = match lane.map(|lane| lane.phase) {
            Some(LanePhase::Sending { message_id }) => (Some(message_id), None),
            Some(LanePhase::Waiting { message_id, until }) => (Some(message_id), Some(until)),
            _ => (None, None),
        };
        json!({
            "destination": name,
            "phase": lane.map(|lane| lane.phase.name()),
            "messageId": message_id,
            "nextTryAt": until.map(rfc3339),
            "failures": lane.map_or(0, |lane| lane.failures),
            "lastFailure": lane.and_then(|lane| lane.last_failure.clone()),
            "alarm": lane.is_some_and(|lane| lane.alarm),
            "queued": depth.queued,
            "held": depth.held,
            "refused": depth.refused,
            "oldestQueuedAt": depth.oldest_queued_at.map(rfc3339),
        })
    });
    Ok(Json(list(items.collect(), None::<i64>)))
}

/// One message of the outbox with its tries.
#[utoipa::path(get, path = "/api/v1/outbox/{id}", tag = "outbox", security(("apiKey" = ["read"])),
    params(("id" = i64, Path, description = "Its number", minimum = 1)),
    responses((status = 200, body = Value)))]
pub(crate) async fn entry(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let Path(id) = id.map_err(|_| no_message())?;
    Ok(Json(found(&app, number(&id)?).await?))
}

async fn found(app: &App, id: i64) -> Result<Value, Problem> {
    let found = read(app.broker.store(), move |store| store.outbox_entry(id)).await?;
    let found = found.ok_or_else(no_message)?;
    let mut json = shown(&found.item);
    let tries = found.tries.iter().map(|one: &Try| {
        json!({
            "entryId": one.entry_id,
            "at": rfc3339(one.at),
            "tookMicros": one.took_micros,
            "outcome": one.outcome.as_str(),
            "reason": one.reason,
            "answer": one.answer.as_deref().map(String::from_utf8_lossy),
        })
    });
    if let Some(json) = json.as_object_mut() {
        json.insert("history".into(), tries.collect());
    }
    Ok(json)
}

/// `retry`: sends again what was refused or cancelled, releases what is held. `hold`: passes over
/// it. `cancel`: never sends it.
#[utoipa::path(post, path = "/api/v1/outbox/{id}/{command}", tag = "outbox",
    security(("apiKey" = ["write"])),
    params(("id" = i64, Path, description = "Its number", minimum = 1),
        ("command" = String, Path, description = "retry, hold or cancel")),
    responses((status = 200, body = Value)))]
pub(crate) async fn command(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String)>, PathRejection>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let Path((id, command)) = path.map_err(|_| no_message())?;
    let message_id = number(&id)?;
    let command = OutboxCommand::from_name(&command).ok_or_else(|| {
        let text = "Give retry, hold or cancel";
        Problem::new(ProblemCode::NoSuchCommand, text)
    })?;
    act(
        &app.broker,
        ActionKind::Outbox {
            message_id,
            command,
        },
        &caller,
    )
    .await?;
    Ok(Json(found(&app, message_id).await?))
}
