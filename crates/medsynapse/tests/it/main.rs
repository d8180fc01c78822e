//! The crate through its public door.

#![cfg(test)]

mod domain;
