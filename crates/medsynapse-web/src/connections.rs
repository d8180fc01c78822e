//! `GET /connections`: who is connected now, whom the broker sends to, and faults on purpose.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use medsynapse_broker::{Clock, FaultPlan, Faults};
use medsynapse_http::Scope;
use medsynapse_worklist::live::Caller;
use serde::Deserialize;

use crate::address::Address;
use crate::app::{Frame, Modalities, Shared};
use crate::error_page::{error_page, render, unavailable};
use crate::lane::{LaneView, lanes};
use crate::reading::read;
use crate::wall::{Wall, grouped};

/// Most connections that are shown.
const SHOWN_MAX: usize = 500;

/// The faults as the form has them: name in the plan, and what it does.
const WORDS: [(&str, &str); 7] = [
    ("error", "Answer AE"),
    ("reject", "Answer AR"),
    ("no_answer", "Do not answer"),
    ("wrong_control_id", "Answer for another control ID"),
    ("close_mid_frame", "Close in the middle of the answer"),
    ("split", "Write the answer in pieces"),
    ("delayed", "Answer late"),
];

#[derive(Template)]
#[template(path = "connections.html")]
struct ConnectionsPage {
    frame: Frame,
    peers: Vec<Peer>,
    more: usize,
    modalities: Option<ModalitiesView>,
    lanes: Vec<LaneView>,
    faults: Option<FaultsView>,
    said: Option<(&'static str, &'static str)>,
}

struct Peer {
    number: u64,
    from: String,
    messages_from: String,
    since: Wall,
    lasts: String,
    messages: String,
}

/// Who called the DICOM service.
struct ModalitiesView {
    title: String,
    address: Option<String>,
    open: usize,
    callers: Vec<CallerView>,
}

/// A modality and what it did.
struct CallerView {
    ae_title: String,
    worklist: String,
    open: Vec<(String, String)>,
    associations: String,
    queries: String,
    items: String,
    procedures: String,
    refused: String,
    refusal: &'static str,
    last: Wall,
}

struct FaultsView {
    on: bool,
    summary: String,
    rows: Vec<FaultRow>,
    delay_ms: u128,
}

struct FaultRow {
    name: &'static str,
    words: &'static str,
    percent: String,
    done: String,
}

/// What became of the form before this page.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct After {
    #[serde(default)]
    outcome: String,
}

pub(crate) async fn connections(
    State(shared): State<Arc<Shared>>,
    after: Result<Query<After>, QueryRejection>,
) -> Response {
    let found = read(
        shared.app.broker.store(),
        medsynapse_store::Store::queue_depths,
    );
    let Some(depths) = found.await else {
        return unavailable(&shared);
    };
    let clock = shared.app.clock.as_ref();
    let open = shared.app.connections.open();
    let now = clock.now();
    let peer = |(number, one): &(u64, medsynapse_http::Connection)| Peer {
        number: *number,
        from: one.peer.clone(),
        messages_from: Address::to("/")
            .with("q", &format!("peer:{}", one.peer))
            .done(),
        since: Wall::of(one.opened_at, clock),
        lasts: lasts((now - one.opened_at).num_seconds()),
        messages: grouped(one.messages),
    };
    let outcome = after.map(|Query(after)| after.outcome).unwrap_or_default();
    render(&ConnectionsPage {
        frame: Frame::of(&shared.app),
        peers: open.iter().take(SHOWN_MAX).map(peer).collect(),
        more: open.len().saturating_sub(SHOWN_MAX),
        modalities: shared
            .app
            .modalities
            .as_ref()
            .map(|served| modalities(served, clock)),
        lanes: lanes(&shared, depths),
        faults: shared.app.faults.as_ref().map(faults_view),
        said: match outcome.as_str() {
            "on" => Some(("From now on answers are wrong on purpose.", "warn")),
            "off" => Some(("Every answer is true from now on.", "ok")),
            _ => None,
        },
    })
}

