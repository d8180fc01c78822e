//! `GET /api/v1/events`: what happens, as Server-Sent Events with ids that stay.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response, sse};
use futures_util::stream;
use medsynapse_store::{Event, EventKind, Store};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{TWICE, given};
use crate::app::App;
use crate::moment::rfc3339;
use crate::problem::Problem;
use crate::problem_code::ProblemCode;
use crate::reading::read;

/// Most clients that listen at a time.
pub(crate) const LISTENERS_MAX: usize = 128;
/// How many events are read from the log at a time.
const READ_AT_ONCE: u32 = 500;
/// An event that a client takes later than this after it happened came to a slow client.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A place for a client that listens.
#[derive(Debug, Clone)]
pub(crate) struct Places(pub(crate) Arc<Semaphore>);

impl Places {
    pub(crate) fn take(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| {
            let text = "Too many clients listen already; try again later";
            Problem::new(ProblemCode::TooManyListeners, text)
        })
    }
}

/// What a client wants to hear, and from where on.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Names with commas between; `order.*` are all of orders. Without it everything.
    types: Option<String>,
    /// Goes on after this event, as `Last-Event-ID` does; 0: from the beginning of the log.
    last_event_id: Option<String>,
}

/// Which events a client wants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Types(Vec<String>);

impl Types {
    pub(crate) fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let names = names
            .into_iter()
            .map(str::trim)
            .filter(|name| !name.is_empty() && *name != "*");
        Self(names.take(64).map(str::to_owned).collect())
    }

    pub(crate) fn want(&self, kind: &EventKind) -> bool {
        let name = kind.name();
        let fits = |wanted: &String| match wanted.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == wanted,
        };
        self.0.is_empty() || self.0.iter().any(fits)
    }
}

/// An event as JSON. It says which order or message, and nothing of a patient.
pub(crate) fn shown(event: &Event) -> Value {
    let mut json = json!({ "id": event.id, "type": event.kind.name(), "at": rfc3339(event.at) });
    if let Some(map) = json.as_object_mut() {
        if let Some(number) = event.kind.accession_number() {
            map.insert("accessionNumber".into(), number.into());
        }
        if let Some(entry) = event.kind.entry_id() {
            map.insert("messageId".into(), entry.into());
        }
        if let EventKind::ConnectionOpened { peer } | EventKind::ConnectionClosed { peer } =
            &event.kind
        {
            map.insert("peer".into(), peer.as_str().into());
        }
        if let EventKind::Dicom {
            peer,
            calling,
            detail,
            ..
        } = &event.kind
        {
            for (name, text) in [("peer", peer), ("aeTitle", calling), ("detail", detail)] {
                if !text.is_empty() {
                    map.insert(name.into(), text.as_str().into());
                }
            }
        }
    }
    json
}

/// What comes next for a client.
#[derive(Debug)]
pub(crate) enum Next {
    Event(Event),
    /// It was too slow, and has to ask again from the last event that it has.
    Lagged,
    /// The server goes down.
    End,
}

/// The events for one client, first those from the log, then those that happen.
pub(crate) struct Feed {
    app: Arc<App>,
    live: Receiver<Event>,
    stop: watch::Receiver<bool>,
    /// From the log, on their way.
    waiting: VecDeque<Event>,
    /// Whether the log may hold more.
    behind: bool,
    /// The last event that the client has.
    pub(crate) last: i64,
    pub(crate) types: Types,
}

impl Feed {
    /// Events after the one with this id; without it from now on.
    pub(crate) async fn after(
        app: Arc<App>,
        last: Option<i64>,
        types: Types,
    ) -> Result<Self, Problem> {
        // First listen, then look into the log: nothing falls between.
        let live = app.broker.subscribe();
        let now = read(app.broker.store(), Store::last_event).await?;
        let stop = app.stop.clone();
        let behind = last.is_some_and(|last| last < now);
        // An id that was never given out is that of another log.
        let last = last.unwrap_or(now).min(now);
        Ok(Self {
            app,
            live,
            stop,
            waiting: VecDeque::new(),
            behind,
            last,
            types,
        })
    }

