//! The worklist over real sockets, asked by our own modality.
#![cfg(test)]

mod bed;
mod cases;
mod charset;
mod protocol;
mod search;
mod steps;
mod tls;
