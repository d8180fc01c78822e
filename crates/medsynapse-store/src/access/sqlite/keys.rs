//! API keys, in the file.

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::SqliteAccess;
use crate::access::keys::{KeyRecord, Keyring};
use crate::access::{millis, moment};
use crate::error::StoreError;

impl Keyring for SqliteAccess {
    fn add_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
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

    fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
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

    fn revoke_key(&self, id: &str, at: DateTime<Utc>) -> Result<bool, StoreError> {
        let sql = "UPDATE api_key SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
        Ok(self.durable().execute(sql, params![id, millis(at)])? > 0)
    }

    fn purge_keys(&self, now: DateTime<Utc>) -> Result<usize, StoreError> {
        let sql = "DELETE FROM api_key WHERE revoked_at IS NOT NULL OR expires_at <= ?1";
        Ok(self.durable().execute(sql, [millis(now)])?)
    }

    fn version(&self) -> Result<i64, StoreError> {
        // The trail, which this process writes all the time, has a connection of its own; so its
        // writes change the number too, and a caller reads the keys once more than it must.
        Ok(self
            .durable()
            .query_row("PRAGMA data_version", [], |row| row.get(0))?)
    }
}
