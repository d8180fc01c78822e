//! [`AccessStore`]: who may ask, who asked, and what was answered before.
//!
//! A database of its own, `access.db` beside the messages, or tables and connections of their own
//! in a PostgreSQL that several servers share: keys can be added while servers run, the trail can
//! be verified beside them, and neither ever waits for a batch of messages.

mod idempotency;
mod keys;
mod sqlite;
mod trail;

use std::fmt;
use std::path::Path;

pub use idempotency::{FirstAnswer, Ticket};
pub use keys::KeyRecord;
#[cfg(feature = "postgres")]
pub(crate) use sqlite::KeptAnswer;
pub(crate) use sqlite::{SqliteAccess, convert};
pub use trail::{TrailCheck, TrailEntry, TrailKey, TrailPage, TrailRecord};

use crate::error::StoreError;
#[cfg(feature = "postgres")]
use crate::postgres::{PostgresAccess, PostgresOptions};
use crate::vault::Keys;
pub(crate) use idempotency::Answers;
#[cfg(feature = "postgres")]
pub(crate) use idempotency::{KEPT, ticket};
pub(crate) use keys::Keyring;
pub(crate) use trail::Trail;
#[cfg(feature = "postgres")]
pub(crate) use trail::{Chain, link, seal};

/// Where all of it is kept.
trait Home: Keyring + Answers + Trail + Send + Sync {}

impl<T: Keyring + Answers + Trail + Send + Sync> Home for T {}

/// Keys, the audit trail and the answers to requests with an `Idempotency-Key`.
///
/// The methods block. Several processes may have it open, and on a PostgreSQL several servers:
/// then a key opens all of them, an answer is given again by any, and the trail is one.
///
/// ```
/// use medsynapse_store::AccessStore;
///
/// let directory = tempfile::tempdir()?;
/// let store = AccessStore::open(directory.path())?;
/// assert!(store.keys()?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AccessStore {
    home: Box<dyn Home>,
}

impl fmt::Debug for AccessStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessStore").finish_non_exhaustive()
    }
}

impl AccessStore {
    /// Opens the database in `directory`, making both where they are not there.
    ///
    /// # Errors
    ///
    /// The directory cannot be written, or the database is damaged or of a later version.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        Self::open_with(directory, None)
    }

    /// As [`open`](Self::open), with the keys of an encrypted data directory: answers that are
    /// kept are sealed.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open_with(directory: &Path, keys: Option<&Keys>) -> Result<Self, StoreError> {
        Ok(Self {
            home: Box::new(SqliteAccess::open(directory, keys)?),
        })
    }

    /// Opens the database if it is there already.
    ///
    /// # Errors
    ///
    /// It is there and cannot be read.
    pub fn open_existing(directory: &Path) -> Result<Option<Self>, StoreError> {
        let found = SqliteAccess::open_existing(directory, None)?;
        Ok(found.map(|home| Self {
            home: Box::new(home),
        }))
    }

    /// Opens what servers share, bringing the database to this version where it is older or empty.
    ///
    /// The database may go away and come back: what is asked meanwhile fails with
    /// [`StoreError::Unreachable`] within five seconds, and nothing has to be opened again.
    ///
    /// # Errors
    ///
    /// It cannot be reached or used, or a later program has brought it along.
    #[cfg(feature = "postgres")]
    pub fn open_shared(options: &PostgresOptions) -> Result<Self, StoreError> {
        Ok(Self {
            home: Box::new(PostgresAccess::open(options)?),
        })
    }

    /// Opens what servers share if it is there already, and changes nothing.
    ///
    /// # Errors
    ///
    /// The database cannot be reached or read.
    #[cfg(feature = "postgres")]
    pub fn open_shared_existing(options: &PostgresOptions) -> Result<Option<Self>, StoreError> {
        let found = PostgresAccess::open_existing(options)?;
        Ok(found.map(|home| Self {
            home: Box::new(home),
        }))
    }
}

/// Milliseconds since 1970 of a moment.
pub(crate) fn millis(at: chrono::DateTime<chrono::Utc>) -> i64 {
    at.timestamp_millis()
}

/// The moment so many milliseconds after 1970.
pub(crate) fn moment(millis: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp_millis(millis).unwrap_or_default()
}
