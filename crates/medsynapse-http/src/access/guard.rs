//! What every request passes: rate, key or token, scope; and what is written down of it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use medsynapse_broker::Clock;
use medsynapse_store::TrailEntry;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::Access;
use super::keys::ApiKeys;
use super::scope::{Scope, Scopes};
use super::sessions::Login;
use crate::problem::Problem;
use crate::problem_code::ProblemCode;

/// No part of an entry of the trail is longer: what a stranger sends does not fill the disk.
const PART_CHARS_MAX: usize = 200;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `key:…`, `token:…` or `anonymous`.
    pub name: String,
    /// What they may.
    pub scopes: Scopes,
}

impl Caller {
    /// Somebody at a gateway without keys.
    pub fn anonymous(scopes: Scopes) -> Self {
        Self {
            name: "anonymous".into(),
            scopes,
        }
    }
}

/// Whom an answer is about, for the trail: patient ids, which it keeps as keyed hashes.
#[derive(Debug, Clone)]
pub(crate) struct OnWhom(pub(crate) String);

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: the route is open to everybody and holds no patient data.
    Nothing,
    /// Some key, whatever it may: there is no such route, and that is no stranger's business.
    AnyKey,
    /// A scope.
    Scope(Scope),
    /// Nobody decided: it is refused.
    Undecided,
}

/// Which scope each route needs.
pub(crate) type Table = HashMap<(Method, String), Needs>;

/// Lets in who may.
#[derive(Clone)]
pub struct Guard {
    /// The keys.
    pub keys: ApiKeys,
    /// What else there is.
    pub access: Access,
    /// Tells when keys have ended.
    pub clock: Arc<dyn Clock>,
    table: Option<Arc<Table>>,
    login: Option<Login>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("keys", &self.keys)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

impl Guard {
    /// A guard for routes that have no table of their own: looking needs `read`, everything else
    /// `send`. For pages.
    pub fn by_method(keys: ApiKeys, access: Access, clock: Arc<dyn Clock>) -> Self {
        Self {
            keys,
            access,
            clock,
            table: None,
            login: None,
        }
    }

    /// Takes browsers that are logged in too, and sends the others to `/login`, which is open to
    /// everybody as what is under `/assets/` is.
    #[must_use]
    pub fn with_login(mut self, login: Login) -> Self {
        self.login = Some(login);
        self
    }

    pub(crate) fn with_table(
        keys: ApiKeys,
        access: Access,
        clock: Arc<dyn Clock>,
        table: Table,
    ) -> Self {
        Self {
            keys,
            access,
            clock,
            table: Some(Arc::new(table)),
            login: None,
        }
    }

    fn is_open(&self) -> bool {
        !self.access.closed && self.keys.is_empty() && self.access.tokens.is_none()
    }

    fn needs(&self, request: &Parts) -> Needs {
        let method = match request.method {
            Method::HEAD => Method::GET,
            ref method => method.clone(),
        };
        let Some(table) = &self.table else {
            let path = request.extensions.get::<MatchedPath>();
            let path = path.map_or("", MatchedPath::as_str);
            if self.login.is_some() && matches!(path, "/login" | "/logout" | "/assets/{name}") {
                return Needs::Nothing;
            }
            // They are sent something and change nothing.
            if matches!(path, "/check" | "/convert" | "/api/generate") {
                return Needs::Scope(Scope::Read);
            }
            return Needs::Scope(if method == Method::GET {
                Scope::Read
            } else {
                Scope::Send
            });
        };
        let Some(path) = request
            .extensions
            .get::<MatchedPath>()
            .map(MatchedPath::as_str)
        else {
            return Needs::AnyKey;
        };
        if let Some(needs) = table.get(&(method, path.to_owned())) {
            return *needs;
        }
        // A method that the path does not answer.
        let mut others = table
            .iter()
            .filter(|((_, of), _)| of == path)
            .map(|(_, needs)| *needs);
        match others.next() {
            None => Needs::Undecided,
            Some(Needs::Nothing) if others.all(|needs| needs == Needs::Nothing) => Needs::Nothing,
            Some(_) => Needs::AnyKey,
        }
    }

