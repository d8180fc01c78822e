//! [`Situation`]: everything that can be the matter with a message, and its answers.

use crate::ack::{AckCode, ApplicationOutcome, CommitOutcome, ErrorCondition};
use crate::error::ParseErrorKind;
use crate::loc;
use crate::location::Location;

/// Whose reading of AE and AR holds.
///
/// ```
/// use hl7_message::{AckCode, Convention, Situation, Verdict};
///
/// let missing = Situation::RequiredFieldMissing;
/// let reads = |convention| missing.verdict(convention);
/// assert_eq!(reads(Convention::Standard), Verdict::Answer(AckCode::ApplicationError));
/// assert_eq!(reads(Convention::Medsynapse), Verdict::Answer(AckCode::ApplicationReject));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Convention {
    /// HL7 2.3 chapter 2: AE says that the content is wrong, AR that the header is not
    /// acceptable or that the receiver cannot process now. The same bytes may be welcome later.
    #[default]
    Standard,
    /// The broker's statement: AR says that the message was looked at and refused (correct it
    /// and send it again), AE that the broker failed.
    Medsynapse,
}

/// What is done about a situation.
///
/// ```
/// use hl7_message::{Convention, Situation, Verdict};
///
/// let verdict = Situation::Acknowledgement.verdict(Convention::Standard);
/// assert_eq!(verdict, Verdict::Silence, "an acknowledgement is not acknowledged");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// No answer: there is nothing to correlate one with. Close the link and count it.
    Drop,
    /// No answer.
    Silence,
    /// The answer that the same message got before, under a new MSH-7 and MSH-10.
    Repeat,
    /// A negative answer.
    Answer(AckCode),
}

/// What can be the matter with what came in.
///
/// ```
/// use hl7_message::{AckCode, Convention, Situation, Verdict};
///
/// let missing = Situation::RequiredFieldMissing;
/// assert_eq!(missing.verdict(Convention::Standard), Verdict::Answer(AckCode::ApplicationError));
/// assert_eq!(missing.verdict(Convention::Medsynapse), Verdict::Answer(AckCode::ApplicationReject));
/// assert_eq!(missing.error().unwrap().code(), 101);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Situation {
    /// The frame was broken, truncated or too long.
    BrokenFrame,
    /// The payload does not start with MSH.
    NotMsh,
    /// The delimiters of MSH-1 and MSH-2 are missing, repeated or unprintable.
    Delimiters,
    /// MSH-10 is empty.
    NoControlId,
    /// MSH-9.1 is not served.
    UnsupportedMessageType,
    /// MSH-9.2 is not served.
    UnsupportedEvent,
    /// MSH-11 is none of P, D, T, or not served here.
    UnsupportedProcessingId,
    /// MSH-12 is not acceptable.
    UnsupportedVersion,
    /// MSH-18 names an unknown character set.
    UnknownCharset,
    /// Bytes are invalid in the declared character set.
    InvalidBytes,
    /// A required segment is missing, or the order of segments is wrong.
    SegmentSequence,
    /// A required field is missing.
    RequiredFieldMissing,
    /// A value that is needed has the wrong data type.
    DataType,
    /// A code is not in a table that must hold it.
    TableValueNotFound,
    /// A segment or field occurs more often than the profile allows.
    TooManyOccurrences,
    /// The order or patient that the message is about is not known.
    UnknownKey,
    /// The same sender sent the same bytes under the same MSH-10 before.
    Resent,
    /// The same sender sent other bytes under the same MSH-10 before.
    ControlIdReused,
    /// The record is locked.
    RecordLocked,
    /// The queue is full or the database down; the message is not kept.
    Unavailable,
    /// The application crashed over the message or took too long.
    HandlerFailed,
    /// A batch, or a second MSH in one frame.
    Batch,
    /// A part of a message that is continued (DSC, MSH-14).
    Continuation,
    /// The message is itself an acknowledgement.
    Acknowledgement,
}

impl Situation {
    /// Every situation, in the order of the table.
    pub const ALL: [Self; 24] = [
        Self::BrokenFrame,
        Self::NotMsh,
        Self::Delimiters,
        Self::NoControlId,
        Self::UnsupportedMessageType,
        Self::UnsupportedEvent,
        Self::UnsupportedProcessingId,
        Self::UnsupportedVersion,
        Self::UnknownCharset,
        Self::InvalidBytes,
        Self::SegmentSequence,
        Self::RequiredFieldMissing,
        Self::DataType,
        Self::TableValueNotFound,
        Self::TooManyOccurrences,
        Self::UnknownKey,
        Self::Resent,
        Self::ControlIdReused,
        Self::RecordLocked,
        Self::Unavailable,
        Self::HandlerFailed,
        Self::Batch,
        Self::Continuation,
        Self::Acknowledgement,
    ];

