//! [`Trail`]: writes the audit trail beside the requests.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread::JoinHandle;

use medsynapse_store::{AccessStore, TrailEntry, TrailKey};
use tokio::sync::mpsc;

/// Most entries that wait; past it requests wait.
const WAITING_MAX: usize = 4_096;
/// Most entries in one transaction.
const TOGETHER_MAX: usize = 512;

/// Writes the audit trail, on a thread of its own: an entry is on its way to the disk some
/// milliseconds after the answer, and no answer waits for it.
#[derive(Clone)]
pub struct Trail {
    entries: mpsc::Sender<TrailEntry>,
    key: TrailKey,
    store: Arc<AccessStore>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail").finish_non_exhaustive()
    }
}

impl Trail {
    /// Writes to this store with this secret.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn start(store: Arc<AccessStore>, key: TrailKey) -> std::io::Result<Self> {
        let (entries, mut waiting) = mpsc::channel(WAITING_MAX);
        let (writer, secret) = (Arc::clone(&store), key.clone());
        let thread = std::thread::Builder::new()
            .name("trail".into())
            .spawn(move || {
                let mut batch = Vec::new();
                while waiting.blocking_recv_many(&mut batch, TOGETHER_MAX) > 0 {
                    if let Err(error) = writer.append(&secret, &batch) {
                        let lost = batch.len();
                        tracing::error!(%error, lost, "the audit trail cannot be written");
                    }
                    batch.clear();
                }
            })?;
        let thread = Arc::new(Mutex::new(Some(thread)));
        Ok(Self {
            entries,
            key,
            store,
            thread,
        })
    }

    /// Writes an entry down, waiting for room.
    pub async fn write(&self, entry: TrailEntry) {
        if self.entries.send(entry).await.is_err() {
            tracing::error!("the audit trail has ended");
        }
    }

    /// Writes an entry down if there is room, for those who cannot wait.
    pub fn try_write(&self, entry: TrailEntry) {
        if self.entries.try_send(entry).is_err() {
            tracing::error!("the audit trail is full: an entry was lost");
        }
    }

    /// What stands for a patient in the trail.
    pub fn patient(&self, id: &str) -> String {
        self.key.patient(id)
    }

    /// What is written, to read from.
    pub fn store(&self) -> &Arc<AccessStore> {
        &self.store
    }

    /// Gives the last clone up and returns when everything is written. Blocks.
    pub fn close(self) {
        let thread = self.thread;
        drop(self.entries);
        let handle = thread
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        if let Some(handle) = handle {
            // A writer that panicked has said so.
            let _ = handle.join();
        }
    }
}
