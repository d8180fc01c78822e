//! [`ApiKeys`]: the keys that open the gateway.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use medsynapse_store::KeyRecord;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::scope::Scopes;

/// A key as the gateway knows it: never the key, only its digest.
#[derive(Clone)]
pub struct ApiKey {
    /// Its short name.
    pub id: String,
    /// SHA-256 of the key.
    pub digest: [u8; 32],
    /// What it may.
    pub scopes: Scopes,
    /// From when on it is refused; `None`: never.
    pub ends_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id)
            .field("scopes", &self.scopes)
            .field("ends_at", &self.ends_at)
            .finish_non_exhaustive()
    }
}

impl From<KeyRecord> for ApiKey {
    /// A scope that this version does not know opens nothing.
    fn from(record: KeyRecord) -> Self {
        let ends = [record.expires_at, record.revoked_at];
        Self {
            id: record.id,
            digest: record.digest,
            scopes: Scopes::known(record.scopes.split(' ')),
            ends_at: ends.into_iter().flatten().min(),
        }
    }
}

/// A key that was just made: the only moment at which it can be read.
pub struct NewKey {
    /// The key, 256 random bits.
    pub secret: String,
    /// Its SHA-256 digest.
    pub digest: [u8; 32],
    /// A short name for it.
    pub id: String,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewKey({})", self.id)
    }
}

impl NewKey {
    /// The key of 32 random bytes.
    pub fn of(random: [u8; 32]) -> Self {
        let secret = format!("msk_{}", URL_SAFE_NO_PAD.encode(random));
        let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        // Some of the digest: it says nothing of the key.
        let [a, b, c, d, ..] = digest;
        let id = format!("{a:02x}{b:02x}{c:02x}{d:02x}");
        Self { secret, digest, id }
    }
}

/// The keys that open the gateway; none: it is open. Clones share them, so that one clone
/// guards and another one changes them.
///
/// Only SHA-256 digests are kept, and a comparison takes as long for a wrong key as for a right
/// one.
///
/// ```
/// use chrono::Utc;
/// use medsynapse_http::ApiKeys;
///
/// let keys = ApiKeys::new(["s3cret"]);
/// # let now = chrono::DateTime::UNIX_EPOCH;
/// assert!(keys.find(b"s3cret", now).is_some());
/// assert!(keys.find(b"s3cret ", now).is_none());
/// assert!(ApiKeys::default().is_empty());
/// ```
#[derive(Clone, Default)]
pub struct ApiKeys(Arc<RwLock<Arc<[ApiKey]>>>);

impl ApiKeys {
    /// These keys, which may everything and never end.
    pub fn new<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self::of(Self::of_configuration(keys))
    }

    /// What [`new`](Self::new) makes of keys, to be put together with others.
    pub fn of_configuration<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) -> Vec<ApiKey> {
        let key = |(number, key): (usize, K)| ApiKey {
            id: format!("config-{}", number + 1),
            digest: Sha256::digest(key.as_ref()).into(),
            scopes: Scopes::ALL,
            ends_at: None,
        };
        keys.into_iter().enumerate().map(key).collect()
    }

    /// These keys.
    pub fn of(keys: impl IntoIterator<Item = ApiKey>) -> Self {
        Self(Arc::new(RwLock::new(keys.into_iter().collect())))
    }

    /// Uses these keys from now on.
    pub fn replace(&self, keys: impl IntoIterator<Item = ApiKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys.into_iter().collect();
    }

    fn now(&self) -> Arc<[ApiKey]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there is none. One that opens nothing any more counts: what was closed does not
    /// open by itself.
    pub fn is_empty(&self) -> bool {
        self.now().is_empty()
    }

    /// The scopes of the key of that name, if it has not ended.
    pub(crate) fn scopes_of(&self, id: &str, now: DateTime<Utc>) -> Option<Scopes> {
        let keys = self.now();
        let key = keys.iter().find(|key| key.id == id)?;
        key.ends_at
            .is_none_or(|end| now < end)
            .then_some(key.scopes)
    }

    /// The name and the scopes of `key`, if it is one of them and has not ended.
    pub fn find(&self, key: &[u8], now: DateTime<Utc>) -> Option<(String, Scopes)> {
        let given: [u8; 32] = Sha256::digest(key).into();
        let mut found = None;
        // Every key is looked at, whichever fits.
        for key in self.now().iter() {
            if bool::from(key.digest.ct_eq(&given)) && key.ends_at.is_none_or(|end| now < end) {
                found = Some((key.id.clone(), key.scopes));
            }
        }
        found
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({})", self.now().len())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_key_ends_when_it_expires_or_is_taken_back() {
        let start = DateTime::UNIX_EPOCH;
        let new = NewKey::of([9; 32]);
        let record = |expires: Option<i64>, revoked: Option<i64>| KeyRecord {
            id: new.id.clone(),
            name: "a modality".into(),
            digest: new.digest,
            scopes: "read later-invented".into(),
            created_at: start,
            expires_at: expires.map(|hours| start + TimeDelta::hours(hours)),
            revoked_at: revoked.map(|hours| start + TimeDelta::hours(hours)),
        };
        let opens = |record: KeyRecord, hour: i64| {
            let keys = ApiKeys::of([record.into()]);
            keys.find(new.secret.as_bytes(), start + TimeDelta::hours(hour))
                .is_some()
        };
        assert!(opens(record(None, None), 1_000_000));
        assert!(opens(record(Some(2), None), 1) && !opens(record(Some(2), None), 2));
        assert!(opens(record(Some(3), Some(1)), 0) && !opens(record(Some(3), Some(1)), 1));
        assert!(!ApiKeys::of([record(Some(0), None).into()]).is_empty());
    }
}
