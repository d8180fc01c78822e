//! `[retention]`: what is older than so many days is taken out, while the broker runs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use medsynapse_broker::Clock;
use medsynapse_store::{PostgresStore, Purged, SqliteStore, StoreError};
use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether something has grown old.
const INTERVAL: Duration = Duration::from_hours(1);
/// Between two small transactions, so that messages that come in have the disk.
const PAUSE: Duration = Duration::from_millis(20);
/// Until it is looked again whether another server still purges, or has died meanwhile.
const ELSEWHERE: Duration = Duration::from_mins(1);

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

/// A store, as what it is.
#[derive(Clone)]
pub(crate) enum Kept {
    File(Arc<SqliteStore>),
    Shared(Arc<PostgresStore>),
}

impl Kept {
    /// Goes through everything, unless it is told to stop; `None` where another server does.
    fn purge(
        &self,
        before: DateTime<Utc>,
        stop: &CancellationToken,
    ) -> Result<Option<Purged>, StoreError> {
        let paused = |more: bool| {
            let goes_on = more && !stop.is_cancelled();
            if goes_on {
                std::thread::sleep(PAUSE);
            }
            goes_on
        };
        match self {
            Self::File(store) => {
                let mut purge = store.purge(before);
                while paused(purge.step()?) {}
                Ok(Some(purge.purged()))
            }
            Self::Shared(store) => {
                let Some(mut purge) = store.purge(before)? else {
                    return Ok(None);
                };
                loop {
                    match purge.step() {
                        Ok(more) if paused(more) => {}
                        // It stood still for so long that another one does it.
                        Ok(_) | Err(StoreError::LaneLost) => return Ok(Some(purge.purged())),
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }
}

/// Takes out what is older than `days`, at once and then every hour, until `stop`; without `days`
/// there is nothing to do. Of several servers one does it at a time.
pub(crate) fn start(
    kept: Kept,
    days: Option<u32>,
    clock: &Arc<dyn Clock>,
    stop: &CancellationToken,
) -> JoinHandle<()> {
    let (clock, stop) = (Arc::clone(clock), stop.clone());
    tokio::spawn(async move {
        let Some(days) = days else {
            return;
        };
        loop {
            let before = clock.now() - TimeDelta::days(i64::from(days));
            let (kept, stopping) = (kept.clone(), stop.clone());
            let purged = tokio::task::spawn_blocking(move || kept.purge(before, &stopping));
            let mut pause = INTERVAL;
            match purged.await {
                Ok(Ok(Some(purged))) => {
                    let (orders, messages) = (purged.orders, purged.messages);
                    let patients = purged.patients;
                    if orders + messages + patients > 0 {
                        tracing::info!(days, orders, messages, patients, "retention");
                    }
                }
                Ok(Ok(None)) => pause = ELSEWHERE,
                Ok(Err(error)) => {
                    tracing::error!(%error, "retention failed; it is tried again");
                    pause = ELSEWHERE;
                }
                Err(error) => tracing::error!(%error, "retention broke off"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    })
}
