//! [`Listener`]: what other servers say they have written.
//!
//! A hint alone: PostgreSQL tells nobody who is not there. So whoever hears nothing for a while
//! looks into the log all the same.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio_postgres::AsyncMessage;
use tokio_util::sync::CancellationToken;

use super::connect::Target;
use super::error::plain;
use super::events::last_of;
use crate::error::StoreError;
use crate::shared::Heard;

/// Between two tries to connect.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is seen whether the other end is still there.
const PULSE: Duration = Duration::from_secs(5);

/// What was heard, for those who wait.
#[derive(Debug, Default)]
pub(super) struct Board {
    heard: Mutex<Heard>,
    changed: Condvar,
}

impl Board {
    fn note(&self, queued: bool, commands: bool, last_event: i64) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.count = heard.count.wrapping_add(1);
        heard.queued = heard.queued.wrapping_add(u64::from(queued));
        heard.commands = heard.commands.wrapping_add(u64::from(commands));
        heard.last_event = heard.last_event.max(last_event);
        drop(heard);
        self.changed.notify_all();
    }

    pub(super) fn wait(&self, seen: Heard, patience: Duration) -> Heard {
        let until = Instant::now() + patience;
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        while heard.count == seen.count {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            heard = self
                .changed
                .wait_timeout(heard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        *heard
    }
}

/// Listens until it is told to stop.
pub(super) async fn listen(target: Target, board: Arc<Board>, stop: CancellationToken) {
    loop {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = session(&target, &board) => ended,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "nothing is heard of other servers; it is tried again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn session(target: &Target, board: &Board) -> Result<(), StoreError> {
    let (client, mut connection) = target.config.connect(target.tls.clone()).await?;
    let hear = std::future::poll_fn(|context| {
        loop {
            match connection.poll_message(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(AsyncMessage::Notification(told)))) => {
                    let mut words = told.payload().split(' ');
                    let entry = words.next().and_then(|word| word.parse().ok());
                    let flags = words.next().unwrap_or("qc");
                    let last = entry.map_or(0, last_of);
                    board.note(flags.contains('q'), flags.contains('c'), last);
                }
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(StoreError::Unreachable(plain(&error))));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(())),
            }
        }
    });
    let ask = async {
        let name: String = client
            .query_one(
                "SELECT 'medsynapse_' || current_schema()::regnamespace::oid",
                &[],
            )
            .await?
            .try_get(0)?;
        client.batch_execute(&format!("LISTEN \"{name}\"")).await?;
        // What was said before is not heard: everybody looks for himself once.
        board.note(true, true, 0);
        loop {
            tokio::time::sleep(PULSE).await;
            let alive = client.batch_execute("SELECT 1");
            if tokio::time::timeout(PULSE, alive).await.is_err() {
                return Err(StoreError::Unreachable("no answer came in time".into()));
            }
        }
    };
    tokio::select! {
        ended = hear => ended,
        ended = ask => ended,
    }
}
