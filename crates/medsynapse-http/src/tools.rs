//! Tools over one message: parse, validate, convert, generate, send.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use hl7_json::to_paths;
use hl7_message::Message;
use medsynapse::domain::{self, Fill, convert, validate};
use medsynapse::synth::{Counts, Kind, Options, Synth};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::{Limit, json_body};
use crate::new_order::{Known, Shown, text};
use crate::problem::Problem;
use crate::problem_code::ProblemCode;

/// Most messages that are generated for one request.
const GENERATED_MAX: u64 = 1_000;

/// A message in one of its forms.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes what is read and written as JSON")]
pub(crate) struct Forms {
    /// ER7 text.
    message: Option<String>,
    /// The lossless JSON form.
    #[schema(value_type = Option<Object>)]
    raw: Option<Value>,
    /// The domain form.
    #[schema(value_type = Option<Object>)]
    domain: Option<Value>,
}

/// A message that came in one of its forms, in all of them.
async fn converted(
    app: &App,
    shown: Result<Query<Shown>, QueryRejection>,
    request: Request,
    fill: Fill,
) -> Result<domain::Converted, Problem> {
    let Query(shown) = shown.map_err(|_| Problem::parameter("Give explain and dates once"))?;
    let options = shown.options(app)?;
    let body = json_body(request, app, Limit::Message).await?;
    let entry = Value::Object(crate::receive::object(&body)?);
    let asked = entry
        .get("domain")
        .map(domain::Request::from_value)
        .and_then(Result::ok);
    let known = Known::of(app, asked.as_ref()).await?;
    let made = known.within(app, |context| {
        convert(&entry, &domain::Context { fill, ..*context }, &options)
    });
    made.map_err(Problem::from)
}

/// Reads a message and shows all there is in it.
#[utoipa::path(post, path = "/api/v1/parse", tag = "tools", security(("apiKey" = ["read"])),
    params(Shown), request_body = Forms, responses((status = 200, body = Forms)))]
pub(crate) async fn parse(
    State(app): State<Arc<App>>,
    shown: Result<Query<Shown>, QueryRejection>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let converted = converted(&app, shown, request, Fill::Nothing).await?;
    let mut json = converted.to_json();
    if let (Some(json), Ok(message)) = (json.as_object_mut(), Message::parse(&converted.bytes)) {
        json.insert("paths".into(), to_paths(&message).into());
    }
    Ok(Json(json))
}

/// Turns a message from one form into the others, and says whether it comes back as it was.
#[utoipa::path(post, path = "/api/v1/convert", tag = "tools", security(("apiKey" = ["read"])),
    params(Shown), request_body = Forms, responses((status = 200, body = Forms)))]
pub(crate) async fn convert_forms(
    State(app): State<Arc<App>>,
    shown: Result<Query<Shown>, QueryRejection>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let converted = converted(&app, shown, request, Fill::Missing).await?;
    let mut json = converted.to_json();
    let known = Known::of(&app, None).await?;
    let back = known.within(&app, |context| converted.round_trip(context));
    if let Some(json) = json.as_object_mut() {
        json.insert(
            "roundTrip".into(),
            json!({ "raw": back.raw, "domain": back.domain }),
        );
    }
    Ok(Json(json))
}

/// Says everything that can be said about a message, without taking it.
#[utoipa::path(post, path = "/api/v1/validate", tag = "tools", security(("apiKey" = ["read"])),
    params(Shown), request_body = Forms, responses((status = 200, body = Value)))]
pub(crate) async fn validate_message(
    State(app): State<Arc<App>>,
    shown: Result<Query<Shown>, QueryRejection>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let body = json_body(request, &app, Limit::Message).await?;
    let entry = crate::receive::object(&body)?;
    // Text that is no message is what this tool is for.
    if let (Some(Value::String(text)), 1) = (entry.get("message"), entry.len()) {
        return Ok(Json(
            validate(text.as_bytes(), app.broker.profile()).to_json(),
        ));
    }
    let Query(shown) = shown.map_err(|_| Problem::parameter("Give explain and dates once"))?;
    let options = shown.options(&app)?;
    let known = Known::of(&app, None).await?;
    let entry = Value::Object(entry);
    let made = known.within(&app, |context| {
        convert(
            &entry,
            &domain::Context {
                fill: Fill::Nothing,
                ..*context
            },
            &options,
        )
    });
    Ok(Json(validate(&made?.bytes, app.broker.profile()).to_json()))
}

