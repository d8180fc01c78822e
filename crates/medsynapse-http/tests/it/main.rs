#![cfg(test)]
//! The gateway over real sockets and a real database.

mod attacks;
mod authorisation;
mod bed;
mod documented;
mod errors;
mod events;
mod guards;
mod idempotency;
mod log;
mod orders;
mod query;
mod receive;
mod resources;
mod tokens;
mod tools;
