//! What an administrator looks at: the audit trail, connections, faults.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use medsynapse_broker::{FaultPlan, Faults};
use medsynapse_worklist::live::{Caller, Live};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::body::{Limit, json_body};
use crate::moment::rfc3339;
use crate::problem::Problem;
use crate::problem_code::ProblemCode;

/// The MLLP connections that are open. Clones share them.
#[derive(Clone, Default)]
pub struct Connections(Arc<Mutex<BTreeMap<u64, Connection>>>);

/// An MLLP connection that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Where it comes from.
    pub peer: String,
    /// Since when it is open.
    pub opened_at: DateTime<Utc>,
    /// How many messages came over it.
    pub messages: u64,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

impl Connections {
    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<u64, Connection>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One was opened.
    pub fn opened(&self, id: u64, peer: String, opened_at: DateTime<Utc>) {
        let messages = 0;
        self.with(|open| {
            open.insert(
                id,
                Connection {
                    peer,
                    opened_at,
                    messages,
                },
            )
        });
    }

    /// A message came over one.
    pub fn received(&self, id: u64) {
        self.with(|open| {
            if let Some(connection) = open.get_mut(&id) {
                connection.messages += 1;
            }
        });
    }

    /// Those that are open, each with its number, the oldest first.
    pub fn open(&self) -> Vec<(u64, Connection)> {
        self.with(|open| {
            let entries = open.iter();
            entries.map(|(id, one)| (*id, one.clone())).collect()
        })
    }

    /// One was closed.
    pub fn closed(&self, id: u64) {
        self.with(|open| open.remove(&id));
    }
}

/// The connections that are open: those over MLLP, then the associations of modalities.
/// `callers` are all AE titles that called since the server began, with what they did.
#[utoipa::path(get, path = "/api/v1/connections", tag = "operations",
    security(("apiKey" = ["read"])), responses((status = 200, body = Value)))]
pub(crate) async fn connections(
    State(app): State<Arc<App>>,
    live: Option<Extension<Arc<Live>>>,
) -> Json<Value> {
    let mut items = app.connections.with(|open| {
        let entry = |(id, connection): (&u64, &Connection)| {
            json!({
                "id": id,
                "protocol": "mllp",
                "peer": connection.peer,
                "openedAt": rfc3339(connection.opened_at),
                "messages": connection.messages,
            })
        };
        open.iter().map(entry).collect::<Vec<_>>()
    });
    let callers = live.map(|Extension(live)| live.callers());
    let callers = callers.unwrap_or_default();
    for caller in &callers {
        items.extend(caller.open.iter().map(|(peer, opened_at)| {
            json!({
                "protocol": "dicom",
                "peer": peer,
                "aeTitle": caller.ae_title,
                "openedAt": rfc3339(*opened_at),
            })
        }));
    }
    let callers: Vec<Value> = callers.iter().map(caller_json).collect();
    Json(json!({ "items": items, "next": null, "callers": callers }))
}

fn caller_json(caller: &Caller) -> Value {
    json!({
        "aeTitle": caller.ae_title,
        "open": caller.open.len(),
        "associations": caller.associations,
        "refused": caller.refused,
        "lastRefusal": caller.last_refusal,
        "queries": caller.queries,
        "items": caller.items,
        "procedures": caller.procedures,
        "lastAt": rfc3339(caller.last_at),
    })
}

/// A part of a list.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// `next` of the page before.
    cursor: Option<String>,
    /// How many on a page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

/// A cursor and a limit that people gave.
pub(crate) fn part(
    cursor: Option<&str>,
    limit: Option<&str>,
    max: u32,
) -> Result<(Option<i64>, u32), Problem> {
    let cursor = match cursor {
        None => None,
        Some(text) => {
            let number = text.parse().ok().filter(|number: &i64| *number >= 0);
            let wrong = "Invalid cursor: give the next of the page before";
            Some(number.ok_or_else(|| Problem::parameter(wrong))?)
        }
    };
    let limit = match limit {
        None => 50.min(max),
        Some(text) => {
            let number = text
                .parse()
                .ok()
                .filter(|number| (1..=max).contains(number));
            let wrong =
                || Problem::parameter(format!("Invalid limit: give a number from 1 to {max}"));
            number.ok_or_else(wrong)?
        }
    };
    Ok((cursor, limit))
}

/// Who asked for what, the latest first. Patients stand there as keyed hashes.
#[utoipa::path(get, path = "/api/v1/audit", tag = "operations", security(("apiKey" = ["admin"])),
    params(Part), responses((status = 200, body = Value)))]