    /// What a payload that cannot be parsed is a case of.
    ///
    /// ```
    /// use hl7_message::{Message, Situation};
    ///
    /// let error = Message::parse(b"hello").unwrap_err();
    /// assert_eq!(Situation::of_parse_error(error.kind), Situation::NotMsh);
    /// ```
    pub const fn of_parse_error(kind: ParseErrorKind) -> Self {
        match kind {
            ParseErrorKind::Empty | ParseErrorKind::NoHeader | ParseErrorKind::WideCharacters => {
                Self::NotMsh
            }
            ParseErrorKind::FieldSeparator
            | ParseErrorKind::EncodingCharacters
            | ParseErrorKind::SeparatorCollision => Self::Delimiters,
            ParseErrorKind::TooLong { .. } => Self::BrokenFrame,
            ParseErrorKind::TooManySegments { .. } => Self::TooManyOccurrences,
        }
    }

    /// What the one answer of original mode says.
    ///
    /// ```
    /// use hl7_message::{AckCode, Convention, Situation, Verdict};
    ///
    /// let down = Situation::Unavailable.verdict(Convention::Standard);
    /// assert_eq!(down, Verdict::Answer(AckCode::ApplicationReject));
    /// ```
    pub const fn verdict(self, convention: Convention) -> Verdict {
        use AckCode::{ApplicationError as Ae, ApplicationReject as Ar};
        let (standard, medsynapse) = match self {
            Self::BrokenFrame => return Verdict::Drop,
            Self::Acknowledgement => return Verdict::Silence,
            Self::Resent => return Verdict::Repeat,
            Self::NotMsh
            | Self::Delimiters
            | Self::NoControlId
            | Self::UnsupportedMessageType
            | Self::UnsupportedEvent
            | Self::UnsupportedProcessingId
            | Self::UnsupportedVersion
            | Self::Batch
            | Self::Continuation => (Ar, Ar),
            Self::UnknownCharset
            | Self::InvalidBytes
            | Self::SegmentSequence
            | Self::RequiredFieldMissing
            | Self::DataType
            | Self::TableValueNotFound
            | Self::TooManyOccurrences
            | Self::UnknownKey
            | Self::ControlIdReused => (Ae, Ar),
            Self::RecordLocked | Self::Unavailable | Self::HandlerFailed => (Ar, Ae),
        };
        Verdict::Answer(match convention {
            Convention::Standard => standard,
            Convention::Medsynapse => medsynapse,
        })
    }

    /// How the commit stage of enhanced mode ends; `None` where no answer is made anew.
    ///
    /// ```
    /// use hl7_message::{CommitOutcome, Situation};
    ///
    /// assert_eq!(Situation::UnsupportedVersion.commit(), Some(CommitOutcome::NotAcceptable));
    /// assert_eq!(Situation::RequiredFieldMissing.commit(), Some(CommitOutcome::Stored));
    /// assert_eq!(Situation::Resent.commit(), None);
    /// ```
    pub const fn commit(self) -> Option<CommitOutcome> {
        match self {
            Self::BrokenFrame | Self::Acknowledgement | Self::Resent => None,
            Self::NotMsh
            | Self::Delimiters
            | Self::NoControlId
            | Self::UnsupportedMessageType
            | Self::UnsupportedEvent
            | Self::UnsupportedProcessingId
            | Self::UnsupportedVersion
            | Self::Batch
            | Self::Continuation => Some(CommitOutcome::NotAcceptable),
            Self::UnknownCharset
            | Self::InvalidBytes
            | Self::ControlIdReused
            | Self::RecordLocked
            | Self::Unavailable => Some(CommitOutcome::NotStored),
            Self::SegmentSequence
            | Self::RequiredFieldMissing
            | Self::DataType
            | Self::TableValueNotFound
            | Self::TooManyOccurrences
            | Self::UnknownKey
            | Self::HandlerFailed => Some(CommitOutcome::Stored),
        }
    }

    /// How the application stage of enhanced mode ends; of account only where the message was
    /// [stored](Self::commit).
    ///
    /// ```
    /// use hl7_message::{ApplicationOutcome, Situation};
    ///
    /// assert_eq!(Situation::DataType.application(), ApplicationOutcome::ContentError);
    /// assert_eq!(Situation::HandlerFailed.application(), ApplicationOutcome::NotProcessable);
    /// ```
    pub const fn application(self) -> ApplicationOutcome {
        match self.verdict(Convention::Standard) {
            Verdict::Answer(AckCode::ApplicationError) => ApplicationOutcome::ContentError,
            _ => ApplicationOutcome::NotProcessable,
        }
    }

