//! HL7 over MLLP: sends a message as a RIS does, or receives as one.
//!
//! ```text
//! integrate_mllp send 127.0.0.1:2575 order.hl7
//! integrate_mllp listen 127.0.0.1:2576 received.hl7 1
//! ```

#![expect(clippy::print_stdout, reason = "it prints")]

use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hl7_message::{Ack, AckCode, Message, Reply, Responder, Timestamp, loc};
use hl7_mllp::{Answer, ClientConfig, Link, NoObserver, Request, RetryPolicy, ServerConfig};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["send", address, path] => send(address, path).await,
        ["listen", address, path, count] => listen(address, path, count.parse()?).await,
        _ => bail!("usage: integrate_mllp send HOST:PORT FILE | listen HOST:PORT FILE COUNT"),
    }
}

async fn send(address: &str, path: &str) -> Result<()> {
    // Files have line feeds, the wire has carriage returns.
    let text = std::fs::read(path).with_context(|| format!("reading {path}"))?;
    let lines = text.split(|byte| matches!(byte, b'\r' | b'\n'));
    let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
    let message = [lines.join(&b'\r'), b"\r".to_vec()].concat();
    Message::parse(&message).with_context(|| format!("{path} is not a message"))?;

    // Whether the broker has it after a failure is not known. The same bytes again do no harm.
    let policy = RetryPolicy {
        attempts_max: Some(3),
        ..RetryPolicy::default()
    };
    let mut link = Link::new(address, ClientConfig::default());
    let random = || 0;
    let failed = |attempt, error: &_| eprintln!("try {attempt} of 3: {error}");
    // The link compares MSA-2 with MSH-10: this is the answer to this message.
    let exchange = link.deliver(&message, &policy, random, failed).await?;
    let answer = Message::parse(&exchange.answer)?;
    let ack = Ack::parse(&answer)?;
    let (code, text) = (ack.code.as_str(), String::from_utf8_lossy(&ack.text));
    println!("{code} {text}");
    anyhow::ensure!(ack.code.is_accept(), "not accepted");
    Ok(())
}

async fn listen(address: &str, path: &str, count: usize) -> Result<()> {
    let file = File::options().append(true).create(true).open(path)?;
    let kept = Arc::new(Mutex::new((file, count)));
    let stop = CancellationToken::new();
    let ended = stop.clone();
    let handler = hl7_mllp::handler_fn(move |request: Request| {
        let answer = receive(&request.frame, &kept, &ended);
        async move { answer.map_or(Answer::Nothing, Answer::Reply) }
    });
    let listener = tokio::net::TcpListener::bind(address).await?;
    let (config, observer) = (ServerConfig::default(), Arc::new(NoObserver));
    hl7_mllp::serve(listener, Arc::new(handler), config, observer, stop).await?;
    Ok(())
}

/// Keeps a message and gives its acknowledgement; nothing where it cannot be kept, so that it comes
/// again.
fn receive(frame: &Bytes, kept: &Mutex<(File, usize)>, stop: &CancellationToken) -> Option<Bytes> {
    let message = Message::parse(frame).ok()?;
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let (file, left) = &mut *kept;
    // On the disk first, then AA: the sender forgets the message from there on.
    let text: Vec<u8> = frame
        .iter()
        .map(|&byte| if byte == b'\r' { b'\n' } else { byte })
        .collect();
    file.write_all(&[&text[..], b"\n"].concat()).ok()?;
    file.sync_data().ok()?;
    let field = |place| String::from_utf8_lossy(message.raw(place).unwrap_or_default());
    println!("{} {}", field(loc!("MSH-9")), field(loc!("OBX-11")));
    *left = left.saturating_sub(1);
    if *left == 0 {
        stop.cancel();
    }
    let responder = Responder {
        application: "MY_RIS".into(),
        facility: "HOSPITAL".into(),
        version: "2.3".into(),
        sequence_number: String::new(),
        country_code: String::new(),
        padded: false,
    };
    let now = now()?;
    let id = format!("{}.{left}", std::process::id());
    let reply = Reply::to(&message.header(), &responder, &id, &now);
    Some(
        reply
            .write(AckCode::ApplicationAccept, "Received.", &[])
            .into(),
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "a small program asks the clock itself"
)]
fn now() -> Option<Timestamp> {
    let now = chrono::Utc::now().format("%Y%m%d%H%M%S").to_string();
    Timestamp::parse(now.as_bytes()).ok()
}
