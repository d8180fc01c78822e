//! A lane: one destination, one message at a time, in order, for ever.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use hl7_message::{Ack, Message};
use hl7_mllp::client::{Dial, Link};
use hl7_mllp::correlate::Verdict;
use hl7_mllp::{Exchange, ExchangeError};
use medsynapse_store::{Delivery, DeliveryOutcome, Next, StoreError};
use metrics::counter;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lease::{Lease, Pass};
use super::source::{LaneSource, Pulse};
use super::{LaneConfig, LanePhase, LaneStatus};
use crate::broker::ActError;
use crate::clock::Clock;

/// Most bytes of an answer that are kept.
const ANSWER_MAX: usize = 64 << 10;
/// Most characters of a reason.
const REASON_MAX: usize = 500;

pub(super) struct Lane<S, D: Dial> {
    source: Arc<S>,
    link: Link<D>,
    config: LaneConfig,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    status: watch::Sender<LaneStatus>,
    pulse: watch::Receiver<Pulse>,
    random: ChaCha8Rng,
    failures: u32,
}

/// What to do next.
enum Step {
    Go,
    Stop,
}

/// Whether the outcome of a try is on disk.
enum Kept {
    Yes,
    /// Another server has the lane, and it is for that one to say.
    LaneLost,
    No,
}

impl<S: LaneSource, D: Dial> Lane<S, D> {
    pub(super) fn new(
        source: Arc<S>,
        dialer: D,
        config: LaneConfig,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> (Self, watch::Receiver<LaneStatus>) {
        let (status, seen) = watch::channel(LaneStatus {
            destination: config.destination.clone(),
            phase: LanePhase::Idle,
            failures: 0,
            last_failure: None,
            alarm: false,
        });
        let lane = Self {
            pulse: source.pulse(),
            source,
            link: Link::through(dialer, config.client.clone()),
            random: ChaCha8Rng::seed_from_u64(config.seed),
            config,
            clock,
            stop,
            status,
            failures: 0,
        };
        (lane, seen)
    }

    pub(super) async fn run(mut self) {
        let lease = Lease::begin(&self.source, &self.config.destination).await;
        while !self.stop.is_cancelled() {
            let Some(pass) = lease.pass() else {
                if let Step::Stop = self.elsewhere(&lease).await {
                    break;
                }
                continue;
            };
            // What changes from here on wakes the lane again.
            self.pulse.mark_unchanged();
            // What is next is not asked for before the lane was taken: all that the owner before
            // has settled is seen.
            let step = match self.source.next(&self.config.destination).await {
                Ok(Some(next)) => self.deliver(next, &lease, pass).await,
                Ok(None) => self.idle(&lease, pass).await,
                Err(error) => self.blocked(&error).await,
            };
            if matches!(step, Step::Stop) {
                break;
            }
        }
        self.link.close().await;
        lease.end(&*self.source, &self.config.destination).await;
        self.phase(LanePhase::Stopped);
    }

    /// Another server sends; this one waits for its turn.
    async fn elsewhere(&mut self, lease: &Lease) -> Step {
        self.link.close().await;
        self.phase(LanePhase::Elsewhere);
        self.failures = 0;
        self.status.send_modify(|status| {
            status.failures = 0;
            status.last_failure = None;
            status.alarm = false;
        });
        tokio::select! {
            () = self.stop.cancelled() => Step::Stop,
            () = lease.held() => Step::Go,
        }
    }

    fn phase(&self, phase: LanePhase) {
        self.status.send_modify(|status| status.phase = phase);
    }

    async fn idle(&mut self, lease: &Lease, pass: Pass) -> Step {
        self.phase(LanePhase::Idle);
        tokio::select! {
            () = self.stop.cancelled() => Step::Stop,
            () = lease.lost(pass) => Step::Go,
            changed = self.pulse.changed() => match changed {
                Ok(()) => Step::Go,
                // The broker is gone.
                Err(_) => Step::Stop,
            },
        }
    }

    async fn blocked(&mut self, error: &StoreError) -> Step {
        let destination = &self.config.destination;
        tracing::error!(%destination, %error, "the outbox cannot be read; it is tried again");
        self.phase(LanePhase::Blocked);
        self.failures = self.failures.saturating_add(1);
        let wait = self.wait();
        self.pause(wait).await
    }

    fn wait(&mut self) -> Duration {
        self.config
            .retry
            .delay(self.failures, self.random.next_u64())
    }

    /// Waits, unless somebody asks for another look, or the lane is stopped.
    async fn pause(&mut self, wait: Duration) -> Step {
        let commands = self.pulse.borrow().commands;
        tokio::select! {
            () = self.stop.cancelled() => Step::Stop,
            () = tokio::time::sleep(wait) => Step::Go,
            changed = self.pulse.wait_for(|pulse| pulse.commands != commands) => match changed {
                Ok(_) => Step::Go,
                Err(_) => Step::Stop,
            },
        }
    }

    /// One try, and the wait after it if it failed.
    async fn deliver(&mut self, next: Next, lease: &Lease, pass: Pass) -> Step {
        // Reading may have taken long, or the process was stopped for a while.
        if lease.pass() != Some(pass) {
            return Step::Go;
        }
        let message_id = next.message_id;
        self.phase(LanePhase::Sending { message_id });
        let (at, start) = (self.clock.now(), Instant::now());
        let drain = self.config.drain;
        let stop = self.stop.clone();
        let stopped = async {
            stop.cancelled().await;
            tokio::time::sleep(drain).await;
        };
        let ended = tokio::select! {
            ended = self.link.submit(&next.raw) => ended,
            // Its outcome is not known: the same bytes go out again after the restart.
            () = stopped => return Step::Stop,
            // Nor is it here: they go out again from the server that has the lane now.
            () = lease.lost(pass) => {
                self.link.close().await;
                return Step::Go;
            }
        };
        let (outcome, reason, answer) = read(&ended);
        let labels = [("outcome", outcome.as_str())];
        counter!("hl7_outgoing_tries_total", &labels).increment(1);
        let took = start.elapsed().as_micros();
        let delivery = Delivery {
            message_id,
            at,
            took_micros: u64::try_from(took).unwrap_or(u64::MAX),
            outcome,
            reason,
            answer,
            fence: pass.0,
        };
        let commands = self.pulse.borrow().commands;
        match self.settle(delivery).await {
            Kept::Yes => {}
            Kept::LaneLost => {
                lease.lose(pass);
                return Step::Go;
            }
            Kept::No => return Step::Stop,
        }
        match ended {
            Err(error) if outcome == DeliveryOutcome::Failed => {
                self.failed(message_id, &error);
                let wait = self.wait();
                let until = TimeDelta::from_std(wait)
                    .ok()
                    .and_then(|wait| self.clock.now().checked_add_signed(wait))
                    .unwrap_or_default();
                self.phase(LanePhase::Waiting { message_id, until });
                if self.pulse.borrow().commands != commands {
                    // Somebody asked while the try was under way.
                    return Step::Go;
                }
                tokio::select! {
                    next = self.pause(wait) => next,
                    () = lease.lost(pass) => Step::Go,
                }
            }
            _ => {
                self.answered(outcome, message_id);
                Step::Go
            }
        }
    }

    /// Keeps the outcome, however long the store takes: the next message is not sent before.
    async fn settle(&mut self, delivery: Delivery) -> Kept {
        let mut tries = 0;
        loop {
            match self.source.settle(delivery.clone()).await {
                Ok(()) => return Kept::Yes,
                // Known after the restart by the control id, if the receiver keeps them.
                Err(ActError::Closed | ActError::Store(StoreError::Broken(_))) => {
                    return Kept::No;
                }
                Err(ActError::Store(StoreError::LaneLost)) => return Kept::LaneLost,
                Err(error) => {
                    let destination = &self.config.destination;
                    tracing::error!(%destination, %error, "an answer cannot be stored; it is tried again");
                }
            }
            self.phase(LanePhase::Blocked);
            tries += 1;
            let wait = self.config.retry.delay(tries, self.random.next_u64());
            if self.stop.is_cancelled() {
                return Kept::No;
            }
            let stop = self.stop.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait.min(Duration::from_secs(5))) => {}
            }
        }
    }

    fn failed(&mut self, message_id: i64, error: &ExchangeError) {
        self.failures = self.failures.saturating_add(1);
        let failures = self.failures;
        let alarm = failures >= self.config.alarm_after;
        self.status.send_modify(|status| {
            status.failures = failures;
            status.last_failure = Some(error.name().into());
            status.alarm = alarm;
        });
        let (destination, reason) = (&self.config.destination, error.name());
        if failures == self.config.alarm_after {
            tracing::error!(%destination, message_id, failures, reason, "a destination does not take messages; they wait");
        } else {
            tracing::debug!(%destination, message_id, failures, reason, "not delivered; it is tried again");
        }
    }

    fn answered(&mut self, outcome: DeliveryOutcome, message_id: i64) {
        let destination = &self.config.destination;
        if self.failures >= self.config.alarm_after {
            tracing::info!(%destination, "the destination takes messages again");
        }
        if outcome == DeliveryOutcome::Refused {
            tracing::warn!(%destination, message_id, "the destination refused a message");
        }
        self.failures = 0;
        self.status.send_modify(|status| {
            status.failures = 0;
            status.last_failure = None;
            status.alarm = false;
        });
    }
}

