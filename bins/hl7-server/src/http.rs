//! An HTTP listener with limits: how many connections, and how long a request may take to begin.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Most connections at a time; further ones wait for a place.
const CONNECTIONS_MAX: usize = 256;
/// From the opening of a connection, or the end of an answer, to the end of the next head.
const HEAD_WAIT: Duration = Duration::from_secs(30);
/// How long requests in hand may take after the signal to stop.
const DRAIN: Duration = Duration::from_secs(2);
/// Pause after a failed accept, for instance while there are no descriptors.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Serves `router` until `stop`; what is in hand then has a little time.
pub(crate) fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let draining = GracefulShutdown::new();
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
                Ok((stream, peer)) => {
                    let connection = connection(stream, peer, router.clone(), &draining);
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
        if tokio::time::timeout(DRAIN, draining.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("HTTP connections were cut off");
        }
    })
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    draining: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .serve_connection(TokioIo::new(stream), service);
    let connection = draining.watch(connection);
    async move {
        if let Err(error) = connection.await {
            tracing::debug!(%peer, %error, "HTTP connection ended");
        }
    }
}
