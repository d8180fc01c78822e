//! Answers every message that comes: AA, or AR with the reason, until standard input ends.
//!
//! ```text
//! cargo run -p medsynapse-examples --bin mllp_server -- 127.0.0.1:2575
//! ```

#![expect(clippy::print_stdout, reason = "it prints")]

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use hl7_message::{AckCode, Header, HeaderCheck, Message, Reply, Responder, Situation, Timestamp};
use hl7_mllp::{Answer, NoObserver, Request, ServerConfig, handler_fn, serve};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let address = std::env::args()
        .nth(1)
        .context("usage: mllp_server HOST:PORT")?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let handler = handler_fn(|request: Request| async move {
        answer(&request).map_or(Answer::Nothing, Answer::Reply)
    });
    let (config, stop) = (ServerConfig::default(), CancellationToken::new());
    let running = serve(
        listener,
        Arc::new(handler),
        config,
        Arc::new(NoObserver),
        stop.clone(),
    );
    let end = tokio::task::spawn_blocking(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        stop.cancel();
    });
    println!("{}", running.await?);
    end.await.context("standard input")
}

/// The acknowledgement of a message; none for what is an acknowledgement itself.
fn answer(request: &Request) -> Option<Bytes> {
    let checked = match Message::parse(&request.frame) {
        Ok(message) => HeaderCheck::default().check(&message),
        Err(error) => Err(Situation::of_parse_error(error.kind)),
    };
    let (code, text) = match checked {
        // A real program stores the message here, before it says AA.
        Ok(()) => (AckCode::ApplicationAccept, "Thank you."),
        Err(Situation::Acknowledgement) => return None,
        Err(situation) => (AckCode::ApplicationReject, situation.text()),
    };
    let responder = Responder {
        application: "MY_APP".into(),
        facility: "MY_FACILITY".into(),
        version: "2.3".into(),
        sequence_number: String::new(),
        country_code: String::new(),
        padded: false,
    };
    let id = format!("{}.{}", request.connection, request.received_sequence);
    let reply = match Header::salvage(&request.frame) {
        Some(header) => Reply::to(&header, &responder, &id, &now()?),
        None => Reply::to_nobody(&responder, &id, &now()?),
    };
    Some(reply.write(code, text, &[]).into())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a small program asks the clock itself"
)]
fn now() -> Option<Timestamp> {
    let now = chrono::Utc::now().format("%Y%m%d%H%M%S").to_string();
    Timestamp::parse(now.as_bytes()).ok()
}
