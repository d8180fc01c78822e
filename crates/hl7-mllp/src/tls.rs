//! TLS and mutual TLS for both ends, through [`rustls`].
//!
//! What the peers must prove to each other is written in rustls' own configurations; this module
//! puts them under a listener or a connection. TLS 1.2 and 1.3 are spoken.

pub use tokio_rustls::rustls;

use std::{
    fmt, io,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{Client, ClientConfig, Dial, ExchangeError, TcpDialer},
    server::{Handler, Observer, ServerConfig, ServerSummary, Upgrade, serve_on},
    stream::hang_up,
};

/// What a server proves and demands, exchangeable while it runs: connections made from then on
/// see the new certificate, those already open keep theirs.
///
/// Clones share one configuration, so one clone serves and another one reloads.
///
/// ```
/// use hl7_mllp::tls::{ServerTls, rustls};
///
/// # fn example(read: impl Fn() -> rustls::ServerConfig) {
/// let tls = ServerTls::new(read());
/// let serving = tls.clone(); // goes to `serve_tls`
/// // The certificate was renewed on disk:
/// tls.reload(read());
/// # drop(serving);
/// # }
/// ```
#[derive(Clone)]
pub struct ServerTls(Arc<RwLock<Arc<rustls::ServerConfig>>>);

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

impl ServerTls {
    /// Begins with `config`. Mutual TLS is a configuration with a client certificate verifier.
    pub fn new(config: impl Into<Arc<rustls::ServerConfig>>) -> Self {
        Self(Arc::new(RwLock::new(config.into())))
    }

    /// Uses `config` for every handshake from now on.
    pub fn reload(&self, config: impl Into<Arc<rustls::ServerConfig>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config.into();
    }

    fn current(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Upgrade<S> for ServerTls {
    type Io = server::TlsStream<S>;

    async fn upgrade(&self, stream: S) -> io::Result<Self::Io> {
        let accepted = TlsAcceptor::from(self.current())
            .accept(stream)
            .into_fallible()
            .await;
        match accepted {
            Ok(stream) => Ok(stream),
            Err((error, stream)) => {
                // The alert says why, so it has to arrive.
                hang_up(stream).await;
                Err(error)
            }
        }
    }
}

/// [`serve`](crate::server::serve) over TLS. A handshake has
/// [`handshake_deadline`](ServerConfig::handshake_deadline) and holds up nobody else.
pub async fn serve_tls<H: Handler>(
    listener: TcpListener,
    tls: ServerTls,
    handler: Arc<H>,
    config: ServerConfig,
    observer: Arc<dyn Observer>,
    shutdown: CancellationToken,
) -> ServerSummary {
    serve_on(listener, tls, handler, config, observer, shutdown).await
}

/// Connects over TLS, looking the name up anew for every connection.
#[derive(Clone)]
pub struct TlsDialer {
    tcp: TcpDialer,
    name: ServerName<'static>,
    config: Arc<rustls::ClientConfig>,
}

impl fmt::Debug for TlsDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsDialer")
            .field("tcp", &self.tcp)
            .finish_non_exhaustive()
    }
}

impl TlsDialer {
    /// To `host:port`, whose certificate must be for `name`. Mutual TLS is a configuration with a
    /// client certificate.
    pub fn new(
        address: impl Into<String>,
        name: ServerName<'static>,
        config: impl Into<Arc<rustls::ClientConfig>>,
    ) -> Self {
        Self {
            tcp: TcpDialer::new(address),
            name,
            config: config.into(),
        }
    }
}

impl Dial for TlsDialer {
    type Io = client::TlsStream<TcpStream>;

    async fn dial(&self, config: &ClientConfig) -> Result<Self::Io, ExchangeError> {
        let deadline = Instant::now() + config.connect_timeout;
        let stream = self.tcp.dial(config).await?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let handshake = connector.connect(self.name.clone(), stream);
        match timeout_at(deadline, handshake).await {
            Ok(connected) => connected.map_err(ExchangeError::Handshake),
            Err(_) => Err(ExchangeError::ConnectTimeout),
        }
    }
}

impl Client<client::TlsStream<TcpStream>> {
    /// Connects over TLS.
    pub async fn connect_tls(
        dialer: &TlsDialer,
        config: ClientConfig,
    ) -> Result<Self, ExchangeError> {
        let stream = dialer.dial(&config).await?;
        Ok(Self::over(stream, config))
    }
}

/// With TLS 1.3 a server's verdict on the client's certificate comes after the handshake, in
/// place of the first answer. It has then not looked at any message.
pub(crate) fn refuses_certificate(error: &io::Error) -> bool {
    use rustls::AlertDescription as Alert;

    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(
        cause,
        Some(rustls::Error::AlertReceived(
            Alert::NoCertificate
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::CertificateRequired
        ))
    )
}
