//! `Idempotency-Key`: a request that comes again is not carried out again.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use medsynapse_store::{AccessStore, FirstAnswer, StoreError, Ticket};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant};

use crate::access::Caller;
use crate::app::App;
use crate::problem::{HL7_ACK_CODE, Problem};
use crate::problem_code::ProblemCode;
use crate::receive::body;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// No key is longer.
const KEY_BYTES_MAX: usize = 255;
/// No answer that is longer is kept.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// How long the answer to the first request is waited for.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// How often it is looked for, at first and at last.
const LOOK_FIRST: Duration = Duration::from_millis(10);
const LOOK_LAST: Duration = Duration::from_millis(250);
/// How often and how long it is tried to keep an answer while the store is away: ten minutes.
const SETTLE_AGAIN: Duration = Duration::from_secs(2);
const SETTLE_TRIES: u32 = 300;
/// Most answers that wait for that; no more than 64 of the longest.
const WAITING_MAX: usize = 64;
/// The header lines that belong to an answer.
const HEAD: [HeaderName; 3] = [CONTENT_TYPE, LOCATION, HL7_ACK_CODE];

/// Carries a POST with an `Idempotency-Key` out once, and gives its first answer from then on.
pub(crate) async fn once(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(KEY) {
        return next.run(request).await;
    }
    match keyed(&app, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn keyed(app: &Arc<App>, request: Request, next: Next) -> Result<Response, Problem> {
    let wrong = |text: &'static str| Problem::new(ProblemCode::InvalidIdempotencyKey, text);
    let mut given = request.headers().get_all(KEY).iter();
    let (Some(key), None) = (given.next(), given.next()) else {
        return Err(wrong("Give one Idempotency-Key"));
    };
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
    let key = key
        .ok_or_else(|| wrong("An Idempotency-Key has 1 to 255 visible characters"))?
        .to_owned();
    let Some(store) = app.access.answers.clone() else {
        return Err(wrong(
            "This gateway keeps no answers; send without Idempotency-Key",
        ));
    };
    let caller = request
        .extensions()
        .get::<Caller>()
        .map(|caller| caller.name.clone())
        .unwrap_or_default();
    let (mut parts, unread) = request.into_parts();
    let whole = Request::from_parts(parts.clone(), unread);
    let bytes = body(whole, app, app.limits.json_bytes_max()).await?;
    // The length is that of the body in hand, however it came.
    parts.headers.remove(axum::http::header::TRANSFER_ENCODING);
    let mut digest = Sha256::new();
    let path = parts
        .uri
        .path_and_query()
        .map(ToString::to_string)
        .unwrap_or_default();
    let kind = parts
        .headers
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    for part in [path.as_bytes(), kind, &bytes] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let digest: [u8; 32] = digest.finalize().into();

    let now = app.clock.now();
    match begin(&store, &caller, &key, digest, now).await? {
        Ticket::New => {}
        Ticket::Answered(first) => return Ok(again(first)),
        Ticket::Unsettled => {
            let text = "The first request with this Idempotency-Key is not answered yet, or the \
                server went down over it; look whether it had its effect";
            return Err(Problem::new(ProblemCode::IdempotencyUnsettled, text));
        }
        Ticket::OtherRequest => {
            let text = "This Idempotency-Key came with another request before";
            return Err(Problem::new(ProblemCode::IdempotencyKeyReused, text));
        }
    }
    let app = Arc::clone(app);
    // It goes on to its end though the client may go away: somebody will ask again.
    let running = tokio::spawn(async move {
        let response = next
            .run(Request::from_parts(parts, Body::from(bytes)))
            .await;
        settle(&app, &store, caller, key, response).await
    });
    running.await.map_err(|_| {
        let text = "The server failed to answer this request";
        Problem::new(ProblemCode::InternalError, text)
    })
}

/// Whether it may be carried out. Where the first one is on its way, here or on another server, its
/// answer is waited for a while: who sends twice at once is answered alike.
async fn begin(
    store: &Arc<AccessStore>,
    caller: &str,
    key: &str,
    digest: [u8; 32],
    now: DateTime<Utc>,
) -> Result<Ticket, Problem> {
    let (began, mut pause) = (Instant::now(), LOOK_FIRST);
    loop {
        let (who, name) = (caller.to_owned(), key.to_owned());
        let ticket = blocking(store, move |store| store.begin(&who, &name, &digest, now)).await?;
        if ticket != Ticket::Unsettled || began.elapsed() >= FIRST_WAIT {
            return Ok(ticket);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_LAST);
    }
}

/// Keeps the answer, or forgets the request if it had no effect. Where the store is away at that
/// moment it is tried again behind the answer, which is true whether it is kept or not.
async fn settle(
    app: &App,
    store: &Arc<AccessStore>,
    caller: String,
    key: String,
    response: Response,
) -> Response {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap_or_default();
    // What had no effect may be tried again.
    let void = matches!(
        parts.status,
        StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::INTERNAL_SERVER_ERROR
    );
    let first = if void || bytes.len() > ANSWER_BYTES_MAX {
        None
    } else {
        let line = |name: &HeaderName| {
            let value = parts.headers.get(name)?.to_str().ok()?;
            Some(format!("{name}: {value}\n"))
        };
        Some(FirstAnswer {
            status: parts.status.as_u16(),
            head: HEAD.iter().filter_map(line).collect(),
            body: bytes.to_vec(),
        })
    };
    let kept = Kept { caller, key, first };
    if !kept.put(store).await {
        later(app, Arc::clone(store), kept);
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// What is to be kept of a request: its answer, or nothing.
#[derive(Clone)]
struct Kept {
    caller: String,
    key: String,
    first: Option<FirstAnswer>,
}

impl Kept {
    async fn put(&self, store: &Arc<AccessStore>) -> bool {
        let kept = self.clone();
        let put = blocking(store, move |store| match &kept.first {
            Some(first) => store.settle(&kept.caller, &kept.key, first),
            None => store.forget(&kept.caller, &kept.key),
        });
        put.await.is_ok()
    }
}

/// Room for answers that wait for the store to come back.
#[derive(Debug, Clone)]
pub struct Unkept(Arc<Semaphore>);

impl Default for Unkept {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(WAITING_MAX)))
    }
}

/// Tries for some minutes. What is not kept then is answered as unsettled to who asks again.
fn later(app: &App, store: Arc<AccessStore>, kept: Kept) {
    let Ok(place) = Arc::clone(&app.access.unkept.0).try_acquire_owned() else {
        return;
    };
    tokio::spawn(async move {
        let _place = place;
        for _ in 0..SETTLE_TRIES {
            tokio::time::sleep(SETTLE_AGAIN).await;
            if kept.put(&store).await {
                return;
            }
        }
    });
}

fn again(first: FirstAnswer) -> Response {
    let mut response = Response::new(Body::from(first.body));
    *response.status_mut() = StatusCode::from_u16(first.status).unwrap_or_default();
    for line in first.head.lines() {
        let pair = line.split_once(": ").and_then(|(name, value)| {
            Some((
                HeaderName::try_from(name).ok()?,
                HeaderValue::try_from(value).ok()?,
            ))
        });
        response.headers_mut().extend(pair);
    }
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

async fn blocking<T: Send + 'static>(
    store: &Arc<AccessStore>,
    act: impl FnOnce(&AccessStore) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let store = Arc::clone(store);
    match tokio::task::spawn_blocking(move || act(&store)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            tracing::error!(%error, "keys and answers cannot be reached");
            Err(Problem::unavailable())
        }
        Err(_) => Err(Problem::unavailable()),
    }
}
