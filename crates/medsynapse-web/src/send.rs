//! `GET` and `POST /send`: messages to the broker, by a person.

use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::Form;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use hl7_message::Message;
use hl7_mllp::{Client, ClientConfig};
use medsynapse_broker::Origin;
use medsynapse_store::Transport;
use serde::Deserialize;

use crate::app::{Frame, Shared};
use crate::badge::Badge;
use crate::check::Issues;
use crate::editor;
use crate::error_page::{error_page, render, unavailable};
use crate::line::{Line, lines};
use crate::reading::read;
use crate::words;

/// How long the broker may take to answer one message.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Most answers that are shown whole.
const WHOLE_MAX: usize = 5;

#[derive(Template)]
#[template(path = "send.html")]
struct SendPage {
    frame: Frame,
    text: String,
    via: Via,
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
    answer: Vec<Line>,
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
}

#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    #[serde(default)]
    message: String,
    #[serde(default)]
    via: Via,
}

/// The editor, empty or with a message of the log in it.
pub(crate) async fn editor(
    State(shared): State<Arc<Shared>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let text = match asked.from {
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
    page(&shared, &text, Via::Mllp, Vec::new())
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
    let sent = send_all(&shared, editor::messages(&given.message), given.via).await;
    page(&shared, &given.message, given.via, sent)
}

fn page(shared: &Shared, text: &str, via: Via, sent: Vec<Sent>) -> Response {
    render(&SendPage {
        frame: Frame::of(&shared.app),
        issues: Issues::of(text, shared),
        text: text.replace("\r\n", "\n").replace('\r', "\n"),
        via,
        accepted: sent.iter().filter(|sent| sent.badge.tone == "ok").count(),
        whole: sent.len() <= WHOLE_MAX,
        sent,
    })
}

/// Sends messages one after the other; where the way itself is closed, the rest is not tried.
pub(crate) async fn send_all(shared: &Shared, messages: Vec<Vec<u8>>, via: Via) -> Vec<Sent> {
    let mut all = Vec::with_capacity(messages.len());
    let mut client = None;
    for (number, message) in (1..).zip(messages) {
        let began = Instant::now();
        let (outcome, message_id) = match via {
            Via::Mllp => (over_mllp(shared, &mut client, &message).await, None),
            Via::Rest => in_process(shared, &message).await,
        };
        let failed = outcome.is_err() && via == Via::Mllp && client.is_none();
        all.push(Sent::of(
            number,
            &message,
            outcome,
            began.elapsed(),
            message_id,
        ));
        if failed {
            break;
        }
    }
    if let Some(client) = client {
        client.close().await;
    }
    all
}

async fn over_mllp(
    shared: &Shared,
    open: &mut Option<Client>,
    message: &[u8],
) -> Result<Bytes, String> {
    let config = ClientConfig {
        connect_timeout: ANSWER_WAIT,
        first_byte_timeout: ANSWER_WAIT,
        answer_timeout: ANSWER_WAIT,
        ..ClientConfig::default()
    };
    let mut client = match open.take() {
        Some(client) => client,
        None => Client::connect(shared.app.mllp_address.as_str(), config)
            .await
            .map_err(|error| error.to_string())?,
    };
    // Any answer is shown: a message that cannot be read is answered, too.
    let answer = client.exchange_raw(message).await;
    if client.is_usable() {
        *open = Some(client);
    }
    answer.map_err(|error| error.to_string())
}

async fn in_process(shared: &Shared, message: &[u8]) -> (Result<Bytes, String>, Option<i64>) {
    let origin = Origin {
        transport: Transport::Http,
        peer: "web page".into(),
    };
    let frame = Bytes::copy_from_slice(message);
    match shared.app.broker.receive(frame, origin).await {
        Some(answer) => (Ok(answer.ack), answer.message_id),
        None => (Err("an acknowledgement is not answered".into()), None),
    }
}

impl Sent {
    fn of(
        number: usize,
        message: &[u8],
        outcome: Result<Bytes, String>,
        took: Duration,
        message_id: Option<i64>,
    ) -> Self {
        let value = |bytes: &[u8], path: &str| {
            let message = Message::parse(bytes).ok()?;
            let raw = message.raw(path.parse().ok()?)?;
            let plain = hl7_message::escape::unescape(raw, message.separators());
            Some(String::from_utf8_lossy(&plain).into_owned())
        };
        let of_message = |path: &str| value(message, path).unwrap_or_default();
        let (code, event) = (of_message("MSH-9.1"), of_message("MSH-9.2"));
        let (answer, failure) = match outcome {
            Ok(answer) => (Some(answer), None),
            Err(failure) => (None, Some(failure)),
        };
        let of_answer = |path: &str| {
            let answer = answer.as_deref().unwrap_or_default();
            value(answer, path).unwrap_or_default()
        };
        let verdict = of_answer("MSA-1");
        let said = failure.clone().unwrap_or_else(|| of_answer("MSA-3"));
        Self {
            number,
            about: words::of(&code, &event, &said).words.to_owned(),
            type_code: words::type_code(&code, &event),
            control_id: of_message("MSH-10"),
            badge: Badge::of(&verdict),
            said,
            millis: format!("{:.1}", took.as_secs_f64() * 1000.0),
            message_id,
            answer: answer.as_deref().map(|a| lines(a).0).unwrap_or_default(),
            ack: answer,
            code: verdict,
            failure,
        }
    }
}
