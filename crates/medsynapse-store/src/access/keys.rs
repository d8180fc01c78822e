//! API keys: their digests, never the keys.

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::{AccessStore, millis, moment};
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

impl AccessStore {
    /// Keeps a key.
    ///
    /// # Errors
    ///
    /// There is one with this id, or the database cannot be written.
    pub fn add_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
        self.durable().execute(
            "INSERT INTO api_key (id, name, digest, scopes, created_at, expires_at, revoked_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                key.id,
                key.name,
                key.digest,
                key.scopes,
                millis(key.created_at),
                key.expires_at.map(millis),
                key.revoked_at.map(millis)
            ],
        )?;
        Ok(())
    }

    /// All keys, those that expired or were taken back too, in the order in which they were made.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        let connection = self.durable();
        let mut statement = connection.prepare_cached(
            "SELECT id, name, digest, scopes, created_at, expires_at, revoked_at
             FROM api_key ORDER BY created_at, id",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(KeyRecord {
                id: row.get(0)?,
                name: row.get(1)?,
                digest: row.get(2)?,
                scopes: row.get(3)?,
                created_at: moment(row.get(4)?),
                expires_at: row.get::<_, Option<i64>>(5)?.map(moment),
                revoked_at: row.get::<_, Option<i64>>(6)?.map(moment),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Takes a key back; false where no key in use has this id.
    ///
    /// # Errors
    ///
    /// The database cannot be written.
    pub fn revoke_key(&self, id: &str, at: DateTime<Utc>) -> Result<bool, StoreError> {
        let sql = "UPDATE api_key SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
        Ok(self.durable().execute(sql, params![id, millis(at)])? > 0)
    }

    /// Forgets keys that can open nothing any more, and says how many they were.
    ///
    /// # Errors
    ///
    /// The database cannot be written.
    pub fn purge_keys(&self, now: DateTime<Utc>) -> Result<usize, StoreError> {
        let sql = "DELETE FROM api_key WHERE revoked_at IS NOT NULL OR expires_at <= ?1";
        Ok(self.durable().execute(sql, [millis(now)])?)
    }

    /// A number that changes when another process changed the database.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn version(&self) -> Result<i64, StoreError> {
        // The trail, which this process writes all the time, has a connection of its own; so its
        // writes change the number too, and a caller reads the keys once more than it must.
        Ok(self
            .durable()
            .query_row("PRAGMA data_version", [], |row| row.get(0))?)
    }
}
