//! The broker through its front door, over a real database.
#![cfg(test)]

mod bed;
mod encrypted;
mod faults;
mod flipped;
mod lanes;
mod mllp;
mod model;
mod network;
mod on_purpose;
mod owners;
mod power;
mod pretend;
mod replay;
mod retention;
mod rules;
mod simulation;
mod slow;
mod told;
