//! Senders: closed loop with a window, or open loop at a rate.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How fast messages go out.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// As fast as answers come.
    Closed,
    /// So many a second in all; latency counts from when a message was due.
    Open(u64),
}

/// How much, over how many connections.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Connections at the same time.
    pub connections: usize,
    /// Messages without an answer on a connection, at most.
    pub window: usize,
    /// How fast.
    pub pace: Pace,
}

/// What a load did.
#[derive(Debug)]
pub struct Done {
    /// Of each message, from when it was due to its answer.
    pub latencies: Vec<Duration>,
    elapsed: Duration,
}

impl Done {
    /// Messages a second.
    pub fn rate(&self) -> f64 {
        crate::count(self.latencies.len()) / self.elapsed.as_secs_f64()
    }
}

/// Framed orders, each of a patient of its own.
pub fn orders(name: &str, count: usize) -> Vec<Vec<u8>> {
    let order = |n: usize| {
        let text = format!(
            "MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20230614131415||ORM^O01|{name}-{n}|P|2.3\r\
             PID|1||{name}P{n}^^^HOSPITAL||SMITH^JOHN^A||19800101|M|||12 MAIN ST^^SPRINGFIELD^IL^62701||5551234|||||ADM{n}\r\
             PV1|1|O|RAD^^^HOSPITAL||||1234^WELBY^MARCUS|5678^KILDARE^JAMES||||||||||||70\r\
             ORC|NW|{name}A{n}|F{n}||||||20230614131415|||5678^KILDARE^JAMES|||||HOSP^GENERAL HOSPITAL\r\
             OBR|1|{name}A{n}||CT123^CT CHEST WITH CONTRAST|ROUTINE||||||||||CT CHEST|||CT ROOM 1|RP{n}|ROOM1|CT1|||CT\
             |||||||^PERSISTENT COUGH|||DOE||20230614132030\r\
             ZDS|1.2.840.113619.2.1.{n}.1^^Application^DICOM\r"
        );
        [b"\x0B", text.as_bytes(), b"\x1C\r"].concat()
    };
    (0..count).map(order).collect()
}

/// The accession number of one of them.
pub fn accession_number(name: &str, number: usize) -> String {
    format!("{name}A{number}")
}

/// In microseconds.
pub fn percentile(latencies: &[Duration], percent: f64) -> f64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the length"
    )]
    let at = (crate::count(sorted.len()) * percent / 100.0) as usize;
    let found = sorted.get(at.min(sorted.len().saturating_sub(1)));
    found.map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
}

/// Opens connections that say nothing.
///
/// # Errors
///
/// One that cannot be opened.
pub async fn open(address: SocketAddr, count: usize) -> Result<Vec<TcpStream>> {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = TcpStream::connect(address).await;
        open.push(stream.context("one more connection; see ulimit -n")?);
    }
    // The server has seen the last one when it answers on it; a moment will do.
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(open)
}

impl Load {
    /// Sends these messages, framed already, and waits for an answer to each.
    ///
    /// # Errors
    ///
    /// A connection that cannot be opened or breaks, or an answer that does not come.
    pub async fn run(&self, address: SocketAddr, messages: Vec<Vec<u8>>) -> Result<Done> {
        let mut parts: Vec<Vec<(usize, Vec<u8>)>> = vec![Vec::new(); self.connections];
        for (n, message) in messages.into_iter().enumerate() {
            if let Some(part) = parts.get_mut(n % self.connections) {
                part.push((n, message));
            }
        }
        let mut streams = Vec::new();
        for _ in 0..self.connections {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let start = Instant::now();
        let mut set = JoinSet::new();
        for (stream, part) in streams.into_iter().zip(parts) {
            set.spawn(connection(stream, part, *self, start));
        }
        let mut latencies = Vec::new();
        while let Some(done) = set.join_next().await {
            latencies.extend(done??);
        }
        let elapsed = start.elapsed();
        Ok(Done { latencies, elapsed })
    }
}

async fn connection(
    mut stream: TcpStream,
    messages: Vec<(usize, Vec<u8>)>,
    load: Load,
    start: Instant,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(messages.len());
    let mut waiting: VecDeque<Instant> = VecDeque::new();
    let mut messages = messages.into_iter().peekable();
    let mut buffer = vec![0; 64 << 10];
    let mut tail = 0;
    let mut out = Vec::new();
    loop {
        let now = Instant::now();
        while waiting.len() < load.window {
            let Some((number, _)) = messages.peek() else {
                break;
            };
            let due = match load.pace {
                Pace::Closed => now,
                Pace::Open(rate) => {
                    start + Duration::from_secs(1) * u32::try_from(*number)? / u32::try_from(rate)?
                }
            };
            if due > now {
                break;
            }
            if let Some((_, message)) = messages.next() {
                out.extend_from_slice(&message);
                waiting.push_back(due);
            }
        }
        if !out.is_empty() {
            stream.write_all(&out).await?;
            out.clear();
        }
        if waiting.is_empty() && messages.peek().is_none() {
            return Ok(latencies);
        }
        let next = match (load.pace, messages.peek()) {
            (Pace::Open(rate), Some((number, _))) => {
                start + Duration::from_secs(1) * u32::try_from(*number)? / u32::try_from(rate)?
            }
            _ => now + PATIENCE,
        };
        let read = tokio::select! {
            read = stream.read(&mut buffer) => read?,
            () = tokio::time::sleep_until(next.into()) => {
                ensure!(next < now + PATIENCE, "no answer in time");
                continue;
            }
        };
        if read == 0 {
            bail!("the server closed the connection");
        }
        let now = Instant::now();
        let bytes = buffer.get(..read).unwrap_or_default();
        for byte in bytes {
            // An end block is FS CR; FS stands nowhere else.
            if *byte == 0x1C {
                tail += 1;
            } else if tail > 0 {
                tail = 0;
                let due = waiting.pop_front().context("an answer too many")?;
                latencies.push(now - due);
            }
        }
    }
}
