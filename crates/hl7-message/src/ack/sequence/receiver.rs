//! [`Receiver`]: which number is expected, and what becomes of another one.

use crate::sequence::Number;

/// The receiver's end. It is a small value: keep it where the messages are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Receiver {
    last: Number,
    /// The next number, whatever it is, becomes the new beginning.
    adopts: bool,
}

impl Default for Receiver {
    /// Has accepted nothing yet: 1 is expected.
    fn default() -> Self {
        Self {
            last: Number::START,
            adopts: false,
        }
    }
}

/// What to do about a message by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Incoming {
    /// The message is the next one. Process it, store it together with
    /// [`Accepted::receiver`], then [`accept`](Receiver::accept) and answer.
    Process(Accepted),
    /// The message was accepted before: give the same answer again, do not process it again.
    /// The number is for MSA-4.
    Repeat(Number),
    /// The number is 0: nothing to process. Answer positively, with this number in MSA-4.
    Tell(Number),
    /// The number is -1: nothing to process. Store [`Accepted::receiver`], accept, and answer
    /// positively with -1 in MSA-4.
    Adopt(Accepted),
    /// A message is missing, or this one is long past: do not process it. Answer negatively (CE,
    /// or AE in original mode) with this number, the one expected, in MSA-4.
    Refuse(Number),
}

/// A step of the receiver that has not happened before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Accepted {
    receiver: Receiver,
    answer: Number,
}

impl Accepted {
    /// What the receiver will be: to be stored in the same transaction as the message.
    #[must_use]
    pub const fn receiver(&self) -> Receiver {
        self.receiver
    }
}

impl Receiver {
    /// A receiver that accepted `last` the last time, as when that number was stored by other
    /// means; `None` where `last` is no message's number and not 0.
    pub const fn after(last: Number) -> Option<Self> {
        if last.get() < 0 {
            return None;
        }
        Some(Self {
            last,
            adopts: false,
        })
    }

    /// The number that the last accepted message had; 0 where there was none.
    pub const fn last(&self) -> Number {
        self.last
    }

    /// The number for MSA-4: that of the next message.
    pub const fn expected(&self) -> Number {
        self.last.next()
    }

    /// Whether the next number, whatever it is, will be adopted.
    pub const fn adopts(&self) -> bool {
        self.adopts
    }

    /// Decides on a message. Nothing changes before [`accept`](Self::accept).
    pub const fn receive(&self, number: Number) -> Incoming {
        if number.get() == Number::START.get() {
            return Incoming::Tell(self.expected());
        }
        if number.get() == Number::RESYNCHRONISE.get() {
            return Incoming::Adopt(Accepted {
                receiver: Self {
                    last: self.last,
                    adopts: true,
                },
                answer: Number::RESYNCHRONISE,
            });
        }
        if self.adopts || number.get() == self.expected().get() {
            return Incoming::Process(Accepted {
                receiver: Self {
                    last: number,
                    adopts: false,
                },
                answer: number.next(),
            });
        }
        if number.get() == self.last.get() {
            return Incoming::Repeat(self.expected());
        }
        Incoming::Refuse(self.expected())
    }

    /// Takes a step that has been stored, and returns the number for MSA-4.
    pub const fn accept(&mut self, accepted: Accepted) -> Number {
        *self = accepted.receiver;
        accepted.answer
    }
}
