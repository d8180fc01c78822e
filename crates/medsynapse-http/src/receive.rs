//! `POST /api/hl7`: a message in, its acknowledgement out.

use std::sync::Arc;

use axum::Json;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use hl7_message::{AckCode, Message};
use medsynapse_broker::{Answer, Origin};
use medsynapse_store::Transport;
use serde_json::{Value, json};

use crate::access::peer;
use crate::app::App;
use crate::problem::{HL7_ACK_CODE, Problem};
use crate::problem_code::ProblemCode;
use crate::reading::read;

/// Bodies that are a message as it is.
const ER7: [&str; 3] = [
    "application/hl7-v2",
    "x-application/hl7-v2+er7",
    "text/plain",
];

/// Base64 with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Takes a message and answers with its acknowledgement.
#[utoipa::path(post, path = "/api/hl7", tag = "hl7", security(("apiKey" = ["send"])),
    request_body(content(
        (Envelope = "application/json"),
        (String = "application/hl7-v2"),
        (String = "x-application/hl7-v2+er7"),
        (String = "text/plain"),
    )),
    responses((status = 200, description = "Stored; the acknowledgement", content(
        (Receipt = "application/json"),
        (String = "application/hl7-v2"),
        (String = "x-application/hl7-v2+er7"),
        (String = "text/plain"),
    ))))]
pub(crate) async fn receive(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let origin = Origin {
        transport: Transport::Http,
        peer: peer(&request),
    };
    match Form::of(&request)? {
        Form::Json => {
            let body = body(request, &app, app.limits.json_bytes_max()).await?;
            let message = from_json(&body, app.limits.message_bytes_max)?;
            let answer = hand_over(&app, message.clone(), origin).await?;
            as_json(&app, &message, answer).await
        }
        Form::Er7(kind) => {
            let message = body(request, &app, app.limits.message_bytes_max).await?;
            if message.trim_ascii().is_empty() {
                return Err(no_message());
            }
            Ok(as_er7(hand_over(&app, message, origin).await?, kind))
        }
    }
}

/// A message in base64.
#[derive(utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what is read as JSON")]
pub(crate) struct Envelope {
    /// The message in base64.
    message: String,
    /// Not needed: MSH-9 says it.
    message_type: Option<String>,
    /// Not needed: MSH-7 says it.
    send_time: Option<String>,
}

/// A message that was stored.
#[derive(utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what is written as JSON")]
pub(crate) struct Receipt {
    /// `Message received successfully`
    message: String,
    /// Its number in the message log.
    message_id: i64,
    /// The acknowledgement.
    acknowledgment: String,
    /// Whether it was here before; then this is the first answer again.
    duplicate: Option<bool>,
}

enum Form {
    Json,
    Er7(&'static str),
}

impl Form {
    fn of(request: &Request) -> Result<Self, Problem> {
        let kind = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let kind = kind
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        if kind.eq_ignore_ascii_case("application/json") {
            return Ok(Self::Json);
        }
        let er7 = ER7.into_iter().find(|er7| kind.eq_ignore_ascii_case(er7));
        er7.map(Self::Er7).ok_or_else(unsupported_type)
    }
}

pub(crate) fn unsupported_type() -> Problem {
    Problem::new(
        ProblemCode::UnsupportedMediaType,
        "Send application/json, or a message itself as application/hl7-v2, \
         x-application/hl7-v2+er7 or text/plain",
    )
}

/// The body, if it arrives in time and is not too long.
pub(crate) async fn body(mut request: Request, app: &App, max: usize) -> Result<Bytes, Problem> {
    let plain = |encoding: &HeaderValue| encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    if !request
        .headers()
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(plain)
    {
        return Err(Problem::new(
            ProblemCode::Compressed,
            "Compressed bodies are not taken; send it as it is",
        ));
    }
    // What is declared too long is refused before any of it comes.
    let declared = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|text| text.to_str().ok());
    if declared
        .and_then(|text| text.parse::<u64>().ok())
        .is_some_and(|n| n > max as u64)
    {
        return Err(too_large("body", max));
    }
    DefaultBodyLimit::max(max).apply(&mut request);
    let reading = Bytes::from_request(request, &());
    match tokio::time::timeout(app.limits.body_wait, reading).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(too_large("body", max))
        }
        Ok(Err(_)) => Err(Problem::new(
            ProblemCode::IncompleteBody,
            "The body of the request did not arrive whole",
        )),
        Err(_) => Err(Problem::new(
            ProblemCode::BodyTimeout,
            "The body of the request did not arrive in time",
        )),
    }
}

