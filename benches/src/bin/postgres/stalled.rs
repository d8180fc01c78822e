//! Two brokers work while a third server stands still with the lock of the log in its hands; and
//! the same time with nothing that happens, to see what a database does by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use medsynapse_store::testing::Cluster;

use crate::around::{Around, SETTLED, WARM_UP};
use crate::brokers::{Answers, close, send, start};

/// How long it stands still: longer than it keeps its session.
const STILL: Duration = Duration::from_secs(6);

pub(crate) async fn run(url: &str, senders: usize, window: u64, still: bool) -> Result<Around> {
    let brokers = start(url, 2)?;
    let stop = Arc::<AtomicBool>::default();
    let mut set = send(&brokers, senders, &stop);
    tokio::time::sleep(WARM_UP).await;
    let begin = Instant::now();
    tokio::time::sleep(Duration::from_secs(window)).await;
    let moment = Instant::now();
    let url = url.to_owned();
    let holding =
        still.then(|| tokio::task::spawn_blocking(move || Cluster::hold_log(&url, STILL)));
    tokio::time::sleep(Duration::from_secs(SETTLED + window)).await;
    stop.store(true, Ordering::Relaxed);
    let mut answers = Answers::new();
    while let Some(some) = set.join_next().await {
        answers.extend(some?);
    }
    if let Some(holding) = holding {
        holding.await?.context("holding the lock")?;
    }
    close(brokers).await?;
    Ok(Around::of(&answers, begin, moment, window))
}
