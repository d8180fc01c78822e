//! [`ApiKeys`]: who may ask.

use std::fmt;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::app::App;
use crate::problem::Problem;
use crate::receive::peer;

/// The keys that open the gateway; none: it is open.
///
/// Only their SHA-256 digests are kept, and a comparison takes as long for a wrong key as for a
/// right one.
///
/// ```
/// use medsynapse_http::ApiKeys;
///
/// let keys = ApiKeys::new(["s3cret"]);
/// assert!(keys.accept(b"s3cret"));
/// assert!(!keys.accept(b"s3cret "));
/// assert!(ApiKeys::default().is_empty());
/// ```
#[derive(Clone, Default)]
pub struct ApiKeys {
    digests: Vec<[u8; 32]>,
}

impl ApiKeys {
    /// These keys.
    pub fn new<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self::from_digests(
            keys.into_iter()
                .map(|key| Sha256::digest(key.as_ref()).into()),
        )
    }

    /// The keys with these SHA-256 digests.
    pub fn from_digests(digests: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self {
            digests: digests.into_iter().collect(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Whether `key` is one of them.
    pub fn accept(&self, key: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(key).into();
        // Every key is looked at, whichever fits.
        let found = self.digests.iter().fold(Choice::from(0), |found, digest| {
            found | digest.ct_eq(&given)
        });
        found.into()
    }

    fn accept_headers(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all("x-api-key").iter();
        match (given.next(), given.next()) {
            (Some(key), None) => self.accept(key.as_bytes()),
            _ => false,
        }
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({})", self.digests.len())
    }
}

/// Lets nobody in without a key, before anything of the body is read.
pub(crate) async fn check_key(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    if app.api_keys.is_empty() || app.api_keys.accept_headers(request.headers()) {
        return next.run(request).await;
    }
    tracing::warn!(peer = peer(&request), "a request without a valid API key");
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "invalid_api_key",
        "Unauthorized: Invalid API key",
    )
    .into_response()
}
