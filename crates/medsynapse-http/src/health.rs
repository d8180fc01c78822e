//! Whether the process runs, and whether it can take messages.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use medsynapse_store::{Store, StoreError};
use serde_json::{Value, json};

use crate::app::App;
use crate::problem::Problem;
use crate::problem_code::ProblemCode;
use crate::reading::read;

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the process runs.
#[utoipa::path(get, path = "/api/v1/health/live", tag = "health", security(),
    responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// Whether it can take messages.
#[utoipa::path(get, path = "/api/v1/health/ready", tag = "health", security(),
    responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let broken = app.broker.store_failure().borrow().is_some();
    let answers = async { read(app.broker.store(), can_work).await.is_ok() };
    // What several servers share may have come back while nobody sent: it is tried.
    let storing = app.broker.is_storing() || app.broker.store().shared().is_some();
    let answers = !broken
        && storing
        && tokio::time::timeout(PATIENCE, answers)
            .await
            .unwrap_or(false);
    if answers {
        return Ok(Json(json!({ "status": "ready" })));
    }
    let text = "Not ready: the message store does not answer or cannot be written";
    Err(Problem::new(ProblemCode::NotReady, text))
}

fn can_work(store: &dyn Store) -> Result<(), StoreError> {
    match store.shared() {
        Some(shared) => shared.probe(),
        None => store.order_count().map(drop),
    }
}