pub(crate) async fn audit(
    State(app): State<Arc<App>>,
    wanted: Result<Query<Part>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(wanted) = wanted.map_err(|_| Problem::parameter("Give cursor and limit once"))?;
    let max = app.limits.page_entries_max;
    let (cursor, limit) = part(wanted.cursor.as_deref(), wanted.limit.as_deref(), max)?;
    let Some(trail) = &app.access.trail else {
        let text = "This gateway writes no audit trail";
        return Err(Problem::new(ProblemCode::NoAuditTrail, text));
    };
    let store = Arc::clone(trail.store());
    let reading = tokio::task::spawn_blocking(move || store.trail_page(cursor, limit));
    let page = reading
        .await
        .ok()
        .and_then(Result::ok)
        .ok_or_else(Problem::unavailable)?;
    let next = page
        .items
        .last()
        .filter(|_| page.more)
        .map(|item| item.n.to_string());
    let items = page.items.into_iter().map(|item| {
        let link = item
            .link
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        json!({
            "n": item.n,
            "at": rfc3339(item.entry.at),
            "who": item.entry.who,
            "peer": item.entry.peer,
            "action": item.entry.action,
            "target": item.entry.target,
            "patient": item.entry.patient,
            "outcome": item.entry.outcome,
            "link": link,
        })
    });
    Ok(Json(
        json!({ "items": items.collect::<Vec<_>>(), "next": next }),
    ))
}

/// Which faults are made, each as a share of all answers from 0 to 1.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Plan {
    error: f64,
    reject: f64,
    no_answer: f64,
    wrong_control_id: f64,
    close_mid_frame: f64,
    split: f64,
    delayed: f64,
    delay_millis: u32,
}

impl From<FaultPlan> for Plan {
    fn from(plan: FaultPlan) -> Self {
        Self {
            error: plan.error,
            reject: plan.reject,
            no_answer: plan.no_answer,
            wrong_control_id: plan.wrong_control_id,
            close_mid_frame: plan.close_mid_frame,
            split: plan.split,
            delayed: plan.delayed,
            delay_millis: u32::try_from(plan.delay.as_millis()).unwrap_or(u32::MAX),
        }
    }
}

impl From<Plan> for FaultPlan {
    fn from(plan: Plan) -> Self {
        Self {
            error: plan.error,
            reject: plan.reject,
            no_answer: plan.no_answer,
            wrong_control_id: plan.wrong_control_id,
            close_mid_frame: plan.close_mid_frame,
            split: plan.split,
            delayed: plan.delayed,
            delay: Duration::from_millis(plan.delay_millis.into()),
        }
    }
}

fn faults_of(app: &App) -> Result<&Faults, Problem> {
    app.faults.as_ref().ok_or_else(|| {
        let text = "This gateway cannot make faults";
        Problem::new(ProblemCode::NoFaults, text)
    })
}

fn shown(faults: &Faults) -> Value {
    let done: Map<String, Value> = faults
        .done()
        .map(|(fault, count)| (fault.name().to_owned(), count.into()))
        .collect();
    json!({ "on": faults.is_on(), "plan": Plan::from(faults.plan()), "done": done })
}

/// Which answers over MLLP are wrong on purpose, to test senders.
#[utoipa::path(get, path = "/api/v1/faults", tag = "operations", security(("apiKey" = ["admin"])),
    responses((status = 200, body = Value)))]
pub(crate) async fn faults(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    Ok(Json(shown(faults_of(&app)?)))
}

/// Makes answers over MLLP wrong on purpose from now on.
#[utoipa::path(put, path = "/api/v1/faults", tag = "operations", security(("apiKey" = ["admin"])),
    request_body = Plan, responses((status = 200, body = Value)))]
pub(crate) async fn set_faults(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let faults = faults_of(&app)?;
    let body = json_body(request, &app, Limit::Small).await?;
    let wrong = |text: String| Problem::new(ProblemCode::InvalidPlan, text);
    let given = Value::Object(crate::receive::object(&body)?);
    let plan: Plan = serde_json::from_value(given).map_err(|_| {
        let text = "Give shares from 0 to 1: error, reject, noAnswer, wrongControlId, \
            closeMidFrame, split, delayed, and delayMillis";
        wrong(text.into())
    })?;
    faults
        .set(plan.into())
        .map_err(|error| wrong(error.to_string()))?;
    Ok(Json(shown(faults)))
}

/// Makes every answer over MLLP true again.
#[utoipa::path(delete, path = "/api/v1/faults", tag = "operations",
    security(("apiKey" = ["admin"])), responses((status = 200, body = Value)))]
pub(crate) async fn no_faults(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let faults = faults_of(&app)?;
    faults.off();
    Ok(Json(shown(faults)))
}
