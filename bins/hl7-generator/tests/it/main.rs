//! The program as its users meet it: the real binary, its files and its exit codes.

#![cfg(test)]

mod basics;
mod formats;
mod options;
mod program;
