//! The crate through its public door: real sockets, and pretend peers on a clock of their own.
#![cfg(test)]

mod client;
mod fuzz_body;
mod held;
mod limits;
mod pains;
mod peers;
mod phases;
#[cfg(feature = "proxy")]
mod proxy;
mod server;
#[cfg(feature = "tls")]
mod tls;
