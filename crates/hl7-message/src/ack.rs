//! Acknowledgements: read one ([`Ack`]), write one ([`Reply`]).

mod code;
mod error_condition;
mod read;
mod reply;

pub use code::{AckCode, UnknownAckCode};
pub use error_condition::ErrorCondition;
pub use read::{Ack, InvalidAck};
pub use reply::{ACK_TEXT_MAX, Reply, Responder};
