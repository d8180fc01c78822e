//! [`ClientConfig`]: every size and every wait of a client.

use std::time::Duration;

use crate::{Framing, Limits};

/// Every size and every wait of a client.
///
/// ```
/// use std::time::Duration;
/// use hl7_mllp::ClientConfig;
///
/// // A receiver that takes its time, and closes after every answer.
/// let config = ClientConfig {
///     first_byte_timeout: Duration::from_secs(120),
///     answer_timeout: Duration::from_secs(180),
///     one_message_per_connection: true,
///     ..ClientConfig::default()
/// };
/// assert_eq!(config.connect_timeout, Duration::from_secs(10));
/// ```
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Sizes of what is sent and of what is taken as an answer.
    pub limits: Limits,
    /// How forgiving the decoder of answers is.
    pub framing: Framing,
    /// Looking up the name and connecting, TLS handshake included. Default 10 s.
    pub connect_timeout: Duration,
    /// Handing one message to the network. Default 30 s.
    pub write_timeout: Duration,
    /// From then until the first byte of the answer. Default 30 s.
    pub first_byte_timeout: Duration,
    /// From then until the last byte of the answer. Default 60 s.
    pub answer_timeout: Duration,
    /// Takes an end block as the end of the answer when this long nothing follows it, for
    /// receivers that leave out the carriage return. Off by default.
    pub end_block_wait: Option<Duration>,
    /// Silence after which TCP probes whether the peer still lives; a dead one is found after
    /// twice this time. `None` leaves probes off. Default 30 s.
    pub keepalive: Option<Duration>,
    /// HL7's enhanced mode, both answers over this connection: a commit accept (CA) is not the
    /// last word, the application's answer to the same message follows. Off by default: CA ends
    /// the exchange.
    pub await_application_answer: bool,
    /// A [`Link`](super::Link) closes its connection after every answer.
    pub one_message_per_connection: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            framing: Framing::default(),
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            first_byte_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_mins(1),
            end_block_wait: None,
            keepalive: Some(Duration::from_secs(30)),
            await_application_answer: false,
            one_message_per_connection: false,
        }
    }
}
