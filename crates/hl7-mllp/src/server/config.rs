//! [`ServerConfig`]: every size and every wait of a server.

use std::time::Duration;

use crate::{Framing, Limits, server::AddressRange};

/// Every size and every wait of a server. The defaults suit a department; nothing is unbounded
/// but the idle wait.
///
/// ```
/// use std::time::Duration;
/// use hl7_mllp::{Limits, ServerConfig};
///
/// let config = ServerConfig {
///     limits: Limits { frame_bytes_max: 4 << 20, ..Limits::default() },
///     idle_timeout: Some(Duration::from_secs(600)),
///     allow: vec!["10.1.0.0/16".parse()?],
///     ..ServerConfig::default()
/// };
/// assert_eq!(config.frame_deadline, Duration::from_secs(30));
/// # Ok::<(), hl7_mllp::server::InvalidAddressRange>(())
/// ```
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Frame and junk sizes.
    pub limits: Limits,
    /// How forgiving the decoder is.
    pub framing: Framing,
    /// Recoverable framing errors in a row, without a good frame between them, that the link
    /// survives. Default 0: a broken frame gets no answer, since there is nothing to correlate one
    /// with, and its sender learns of it because the link is closed. What
    /// [`Framing::Tolerant`] understands is no error.
    pub frame_errors_max: u32,
    /// Connections open at once. Default 1,024. 1 refuses every second connection.
    pub connections_max: usize,
    /// Connections open at once from one address. Default 256.
    pub connections_per_address_max: usize,
    /// Frames of one connection that may wait for their answers at once. Default 16; 1 hands
    /// over a frame only when the one before it has been answered.
    pub in_flight_max: usize,
    /// Frames in hand of all connections together, in bytes. Default 256 MiB. Past it a frame
    /// waits with its sender until others have been answered; until then it counts as unfinished.
    pub in_hand_bytes_max: usize,
    /// From a frame's first byte to its last. Default 30 s.
    pub frame_deadline: Duration,
    /// How long a connection may stay silent with nothing in hand. `None`, the default, is for
    /// ever: radiology systems keep a link open over a quiet night.
    pub idle_timeout: Option<Duration>,
    /// How long the peer may refuse to take any byte of an answer. Default 30 s.
    pub write_timeout: Duration,
    /// From the shutdown signal until what still runs is cut off. Default 10 s.
    pub drain_deadline: Duration,
    /// How long a frame may be the oldest in hand before its connection is closed without an
    /// answer: the sender then knows that it knows nothing. Default 2 min.
    pub answer_deadline: Duration,
    /// Takes an end block as the end of its frame when this long nothing follows it, for senders
    /// that leave out the carriage return and wait. Off by default, because a stray end block
    /// followed by a stalled network would look alike.
    pub end_block_wait: Option<Duration>,
    /// From accepting a connection to the end of its TLS handshake, and as long for the header
    /// that a balancer sends. Default 10 s.
    pub handshake_deadline: Duration,
    /// Unfinished frames of all connections together. Default 64 MiB. Past it the connection
    /// with the largest one is closed.
    pub unfinished_bytes_max: usize,
    /// Close each connection after the answer to its first frame.
    pub one_message_per_connection: bool,
    /// Who may connect. Empty, the default, is everybody.
    pub allow: Vec<AddressRange>,
    /// Balancers in front of the server: a connection from one of these addresses begins with a
    /// header of the PROXY protocol (version 1 or 2), and counts as one from whoever that names,
    /// for `allow`, the caps, the observer and the handler. Others may not send one. Empty, the
    /// default, is none.
    #[cfg(feature = "proxy")]
    pub proxies: Vec<AddressRange>,
    /// Silence after which TCP probes whether the peer still lives; a dead one is found after
    /// twice this time. `None` leaves probes off. Default 30 s.
    pub keepalive: Option<Duration>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            framing: Framing::default(),
            frame_errors_max: 0,
            connections_max: 1024,
            connections_per_address_max: 256,
            in_flight_max: 16,
            in_hand_bytes_max: 256 * 1024 * 1024,
            frame_deadline: Duration::from_secs(30),
            idle_timeout: None,
            write_timeout: Duration::from_secs(30),
            answer_deadline: Duration::from_mins(2),
            end_block_wait: None,
            drain_deadline: Duration::from_secs(10),
            handshake_deadline: Duration::from_secs(10),
            unfinished_bytes_max: 64 * 1024 * 1024,
            one_message_per_connection: false,
            allow: Vec::new(),
            #[cfg(feature = "proxy")]
            proxies: Vec::new(),
            keepalive: Some(Duration::from_secs(30)),
        }
    }
}
