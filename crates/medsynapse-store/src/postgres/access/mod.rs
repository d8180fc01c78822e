//! [`PostgresAccess`]: keys, trail and answers of all servers that share a database.
//!
//! With connections of its own: what waits for the lock of the log, or reads a long list, never
//! keeps a key from being looked up.

mod answers;
pub(super) mod copy;
mod keys;
mod secret;
mod trail;

use std::sync::Mutex;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use tokio::runtime::Runtime;

use super::connect::{Target, reader_session};
use super::{PostgresOptions, block, migrate};
use crate::error::StoreError;
use answers::Orphan;
use trail::Sent;

/// Connections for keys and answers.
const DURABLE_CONNECTIONS: usize = 3;
/// How long the database may take for whatever is asked of it here, waiting for a connection
/// included.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who holds the end of the trail and stands still loses it after the two seconds of every
/// session, and the others go on.
const SESSION: &str = "SET lock_timeout = '4s'; SET statement_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = '2s'";

pub(crate) struct PostgresAccess {
    /// For keys and answers.
    durable: Pool,
    /// One connection: entries go in one after the other.
    trail: Pool,
    /// Entries of which it is not known whether they are in the trail.
    sent: Mutex<Option<Sent>>,
    /// Requests of which it is not known whether they are down as begun.
    orphans: Mutex<Vec<Orphan>>,
    /// Ended in the background: connections close with it.
    runtime: Option<Runtime>,
    handle: tokio::runtime::Handle,
}

impl PostgresAccess {
    /// Opens a database, bringing it to this version where it is older or empty.
    pub(crate) fn open(options: &PostgresOptions) -> Result<Self, StoreError> {
        let found = Self::connect(options, async |target| {
            let mut client = target.connect_reader().await?;
            migrate::migrate(&mut client).await?;
            Ok(true)
        })?;
        found.ok_or_else(|| StoreError::Database("it has no tables".into()))
    }

    /// The one that is there already; changes nothing.
    pub(crate) fn open_existing(options: &PostgresOptions) -> Result<Option<Self>, StoreError> {
        Self::connect(options, async |target| {
            let client = target.connect_reader().await?;
            migrate::usable(&client).await?;
            migrate::version(&client).await?;
            let sql = "SELECT to_regclass('trail_secret') IS NOT NULL";
            Ok(client.query_one(sql, &[]).await?.try_get(0)?)
        })
    }

    fn connect(
        options: &PostgresOptions,
        there: impl AsyncFnOnce(&Target) -> Result<bool, StoreError>,
    ) -> Result<Option<Self>, StoreError> {
        let target = options.target()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("access")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Unreachable(format!("starting a runtime: {error}")))?;
        let handle = runtime.handle().clone();
        let opened = block::on(&handle, async {
            if !there(&target).await? {
                return Ok(None);
            }
            let durable = pool(&target, DURABLE_CONNECTIONS)?;
            Ok(Some((durable, pool(&target, 1)?)))
        });
        match opened {
            Ok(Some((durable, trail))) => Ok(Some(Self {
                durable,
                trail,
                sent: Mutex::default(),
                orphans: Mutex::default(),
                runtime: Some(runtime),
                handle,
            })),
            nothing => {
                runtime.shutdown_background();
                nothing.map(|_| None)
            }
        }
    }

    /// Asks something once, within [`PATIENCE`].
    fn once<T>(
        &self,
        pool: &Pool,
        question: impl AsyncFnOnce(&mut Object) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        block::on(&self.handle, in_time(lend(pool, question)))
    }

    /// Asks something that may be asked twice: a connection that broke off since it was used last
    /// is no reason to fail.
    fn ask<T>(
        &self,
        question: impl AsyncFn(&mut Object) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let asking = async {
            match lend(&self.durable, &question).await {
                Err(StoreError::Unreachable(_)) => lend(&self.durable, question).await,
                asked => asked,
            }
        };
        block::on(&self.handle, in_time(asking))
    }
}

impl Drop for PostgresAccess {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn in_time<T>(asking: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(asked) => asked,
        Err(_) => Err(StoreError::Unreachable(format!(
            "it did not answer within {} s",
            PATIENCE.as_secs()
        ))),
    }
}

/// A connection that goes back only when it has done what it was lent for: in the middle of
/// something it is of no use to others.
struct Lent(Option<Object>);

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

async fn lend<T>(
    pool: &Pool,
    question: impl AsyncFnOnce(&mut Object) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut lent = Lent(Some(pool.get().await?));
    let Some(client) = &mut lent.0 else {
        return Err(StoreError::Unreachable("no connection is there".into()));
    };
    let answer = question(client).await?;
    drop(lent.0.take());
    Ok(answer)
}

fn pool(target: &Target, connections: usize) -> Result<Pool, StoreError> {
    let settings = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(target.config.clone(), target.tls.clone(), settings);
    let session = format!("{}; {SESSION}", reader_session());
    Pool::builder(manager)
        .max_size(connections)
        .wait_timeout(Some(PATIENCE))
        .create_timeout(Some(PATIENCE))
        .recycle_timeout(Some(PATIENCE))
        .runtime(deadpool_postgres::Runtime::Tokio1)
        .post_create(Hook::async_fn(move |client, _| {
            let session = session.clone();
            Box::pin(async move {
                let begun = client.batch_execute(&session).await;
                begun.map_err(HookError::Backend)
            })
        }))
        .build()
        .map_err(|error| StoreError::Settings(error.to_string()))
}
