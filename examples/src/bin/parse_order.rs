//! Reads an order from standard input and prints who, what and when.
//!
//! ```text
//! cargo run -p medsynapse-examples --bin parse_order < crates/hl7-corpus/data/orm_new.hl7
//! ```

#![expect(clippy::print_stdout, reason = "it prints")]

use std::io::Read;

use anyhow::{Context, Result};
use hl7_message::{Location, Message, Value, loc};

fn main() -> Result<()> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let message = Message::parse(&bytes).context("standard input is not an HL7 message")?;

    let show = |name: &str, at: Location| match message.value(at) {
        Value::Absent => println!("{name:<18} {at:<8} (not sent)"),
        Value::Null => println!("{name:<18} {at:<8} (deleted)"),
        Value::Text(text) => {
            println!(
                "{name:<18} {at:<8} {}",
                String::from_utf8_lossy(&text.unescape())
            );
        }
    };
    show("Patient ID", loc!("PID-3"));
    show("Family name", loc!("PID-5.1"));
    show("Accession Number", loc!("OBR-2"));
    show("Procedure", loc!("OBR-4.2"));
    show("Modality", loc!("OBR-24"));
    show("Start", loc!("OBR-36"));
    Ok(())
}
