//! [`FrameError`], [`EncodeError`] and [`StreamError`]: what was wrong and where, never the bytes.

use std::{fmt, io};

/// A stream that does not read as frames: what was wrong, and at which byte of the stream.
///
/// The error never holds payload, so it may be logged as it is.
///
/// ```
/// use bytes::BytesMut;
/// use hl7_mllp::{FrameErrorKind, MllpCodec};
///
/// let mut codec = MllpCodec::new();
/// let mut stream = BytesMut::from(&b"\x0bMSH|^~\\&|half\x0bMSH|^~\\&|whole\x1c\r"[..]);
/// let error = codec.decode(&mut stream).unwrap_err();
/// assert_eq!(error.kind, FrameErrorKind::BlockRestarted);
/// assert_eq!(error.to_string(), "a new block began inside an unfinished one at byte 14");
/// assert!(error.is_recoverable());
/// assert_eq!(codec.decode(&mut stream).unwrap().unwrap(), "MSH|^~\\&|whole");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct FrameError {
    /// What was wrong.
    pub kind: FrameErrorKind,
    /// The byte that showed it, counted from the first byte of the stream, which is 0.
    pub offset: u64,
}

impl FrameError {
    /// Whether the stream may go on. The broken block is gone either way; `true` says that the
    /// place where the next one begins is beyond doubt.
    pub const fn is_recoverable(&self) -> bool {
        match self.kind {
            FrameErrorKind::BlockRestarted | FrameErrorKind::EndBlockAlone => true,
            FrameErrorKind::Truncated
            | FrameErrorKind::FrameTooLarge { .. }
            | FrameErrorKind::TooMuchJunk { .. } => false,
        }
    }
}

/// The ways in which a stream fails to be frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameErrorKind {
    /// A start block (0B) inside an open block: the sender gave up one message and began the
    /// next. The unfinished one is dropped, the new one is read.
    BlockRestarted,
    /// An end block (1C) that ends nothing: what follows it is neither a carriage return nor,
    /// where [`Framing::Tolerant`](crate::Framing::Tolerant) allows them, its usual substitutes.
    /// The block is dropped and everything up to the next start block is skipped.
    EndBlockAlone,
    /// The stream ended inside a block.
    Truncated,
    /// A frame of more than `limit` bytes ([`Limits::frame_bytes_max`](crate::Limits)).
    FrameTooLarge {
        /// The limit in force.
        limit: usize,
    },
    /// More than `limit` bytes outside any block
    /// ([`Limits::junk_bytes_max`](crate::Limits)): the peer hardly speaks MLLP.
    TooMuchJunk {
        /// The limit in force.
        limit: usize,
    },
}

impl FrameErrorKind {
    /// A short, stable name for counters and log records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BlockRestarted => "block_restarted",
            Self::EndBlockAlone => "end_block_alone",
            Self::Truncated => "truncated",
            Self::FrameTooLarge { .. } => "frame_too_large",
            Self::TooMuchJunk { .. } => "too_much_junk",
        }
    }
}

impl fmt::Display for FrameErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockRestarted => f.write_str("a new block began inside an unfinished one"),
            Self::EndBlockAlone => f.write_str("end block (1C) without its carriage return"),
            Self::Truncated => f.write_str("the stream ended inside a block"),
            Self::FrameTooLarge { limit } => write!(f, "frame longer than {limit} bytes"),
            Self::TooMuchJunk { limit } => {
                write!(f, "more than {limit} bytes outside any block")
            }
        }
    }
}

/// A payload that cannot travel in a block. Nothing has been written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload holds a framing byte. HL7 text never does; UTF-16 and binary data can.
    #[error("payload holds the framing byte {byte:02X} at byte {offset}")]
    FramingByte {
        /// 0B or 1C.
        byte: u8,
        /// Where in the payload, counted from 0.
        offset: usize,
    },
    /// The payload is the single byte 06 or 15, which a peer would read as a commit block.
    #[error("a payload of the single byte {byte:02X} reads as a commit block")]
    CommitByte {
        /// 06 or 15.
        byte: u8,
    },
    /// The payload is longer than [`Limits::frame_bytes_max`](crate::Limits).
    #[error("payload of {bytes} bytes is longer than the limit of {limit}")]
    TooLarge {
        /// Length of the payload.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// The transport failed; needed by [`tokio_util::codec::Encoder`], never made here.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The error of the [`tokio_util::codec::Decoder`] form: the framing or the transport under it.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The bytes do not read as frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
