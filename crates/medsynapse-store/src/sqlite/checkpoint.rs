//! Moves the write-ahead log into the database, off the writer's thread.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::StoreError;

/// How often the log is looked at.
const INTERVAL: Duration = Duration::from_millis(250);
/// From how many pages on it is moved while messages come in.
const PAGES: i64 = 1_000;
/// After how many quiet looks the file is cut to nothing.
const QUIET_ROUNDS: u32 = 20;

/// A thread that checkpoints, as long as this value lives.
#[derive(Debug)]
pub(super) struct Checkpointer {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || {
                let mut state = State {
                    connection,
                    last: 0,
                    quiet: 0,
                };
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(INTERVAL) {
                    state.round();
                }
                state.checkpoint("TRUNCATE");
            })
            .map_err(|error| StoreError::Database(format!("no checkpoint thread: {error}")))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has nothing left to save: the log is replayed when it is opened.
            let _ = thread.join();
        }
    }
}

struct State {
    connection: Connection,
    last: i64,
    quiet: u32,
}

impl State {
    fn round(&mut self) {
        // "NOOP" reports the size of the log without moving anything.
        let Some(pages) = self.checkpoint("NOOP") else {
            return;
        };
        if pages == self.last {
            self.quiet += 1;
            if self.quiet == QUIET_ROUNDS && pages > 0 {
                self.last = self.checkpoint("TRUNCATE").unwrap_or(pages);
            }
            return;
        }
        self.quiet = 0;
        self.last = pages;
        if pages >= PAGES {
            self.checkpoint("PASSIVE");
        }
    }

    /// Pages in the log afterwards.
    fn checkpoint(&self, mode: &str) -> Option<i64> {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        match self
            .connection
            .query_row(&sql, [], |row| row.get::<_, i64>(1))
        {
            Ok(pages) => Some(pages),
            Err(error) => {
                // Nothing is lost: the log keeps what is not moved.
                tracing::warn!(%error, mode, "checkpoint failed; it is tried again");
                None
            }
        }
    }
}