    /// Goes back to an event.
    pub(crate) fn rewind(&mut self, last: i64) {
        self.waiting.clear();
        (self.last, self.behind) = (last, true);
    }

    /// What comes next. Nothing is lost where this is given up.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            while let Some(event) = self.waiting.pop_front() {
                self.last = event.id.unwrap_or(self.last);
                if self.types.want(&event.kind) {
                    return Next::Event(event);
                }
            }
            if self.behind {
                let last = self.last;
                let reading = read(self.app.broker.store(), move |store| {
                    store.events_after(last, READ_AT_ONCE)
                });
                let Ok(found) = reading.await else {
                    return Next::End;
                };
                self.behind = !found.is_empty();
                self.waiting.extend(found);
                continue;
            }
            let event = tokio::select! {
                () = stopped(&mut self.stop) => return Next::End,
                event = self.live.recv() => event,
            };
            let event = match event {
                Ok(event) => event,
                Err(RecvError::Lagged(_)) => return Next::Lagged,
                Err(RecvError::Closed) => return Next::End,
            };
            if event.id.is_some_and(|id| id <= self.last) {
                continue;
            }
            let waited = (self.app.clock.now() - event.at)
                .to_std()
                .unwrap_or_default();
            if waited > PATIENCE {
                return Next::Lagged;
            }
            self.last = event.id.unwrap_or(self.last);
            if self.types.want(&event.kind) {
                return Next::Event(event);
            }
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could stop it.
        std::future::pending::<()>().await;
    }
}

/// The id that a client gave.
fn last_event_id(headers: &HeaderMap, wanted: &Wanted) -> Result<Option<i64>, Problem> {
    let header = headers
        .get("last-event-id")
        .map(|id| id.to_str().unwrap_or("?").to_owned());
    match given(header.or_else(|| wanted.last_event_id.clone())) {
        None => Ok(None),
        Some(text) => {
            let id = text.parse().ok().filter(|id: &i64| *id >= 0);
            let wrong = "Invalid Last-Event-ID: give the id of an event";
            id.map(Some).ok_or_else(|| Problem::parameter(wrong))
        }
    }
}

/// What happens, as it happens, and with `Last-Event-ID` what happened since.
///
/// A client that takes events too slowly is told `lagged` with the id to go on from, and let go.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", security(("apiKey" = ["read"])),
    params(Wanted, ("Last-Event-ID" = Option<i64>, Header, description = "Goes on after this event")),
    responses((status = 200, body = String, content_type = "text/event-stream")))]
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    Extension(places): Extension<Places>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(wanted) = wanted.map_err(|_| Problem::parameter(TWICE))?;
    let last = last_event_id(&headers, &wanted)?;
    let place = places.take()?;
    let types = Types::of(wanted.types.as_deref().unwrap_or_default().split(','));
    let feed = Feed::after(Arc::clone(&app), last, types).await?;
    let hello = sse::Event::default()
        .comment("listening")
        .retry(Duration::from_secs(2));
    let stream = stream::unfold(Some((feed, place, Some(hello))), |state| async move {
        let (mut feed, place, hello) = state?;
        if let Some(hello) = hello {
            return Some((Ok::<_, Infallible>(hello), Some((feed, place, None))));
        }
        match feed.next().await {
            Next::Event(event) => {
                let mut sent = sse::Event::default()
                    .event(event.kind.name())
                    .data(shown(&event).to_string());
                if let Some(id) = event.id {
                    sent = sent.id(id.to_string());
                }
                Some((Ok(sent), Some((feed, place, None))))
            }
            Next::Lagged => {
                let data = json!({ "lastEventId": feed.last }).to_string();
                let told = sse::Event::default()
                    .event("lagged")
                    .id(feed.last.to_string())
                    .data(data);
                Some((Ok(told), None))
            }
            Next::End => None,
        }
    });
    Ok(Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response())
}
