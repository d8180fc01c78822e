#![doc = include_str!("../README.md")]

mod address;
mod app;
mod assets;
mod badge;
mod detail;
mod error_page;
mod events;
mod headers;
mod line;
mod list;
mod names;
mod order;
mod reading;
mod router;
mod search;
mod text;
mod tree;
mod wall;
mod words;

pub use app::{WebApp, WebLimits};
pub use router::router;
