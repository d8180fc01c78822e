#![cfg(test)]
//! The gateway over real sockets and a real database.

mod bed;
mod guards;
mod log;
mod query;
mod receive;
