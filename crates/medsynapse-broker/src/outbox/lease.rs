//! [`Lease`]: whether a lane is this server's to send through, where several servers have one
//! store.
//!
//! A lane is taken for ten seconds and kept every three. Who cannot keep it for so long must think
//! that another has it, and sends nothing more; who was stopped for a while sees it before the next
//! message goes out, since the clock went on. What a lost owner still says of a delivery is refused
//! by the store, by the fence.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::source::{LaneSource, Taken};

/// For how long a lane is taken.
pub(super) const LIFE: Duration = Duration::from_secs(10);
/// How often it is kept.
const KEEP: Duration = Duration::from_secs(3);
/// How often one who does not have it tries to take it, and one who could not be answered asks
/// again.
const TRY: Duration = Duration::from_secs(2);

/// What this server has of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Nobody else is there.
    Alone,
    /// It, with this fence, until a moment at least.
    Until(i64, Instant),
    /// Nothing: another has it, or perhaps has it.
    Nothing,
}

/// Under what a message goes out: the fence, where there are several servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass(pub(super) Option<i64>);

/// A lane's lease, kept by a task of its own while the lane sends and waits.
#[derive(Debug)]
pub(super) struct Lease {
    hold: Arc<watch::Sender<Hold>>,
    keeper: Option<JoinHandle<()>>,
}

impl Lease {
    /// Takes the lane, or goes on trying.
    pub(super) async fn begin<S: LaneSource>(source: &Arc<S>, destination: &str) -> Self {
        let (hold, _) = watch::channel(Hold::Nothing);
        let hold = Arc::new(hold);
        let began = Instant::now();
        let keeper = match source.take(destination, LIFE).await {
            Ok(Taken::Alone) => {
                hold.send_replace(Hold::Alone);
                None
            }
            taken => {
                if let Ok(Taken::Fence(fence)) = taken {
                    hold.send_replace(Hold::Until(fence, began + LIFE));
                }
                let (source, destination) = (Arc::clone(source), destination.to_owned());
                Some(tokio::spawn(keep(source, destination, Arc::clone(&hold))))
            }
        };
        Self { hold, keeper }
    }

    /// What is sent under at this moment; `None` where nothing may be sent.
    pub(super) fn pass(&self) -> Option<Pass> {
        match *self.hold.borrow() {
            Hold::Alone => Some(Pass(None)),
            Hold::Until(fence, until) if Instant::now() < until => Some(Pass(Some(fence))),
            Hold::Until(..) | Hold::Nothing => None,
        }
    }

    /// Waits until the lane may be this server's.
    pub(super) async fn held(&self) {
        let mut hold = self.hold.subscribe();
        // The sender is here.
        let _ = hold
            .wait_for(|hold| match *hold {
                Hold::Alone => true,
                Hold::Until(_, until) => Instant::now() < until,
                Hold::Nothing => false,
            })
            .await;
    }

    /// Waits until the lane of this fence is not this server's any more; for ever, where nobody
    /// else is there.
    pub(super) async fn lost(&self, pass: Pass) {
        let Some(mine) = pass.0 else {
            return std::future::pending().await;
        };
        let mut hold = self.hold.subscribe();
        loop {
            let until = match *hold.borrow_and_update() {
                Hold::Until(fence, until) if fence == mine => until,
                _ => return,
            };
            tokio::select! {
                _ = hold.changed() => {}
                () = tokio::time::sleep_until(until) => return,
            }
        }
    }

    /// The store says that another has it.
    pub(super) fn lose(&self, pass: Pass) {
        self.hold.send_if_modified(|hold| match *hold {
            Hold::Until(mine, _) if Some(mine) == pass.0 => {
                *hold = Hold::Nothing;
                true
            }
            _ => false,
        });
    }

    /// Gives the lane back.
    pub(super) async fn end<S: LaneSource>(self, source: &S, destination: &str) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
        let hold = *self.hold.borrow();
        if let Hold::Until(fence, _) = hold
            && let Err(error) = source.give(destination, fence).await
        {
            tracing::debug!(%destination, %error, "the lane is given back by its time alone");
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
    }
}

/// Keeps the lane, or tries to take it, for ever.
async fn keep<S: LaneSource>(source: Arc<S>, destination: String, hold: Arc<watch::Sender<Hold>>) {
    loop {
        let now = *hold.borrow();
        let wait = if matches!(now, Hold::Until(..)) {
            KEEP
        } else {
            TRY
        };
        tokio::time::sleep(wait).await;
        // The life begins before the question is asked: PostgreSQL gives it from then on at the
        // earliest.
        let began = Instant::now();
        let now = *hold.borrow();
        let next = match now {
            Hold::Alone => return,
            Hold::Until(fence, until) => match source.keep(&destination, fence, LIFE).await {
                Ok(true) => Hold::Until(fence, began + LIFE),
                Err(_) if Instant::now() < until => now,
                Ok(false) | Err(_) => Hold::Nothing,
            },
            Hold::Nothing => match source.take(&destination, LIFE).await {
                Ok(Taken::Alone) => Hold::Alone,
                Ok(Taken::Fence(fence)) => {
                    tracing::info!(%destination, fence, "this server sends to the destination now");
                    Hold::Until(fence, began + LIFE)
                }
                Ok(Taken::Elsewhere) | Err(_) => Hold::Nothing,
            },
        };
        hold.send_if_modified(|hold| {
            // What the lane has seen meanwhile is newer.
            let same = *hold == now;
            if same {
                *hold = next;
            }
            same && now != next
        });
    }
}
