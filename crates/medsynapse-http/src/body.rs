//! Bodies of requests.

use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;

use crate::app::App;
use crate::problem::Problem;
use crate::problem_code::ProblemCode;
use crate::receive::body;

/// How long a body may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// A question or a command.
    Small,
    /// A document that a person or a program wrote.
    Document,
    /// A message in one of its forms.
    Message,
}

impl Limit {
    fn bytes(self, app: &App) -> usize {
        match self {
            Self::Small => 64 << 10,
            Self::Document => 1 << 20,
            Self::Message => app.limits.json_bytes_max(),
        }
    }
}

/// The body of a request that is JSON.
pub(crate) async fn json_body(request: Request, app: &App, limit: Limit) -> Result<Bytes, Problem> {
    let kind = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let mut parts = kind.unwrap_or_default().split(';').map(str::trim);
    let json = parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    // RFC 8259: JSON between systems is UTF-8; a charset that says otherwise is a mistake.
    let utf8 = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim_matches('"');
        !name.eq_ignore_ascii_case("charset")
            || ["utf-8", "utf8", "us-ascii"]
                .iter()
                .any(|known| value.eq_ignore_ascii_case(known))
    });
    if !json || !utf8 {
        let text = "Send application/json in UTF-8";
        return Err(Problem::new(ProblemCode::UnsupportedMediaType, text));
    }
    body(request, app, limit.bytes(app)).await
}
