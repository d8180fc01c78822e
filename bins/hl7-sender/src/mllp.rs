//! Sending over MLLP: one connection a message, or one that stays open.

use std::time::Duration;

use bytes::Bytes;
use hl7_mllp::{
    client::{AnswerPhase, Client, ClientConfig, Dial, ExchangeError, TcpDialer},
    tls::TlsDialer,
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::link::{Failure, FailureKind, Reply};

/// An MLLP receiver.
#[derive(Debug)]
pub(crate) struct Target {
    /// `host:port`, as it is shown.
    address: String,
    dialer: Dialer,
    config: ClientConfig,
    keep_alive: bool,
    timeout: Duration,
}

/// How a connection to the receiver is made.
#[derive(Debug)]
pub(crate) enum Dialer {
    Tcp(TcpDialer),
    Tls(TlsDialer),
}

/// A connection, in the clear or not.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Io for S {}

type Connection = Client<Box<dyn Io>>;

impl Target {
    pub(crate) fn new(
        address: String,
        dialer: Dialer,
        timeout: Duration,
        keep_alive: bool,
    ) -> Self {
        let config = ClientConfig {
            connect_timeout: timeout,
            write_timeout: timeout,
            first_byte_timeout: timeout,
            answer_timeout: timeout,
            ..ClientConfig::default()
        };
        Self {
            address,
            dialer,
            config,
            keep_alive,
            timeout,
        }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let stream = self.dial().await.map_err(|error| self.failure(&error))?;
        Ok(Client::over(stream, self.config.clone()))
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.config
    }

    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A connection that has carried nothing yet.
    pub(crate) async fn dial(&self) -> Result<Box<dyn Io>, ExchangeError> {
        Ok(match &self.dialer {
            Dialer::Tcp(dialer) => Box::new(dialer.dial(&self.config).await?),
            Dialer::Tls(dialer) => Box::new(dialer.dial(&self.config).await?),
        })
    }

    /// The failure that an error of the link amounts to.
    pub(crate) fn failure(&self, error: &ExchangeError) -> Failure {
        let (peer, wait) = (&self.address, self.timeout);
        let (kind, text) = match error {
            ExchangeError::Refused => (
                FailureKind::Refused,
                format!("connection to {peer} refused: nothing listens there"),
            ),
            ExchangeError::NameNotFound(_) => (
                FailureKind::NameNotFound,
                format!("no host of this name: {peer}"),
            ),
            ExchangeError::ConnectTimeout => (
                FailureKind::ConnectTimeout,
                format!("no connection to {peer} within {wait:?}"),
            ),
            ExchangeError::Connect(cause) => (
                FailureKind::Connect,
                format!("no connection to {peer}: {cause}"),
            ),
            ExchangeError::Handshake(cause) => (
                FailureKind::Tls,
                format!("TLS handshake with {peer} failed: {cause}"),
            ),
            ExchangeError::AnswerTimeout {
                phase: AnswerPhase::FirstByte,
            } => (
                FailureKind::AckTimeout,
                format!("no acknowledgement within {wait:?}"),
            ),
            ExchangeError::AnswerTimeout {
                phase: AnswerPhase::Whole,
            } => (
                FailureKind::AckTimeout,
                format!("the acknowledgement began but did not end within {wait:?}"),
            ),
            ExchangeError::WriteTimeout => (
                FailureKind::AckTimeout,
                format!("the receiver read nothing for {wait:?}"),
            ),
            ExchangeError::Frame(_)
            | ExchangeError::Unframed { .. }
            | ExchangeError::NoMsa(_)
            | ExchangeError::UnknownCode(_)
            | ExchangeError::CommitNak => (FailureKind::NoAck, error.to_string()),
            ExchangeError::WrongId(_) | ExchangeError::Unexpected => {
                (FailureKind::WrongId, error.to_string())
            }
            ExchangeError::Encode(_) | ExchangeError::NoControlId => {
                (FailureKind::Unsendable, error.to_string())
            }
            _ => (FailureKind::Closed, error.to_string()),
        };
        Failure::new(kind, text)
    }
}

/// One worker's connection to a [`Target`].
#[derive(Debug)]
pub(crate) struct Link<'t> {
    target: &'t Target,
    open: Option<Connection>,
}

impl<'t> Link<'t> {
    pub(crate) fn new(target: &'t Target) -> Self {
        Self { target, open: None }
    }

    /// Sends `bytes`, which have the control id `id`.
    pub(crate) async fn exchange(&mut self, bytes: &[u8], id: &[u8]) -> Result<Reply, Failure> {
        let mut client = match self.open.take() {
            Some(client) => client,
            None => self.target.connect().await?,
        };
        let mut answered = submit(&mut client, bytes).await;
        if matches!(answered, Err(ExchangeError::Stale)) {
            // The receiver closed between two messages, as it may; nothing of this one was sent.
            client = self.target.connect().await?;
            answered = submit(&mut client, bytes).await;
        }
        let answer = answered.map_err(|error| self.target.failure(&error))?;
        if self.target.keep_alive {
            self.open = Some(client);
        } else {
            client.close().await;
        }
        Reply::read(answer, id)
    }

    pub(crate) async fn close(self) {
        if let Some(client) = self.open {
            client.close().await;
        }
    }
}

/// Sends one message. Without a control id any answer has to be taken for the answer.
async fn submit(client: &mut Connection, bytes: &[u8]) -> Result<Bytes, ExchangeError> {
    match client.exchange(bytes).await {
        Err(ExchangeError::NoControlId) => client.exchange_raw(bytes).await,
        answered => answered,
    }
}

/// `host:port`; an IPv6 address stands in brackets, with or without them on the command line.
pub(crate) fn address(host: &str, port: u16) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.contains(':') {
        format!("[{bare}]:{port}")
    } else {
        format!("{bare}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_version_6_stand_in_brackets() {
        let address = |host| address(host, 2575);
        assert_eq!(address("broker.example"), "broker.example:2575");
        assert_eq!(address("127.0.0.1"), "127.0.0.1:2575");
        assert_eq!(address("::1"), "[::1]:2575");
        assert_eq!(address("[::1]"), "[::1]:2575");
    }
}
