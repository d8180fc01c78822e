//! Every store through its front door.
#![cfg(test)]

mod access;
mod alike;
mod postgres;
mod purge;
mod upgrade;
mod way;
