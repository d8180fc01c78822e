#![doc = include_str!("../README.md")]

mod act;
mod address;
mod app;
mod assets;
mod badge;
mod check;
mod connections;
mod convert;
mod detail;
mod editor;
mod error_page;
mod events;
mod filter;
mod generate;
mod headers;
mod history;
mod line;
mod list;
mod login;
mod names;
mod order;
mod orders;
mod outbox;
mod patient;
mod reading;
mod router;
mod search;
mod send;
mod text;
mod tools_api;
mod tree;
mod wall;
mod words;
mod worklist;

pub use app::{Modalities, WebApp, WebLimits};
pub use router::router;
