//! `/api/v1/messages`

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use hl7_json::to_raw;
use hl7_message::{Message, Readable};
use medsynapse::domain::{Options, from_message};
use medsynapse_store::{Direction, MessageSearch, Peer, StoredMessage};
use serde::Deserialize;
use serde_json::Value;

use super::{TWICE, given, list, no_message, number, paging};
use crate::app::App;
use crate::message::{Summary, whole};
use crate::message_log::code;
use crate::new_order::Shown;
use crate::problem::Problem;
use crate::problem_code::ProblemCode;
use crate::reading::read;
use crate::tools::sent;

/// Which messages to find.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// MSH-9.1, for instance `ORM`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// MSH-9.2, for instance `O01`.
    event: Option<String>,
    /// MSH-10
    control_id: Option<String>,
    /// OBR-2.1
    accession: Option<String>,
    /// PID-3.1
    patient: Option<String>,
    /// The address that it came from, or the name of the destination.
    peer: Option<String>,
    /// MSA-1 of the answer.
    ack: Option<String>,
    /// `in` or `out`
    direction: Option<String>,
    /// Received at this moment or later, RFC 3339.
    after: Option<String>,
    /// Received before this moment, RFC 3339.
    before: Option<String>,
    /// `true`: with warnings; `false`: without.
    warnings: Option<String>,
    /// Text that stands in the message.
    q: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// How many on a page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

fn moment(name: &str, text: Option<String>) -> Result<Option<DateTime<Utc>>, Problem> {
    let Some(text) = given(text) else {
        return Ok(None);
    };
    // A plus sign in an address is a blank.
    let parsed = DateTime::parse_from_rfc3339(&text.replace(' ', "+"));
    let wrong = || {
        Problem::parameter(format!(
            "Invalid {name}: give a moment as 2023-06-14T13:14:15Z"
        ))
    };
    Ok(Some(parsed.map_err(|_| wrong())?.to_utc()))
}

impl Filter {
    fn search(self, app: &App) -> Result<MessageSearch, Problem> {
        let direction = match given(self.direction) {
            None => None,
            Some(name) => {
                let wrong = "Invalid direction: give in or out";
                Some(Direction::from_name(&name).ok_or_else(|| Problem::parameter(wrong))?)
            }
        };
        let has_warnings = match self.warnings.as_deref() {
            None | Some("") => None,
            Some("true" | "1") => Some(true),
            Some("false" | "0") => Some(false),
            Some(_) => return Err(Problem::parameter("Invalid warnings: give true or false")),
        };
        let peer = given(self.peer).map(|peer| match peer.parse() {
            Ok(address) => Peer::Address(address),
            Err(_) => Peer::Exactly(peer),
        });
        Ok(MessageSearch {
            direction,
            message_code: given(self.kind).map(|kind| code(&kind)),
            trigger_event: given(self.event).map(|event| event.to_ascii_uppercase()),
            control_id: given(self.control_id),
            accession_number: given(self.accession),
            patient_id: given(self.patient),
            ack_code: given(self.ack).map(|code| code.to_ascii_uppercase()),
            peer,
            received_from: moment("after", self.after)?,
            received_to: moment("before", self.before)?,
            has_warnings,
            text: given(self.q),
            paging: paging(app, self.cursor.as_deref(), self.limit.as_deref())?,
            ..MessageSearch::default()
        })
    }
}

/// The messages that a filter finds, the latest first. A page may have fewer than asked for, and
/// yet more to come: a search for text looks at a bounded number of messages at a time.
#[utoipa::path(get, path = "/api/v1/messages", tag = "messages", security(("apiKey" = ["read"])),
    params(Filter), responses((status = 200, body = Value)))]
pub(crate) async fn messages(
    State(app): State<Arc<App>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(filter) = filter.map_err(|_| Problem::parameter(TWICE))?;
    let search = filter.search(&app)?;
    let found = read(app.broker.store(), move |store| store.search(&search)).await?;
    let summary = |message| serde_json::to_value(Summary::of(message, app.clock.as_ref()));
    let items = found
        .items
        .into_iter()
        .map(summary)
        .collect::<Result<_, _>>();
    Ok(Json(list(items.unwrap_or_default(), found.next)))
}

async fn stored(
    app: &App,
    id: Result<Path<String>, PathRejection>,
) -> Result<StoredMessage, Problem> {
    let Path(id) = id.map_err(|_| no_message())?;
    let id = number(&id)?;
    read(app.broker.store(), move |store| store.message(id))
        .await?
        .ok_or_else(no_message)
}

/// The forms of a message, by media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole,
    Er7(&'static str),
    Raw,
    Domain,
}

/// What is offered, the first that fits wins.
const OFFERED: [(&str, Form); 6] = [
    ("application/json", Form::Whole),
    ("application/hl7-v2", Form::Er7("application/hl7-v2")),
    (
        "x-application/hl7-v2+er7",
        Form::Er7("x-application/hl7-v2+er7"),
    ),
    ("text/plain", Form::Er7("text/plain; charset=utf-8")),
    ("application/vnd.hl7v2-raw+json", Form::Raw),
    ("application/vnd.medsynapse+json", Form::Domain),
];

