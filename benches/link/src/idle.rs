//! What ten thousand idle connections cost: memory, and the busy ones' time.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hl7_mllp::correlate::{Correlate, Hl7};
use hl7_mllp::{Answer, NoObserver, Request, ServerConfig, handler_fn, serve};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{MissedTickBehavior, interval};

use crate::load::{CONNECTIONS, connect, exchange, request};

/// Limits on open files are often 20,000 a process; the peers live in a process of their own.
const IDLE: usize = 10_000;
/// Each busy sender sends a message this often.
const PACE: Duration = Duration::from_millis(5);
const MEASURED: Duration = Duration::from_secs(3);

/// Resident memory of this process, in bytes.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kilobytes = line
        .and_then(|line| line.split_whitespace().nth(1))
        .context("VmRSS")?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}

/// The other process: makes connections, sends a message over each when told to, and keeps them.
pub(crate) fn hold(address: SocketAddr, count: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut held = Vec::with_capacity(count);
        for _ in 0..count {
            held.push(connect(address).await?);
        }
        println!("connected");
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while lines.next_line().await?.is_some() {
            let (request, mut room) = (request(), vec![0; 4096]);
            for stream in &mut held {
                exchange(stream, &request, &mut room).await?;
            }
            println!("exchanged");
        }
        Ok(())
    })
}

/// p50 and p99 of sixteen senders at their pace.
async fn latency(address: SocketAddr) -> Result<(Duration, Duration)> {
    let end = Instant::now() + MEASURED;
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            tokio::spawn(async move {
                let mut stream = connect(address).await?;
                let (request, mut room) = (request(), vec![0; 4096]);
                let (mut ticks, mut seen) = (interval(PACE), Vec::new());
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while Instant::now() < end {
                    ticks.tick().await;
                    let sent = Instant::now();
                    exchange(&mut stream, &request, &mut room).await?;
                    seen.push(sent.elapsed());
                }
                anyhow::Ok(seen)
            })
        })
        .collect();
    let mut all = Vec::new();
    for sender in senders {
        all.extend(sender.await??);
    }
    all.sort_unstable();
    let at = |share: usize| {
        all.get(all.len() * share / 100)
            .copied()
            .unwrap_or_default()
    };
    Ok((at(50), at(99)))
}

struct Idle {
    child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Idle {
    async fn start(address: SocketAddr) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["hold", &address.to_string(), &IDLE.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let mut idle = Self { child, lines };
        idle.says("connected").await?;
        Ok(idle)
    }

    async fn says(&mut self, expected: &str) -> Result<()> {
        let line = self.lines.next_line().await?;
        ensure!(
            line.as_deref() == Some(expected),
            "the other process failed; is the limit on open files above 10,100 (ulimit -n)?"
        );
        Ok(())
    }

    async fn exchange(&mut self) -> Result<()> {
        let input = self.child.stdin.as_mut().context("its input")?;
        input.write_all(b"\n").await?;
        self.says("exchanged").await
    }
}

pub(crate) fn print() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let config = ServerConfig {
        connections_max: 2 * IDLE,
        connections_per_address_max: 2 * IDLE,
        ..ServerConfig::default()
    };
    let handler = handler_fn(|request: Request| async move {
        let id = Hl7.control_id(&request.frame).unwrap_or_default();
        Answer::Reply(
            [b"MSH|^~\\&|B||A||1||ACK|1|P|2.3\rMSA|AA|", id, b"|\r"]
                .concat()
                .into(),
        )
    });
    tokio::spawn(serve(
        listener,
        Arc::new(handler),
        config,
        Arc::new(NoObserver),
        Default::default(),
    ));

    latency(address).await?;
    let alone_before = latency(address).await?;
    let empty = resident()?;
    let mut idle = Idle::start(address).await?;
    let connected = resident()?;
    idle.exchange().await?;
    let exchanged = resident()?;
    let beside = latency(address).await?;
    let beside_again = latency(address).await?;
    drop(idle);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let alone_after = latency(address).await?;

    let each = |bytes: u64| bytes.saturating_sub(empty) as f64 / IDLE as f64 / 1024.0;
    let better = |one: (Duration, Duration), other: (Duration, Duration)| {
        (one.0.min(other.0), one.1.min(other.1))
    };
    let (alone, beside) = (
        better(alone_before, alone_after),
        better(beside, beside_again),
    );
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!("\n### {IDLE} idle connections beside {CONNECTIONS} busy ones\n");
    println!("| figure | value | aim |\n|---|---|---|");
    println!(
        "| memory for one, connected | {:.2} KiB | 6 KiB |",
        each(connected)
    );
    println!(
        "| memory for one, after a message each | {:.2} KiB | 6 KiB |",
        each(exchanged)
    );
    println!(
        "| the process with all of them | {:.1} MiB | 60 MiB |",
        exchanged as f64 / 1048576.0
    );
    println!(
        "| p50 of the busy ones: alone, beside | {:.0} µs, {:.0} µs | |",
        micros(alone.0),
        micros(beside.0)
    );
    println!(
        "| p99 of the busy ones: alone, beside | {:.0} µs, {:.0} µs ({:.2}×) | 1.1× |",
        micros(alone.1),
        micros(beside.1),
        micros(beside.1) / micros(alone.1)
    );
    println!(
        "\nEach busy connection sends a message every {} ms; server and busy senders share",
        PACE.as_millis()
    );
    println!("one process, so its memory is that of both. The lower of two measurements counts.");
    Ok(())
}
