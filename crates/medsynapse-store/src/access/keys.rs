//! API keys: their digests, never the keys.

use chrono::{DateTime, Utc};

use super::AccessStore;
use crate::error::StoreError;

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its short name for people and for the trail.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// SHA-256 of the key.
    pub digest: [u8; 32],
    /// What it may, by names with spaces between.
    pub scopes: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Where keys are kept; the methods are those of [`AccessStore`].
pub(crate) trait Keyring {
    fn add_key(&self, key: &KeyRecord) -> Result<(), StoreError>;
    fn keys(&self) -> Result<Vec<KeyRecord>, StoreError>;
    fn revoke_key(&self, id: &str, at: DateTime<Utc>) -> Result<bool, StoreError>;
    fn purge_keys(&self, now: DateTime<Utc>) -> Result<usize, StoreError>;
    fn version(&self) -> Result<i64, StoreError>;
}

impl AccessStore {
    /// Keeps a key.
    ///
    /// # Errors
    ///
    /// There is one with this id, or the database cannot be written.
    pub fn add_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
        self.home.add_key(key)
    }

    /// All keys, those that expired or were taken back too, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.home.keys()
    }

    /// Takes a key back; false where no key in use has this id.
    ///
    /// # Errors
    ///
    /// The database cannot be written.
    pub fn revoke_key(&self, id: &str, at: DateTime<Utc>) -> Result<bool, StoreError> {
        self.home.revoke_key(id, at)
    }

    /// Forgets keys that can open nothing any more, and says how many they were.
    ///
    /// # Errors
    ///
    /// The database cannot be written.
    pub fn purge_keys(&self, now: DateTime<Utc>) -> Result<usize, StoreError> {
        self.home.purge_keys(now)
    }

    /// A number that changes when somebody else, another process or another server, changed the
    /// keys.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn version(&self) -> Result<i64, StoreError> {
        self.home.version()
    }
}
