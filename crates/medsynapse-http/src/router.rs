//! [`router`]: the routes and what every request passes on its way to them.

use std::any::Any;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa_swagger_ui::SwaggerUi;

use crate::access::{Guard, Needs};
use crate::app::App;
use crate::hosts;
use crate::idempotency;
use crate::openapi;
use crate::problem::{HL7_ACK_CODE, Problem};
use crate::problem_code::ProblemCode;
use crate::v1::events::{LISTENERS_MAX, Places};

/// The address of the `OpenAPI` document.
pub(crate) const DOCUMENT: &str = "/api/v1/openapi.json";

/// The routes of the gateway.
///
/// Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: the
/// message log then holds where each message came from.
pub fn router(app: App) -> Router {
    let (routes, document) = openapi::routes().split_for_parts();
    let document = openapi::complete(document);
    let mut table = openapi::needs(&document);
    for path in [DOCUMENT, "/docs", "/docs/", "/docs/{*rest}"] {
        // What can be asked is no secret; a browser that looks has no key to show.
        table.insert((Method::GET, path.to_owned()), Needs::Nothing);
    }
    let access = app.access.clone();
    let guard = Guard::with_table(app.api_keys.clone(), access, Arc::clone(&app.clock), table);
    let guard = Arc::new(guard);
    let app = Arc::new(app);
    let mut guarded = routes
        .with_state(Arc::clone(&app))
        .merge(SwaggerUi::new("/docs").url(DOCUMENT, document))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // Each route that takes a body says itself how much.
        .layer(DefaultBodyLimit::disable())
        .layer(Extension(Places(Arc::new(Semaphore::new(LISTENERS_MAX)))))
        .layer(from_fn_with_state(Arc::clone(&app), idempotency::once))
        .layer(from_fn_with_state(Arc::clone(&guard), Guard::check));
    if !app.access.origins.is_empty() {
        guarded = guarded.layer(cors(&app.access.origins));
    }
    guarded
        .layer(from_fn_with_state(app, check_host))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(guard, Guard::write_down))
        .layer(from_fn(private))
}

async fn check_host(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match hosts::check(&app.hosts, &app.access.origins, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Lets pages of these sites read and send.
fn cors(origins: &[String]) -> CorsLayer {
    let origins = origins
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            ACCEPT,
            AUTHORIZATION,
            CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("x-api-key"),
        ])
        .expose_headers([HL7_ACK_CODE])
}

async fn not_found() -> Problem {
    Problem::new(ProblemCode::NoSuchRoute, "No such route; GET / lists them")
}

async fn method_not_allowed() -> Problem {
    let text = "This route does not answer that method; see the Allow header";
    Problem::new(ProblemCode::MethodNotAllowed, text)
}

/// What the panic says may be a person's.
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request broke off in a panic");
    let text = "The server failed to answer this request";
    Problem::new(ProblemCode::InternalError, text).into_response()
}

/// Answers hold patient data: nobody keeps, frames or guesses at them.
async fn private(request: Request, next: Next) -> Response {
    let docs = request.uri().path().starts_with("/docs");
    let mut response = next.run(request).await;
    let policy = if docs {
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         frame-ancestors 'none'"
    } else {
        "default-src 'none'; frame-ancestors 'none'"
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}
