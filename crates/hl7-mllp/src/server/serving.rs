//! [`serve`]: the accept loop and the end of it.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
    task::{JoinError, JoinSet},
    time::{timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    admission::{Admission, Place},
    connection::Connection,
    in_hand::Room,
    unfinished::Ledger,
};
use crate::server::{
    CloseReason, ConnectionEnd, Handler, Listen, Observer, Plain, Refusal, ServerConfig,
    ServerSummary, Upgrade,
};

/// The waits between failing accepts double from the first to the cap.
const BACK_OFF_FIRST: Duration = Duration::from_millis(5);
const BACK_OFF_CAP: Duration = Duration::from_secs(1);
/// How long a connection over a cap may wait for a place, and how many may at once.
const GRACE: Duration = Duration::from_millis(50);
const AT_THE_DOOR_MAX: usize = 16;

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
        admission: Arc::new(Admission::default()),
        at_the_door: Arc::new(Semaphore::new(AT_THE_DOOR_MAX)),
        ledger: Arc::new(Ledger::new(config.unfinished_bytes_max)),
        room: Room::new(config.in_hand_bytes_max),
        config: Arc::new(config),
        upgrade,
        handler,
        observer,
        shutdown: shutdown.clone(),
        connections: AtomicU64::new(0),
        refused: AtomicU64::new(0),
    });
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
        match accepted {
            Ok((stream, peer)) => {
                back_off = BACK_OFF_FIRST;
                if let Err(error) = listener.prepare(&stream, server.config.keepalive) {
                    tracing::debug!(error = %error.kind(), "socket options not set");
                }
                server.welcome(stream, peer, &mut connections);
            }
            Err(error) => {
                server.observer.accept_failed(&error);
                tracing::warn!(error = %error.kind(), "accept failed");
                if !of_one_connection(&error) {
                    // Out of file descriptors, most likely: wait for one to come back.
                    let _ = timeout(back_off, shutdown.cancelled()).await;
                    back_off = (back_off * 2).min(BACK_OFF_CAP);
                }
            }
        }
    }
    // The port is free from here on.
    drop(listener);
    drain(connections, &mut summary, server.config.drain_deadline).await;
    summary.connections = server.connections.load(Relaxed);
    summary.refused = server.refused.load(Relaxed);
    summary
}

struct Server<U, H> {
    admission: Arc<Admission>,
    at_the_door: Arc<Semaphore>,
    ledger: Arc<Ledger>,
    room: Room,
    config: Arc<ServerConfig>,
    upgrade: U,
    handler: Arc<H>,
    observer: Arc<dyn Observer>,
    shutdown: CancellationToken,
    connections: AtomicU64,
    refused: AtomicU64,
}

/// What a connection's task comes to; `None` if it was refused.
type Ended = Option<ConnectionEnd>;

impl<U: Send + Sync + 'static, H: Handler> Server<U, H> {
    /// Starts to serve a connection, or refuses it.
    fn welcome<S>(self: &Arc<Self>, stream: S, peer: SocketAddr, connections: &mut JoinSet<Ended>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        U: Upgrade<S>,
    {
        let server = Arc::clone(self);
        let refusal = match self.admission.admit(peer, &self.config) {
            Ok(place) => {
                connections.spawn(async move { server.serve(stream, peer, place).await });
                return;
            }
            Err(refusal) => refusal,
        };
        // A peer that closes one connection and opens the next can be seen doing so in the wrong
        // order: a few may wait a moment for a place.
        let waits = (refusal != Refusal::NotAllowed).then(|| Arc::clone(&self.at_the_door));
        match waits.and_then(|door| door.try_acquire_owned().ok()) {
            None => self.refuse(peer, refusal),
            Some(permit) => {
                connections.spawn(async move {
                    let place = server.admission.wait(peer, &server.config, GRACE).await;
                    drop(permit);
                    match place {
                        Ok(place) => server.serve(stream, peer, place).await,
                        Err(refusal) => {
                            server.refuse(peer, refusal);
                            None
                        }
                    }
                });
            }
        }
    }

    fn refuse(&self, peer: SocketAddr, refusal: Refusal) {
        self.refused.fetch_add(1, Relaxed);
        self.observer.connection_refused(peer, refusal);
    }

    /// Whom a connection is served for, once a balancer has said so.
    #[cfg(feature = "proxy")]
    async fn source<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        peer: SocketAddr,
        place: &mut Place,
    ) -> Result<SocketAddr, Refusal> {
        if !place.is_of_proxy() {
            return Ok(peer);
        }
        let header = super::proxy::read_source(stream);
        let named = tokio::select! {
            () = self.shutdown.cancelled() => Err(Refusal::NoProxyHeader),
            read = timeout(self.config.handshake_deadline, header) => match read {
                Ok(Ok(named)) => Ok(named),
                Ok(Err(_)) | Err(_) => Err(Refusal::NoProxyHeader),
            },
        };
        let source = named?.unwrap_or(peer);
        if source != peer {
            place.give_to(source, &self.config)?;
        }
        Ok(source)
    }

    #[cfg_attr(
        not(feature = "proxy"),
        expect(unused_mut, reason = "only a balancer changes whom a place is for")
    )]
    async fn serve<S>(&self, mut stream: S, mut peer: SocketAddr, mut place: Place) -> Ended
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        U: Upgrade<S>,
    {
        #[cfg(feature = "proxy")]
        match self.source(&mut stream, peer, &mut place).await {
            Ok(source) => peer = source,
            Err(refusal) => {
                self.refuse(peer, refusal);
                return None;
            }
        }
        let id = self.connections.fetch_add(1, Relaxed) + 1;
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
                    (
                        place,
                        self.ledger.open(id, self.shutdown.child_token()),
                        self.room.clone(),
                    ),
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
        Some(end)
    }
}

/// Lets the connections finish, and cuts off those that do not.
async fn drain(mut connections: JoinSet<Ended>, summary: &mut ServerSummary, deadline: Duration) {
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

fn note_end(summary: &mut ServerSummary, ended: &Result<Ended, JoinError>) {
    match ended {
        Ok(Some(end)) => summary.add(end),
        Ok(None) => {}
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