/// What a try means, why, and the answer.
fn read(ended: &Result<Exchange, ExchangeError>) -> (DeliveryOutcome, String, Option<Vec<u8>>) {
    match ended {
        Ok(exchange) => {
            let outcome = match exchange.verdict {
                Verdict::Accepted => DeliveryOutcome::Accepted,
                Verdict::Error | Verdict::Rejected => DeliveryOutcome::Refused,
            };
            let answer = exchange
                .answer
                .get(..ANSWER_MAX)
                .unwrap_or(&exchange.answer);
            (outcome, said(answer), Some(answer.to_vec()))
        }
        // Nothing was sent, and nothing ever can be: it would hold up all that waits behind it.
        Err(error @ (ExchangeError::Encode(_) | ExchangeError::NoControlId)) => {
            (DeliveryOutcome::Refused, error.name().into(), None)
        }
        Err(error) => (DeliveryOutcome::Failed, error.name().into(), None),
    }
}

/// MSA-1 and MSA-3, in one line.
fn said(answer: &[u8]) -> String {
    let message = Message::parse(answer).ok();
    let Some(ack) = message
        .as_ref()
        .and_then(|message| Ack::parse(message).ok())
    else {
        return String::new();
    };
    let text = String::from_utf8_lossy(&ack.text);
    let text = text.chars().filter(|c| !c.is_control()).take(REASON_MAX);
    format!("{} {}", ack.code, text.collect::<String>())
        .trim_end()
        .into()
}
