//! [`Run`]: workers that take messages in turn, send them, and count the outcomes.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use hl7_mllp::RetryPolicy;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    acks::AckFiles,
    expect::Expect,
    ids::FreshIds,
    input::Found,
    link::{Failure, Link, Reply, Target},
    outgoing::Outgoing,
    report::{Reporter, Sent},
    schedule::{Due, Schedule, Until},
    supply::Supply,
    tally::Tally,
};

/// What to send and how.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) supply: Supply,
    pub(crate) schedule: Schedule,
    /// Messages in flight at once, each on a connection of its own.
    pub(crate) concurrency: usize,
    /// Pause of each connection after a message.
    pub(crate) delay: Duration,
    /// Further tries of a message whose outcome is unknown.
    pub(crate) retries: u32,
    pub(crate) fail_fast: bool,
    pub(crate) expect: Expect,
    /// Ids to put in place of those of the messages, which are [`LEN`](crate::ids::LEN) bytes
    /// long.
    pub(crate) fresh_ids: Option<FreshIds>,
    pub(crate) save_acks: Option<AckFiles>,
}

/// What came of a plan.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    pub(crate) elapsed: Duration,
    /// Messages that were to be sent.
    pub(crate) total: u64,
    /// Messages of an open loop whose time had come and that had to wait until the end of the run.
    pub(crate) overdue: u64,
    /// Messages in hand when the run was interrupted.
    pub(crate) unanswered: u64,
    /// The failure that ended the run before anything got through, and what to do about it.
    pub(crate) unreachable: Option<(Failure, &'static str)>,
    pub(crate) interrupted: bool,
    /// Why an answer could not be written down, which ended the run.
    pub(crate) unsaved: Option<io::Error>,
    /// What was found in an input that was sent while it was read, or why reading ended.
    pub(crate) read: Option<anyhow::Result<Found>>,
}

#[cfg(test)]
impl Outcome {
    /// The outcome of sending nothing.
    pub(crate) fn nothing() -> Self {
        Self {
            tally: Tally::new(),
            elapsed: Duration::ZERO,
            total: 0,
            overdue: 0,
            unanswered: 0,
            unreachable: None,
            interrupted: false,
            unsaved: None,
            read: None,
        }
    }
}

/// A plan under way.
#[derive(Debug)]
pub(crate) struct Run {
    plan: Plan,
    target: Target,
    reporter: Reporter,
    started: Instant,
    next: AtomicU64,
    /// Something got through to the receiver.
    reached: AtomicBool,
    /// Messages that were sent, or are about to be, and have no outcome yet.
    in_hand: AtomicU64,
    unreachable: Mutex<Option<Failure>>,
    unsaved: Mutex<Option<io::Error>>,
    /// Take no new message: whoever waits for one is woken by the token, and whoever does not
    /// looks at the flag, which takes no lock.
    finish: CancellationToken,
    stopped: AtomicBool,
    /// Give up the messages in hand, too.
    abort: CancellationToken,
    /// A few tallies instead of one, so that workers seldom meet.
    tallies: Vec<Mutex<Tally>>,
    randomness: RandomState,
}

const TALLIES: usize = 8;

/// The turn of one message.
struct Turn {
    /// From 0.
    number: u64,
    /// The message, where it is held nowhere else.
    message: Option<Outgoing>,
    /// From when its latency counts.
    due: Instant,
}

impl Run {
    pub(crate) fn new(
        plan: Plan,
        target: Target,
        reporter: Reporter,
        abort: CancellationToken,
    ) -> Self {
        let tallies = plan.concurrency.clamp(1, TALLIES);
        Self {
            plan,
            target,
            reporter,
            started: Instant::now(),
            next: AtomicU64::new(0),
            reached: AtomicBool::new(false),
            in_hand: AtomicU64::new(0),
            unreachable: Mutex::new(None),
            unsaved: Mutex::new(None),
            finish: abort.child_token(),
            stopped: AtomicBool::new(false),
            abort,
            tallies: std::iter::repeat_with(|| Mutex::new(Tally::new()))
                .take(tallies)
                .collect(),
            randomness: RandomState::new(),
        }
    }

