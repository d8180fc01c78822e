#![cfg(test)]
//! The pages over real sockets and a real database.

mod bed;
mod connections;
mod detail;
mod docs;
mod hostile;
mod list;
mod live;
mod order;
mod tools;
mod work;
mod worklist;
