//! An HTTP listener with limits: who may connect, how many, and how long a request may take to
//! begin.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::tls::Tls;

/// Most connections at a time; further ones wait for a place.
const CONNECTIONS_MAX: usize = 256;
/// From the opening of a connection, or the end of an answer, to the end of the next head.
const HEAD_WAIT: Duration = Duration::from_secs(30);
/// From the opening of a connection to the end of its TLS handshake.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// How long requests in hand may take after the signal to stop.
const DRAIN: Duration = Duration::from_secs(2);
/// Pause after a failed accept, for instance while there are no descriptors.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Who may connect, and how.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate {
    /// From where; empty: from everywhere.
    pub(crate) allow: Vec<IpNet>,
    /// Under which certificate; `None`: in clear text.
    pub(crate) tls: Option<Tls>,
}

impl Gate {
    fn allows(&self, peer: SocketAddr) -> bool {
        let address = peer.ip().to_canonical();
        self.allow.is_empty() || self.allow.iter().any(|range| range.contains(&address))
    }
}

/// Serves `router` until `stop`; what is in hand then has a little time.
pub(crate) fn serve(
    listener: TcpListener,
    router: Router,
    gate: Gate,
    stop: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let place = Arc::clone(&places).acquire_owned();
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = async { (place.await, listener.accept().await) } => accepted,
                // Ended connections are let go of.
                Some(_) = connections.join_next() => continue,
            };
            let (Ok(place), accepted) = accepted else {
                break;
            };
            match accepted {
                Ok((_, peer)) if !gate.allows(peer) => {
                    tracing::warn!(%peer, "an HTTP connection from an address that is not allowed");
                }
                Ok((stream, peer)) => {
                    let connection = open(stream, peer, router.clone(), &gate, stop.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::error!(%error, "an HTTP connection could not be accepted");
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
        // Who comes now is to see at once that nobody is here: a balancer asks another server.
        drop(listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("HTTP connections were cut off");
        }
    })
}

fn open(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    gate: &Gate,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let tls = gate.tls.as_ref().map(Tls::current);
    // Small answers go out at once; a system that cannot do that answers a little later.
    let _ = stream.set_nodelay(true);
    async move {
        let Some(tls) = tls else {
            return connection(stream, peer, router, stop).await;
        };
        let handshake = TlsAcceptor::from(tls).accept(stream);
        match tokio::time::timeout(HANDSHAKE_WAIT, handshake).await {
            Ok(Ok(stream)) => connection(stream, peer, router, stop).await,
            Ok(Err(error)) => tracing::warn!(%peer, %error, "a TLS handshake failed"),
            Err(_) => tracing::warn!(%peer, "a TLS handshake took too long"),
        }
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "HTTP connection ended");
    }
}