    /// Whose key or token a request shows.
    async fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let now = self.clock.now();
        let by_key = |key: &[u8]| {
            let (id, scopes) = self.keys.find(key, now)?;
            Some(Caller {
                name: format!("key:{id}"),
                scopes,
            })
        };
        let mut given = headers.get_all("x-api-key").iter();
        match (given.next(), given.next()) {
            (Some(key), None) => return by_key(key.as_bytes()),
            (Some(_), Some(_)) => return None,
            (None, _) => {}
        }
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let given = match (given.next(), given.next()) {
            (Some(given), None) => given,
            (None, _) => return self.login.as_ref()?.caller(headers, now),
            (Some(_), Some(_)) => return None,
        };
        let (scheme, rest) = given.to_str().ok()?.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            let rest = rest.trim();
            if let Some(tokens) = &self.access.tokens
                && let Some((name, scopes)) = tokens.check(rest).await
            {
                return Some(Caller {
                    name: format!("token:{}", cut(&name)),
                    scopes,
                });
            }
            return by_key(rest.as_bytes());
        }
        if self.access.basic && scheme.eq_ignore_ascii_case("basic") {
            let pair = STANDARD.decode(rest.trim()).ok()?;
            let colon = pair.iter().position(|byte| *byte == b':')?;
            return by_key(pair.get(colon + 1..)?);
        }
        None
    }

    /// The caller of a request that may go on.
    async fn admit(&self, request: &Parts) -> Result<Caller, Response> {
        let address = address(request);
        if let Err(wait) = self.access.rates.request(address) {
            return Err(too_many("Too many requests from this address", wait));
        }
        let needs = self.needs(request);
        if needs == Needs::Undecided {
            let text = "Nobody has decided who may use this route";
            return Err(Problem::new(ProblemCode::Undecided, text).into_response());
        }
        if self.is_open() || needs == Needs::Nothing {
            return Ok(Caller::anonymous(Scopes::ALL));
        }
        let Some(caller) = self.caller(&request.headers).await else {
            if self.login.is_some() && wants_page(request) {
                return Err(to_login(request));
            }
            if let Err(wait) = self.access.rates.failed_login(address) {
                return Err(too_many(
                    "Too many requests with a wrong key from this address",
                    wait,
                ));
            }
            tracing::warn!(peer = %address, "a request without a valid API key");
            return Err(self.unauthorized(&request.headers));
        };
        if let Needs::Scope(scope) = needs
            && !caller.scopes.allow(scope)
        {
            let text = format!(
                "This key or token may not do that: it needs the scope {}",
                scope.as_str()
            );
            let problem = Problem::new(ProblemCode::InsufficientScope, text);
            let mut response = problem.into_response();
            response.extensions_mut().insert(caller);
            return Err(response);
        }
        Ok(caller)
    }

    fn unauthorized(&self, headers: &HeaderMap) -> Response {
        let text = "Unauthorized: Invalid API key";
        let problem = Problem::new(ProblemCode::InvalidApiKey, text);
        let mut response = problem.into_response();
        // A script of a page whose session has ended: the browser must not ask for a password.
        if self.login.is_some() && headers.contains_key("sec-fetch-site") {
            return response;
        }
        let scheme = if self.access.basic {
            "Basic realm=\"Medsynapse PACS Broker\", charset=\"UTF-8\""
        } else {
            "Bearer"
        };
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        response
    }

    /// Lets a request go on, or answers it, before anything of its body is read.
    pub async fn check(State(guard): State<Arc<Self>>, request: Request, next: Next) -> Response {
        let (parts, body) = request.into_parts();
        match guard.admit(&parts).await {
            Ok(caller) => {
                let mut request = Request::from_parts(parts, body);
                request.extensions_mut().insert(caller.clone());
                let mut response = next.run(request).await;
                // Who has just logged in is no longer anonymous.
                response.extensions_mut().get_or_insert(caller);
                response
            }
            Err(response) => response,
        }
    }

    /// Writes down what was asked and what came of it.
    pub async fn write_down(
        State(guard): State<Arc<Self>>,
        request: Request,
        next: Next,
    ) -> Response {
        let Some(trail) = &guard.access.trail else {
            return next.run(request).await;
        };
        let path = request
            .extensions()
            .get::<MatchedPath>()
            .map(|path| path.as_str().to_owned());
        if path
            .as_deref()
            .is_some_and(|path| path.starts_with("/api/v1/health/"))
        {
            return next.run(request).await;
        }
        let route = path.as_deref().unwrap_or("(no such route)");
        let action = format!("{} {route}", cut(request.method().as_str()));
        let peer = peer(&request);
        let (target, mut patient) = about(route, &request);
        let at = guard.clock.now();
        let mut response = next.run(request).await;
        let who = response.extensions_mut().remove::<Caller>();
        if let Some(OnWhom(id)) = response.extensions_mut().remove::<OnWhom>() {
            patient = Some(id);
        }
        trail
            .write(TrailEntry {
                at,
                who: who.map_or_else(|| "unknown".into(), |caller| caller.name),
                peer,
                action,
                target,
                patient: patient.map(|id| trail.patient(&id)),
                outcome: response.status().as_u16(),
            })
            .await;
        response
    }
}

