//! [`ExchangeError`]: why there is no answer, each cause a kind of its own.

use std::{fmt, io};

use bytes::Bytes;

use crate::{EncodeError, FrameError};

/// Why there is no answer. None of these is ever a success, and after most of them the connection
/// is given up ([`Unusable`](Self::Unusable) from then on).
///
/// Two questions matter to the caller: [was the message sent](Self::was_sent), and [is trying
/// again any use](Self::is_permanent).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The name of the peer is not known.
    #[error("the name of the peer cannot be found: {0}")]
    NameNotFound(#[source] io::Error),
    /// Nothing listens at the peer's port.
    #[error("the peer refused the connection")]
    Refused,
    /// The connection was not made within `connect_timeout`.
    #[error("not connected in time")]
    ConnectTimeout,
    /// The connection could not be made.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The TLS handshake failed. Of kind [`io::ErrorKind::InvalidData`] it is about certificates
    /// or settings, and permanent.
    #[error("TLS handshake failed: {0}")]
    Handshake(#[source] io::Error),
    /// An earlier exchange left the connection in doubt; connect again.
    #[error("the connection was given up after an earlier exchange")]
    Unusable,
    /// The peer closed the idle connection; nothing was sent.
    #[error("the peer has closed the idle connection")]
    Stale,
    /// The peer sent something on an idle connection, perhaps a late answer; nothing was sent.
    #[error("the peer sent something nobody asked for")]
    Unexpected,
    /// The message cannot travel in a block; nothing was sent.
    #[error("the message cannot be framed: {0}")]
    Encode(#[source] EncodeError),
    /// The message has no MSH-10 to match an answer with; nothing was sent.
    #[error("the message has no control id (MSH-10)")]
    NoControlId,
    /// The network did not take the message within `write_timeout`.
    #[error("the message was not taken in time")]
    WriteTimeout,
    /// No whole answer in time.
    #[error("no answer in time: {phase}")]
    AnswerTimeout {
        /// What was waited for.
        phase: AnswerPhase,
    },
    /// The peer closed the connection without an answer.
    #[error("the peer closed the connection before it answered")]
    Closed,
    /// The connection was reset before an answer came.
    #[error("the connection was reset before the answer")]
    Reset,
    /// The network failed before an answer came.
    #[error("the connection failed before the answer: {0}")]
    Io(#[source] io::Error),
    /// The answer does not read as a frame.
    #[error("the answer is broken: {0}")]
    Frame(#[source] FrameError),
    /// The peer answered without framing: it does not speak MLLP.
    #[error("the peer sent {bytes} bytes without a block: it does not speak MLLP")]
    Unframed {
        /// How many bytes came.
        bytes: u64,
    },
    /// The answer names another message.
    #[error("the answer names another message (MSA-2)")]
    WrongId(Untold),
    /// The answer is not an acknowledgement.
    #[error("the answer has no MSA segment")]
    NoMsa(Untold),
    /// The answer's code is none of AA, AE, AR, CA, CE, CR.
    #[error("the answer has an unknown code (MSA-1)")]
    UnknownCode(Untold),
    /// The answer was given before: another CA for the message, or a commit answer behind the
    /// application's.
    #[error("the peer gave the same answer again")]
    AnsweredBefore(Untold),
    /// The peer answered that the message shall be sent again later.
    #[error("the peer asked to send the message again later")]
    Postponed(Untold),
    /// The connection was given up while this message waited for its answer, because of another
    /// message.
    #[error("the connection was given up before the answer came")]
    Abandoned,
    /// The peer could not store the message (negative commit block of MLLP release 2).
    #[error("the peer could not store the message")]
    CommitNak,
}

/// The bytes of an answer that is none, for whoever has to find out why: `Debug` shows how many,
/// never which.
#[derive(Clone, PartialEq, Eq)]
pub struct Untold(pub Bytes);

impl fmt::Debug for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl ExchangeError {
    /// The frame that came and is no answer to the message, where one did.
    ///
    /// ```
    /// use hl7_mllp::ExchangeError;
    /// use hl7_mllp::client::Untold;
    ///
    /// let error = ExchangeError::WrongId(Untold("MSH|^~\\&|...".into()));
    /// assert_eq!(format!("{error:?}"), "WrongId(12 bytes)");
    /// assert_eq!(error.answer().unwrap(), "MSH|^~\\&|...");
    /// ```
    pub const fn answer(&self) -> Option<&Bytes> {
        match self {
            Self::WrongId(answer)
            | Self::NoMsa(answer)
            | Self::UnknownCode(answer)
            | Self::AnsweredBefore(answer)
            | Self::Postponed(answer) => Some(&answer.0),
            _ => None,
        }
    }

    /// Whether the peer may have received the message. If so its outcome is unknown, and only the
    /// same bytes under the same control id may be sent again.
    pub const fn was_sent(&self) -> bool {
        match self {
            Self::NameNotFound(_)
            | Self::Refused
            | Self::ConnectTimeout
            | Self::Connect(_)
            | Self::Handshake(_)
            | Self::Unusable
            | Self::Stale
            | Self::Unexpected
            | Self::Encode(_)
            | Self::NoControlId => false,
            Self::WriteTimeout
            | Self::AnswerTimeout { .. }
            | Self::Closed
            | Self::Reset
            | Self::Io(_)
            | Self::Frame(_)
            | Self::Unframed { .. }
            | Self::WrongId(_)
            | Self::NoMsa(_)
            | Self::UnknownCode(_)
            | Self::AnsweredBefore(_)
            | Self::Postponed(_)
            | Self::Abandoned
            | Self::CommitNak => true,
        }
    }

    /// Whether trying again is of no use until somebody changes a setting or the message.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::NameNotFound(_) | Self::Encode(_) | Self::NoControlId | Self::Unframed { .. } => {
                true
            }
            Self::Handshake(error) => error.kind() == io::ErrorKind::InvalidData,
            Self::Refused
            | Self::ConnectTimeout
            | Self::Connect(_)
            | Self::Unusable
            | Self::Stale
            | Self::Unexpected
            | Self::WriteTimeout
            | Self::AnswerTimeout { .. }
            | Self::Closed
            | Self::Reset
            | Self::Io(_)
            | Self::Frame(_)
            | Self::WrongId(_)
            | Self::NoMsa(_)
            | Self::UnknownCode(_)
            | Self::AnsweredBefore(_)
            | Self::Postponed(_)
            | Self::Abandoned
            | Self::CommitNak => false,
        }
    }

    /// A short, stable name for counters and log records.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NameNotFound(_) => "name_not_found",
            Self::Refused => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::Connect(_) => "connect",
            Self::Handshake(_) => "handshake",
            Self::Unusable => "unusable",
            Self::Stale => "stale",
            Self::Unexpected => "unexpected",
            Self::Encode(_) => "encode",
            Self::NoControlId => "no_control_id",
            Self::WriteTimeout => "write_timeout",
            Self::AnswerTimeout { .. } => "answer_timeout",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Io(_) => "io",
            Self::Frame(error) => error.kind.name(),
            Self::Unframed { .. } => "unframed",
            Self::WrongId(_) => "wrong_id",
            Self::NoMsa(_) => "no_msa",
            Self::UnknownCode(_) => "unknown_code",
            Self::AnsweredBefore(_) => "answered_before",
            Self::Postponed(_) => "postponed",
            Self::Abandoned => "abandoned",
            Self::CommitNak => "commit_nak",
        }
    }

    /// A failure of a connection that was there.
    pub(super) fn of_link(error: io::Error) -> Self {
        #[cfg(feature = "tls")]
        if crate::tls::refuses_certificate(&error) {
            return Self::Handshake(error);
        }
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Reset,
            // TLS without a proper goodbye.
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// Which part of an answer was late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnswerPhase {
    /// Its first byte (`first_byte_timeout`).
    FirstByte,
    /// The rest of it (`answer_timeout`).
    Whole,
}

impl fmt::Display for AnswerPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstByte => "not one byte came",
            Self::Whole => "it began and did not end",
        })
    }
}
