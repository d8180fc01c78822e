//! [`Sender`]: messages under their numbers until they are accepted.

use core::fmt;
use std::collections::VecDeque;

use crate::sequence::Number;

/// The sender's end: a queue indexed by number, one message outstanding.
///
/// What the link does is asked of [`next`](Self::next) and told to [`answered`](Self::answered);
/// after a broken connection, [`restart`](Self::restart).
#[derive(Clone)]
pub struct Sender<T> {
    queue: VecDeque<T>,
    /// The number of the first message in the queue, or of the next one where it is empty.
    first: Number,
    queue_max: usize,
    /// The last messages accepted, in case that the receiver loses them.
    kept: VecDeque<T>,
    kept_max: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// 0 has to be sent before anything else.
    Starting,
    /// -1 has to be sent before anything else.
    Resynchronising,
    /// The first of the queue goes.
    Sending,
    Frozen(Frozen),
}

/// Why nothing is sent until a person has looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Frozen {
    /// The receiver expects a message that was accepted before and is not in the queue any more.
    Gone {
        /// The number expected.
        expected: Number,
    },
    /// The receiver expects a message that was never sent.
    Ahead {
        /// The number expected.
        expected: Number,
    },
    /// The receiver refuses the very message that it expects: its content, most likely.
    Refused {
        /// The number of the message.
        number: Number,
    },
    /// The receiver's answer does not say which number it expects.
    NoNumber,
}

/// What an answer comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Step {
    /// Go on with [`Sender::next`].
    Continue,
    /// The receiver wants messages again, from this number on; go on with [`Sender::next`].
    Resend(Number),
    /// Nothing more is sent until a person has decided.
    Frozen(Frozen),
}

/// The queue holds as many messages as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

impl fmt::Display for QueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue of unacknowledged messages is full")
    }
}

