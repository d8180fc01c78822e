//! [`Login`]: a browser shows a key once and is known by a cookie from then on.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::guard::Caller;
use super::keys::ApiKeys;
use super::rates::Rates;

/// The cookie.
const NAME: &str = "medsynapse_session";
/// How long somebody stays logged in: a long shift.
const LASTS: TimeDelta = TimeDelta::hours(12);
/// Most browsers that are logged in; beyond that the one that ends first is let go.
const SESSIONS_MAX: usize = 1_000;

/// Where secrets come from; `None` where the system gives none.
pub type Random = dyn Fn() -> Option<[u8; 32]> + Send + Sync;

/// Logs browsers in. Clones share who is logged in.
///
/// The browser holds a random secret that says nothing of the key, and this holds the secret's
/// digest. It lasts twelve hours at most, and ends with the key it was opened with.
#[derive(Clone)]
pub struct Login {
    keys: ApiKeys,
    rates: Arc<Rates>,
    random: Arc<Random>,
    secure: bool,
    always: bool,
    open: Arc<Mutex<HashMap<[u8; 32], Session>>>,
}

struct Session {
    key: String,
    ends_at: DateTime<Utc>,
}

/// Why somebody is not logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// It is no key, or one that has ended.
    #[error("this key is not known, or it has ended")]
    Wrong,
    /// So many wrong keys came from this address that it has to wait.
    #[error("too many wrong keys from this address; try again in {} seconds", .0.as_secs())]
    TooMany(Duration),
    /// The system gives no random bytes.
    #[error("nobody can log in now; the log of the server says why")]
    Unavailable,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("keys", &self.keys)
            .field("secure", &self.secure)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// Logs in with these keys. With `secure` the cookie travels over TLS alone.
    pub fn new(keys: ApiKeys, rates: Arc<Rates>, random: Arc<Random>, secure: bool) -> Self {
        Self {
            keys,
            rates,
            random,
            secure,
            always: false,
            open: Arc::default(),
        }
    }

    /// Wants a login even while there is no key.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.always = true;
        self
    }

    /// Whether somebody has to log in now.
    pub fn is_wanted(&self) -> bool {
        self.always || !self.keys.is_empty()
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<[u8; 32], Session>) -> T) -> T {
        act(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Logs somebody in who shows `key`; gives who it is and the value of `Set-Cookie`.
    ///
    /// # Errors
    ///
    /// A wrong key, or too many of them from this address.
    pub fn enter(
        &self,
        key: &[u8],
        address: IpAddr,
        now: DateTime<Utc>,
    ) -> Result<(Caller, String), LoginError> {
        let Some((id, scopes)) = self.keys.find(key, now) else {
            self.rates
                .failed_login(address)
                .map_err(LoginError::TooMany)?;
            tracing::warn!(peer = %address, "a login with a wrong key");
            return Err(LoginError::Wrong);
        };
        let Some(secret) = (self.random)() else {
            tracing::error!("the system gives no random bytes");
            return Err(LoginError::Unavailable);
        };
        let session = Session {
            key: id.clone(),
            ends_at: now + LASTS,
        };
        self.with(|open| {
            open.retain(|_, one| now < one.ends_at);
            if open.len() >= SESSIONS_MAX
                && let Some(first) = open.iter().min_by_key(|(_, one)| one.ends_at)
            {
                let first = *first.0;
                open.remove(&first);
            }
            open.insert(Sha256::digest(secret).into(), session);
        });
        let caller = Caller {
            name: format!("key:{id}"),
            scopes,
        };
        let value = URL_SAFE_NO_PAD.encode(secret);
        Ok((caller, self.cookie(&value, LASTS)))
    }

    fn cookie(&self, value: &str, lasts: TimeDelta) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        let seconds = lasts.num_seconds();
        format!("{NAME}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}")
    }

    /// Who sends these headers, if they are logged in.
    pub fn caller(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Option<Caller> {
        let digest = digest(headers)?;
        let id = self.with(|open| {
            let session = open.get(&digest)?;
            (now < session.ends_at).then(|| session.key.clone())
        })?;
        // A key that was revoked ends what was opened with it.
        let scopes = self.keys.scopes_of(&id, now)?;
        Some(Caller {
            name: format!("key:{id}"),
            scopes,
        })
    }

    /// Logs out; gives the value of `Set-Cookie`.
    pub fn leave(&self, headers: &HeaderMap) -> String {
        if let Some(digest) = digest(headers) {
            self.with(|open| open.remove(&digest));
        }
        self.cookie("", TimeDelta::zero())
    }
}

/// The digest of the secret in the cookie.
fn digest(headers: &HeaderMap) -> Option<[u8; 32]> {
    let mut found = None;
    for line in headers.get_all(COOKIE) {
        for pair in line.to_str().ok()?.split(';') {
            if let Some((NAME, value)) = pair.trim().split_once('=') {
                // Two of them: one was planted.
                if found.replace(value).is_some() {
                    return None;
                }
            }
        }
    }
    let secret = URL_SAFE_NO_PAD.decode(found?).ok()?;
    (secret.len() == 32).then(|| Sha256::digest(secret).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use std::sync::atomic::{AtomicU8, Ordering};

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn login(keys: &ApiKeys) -> Login {
        let next = AtomicU8::new(0);
        let random = move || Some([next.fetch_add(1, Ordering::Relaxed); 32]);
        Login::new(keys.clone(), Arc::default(), Arc::new(random), true)
    }

    fn sent_back(cookie: &str) -> HeaderMap {
        let pair = cookie.split(';').next().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(
            COOKIE,
            HeaderValue::from_str(&format!("a=b; {pair}")).unwrap(),
        );
        headers
    }

    #[test]
    fn a_session_lasts_twelve_hours_or_until_its_key_ends() {
        let (keys, now) = (ApiKeys::new(["s3cret"]), DateTime::UNIX_EPOCH);
        let login = login(&keys);
        let (caller, cookie) = login.enter(b"s3cret", HERE, now).unwrap();
        assert_eq!(caller.name, "key:config-1");
        assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/; Max-Age=43200; Secure"));
        assert!(!cookie.contains("s3cret"));
        let headers = sent_back(&cookie);
        assert!(login.caller(&headers, now + TimeDelta::hours(11)).is_some());
        assert!(login.caller(&headers, now + LASTS).is_none());
        keys.replace([]);
        assert!(login.caller(&headers, now).is_none());
    }

    #[test]
    fn leaving_ends_this_session_alone() {
        let now = DateTime::UNIX_EPOCH;
        let login = login(&ApiKeys::new(["s3cret"]));
        let [one, two] = [(); 2].map(|()| sent_back(&login.enter(b"s3cret", HERE, now).unwrap().1));
        assert!(login.leave(&one).contains("Max-Age=0"));
        assert!(login.caller(&one, now).is_none());
        assert!(login.caller(&two, now).is_some());
    }

    #[test]
    fn what_nobody_gave_out_opens_nothing() {
        let now = DateTime::UNIX_EPOCH;
        let login = login(&ApiKeys::new(["s3cret"]));
        assert_eq!(login.enter(b"S3cret", HERE, now), Err(LoginError::Wrong));
        let good = login.enter(b"s3cret", HERE, now).unwrap().1;
        let pair = good.split(';').next().unwrap();
        for cookie in ["", NAME, &format!("{NAME}=x"), &format!("{pair}; {pair}")] {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, HeaderValue::from_str(cookie).unwrap());
            assert!(login.caller(&headers, now).is_none(), "{cookie}");
        }
    }

    #[test]
    fn wrong_keys_are_slowed_down() {
        let now = DateTime::UNIX_EPOCH;
        let login = login(&ApiKeys::new(["s3cret"]));
        let many = (0..200).map(|_| login.enter(b"guess", HERE, now));
        assert!(
            many.into_iter()
                .any(|one| matches!(one, Err(LoginError::TooMany(_))))
        );
    }

    #[test]
    fn there_are_so_many_at_most() {
        let now = DateTime::UNIX_EPOCH;
        let next = std::sync::atomic::AtomicU32::new(0);
        let random = move || {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&next.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            Some(bytes)
        };
        let keys = ApiKeys::new(["s3cret"]);
        let login = Login::new(keys, Arc::default(), Arc::new(random), false);
        let first = login.enter(b"s3cret", HERE, now).unwrap().1;
        for _ in 0..SESSIONS_MAX {
            let later = now + TimeDelta::seconds(1);
            login.enter(b"s3cret", HERE, later).unwrap();
        }
        assert!(login.caller(&sent_back(&first), now).is_none());
        assert_eq!(login.with(|open| open.len()), SESSIONS_MAX);
    }
}
