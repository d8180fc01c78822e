//! The program as its users meet it: the real binary against scripted peers on loopback.

#![cfg(test)]

mod basics;
mod broken;
mod conformance;
mod exits;
mod help;
mod http;
mod inputs;
mod listen;
mod load;
mod modality;
mod modality_cycle;
mod peer;
mod program;
mod tls;