fn modalities(served: &Modalities, clock: &dyn Clock) -> ModalitiesView {
    let now = clock.now();
    let mut callers = served.live.callers();
    callers.sort_by_key(|caller| (caller.open.is_empty(), std::cmp::Reverse(caller.last_at)));
    let view = |caller: &Caller| CallerView {
        worklist: Address::to("/worklist")
            .with("aet", &caller.ae_title)
            .done(),
        ae_title: caller.ae_title.clone(),
        open: caller
            .open
            .iter()
            .map(|(peer, since)| (peer.clone(), lasts((now - *since).num_seconds())))
            .collect(),
        associations: grouped(caller.associations),
        queries: grouped(caller.queries),
        items: grouped(caller.items),
        procedures: grouped(caller.procedures),
        refused: grouped(caller.refused),
        refusal: caller.last_refusal,
        last: Wall::of(caller.last_at, clock),
    };
    ModalitiesView {
        title: served.service.access.ae_title.clone(),
        address: served.address.clone(),
        open: callers.iter().map(|caller| caller.open.len()).sum(),
        callers: callers.iter().map(view).collect(),
    }
}

/// How long something lasts, in its largest units.
fn lasts(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

fn faults_view(faults: &Faults) -> FaultsView {
    let plan = faults.plan();
    let done: BTreeMap<&str, u64> = faults
        .done()
        .map(|(fault, count)| (fault.name(), count))
        .collect();
    let rows = plan.shares().into_iter().zip(WORDS);
    FaultsView {
        on: faults.is_on(),
        summary: plan.summary(),
        rows: rows
            .map(|((name, share), (_, words))| FaultRow {
                name,
                words,
                percent: ((share * 1000.0).round() / 10.0).to_string(),
                done: done
                    .get(name)
                    .filter(|count| **count > 0)
                    .map(|count| grouped(*count))
                    .unwrap_or_default(),
            })
            .collect(),
        delay_ms: plan.delay.as_millis(),
    }
}

/// Throws the switch.
pub(crate) async fn faults(
    State(shared): State<Arc<Shared>>,
    caller: Option<Extension<medsynapse_http::Caller>>,
    form: Result<Form<BTreeMap<String, String>>, FormRejection>,
) -> Response {
    let nothing = |status, text| error_page(&shared, status, "Nothing was changed", text);
    // As at the gateway: faults are an administrator's.
    if caller.is_some_and(|Extension(caller)| !caller.scopes.allow(Scope::Admin)) {
        let text = "Your key may not do that: it needs the scope admin.";
        return nothing(StatusCode::FORBIDDEN, text);
    }
    let Some(faults) = &shared.app.faults else {
        return nothing(StatusCode::NOT_FOUND, "This server cannot make faults.");
    };
    let Ok(Form(given)) = form else {
        return nothing(StatusCode::BAD_REQUEST, "The form cannot be read.");
    };
    if given.get("do").is_some_and(|what| what == "off") {
        faults.off();
        return Redirect::to("/connections?outcome=off").into_response();
    }
    let set = plan(&given).is_some_and(|plan| faults.set(plan).is_ok());
    if !set {
        let text = "Give shares from 0 to 100 percent; those of AE, AR, no answer and another \
                    control ID together at most 100; and a delay of at most 60000 ms.";
        return nothing(StatusCode::UNPROCESSABLE_ENTITY, text);
    }
    let outcome = if faults.is_on() { "on" } else { "off" };
    Redirect::to(&format!("/connections?outcome={outcome}")).into_response()
}

/// The plan of a form, its shares in percent; what is not given is 0.
fn plan(given: &BTreeMap<String, String>) -> Option<FaultPlan> {
    let number = |name: &str| match given.get(name).map_or("", |text| text.trim()) {
        "" => "0",
        text => text,
    };
    let share = |name| Some(number(name).parse::<f64>().ok()? / 100.0);
    Some(FaultPlan {
        error: share("error")?,
        reject: share("reject")?,
        no_answer: share("no_answer")?,
        wrong_control_id: share("wrong_control_id")?,
        close_mid_frame: share("close_mid_frame")?,
        split: share("split")?,
        delayed: share("delayed")?,
        delay: Duration::from_millis(number("delay_ms").parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_has_every_fault_in_the_order_of_the_plan() {
        let names = FaultPlan::default().shares().map(|(name, _)| name);
        assert_eq!(WORDS.map(|(name, _)| name), names);
    }

    #[test]
    fn durations_are_short() {
        for (seconds, text) in [
            (-1, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3661, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(lasts(seconds), text);
        }
    }
}
