//! What a connection costs without a store: an echo, and a server that only acknowledges.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use hl7_message::{AckCode, Message, Reply, Timestamp};
use hl7_mllp::{Answer, NoObserver, Request, ServerConfig, handler_fn, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Sends every byte back.
///
/// # Errors
///
/// No port is free.
pub async fn start_echo() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                let mut buffer = vec![0; 16 << 10];
                loop {
                    let read = stream.read(&mut buffer).await?;
                    if read == 0 {
                        return std::io::Result::Ok(());
                    }
                    stream
                        .write_all(buffer.get(..read).unwrap_or_default())
                        .await?;
                }
            });
        }
    });
    Ok(address)
}

/// Reads every message and acknowledges it, storing nothing.
///
/// # Errors
///
/// No port is free.
pub async fn start_acknowledging() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    acknowledge(listener, Arc::default());
    Ok(address)
}

/// The same on a socket that listens already; counts.
pub fn acknowledge(listener: TcpListener, count: Arc<AtomicUsize>) {
    let responder = Arc::new(medsynapse::Profile::default().responder);
    let now = Timestamp::from_date(2023, 6, 14).unwrap_or_else(|| unreachable!("a date"));
    let handler = handler_fn(move |request: Request| {
        let responder = Arc::clone(&responder);
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            let Ok(message) = Message::parse(&request.frame) else {
                return Answer::Close;
            };
            let id = request.received_sequence.to_string();
            let reply = Reply::to(&message.header(), &responder, &id, &now);
            let ack = reply.write(AckCode::ApplicationAccept, "Order registered.", &[]);
            Answer::Reply(ack.into())
        }
    });
    tokio::spawn(serve(
        listener,
        Arc::new(handler),
        ServerConfig::default(),
        Arc::new(NoObserver),
        CancellationToken::new(),
    ));
}
