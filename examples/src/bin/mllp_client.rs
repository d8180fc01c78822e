//! Sends a message from standard input over MLLP and prints the answer.
//!
//! ```text
//! cargo run -p medsynapse-examples --bin mllp_client -- 127.0.0.1:2575 < order.hl7
//! ```

#![expect(clippy::print_stdout, reason = "it prints")]

use std::io::Read;

use anyhow::{Context, Result};
use hl7_mllp::{Client, ClientConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let address = std::env::args()
        .nth(1)
        .context("usage: mllp_client HOST:PORT < message.hl7")?;
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;

    let mut client = Client::connect(&address, ClientConfig::default()).await?;
    let answer = client.exchange(&message).await?;
    println!(
        "{}",
        String::from_utf8_lossy(&answer)
            .replace('\r', "\n")
            .trim_end()
    );
    Ok(())
}
