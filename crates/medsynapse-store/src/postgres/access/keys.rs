//! API keys of all servers.

use chrono::{DateTime, Utc};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::PostgresAccess;
use crate::access::{KeyRecord, Keyring, millis, moment};
use crate::error::StoreError;
use crate::postgres::messages::rows;
use crate::postgres::rows::get;

const COLUMNS: &str = "id, name, digest, scopes, created_at, expires_at, revoked_at";

fn record(row: &Row) -> Result<KeyRecord, StoreError> {
    let digest: Vec<u8> = get(row, 2)?;
    let wrong = |_| StoreError::Database("the digest of a key has another length".into());
    Ok(KeyRecord {
        id: get(row, 0)?,
        name: get(row, 1)?,
        digest: digest.try_into().map_err(wrong)?,
        scopes: get(row, 3)?,
        created_at: moment(get(row, 4)?),
        expires_at: get::<Option<i64>>(row, 5)?.map(moment),
        revoked_at: get::<Option<i64>>(row, 6)?.map(moment),
    })
}

/// Writes a key.
pub(super) async fn insert(
    client: &impl GenericClient,
    key: &KeyRecord,
    more: &str,
) -> Result<(), StoreError> {
    let sql = format!("INSERT INTO api_keys ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7){more}");
    let statement = client.prepare_cached(&sql).await?;
    let (expires, revoked) = (key.expires_at.map(millis), key.revoked_at.map(millis));
    let values: [&(dyn ToSql + Sync); 7] = [
        &key.id,
        &key.name,
        &key.digest.as_slice(),
        &key.scopes,
        &millis(key.created_at),
        &expires,
        &revoked,
    ];
    client.execute(&statement, &values).await?;
    Ok(())
}

/// All keys, in the order in which they were made.
pub(super) async fn all(client: &impl GenericClient) -> Result<Vec<KeyRecord>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM api_keys ORDER BY created_at, id");
    let rows = rows(client, &sql, &[]).await?;
    rows.iter().map(record).collect()
}

impl Keyring for PostgresAccess {
    fn add_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
        self.once(&self.durable, async |client| {
            insert(&*client, key, "").await
        })
    }

    fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.ask(async |client| all(&*client).await)
    }

    fn revoke_key(&self, id: &str, at: DateTime<Utc>) -> Result<bool, StoreError> {
        let sql = "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL \
            RETURNING id";
        self.once(&self.durable, async |client| {
            Ok(!rows(&*client, sql, &[&id, &millis(at)]).await?.is_empty())
        })
    }

    fn purge_keys(&self, now: DateTime<Utc>) -> Result<usize, StoreError> {
        let sql = "DELETE FROM api_keys WHERE revoked_at IS NOT NULL OR expires_at <= $1 \
            RETURNING id";
        self.once(&self.durable, async |client| {
            Ok(rows(&*client, sql, &[&millis(now)]).await?.len())
        })
    }

    fn version(&self) -> Result<i64, StoreError> {
        self.forget_orphans()?;
        let sql = "SELECT version FROM api_keys_version";
        self.ask(async |client| {
            let rows = rows(&*client, sql, &[]).await?;
            rows.first().map_or(Ok(0), |row| get(row, 0))
        })
    }
}
