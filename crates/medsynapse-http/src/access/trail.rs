//! [`Trail`]: writes the audit trail beside the requests.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use medsynapse_store::{AccessStore, StoreError, TrailEntry, TrailKey};
use tokio::sync::mpsc;

/// Most entries that wait; past it requests wait.
const WAITING_MAX: usize = 4_096;
/// Most entries in one transaction.
const TOGETHER_MAX: usize = 512;

/// How long a request waits for room.
const ROOM_WAIT: Duration = Duration::from_secs(5);
/// From one try to write to the next, while the store is away.
const AGAIN: Duration = Duration::from_millis(500);

/// Writes the audit trail, on a thread of its own: an entry is on its way to the disk some
/// milliseconds after the answer, and no answer waits for it.
///
/// While the store is away entries wait, as many as there is room for. Requests do not wait for
/// room then: what finds none is lost, and an entry behind the others says how many were.
#[derive(Clone)]
pub struct Trail {
    entries: mpsc::Sender<TrailEntry>,
    gap: Arc<Gap>,
    key: TrailKey,
    store: Arc<AccessStore>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// What is missing in the trail.
#[derive(Debug, Default)]
struct Gap {
    /// Whether the store is away.
    away: AtomicBool,
    lost: AtomicU64,
    /// Whether the server goes down.
    ending: AtomicBool,
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
        let (entries, waiting) = mpsc::channel(WAITING_MAX);
        let gap = Arc::<Gap>::default();
        let mut writer = Writer {
            store: Arc::clone(&store),
            key: key.clone(),
            gap: Arc::clone(&gap),
            waiting,
        };
        let thread = std::thread::Builder::new()
            .name("trail".into())
            .spawn(move || writer.run())?;
        let thread = Arc::new(Mutex::new(Some(thread)));
        Ok(Self {
            entries,
            gap,
            key,
            store,
            thread,
        })
    }

    /// Writes an entry down, waiting for room unless the store is away.
    pub async fn write(&self, entry: TrailEntry) {
        if self.gap.away.load(Ordering::Relaxed) {
            return self.try_write(entry);
        }
        match tokio::time::timeout(ROOM_WAIT, self.entries.reserve()).await {
            Ok(Ok(place)) => place.send(entry),
            Ok(Err(_)) => tracing::error!("the audit trail has ended"),
            Err(_) => self.lose(),
        }
    }

    /// Writes an entry down if there is room, for those who cannot wait.
    pub fn try_write(&self, entry: TrailEntry) {
        if self.entries.try_send(entry).is_err() {
            self.lose();
        }
    }

    fn lose(&self) {
        if self.gap.lost.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!("the audit trail is full: entries are lost");
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

    /// Gives the last clone up and returns when everything is written, or cannot be. Blocks.
    pub fn close(self) {
        let thread = self.thread;
        self.gap.ending.store(true, Ordering::Relaxed);
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

/// The thread.
struct Writer {
    store: Arc<AccessStore>,
    key: TrailKey,
    gap: Arc<Gap>,
    waiting: mpsc::Receiver<TrailEntry>,
}

impl Writer {
    fn run(&mut self) {
        let mut batch = Vec::new();
        while self.waiting.blocking_recv_many(&mut batch, TOGETHER_MAX) > 0 {
            self.append(&batch);
            let end = batch.last().map(|entry| entry.at);
            batch.clear();
            let lost = self.gap.lost.swap(0, Ordering::Relaxed);
            if let (1.., Some(at)) = (lost, end) {
                self.append(&[TrailEntry {
                    at,
                    who: "server".into(),
                    peer: String::new(),
                    action: "(entries lost)".into(),
                    target: lost.to_string(),
                    patient: None,
                    outcome: 0,
                }]);
            }
        }
    }

    /// Appends entries, again and again while the store is away.
    fn append(&self, entries: &[TrailEntry]) {
        loop {
            let error = match self.store.append(&self.key, entries) {
                Ok(()) => {
                    if self.gap.away.swap(false, Ordering::Relaxed) {
                        tracing::info!("the audit trail is written again");
                    }
                    return;
                }
                Err(error) => error,
            };
            let comes_back = matches!(
                error,
                StoreError::Unreachable(_) | StoreError::Unknown(_) | StoreError::Full
            );
            // Nobody holds the server up as it goes down.
            if !comes_back || self.gap.ending.load(Ordering::Relaxed) {
                let lost = entries.len();
                tracing::error!(%error, lost, "the audit trail cannot be written");
                return;
            }
            if !self.gap.away.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, "the audit trail cannot be written now: entries wait");
            }
            std::thread::sleep(AGAIN);
        }
    }
}
