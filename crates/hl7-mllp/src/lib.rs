#![doc = include_str!("../README.md")]

pub mod codec;
pub mod error;
pub mod limits;

pub use codec::{CARRIAGE_RETURN, END_BLOCK, Event, Framing, MllpCodec, START_BLOCK};
pub use error::{EncodeError, FrameError, FrameErrorKind, StreamError};
pub use limits::Limits;
