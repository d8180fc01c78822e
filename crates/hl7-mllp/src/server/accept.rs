//! [`Listen`] and [`Upgrade`]: where connections come from, and what they become.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

/// A source of connections. [`TcpListener`] is one; tests script others.
///
/// ```
/// use std::{io, net::SocketAddr};
/// use hl7_mllp::server::Listen;
/// use tokio::{io::DuplexStream, sync::mpsc};
///
/// /// Connections that a test makes.
/// struct Pipes(mpsc::UnboundedReceiver<DuplexStream>);
///
/// impl Listen for Pipes {
///     type Io = DuplexStream;
///
///     async fn accept(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
///         match self.0.recv().await {
///             Some(pipe) => Ok((pipe, ([127, 0, 0, 1], 1).into())),
///             None => std::future::pending().await,
///         }
///     }
/// }
/// ```
pub trait Listen: Send {
    /// A connection as it comes in.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// The next connection and its peer. Must be cancel-safe.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;

    /// Sets up a new connection: for TCP no delay, keepalive and the like.
    fn prepare(&self, io: &Self::Io, keepalive: Option<Duration>) -> io::Result<()> {
        let _ = (io, keepalive);
        Ok(())
    }
}

impl Listen for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        TcpListener::accept(self).await
    }

    fn prepare(&self, io: &TcpStream, keepalive: Option<Duration>) -> io::Result<()> {
        prepare_tcp(io, keepalive)
    }
}

/// Small frames leave at once, and a dead peer is noticed after twice `keepalive`.
pub(crate) fn prepare_tcp(stream: &TcpStream, keepalive: Option<Duration>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some(idle) = keepalive else { return Ok(()) };
    let idle = idle.max(Duration::from_secs(1));
    let interval = (idle / 3).max(Duration::from_secs(1));
    let probes = TcpKeepalive::new()
        .with_time(idle)
        .with_interval(interval)
        .with_retries(3);
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&probes)?;
    // Probes are only sent while nothing is on its way; this covers an answer nobody takes.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(idle * 2))?;
    Ok(())
}

/// What a connection goes through before its first frame: nothing ([`Plain`]), or TLS.
pub trait Upgrade<S>: Send + Sync + 'static {
    /// The connection as frames travel over it.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Runs in the connection's own task, under
    /// [`handshake_deadline`](crate::server::ServerConfig::handshake_deadline).
    fn upgrade(&self, stream: S) -> impl Future<Output = io::Result<Self::Io>> + Send;
}

/// No upgrade: frames travel in the clear.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Upgrade<S> for Plain {
    type Io = S;

    async fn upgrade(&self, stream: S) -> io::Result<S> {
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_peer_is_noticed_within_a_minute() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        prepare_tcp(&stream, Some(Duration::from_secs(30))).unwrap();
        assert!(stream.nodelay().unwrap());
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        let probes =
            socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
        assert_eq!(
            socket.tcp_keepalive_time().unwrap() + probes,
            Duration::from_mins(1)
        );
    }
}
