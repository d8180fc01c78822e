//! Brings a database to this version, one server at a time.

use std::time::Duration;

use refinery::Runner;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::sql::{LOCK, MIGRATION_LOCK};
use crate::error::StoreError;

/// For how many hundredths of a second a step waits for a table, at first and at last. Servers go
/// on meanwhile: whoever waits for a table makes all others wait that come after, and one of two
/// that wait for each other is refused after a second. So a step does not wait that long, and is
/// rather tried again.
const FIRST_WAIT: u32 = 20;
const LAST_WAIT: u32 = 90;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(300);

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
    migration_lock(client).await?;
    let done = match version(client).await {
        Ok(last) if last == newest() => Ok(()),
        Ok(_) => steps(client, &embedded::migrations::runner()).await,
        Err(error) => Err(error),
    };
    migration_unlock(client).await?;
    done
}

/// The lock of the session: migrations have transactions of their own.
async fn migration_lock(client: &Client) -> Result<(), StoreError> {
    let lock = format!(
        "SET lock_timeout = '60s'; SET statement_timeout = 0; \
         SELECT pg_advisory_lock({MIGRATION_LOCK})"
    );
    Ok(client.batch_execute(&lock).await?)
}

async fn migration_unlock(client: &Client) -> Result<(), StoreError> {
    let unlock = format!("SELECT pg_advisory_unlock({MIGRATION_LOCK})");
    Ok(client.batch_execute(&unlock).await?)
}

/// Makes what steps there are to make.
async fn steps(client: &mut Client, runner: &Runner) -> Result<(), StoreError> {
    for wait in FIRST_WAIT..LAST_WAIT {
        match once(client, runner, wait).await {
            Err(Refusal { busy: true, .. }) => tokio::time::sleep(PAUSE).await,
            done => return done.map_err(|refusal| refusal.error),
        }
    }
    let last = once(client, runner, LAST_WAIT).await;
    last.map_err(|refusal| match refusal {
        Refusal { error, busy: false } => error,
        Refusal { error, .. } => refused(format!(
            "somebody keeps a table that has to be changed, pg_dump perhaps; look at \
             pg_stat_activity, and start again when it is done ({error})"
        )),
    })
}

/// What keeps a database from being brought along, and whether that may pass.
struct Refusal {
    error: StoreError,
    busy: bool,
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        Self {
            busy: is_busy(&error),
            error: error.into(),
        }
    }
}

/// Tables that another session has, or a knot of sessions that wait for each other.
fn is_busy(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let known = error.downcast_ref::<tokio_postgres::Error>();
        if let Some(code) = known.and_then(tokio_postgres::Error::code) {
            return [
                SqlState::LOCK_NOT_AVAILABLE,
                SqlState::T_R_DEADLOCK_DETECTED,
            ]
            .contains(code);
        }
        cause = error.source();
    }
    false
}

/// Tries once. No server writes meanwhile: it would hold some tables and wait for others.
async fn once(client: &mut Client, runner: &Runner, wait: u32) -> Result<(), Refusal> {
    let (lock, unlock) = (
        LOCK.replace("advisory_xact_lock", "advisory_lock"),
        LOCK.replace("advisory_xact_lock", "advisory_unlock"),
    );
    client
        .batch_execute(&format!(
            "SET lock_timeout = '10s'; SELECT {lock}; SET lock_timeout = '{wait}0ms'"
        ))
        .await?;
    let done = runner.run_async(client).await;
    client.batch_execute(&format!("SELECT {unlock}")).await?;
    let report = done.map_err(|error| Refusal {
        busy: is_busy(&error),
        error: refused(super::error::plain(&error)),
    })?;
    for migration in report.applied_migrations() {
        tracing::info!(%migration, "database brought to a new version");
    }
    Ok(())
}

/// A step that a later version of this program may have.
#[cfg(feature = "testing")]
pub(super) async fn migrate_later(
    client: &mut Client,
    name: &str,
    sql: &str,
) -> Result<(), StoreError> {
    let mut known = embedded::migrations::runner().get_migrations().clone();
    let later = refinery::Migration::unapplied(name, sql);
    let later = later.map_err(|error| refused(super::error::plain(&error)))?;
    known.push(later);
    // Others may have been made before it.
    let runner = Runner::new(&known).set_abort_missing(false);
    migration_lock(client).await?;
    let done = steps(client, &runner).await;
    migration_unlock(client).await?;
    done
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Servers go on while a step is made. One that has a table and waits for another may wait for
    /// a reader that waits for the first: so a step is about one table, or about new ones.
    #[test]
    fn a_step_changes_one_table_that_others_use() {
        for step in embedded::migrations::runner().get_migrations() {
            if step.version() == 1 {
                continue;
            }
            let text = step.sql().unwrap_or_default();
            let lines = text
                .lines()
                .map(|line| line.split("--").next().unwrap_or_default());
            let text = lines.collect::<Vec<_>>().join(" ").to_uppercase();
            let words: Vec<&str> = text
                .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .filter(|word| !word.is_empty())
                .collect();
            let after = |first: &'static str, second: &'static str| {
                let found = words
                    .windows(3)
                    .filter(move |w| w[0] == first && w[1] == second);
                found.map(|words| words[2]).collect::<BTreeSet<_>>()
            };
            let made = after("CREATE", "TABLE");
            let mut changed = after("ALTER", "TABLE");
            changed.extend(after("DROP", "TABLE"));
            for index in ["CREATE INDEX", "CREATE UNIQUE INDEX"] {
                for place in text.split(index).skip(1) {
                    let on = place.split(" ON ").nth(1).unwrap_or_default();
                    changed.extend(on.split([' ', '(']).next());
                }
            }
            let changed: Vec<_> = changed.difference(&made).collect();
            assert!(changed.len() <= 1, "{step}: {changed:?}");
        }
    }
}
