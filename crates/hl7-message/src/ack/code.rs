//! [`AckCode`]: the two letters of MSA-1.

use core::fmt;
use core::str::FromStr;

/// MSA-1, table 0008: the answer to a message.
///
/// ```
/// use hl7_message::AckCode;
///
/// let code: AckCode = "AA".parse()?;
/// assert!(code.is_accept() && !AckCode::CommitReject.is_accept());
/// assert_eq!(AckCode::ApplicationError.as_str(), "AE");
/// assert!("OK".parse::<AckCode>().is_err());
/// # Ok::<(), hl7_message::UnknownAckCode>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AckCode {
    /// AA: processed and accepted.
    ApplicationAccept,
    /// AE: an error in processing.
    ApplicationError,
    /// AR: rejected.
    ApplicationReject,
    /// CA: taken into safe storage, enhanced mode.
    CommitAccept,
    /// CE: cannot be stored, enhanced mode.
    CommitError,
    /// CR: type, version or processing id not acceptable, enhanced mode.
    CommitReject,
}

impl AckCode {
    /// The two letters.
    ///
    /// ```
    /// use hl7_message::AckCode;
    ///
    /// assert_eq!(AckCode::ApplicationReject.as_str(), "AR");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApplicationAccept => "AA",
            Self::ApplicationError => "AE",
            Self::ApplicationReject => "AR",
            Self::CommitAccept => "CA",
            Self::CommitError => "CE",
            Self::CommitReject => "CR",
        }
    }

    /// Whether the message was accepted: AA or CA.
    ///
    /// ```
    /// use hl7_message::AckCode;
    ///
    /// assert!(AckCode::ApplicationAccept.is_accept() && AckCode::CommitAccept.is_accept());
    /// assert!(!AckCode::ApplicationError.is_accept());
    /// ```
    pub const fn is_accept(self) -> bool {
        matches!(self, Self::ApplicationAccept | Self::CommitAccept)
    }
}

impl fmt::Display for AckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AckCode {
    type Err = UnknownAckCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "AA" => Self::ApplicationAccept,
            "AE" => Self::ApplicationError,
            "AR" => Self::ApplicationReject,
            "CA" => Self::CommitAccept,
            "CE" => Self::CommitError,
            "CR" => Self::CommitReject,
            _ => return Err(UnknownAckCode),
        })
    }
}

/// Text that is no code of table 0008.
///
/// ```
/// use hl7_message::{AckCode, UnknownAckCode};
///
/// assert_eq!("aa".parse::<AckCode>(), Err(UnknownAckCode));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownAckCode;

impl fmt::Display for UnknownAckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an acknowledgement code: AA, AE, AR, CA, CE or CR")
    }
}

impl core::error::Error for UnknownAckCode {}
