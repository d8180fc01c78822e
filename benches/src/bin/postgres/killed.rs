//! Three servers as processes, senders over MLLP that connect again, and one server that is killed.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use medsynapse_benches::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::around::{Around, SETTLED, WARM_UP};
use crate::brokers::{Answers, order};

/// Longest wait for an answer, or for the senders to end.
const PATIENCE: Duration = Duration::from_secs(15);
/// Before a sender tries again.
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) async fn run(program: &Path, url: &str, senders: usize, window: u64) -> Result<Around> {
    let data = tempfile::tempdir()?;
    let mut servers = Vec::new();
    for name in ["a", "b", "c"] {
        let more = format!("[database]\nurl = \"{url}\"\nnode = \"{name}\"\n");
        servers.push(Server::start_with(program, &data.path().join(name), &more)?);
    }
    let addresses: Arc<[SocketAddr]> = servers.iter().map(|server| server.mllp).collect();
    let mut tasks = JoinSet::new();
    let front = split(addresses, &mut tasks).await?;
    let stop = Arc::<AtomicBool>::default();
    let mut set = JoinSet::new();
    for number in 0..senders {
        set.spawn(send(front, number, Arc::clone(&stop)));
    }
    tokio::time::sleep(WARM_UP).await;
    let begin = Instant::now();
    tokio::time::sleep(Duration::from_secs(window)).await;
    let (moment, victim) = (Instant::now(), servers.swap_remove(1));
    tokio::task::spawn_blocking(|| victim.kill()).await??;
    tokio::time::sleep(Duration::from_secs(SETTLED + window)).await;
    stop.store(true, Ordering::Relaxed);
    let mut answers = Answers::new();
    let all = async {
        while let Some(some) = set.join_next().await {
            answers.extend(some?);
        }
        anyhow::Ok(())
    };
    let ended = tokio::time::timeout(2 * PATIENCE, all).await;
    ended.context("a sender has no answer")??;
    ensure!(!answers.is_empty(), "no message was acknowledged");
    Ok(Around::of(&answers, begin, moment, window))
}

/// A balancer as small as can be: one server after the other, those that do not accept passed over.
async fn split(servers: Arc<[SocketAddr]>, tasks: &mut JoinSet<()>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        let next = AtomicUsize::new(0);
        let mut carried = JoinSet::new();
        while let Ok((outside, _)) = listener.accept().await {
            let first = next.fetch_add(1, Ordering::Relaxed);
            carried.spawn(carry(outside, Arc::clone(&servers), first));
        }
    });
    Ok(address)
}

async fn carry(mut outside: TcpStream, servers: Arc<[SocketAddr]>, first: usize) {
    for server in servers
        .iter()
        .cycle()
        .skip(first % servers.len())
        .take(servers.len())
    {
        if let Ok(mut inside) = TcpStream::connect(server).await {
            // Small frames go out at once; a system that cannot do that is slower.
            let _ = (outside.set_nodelay(true), inside.set_nodelay(true));
            // Ends with either of them.
            let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            return;
        }
    }
}

/// One message after the other, each again until it is acknowledged; its time is from the first try.
async fn send(front: SocketAddr, number: usize, stop: Arc<AtomicBool>) -> Answers {
    let mut answers = Answers::new();
    let mut stream = None;
    for turn in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let message = order(&format!("K{number}T{turn}"));
        let frame = [b"\x0B", message.as_bytes(), b"\x1C\r"].concat();
        let began = Instant::now();
        while !exchange(front, &mut stream, &frame).await.unwrap_or(false) {
            stream = None;
            if stop.load(Ordering::Relaxed) {
                return answers;
            }
            tokio::time::sleep(PAUSE).await;
        }
        answers.push((began, began.elapsed()));
    }
    answers
}

/// Whether it was acknowledged.
async fn exchange(
    front: SocketAddr,
    stream: &mut Option<TcpStream>,
    frame: &[u8],
) -> std::io::Result<bool> {
    let stream = if let Some(stream) = stream {
        stream
    } else {
        let fresh = TcpStream::connect(front).await?;
        fresh.set_nodelay(true)?;
        stream.insert(fresh)
    };
    stream.write_all(frame).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x1C\r") {
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut answer)).await??;
        if read == 0 {
            return Ok(false);
        }
    }
    Ok(answer.windows(8).any(|part| part == b"\rMSA|AA|"))
}
