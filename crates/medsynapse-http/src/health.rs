//! Whether the process runs, and whether it can take messages.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use medsynapse_store::Store;
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
    let answers = async { read(app.broker.store(), Store::order_count).await.is_ok() };
    let answers = !broken
        && app.broker.is_storing()
        && tokio::time::timeout(PATIENCE, answers)
            .await
            .unwrap_or(false);
    if answers {
        return Ok(Json(json!({ "status": "ready" })));
    }
    let text = "Not ready: the message store does not answer or cannot be written";
    Err(Problem::new(ProblemCode::NotReady, text))
}
