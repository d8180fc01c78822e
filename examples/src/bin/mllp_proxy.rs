//! Stands between senders and a receiver, passes everything on and prints control ids and
//! verdicts: nothing else of a message.
//!
//! ```text
//! cargo run -p medsynapse-examples --bin mllp_proxy -- 127.0.0.1:2500 ris.example:2575
//! ```

#![expect(clippy::print_stdout, reason = "it prints")]

use std::sync::Arc;

use anyhow::{Context, Result};
use hl7_mllp::correlate::{Correlate, Hl7};
use hl7_mllp::{Answer, ClientConfig, Link, NoObserver, Request, ServerConfig, handler_fn, serve};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: mllp_proxy LISTEN:PORT RECEIVER:PORT";
    let listener = tokio::net::TcpListener::bind(arguments.next().context(usage)?).await?;
    let receiver = arguments.next().context(usage)?;
    println!("listening on {}", listener.local_addr()?);

    // One connection to the receiver, made when it is needed and made anew when it breaks.
    let link = Arc::new(Mutex::new(Link::new(receiver, ClientConfig::default())));
    let handler = handler_fn(move |request: Request| {
        let link = Arc::clone(&link);
        async move { pass_on(&request, &mut *link.lock().await).await }
    });
    let (config, stop) = (ServerConfig::default(), CancellationToken::new());
    println!(
        "{}",
        serve(
            listener,
            Arc::new(handler),
            config,
            Arc::new(NoObserver),
            stop
        )
        .await?
    );
    Ok(())
}

async fn pass_on(request: &Request, link: &mut Link) -> Answer {
    let id = String::from_utf8_lossy(Hl7.control_id(&request.frame).unwrap_or(b"?"));
    match link.submit(&request.frame).await {
        Ok(exchange) => {
            println!("{id:?} {:?}", exchange.verdict);
            Answer::Reply(exchange.answer)
        }
        // The sender hears what the proxy hears: nothing. It will send the message again.
        Err(error) => {
            println!("{id:?} {error}");
            Answer::Close
        }
    }
}
