//! [`AllowedHosts`]: by which names the server may be called.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// The names by which the server may be called.
///
/// A web page of a stranger can have its own name point to this machine and
/// then speak to the server as if it were its own (DNS rebinding). Such a
/// request carries the stranger's name; so only addresses, `localhost` and the
/// names that are listed are answered.
///
/// ```
/// use medsynapse_http::AllowedHosts;
///
/// let hosts = AllowedHosts::new(["pacs.example.org"]);
/// assert!(hosts.allow("pacs.example.org:3000"));
/// assert!(hosts.allow("localhost:3000") && hosts.allow("127.0.0.1") && hosts.allow("[::1]:3000"));
/// assert!(!hosts.allow("rebound.example.com:3000"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts {
    names: Vec<String>,
}

impl AllowedHosts {
    /// Addresses, `localhost` and these names.
    pub fn new<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        let clean = |name: N| name.into().trim_end_matches('.').to_ascii_lowercase();
        Self {
            names: names.into_iter().map(clean).collect(),
        }
    }

    /// Whether `host`, a name or an address with or without a port, is one of them.
    pub fn allow(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        if authority.as_str().contains('@') {
            return false;
        }
        let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
        let address = name
            .strip_prefix('[')
            .and_then(|n| n.strip_suffix(']'))
            .unwrap_or(&name);
        name == "localhost" || address.parse::<IpAddr>().is_ok() || self.names.contains(&name)
    }

    fn allow_origin(&self, origin: &HeaderValue) -> bool {
        let host = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"));
        host.is_some_and(|(_, host)| self.allow(host))
    }
}

/// Answers only requests that call the server by an allowed name, and that no page of another
/// site sends.
pub async fn check_host(
    State(hosts): State<Arc<AllowedHosts>>,
    request: Request,
    next: Next,
) -> Response {
    let header = request
        .headers()
        .get(HOST)
        .map(|host| host.to_str().unwrap_or_default());
    let uri = request.uri().authority().map(Authority::as_str);
    // A client of HTTP/1.0 names no host; no browser is one.
    if header.or(uri).is_some_and(|host| !hosts.allow(host)) {
        return Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "host_not_allowed",
            "This server is not called by that name; add it to the allowed hosts",
        )
        .into_response();
    }
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let origin = request.headers().get(ORIGIN);
    if !reads && origin.is_some_and(|origin| !hosts.allow_origin(origin)) {
        return Problem::new(
            StatusCode::FORBIDDEN,
            "origin_not_allowed",
            "Pages of other sites may not send to this server",
        )
        .into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_whole() {
        let hosts = AllowedHosts::new(["PACS.example.org."]);
        for host in [
            "pacs.EXAMPLE.org",
            "pacs.example.org.",
            "10.1.2.3:80",
            "LOCALHOST",
            "[::1]",
        ] {
            assert!(hosts.allow(host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "xpacs.example.org",
            "pacs.example.org.evil.test",
            "127.0.0.1.evil.test",
            "localhost@evil.test",
            "evil.test:localhost",
        ] {
            assert!(!hosts.allow(host), "{host}");
        }
    }
}
