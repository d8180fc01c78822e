//! [`Number`]: MSH-13 and MSA-4.

use core::fmt;

/// A sequence number: positive for a message, 0 and -1 with meanings of their own. 15 characters
/// at most (NM).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number(i64);

/// The largest number that fits the field.
const MAX: i64 = 999_999_999_999_999;

impl Number {
    /// 0: which number do you expect?
    pub const START: Self = Self(0);
    /// -1: take the next number as the new beginning.
    pub const RESYNCHRONISE: Self = Self(-1);
    /// The first message of all.
    pub const FIRST: Self = Self(1);

    /// A number from -1 to 999,999,999,999,999.
    pub const fn new(number: i64) -> Option<Self> {
        if number < -1 || number > MAX {
            return None;
        }
        Some(Self(number))
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether it numbers a message.
    pub const fn is_message(self) -> bool {
        self.0 > 0
    }

    /// The number after it; after the largest comes 1 again.
    pub(super) const fn next(self) -> Self {
        if self.0 >= MAX {
            Self::FIRST
        } else {
            Self(self.0 + 1)
        }
    }

    /// The number before a message's; before 1 comes the largest.
    pub(super) const fn previous(self) -> Self {
        if self.0 <= 1 {
            Self(MAX)
        } else {
            Self(self.0 - 1)
        }
    }

    /// Reads a field; `None` where it is empty or `""`: the protocol is not in use.
    ///
    /// # Errors
    ///
    /// The field holds something else than a number from -1 to 999,999,999,999,999.
    ///
    /// ```
    /// use hl7_message::sequence::Number;
    ///
    /// assert_eq!(Number::from_field(b"17").unwrap().unwrap().get(), 17);
    /// assert_eq!(Number::from_field(b""), Ok(None));
    /// assert!(Number::from_field(b"-2").is_err());
    /// ```
    pub fn from_field(bytes: &[u8]) -> Result<Option<Self>, InvalidNumber> {
        let text = bytes.trim_ascii();
        if text.is_empty() || text == b"\"\"" {
            return Ok(None);
        }
        let number = core::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .and_then(Self::new)
            .ok_or(InvalidNumber)?;
        Ok(Some(number))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The field is no sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidNumber;

impl fmt::Display for InvalidNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a sequence number: expected -1, 0 or a positive whole number")
    }
}

impl core::error::Error for InvalidNumber {}