impl Form {
    /// The form that an `Accept` header likes best.
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut best: Option<(f32, Self)> = None;
        let mut asked = false;
        for line in headers.get_all(ACCEPT) {
            for range in line.to_str().unwrap_or_default().split(',') {
                let mut parts = range.split(';').map(str::trim);
                let Some(kind) = parts.next().filter(|kind| !kind.is_empty()) else {
                    continue;
                };
                asked = true;
                let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
                let quality: f32 = quality.unwrap_or(1.0);
                let fits = |offered: &str| {
                    let prefix = kind
                        .strip_suffix('*')
                        .filter(|prefix| prefix.ends_with('/'));
                    kind.eq_ignore_ascii_case(offered)
                        || kind == "*/*"
                        || prefix
                            .is_some_and(|prefix| offered.starts_with(&prefix.to_ascii_lowercase()))
                };
                let found = OFFERED.iter().find(|(offered, _)| fits(offered));
                if let Some((_, form)) = found
                    && quality > 0.0
                    && best.is_none_or(|(before, _)| quality > before)
                {
                    best = Some((quality, *form));
                }
            }
        }
        match best {
            Some((_, form)) => Ok(form),
            None if !asked => Ok(Self::Whole),
            None => Err(Problem::new(
                ProblemCode::NotAcceptable,
                "A message is there as application/json, application/hl7-v2, \
                 x-application/hl7-v2+er7, text/plain, application/vnd.hl7v2-raw+json and \
                 application/vnd.medsynapse+json",
            )),
        }
    }

    fn show(
        self,
        message: StoredMessage,
        app: &App,
        options: &Options,
    ) -> Result<Response, Problem> {
        let unreadable = || {
            let text = "The message has no such form; ask for application/hl7-v2";
            Problem::new(ProblemCode::NoSuchForm, text)
        };
        let (kind, body) = match self {
            Self::Whole => ("application/json", whole(message, app.clock.as_ref())),
            Self::Er7(kind) => (kind, message.raw),
            Self::Raw => {
                let parsed = Message::parse(&message.raw).map_err(|_| unreadable())?;
                (
                    "application/vnd.hl7v2-raw+json",
                    to_raw(&parsed).into_bytes(),
                )
            }
            Self::Domain => {
                let charset = app.broker.profile().default_charset;
                let readable = Readable::of(&message.raw, charset);
                let parsed = Message::parse(readable.as_bytes()).map_err(|_| unreadable())?;
                let json = from_message(&parsed, options).map_err(|_| unreadable())?;
                (
                    "application/vnd.medsynapse+json",
                    json.to_string().into_bytes(),
                )
            }
        };
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(kind)),
            (VARY, HeaderValue::from_static("accept")),
        ];
        Ok((headers, body).into_response())
    }
}

/// One message, in the form that `Accept` names.
#[utoipa::path(get, path = "/api/v1/messages/{id}", tag = "messages", security(("apiKey" = ["read"])),
    params(Shown, ("id" = i64, Path, description = "Its number", minimum = 1)),
    responses((status = 200, description = "The message", content(
        (Value = "application/json"),
        (String = "application/hl7-v2"),
        (String = "x-application/hl7-v2+er7"),
        (String = "text/plain"),
        (Value = "application/vnd.hl7v2-raw+json"),
        (Value = "application/vnd.medsynapse+json"),
    ))))]
pub(crate) async fn message(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
    how: Result<Query<Shown>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(how) = how.map_err(|_| Problem::parameter(TWICE))?;
    let options = how.options(&app)?;
    let form = Form::of(&headers)?;
    form.show(stored(&app, id).await?, &app, &options)
}

/// The acknowledgement of a message, in the form that `Accept` names.
#[utoipa::path(get, path = "/api/v1/messages/{id}/ack", tag = "messages", security(("apiKey" = ["read"])),
    params(("id" = i64, Path, description = "Its number", minimum = 1)),
    responses((status = 200, description = "The acknowledgement", content(
        (Value = "application/json"),
        (String = "application/hl7-v2"),
        (String = "x-application/hl7-v2+er7"),
        (String = "text/plain"),
        (Value = "application/vnd.hl7v2-raw+json"),
        (Value = "application/vnd.medsynapse+json"),
    ))))]
pub(crate) async fn ack(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = match Form::of(&headers)? {
        Form::Whole => Form::Domain,
        form => form,
    };
    let json = form == Form::Domain;
    let mut stored = stored(&app, id).await?;
    if stored.ack.is_empty() {
        let text = "The message has no acknowledgement yet";
        return Err(Problem::new(ProblemCode::NoAcknowledgement, text));
    }
    stored.raw = std::mem::take(&mut stored.ack);
    let mut response = form.show(stored, &app, &Shown::default().options(&app)?)?;
    if json {
        let plain = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, plain);
    }
    Ok(response)
}

/// Sends a message to the broker once more, as it is.
#[utoipa::path(post, path = "/api/v1/messages/{id}/resend", tag = "messages",
    security(("apiKey" = ["send"])), params(("id" = i64, Path, description = "Its number", minimum = 1)),
    responses((status = 200, body = Value)))]
pub(crate) async fn resend(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let stored = stored(&app, id).await?;
    if stored.summary.direction == Direction::Out {
        let text = "The message went out; send it again with /api/v1/outbox/{id}/retry";
        return Err(Problem::new(ProblemCode::WentOut, text));
    }
    Ok(Json(sent(&app, &stored.raw).await?))
}
