//! Every store through its front door.
#![cfg(test)]

mod alike;
mod postgres;
