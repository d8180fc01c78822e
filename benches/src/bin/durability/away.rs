//! A RIS that is away: what the queue costs in memory, and how fast it empties.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use medsynapse_benches::echo;
use medsynapse_benches::load::{self, Load, Pace};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use medsynapse_benches::server::Server;

/// Orders that the messages are about.
const ORDERS: usize = 1_000;

/// Connections that say so.
const CONNECTIONS: usize = 64;

pub(crate) struct Away {
    /// Resident memory with so many messages sent at once, and with as many waiting.
    pub(crate) resident: [usize; 2],
    /// Messages a second, when the RIS is back.
    pub(crate) drained: f64,
}

/// The same work twice: with a RIS that answers, and with one that comes when all is queued.
pub(crate) async fn run(
    program: &Path,
    fresh: impl Fn() -> std::path::PathBuf,
    messages: usize,
) -> Result<Away> {
    let mut resident = [0; 2];
    let mut drained = 0.0;
    for (slot, away) in resident.iter_mut().zip([false, true]) {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let ris = listener.local_addr()?;
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let there = |listener| echo::acknowledge(listener, Arc::clone(&acknowledged));
        if away {
            drop(listener);
        } else {
            there(listener);
        }
        let destination =
            format!("[[destinations]]\nname = \"ris\"\naddress = \"{ris}\"\nretry_max_secs = 2\n");
        let server = Server::start_with(program, &fresh(), &destination)?;
        let load = Load {
            connections: 16,
            window: 1,
            pace: Pace::Closed,
        };
        load.run(server.mllp, load::orders("W", ORDERS)).await?;
        act(server.rest, messages).await?;
        if !away {
            all(&acknowledged, messages).await?;
        }
        *slot = server.resident()?;
        if away {
            let listener = TcpListener::bind(ris).await?;
            there(listener);
            // The broker looks again within two seconds; what counts is from the first message on.
            all(&acknowledged, 1).await?;
            let (from, start) = (acknowledged.load(Ordering::Relaxed), Instant::now());
            all(&acknowledged, messages).await?;
            drained = medsynapse_benches::count(messages - from) / start.elapsed().as_secs_f64();
        }
    }
    Ok(Away { resident, drained })
}

/// Waits until so many were acknowledged.
async fn all(acknowledged: &AtomicUsize, messages: usize) -> Result<()> {
    let mut last = (0, Instant::now());
    loop {
        let now = acknowledged.load(Ordering::Relaxed);
        if now >= messages {
            return Ok(());
        }
        if now > last.0 {
            last = (now, Instant::now());
        }
        ensure!(
            last.1.elapsed() < Duration::from_secs(30),
            "the RIS got {now} messages of {messages}, and no more"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Says of one order after the other that it was read; each puts one message into the queue.
async fn act(rest: SocketAddr, messages: usize) -> Result<()> {
    let mut tasks = Vec::new();
    for connection in 0..CONNECTIONS {
        tasks.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(rest).await?;
            stream.set_nodelay(true)?;
            let mut unread = Vec::new();
            for number in (connection..messages).step_by(CONNECTIONS) {
                let order = load::accession_number("W", number % ORDERS);
                let body = r#"{"status": "read"}"#;
                let request = format!(
                    "POST /api/v1/orders/{order}/status HTTP/1.1\r\nHost: localhost\r\n\
                     Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(request.as_bytes()).await?;
                answered(&mut stream, &mut unread).await?;
            }
            anyhow::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// Reads one answer.
async fn answered(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Result<()> {
    unread.clear();
    loop {
        if stream.read_buf(unread).await? == 0 {
            bail!("the connection was closed");
        }
        let text = String::from_utf8_lossy(unread).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        ensure!(head.starts_with("http/1.1 200"), "answered {text:.200}");
        let length = head.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.lines().next());
        let length: usize = length.context("no length")?.trim().parse()?;
        if body.len() >= length {
            return Ok(());
        }
    }
}
