//! Orders a CT by JSON, looks it up, and hands in its report.
//!
//! ```text
//! BROKER=http://127.0.0.1:3000 BROKER_KEY=msk_... integrate_orders
//! ```

#![expect(clippy::print_stdout, reason = "it prints")]
#![expect(
    clippy::disallowed_methods,
    reason = "a small program reads its environment itself"
)]

use std::time::Duration;

use anyhow::{Result, bail};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let broker = std::env::var("BROKER").unwrap_or_else(|_| "http://127.0.0.1:3000".into());
    let client = Client::builder().timeout(Duration::from_secs(30)).build()?;

    let order = json!({ "order": {
        "patient": { "id": "PAT-RS", "name": "LIND, EVA", "gender": "F", "dateOfBirth": "19811230" },
        "study": { "description": "CT CHEST", "priority": "ROUTINE" },
    }});
    // The same key again gives the same answer again: a time-out is no reason to order twice. Make
    // it once for each order, and keep it with the order until there is an answer.
    let key = format!("order-{}", uuid::Uuid::now_v7());
    let request = client.post(format!("{broker}/api/orders")).json(&order);
    let made = call(request.header("idempotency-key", key)).await?;
    let number = text(&made, "/order/accessionNumber");
    println!(
        "{number} {} {}",
        text(&made, "/ack/code"),
        text(&made, "/ack/text")
    );

    let known = call(client.get(format!("{broker}/api/v1/orders/{number}"))).await?;
    println!(
        "{number} {} {}",
        text(&known, "/status"),
        text(&known, "/study/modality")
    );

    let report = json!({
        "status": "final", "report": { "content": "Normal study.\nLungs are clear." },
    });
    let path = format!("{broker}/api/v1/orders/{number}/status");
    let done = call(client.post(path).json(&report)).await?;
    println!(
        "{number} {} {}",
        text(&done, "/outcome"),
        text(&done, "/reportStatus")
    );
    Ok(())
}

/// One request; an error of the broker is told with everything that is wrong.
async fn call(mut request: RequestBuilder) -> Result<Value> {
    if let Ok(key) = std::env::var("BROKER_KEY") {
        request = request.header("x-api-key", key);
    }
    let answer = request.send().await?;
    let good = answer.status().is_success();
    let said: Value = answer.json().await?;
    if good {
        return Ok(said);
    }
    for place in said
        .pointer("/hl7")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        eprintln!("{}: {}", text(place, "/path"), text(place, "/message"));
    }
    bail!("{}", text(&said, "/error"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