fn too_large(what: &str, max: usize) -> Problem {
    let text = format!("The {what} is too long: at most {max} bytes are taken");
    Problem::new(ProblemCode::TooLong, text)
}

fn no_message() -> Problem {
    Problem::new(ProblemCode::NoMessage, "No message provided")
}

/// A JSON object, as the body of a request.
pub(crate) fn object(body: &[u8]) -> Result<serde_json::Map<String, Value>, Problem> {
    let malformed = |text| Problem::new(ProblemCode::MalformedJson, text);
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(malformed("The body is not a JSON object".to_owned())),
        // What serde_json says can quote the body.
        Err(error) => Err(malformed(format!(
            "The body is not JSON: line {}, column {}",
            error.line(),
            error.column()
        ))),
    }
}

/// The message in `{"message": base64}`; other members say nothing that MSH does not.
fn from_json(body: &[u8], max: usize) -> Result<Bytes, Problem> {
    let invalid = || Problem::new(ProblemCode::InvalidEncoding, "Invalid message encoding");
    let text = match object(body)?.remove("message") {
        None | Some(Value::Null) => return Err(no_message()),
        Some(Value::String(text)) => text,
        Some(_) => return Err(invalid()),
    };
    // Some encoders break lines.
    let text: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let message = BASE64.decode(text).map_err(|_| invalid())?;
    if message.trim_ascii().is_empty() {
        return Err(no_message());
    }
    if message.len() > max {
        return Err(too_large("message", max));
    }
    Ok(message.into())
}

async fn hand_over(app: &App, message: Bytes, origin: Origin) -> Result<Answer, Problem> {
    app.broker.receive(message, origin).await.ok_or_else(|| {
        Problem::new(
            ProblemCode::Acknowledgement,
            "The message is itself an acknowledgement; these are not answered",
        )
    })
}

async fn as_json(app: &App, message: &[u8], answer: Answer) -> Result<Response, Problem> {
    let ack = String::from_utf8_lossy(&answer.ack).into_owned();
    let (code, text) = match answer.code {
        AckCode::ApplicationAccept | AckCode::CommitAccept => {
            let mut body = json!({
                "message": "Message received successfully",
                "messageId": answer.message_id,
                "acknowledgment": ack,
            });
            if answer.duplicate
                && let Some(body) = body.as_object_mut()
            {
                body.insert("duplicate".into(), Value::Bool(true));
            }
            return Ok(([(HL7_ACK_CODE, answer.code.as_str())], Json(body)).into_response());
        }
        AckCode::ApplicationError | AckCode::CommitError => {
            (ProblemCode::NotProcessed, answer.text)
        }
        AckCode::ApplicationReject | AckCode::CommitReject if Message::parse(message).is_err() => {
            (ProblemCode::NotHl7, "Failed to parse HL7 message".into())
        }
        AckCode::ApplicationReject | AckCode::CommitReject => {
            (ProblemCode::MessageRejected, answer.text)
        }
    };
    let findings = match answer.message_id {
        None => Vec::new(),
        // The answer stands, whether or not its details can be read now.
        Some(id) => match read(app.broker.store(), move |store| store.message(id)).await {
            Ok(stored) => stored.map(|stored| stored.findings).unwrap_or_default(),
            Err(_) => Vec::new(),
        },
    };
    let problem = Problem::new(code, text);
    Err(problem
        .with_ack(answer.code, ack, answer.message_id)
        .with_findings(findings))
}

fn as_er7(answer: Answer, kind: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (HL7_ACK_CODE, HeaderValue::from_static(answer.code.as_str())),
    ];
    (headers, answer.ack).into_response()
}
