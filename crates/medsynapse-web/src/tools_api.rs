//! `POST /api/generate` and `POST /api/send` on this port, for scripts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::Shared;
use crate::editor;
use crate::generate::{Asked, Order, fresh_seed};
use crate::send::{Via, send_all};

/// A number or its digits.
fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn refused(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": error}))).into_response()
}

/// `{type, count, seed, scenario, profile}`, all of them optional.
pub(crate) async fn generate(
    State(shared): State<Arc<Shared>>,
    body: Result<Json<Value>, JsonRejection>,
) -> Response {
    let Ok(Json(body)) = body else {
        return refused("The body is not JSON; send {\"type\": \"orm\", \"count\": 5}");
    };
    let kind = text(body.get("type").or_else(|| body.get("messageType")));
    let known = crate::generate::KINDS.map(|(name, _)| name);
    if !kind.is_empty() && !known.iter().any(|name| name.eq_ignore_ascii_case(&kind)) {
        return refused("Unknown type; send one of all, orm, oru, adt_a08, adt_a40");
    }
    let asked = Asked {
        kind,
        count: text(body.get("count")),
        scenario: text(body.get("scenario")),
        profile: text(body.get("profile")),
        seed: text(body.get("seed")),
        ..Asked::default()
    };
    let order = Order::of(&asked);
    let seed = order.seed.unwrap_or_else(|| fresh_seed(&shared));
    let made = order.make(&shared, seed);
    let messages: Vec<Value> = made
        .iter()
        .map(|one| {
            let rule = one.expected.rule;
            let code = one.expected.code.as_str();
            let expected = (!rule.is_empty()).then(|| json!({"rule": rule, "code": code}));
            json!({
                "messageType": one.kind.as_str(),
                "messageControlId": one.control_id,
                "message": String::from_utf8_lossy(&one.bytes),
                "expected": expected,
            })
        })
        .collect();
    Json(json!({"seed": seed, "count": messages.len(), "messages": messages})).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Given {
    /// ER7 text, or the same in base64.
    message: Option<String>,
    #[serde(default, alias = "method", alias = "protocol", alias = "target")]
    via: Via,
}

/// `{message, via: "mllp"|"rest"}`.
pub(crate) async fn send(
    State(shared): State<Arc<Shared>>,
    body: Result<Json<Given>, JsonRejection>,
) -> Response {
    let Ok(Json(given)) = body else {
        return refused("The body is not what is expected; send {\"message\": \"MSH|…\"}");
    };
    let Some(message) = given.message.filter(|text| !text.trim().is_empty()) else {
        return refused("No message provided");
    };
    let encoded = !message.contains('|');
    let decoded = base64::engine::general_purpose::STANDARD.decode(message.trim());
    let messages = match decoded {
        Ok(bytes) if encoded => vec![bytes],
        _ => editor::messages(&message),
    };
    let sent = send_all(&shared, messages, given.via, None).await;
    let failed = sent.iter().any(|one| one.failure.is_some());
    let answers: Vec<Value> = sent
        .iter()
        .map(|one| {
            json!({
                "code": one.code,
                "acknowledgment": one.ack.as_deref().map(String::from_utf8_lossy),
                "error": one.failure,
            })
        })
        .collect();
    let accepted = sent.iter().filter(|one| one.code == "AA").count();
    let body = json!({
        "success": accepted == sent.len(),
        "sent": sent.len(),
        "accepted": accepted,
        "response": answers.first().map(|first| first["acknowledgment"].clone()),
        "answers": answers,
    });
    let status = if failed {
        StatusCode::BAD_GATEWAY
    } else {
        StatusCode::OK
    };
    (status, Json(body)).into_response()
}
