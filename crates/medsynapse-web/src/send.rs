//! `GET` and `POST /send`: messages to the broker, by a person.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use hl7_message::Message;
use serde::Deserialize;

use crate::app::{Frame, Shared};
use crate::badge::Badge;
use crate::check::Issues;
use crate::editor;
use crate::error_page::{error_page, render, unavailable};
use crate::fault::{self, Broken, Menu};
use crate::line::{Line, lines};
use crate::reading::read;
use crate::template::{self, TEMPLATES};
use crate::wire::{self, Exchange};
use crate::words;

/// Most answers that are shown whole.
const WHOLE_MAX: usize = 5;

#[derive(Template)]
#[template(path = "send.html")]
struct SendPage {
    frame: Frame,
    text: String,
    via: Via,
    templates: &'static [(&'static str, &'static str)],
    menu: Vec<Menu>,
    /// What was chosen of the menu, and what it does.
    broken: String,
    broken_about: String,
    /// Why nothing was sent.
    problem: &'static str,
    issues: Issues,
    sent: Vec<Sent>,
    accepted: usize,
    whole: bool,
}

/// The way to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Via {
    /// A connection to the MLLP port.
    #[default]
    Mllp,
    /// As the REST gateway takes it.
    #[serde(alias = "http")]
    Rest,
}

/// One message and what came of it.
pub(crate) struct Sent {
    number: usize,
    about: String,
    type_code: String,
    control_id: String,
    badge: Badge,
    said: String,
    millis: String,
    message_id: Option<i64>,
    /// What happened when, in milliseconds.
    steps: Vec<(String, String)>,
    picture: String,
    answers: Vec<Vec<Line>>,
    /// The answer as text.
    pub(crate) ack: Option<Bytes>,
    /// MSA-1; empty where no answer came.
    pub(crate) code: String,
    /// Why there is no answer.
    pub(crate) failure: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// The number of a stored message to begin with.
    from: Option<i64>,
    /// Whether it gets a control id of its own: the broker answers one that it knows as before.
    #[serde(default)]
    fresh: bool,
    /// The name of a template to begin with.
    #[serde(default)]
    template: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    #[serde(default)]
    message: String,
    #[serde(default)]
    via: Via,
    /// What is to be made wrong.
    #[serde(rename = "break", default)]
    broken: String,
}

/// The editor, empty or with a message of the log in it.
pub(crate) async fn editor(
    State(shared): State<Arc<Shared>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let text = match asked.from {
        None if !asked.template.is_empty() => {
            let with = Arc::clone(&shared);
            let made = read(shared.app.broker.store(), move |store| {
                template::text(&asked.template, &with, store)
            });
            match made.await {
                None => return unavailable(&shared),
                Some(made) => made.unwrap_or_default(),
            }
        }
        None => String::new(),
        Some(id) => {
            let stored = read(shared.app.broker.store(), move |store| store.message(id));
            match stored.await {
                None => return unavailable(&shared),
                Some(None) => {
                    let text = "The message log has no message with this number.";
                    return error_page(&shared, StatusCode::NOT_FOUND, "No such message", text);
                }
                Some(Some(stored)) => editor::text(&stored.raw),
            }
        }
    };
    let text = if asked.fresh {
        let id = format!("RE{:X}", crate::generate::fresh_seed(&shared));
        editor::with_control_id(&text, &id)
    } else {
        text
    };
    render(&page(&shared, &text, Via::Mllp, Vec::new()))
}

/// Sends what the form holds.
pub(crate) async fn send(
    State(shared): State<Arc<Shared>>,
    form: Result<Form<Given>, FormRejection>,
) -> Response {
    let Ok(Form(given)) = form else {
        let text = "The form cannot be read. It may be longer than two megabytes; send long \
                    messages with hl7-sender.";
        return error_page(&shared, StatusCode::BAD_REQUEST, "Nothing was sent", text);
    };
    let broken = Broken::from_name(&given.broken);
    let refused = |problem| {
        let refused = SendPage {
            problem,
            ..page(&shared, &given.message, given.via, Vec::new())
        };
        render(&refused.with(broken))
    };
    let mut messages = editor::messages(&given.message);
    if let Some(broken) = broken {
        if messages.len() > BROKEN_MAX {
            return refused(TOO_MANY);
        }
        let wrong: Option<Vec<_>> = messages.iter().map(|one| broken.apply(one)).collect();
        let Some(wrong) = wrong else {
            return refused(OTHER_TYPE);
        };
        messages = wrong;
    }
    let sent = send_all(&shared, messages, given.via, broken).await;
    render(&page(&shared, &given.message, given.via, sent).with(broken))
}

