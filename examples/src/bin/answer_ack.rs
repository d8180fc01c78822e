//! Reads a message from standard input and writes the acknowledgement that accepts it.
//!
//! ```text
//! cargo run -p medsynapse-examples --bin answer_ack < crates/hl7-corpus/data/orm_new.hl7
//! ```

use std::io::{Read, Write};

use anyhow::{Context, Result};
use hl7_message::{AckCode, Message, Reply, Responder, Timestamp};

fn main() -> Result<()> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let message = Message::parse(&bytes).context("standard input is not an HL7 message")?;

    let responder = Responder {
        application: "MY_APP".into(),
        facility: "MY_FACILITY".into(),
        version: "2.3".into(),
        sequence_number: String::new(),
        country_code: String::new(),
        padded: false,
    };
    // A real program asks its clock and counts its control ids.
    let now = Timestamp::from_civil((2023, 6, 14), (13, 14, 16)).context("a moment")?;
    let reply = Reply::to(&message.header(), &responder, "1", &now);
    let ack = reply.write(AckCode::ApplicationAccept, "Thank you.", &[]);
    std::io::stdout().write_all(&ack)?;
    Ok(())
}
