//! [`Problem`]: an error as JSON.

use std::borrow::Cow;

use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hl7_message::AckCode;
use medsynapse::domain;
use medsynapse_store::Note;
use serde::Serialize;

use crate::problem_code::ProblemCode;

/// MSA-1 of the acknowledgement in an answer.
pub const HL7_ACK_CODE: HeaderName = HeaderName::from_static("hl7-ack-code");

/// An error as `application/problem+json` (RFC 9457).
///
/// `error` is for people, `code` for programs. It never quotes a message.
#[derive(Debug)]
pub struct Problem(Box<Body>);

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Body {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    code: &'static str,
    #[schema(value_type = String)]
    error: Cow<'static, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hl7: Vec<ProblemAt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledgment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    ack: Option<serde_json::Value>,
    #[serde(skip)]
    ack_code: Option<HeaderValue>,
}

/// Something that is wrong at a place in a message.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemAt {
    /// The place in HL7 terms.
    pub path: String,
    /// The place in a JSON document (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_pointer: Option<String>,
    /// Which segment it is in, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_index: Option<usize>,
    /// The place in bytes, where it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte_offset: Option<usize>,
    /// How many bytes it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// The number of table 0357, or the name of the warning.
    pub code: String,
    /// What is wrong.
    pub message: String,
}

impl From<Note> for ProblemAt {
    fn from(note: Note) -> Self {
        Self {
            path: note.path,
            json_pointer: None,
            segment_index: None,
            length: None,
            byte_offset: note.offset,
            code: note.code,
            message: note.message,
        }
    }
}

impl From<domain::Problem> for ProblemAt {
    fn from(problem: domain::Problem) -> Self {
        Self {
            path: problem.path.map(|at| at.to_string()).unwrap_or_default(),
            json_pointer: Some(problem.json_pointer),
            segment_index: problem.segment_index,
            byte_offset: problem.byte_offset,
            length: problem.length,
            code: problem.code.into(),
            message: problem.message,
        }
    }
}

impl From<domain::Errors> for Problem {
    fn from(errors: domain::Errors) -> Self {
        let no_json = errors
            .problems()
            .first()
            .is_some_and(|first| first.code == "syntax");
        let code = if no_json {
            ProblemCode::MalformedJson
        } else {
            ProblemCode::Unprocessable
        };
        // It names places, never values.
        let mut problem = Self::new(code, errors.to_string());
        problem.0.hl7 = errors.into_iter().map(ProblemAt::from).collect();
        problem
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde calls"
)]
fn as_number<S: serde::Serializer>(status: &StatusCode, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem with its name for programs, which has the status, and its text for people.
    pub fn new(code: ProblemCode, error: impl Into<Cow<'static, str>>) -> Self {
        let status = code.status();
        Self(Box::new(Body {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            code: code.as_str(),
            error: error.into(),
            hl7: Vec::new(),
            message_id: None,
            acknowledgment: None,
            ack: None,
            ack_code: None,
        }))
    }

    /// The store does not answer.
    pub fn unavailable() -> Self {
        let text = "The message store does not answer; try again later";
        Self::new(ProblemCode::StoreUnavailable, text)
    }

    /// A parameter or member that cannot be read.
    pub(crate) fn parameter(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ProblemCode::InvalidParameter, text)
    }

    pub(crate) fn with_ack(mut self, code: AckCode, ack: String, message_id: Option<i64>) -> Self {
        self.0.ack_code = Some(HeaderValue::from_static(code.as_str()));
        self.0.acknowledgment = Some(ack);
        self.0.message_id = message_id;
        self
    }

    /// As JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }

    /// What somebody else answered.
    pub(crate) fn with_answer(mut self, code: &str, er7: String, ack: serde_json::Value) -> Self {
        self.0.ack_code = HeaderValue::try_from(code).ok();
        self.0.acknowledgment = Some(er7);
        self.0.ack = Some(ack);
        self
    }

    pub(crate) fn with_findings(mut self, findings: Vec<Note>) -> Self {
        self.0.hl7 = findings.into_iter().map(ProblemAt::from).collect();
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (self.0.status, body).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        if let Some(code) = self.0.ack_code {
            response.headers_mut().insert(HL7_ACK_CODE, code);
        }
        response
    }
}
