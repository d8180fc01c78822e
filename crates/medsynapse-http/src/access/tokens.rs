//! [`Tokens`]: bearer tokens (JWT) against the keys that their issuer publishes (JWKS).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::scope::Scopes;

/// No token is longer.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// No key set is longer.
const KEY_SET_BYTES_MAX: usize = 1 << 20;

/// Where a key set comes from: a file, an address.
pub type Fetch =
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>> + Send + Sync;

/// What a token must be.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// `iss`: who gives it out.
    pub issuer: String,
    /// `aud`: for whom it is.
    pub audience: String,
    /// With what it may be signed: `RS256`, `ES256`, `EdDSA` and their like.
    pub algorithms: Vec<String>,
    /// What stands before a scope in `scope`, for instance `medsynapse.`; empty: nothing.
    pub scope_prefix: String,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// How long a key set is used before it is looked at again.
    pub keys_max_age: Duration,
    /// How soon it is looked at again for a token whose key is not in it.
    pub keys_min_age: Duration,
}

impl Default for TokenSettings {
    /// RS256, ES256 and `EdDSA`; 30 seconds of leeway; keys for 10 minutes.
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: String::new(),
            algorithms: ["RS256", "ES256", "EdDSA"].map(String::from).to_vec(),
            scope_prefix: String::new(),
            leeway: Duration::from_secs(30),
            keys_max_age: Duration::from_mins(10),
            keys_min_age: Duration::from_secs(30),
        }
    }
}

/// Why tokens cannot be checked as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// An algorithm that is not known, or whose key would have to be a shared secret.
    #[error("{0:?} cannot sign a token here; name RS256, PS256, ES256, EdDSA or their like")]
    Algorithm(String),
    /// Without an issuer and an audience every token of anybody would do.
    #[error("issuer and audience must both be given")]
    NobodyNamed,
}

struct KeySet {
    keys: JwkSet,
    fetched_at: Instant,
}

/// Checks bearer tokens.
pub struct Tokens {
    settings: TokenSettings,
    algorithms: Vec<Algorithm>,
    fetch: Arc<Fetch>,
    known: RwLock<Option<Arc<KeySet>>>,
    /// Held while the key set is looked at again, and says when that was last tried.
    fetching: Mutex<Option<Instant>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    #[serde(default)]
    scope: Names,
    #[serde(default)]
    scp: Names,
}

/// Names as one text or as a list: issuers differ.
#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    Text(String),
    List(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Names {
    fn iter(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Text(text) => Box::new(text.split(' ')),
            Self::List(list) => Box::new(list.iter().map(String::as_str)),
        }
    }
}

impl Tokens {
    /// Checks tokens as `settings` say, with the keys that `fetch` gives.
    ///
    /// # Errors
    ///
    /// The settings would let strangers in.
    pub fn new(settings: TokenSettings, fetch: Arc<Fetch>) -> Result<Self, TokenError> {
        if settings.issuer.is_empty() || settings.audience.is_empty() {
            return Err(TokenError::NobodyNamed);
        }
        let algorithm = |name: &String| {
            let known: Option<Algorithm> = name.parse().ok();
            known
                .filter(|algorithm| algorithm.family() != AlgorithmFamily::Hmac)
                .ok_or_else(|| TokenError::Algorithm(name.clone()))
        };
        let algorithms = settings
            .algorithms
            .iter()
            .map(algorithm)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            settings,
            algorithms,
            fetch,
            known: RwLock::new(None),
            fetching: Mutex::new(None),
        })
    }

    /// Who shows this token and what they may; `None` for a token that is not good.
    pub async fn check(&self, token: &str) -> Option<(String, Scopes)> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let header = decode_header(token).ok()?;
        if !self.algorithms.contains(&header.alg) {
            return None;
        }
        let key = self.key(header.kid.as_deref()).await?;
        // A key for one algorithm does not vouch for another one.
        let meant = key.common.key_algorithm.is_none_or(|of_key| {
            of_key
                .to_string()
                .parse::<Algorithm>()
                .is_ok_and(|of_key| of_key == header.alg)
        });
        let signs = matches!(
            key.common.public_key_use,
            None | Some(PublicKeyUse::Signature)
        );
        if !meant || !signs {
            return None;
        }
        let mut validation = Validation::new(header.alg);
        validation.leeway = self.settings.leeway.as_secs();
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.settings.issuer]);
        validation.set_audience(&[&self.settings.audience]);
        let key = DecodingKey::from_jwk(&key).ok()?;
        let claims = decode::<Claims>(token, &key, &validation).ok()?.claims;
        let prefix = self.settings.scope_prefix.as_str();
        let names = claims.scope.iter().chain(claims.scp.iter());
        let scopes = Scopes::known(names.filter_map(|name| name.strip_prefix(prefix)));
        Some((claims.sub.unwrap_or_else(|| "unnamed".into()), scopes))
    }

    fn known(&self) -> Option<Arc<KeySet>> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The key with this id, or the only key there is.
    async fn key(&self, id: Option<&str>) -> Option<Jwk> {
        let find = |set: &KeySet| match (id, set.keys.keys.as_slice()) {
            (Some(id), _) => set.keys.find(id).cloned(),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        };
        let known = self.known();
        let found = known.as_deref().and_then(find);
        let age = known.map(|set| set.fetched_at.elapsed());
        if found.is_some() && age.is_some_and(|age| age < self.settings.keys_max_age) {
            return found;
        }
        self.look_again().await;
        self.known().as_deref().and_then(find)
    }

    /// Gets the key set anew, unless that was done just now. What was known stays where that
    /// fails: an issuer that is away for a moment locks nobody out.
    async fn look_again(&self) {
        let mut tried = self.fetching.lock().await;
        if tried.is_some_and(|at| at.elapsed() < self.settings.keys_min_age) {
            return;
        }
        *tried = Some(Instant::now());
        let fetched = (self.fetch)().await.and_then(|bytes| {
            if bytes.len() > KEY_SET_BYTES_MAX {
                return Err(format!(
                    "the key set has more than {KEY_SET_BYTES_MAX} bytes"
                ));
            }
            serde_json::from_slice(&bytes).map_err(|error| format!("not a key set: {error}"))
        });
        match fetched {
            Ok(keys) => {
                let set = KeySet {
                    keys,
                    fetched_at: Instant::now(),
                };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(set));
            }
            Err(error) => tracing::error!(error, "the keys for bearer tokens cannot be had"),
        }
    }
}
