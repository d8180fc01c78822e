#![doc = include_str!("../README.md")]

pub mod combinators;
pub mod dictionary;
pub mod escape;
pub mod guide;

mod ack;
mod batch;
mod bitmap;
#[cfg(feature = "charset")]
mod charset;
mod cut;
mod diagnostic;
mod display;
mod edit;
mod error;
mod field;
mod header;
mod index;
mod location;
mod lookup;
mod matches;
mod message;
mod raw;
mod segment;
mod separators;
#[cfg(feature = "serde")]
mod serde;
#[cfg(all(target_arch = "x86_64", feature = "simd"))]
mod simd;
mod strict;
mod table;
mod timestamp;
mod value;
mod write;

pub use ack::{
    ACK_TEXT_MAX, Ack, AckCode, AckMode, AckPolicy, AckWhen, Answers, ApplicationOutcome,
    CommitOutcome, Convention, Decision, ErrorCondition, HeaderCheck, InvalidAck, Reply, Responder,
    Situation, UnknownAckCode, Verdict, is_acknowledgement, sequence,
};
pub use batch::{
    BatchCount, BatchError, Chunk, ChunkBuf, ChunkKind, ChunkReader, Chunks, ReadError, chunks,
};
#[cfg(feature = "charset")]
pub use charset::{
    Charset, InvalidBytes, Readable, Transcoded, Undecodable, Unencodable, UnknownCharset,
};
pub use diagnostic::{Diagnostic, DiagnosticKind, StrictError};
pub use edit::{Edit, EditError};
pub use error::{ParseError, ParseErrorKind};
pub use field::{Component, Field, Repetition, Subcomponent};
pub use header::Header;
pub use index::{Index, Indexed, Leaf, Leaves};
pub use location::{Location, LocationError};
pub use message::{Limits, LineEnd, Message, Segments};
pub use segment::{Fields, InvalidSegmentId, Segment, SegmentId};
pub use separators::Separators;
pub use timestamp::{InvalidTimestamp, Precision, Timestamp};
pub use value::Value;
pub use write::{MessageWriter, SegmentWriter, WriteError};
