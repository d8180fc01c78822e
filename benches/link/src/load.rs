//! Sixteen senders, each with one message on its way.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hl7_corpus::orm_new;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const CONNECTIONS: usize = 16;

pub(crate) fn request() -> Vec<u8> {
    [b"\x0b", orm_new.bytes, b"\x1c\r"].concat()
}

pub(crate) async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends the order and reads what comes, up to the end of a block.
pub(crate) async fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
    room: &mut [u8],
) -> Result<()> {
    stream.write_all(request).await?;
    let mut filled = 0;
    // An answer is shorter than the room for it; a server that repeats all it ever answered is not.
    while !room[..filled].ends_with(b"\x1c\r") {
        ensure!(filled < room.len(), "answers to older messages again");
        let read = stream.read(&mut room[filled..]).await?;
        ensure!(read > 0, "the server closed the connection");
        filled += read;
    }
    Ok(())
}

/// Answers a second over all connections together, and how many there were.
pub(crate) fn rate(address: SocketAddr, time: Duration) -> Result<(f64, u64)> {
    rate_over(address, time, false)
}

/// The same, with a new connection for every message if so wished.
fn rate_over(address: SocketAddr, time: Duration, anew: bool) -> Result<(f64, u64)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let end = Instant::now() + time;
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                tokio::spawn(async move {
                    let mut stream = connect(address).await?;
                    let (request, mut room, mut count) = (request(), vec![0; 4096], 0_u64);
                    while Instant::now() < end {
                        if anew && count > 0 {
                            stream = connect(address).await?;
                        }
                        exchange(&mut stream, &request, &mut room).await?;
                        count += 1;
                    }
                    anyhow::Ok(count)
                })
            })
            .collect();
        let begin = Instant::now();
        let mut total = 0;
        for sender in senders {
            total += sender.await??;
        }
        Ok((total as f64 / begin.elapsed().as_secs_f64(), total))
    })
}

pub(crate) fn print(address: SocketAddr, name: &str) -> Result<()> {
    let kept = rate(address, Duration::from_secs(2)).map(|(rate, _)| rate);
    let (anew, _) = rate_over(address, Duration::from_secs(1), true)?;
    match kept {
        Ok(kept) => println!("| {name} | {kept:.0} | {anew:.0} |"),
        Err(error) => println!("| {name} | {error} | {anew:.0} |"),
    }
    Ok(())
}
