//! The server as a process: started, used, killed and stopped as people do.
#![cfg(test)]

mod lifecycle;
mod operations;
mod robust;
mod server;
