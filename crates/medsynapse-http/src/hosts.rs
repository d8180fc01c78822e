//! [`AllowedHosts`]: by which names the server may be called.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN, UPGRADE};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;
use crate::problem_code::ProblemCode;

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

    /// Whether a page of `origin` may send to a server that was called by `host`: a page of its
    /// own, of this machine, of a name that is listed.
    fn allow_origin(&self, origin: &HeaderValue, host: &str) -> bool {
        let authority = |text: &str| {
            let authority = text.parse::<Authority>().ok()?;
            Some(authority.host().trim_end_matches('.').to_ascii_lowercase())
        };
        let Some((_, origin)) = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"))
        else {
            return false;
        };
        if !self.allow(origin) {
            return false;
        }
        let Some(name) = authority(origin) else {
            return false;
        };
        let address = name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>();
        name == "localhost"
            || self.names.contains(&name)
            || address.is_ok_and(|address| address.to_canonical().is_loopback())
            || authority(host).is_some_and(|host| host == name)
    }
}

/// Answers only requests that call the server by an allowed name, and that no page of another
/// site sends.
pub async fn check_host(
    State(hosts): State<Arc<AllowedHosts>>,
    request: Request,
    next: Next,
) -> Response {
    match check(&hosts, &[], &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// The same, where pages of some sites may send.
pub(crate) fn check(
    hosts: &AllowedHosts,
    origins: &[String],
    request: &Request,
) -> Result<(), Problem> {
    let mut given = request.headers().get_all(HOST).iter();
    let header = match (given.next(), given.next()) {
        (Some(host), None) => Some(host.to_str().unwrap_or_default()),
        (None, _) => None,
        (Some(_), Some(_)) => {
            let text = "The request names two hosts";
            return Err(Problem::new(ProblemCode::TwoHosts, text));
        }
    };
    let uri = request.uri().authority().map(Authority::as_str);
    let Some(host) = header.or(uri) else {
        // RFC 9112 section 3.2. A client of HTTP/1.0 names no host; no browser is one.
        if request.version() <= Version::HTTP_10 {
            return Ok(());
        }
        let text = "The request names no host";
        return Err(Problem::new(ProblemCode::NoHost, text));
    };
    if !hosts.allow(host) || !uri.is_none_or(|host| hosts.allow(host)) {
        return Err(Problem::new(
            ProblemCode::HostNotAllowed,
            "This server is not called by that name; add it to the allowed hosts",
        ));
    }
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    // A page of another site cannot read what it gets, but a socket it could.
    if reads && !request.headers().contains_key(UPGRADE) {
        return Ok(());
    }
    let mut origin = request.headers().get_all(ORIGIN).iter();
    let named = |origin: &HeaderValue| origins.iter().any(|named| origin == named.as_str());
    if origin.all(|origin| named(origin) || hosts.allow_origin(origin, host)) {
        return Ok(());
    }
    Err(Problem::new(
        ProblemCode::OriginNotAllowed,
        "Pages of other sites may not send to this server",
    ))
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
