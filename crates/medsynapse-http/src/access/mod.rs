//! Who may do what: keys, tokens, scopes, rates, and the trail of it all.

mod guard;
mod keys;
mod rates;
mod scope;
mod sessions;
mod tokens;
mod trail;

use std::sync::Arc;

pub use crate::idempotency::Unkept;
pub use guard::{Caller, Guard};
pub(crate) use guard::{Needs, OnWhom, Table, peer};
pub use keys::{ApiKey, ApiKeys, NewKey};
pub use rates::{Rate, Rates};
pub use scope::{Scope, Scopes, UnknownScope};
pub use sessions::{Login, LoginError, Random};
pub use tokens::{Fetch, TokenError, TokenSettings, Tokens};
pub use trail::Trail;

/// What guards the gateway besides its keys.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Takes bearer tokens, if set.
    pub tokens: Option<Arc<Tokens>>,
    /// How often one address may ask, and may ask with a wrong key.
    pub rates: Arc<Rates>,
    /// Writes down who asked for what, if set.
    pub trail: Option<Trail>,
    /// Remembers answers to requests with an `Idempotency-Key`; without it that header is refused.
    pub answers: Option<Arc<medsynapse_store::AccessStore>>,
    /// Room for answers that could not be kept at once.
    pub unkept: Unkept,
    /// Whose pages may read and send: `https://ris.example.org`. None: no other site's.
    pub origins: Vec<String>,
    /// Whether `Authorization: Basic` with a key as its password will do, for browsers.
    pub basic: bool,
    /// Whether nobody is let in where there are no keys: for a gateway that others can reach.
    pub closed: bool,
}
