//! What a character set cannot do.

use core::fmt;

/// MSH-18 names a character set that cannot be read.
///
/// ```
/// use hl7_message::{Charset, UnknownCharset};
///
/// let error = Charset::from_msh18(b"UNICODE UTF-16").unwrap_err();
/// assert_eq!(error, UnknownCharset::Wide);
/// assert_eq!(error.to_string(), "UTF-16 and UTF-32 cannot carry HL7 v2; write UNICODE UTF-8 in MSH-18");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownCharset {
    /// Nobody knows the name.
    Name,
    /// The bytes of UTF-16 and UTF-32 can be line ends and framing bytes.
    Wide,
}

impl fmt::Display for UnknownCharset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => {
                "unknown character set; write ASCII, 8859/1 to 8859/15 or UNICODE UTF-8 in MSH-18"
            }
            Self::Wide => "UTF-16 and UTF-32 cannot carry HL7 v2; write UNICODE UTF-8 in MSH-18",
        })
    }
}

impl core::error::Error for UnknownCharset {}

/// Bytes that a character set does not have.
///
/// ```
/// use hl7_message::Charset;
///
/// let error = Charset::ASCII.decode(b"M\xFCller").unwrap_err();
/// assert_eq!(error.to_string(), "bytes that the character set does not have, at byte 1");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidBytes {
    /// Where the first of them stands.
    pub offset: usize,
}

impl fmt::Display for InvalidBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "bytes that the character set does not have, at byte {}",
            self.offset
        )
    }
}

impl core::error::Error for InvalidBytes {}

/// A character that a character set does not have.
///
/// ```
/// use hl7_message::Charset;
///
/// assert_eq!(Charset::LATIN_1.encode("5 €").unwrap_err().offset, 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unencodable {
    /// Where it stands, in bytes of the text.
    pub offset: usize,
}

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a character that the character set does not have, at byte {}",
            self.offset
        )
    }
}

impl core::error::Error for Unencodable {}
