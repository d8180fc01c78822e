//! The server as a process: started, used, killed and stopped as people do.
#![cfg(test)]

mod crash;
mod demo;
mod encryption;
mod full;
mod lifecycle;
mod nodes;
mod operations;
mod outgoing;
mod reference;
mod rest;
mod robust;
mod security;
mod senders;
mod server;
mod shared;
mod way;
mod worklist;