/// Most messages that are sent wrong at a time: for each the answer may not come.
const BROKEN_MAX: usize = 5;
const TOO_MANY: &str =
    "At most five messages are sent wrong at a time. hl7-sender --break takes more.";
const OTHER_TYPE: &str = "This fault belongs to another type of message. Choose one for the message above, or one on the wire.";

impl SendPage {
    /// The same after something was broken.
    fn with(self, broken: Option<Broken>) -> Self {
        Self {
            broken: broken.map(Broken::name).unwrap_or_default(),
            broken_about: broken.map(Broken::about).unwrap_or_default(),
            ..self
        }
    }
}

fn page(shared: &Shared, text: &str, via: Via, sent: Vec<Sent>) -> SendPage {
    SendPage {
        frame: Frame::of(&shared.app),
        issues: Issues::of(text, shared),
        text: text.replace("\r\n", "\n").replace('\r', "\n"),
        via,
        templates: &TEMPLATES,
        menu: fault::menu(),
        broken: String::new(),
        broken_about: String::new(),
        problem: "",
        accepted: sent.iter().filter(|sent| sent.badge.tone == "ok").count(),
        whole: sent.len() <= WHOLE_MAX,
        sent,
    }
}

/// Sends messages one after the other; where the way itself is closed, the rest is not tried.
pub(crate) async fn send_all(
    shared: &Shared,
    messages: Vec<Vec<u8>>,
    via: Via,
    broken: Option<Broken>,
) -> Vec<Sent> {
    let mut all = Vec::with_capacity(messages.len());
    let mut client = None;
    for (number, message) in (1..).zip(messages) {
        let exchange = match (broken, via) {
            (Some(Broken::Wire(how)), _) => wire::broken(shared, how, &message).await,
            (_, Via::Mllp) => wire::over_mllp(shared, &mut client, &message).await,
            (_, Via::Rest) => wire::in_process(shared, &message).await,
        };
        let failed = exchange.failure.is_some() && client.is_none() && broken.is_none();
        all.push(Sent::of(number, &message, exchange));
        if failed && via == Via::Mllp {
            break;
        }
    }
    if let Some(client) = client {
        client.close().await;
    }
    all
}

impl Sent {
    fn of(number: usize, message: &[u8], exchange: Exchange) -> Self {
        let value = |bytes: &[u8], path: &str| {
            let message = Message::parse(bytes).ok()?;
            let raw = message.raw(path.parse().ok()?)?;
            let plain = hl7_message::escape::unescape(raw, message.separators());
            Some(String::from_utf8_lossy(&plain).into_owned())
        };
        let of_message = |path: &str| value(message, path).unwrap_or_default();
        let (code, event) = (of_message("MSH-9.1"), of_message("MSH-9.2"));
        let answer = exchange.answers.first().cloned();
        let of_answer = |path: &str| {
            let answer = answer.as_deref().unwrap_or_default();
            value(answer, path).unwrap_or_default()
        };
        let verdict = of_answer("MSA-1");
        let said = match (&answer, &exchange.failure) {
            (None, Some(failure)) => failure.clone(),
            _ => of_answer("MSA-3"),
        };
        let millis = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1000.0);
        Self {
            number,
            about: words::of(&code, &event, &said).words.to_owned(),
            type_code: words::type_code(&code, &event),
            control_id: of_message("MSH-10"),
            badge: Badge::of(&verdict),
            said,
            millis: millis(exchange.took()),
            message_id: exchange.message_id,
            picture: exchange.picture(),
            steps: exchange
                .steps
                .iter()
                .map(|step| (millis(step.at), step.what.clone()))
                .collect(),
            answers: exchange.answers.iter().map(|a| lines(a).0).collect(),
            ack: answer,
            code: verdict,
            failure: exchange.failure,
        }
    }
}
