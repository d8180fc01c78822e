//! Reads a message from standard input and writes it as JSON, losslessly.
//!
//! ```text
//! cargo run -p medsynapse-examples --bin hl7_to_json < crates/hl7-corpus/data/orm_new.hl7
//! ```

#![expect(clippy::print_stdout, reason = "it prints")]

use std::io::Read;

use anyhow::{Context, Result};
use hl7_message::Message;

fn main() -> Result<()> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let message = Message::parse(&bytes).context("standard input is not an HL7 message")?;
    println!("{}", hl7_json::to_raw(&message));
    Ok(())
}
