#![cfg(test)]
//! The gateway over real sockets and a real database.

mod attacks;
mod authorisation;
mod bed;
mod guards;
mod log;
mod query;
mod receive;
mod tokens;
