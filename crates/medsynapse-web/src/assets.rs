//! Style sheet, scripts and icon, out of the program itself.

use std::fmt::Write as _;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let kind = match name.rsplit_once('.').map(|(_, end)| end) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let Some(file) = Assets::get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut tag = String::from("\"");
    for byte in file.metadata.sha256_hash().into_iter().take(16) {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    let known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let about = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-cache"),
        (ETAG, tag.as_str()),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, file.data.into_owned()).into_response()
}
