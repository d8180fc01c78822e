//! [`router`]: the pages and what every request passes on its way to them.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, post};
use medsynapse_http::{MessageLog, MessageLogPaths, check_host};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::{Shared, WebApp};
use crate::tempo::{self, Tempo};
use crate::{
    act, assets, board, check, conformance, connections, convert, detail, docs, error_page, events,
    generate, headers, list, login, order, orders, outbox, patient, patients, send, tools_api,
    worklist,
};

/// The pages. Inside of a runtime they count messages while nobody looks.
pub fn router(app: WebApp) -> Router {
    let hosts = Arc::new(app.hosts.clone());
    let log = MessageLog {
        broker: Arc::clone(&app.broker),
        clock: Arc::clone(&app.clock),
        page_entries_max: app.limits.api_entries_max,
    };
    let listeners = Arc::new(Semaphore::new(app.limits.listeners_max));
    let shared = Arc::new(Shared {
        app,
        listeners,
        tempo: Tempo::default(),
    });
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(tempo::keep(Arc::clone(&shared)));
    }
    Router::new()
        .route("/", get(list::list))
        .route("/messages/{id}", get(detail::detail))
        .route("/orders/{accession}", get(order::order))
        .route("/orders", get(orders::orders))
        .route("/orders/board", get(board::board))
        .route("/patients", get(patients::patients))
        .route("/orders/{accession}/step", post(act::step))
        .route("/patients/{id}", get(patient::patient))
        .route("/worklist", get(worklist::worklist))
        .route("/login", get(login::form).post(login::enter))
        .route("/logout", post(login::leave))
        .route("/connections", get(connections::connections))
        .route("/connections/faults", post(connections::faults))
        .route("/outbox", get(outbox::outbox))
        .route("/outbox/{id}", get(outbox::item))
        .route("/outbox/{id}/{command}", post(act::outbox))
        .route("/send", get(send::editor).post(send::send))
        .route("/check", post(check::check))
        .route("/generate", get(generate::generate))
        .route("/convert", get(convert::editor).post(convert::convert))
        .route("/api/generate", post(tools_api::generate))
        .route("/api/send", post(tools_api::send))
        .route("/docs", get(docs::index))
        .route("/docs/", get(docs::index))
        .route("/docs/conformance", get(conformance::conformance))
        .route("/docs/{*path}", get(docs::page))
        .route("/events", get(events::events))
        .route("/assets/{name}", get(assets::asset))
        .fallback(error_page::not_found)
        .with_state(shared)
        .merge(log.router(MessageLogPaths::WEB))
        .layer(from_fn_with_state(hosts, check_host))
        .layer(CatchPanicLayer::custom(error_page::panicked))
        .layer(map_response(headers::secure))
}