/// Whether a browser asks for a page, without a key.
fn wants_page(request: &Parts) -> bool {
    let accepts = request.headers.get(ACCEPT).map(HeaderValue::as_bytes);
    let html = accepts.is_some_and(|accepts| accepts.windows(9).any(|part| part == b"text/html"));
    let shows_key =
        request.headers.contains_key("x-api-key") || request.headers.contains_key(AUTHORIZATION);
    html && !shows_key
}

/// To the login, and back to what was asked for.
fn to_login(request: &Parts) -> Response {
    let mut address = String::from("/login");
    if request.method == Method::GET
        && let Some(asked) = request.uri.path_and_query()
        && asked.as_str() != "/"
    {
        address.push_str("?next=");
        address.extend(utf8_percent_encode(asked.as_str(), NON_ALPHANUMERIC));
    }
    Redirect::to(&address).into_response()
}

fn too_many(text: &'static str, wait: std::time::Duration) -> Response {
    let problem = Problem::new(ProblemCode::TooManyRequests, text);
    let mut response = problem.into_response();
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    response
}

/// What a request is about: the part of its path that is named, and a patient.
fn about(route: &str, request: &Request) -> (String, Option<String>) {
    let named = route
        .split('/')
        .zip(request.uri().path().split('/'))
        .filter(|(name, _)| name.starts_with('{'))
        .map(|(_, value)| decoded(value));
    let of_patient = route.contains("/patients/{");
    let (mut target, mut patient) = (String::new(), None);
    for value in named {
        if of_patient && patient.is_none() {
            patient = Some(value);
        } else {
            target = cut(&value);
        }
    }
    let query = request.uri().query().unwrap_or_default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "patient" | "patientId" => patient = Some(decoded(&value.replace('+', " "))),
            "accession" if target.is_empty() => target = cut(&decoded(value)),
            _ => {}
        }
    }
    (target, patient.filter(|id| !id.is_empty()))
}

/// A part of an address as text.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Text of a stranger for the trail: short, and without control characters.
fn cut(text: &str) -> String {
    text.chars()
        .take(PART_CHARS_MAX)
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}

/// Where a request comes from.
pub(crate) fn peer(request: &Request) -> String {
    let info = request.extensions().get::<ConnectInfo<SocketAddr>>();
    info.map_or_else(
        || "unknown".into(),
        |ConnectInfo(address)| address.to_string(),
    )
}

fn address(request: &Parts) -> IpAddr {
    let info = request.extensions.get::<ConnectInfo<SocketAddr>>();
    info.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(address)| {
        address.ip()
    })
}