impl core::error::Error for QueueFull {}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("queued", &self.queue.len())
            .field("first", &self.first)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<T> Sender<T> {
    /// An empty queue that holds up to `queue_max` messages; the first will be number 1.
    pub const fn new(queue_max: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            first: Number::FIRST,
            queue_max,
            kept: VecDeque::new(),
            kept_max: 0,
            state: State::Starting,
        }
    }

    /// The same with the messages that were stored unacknowledged, the first of which has the
    /// number `first`; `None` where that is no message's number.
    pub fn stored(
        first: Number,
        queue: impl IntoIterator<Item = T>,
        queue_max: usize,
    ) -> Option<Self> {
        first.is_message().then(|| Self {
            queue: queue.into_iter().collect(),
            first,
            ..Self::new(queue_max)
        })
    }

    /// The same, keeping the last `kept_max` messages that were accepted: a receiver that lost
    /// them, restored from a backup perhaps, gets them again when it asks.
    #[must_use]
    pub fn keeping(self, kept_max: usize) -> Self {
        Self { kept_max, ..self }
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The number that the next message put in the queue gets: write it into MSH-13.
    pub fn next_number(&self) -> Number {
        (0..self.queue.len()).fold(self.first, |number, _| number.next())
    }

    /// Puts a message last in the queue and returns its number.
    ///
    /// # Errors
    ///
    /// The queue is full.
    pub fn push(&mut self, message: T) -> Result<Number, QueueFull> {
        if self.queue.len() >= self.queue_max {
            return Err(QueueFull);
        }
        let number = self.next_number();
        self.queue.push_back(message);
        Ok(number)
    }

    /// What goes over the link now: 0 or -1 without a message of the queue, or the first message.
    /// `None` when there is nothing to send, or while frozen.
    pub fn next(&self) -> Option<(Number, Option<&T>)> {
        match self.state {
            State::Starting => Some((Number::START, None)),
            State::Resynchronising => Some((Number::RESYNCHRONISE, None)),
            State::Sending => Some((self.first, Some(self.queue.front()?))),
            State::Frozen(_) => None,
        }
    }

    /// Notes the answer to what [`next`](Self::next) said: whether it was positive, and its
    /// MSA-4.
    pub fn answered(&mut self, positive: bool, expected: Option<Number>) -> Step {
        match self.state {
            State::Frozen(why) => Step::Frozen(why),
            State::Starting => match expected.filter(|number| number.is_message()) {
                Some(expected) => self.continue_from(expected),
                None => self.freeze(Frozen::NoNumber),
            },
            State::Resynchronising => match expected {
                Some(Number::RESYNCHRONISE) if positive => {
                    self.state = State::Sending;
                    Step::Continue
                }
                _ => self.freeze(Frozen::NoNumber),
            },
            State::Sending if positive => {
                self.take_off();
                match expected.filter(|number| number.is_message()) {
                    Some(expected) if expected != self.first => self.continue_from(expected),
                    _ => Step::Continue,
                }
            }
            State::Sending => match expected.filter(|number| number.is_message()) {
                Some(expected) if expected == self.first => {
                    self.freeze(Frozen::Refused { number: expected })
                }
                Some(expected) => self.continue_from(expected),
                None => self.freeze(Frozen::NoNumber),
            },
        }
    }

    /// Begins anew over a new connection, with 0. A frozen sender stays so.
    pub fn restart(&mut self) {
        if !matches!(self.state, State::Frozen(_) | State::Resynchronising) {
            self.state = State::Starting;
        }
    }

    /// A person's decision to go on: the receiver shall take whatever comes next as the new
    /// beginning (-1).
    pub fn resynchronise(&mut self) {
        self.state = State::Resynchronising;
    }

    /// A person's decision to drop the first message, which the receiver refuses. The others
    /// keep their numbers, so the receiver is asked to take the next as the new beginning (-1).
    pub fn drop_first(&mut self) -> Option<T> {
        let dropped = self.queue.pop_front()?;
        self.first = self.first.next();
        self.state = State::Resynchronising;
        Some(dropped)
    }

    /// Why nothing is sent, if so.
    pub const fn frozen(&self) -> Option<Frozen> {
        match self.state {
            State::Frozen(why) => Some(why),
            State::Starting | State::Resynchronising | State::Sending => None,
        }
    }

    /// The first message has been accepted.
    fn take_off(&mut self) {
        let Some(accepted) = self.queue.pop_front() else {
            return;
        };
        self.first = self.first.next();
        self.kept.push_back(accepted);
        if self.kept.len() > self.kept_max {
            self.kept.pop_front();
        }
    }

    /// The receiver has everything before `expected` and nothing from it on.
    fn continue_from(&mut self, expected: Number) -> Step {
        // Ahead: some messages of the queue have been accepted without an answer that came.
        let mut ahead = self.first;
        for accepted in 0..=self.queue.len() {
            if ahead == expected {
                for _ in 0..accepted {
                    self.take_off();
                }
                self.state = State::Sending;
                return Step::Continue;
            }
            ahead = ahead.next();
        }
        // Behind: it has lost some.
        let mut behind = self.first;
        for lost in 1..=self.kept.len() {
            behind = behind.previous();
            if behind == expected {
                for message in self.kept.drain(self.kept.len() - lost..).rev() {
                    self.queue.push_front(message);
                }
                self.first = expected;
                self.state = State::Sending;
                return Step::Resend(expected);
            }
        }
        if expected < self.first {
            return self.freeze(Frozen::Gone { expected });
        }
        if self.queue.is_empty() {
            // Nothing of ours is in doubt: the numbers go on where the receiver is.
            self.first = expected;
            self.state = State::Sending;
            return Step::Continue;
        }
        self.freeze(Frozen::Ahead { expected })
    }

    fn freeze(&mut self, why: Frozen) -> Step {
        self.state = State::Frozen(why);
        Step::Frozen(why)
    }
}