    /// The code that ERR-1 names.
    ///
    /// ```
    /// use hl7_message::{ErrorCondition, Situation};
    ///
    /// assert_eq!(Situation::UnknownKey.error(), Some(ErrorCondition::UnknownKey));
    /// assert_eq!(Situation::BrokenFrame.error(), None);
    /// ```
    pub const fn error(self) -> Option<ErrorCondition> {
        Some(match self {
            Self::BrokenFrame | Self::Acknowledgement | Self::Resent => return None,
            Self::NotMsh | Self::SegmentSequence | Self::TooManyOccurrences => {
                ErrorCondition::SegmentSequence
            }
            Self::Delimiters | Self::InvalidBytes | Self::DataType => ErrorCondition::DataType,
            Self::NoControlId | Self::RequiredFieldMissing => ErrorCondition::RequiredFieldMissing,
            Self::UnsupportedMessageType | Self::Batch => ErrorCondition::UnsupportedMessageType,
            Self::UnsupportedEvent => ErrorCondition::UnsupportedEvent,
            Self::UnsupportedProcessingId => ErrorCondition::UnsupportedProcessingId,
            Self::UnsupportedVersion => ErrorCondition::UnsupportedVersion,
            Self::UnknownCharset | Self::TableValueNotFound => ErrorCondition::TableValueNotFound,
            Self::UnknownKey => ErrorCondition::UnknownKey,
            Self::ControlIdReused => ErrorCondition::DuplicateKey,
            Self::RecordLocked => ErrorCondition::RecordLocked,
            Self::Unavailable | Self::HandlerFailed | Self::Continuation => {
                ErrorCondition::InternalError
            }
        })
    }

    /// Where the trouble is, if it is always the same place; other places the caller knows.
    ///
    /// ```
    /// use hl7_message::{Situation, loc};
    ///
    /// assert_eq!(Situation::UnsupportedVersion.place(), Some(loc!("MSH-12")));
    /// assert_eq!(Situation::RequiredFieldMissing.place(), None, "the caller knows the field");
    /// ```
    pub const fn place(self) -> Option<Location> {
        match self {
            Self::NotMsh => Some(loc!("MSH")),
            Self::Delimiters => Some(loc!("MSH-2")),
            Self::NoControlId | Self::ControlIdReused => Some(loc!("MSH-10")),
            Self::UnsupportedMessageType | Self::UnsupportedEvent => Some(loc!("MSH-9")),
            Self::UnsupportedProcessingId => Some(loc!("MSH-11")),
            Self::UnsupportedVersion => Some(loc!("MSH-12")),
            Self::UnknownCharset => Some(loc!("MSH-18")),
            Self::Continuation => Some(loc!("MSH-14")),
            Self::Batch => Some(loc!("FHS")),
            Self::BrokenFrame
            | Self::InvalidBytes
            | Self::SegmentSequence
            | Self::RequiredFieldMissing
            | Self::DataType
            | Self::TableValueNotFound
            | Self::TooManyOccurrences
            | Self::UnknownKey
            | Self::Resent
            | Self::RecordLocked
            | Self::Unavailable
            | Self::HandlerFailed
            | Self::Acknowledgement => None,
        }
    }

    /// A few words for MSA-3: nothing of the message, nothing of the inside of the receiver.
    ///
    /// ```
    /// use hl7_message::Situation;
    ///
    /// assert_eq!(Situation::NoControlId.text(), "MSH-10 is missing");
    /// ```
    pub const fn text(self) -> &'static str {
        match self {
            Self::BrokenFrame => "Broken frame",
            Self::NotMsh => "The message does not start with MSH",
            Self::Delimiters => "The delimiters in MSH-1 and MSH-2 are not usable",
            Self::NoControlId => "MSH-10 is missing",
            Self::UnsupportedMessageType => "Message type not supported",
            Self::UnsupportedEvent => "Trigger event not supported",
            Self::UnsupportedProcessingId => "Processing id (MSH-11) not supported",
            Self::UnsupportedVersion => "Version (MSH-12) not supported",
            Self::UnknownCharset => "Character set (MSH-18) not known",
            Self::InvalidBytes => "Bytes not valid in the character set",
            Self::SegmentSequence => "Segment missing or out of order",
            Self::RequiredFieldMissing => "Required field missing",
            Self::DataType => "Wrong data type",
            Self::TableValueNotFound => "Value not in its table",
            Self::TooManyOccurrences => "Occurs more often than allowed",
            Self::UnknownKey => "Order or patient not known",
            Self::Resent => "Sent before",
            Self::ControlIdReused => "MSH-10 was used before for another message",
            Self::RecordLocked => "Record locked, send again later",
            Self::Unavailable => "Not able to store, send again later",
            Self::HandlerFailed => "Internal error, send again later",
            Self::Batch => "One message a frame, no batches",
            Self::Continuation => "Continued messages are not supported",
            Self::Acknowledgement => "An acknowledgement",
        }
    }

    /// Whether the same bytes may be welcome later.
    ///
    /// ```
    /// use hl7_message::Situation;
    ///
    /// assert!(Situation::RecordLocked.may_succeed_later());
    /// assert!(!Situation::UnsupportedEvent.may_succeed_later());
    /// ```
    pub const fn may_succeed_later(self) -> bool {
        matches!(
            self,
            Self::RecordLocked | Self::Unavailable | Self::HandlerFailed
        )
    }
}

#[cfg(test)]
mod tests;
