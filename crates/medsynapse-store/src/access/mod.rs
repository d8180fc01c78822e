//! [`AccessStore`]: who may ask, who asked, and what was answered before.
//!
//! A database of its own, `access.db` beside the messages: keys can be added while the server
//! runs, the trail can be verified beside it, and neither ever waits for a batch of messages.

mod idempotency;
mod keys;
mod trail;

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

pub(crate) use idempotency::convert;
pub use idempotency::{FirstAnswer, Ticket};
pub use keys::KeyRecord;
pub use trail::{TrailCheck, TrailEntry, TrailKey, TrailPage, TrailRecord};

use crate::error::StoreError;
use crate::sqlite::{connect, make_directory, make_private};
use crate::vault::{Keys, Sealer};

/// The name of the database in the data directory.
const FILE: &str = "access.db";

/// Which tables there are; `user_version` counts the steps.
const TABLES: &str = "
CREATE TABLE api_key (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, digest BLOB NOT NULL UNIQUE, scopes TEXT NOT NULL,
  created_at INTEGER NOT NULL, expires_at INTEGER, revoked_at INTEGER
) STRICT;
CREATE TABLE trail (
  n INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, peer TEXT NOT NULL,
  action TEXT NOT NULL, target TEXT NOT NULL, patient TEXT, outcome INTEGER NOT NULL,
  link BLOB NOT NULL
) STRICT;
CREATE TABLE trail_head (one INTEGER PRIMARY KEY CHECK (one = 1), n INTEGER NOT NULL,
  seal BLOB NOT NULL) STRICT;
CREATE TRIGGER trail_is_never_changed BEFORE UPDATE ON trail
  BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
CREATE TRIGGER trail_is_never_shortened BEFORE DELETE ON trail
  BEGIN SELECT RAISE(ABORT, 'the trail is append-only'); END;
CREATE TABLE idempotency (
  caller TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, request BLOB NOT NULL,
  status INTEGER, head TEXT, body BLOB, PRIMARY KEY (caller, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency (at);
PRAGMA user_version = 1;
";

/// Whether an answer is sealed.
const SEALED: &str = "
ALTER TABLE idempotency ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
PRAGMA user_version = 2;
";

/// Keys, the audit trail and the answers to requests with an `Idempotency-Key`.
///
/// The methods block. Several processes may have it open.
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
    /// Keys and answers: what is said to be kept is on disk.
    durable: Mutex<Connection>,
    /// The trail: in order and whole, but its last moments may be lost with the power.
    trail: Mutex<Connection>,
    /// Seals answers, which may speak of patients.
    sealer: Option<Sealer>,
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
        make_directory(directory)?;
        let path = directory.join(FILE);
        make_private(&path)?;
        let mut durable = connect(&path, false)?;
        durable.pragma_update(None, "journal_mode", "WAL")?;
        let transaction =
            durable.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match version {
            0 => {
                transaction.execute_batch(TABLES)?;
                transaction.execute_batch(SEALED)?;
            }
            1 => transaction.execute_batch(SEALED)?,
            2 => {}
            later => {
                let text = format!("{FILE} has version {later}, this program knows 2");
                return Err(StoreError::Migration(text));
            }
        }
        transaction.commit()?;
        let trail = connect(&path, false)?;
        trail.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(Self {
            durable: Mutex::new(durable),
            trail: Mutex::new(trail),
            sealer: keys.map(Sealer::new).transpose()?,
        })
    }

    /// Opens the database if it is there already.
    ///
    /// # Errors
    ///
    /// It is there and cannot be read.
    pub fn open_existing(directory: &Path) -> Result<Option<Self>, StoreError> {
        if directory.join(FILE).exists() {
            return Self::open(directory).map(Some);
        }
        Ok(None)
    }

    fn durable(&self) -> MutexGuard<'_, Connection> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trail(&self) -> MutexGuard<'_, Connection> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since 1970 of a moment.
fn millis(at: chrono::DateTime<chrono::Utc>) -> i64 {
    at.timestamp_millis()
}

/// The moment so many milliseconds after 1970.
fn moment(millis: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp_millis(millis).unwrap_or_default()
}
