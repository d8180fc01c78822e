//! `POST /orders/{accession number}/step` and `POST /outbox/{id}/{command}`: what a person does.

use std::sync::Arc;

use axum::Form;
use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use medsynapse::{AccessionNumber, ReportFormat};
use medsynapse_store::{ActionKind, FinalReport, OrderStep, OutboxCommand};
use serde::Deserialize;

use crate::address;
use crate::app::Shared;
use crate::error_page::{error_page, unavailable};

/// Under which name actions of these pages are kept.
const ACTOR: &str = "web";

/// What became of an action, as the address of the next page says it.
const OUTCOMES: [(&str, &str); 7] = [
    ("done", "Done."),
    ("unchanged", "It was so already."),
    ("unknown-order", "No order has this accession number."),
    (
        "not-possible",
        "That is not possible in the state that the order is in.",
    ),
    (
        "no-report-text",
        "A final report needs a text, and none is stored.",
    ),
    ("unknown-message", "The outbox has no such message."),
    (
        "not-in-state",
        "That is not possible in the state that the message is in.",
    ),
];

/// What is said about an outcome, and its tone.
pub(crate) fn said(outcome: &str) -> Option<(&'static str, &'static str)> {
    let (name, text) = OUTCOMES.iter().find(|(name, _)| *name == outcome)?;
    let tone = match *name {
        "done" => "ok",
        "unchanged" => "",
        _ => "bad",
    };
    Some((text, tone))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    #[serde(default)]
    step: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    format: String,
}

impl Given {
    fn step(&self) -> Option<OrderStep> {
        let text = self.text.replace("\r\n", "\n").replace('\r', "\n");
        let text = text.trim_end().to_owned();
        let report = (!text.is_empty()).then(|| FinalReport {
            format: ReportFormat::from_code(&self.format).unwrap_or(ReportFormat::Text),
            text,
            date: String::new(),
            physician_id: None,
            physician_name: None,
        });
        Some(match self.step.as_str() {
            "arrived" => OrderStep::Arrived,
            "ready" => OrderStep::Ready,
            "started" => OrderStep::Started,
            "completed" => OrderStep::Completed,
            "discontinued" => OrderStep::Discontinued,
            "rescheduled" => OrderStep::Rescheduled,
            "read" => OrderStep::Read,
            "final" => OrderStep::Final(report),
            "printed" => OrderStep::Printed,
            _ => return None,
        })
    }
}

pub(crate) async fn step(
    State(shared): State<Arc<Shared>>,
    accession: Result<Path<String>, PathRejection>,
    form: Result<Form<Given>, FormRejection>,
) -> Response {
    let accession = accession
        .ok()
        .and_then(|Path(text)| AccessionNumber::try_from(&*text).ok());
    let step = form.ok().and_then(|Form(given)| given.step());
    let (Some(accession_number), Some(step)) = (accession, step) else {
        let text = "The form cannot be read. Go back to the order and try again.";
        return error_page(&shared, StatusCode::BAD_REQUEST, "Nothing was done", text);
    };
    let back = address::order(accession_number.as_str());
    let kind = ActionKind::Order {
        accession_number,
        step,
    };
    act(&shared, kind, &back).await
}

pub(crate) async fn outbox(
    State(shared): State<Arc<Shared>>,
    path: Result<Path<(i64, String)>, PathRejection>,
) -> Response {
    let command = path.ok().and_then(|Path((message_id, command))| {
        OutboxCommand::from_name(&command).map(|command| (message_id, command))
    });
    let Some((message_id, command)) = command else {
        let text = "The outbox knows retry, hold and cancel.";
        return error_page(&shared, StatusCode::BAD_REQUEST, "Nothing was done", text);
    };
    let kind = ActionKind::Outbox {
        message_id,
        command,
    };
    act(&shared, kind, &format!("/outbox/{message_id}")).await
}

async fn act(shared: &Shared, kind: ActionKind, back: &str) -> Response {
    match shared.app.broker.act(kind, ACTOR, None).await {
        Ok(acted) => {
            let outcome = acted.outcome.as_str();
            Redirect::to(&format!("{back}?outcome={outcome}")).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "an action of a page was not done");
            unavailable(shared)
        }
    }
}
