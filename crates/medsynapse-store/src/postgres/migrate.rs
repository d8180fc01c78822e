//! Brings a database to this version, one server at a time.

use tokio_postgres::Client;

use super::sql::MIGRATION_LOCK;
use crate::error::StoreError;

mod embedded {
    #![allow(clippy::pedantic, missing_docs, reason = "written by a macro")]
    refinery::embed_migrations!("migrations/postgres");
}

/// What is wrong with the version of a database.
fn refused(text: impl Into<String>) -> StoreError {
    StoreError::Migration(text.into())
}

/// The last step that this program knows.
fn newest() -> i32 {
    let runner = embedded::migrations::runner();
    let steps = runner.get_migrations().iter();
    steps.map(refinery::Migration::version).max().unwrap_or(0)
}

/// The last step that a database has made; 0 for an empty one.
///
/// # Errors
///
/// It was made by a later version of this program, or cannot be read.
pub(super) async fn version(client: &Client) -> Result<i32, StoreError> {
    let exists = client
        .query_one(
            "SELECT to_regclass('refinery_schema_history') IS NOT NULL",
            &[],
        )
        .await?;
    if !exists.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let last = client
        .query_one(
            "SELECT coalesce(max(version), 0) FROM refinery_schema_history",
            &[],
        )
        .await?;
    let last: i32 = last.try_get(0)?;
    if last > newest() {
        return Err(refused(format!(
            "it is of version {last}, and this program knows versions up to {}: a later program \
             has brought it along; start that one",
            newest()
        )));
    }
    Ok(last)
}

/// Whether a database is of this version, for who only reads.
pub(super) async fn current(client: &Client) -> Result<(), StoreError> {
    match version(client).await? {
        0 => Err(refused("it is empty: no server has used it")),
        known if known < newest() => Err(refused(
            "it is of an older version; start the server on it, or on a copy, once",
        )),
        _ => Ok(()),
    }
}

/// Whether a database can be used: its encoding, and that it can be written.
pub(super) async fn usable(client: &Client) -> Result<(), StoreError> {
    let row = client
        .query_one(
            "SELECT current_setting('server_encoding'), pg_is_in_recovery(), \
             current_setting('server_version_num')::int, current_schema() IS NOT NULL",
            &[],
        )
        .await?;
    let encoding: String = row.try_get(0)?;
    if encoding != "UTF8" {
        return Err(StoreError::Settings(format!(
            "the database is encoded in {encoding}; make one with ENCODING 'UTF8'"
        )));
    }
    if row.try_get::<_, bool>(1)? {
        return Err(StoreError::Unreachable(
            "this PostgreSQL is a standby and cannot be written".into(),
        ));
    }
    let version: i32 = row.try_get(2)?;
    if version < 130_000 {
        return Err(StoreError::Settings(format!(
            "PostgreSQL {} is too old; 13 is the first that works",
            version / 10_000
        )));
    }
    if !row.try_get::<_, bool>(3)? {
        return Err(StoreError::Settings(
            "the search_path of the user names no schema that is there".into(),
        ));
    }
    Ok(())
}

/// Brings a database to this version. Others who start wait until it is done.
pub(super) async fn migrate(client: &mut Client) -> Result<(), StoreError> {
    usable(client).await?;
    // The lock of the session: migrations have transactions of their own.
    client
        .batch_execute(&format!(
            "SET lock_timeout = '60s'; SET statement_timeout = 0; \
             SELECT pg_advisory_lock({MIGRATION_LOCK})"
        ))
        .await?;
    let done = under_lock(client).await;
    client
        .batch_execute(&format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})"))
        .await?;
    done
}

async fn under_lock(client: &mut Client) -> Result<(), StoreError> {
    if version(client).await? == newest() {
        return Ok(());
    }
    let report = embedded::migrations::runner()
        .run_async(client)
        .await
        .map_err(|error| refused(super::error::plain(&error)))?;
    for migration in report.applied_migrations() {
        tracing::info!(%migration, "database brought to a new version");
    }
    Ok(())
}
