//! [`convert`]: one message in three forms, whichever of them it comes in.

use std::borrow::Cow;

use hl7_json::{RawError, from_raw, to_raw};
use hl7_message::{Charset, Message, ParseError};
use serde_json::{Map, Value};

use super::context::{Context, Fill};
use super::error::{Errors, Problem};
use super::request::Request;
use super::show::{Options, from_message};
use super::write::{Explain, to_message};
use crate::interpret::{charset_of, text_of};

/// A message in all its forms.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where the values came from, if it came as domain JSON.
    pub explain: Option<Explain>,
    options: Options,
}

/// Whether a message comes back from JSON as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundTrip {
    /// HL7 → raw → HL7 gives the same bytes.
    pub raw: bool,
    /// HL7 → domain → HL7 → domain gives the same value; `None` where there is no domain form.
    pub domain: Option<bool>,
}

/// Reads `{"message": ER7 text}`, `{"raw": {…}}` or `{"domain": {…}}`, one of them.
///
/// # Errors
///
/// All that is wrong with it, with its place in JSON and in HL7.
///
/// ```
/// use medsynapse::domain::{Context, Options, convert};
/// use medsynapse::render::Envelope;
/// use serde_json::json;
///
/// let context = Context::new(Envelope {
///     sending_application: "WEB",
///     sending_facility: "FACILITY",
///     receiving_application: "PACS_APP",
///     receiving_facility: "PACS_FACILITY",
///     time: "20230614131415".parse()?,
///     control_id: "MSG123",
/// });
/// let merge = json!({"domain": {"merge": {"fromPatientId": "P1", "intoPatientId": "P2"}}});
/// let forms = convert(&merge, &context, &Options::default())?.to_json();
/// assert_eq!(forms["raw"]["segments"][3], json!({"id": "MRG", "fields": ["P1"]}));
/// assert_eq!(forms["domain"], merge["domain"]);
///
/// let er7 = json!({"message": forms["message"]});
/// assert_eq!(convert(&er7, &context, &Options::default())?.to_json(), forms);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn convert(
    entry: &Value,
    context: &Context<'_>,
    options: &Options,
) -> Result<Converted, Errors> {
    let wrong =
        |pointer: &str, code, text: &str| Err(Errors::one(Problem::of(pointer, None, code, text)));
    let Value::Object(map) = entry else {
        return wrong("", "wrong-type", "is not an object");
    };
    let mut members = map.iter();
    let (Some((name, value)), None) = (members.next(), members.next()) else {
        return wrong(
            "",
            "one-form",
            "has not exactly one of message, raw, domain",
        );
    };
    let mut explain = None;
    let bytes = match (name.as_str(), value) {
        ("message", Value::String(text)) => encoded(text),
        ("message", _) => return wrong("/message", "wrong-type", "is not text"),
        ("raw", raw) => {
            from_raw(&raw.to_string()).map_err(|error| Errors::one(raw_problem(&error)))?
        }
        ("domain", domain) => {
            let below = |errors: Errors| {
                let problems = errors.into_iter().map(|problem| Problem {
                    json_pointer: format!("/domain{}", problem.json_pointer),
                    ..problem
                });
                Errors(problems.collect())
            };
            let request = Request::from_value(domain).map_err(below)?;
            let (bytes, how) = to_message(&request, context).map_err(below)?;
            explain = Some(how);
            bytes
        }
        _ => {
            return wrong(
                "",
                "one-form",
                "has not exactly one of message, raw, domain",
            );
        }
    };
    if let Err(error) = Message::parse(&bytes) {
        return Err(Errors::one(parse_problem(&error)));
    }
    Ok(Converted {
        bytes,
        explain,
        options: *options,
    })
}

impl Converted {
    /// `{"message": ER7 text, "raw": {…}, "domain": {…}}`; `domain` is `null` for a message that
    /// has no domain form.
    pub fn to_json(&self) -> Value {
        let mut map = Map::new();
        if let Ok(message) = Message::parse(&self.bytes) {
            map.insert("message".into(), text(&message, &self.options).into());
            let raw = serde_json::from_str(&to_raw(&message)).unwrap_or_default();
            map.insert("raw".into(), raw);
            let mut domain = from_message(&message, &self.options).unwrap_or_default();
            // What was made up is known only here.
            if let (Some(Value::Object(origins)), Some(explain)) =
                (domain.get_mut("_map"), &self.explain)
            {
                *origins = explain.to_map();
            }
            map.insert("domain".into(), domain);
        }
        Value::Object(map)
    }

    /// Whether it comes back from JSON as it is.
    pub fn round_trip(&self, context: &Context<'_>) -> RoundTrip {
        round_trip(&self.bytes, context)
    }
}

/// Whether a message comes back from JSON as it is; the context gives the names and the time.
pub fn round_trip(bytes: &[u8], context: &Context<'_>) -> RoundTrip {
    let Ok(message) = Message::parse(bytes) else {
        return RoundTrip {
            raw: false,
            domain: None,
        };
    };
    let raw = from_raw(&to_raw(&message)).is_ok_and(|back| back == bytes);
    let domain = value(&message).map(|first| {
        let context = Context {
            fill: Fill::Nothing,
            ..*context
        };
        let written = Request::from_value(&first).and_then(|r| to_message(&r, &context));
        written.is_ok_and(|(bytes, _)| {
            Message::parse(&bytes).ok().and_then(|again| value(&again)) == Some(first)
        })
    });
    RoundTrip { raw, domain }
}

/// The domain value alone.
fn value(message: &Message<'_>) -> Option<Value> {
    let mut json = from_message(message, &Options::default()).ok()?;
    json.as_object_mut()?.remove("warnings");
    Some(json)
}

/// A message as text; what its character set does not have is shown as U+FFFD.
fn text(message: &Message<'_>, options: &Options) -> String {
    text_of(
        message.as_bytes(),
        charset_of(message, options.default_charset),
    )
    .into_owned()
}

/// Text in the character set that its MSH-18 names.
fn encoded(text: &str) -> Vec<u8> {
    let named = Message::parse(text.as_bytes())
        .ok()
        .map(|message| charset_of(&message, Charset::UTF_8));
    let bytes = match &named {
        Some(charset) => charset
            .encode(text)
            .unwrap_or(Cow::Borrowed(text.as_bytes())),
        None => Cow::Borrowed(text.as_bytes()),
    };
    bytes.into_owned()
}

fn raw_problem(error: &RawError) -> Problem {
    let (segment, path) = match error {
        RawError::Leaf {
            segment, location, ..
        } => (Some(*segment), *location),
        RawError::SegmentName { segment } | RawError::Segments { segment } => {
            (Some(*segment), None)
        }
        _ => (None, None),
    };
    let segment_index = segment.map(|number| number.saturating_sub(1));
    let pointer = segment_index.map_or("/raw".to_owned(), |n| format!("/raw/segments/{n}"));
    Problem {
        segment_index,
        ..Problem::of(
            pointer,
            path,
            "not-raw",
            format!("is not the raw form: {error}"),
        )
    }
}

fn parse_problem(error: &ParseError) -> Problem {
    Problem {
        byte_offset: Some(error.offset),
        ..Problem::of(
            "/message",
            Some(error.location),
            "not-hl7",
            format!("is not a message: {}", error.kind),
        )
    }
}
