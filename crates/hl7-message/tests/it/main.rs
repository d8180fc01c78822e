//! Messages of other people's systems, read as an independent reading of the standard reads them.
#![cfg(test)]

mod charsets;
mod corpus;
mod dictionary;
mod properties;
mod survives;
