//! [`Dial`]: how a connection to the receiver is made.

use std::{future::Future, io};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, ToSocketAddrs, lookup_host},
    time::{Instant, timeout, timeout_at},
};

use crate::{
    client::{ClientConfig, ExchangeError},
    server::prepare_tcp,
};

/// Makes connections to one receiver. [`TcpDialer`] is one; tests script others.
///
/// ```
/// use hl7_mllp::{ClientConfig, ExchangeError, client::Dial};
/// use tokio::net::UnixStream;
///
/// /// A receiver on this machine.
/// struct Local(std::path::PathBuf);
///
/// impl Dial for Local {
///     type Io = UnixStream;
///
///     async fn dial(&self, _: &ClientConfig) -> Result<UnixStream, ExchangeError> {
///         UnixStream::connect(&self.0).await.map_err(ExchangeError::Connect)
///     }
/// }
/// ```
pub trait Dial: Send + Sync {
    /// The connection.
    type Io: AsyncRead + AsyncWrite + Send + Unpin;

    /// Makes one connection within `config.connect_timeout`.
    fn dial(
        &self,
        config: &ClientConfig,
    ) -> impl Future<Output = Result<Self::Io, ExchangeError>> + Send;
}

/// Connects over TCP, in the clear. The name is looked up anew for every connection.
#[derive(Debug, Clone)]
pub struct TcpDialer {
    address: String,
}

impl TcpDialer {
    /// To `host:port`.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
        }
    }
}

impl Dial for TcpDialer {
    type Io = TcpStream;

    async fn dial(&self, config: &ClientConfig) -> Result<TcpStream, ExchangeError> {
        connect_tcp(&*self.address, config).await
    }
}

/// Tries the addresses of a name until one answers. Each gets its share of the time, so that one
/// which swallows packets does not use up the turn of the next.
pub(super) async fn connect_tcp(
    address: impl ToSocketAddrs,
    config: &ClientConfig,
) -> Result<TcpStream, ExchangeError> {
    let deadline = Instant::now() + config.connect_timeout;
    let looked_up = timeout_at(deadline, lookup_host(address)).await;
    let addresses: Vec<_> = looked_up
        .map_err(|_| ExchangeError::ConnectTimeout)?
        .map_err(of_lookup)?
        .collect();
    let mut last = ExchangeError::NameNotFound(io::ErrorKind::NotFound.into());
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        last = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                prepare_tcp(&stream, config.keepalive).map_err(ExchangeError::Connect)?;
                return Ok(stream);
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                ExchangeError::Refused
            }
            Ok(Err(error)) => ExchangeError::Connect(error),
            Err(_) => ExchangeError::ConnectTimeout,
        };
    }
    Err(last)
}

/// A name server that cannot be reached says nothing about the name. The C library tells the two
/// apart, but the error's text is all of it that gets here.
fn of_lookup(error: io::Error) -> ExchangeError {
    let text = error.to_string().to_ascii_lowercase();
    if text.contains("temporary failure") || text.contains("try again") {
        ExchangeError::Connect(error)
    } else {
        ExchangeError::NameNotFound(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_does_not_exist_is_permanent() {
        let lookup = |text: &str| of_lookup(io::Error::other(text)).is_permanent();
        assert!(lookup(
            "failed to lookup address information: Name or service not known"
        ));
        assert!(!lookup(
            "failed to lookup address information: Temporary failure in name resolution"
        ));
        assert!(!lookup("failed to lookup address information: Try again"));
    }
}
