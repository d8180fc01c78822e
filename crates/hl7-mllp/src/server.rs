//! [`serve`]: a listener, a [`Handler`], and every promise about the link between them.
//!
//! Frames of one connection are handed over in order and answered in order; connections run
//! beside each other. On shutdown the server stops accepting, answers every frame it has read
//! whole, closes, and returns only when all its connections have ended.

mod accept;
mod admission;
mod config;
mod connection;
mod counters;
mod handler;
mod in_hand;
mod observer;
#[cfg(feature = "proxy")]
mod proxy;
mod serving;
mod unfinished;
mod waits;

pub(crate) use accept::prepare_tcp;
pub use accept::{Listen, Plain, Upgrade};
pub use admission::{AddressRange, InvalidAddressRange};
pub use config::ServerConfig;
pub use counters::Counters;
pub use handler::{Answer, Handler, HandlerFn, Later, Request, handler_fn};
pub use observer::{CloseReason, ConnectionEnd, NoObserver, Observer, Refusal, ServerSummary};
pub use serving::{serve, serve_on};
