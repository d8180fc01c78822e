//! Sending over MLLP: one connection a message, or one that stays open.

use std::time::Duration;

use bytes::Bytes;
use hl7_message::{Ack, AckCode, Message};
use hl7_mllp::client::{AnswerPhase, Client, ClientConfig, Exchange, ExchangeError};

use crate::link::{Failure, FailureKind, Reply};

/// An MLLP receiver.
#[derive(Debug)]
pub(crate) struct Target {
    /// `host:port`, as it is shown and looked up.
    address: String,
    config: ClientConfig,
    keep_alive: bool,
    timeout: Duration,
}

impl Target {
    pub(crate) fn new(host: &str, port: u16, timeout: Duration, keep_alive: bool) -> Self {
        // An IPv6 address stands in brackets, with or without them on the command line.
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let address = if bare.contains(':') {
            format!("[{bare}]:{port}")
        } else {
            format!("{bare}:{port}")
        };
        let config = ClientConfig {
            connect_timeout: timeout,
            write_timeout: timeout,
            first_byte_timeout: timeout,
            answer_timeout: timeout,
            ..ClientConfig::default()
        };
        Self {
            address,
            config,
            keep_alive,
            timeout,
        }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    async fn connect(&self) -> Result<Client, Failure> {
        Client::connect(&*self.address, self.config.clone())
            .await
            .map_err(|error| self.failure(&error))
    }

    /// The failure that an error of the link amounts to.
    fn failure(&self, error: &ExchangeError) -> Failure {
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
            | ExchangeError::NoMsa
            | ExchangeError::UnknownCode
            | ExchangeError::CommitNak => (FailureKind::NoAck, error.to_string()),
            ExchangeError::WrongId | ExchangeError::Unexpected => {
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
    open: Option<Client>,
}

impl<'t> Link<'t> {
    pub(crate) fn new(target: &'t Target) -> Self {
        Self { target, open: None }
    }

    pub(crate) async fn exchange(&mut self, bytes: &[u8]) -> Result<Reply, Failure> {
        let mut client = match self.open.take() {
            Some(client) => client,
            None => self.target.connect().await?,
        };
        let mut exchanged = client.submit(bytes).await;
        if matches!(exchanged, Err(ExchangeError::Stale)) {
            // The receiver closed between two messages, as it may; nothing of this one was sent.
            client = self.target.connect().await?;
            exchanged = client.submit(bytes).await;
        }
        let exchange = exchanged.map_err(|error| self.target.failure(&error))?;
        if self.target.keep_alive {
            self.open = Some(client);
        } else {
            client.close().await;
        }
        reply(exchange)
    }

    pub(crate) async fn close(self) {
        if let Some(client) = self.open {
            client.close().await;
        }
    }
}

fn reply(exchange: Exchange) -> Result<Reply, Failure> {
    let code = code(&exchange.answer)
        .ok_or_else(|| Failure::new(FailureKind::NoAck, "the answer is not an HL7 message"))?;
    Ok(Reply {
        code,
        answer: exchange.answer,
    })
}

fn code(answer: &Bytes) -> Option<AckCode> {
    Some(Ack::parse(&Message::parse(answer).ok()?).ok()?.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_version_6_stand_in_brackets() {
        let address = |host| Target::new(host, 2575, Duration::from_secs(1), false).address;
        assert_eq!(address("broker.example"), "broker.example:2575");
        assert_eq!(address("127.0.0.1"), "127.0.0.1:2575");
        assert_eq!(address("::1"), "[::1]:2575");
        assert_eq!(address("[::1]"), "[::1]:2575");
    }
}
