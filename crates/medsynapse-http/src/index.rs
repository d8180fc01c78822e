//! `GET /`: what this is and where to go on.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::app::App;

/// What this is and where to go on.
#[utoipa::path(get, path = "/", tag = "about", security(("apiKey" = ["read"])),
    responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn index(State(app): State<Arc<App>>) -> Json<Value> {
    let rest = app.rest_url.trim_end_matches('/');
    Json(json!({
        "message": "Medsynapse PACS Broker",
        "version": app.version,
        "conformance": "Medsynapse PACS v3.0.0.6",
        "endpoints": { "restApi": format!("{rest}/api/hl7"), "mllpServer": app.mllp_address },
        "links": {
            "send": "/api/hl7",
            "messages": "/api/hl7/messages",
            "types": "/api/hl7/types",
            "query": "/api/hl7/query",
            "order": "/api/orders",
            "orders": "/api/v1/orders",
            "patients": "/api/v1/patients",
            "log": "/api/v1/messages",
            "outbox": "/api/v1/outbox",
            "events": "/api/v1/events",
            "openapi": "/api/v1/openapi.json",
            "docs": "/docs/",
            "live": "/api/v1/health/live",
            "ready": "/api/v1/health/ready",
        },
    }))
}
