//! `GET /events`: tells pages that messages came in, and that something else changed.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use medsynapse_broker::{EventKind, Lanes};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::app::Shared;

/// What comes within this time is told at once: a burst is one event, not thousands.
const GATHER: Duration = Duration::from_millis(100);

pub(crate) async fn events(State(shared): State<Arc<Shared>>) -> Response {
    let Ok(place) = Arc::clone(&shared.listeners).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "Too many pages listen.").into_response();
    };
    let listener = Listener {
        events: shared.app.broker.subscribe(),
        lanes: shared.app.lanes.clone(),
        stop: shared.app.stop.clone(),
        greeted: false,
        pending: Vec::new(),
        _place: place,
    };
    let stream = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    Sse::new(stream)
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response()
}

struct Listener {
    events: Receiver<medsynapse_broker::Event>,
    lanes: Lanes,
    stop: watch::Receiver<bool>,
    greeted: bool,
    /// What is still to be said of the last news: what changed.
    pending: Vec<&'static str>,
    _place: OwnedSemaphorePermit,
}

/// What came in since a page was last told.
#[derive(Default)]
struct News {
    count: u64,
    last_id: i64,
    /// What else changed: `connections`, `dicom`, `orders`, `outbox`.
    changed: BTreeSet<&'static str>,
    lagged: bool,
}

impl News {
    fn add(&mut self, kind: &EventKind) {
        match kind {
            EventKind::MessageReceived { message_id } => {
                self.count += 1;
                self.last_id = self.last_id.max(*message_id);
            }
            EventKind::ConnectionOpened { .. } | EventKind::ConnectionClosed { .. } => {
                self.changed.insert("connections");
            }
            EventKind::Dicom { .. } => {
                self.changed.insert("dicom");
            }
            EventKind::MessageSent { .. } => {
                self.changed.insert("outbox");
            }
            EventKind::Report { .. } => self.changed.extend(["orders", "outbox"]),
            // Orders, patients, procedure steps, and what will be told one day.
            _ => {
                self.changed.insert("orders");
            }
        }
    }
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            return Some(
                Event::default()
                    .event("ready")
                    .data("{}")
                    .retry(Duration::from_secs(2)),
            );
        }
        loop {
            if let Some(name) = self.pending.pop() {
                return Some(Event::default().event(name).data("{}"));
            }
            let news = self.gather().await?;
            self.pending.extend(news.changed);
            if news.lagged {
                // More came in than was kept for this page: it has to look for itself.
                return Some(Event::default().event("lagged").data("{}"));
            }
            if news.count > 0 {
                let data = serde_json::json!({ "count": news.count, "lastId": news.last_id });
                return Some(Event::default().event("messages").data(data.to_string()));
            }
        }
    }

    /// Waits for something to happen, and a moment more.
    async fn gather(&mut self) -> Option<News> {
        let mut news = News::default();
        tokio::select! {
            () = stopped(&mut self.stop) => return None,
            () = self.lanes.changed() => {
                news.changed.insert("outbox");
            }
            event = self.events.recv() => match event {
                Ok(event) => news.add(&event.kind),
                Err(RecvError::Lagged(_)) => news.lagged = true,
                Err(RecvError::Closed) => return None,
            },
        }
        tokio::time::sleep(GATHER).await;
        loop {
            match self.events.try_recv() {
                Ok(event) => news.add(&event.kind),
                Err(TryRecvError::Lagged(_)) => news.lagged = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(news),
            }
        }
    }
}

pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could stop it.
        std::future::pending::<()>().await;
    }
}