    /// Sends everything.
    pub(crate) async fn finish(mut self) -> Outcome {
        let concurrency = self.plan.concurrency;
        self.started = Instant::now();
        let run = Arc::new(self);
        let mut workers = JoinSet::new();
        for worker in 0..concurrency {
            let run = Arc::clone(&run);
            workers.spawn(async move { run.work(worker).await });
        }
        let bar = run.reporter.bar(run.plan.schedule.total());
        let mut tick = interval(Duration::from_millis(200));
        let mut aborted = false;
        loop {
            tokio::select! {
                ended = workers.join_next() => {
                    if ended.is_none() {
                        break;
                    }
                }
                () = run.abort.cancelled(), if !aborted => {
                    aborted = true;
                    run.stop();
                    workers.abort_all();
                }
                _ = tick.tick() => {
                    bar.set_position(run.tallies.iter().map(|tally| lock(tally).tried).sum());
                }
            }
        }
        bar.finish_and_clear();
        run.outcome()
    }

    fn outcome(&self) -> Outcome {
        let elapsed = self.started.elapsed();
        let mut tally = Tally::new();
        for part in &self.tallies {
            tally.merge(&lock(part));
        }
        let unreachable = lock(&self.unreachable).take();
        let unanswered = self.in_hand.load(Ordering::Relaxed);
        Outcome {
            elapsed,
            total: match self.plan.schedule.until {
                Until::Count(count) => count,
                Until::Elapsed(_) | Until::InputEnds => tally.tried + unanswered,
            },
            overdue: match (self.plan.schedule.until, self.plan.schedule.total()) {
                (Until::Elapsed(_), Some(due)) => due.saturating_sub(tally.tried + unanswered),
                _ => 0,
            },
            tally,
            unanswered,
            unreachable: unreachable.map(|failure| {
                let advice = self.target.advice(failure.kind);
                (failure, advice)
            }),
            interrupted: self.abort.is_cancelled(),
            unsaved: lock(&self.unsaved).take(),
            read: match &self.plan.supply {
                Supply::Held(_) => None,
                Supply::Stream(stream) => stream.end(),
            },
        }
    }

    async fn work(&self, worker: usize) {
        let mut link = self.target.link();
        let mut edition = Vec::new();
        while let Some(turn) = self.turn().await {
            let Some(message) = self.message(&turn) else {
                break;
            };
            let (bytes, id) = self.edition(&turn, message, &mut edition);
            let mut tries = 0;
            // An abort ends this task at an await, and there is none but this between the two.
            self.in_hand.fetch_add(1, Ordering::Relaxed);
            let outcome = self.try_out(&mut link, message, (bytes, id), &mut tries);
            let outcome = outcome.await;
            self.in_hand.fetch_sub(1, Ordering::Relaxed);
            let latency = turn.due.elapsed();
            let accepted = self.plan.expect.is_met(&outcome);
            if let Some(tally) = self.tallies.get(worker % self.tallies.len()) {
                lock(tally).add(&outcome, accepted, bytes.len(), latency, tries);
            }
            self.settle(&Sent {
                number: turn.number + 1,
                total: self.plan.schedule.total(),
                message,
                id,
                outcome: &outcome,
                accepted,
                latency,
                tries,
                ends_run: self.ends_run(&outcome),
            });
            if !self.plan.delay.is_zero() {
                tokio::select! {
                    () = self.finish.cancelled() => {}
                    () = sleep(self.plan.delay) => {}
                }
            }
        }
        link.close().await;
    }

