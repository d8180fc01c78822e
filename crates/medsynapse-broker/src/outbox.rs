//! [`Outbox`]: a lane for each destination, which sends what waits for it, in order.

mod lane;
mod lease;
mod source;

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hl7_mllp::client::Dial;
use hl7_mllp::{ClientConfig, RetryPolicy};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use lane::Lane;
pub use source::{LaneSource, Pulse, Taken};

/// How a destination is reached.
#[derive(Debug, Clone)]
pub struct LaneConfig {
    /// The name of the destination, by which its queue is found.
    pub destination: String,
    /// Every size and every wait of the connection.
    pub client: ClientConfig,
    /// When the same message is sent again. It never gives up: `attempts_max` does not count.
    pub retry: RetryPolicy,
    /// After how many failures in a row an alarm is raised.
    pub alarm_after: u32,
    /// How long the exchange in hand may take when the lane is stopped.
    pub drain: Duration,
    /// Where the jitter of the waits begins.
    pub seed: u64,
}

impl LaneConfig {
    /// The waits of the specification: from 1 s to 5 min between tries, an alarm after 5.
    pub fn new(destination: impl Into<String>) -> Self {
        Self {
            destination: destination.into(),
            client: ClientConfig::default(),
            retry: RetryPolicy {
                first: Duration::from_secs(1),
                cap: Duration::from_mins(5),
                attempts_max: None,
            },
            alarm_after: 5,
            drain: Duration::from_secs(3),
            seed: 0,
        }
    }
}

/// What a lane is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneStatus {
    /// The name of the destination.
    pub destination: String,
    /// What it does.
    pub phase: LanePhase,
    /// How many tries failed in a row.
    pub failures: u32,
    /// The name of the last failure, until an answer comes.
    pub last_failure: Option<String>,
    /// Whether so many failed that somebody should look.
    pub alarm: bool,
}

/// What a lane does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LanePhase {
    /// Nothing waits.
    Idle,
    /// A message is on its way.
    Sending {
        /// Which one.
        message_id: i64,
    },
    /// The last try failed.
    Waiting {
        /// Which message is tried again.
        message_id: i64,
        /// When.
        until: DateTime<Utc>,
    },
    /// The store does not answer.
    Blocked,
    /// Another server sends to this destination.
    Elsewhere,
    /// It has ended.
    Stopped,
}

impl LanePhase {
    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Sending { .. } => "sending",
            Self::Waiting { .. } => "waiting",
            Self::Blocked => "blocked",
            Self::Elsewhere => "elsewhere",
            Self::Stopped => "stopped",
        }
    }
}

/// What the lanes of a broker are doing, for others to look at. Empty by default.
#[derive(Debug, Clone, Default)]
pub struct Lanes(Vec<watch::Receiver<LaneStatus>>);

impl Lanes {
    /// What each lane is doing.
    pub fn status(&self) -> Vec<LaneStatus> {
        self.0.iter().map(|lane| lane.borrow().clone()).collect()
    }

    /// Waits until one of them does something else; for ever, where there is none left.
    pub async fn changed(&mut self) {
        self.0.retain(|lane| lane.has_changed().is_ok());
        let changes = self.0.iter_mut().map(|lane| Box::pin(lane.changed()));
        let mut changes: Vec<_> = changes.collect();
        std::future::poll_fn(|context| {
            let mut ready = changes
                .iter_mut()
                .map(|change| change.as_mut().poll(context));
            if ready.any(|poll| poll.is_ready()) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// The lanes of a broker.
#[derive(Debug, Default)]
pub struct Outbox {
    lanes: Vec<(watch::Receiver<LaneStatus>, JoinHandle<()>)>,
}

impl Outbox {
    /// No lanes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a lane, until `stop` is cancelled: it ends its exchange in hand then.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start<S, D>(
        &mut self,
        source: Arc<S>,
        dialer: D,
        config: LaneConfig,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) where
        S: LaneSource,
        D: Dial + 'static,
        D::Io: 'static,
    {
        let (lane, status) = Lane::new(source, dialer, config, clock, stop);
        self.lanes.push((status, tokio::spawn(lane.run())));
    }

    /// What each lane is doing.
    pub fn status(&self) -> Vec<LaneStatus> {
        let lanes = self.lanes.iter();
        lanes.map(|(status, _)| status.borrow().clone()).collect()
    }

    /// The same, for others to look at.
    pub fn lanes(&self) -> Lanes {
        Lanes(self.watch())
    }

    /// The same, one by one, to wait on.
    pub fn watch(&self) -> Vec<watch::Receiver<LaneStatus>> {
        self.lanes
            .iter()
            .map(|(status, _)| status.clone())
            .collect()
    }

    /// Waits until every lane has ended; cancel their token first.
    pub async fn ended(self) {
        for (_, lane) in self.lanes {
            if lane.await.is_err() {
                tracing::error!("a lane of the outbox panicked");
            }
        }
    }
}
