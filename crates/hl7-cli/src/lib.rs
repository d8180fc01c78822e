#![doc = include_str!("../README.md")]

mod color;
mod output;
mod page;
mod signals;
pub mod units;

pub use color::{Color, ERROR, WARNING};
pub use output::{print_bytes, print_line, unless_gone};
pub use page::Page;
pub use signals::{INTERRUPTED, Signals};
