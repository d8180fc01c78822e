//! The way into the store: a bounded queue, and a thread that commits whatever work waits in it.
//!
//! There is no timer: the commit in progress is the window in which the next batch gathers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use medsynapse_store::{Done, Store, StoreError, Work};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::meters::Meters;

/// Most messages in one commit.
const BATCH_MESSAGES_MAX: usize = 256;
/// From how many bytes on a commit takes no further message.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Most messages that wait.
const QUEUE_MESSAGES_MAX: usize = 1_024;
/// Most bytes that wait, in units of 1 KiB.
const QUEUE_KIB_MAX: usize = 64 << 10;

/// What became of a piece of work.
pub(crate) type Outcome = Result<Done, StoreError>;

struct Job {
    work: Work,
    queued: Instant,
    answer: oneshot::Sender<Outcome>,
    /// Given back when the job is done.
    room: OwnedSemaphorePermit,
}

enum Entry {
    Job(Job),
    /// What waits behind this is still done; nothing more is taken.
    Close,
}

/// The messages that have no answer yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// How many wait for a commit, those in the commit that is under way not counted.
    pub messages: usize,
    /// How long the oldest one has waited; zero where none does.
    pub oldest: Duration,
}

/// Since when the batch in hand waits: microseconds after `start`, 0 for no batch.
#[derive(Debug)]
struct InHand {
    start: Instant,
    since: AtomicU64,
}

impl InHand {
    fn begin(&self, oldest: Instant) {
        let since = oldest.saturating_duration_since(self.start).as_micros();
        // The first microsecond is as good as none.
        let since = u64::try_from(since).unwrap_or(u64::MAX).max(1);
        self.since.store(since, Ordering::Relaxed);
    }

    fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    fn age(&self) -> Duration {
        match self.since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => self
                .start
                .elapsed()
                .saturating_sub(Duration::from_micros(since)),
        }
    }
}

/// The queue and its thread.
#[derive(Debug)]
pub(crate) struct Intake {
    jobs: mpsc::Sender<Entry>,
    room: Arc<Semaphore>,
    failure: watch::Receiver<Option<String>>,
    storing: Arc<AtomicBool>,
    in_hand: Arc<InHand>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

/// The broker takes no more work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closed;

impl Intake {
    /// Starts the thread. `done` is called after each commit, for each piece of work that is on
    /// disk, before its answer goes out.
    pub(crate) fn start(
        store: Arc<dyn Store>,
        done: impl FnMut(&Work, &Done) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE_MESSAGES_MAX);
        let (failed, failure) = watch::channel(None);
        let storing = Arc::new(AtomicBool::new(true));
        let works = Arc::clone(&storing);
        let in_hand = Arc::new(InHand {
            start: Instant::now(),
            since: AtomicU64::new(0),
        });
        let told = Arc::clone(&in_hand);
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || {
                let mut writer = Writer {
                    store,
                    queue,
                    done,
                    failed,
                    storing: works,
                    in_hand: told,
                    meters: Meters::new(),
                };
                writer.run();
            })?;
        let room = Arc::new(Semaphore::new(QUEUE_KIB_MAX));
        Ok(Self {
            jobs,
            room,
            failure,
            storing,
            in_hand,
            thread: std::sync::Mutex::new(Some(thread)),
        })
    }

    /// Puts work into the queue, waiting for room. What is put in one after the other is applied
    /// in that order.
    pub(crate) async fn put(&self, work: Work) -> Result<oneshot::Receiver<Outcome>, Closed> {
        let kib = (work.size() / 1024 + 1).min(QUEUE_KIB_MAX);
        let permits = u32::try_from(kib).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room)
            .acquire_many_owned(permits)
            .await
            .map_err(|_| Closed)?;
        let (answer, outcome) = oneshot::channel();
        let job = Job {
            work,
            queued: Instant::now(),
            answer,
            room,
        };
        self.jobs.send(Entry::Job(job)).await.map_err(|_| Closed)?;
        Ok(outcome)
    }

    /// What waits at this moment.
    pub(crate) fn queue(&self) -> Queue {
        Queue {
            messages: self.jobs.max_capacity() - self.jobs.capacity(),
            oldest: self.in_hand.age(),
        }
    }

    /// Whether the last batch could be stored.
    pub(crate) fn is_storing(&self) -> bool {
        self.storing.load(Ordering::Relaxed)
    }

    /// Why the store takes nothing more, once that has happened.
    pub(crate) fn failure(&self) -> watch::Receiver<Option<String>> {
        self.failure.clone()
    }

    /// Takes no more messages and waits until those in the queue are on disk. Blocks: not for
    /// a thread that runs tasks.
    pub(crate) fn close(&self) {
        self.room.close();
        // The thread may have ended before.
        let _ = self.jobs.blocking_send(Entry::Close);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer thread panicked");
        }
    }
}

