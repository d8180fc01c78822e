//! How long a connection may wait, and for what.

use tokio::time::Instant;

use crate::server::{CloseReason, ServerConfig};

/// Since when a connection waits.
#[derive(Debug)]
pub(super) struct Waits {
    /// For the rest of the block whose payload begins at this byte of the stream.
    block: Option<(u64, Instant)>,
    /// For the peer to send anything.
    pub(super) silent_since: Instant,
    /// For the peer to take the next byte.
    pub(super) write_since: Instant,
    /// For the oldest frame in hand to be answered.
    pub(super) answer_since: Instant,
}

/// What a connection is waiting for right now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    /// For the peer to take an answer.
    pub(super) sending: bool,
    /// For the handler.
    pub(super) in_hand: bool,
    /// For the peer to send; `None` while nobody reads.
    pub(super) reading: Option<Reading>,
}

/// Where in the stream a connection waits for bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reading {
    /// Between two blocks.
    Between,
    /// Inside the block that began here.
    Inside(u64),
    /// Behind the end block of the block that began here: the next byte decides.
    AtEnd(u64),
}

/// What to do when a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// Take the end block as it stands.
    EndBlock,
    /// Take no more frames.
    Over(CloseReason),
    /// Answer nothing any more.
    Stop(CloseReason),
    /// Send nothing any more.
    Abandon(CloseReason),
}

impl Waits {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            block: None,
            silent_since: now,
            write_since: now,
            answer_since: now,
        }
    }

    /// The next moment at which something has waited too long.
    pub(super) fn next(
        &mut self,
        waiting: Waiting,
        config: &ServerConfig,
    ) -> Option<(Instant, Late)> {
        let write = waiting.sending.then(|| {
            (
                self.write_since + config.write_timeout,
                Late::Abandon(CloseReason::WriteTimeout),
            )
        });
        let answer = waiting.in_hand.then(|| {
            (
                self.answer_since + config.answer_deadline,
                Late::Stop(CloseReason::AnswerDeadline),
            )
        });
        let read = self.read(waiting, config);
        [write, answer, read]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    fn read(&mut self, waiting: Waiting, config: &ServerConfig) -> Option<(Instant, Late)> {
        let Some(Reading::Inside(block) | Reading::AtEnd(block)) = waiting.reading else {
            // The peer cannot help being slow while nobody reads.
            self.block = None;
            let idle = waiting.reading.is_some() && !waiting.in_hand && !waiting.sending;
            let idle = config.idle_timeout.filter(|_| idle)?;
            return Some((self.silent_since + idle, Late::Over(CloseReason::Idle)));
        };
        let since = match self.block {
            Some((same, since)) if same == block => since,
            _ => Instant::now(),
        };
        self.block = Some((block, since));
        let whole = (
            since + config.frame_deadline,
            Late::Over(CloseReason::FrameDeadline),
        );
        match (waiting.reading, config.end_block_wait) {
            (Some(Reading::AtEnd(_)), Some(wait)) if self.silent_since + wait < whole.0 => {
                Some((self.silent_since + wait, Late::EndBlock))
            }
            _ => Some(whole),
        }
    }
}
