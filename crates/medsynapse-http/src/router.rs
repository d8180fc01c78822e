//! [`router`]: the routes and what every request passes on its way to them.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::hosts::check_host;
use crate::keys::check_key;
use crate::message_log::{MessageLog, MessageLogPaths};
use crate::problem::Problem;
use crate::{health, index, metrics, query, receive};

/// The routes of the gateway.
///
/// Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: the
/// message log then holds where each message came from.
pub fn router(app: App) -> Router {
    let hosts = Arc::new(app.hosts.clone());
    let log = MessageLog {
        broker: Arc::clone(&app.broker),
        clock: Arc::clone(&app.clock),
        page_entries_max: app.limits.page_entries_max,
    };
    let app = Arc::new(app);
    let guarded = Router::new()
        .route("/", get(index::index))
        .route("/api/hl7", post(receive::receive))
        .route("/api/hl7/query", post(query::query))
        .route("/api/v1/metrics", get(metrics::metrics))
        .with_state(Arc::clone(&app))
        .merge(log.router(MessageLogPaths::REST))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(&app), check_key));
    Router::new()
        .route("/api/v1/health/live", get(health::live))
        .route("/api/v1/health/ready", get(health::ready))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
        .merge(guarded)
        .layer(from_fn_with_state(hosts, check_host))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(map_response(private))
}

async fn not_found() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_route",
        "No such route; GET / lists them",
    )
}

async fn method_not_allowed() -> Problem {
    let text = "This route does not answer that method; see the Allow header";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text)
}

/// What the panic says may be a person's.
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request broke off in a panic");
    let text = "The server failed to answer this request";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", text).into_response()
}

/// Answers hold patient data: nobody keeps or guesses at them.
async fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
