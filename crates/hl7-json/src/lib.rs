#![doc = include_str!("../README.md")]

mod error;
mod paths;
mod raw;
mod text;

pub use error::{InLeaf, Misshapen, RawError};
pub use paths::{Paths, to_paths};
pub use raw::{
    Decoded, FORMAT, FORMAT_DECODED, Raw, SCHEMA, append_raw, from_raw, to_raw, write_raw,
};
