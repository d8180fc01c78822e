//! [`ErrorCondition`]: the numbers that ERR-1 names.

/// Table 0357, message error condition codes; HL7 2.3 leaves the table local.
///
/// ```
/// use hl7_message::ErrorCondition;
///
/// let condition = ErrorCondition::RequiredFieldMissing;
/// assert_eq!((condition.code(), condition.text()), (101, "Required field missing"));
/// assert_eq!(ErrorCondition::from_code(101), Some(condition));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorCondition {
    /// 100: segments missing, repeated or out of order.
    SegmentSequence,
    /// 101: a required field is missing.
    RequiredFieldMissing,
    /// 102: the value has another data type.
    DataType,
    /// 103: the value is not in its table.
    TableValueNotFound,
    /// 200: message type not supported.
    UnsupportedMessageType,
    /// 201: trigger event not supported.
    UnsupportedEvent,
    /// 202: processing id not supported.
    UnsupportedProcessingId,
    /// 203: version not supported.
    UnsupportedVersion,
    /// 204: no such key, for instance an order that is not known.
    UnknownKey,
    /// 205: the key exists already.
    DuplicateKey,
    /// 206: the record is locked.
    RecordLocked,
    /// 207: an error inside the application.
    InternalError,
}

impl ErrorCondition {
    /// The number in table 0357.
    pub const fn code(self) -> u16 {
        match self {
            Self::SegmentSequence => 100,
            Self::RequiredFieldMissing => 101,
            Self::DataType => 102,
            Self::TableValueNotFound => 103,
            Self::UnsupportedMessageType => 200,
            Self::UnsupportedEvent => 201,
            Self::UnsupportedProcessingId => 202,
            Self::UnsupportedVersion => 203,
            Self::UnknownKey => 204,
            Self::DuplicateKey => 205,
            Self::RecordLocked => 206,
            Self::InternalError => 207,
        }
    }

    /// The condition with this number.
    ///
    /// ```
    /// use hl7_message::ErrorCondition;
    ///
    /// assert_eq!(ErrorCondition::from_code(204), Some(ErrorCondition::UnknownKey));
    /// assert_eq!(ErrorCondition::from_code(404), None);
    /// ```
    pub const fn from_code(code: u16) -> Option<Self> {
        Some(match code {
            100 => Self::SegmentSequence,
            101 => Self::RequiredFieldMissing,
            102 => Self::DataType,
            103 => Self::TableValueNotFound,
            200 => Self::UnsupportedMessageType,
            201 => Self::UnsupportedEvent,
            202 => Self::UnsupportedProcessingId,
            203 => Self::UnsupportedVersion,
            204 => Self::UnknownKey,
            205 => Self::DuplicateKey,
            206 => Self::RecordLocked,
            207 => Self::InternalError,
            _ => return None,
        })
    }

    /// What the number means, in a few words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::SegmentSequence => "Segment sequence error",
            Self::RequiredFieldMissing => "Required field missing",
            Self::DataType => "Data type error",
            Self::TableValueNotFound => "Table value not found",
            Self::UnsupportedMessageType => "Unsupported message type",
            Self::UnsupportedEvent => "Unsupported event code",
            Self::UnsupportedProcessingId => "Unsupported processing id",
            Self::UnsupportedVersion => "Unsupported version id",
            Self::UnknownKey => "Unknown key identifier",
            Self::DuplicateKey => "Duplicate key identifier",
            Self::RecordLocked => "Application record locked",
            Self::InternalError => "Application internal error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_reads_back() {
        let known = (0..=u16::MAX).filter_map(ErrorCondition::from_code);
        assert_eq!(known.clone().count(), 12);
        for condition in known {
            assert_eq!(ErrorCondition::from_code(condition.code()), Some(condition));
        }
    }
}