    /// Waits for the next turn; `None` when there is no more to send.
    async fn turn(&self) -> Option<Turn> {
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        let number = || self.next.fetch_add(1, Ordering::Relaxed);
        let (number, message) = match &self.plan.supply {
            Supply::Held(_) => (number(), None),
            Supply::Stream(stream) => tokio::select! {
                biased;
                taken = stream.next(number) => taken.map(|(n, message)| (n, Some(message)))?,
                () = self.finish.cancelled() => return None,
            },
        };
        let now = Instant::now();
        let due = match self.plan.schedule.due(number, now - self.started) {
            Due::Never => return None,
            Due::Now => now,
            Due::At(wait) => self.started + wait,
        };
        let turn = |due| Turn {
            number,
            message,
            due,
        };
        if due <= now {
            // Late because the receiver was slow: the wait is part of the latency.
            return Some(turn(due));
        }
        tokio::select! {
            () = self.finish.cancelled() => None,
            // Late because of our own timer: that is nobody's latency.
            () = sleep_until(due) => Some(turn(Instant::now())),
        }
    }

    fn message<'m>(&'m self, turn: &'m Turn) -> Option<&'m Outgoing> {
        let Supply::Held(messages) = &self.plan.supply else {
            return turn.message.as_ref();
        };
        let index = turn.number.checked_rem(messages.len() as u64)?;
        messages.get(usize::try_from(index).ok()?)
    }

    /// The bytes to be sent and the control id in them: the message's own, or a fresh one.
    fn edition<'e>(
        &self,
        turn: &Turn,
        message: &'e Outgoing,
        edition: &'e mut Vec<u8>,
    ) -> (&'e [u8], &'e [u8]) {
        let Some(ids) = &self.plan.fresh_ids else {
            return (&message.bytes, message.control_id());
        };
        edition.clear();
        edition.extend_from_slice(&message.bytes);
        if let Some(place) = edition.get_mut(message.control_id.clone()) {
            place.copy_from_slice(&ids.id(turn.number + 1));
        }
        let id = edition.get(message.control_id.clone()).unwrap_or_default();
        (edition, id)
    }

    /// Sends one message until it is answered or there are no tries left.
    async fn try_out(
        &self,
        link: &mut Link<'_>,
        message: &Outgoing,
        (bytes, id): (&[u8], &[u8]),
        tries: &mut u32,
    ) -> Result<Reply, Failure> {
        let policy = RetryPolicy::default();
        loop {
            *tries += 1;
            let outcome = link.exchange(message, bytes, id).await;
            match &outcome {
                Err(failure) if failure.kind.is_worth_a_retry() && *tries <= self.plan.retries => {
                    let wait = policy.delay(*tries, self.randomness.hash_one(*tries));
                    self.reporter.retrying(id, failure, wait);
                    sleep(wait).await;
                }
                _ => return outcome,
            }
        }
    }

    /// Writes down and reports one outcome, and ends the run where it must.
    fn settle(&self, sent: &Sent<'_>) {
        self.reporter.sent(sent);
        if let (Some(files), Ok(reply)) = (&self.plan.save_acks, sent.outcome) {
            let code = reply.code.as_str();
            if let Err(error) = files.save(sent.number, sent.id, code, &reply.answer) {
                lock(&self.unsaved).get_or_insert(error);
                self.stop();
            }
        }
        if sent.ends_run || (self.plan.fail_fast && !sent.accepted) {
            self.stop();
        }
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.finish.cancel();
    }

    /// Whether nothing has got through yet, and this outcome says that nothing will.
    fn ends_run(&self, outcome: &Result<Reply, Failure>) -> bool {
        match outcome {
            Err(failure) if failure.kind.is_about_the_receiver() => {
                if self.reached.load(Ordering::Relaxed) {
                    return false;
                }
                lock(&self.unreachable).get_or_insert_with(|| failure.clone());
                true
            }
            _ => {
                self.reached.store(true, Ordering::Relaxed);
                false
            }
        }
    }
}

/// A tally stays good when a worker that held it panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
