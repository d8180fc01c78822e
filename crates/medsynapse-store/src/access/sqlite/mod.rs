//! [`SqliteAccess`]: a file of one server.

#[cfg(feature = "postgres")]
mod export;
mod idempotency;
mod keys;
mod trail;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

#[cfg(feature = "postgres")]
pub(crate) use export::KeptAnswer;
pub(crate) use idempotency::convert;

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

pub(crate) struct SqliteAccess {
    /// Keys and answers: what is said to be kept is on disk.
    durable: Mutex<Connection>,
    /// The trail: in order and whole, but its last moments may be lost with the power.
    trail: Mutex<Connection>,
    /// Seals answers, which may speak of patients.
    sealer: Option<Sealer>,
}

impl SqliteAccess {
    pub(crate) fn open(directory: &Path, keys: Option<&Keys>) -> Result<Self, StoreError> {
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

    /// The one that is there already.
    pub(crate) fn open_existing(
        directory: &Path,
        keys: Option<&Keys>,
    ) -> Result<Option<Self>, StoreError> {
        if directory.join(FILE).exists() {
            return Self::open(directory, keys).map(Some);
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
