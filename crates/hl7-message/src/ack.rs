//! Acknowledgements: read one ([`Ack`]), write one ([`Reply`]), and the rules of both modes:
//! which answers a message asks for ([`AckMode`]), what is the matter with it ([`Situation`]),
//! what is done about that ([`AckPolicy`]), and the [sequence numbers](sequence).

mod check;
mod code;
mod error_condition;
mod mode;
mod policy;
mod read;
mod reply;
pub mod sequence;
mod situation;

pub use check::HeaderCheck;
pub use code::{AckCode, UnknownAckCode};
pub use error_condition::ErrorCondition;
pub use mode::{AckMode, AckWhen, Answers, ApplicationOutcome, CommitOutcome};
pub use policy::{AckPolicy, Decision, is_acknowledgement};
pub use read::{Ack, InvalidAck};
pub use reply::{ACK_TEXT_MAX, Reply, Responder};
pub use situation::{Convention, Situation, Verdict};
