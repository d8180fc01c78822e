//! `GET` and `POST /convert`: one message as HL7, raw JSON and domain JSON.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use medsynapse::domain::{Context, Options, RoundTrip, convert as translate};
use medsynapse::render::Envelope;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::{Frame, Shared};
use crate::check::Issues;
use crate::editor;
use crate::error_page::{error_page, render, unavailable};
use crate::reading::read;

/// Longest form that is shown.
const SHOWN_BYTES_MAX: usize = 512 << 10;

#[derive(Template)]
#[template(path = "convert.html")]
struct ConvertPage {
    frame: Frame,
    text: String,
    /// What the text was taken for.
    taken_for: &'static str,
    problems: Vec<Trouble>,
    forms: Option<Forms>,
    issues: Option<Issues>,
}

/// Why it cannot be converted.
struct Trouble {
    place: String,
    text: String,
}

struct Forms {
    message: String,
    raw: String,
    /// `None`: this message has no domain form.
    domain: Option<String>,
    raw_light: bool,
    domain_light: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    from: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    #[serde(default)]
    text: String,
}

/// The editor, empty or with a message of the log converted.
pub(crate) async fn editor(
    State(shared): State<Arc<Shared>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Some(id) = asked.ok().and_then(|Query(asked)| asked.from) else {
        return page(&shared, "");
    };
    let stored = read(shared.app.broker.store(), move |store| store.message(id));
    match stored.await {
        None => unavailable(&shared),
        Some(None) => {
            let text = "The message log has no message with this number.";
            error_page(&shared, StatusCode::NOT_FOUND, "No such message", text)
        }
        Some(Some(stored)) => page(&shared, &editor::text(&stored.raw)),
    }
}

/// Converts what the form holds.
pub(crate) async fn convert(
    State(shared): State<Arc<Shared>>,
    form: Result<Form<Given>, FormRejection>,
) -> Response {
    if let Ok(Form(given)) = form {
        return page(&shared, &given.text);
    }
    let text = "The form cannot be read. It may be longer than two megabytes.";
    error_page(
        &shared,
        StatusCode::BAD_REQUEST,
        "Nothing was converted",
        text,
    )
}

/// The three forms by what the text looks like: JSON with segments is the raw form, other JSON
/// the domain form, the rest HL7.
fn entry(text: &str) -> Result<(Value, &'static str), Trouble> {
    if !text.trim_start().starts_with('{') {
        let message = text.trim_start_matches(['\r', '\n']);
        let message = message.replace("\r\n", "\r").replace('\n', "\r");
        return Ok((json!({"message": message}), "HL7"));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.get("segments").is_some() => Ok((json!({"raw": value}), "raw JSON")),
        Ok(value) => Ok((json!({"domain": value}), "domain JSON")),
        Err(error) => Err(Trouble {
            place: format!("line {}, column {}", error.line(), error.column()),
            text: "this is not JSON".into(),
        }),
    }
}

fn page(shared: &Shared, text: &str) -> Response {
    let mut page = ConvertPage {
        frame: Frame::of(&shared.app),
        text: text.replace("\r\n", "\n").replace('\r', "\n"),
        taken_for: "",
        problems: Vec::new(),
        forms: None,
        issues: None,
    };
    if text.trim().is_empty() {
        return render(&page);
    }
    let clock = shared.app.clock.as_ref();
    let time = clock.timestamp(clock.now());
    let number = medsynapse::domain::accession_number(crate::generate::fresh_seed(shared));
    let context = Context {
        new_accession_number: number.as_ref(),
        ..Context::new(Envelope {
            sending_application: "API_GATEWAY",
            sending_facility: "FACILITY",
            receiving_application: &shared.app.broker.profile().responder.application,
            receiving_facility: &shared.app.broker.profile().responder.facility,
            time,
            control_id: "CONVERTED",
        })
    };
    let converted = entry(text)
        .map_err(|trouble| vec![trouble])
        .and_then(|(entry, form)| {
            page.taken_for = form;
            let options = Options {
                explain: true,
                ..Options::default()
            };
            translate(&entry, &context, &options).map_err(|errors| {
                let one = |problem: &medsynapse::domain::Problem| Trouble {
                    place: problem.path.map(|at| at.to_string()).unwrap_or_default(),
                    text: problem.to_string(),
                };
                errors.problems().iter().map(one).collect()
            })
        });
    match converted {
        Err(problems) => page.problems = problems,
        Ok(converted) => {
            let light = converted.round_trip(&context);
            let forms = converted.to_json();
            page.issues = Some(Issues::of(&editor::text(&converted.bytes), shared));
            page.forms = Some(shown(&forms, light));
        }
    }
    render(&page)
}

fn shown(forms: &Value, light: RoundTrip) -> Forms {
    let pretty = |name: &str| {
        let value = forms.get(name).filter(|value| !value.is_null())?;
        let text = serde_json::to_string_pretty(value).ok()?;
        if text.len() > SHOWN_BYTES_MAX {
            return Some(format!("{} bytes: too long to be shown here", text.len()));
        }
        Some(text)
    };
    let message = forms
        .get("message")
        .and_then(Value::as_str)
        .unwrap_or_default();
    Forms {
        message: message.replace('\r', "\n"),
        raw: pretty("raw").unwrap_or_default(),
        domain: pretty("domain"),
        raw_light: light.raw,
        domain_light: light.domain,
    }
}
