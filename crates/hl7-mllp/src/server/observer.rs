//! [`Observer`]: what a server tells whoever counts and logs.

use std::{fmt, io, net::SocketAddr, time::Duration};

use crate::FrameError;

/// Hears what happens on the links. Every method does nothing unless written; none may block.
/// Nothing of a payload is ever passed in.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use hl7_mllp::{FrameError, Observer};
///
/// #[derive(Default)]
/// struct Broken(AtomicU64);
///
/// impl Observer for Broken {
///     fn frame_error(&self, connection: u64, error: &FrameError) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///         eprintln!("connection {connection}: {error}");
///     }
/// }
/// # let _ = Broken::default();
/// ```
pub trait Observer: Send + Sync + 'static {
    /// A connection was accepted; with TLS, before its handshake.
    fn connection_opened(&self, _connection: u64, _peer: SocketAddr) {}
    /// A connection has ended.
    fn connection_closed(&self, _connection: u64, _peer: SocketAddr, _end: &ConnectionEnd) {}
    /// A connection was closed at once.
    fn connection_refused(&self, _peer: SocketAddr, _refusal: Refusal) {}
    /// The listener failed to accept; the server waits a little and goes on.
    fn accept_failed(&self, _error: &io::Error) {}
    /// A whole frame was read.
    fn frame_received(&self, _connection: u64, _bytes: usize) {}
    /// Bytes outside any block were skipped.
    fn junk_received(&self, _connection: u64, _bytes: u64) {}
    /// Bytes did not read as a frame.
    fn frame_error(&self, _connection: u64, _error: &FrameError) {}
    /// A commit block of MLLP release 2 came in; a server has no use for one.
    fn commit_received(&self, _connection: u64, _stored: bool) {}
    /// An answer was handed to the network, `latency` after its frame was whole.
    fn answer_sent(&self, _connection: u64, _bytes: usize, _latency: Duration) {}
    /// An answer with this code in MSA-1 is on its way: AA, AE, AR, CA, CE, CR, or `other`.
    fn acknowledged(&self, _connection: u64, _code: &'static str) {}
    /// The connection had `before` frames in hand and now has `now`.
    fn in_hand_changed(&self, _connection: u64, _before: usize, _now: usize) {}
    /// The handler gave an answer that cannot travel in a block; the connection is closed.
    fn answer_unsendable(&self, _connection: u64) {}
    /// A TLS handshake failed or took too long; the text says which side objected to what.
    fn handshake_failed(&self, _connection: u64, _error: &io::Error) {}
    /// The handler panicked.
    fn handler_panicked(&self, _connection: u64) {}
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}

/// Why a connection was closed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// `connections_max` are open.
    TooManyConnections,
    /// `connections_per_address_max` are open from this address.
    TooManyFromAddress,
    /// The address is not on the allow-list.
    NotAllowed,
    /// A balancer did not say, or not in time, on whose behalf it connects.
    NoProxyHeader,
}

impl Refusal {
    /// A short, stable name for counters and log records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyFromAddress => "too_many_from_address",
            Self::NotAllowed => "not_allowed",
            Self::NoProxyHeader => "no_proxy_header",
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed between frames.
    PeerClosed,
    /// The server is shutting down.
    Shutdown,
    /// Its one message was answered (`one_message_per_connection`).
    OneMessage,
    /// The handler asked for it.
    Handler,
    /// The handler panicked.
    HandlerPanicked,
    /// The handler's answer held a framing byte or was too long.
    AnswerUnsendable,
    /// A framing error that cannot be recovered from, or the last of too many.
    Frame(FrameError),
    /// A frame was not whole within `frame_deadline`.
    FrameDeadline,
    /// Silent for `idle_timeout`.
    Idle,
    /// It held the largest unfinished frame when all together passed `unfinished_bytes_max`.
    UnfinishedBytes,
    /// The peer took no byte of an answer for `write_timeout`.
    WriteTimeout,
    /// The handler gave no answer for `answer_deadline`.
    AnswerDeadline,
    /// The TLS handshake failed or took too long.
    Handshake,
    /// The network failed.
    Io(io::ErrorKind),
}

impl CloseReason {
    /// A short, stable name for counters and log records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PeerClosed => "peer_closed",
            Self::Shutdown => "shutdown",
            Self::OneMessage => "one_message",
            Self::Handler => "handler",
            Self::HandlerPanicked => "handler_panicked",
            Self::AnswerUnsendable => "answer_unsendable",
            Self::Frame(error) => error.kind.name(),
            Self::FrameDeadline => "frame_deadline",
            Self::Idle => "idle",
            Self::UnfinishedBytes => "unfinished_bytes",
            Self::WriteTimeout => "write_timeout",
            Self::AnswerDeadline => "answer_deadline",
            Self::Handshake => "handshake",
            Self::Io(_) => "io",
        }
    }
}

/// How a connection ended and what it carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionEnd {
    /// Why it ended.
    pub reason: CloseReason,
    /// Whole frames read.
    pub frames: u64,
    /// Answers handed to the network.
    pub answers: u64,
    /// Framing errors.
    pub frame_errors: u64,
    /// Bytes outside any block.
    pub junk_bytes: u64,
}

impl ConnectionEnd {
    pub(super) const fn new(reason: CloseReason) -> Self {
        Self {
            reason,
            frames: 0,
            answers: 0,
            frame_errors: 0,
            junk_bytes: 0,
        }
    }
}

/// What a server did between its start and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ServerSummary {
    /// Connections served.
    pub connections: u64,
    /// Connections closed at once.
    pub refused: u64,
    /// Whole frames read.
    pub frames: u64,
    /// Answers handed to the network.
    pub answers: u64,
    /// Framing errors.
    pub frame_errors: u64,
    /// Bytes outside any block.
    pub junk_bytes: u64,
    /// Connections cut off at the drain deadline; what they carried is not counted above.
    pub cut_off: u64,
}

impl ServerSummary {
    pub(super) fn add(&mut self, end: &ConnectionEnd) {
        self.frames += end.frames;
        self.answers += end.answers;
        self.frame_errors += end.frame_errors;
        self.junk_bytes += end.junk_bytes;
    }
}

impl fmt::Display for ServerSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections ({} refused, {} cut off), {} frames, {} answers, {} framing errors, \
             {} bytes of junk",
            self.connections,
            self.refused,
            self.cut_off,
            self.frames,
            self.answers,
            self.frame_errors,
            self.junk_bytes,
        )
    }
}
