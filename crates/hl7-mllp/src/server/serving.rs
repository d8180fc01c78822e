//! [`serve`]: the accept loop and the end of it.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    task::{JoinError, JoinSet},
    time::{timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{admission::Admission, connection::Connection, unfinished::Ledger};
use crate::server::{
    CloseReason, ConnectionEnd, Handler, Listen, Observer, Plain, ServerConfig, ServerSummary,
    Upgrade,
};

const BACK_OFF_FIRST: Duration = Duration::from_millis(5);
const BACK_OFF_CAP: Duration = Duration::from_secs(1);

/// Serves frames until `shutdown` is cancelled, and returns when the last connection has ended.
///
/// After the signal no connection is accepted, every frame that has been read whole is answered,
/// and the connections are closed; what still runs at `drain_deadline` is cut off and counted.
/// A failing `accept` is reported, waited out and tried again, so this returns an error only if
/// the listener cannot be asked for its own address.
///
/// Dropping the future ends all connections at once.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    config: ServerConfig,
    observer: Arc<dyn Observer>,
    shutdown: CancellationToken,
) -> io::Result<ServerSummary> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "frames travel in the clear beyond this machine");
    }
    Ok(serve_on(listener, Plain, handler, config, observer, shutdown).await)
}

/// [`serve`] over connections of any kind.
pub async fn serve_on<L, U, H>(
    mut listener: L,
    upgrade: U,
    handler: Arc<H>,
    config: ServerConfig,
    observer: Arc<dyn Observer>,
    shutdown: CancellationToken,
) -> ServerSummary
where
    L: Listen,
    U: Upgrade<L::Io>,
    H: Handler,
{
    let server = Arc::new(Server {
        ledger: Arc::new(Ledger::new(config.unfinished_bytes_max)),
        config: Arc::new(config),
        upgrade,
        handler,
        observer,
        shutdown: shutdown.clone(),
    });
    let admission = Arc::new(Admission::default());
    let mut summary = ServerSummary::default();
    let mut connections = JoinSet::new();
    let mut back_off = BACK_OFF_FIRST;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next() => {
                note_end(&mut summary, &ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                server.observer.accept_failed(&error);
                tracing::warn!(error = %error.kind(), "accept failed");
                if !of_one_connection(&error) {
                    // Out of file descriptors, most likely: wait for one to come back.
                    let _ = timeout(back_off, shutdown.cancelled()).await;
                    back_off = (back_off * 2).min(BACK_OFF_CAP);
                }
                continue;
            }
        };
        back_off = BACK_OFF_FIRST;
        let place = match admission.admit(peer, &server.config) {
            Ok(place) => place,
            Err(refusal) => {
                summary.refused += 1;
                server.observer.connection_refused(peer, refusal);
                continue;
            }
        };
        if let Err(error) = listener.prepare(&stream, server.config.keepalive) {
            tracing::debug!(error = %error.kind(), "socket options not set");
        }
        summary.connections += 1;
        let id = summary.connections;
        let server = Arc::clone(&server);
        connections.spawn(async move {
            let _place = place;
            server.connection(stream, id, peer).await
        });
    }
    // The port is free from here on.
    drop(listener);
    drain(connections, &mut summary, server.config.drain_deadline).await;
    summary
}

struct Server<U, H> {
    ledger: Arc<Ledger>,
    config: Arc<ServerConfig>,
    upgrade: U,
    handler: Arc<H>,
    observer: Arc<dyn Observer>,
    shutdown: CancellationToken,
}

impl<U, H: Handler> Server<U, H> {
    async fn connection<S>(&self, stream: S, id: u64, peer: std::net::SocketAddr) -> ConnectionEnd
    where
        U: Upgrade<S>,
    {
        self.observer.connection_opened(id, peer);
        tracing::debug!(connection = id, %peer, "connection opened");
        let upgraded = tokio::select! {
            () = self.shutdown.cancelled() => None,
            upgraded = timeout(self.config.handshake_deadline, self.upgrade.upgrade(stream)) => {
                Some(upgraded.unwrap_or_else(|late| Err(late.into())))
            }
        };
        let end = match upgraded {
            Some(Ok(stream)) => {
                let connection = Connection::new(
                    stream,
                    (id, peer),
                    Arc::clone(&self.handler),
                    Arc::clone(&self.observer),
                    Arc::clone(&self.config),
                    self.ledger.open(id, self.shutdown.child_token()),
                );
                connection.run().await
            }
            Some(Err(error)) => {
                self.observer.handshake_failed(id, &error);
                tracing::warn!(connection = id, %error, "handshake failed");
                ConnectionEnd::new(CloseReason::Handshake)
            }
            None => ConnectionEnd::new(CloseReason::Shutdown),
        };
        self.observer.connection_closed(id, peer, &end);
        tracing::debug!(
            connection = id,
            reason = end.reason.name(),
            "connection closed"
        );
        end
    }
}

/// Lets the connections finish, and cuts off those that do not.
async fn drain(
    mut connections: JoinSet<ConnectionEnd>,
    summary: &mut ServerSummary,
    deadline: Duration,
) {
    let deadline = tokio::time::Instant::now() + deadline;
    while let Ok(Some(ended)) = timeout_at(deadline, connections.join_next()).await {
        note_end(summary, &ended);
    }
    if !connections.is_empty() {
        tracing::warn!(connections = connections.len(), "drain deadline passed");
        summary.cut_off += connections.len() as u64;
        connections.shutdown().await;
    }
}

fn note_end(summary: &mut ServerSummary, ended: &Result<ConnectionEnd, JoinError>) {
    match ended {
        Ok(end) => summary.add(end),
        Err(_) => summary.cut_off += 1,
    }
}

/// Errors that say something about the connection that just failed, nothing about the next one.
fn of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
