#![doc = include_str!("../README.md")]

pub mod broken;
#[cfg(feature = "net")]
pub mod client;
pub mod codec;
pub mod correlate;
pub mod error;
pub mod limits;
pub mod retry;
#[cfg(feature = "net")]
pub mod server;
#[cfg(feature = "net")]
mod stream;
#[cfg(feature = "tls")]
pub mod tls;

#[cfg(feature = "net")]
pub use client::{Client, ClientConfig, Exchange, ExchangeError, Link};
pub use codec::{CARRIAGE_RETURN, END_BLOCK, Event, Framing, MllpCodec, START_BLOCK};
pub use error::{EncodeError, FrameError, FrameErrorKind, StreamError};
pub use limits::Limits;
pub use retry::RetryPolicy;
#[cfg(feature = "net")]
pub use server::{
    Answer, Handler, NoObserver, Observer, Request, ServerConfig, ServerSummary, handler_fn, serve,
};
