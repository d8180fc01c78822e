//! [`Client::exchange_many`]: several messages outstanding on one connection.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout_at},
};

use crate::{
    client::{AnswerPhase, Client, Exchange, ExchangeError, Stage, Untold},
    correlate::Verdict,
    stream::{Step, Unsent},
};

/// Frames put ahead of the network at once.
const AHEAD_BYTES_MAX: usize = 256 * 1024;

/// A message that was sent and not answered.
struct Outstanding {
    index: usize,
    sent: Instant,
    commit: Option<Bytes>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Sends all `frames` in order, up to `window` of them ahead of their answers, and returns one
    /// outcome for each. Answers are matched by id and may come in any order.
    ///
    /// ```no_run
    /// # async fn example(client: &mut hl7_mllp::Client, orders: &[Vec<u8>]) {
    /// for (order, outcome) in orders.iter().zip(client.exchange_many(orders, 16).await) {
    ///     if let Err(error) = outcome {
    ///         println!("{} bytes not answered: {error}", order.len());
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// The first failure ends it. The oldest message then outstanding, or the first not yet
    /// sent, gets its cause, the others outstanding
    /// [`Abandoned`](ExchangeError::Abandoned), and those never sent
    /// [`Unusable`](ExchangeError::Unusable). A frame that cannot be sent or has no id fails alone.
    pub async fn exchange_many<F: AsRef<[u8]>>(
        &mut self,
        frames: &[F],
        window: usize,
    ) -> Vec<Result<Exchange, ExchangeError>> {
        let mut outcomes: Vec<_> = frames.iter().map(|_| None).collect();
        let mut outstanding = VecDeque::new();
        let run = self.run_many(frames, window.max(1), &mut outcomes, &mut outstanding);
        if let Err(cause) = run.await {
            let blamed = match outstanding.pop_front() {
                Some(Outstanding { index, .. }) => Some(index),
                None => outcomes.iter().position(Option::is_none),
            };
            for left in outstanding {
                set(&mut outcomes, left.index, Err(ExchangeError::Abandoned));
            }
            if let Some(index) = blamed {
                set(&mut outcomes, index, Err(cause));
            }
        }
        outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or(Err(ExchangeError::Unusable)))
            .collect()
    }

    async fn run_many<F: AsRef<[u8]>>(
        &mut self,
        frames: &[F],
        window: usize,
        outcomes: &mut [Option<Result<Exchange, ExchangeError>>],
        outstanding: &mut VecDeque<Outstanding>,
    ) -> Result<(), ExchangeError> {
        self.wire.check_silent().await?;
        let mut queue = frames.iter().enumerate();
        let mut unsent = Unsent::default();
        let mut moved = Instant::now();
        let mut heard = moved;
        loop {
            while outstanding.len() < window && unsent.bytes.len() < AHEAD_BYTES_MAX {
                let Some((index, frame)) = queue.next() else {
                    break;
                };
                let frame = frame.as_ref();
                if self.correlate.control_id(frame).is_none() {
                    set(outcomes, index, Err(ExchangeError::NoControlId));
                } else if let Err(error) = self.wire.encode(frame, &mut unsent.bytes) {
                    set(outcomes, index, Err(error));
                } else {
                    moved = Instant::now();
                    if outstanding.is_empty() {
                        heard = moved;
                    }
                    outstanding.push_back(Outstanding {
                        index,
                        sent: moved,
                        commit: None,
                    });
                }
            }
            let Some(oldest) = outstanding.front() else {
                self.wire.settled();
                return Ok(());
            };
            let config = &self.wire.config;
            let mut deadline = oldest.sent + config.answer_timeout;
            let mut late = self.wire.late(AnswerPhase::Whole);
            if heard + config.first_byte_timeout < deadline {
                deadline = heard + config.first_byte_timeout;
                late = self.wire.late(AnswerPhase::FirstByte);
            }
            if !unsent.is_empty() && moved + config.write_timeout < deadline {
                deadline = moved + config.write_timeout;
                late = ExchangeError::WriteTimeout;
            }
            match timeout_at(deadline, self.wire.step(&mut unsent)).await {
                Err(_) => return Err(late),
                Ok(Err(error)) => return Err(ExchangeError::of_link(error)),
                Ok(Ok(Step::Sent)) => moved = Instant::now(),
                Ok(Ok(Step::Read(0))) => {
                    let last = self.wire.at_end()?;
                    self.settle(last, frames, outcomes, outstanding)?;
                    if !outstanding.is_empty() || queue.len() > 0 {
                        return Err(ExchangeError::Closed);
                    }
                }
                Ok(Ok(Step::Read(_))) => {
                    heard = Instant::now();
                    while let Some(answer) = self.wire.next_event()? {
                        self.settle(answer, frames, outcomes, outstanding)?;
                    }
                }
            }
        }
    }

    /// Finds the message that an answer belongs to.
    fn settle<F: AsRef<[u8]>>(
        &self,
        answer: Bytes,
        frames: &[F],
        outcomes: &mut [Option<Result<Exchange, ExchangeError>>],
        outstanding: &mut VecDeque<Outstanding>,
    ) -> Result<(), ExchangeError> {
        let untold = || Untold(answer.clone());
        let ack = self
            .correlate
            .acknowledgement(&answer)
            .ok_or_else(|| ExchangeError::NoMsa(untold()))?;
        let verdict =
            Verdict::from_code(ack.code).ok_or_else(|| ExchangeError::UnknownCode(untold()))?;
        let place = outstanding
            .iter()
            .position(|sent| {
                let frame = frames
                    .get(sent.index)
                    .map(AsRef::as_ref)
                    .unwrap_or_default();
                self.correlate.control_id(frame) == Some(ack.control_id)
            })
            .ok_or_else(|| ExchangeError::WrongId(untold()))?;
        let stored = Stage::of(ack.code) == Stage::Commit && verdict == Verdict::Accepted;
        if stored && self.wire.config.await_application_answer {
            let commit = outstanding.get_mut(place).map(|sent| &mut sent.commit);
            return match commit {
                Some(commit @ None) => {
                    *commit = Some(answer);
                    Ok(())
                }
                _ => Err(ExchangeError::AnsweredBefore(Untold(answer))),
            };
        }
        if let Some(Outstanding { index, commit, .. }) = outstanding.remove(place) {
            let exchange = Exchange {
                verdict,
                answer,
                commit,
            };
            set(outcomes, index, Ok(exchange));
        }
        Ok(())
    }
}

fn set(
    outcomes: &mut [Option<Result<Exchange, ExchangeError>>],
    index: usize,
    outcome: Result<Exchange, ExchangeError>,
) {
    if let Some(place) = outcomes.get_mut(index) {
        *place = Some(outcome);
    }
}
