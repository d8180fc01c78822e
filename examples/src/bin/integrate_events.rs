//! Prints the events of orders and reports, and goes on where it stopped the last time.
//!
//! ```text
//! BROKER=http://127.0.0.1:3000 BROKER_KEY=msk_... integrate_events last-id.txt 3
//! ```
//!
//! The file keeps the id of the last event that was dealt with: what happens while this program is
//! away, or while the link is broken, comes later and nothing comes twice. The number, if given,
//! ends the program after so many events.

#![expect(clippy::print_stdout, reason = "it prints")]
#![expect(
    clippy::disallowed_methods,
    reason = "a small program reads its environment itself"
)]

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const TYPES: &str = "order.*,report.*";
/// A comment comes every 15 seconds at the least.
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .context("usage: integrate_events FILE [COUNT]")?;
    let mut left: u64 = arguments.next().map_or(Ok(0), |count| count.parse())?;
    loop {
        match follow(&path, &mut left).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.is::<reqwest::Error>() => eprintln!("again in 2 s: {error}"),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// What your program does with an event: here it prints it.
fn deal_with(event: &Value) {
    let text = |name| event.get(name).and_then(Value::as_str).unwrap_or_default();
    println!("{} {}", text("type"), text("accessionNumber"));
}

/// One connection, from the last event on; whether enough was seen.
async fn follow(path: &str, left: &mut u64) -> Result<bool> {
    let broker = std::env::var("BROKER").unwrap_or_else(|_| "http://127.0.0.1:3000".into());
    // Without the file: from the beginning of the log.
    let last = std::fs::read_to_string(path).unwrap_or_else(|_| "0".into());
    let client = reqwest::Client::builder().read_timeout(PATIENCE).build()?;
    let mut request = client
        .get(format!("{broker}/api/v1/events?types={TYPES}"))
        .header("last-event-id", last.trim());
    if let Ok(key) = std::env::var("BROKER_KEY") {
        request = request.header("x-api-key", key);
    }
    let mut answer = request.send().await?;
    if !answer.status().is_success() {
        bail!("{}: {}", answer.status(), answer.text().await?);
    }
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        bytes.extend_from_slice(&piece);
        // An event ends with an empty line; the rest of the bytes is the start of the next one.
        while let Some(end) = bytes.windows(2).position(|two| two == b"\n\n") {
            let block = String::from_utf8(bytes.drain(..end + 2).collect())?;
            let event: HashMap<&str, &str> = block
                .lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name, value.trim()))
                .collect();
            let (Some(data), Some(id)) = (event.get("data"), event.get("id")) else {
                continue;
            };
            // `lagged`: we were too slow and are told from where to go on.
            let lagged = event.get("event") == Some(&"lagged");
            if !lagged {
                deal_with(&serde_json::from_str(data)?);
            }
            std::fs::write(format!("{path}.new"), id)?;
            std::fs::rename(format!("{path}.new"), path)?;
            if !lagged && *left > 0 {
                *left -= 1;
                if *left == 0 {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}
