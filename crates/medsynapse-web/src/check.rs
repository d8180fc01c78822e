//! `POST /check`: what is odd or wrong about the text in an editor, while it is written.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::response::Response;
use axum::{Form, http::StatusCode, response::IntoResponse};
use medsynapse::domain::{Severity, Source, Validation, validate};
use serde::Deserialize;

use crate::app::Shared;
use crate::editor;
use crate::error_page::render;

/// Most lines of one list.
const SHOWN_MAX: usize = 200;

#[derive(Debug, Deserialize)]
pub(crate) struct Written {
    #[serde(default)]
    message: String,
}

/// What was found, as a fragment of a page.
#[derive(Template)]
#[template(path = "issues.html")]
pub(crate) struct Issues {
    pub(crate) empty: bool,
    /// MSA-3 of the refusal that the broker would answer with.
    pub(crate) refusal: Option<String>,
    pub(crate) shown: Vec<Shown>,
    pub(crate) more: usize,
    pub(crate) others: usize,
}

pub(crate) struct Shown {
    pub(crate) tone: &'static str,
    pub(crate) word: &'static str,
    pub(crate) by: &'static str,
    pub(crate) path: String,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Issues {
    /// What is to be said of the first message of a text.
    pub(crate) fn of(text: &str, shared: &Shared) -> Self {
        let messages = editor::messages(text);
        let Some(first) = messages.first() else {
            return Self {
                empty: true,
                refusal: None,
                shown: Vec::new(),
                more: 0,
                others: 0,
            };
        };
        let Validation { refusal, issues } = validate(first, shared.app.broker.profile());
        let more = issues.len().saturating_sub(SHOWN_MAX);
        let shown = issues.into_iter().take(SHOWN_MAX).map(|issue| {
            let (tone, word) = match issue.severity {
                Severity::Error => ("bad", "Error"),
                Severity::Warning => ("warn", "Warning"),
                Severity::Note => ("", "Note"),
            };
            Shown {
                tone,
                word,
                by: match issue.source {
                    Source::Format => "format",
                    Source::Dictionary => "HL7 2.3",
                    Source::Broker => "broker",
                },
                path: issue.path.map(|at| at.to_string()).unwrap_or_default(),
                code: issue.code,
                message: issue.message,
            }
        });
        Self {
            empty: false,
            refusal,
            shown: shown.collect(),
            more,
            others: messages.len() - 1,
        }
    }
}

pub(crate) async fn check(
    State(shared): State<Arc<Shared>>,
    form: Result<Form<Written>, FormRejection>,
) -> Response {
    match form {
        Ok(Form(written)) => render(&Issues::of(&written.message, &shared)),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}