struct Writer<F> {
    store: Arc<dyn Store>,
    queue: mpsc::Receiver<Entry>,
    done: F,
    failed: watch::Sender<Option<String>>,
    storing: Arc<AtomicBool>,
    in_hand: Arc<InHand>,
    meters: Meters,
}

/// Who waits for a batch.
#[derive(Default)]
struct Waiting {
    answers: Vec<(oneshot::Sender<Outcome>, OwnedSemaphorePermit)>,
    /// How large the batch is.
    bytes: usize,
}

impl Waiting {
    /// Puts `entry` into the batch, and behind it what is in the queue, as far as there is room.
    fn fill(
        &mut self,
        works: &mut Vec<Work>,
        queue: &mut mpsc::Receiver<Entry>,
        meters: &Meters,
        mut entry: Option<Entry>,
    ) {
        let now = Instant::now();
        loop {
            match entry.take() {
                None => {}
                Some(Entry::Close) => queue.close(),
                Some(Entry::Job(job)) => {
                    if let Work::Message(received) = &job.work {
                        meters.received(received.transport);
                    }
                    meters.waited(now.saturating_duration_since(job.queued));
                    self.bytes += job.work.size();
                    self.answers.push((job.answer, job.room));
                    works.push(job.work);
                }
            }
            if works.len() >= BATCH_MESSAGES_MAX || self.bytes >= BATCH_BYTES_MAX {
                return;
            }
            entry = queue.try_recv().ok();
            if entry.is_none() {
                return;
            }
        }
    }
}

impl<F: FnMut(&Work, &Done)> Writer<F> {
    fn run(&mut self) {
        while let Some(entry) = self.queue.blocking_recv() {
            if let Entry::Job(job) = &entry {
                self.in_hand.begin(job.queued);
            }
            self.commit(entry);
            self.in_hand.end();
        }
    }

    fn commit(&mut self, entry: Entry) {
        let start = Instant::now();
        let (mut works, mut waiting) = (Vec::new(), Waiting::default());
        let (queue, meters) = (&mut self.queue, &self.meters);
        waiting.fill(&mut works, queue, meters, Some(entry));
        if works.is_empty() {
            return;
        }
        // What comes before the store has begun goes along.
        let outcomes = self.store.apply_with(&mut works, &mut |works| {
            waiting.fill(works, queue, meters, None);
        });
        self.meters.committed(works.len(), start.elapsed());
        self.storing
            .store(outcomes.iter().any(Result::is_ok), Ordering::Relaxed);
        for ((work, (answer, room)), outcome) in works.iter().zip(waiting.answers).zip(outcomes) {
            self.meters.settled(work, &outcome);
            match &outcome {
                Ok(done) => (self.done)(work, done),
                Err(StoreError::Broken(reason)) => {
                    self.failed.send_replace(Some(reason.clone()));
                }
                Err(error) => tracing::error!(%error, "not stored"),
            }
            // A sender that has gone away does not need its answer: the message is stored.
            let _ = answer.send(outcome);
            drop(room);
        }
    }
}
