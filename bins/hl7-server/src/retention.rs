//! `[retention]`: what is older than so many days is taken out, while the broker runs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use chrono::TimeDelta;
use medsynapse_broker::Clock;
use medsynapse_store::{SqliteStore, StoreError};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether something has grown old.
const INTERVAL: Duration = Duration::from_hours(1);
/// Between two small transactions, so that messages that come in have the disk.
const PAUSE: Duration = Duration::from_millis(20);

/// The section of the configuration file.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RetentionSection {
    days: Option<u32>,
}

impl RetentionSection {
    /// For how many days everything is kept; `None`: for ever.
    ///
    /// # Errors
    ///
    /// No time at all.
    pub(crate) fn days(self) -> Result<Option<u32>> {
        if self.days == Some(0) {
            bail!("retention.days: 0 would keep nothing; give at least 1, or leave it out");
        }
        Ok(self.days)
    }
}

/// Takes out what is older than `days`, at once and then every hour, until `stop`; without `days`
/// there is nothing to do.
pub(crate) fn start(
    store: Option<Arc<SqliteStore>>,
    days: Option<u32>,
    clock: &Arc<dyn Clock>,
    stop: &CancellationToken,
) -> JoinHandle<()> {
    let (clock, stop) = (Arc::clone(clock), stop.clone());
    tokio::spawn(async move {
        let Some((days, store)) = days.zip(store) else {
            return;
        };
        loop {
            let before = clock.now() - TimeDelta::days(i64::from(days));
            let (store, stopping) = (Arc::clone(&store), stop.clone());
            let purged = tokio::task::spawn_blocking(move || {
                let mut purge = store.purge(before);
                while purge.step()? && !stopping.is_cancelled() {
                    std::thread::sleep(PAUSE);
                }
                Ok::<_, StoreError>(purge.purged())
            });
            match purged.await {
                Ok(Ok(purged)) => {
                    let (orders, messages) = (purged.orders, purged.messages);
                    let patients = purged.patients;
                    if orders + messages + patients > 0 {
                        tracing::info!(days, orders, messages, patients, "retention");
                    }
                }
                Ok(Err(error)) => tracing::error!(%error, "retention failed; it is tried again"),
                Err(error) => tracing::error!(%error, "retention broke off"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    })
}
