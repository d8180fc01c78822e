//! [`Run`]: workers that take messages in turn, send them, and count the outcomes.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use hl7_message::AckCode;
use hl7_mllp::RetryPolicy;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    link::{Failure, Link, Reply, Target},
    outgoing::Outgoing,
    report::{Reporter, Sent},
    tally::Tally,
};

/// What to send and how.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Not empty; sent in order, and from the start again if there is more to send.
    pub(crate) messages: Vec<Outgoing>,
    pub(crate) until: Until,
    /// Messages in flight at once, each on a connection of its own.
    pub(crate) concurrency: usize,
    /// Pause of each connection after a message.
    pub(crate) delay: Duration,
    /// Messages a second, whatever the receiver can do.
    pub(crate) rate: Option<f64>,
    /// Further tries of a message whose outcome is unknown.
    pub(crate) retries: u32,
    pub(crate) fail_fast: bool,
    pub(crate) expect: Option<AckCode>,
}

/// When all is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    Count(u64),
    Elapsed(Duration),
}

impl Plan {
    /// How many messages there will be, if that is known.
    pub(crate) fn total(&self) -> Option<u64> {
        match self.until {
            Until::Count(count) => Some(count),
            Until::Elapsed(_) => None,
        }
    }
}

/// What came of a plan.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    pub(crate) elapsed: Duration,
    /// Messages in hand when the run was interrupted.
    pub(crate) unanswered: u64,
    /// The failure that ended the run before anything got through.
    pub(crate) unreachable: Option<Failure>,
    pub(crate) interrupted: bool,
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
    unanswered: AtomicU64,
    unreachable: Mutex<Option<Failure>>,
    /// Take no new message.
    finish: CancellationToken,
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
            unanswered: AtomicU64::new(0),
            unreachable: Mutex::new(None),
            finish: abort.child_token(),
            abort,
            tallies: std::iter::repeat_with(|| Mutex::new(Tally::new()))
                .take(tallies)
                .collect(),
            randomness: RandomState::new(),
        }
    }

    /// Sends everything, and gives back where it went.
    pub(crate) async fn finish(mut self) -> (Outcome, Target) {
        let concurrency = self.plan.concurrency;
        self.started = Instant::now();
        let run = Arc::new(self);
        let mut workers = JoinSet::new();
        for worker in 0..concurrency {
            let run = Arc::clone(&run);
            workers.spawn(async move { run.work(worker).await });
        }
        workers.join_all().await;
        let elapsed = run.started.elapsed();
        // Every worker has ended, so that this is the last handle.
        let Some(run) = Arc::into_inner(run) else {
            unreachable!("a worker outlived its end")
        };
        let mut tally = Tally::new();
        for part in &run.tallies {
            tally.merge(&part.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let outcome = Outcome {
            tally,
            elapsed,
            unanswered: run.unanswered.into_inner(),
            unreachable: run
                .unreachable
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
            interrupted: run.abort.is_cancelled(),
        };
        (outcome, run.target)
    }

    async fn work(&self, worker: usize) {
        let mut link = self.target.link();
        while let Some(turn) = self.turn().await {
            let Some(message) = self.message(turn.number) else {
                break;
            };
            let mut tries = 0;
            let outcome = tokio::select! {
                biased;
                outcome = self.try_out(&mut link, message, &mut tries) => outcome,
                () = self.abort.cancelled() => {
                    self.unanswered.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            };
            self.settle(worker, &turn, message, &outcome, tries);
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
        if self.finish.is_cancelled() {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let since_start = self.plan.rate.map(|rate| seconds(number, rate));
        match self.plan.until {
            Until::Count(count) if number >= count => return None,
            Until::Elapsed(end) if since_start.unwrap_or_else(|| self.started.elapsed()) >= end => {
                return None;
            }
            Until::Count(_) | Until::Elapsed(_) => {}
        }
        let now = Instant::now();
        let due = since_start.map_or(now, |wait| self.started + wait);
        if due <= now {
            // Late because the receiver was slow: the wait is part of the latency.
            return Some(Turn { number, due });
        }
        tokio::select! {
            () = self.finish.cancelled() => None,
            // Late because of our own timer: that is nobody's latency.
            () = sleep_until(due) => Some(Turn { number, due: Instant::now() }),
        }
    }

    fn message(&self, number: u64) -> Option<&Outgoing> {
        let count = self.plan.messages.len() as u64;
        let index = number.checked_rem(count)?;
        self.plan.messages.get(usize::try_from(index).ok()?)
    }

    /// Sends one message until it is answered or there are no tries left.
    async fn try_out(
        &self,
        link: &mut Link<'_>,
        message: &Outgoing,
        tries: &mut u32,
    ) -> Result<Reply, Failure> {
        let policy = RetryPolicy::default();
        loop {
            *tries += 1;
            let outcome = link.exchange(message, &message.bytes).await;
            match &outcome {
                Err(failure) if failure.kind.is_worth_a_retry() && *tries <= self.plan.retries => {
                    let wait = policy.delay(*tries, self.randomness.hash_one(*tries));
                    self.reporter.retrying(message, failure, wait);
                    sleep(wait).await;
                }
                _ => return outcome,
            }
        }
    }

    /// Counts and reports one outcome, and ends the run where it must.
    fn settle(
        &self,
        worker: usize,
        turn: &Turn,
        message: &Outgoing,
        outcome: &Result<Reply, Failure>,
        tries: u32,
    ) {
        let latency = turn.due.elapsed();
        let accepted = outcome
            .as_ref()
            .is_ok_and(|reply| Tally::is_expected(reply.code, self.plan.expect));
        if let Some(tally) = self.tallies.get(worker % self.tallies.len()) {
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.add(outcome, accepted, message.bytes.len(), latency, tries);
        }
        let number = turn.number + 1;
        let total = self.plan.total();
        let ends_run = self.ends_run(outcome);
        let sent = Sent {
            number,
            total,
            message,
            outcome,
            accepted,
            latency,
            tries,
            ends_run,
        };
        self.reporter.sent(&sent);
        if ends_run || (self.plan.fail_fast && !accepted) {
            self.finish.cancel();
        }
    }

    /// Whether nothing has got through yet, and this outcome says that nothing will.
    fn ends_run(&self, outcome: &Result<Reply, Failure>) -> bool {
        match outcome {
            Err(failure) if failure.kind.is_about_the_receiver() => {
                if self.reached.load(Ordering::Relaxed) {
                    return false;
                }
                let mut first = self
                    .unreachable
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| failure.clone());
                true
            }
            _ => {
                self.reached.store(true, Ordering::Relaxed);
                false
            }
        }
    }
}

/// When message `number` of an open loop is due.
#[expect(clippy::cast_precision_loss, reason = "2^52 messages are never sent")]
fn seconds(number: u64, rate: f64) -> Duration {
    Duration::try_from_secs_f64(number as f64 / rate).unwrap_or(Duration::MAX)
}