/// Sends a message to the broker by MLLP and shows its answer.
#[utoipa::path(post, path = "/api/v1/send", tag = "tools", security(("apiKey" = ["send"])),
    params(Shown), request_body = Forms, responses((status = 200, body = Value)))]
pub(crate) async fn send(
    State(app): State<Arc<App>>,
    shown: Result<Query<Shown>, QueryRejection>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let converted = converted(&app, shown, request, Fill::Missing).await?;
    Ok(Json(sent(&app, &converted.bytes).await?))
}

/// Sends a message and shows what was said, whatever it was.
pub(crate) async fn sent(app: &App, bytes: &[u8]) -> Result<Value, Problem> {
    let answer = app.gateway.exchange(bytes).await?;
    Ok(json!({
        "message": text(bytes),
        "ack": answer.to_json(),
        "acknowledgment": text(&answer.bytes),
    }))
}

/// What to generate.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    /// How many of each type.
    #[serde(default = "five")]
    #[schema(minimum = 1, maximum = 1000)]
    count: u64,
    /// `orm`, `oru`, `adt_a08`, `adt_a40`, `ack`, `all`; several with commas between.
    #[serde(rename = "type", default = "all")]
    kind: String,
    /// The same seed gives the same messages.
    #[serde(default)]
    seed: u64,
    /// The moment of the first message, as HL7 writes it; the same seed and moment give the same
    /// bytes.
    start: Option<String>,
}

fn five() -> u64 {
    5
}

fn all() -> String {
    "all".into()
}

/// Makes messages up: a story of a radiology department with invented people.
#[utoipa::path(post, path = "/api/v1/generate", tag = "tools", security(("apiKey" = ["read"])),
    request_body = Wish, responses((status = 200, body = Value)))]
pub(crate) async fn generate(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let body = json_body(request, &app, Limit::Small).await?;
    let unclear = |text: String| Problem::new(ProblemCode::UnclearWish, text);
    let wish: Wish = serde_json::from_slice(&body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        unclear(format!(
            "Give count, type, seed and start; line {line}, column {column}"
        ))
    })?;
    let mut kinds = Vec::new();
    for name in wish.kind.split(',').map(str::trim) {
        match name {
            "all" => kinds.extend(Kind::MESSAGES),
            name => kinds.push(name.parse().map_err(|_| {
                unclear("Unknown type: give orm, oru, adt_a08, adt_a40, ack or all".into())
            })?),
        }
    }
    let start = match &wish.start {
        Some(text) => text
            .parse()
            .map_err(|_| unclear("start is not a moment of HL7".into()))?,
        None => app.clock.timestamp(app.clock.now()),
    };
    let total = wish.count.saturating_mul(kinds.len() as u64);
    if !(1..=GENERATED_MAX).contains(&total) {
        return Err(unclear(format!(
            "Give a count that makes 1 to {GENERATED_MAX} messages"
        )));
    }
    let (count, seed) = (wish.count, wish.seed);
    let making = tokio::task::spawn_blocking(move || {
        let mut synth = Synth::new(seed, &start, Options::default());
        let story = synth.story(Counts::each(&kinds, count));
        let entry = |generated: medsynapse::synth::Generated| {
            json!({
                "type": generated.kind.as_str(),
                "controlId": generated.control_id,
                "accessionNumber": generated.accession_number,
                "message": text(&generated.bytes),
            })
        };
        story.map(entry).collect::<Vec<_>>()
    });
    let messages = making.await.map_err(|_| Problem::unavailable())?;
    Ok(Json(
        json!({ "seed": seed, "totalCount": messages.len(), "messages": messages }),
    ))
}
