//! [`Problem`]: an error as JSON.

use std::borrow::Cow;

use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hl7_message::AckCode;
use medsynapse_store::Note;
use serde::Serialize;

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
    #[serde(skip)]
    ack_code: Option<AckCode>,
}

/// Something that is wrong at a place in a message.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemAt {
    /// The place in HL7 terms.
    pub path: String,
    /// The place in bytes, where it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte_offset: Option<usize>,
    /// The number of table 0357, or the name of the warning.
    pub code: String,
    /// What is wrong.
    pub message: String,
}

impl From<Note> for ProblemAt {
    fn from(note: Note) -> Self {
        Self {
            path: note.path,
            byte_offset: note.offset,
            code: note.code,
            message: note.message,
        }
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
    /// A problem with its status, its name for programs and its text for people.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        error: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Body {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            code,
            error: error.into(),
            hl7: Vec::new(),
            message_id: None,
            acknowledgment: None,
            ack_code: None,
        }))
    }

    /// The store does not answer.
    pub fn unavailable() -> Self {
        let text = "The message store does not answer; try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", text)
    }

    /// A parameter or member that cannot be read.
    pub(crate) fn parameter(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", text)
    }

    pub(crate) fn with_ack(mut self, code: AckCode, ack: String, message_id: Option<i64>) -> Self {
        self.0.ack_code = Some(code);
        self.0.acknowledgment = Some(ack);
        self.0.message_id = message_id;
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
            let code = HeaderValue::from_static(code.as_str());
            response.headers_mut().insert(HL7_ACK_CODE, code);
        }
        response
    }
}
