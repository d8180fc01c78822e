//! [`Separators`]: the delimiter characters that MSH-1 and MSH-2 declare.

use crate::error::ParseErrorKind;

/// The delimiters of one message: MSH-1 and the characters of MSH-2.
///
/// HL7 2.3 chapter 2, section 2.8: the field separator is the fourth byte of
/// the MSH segment; MSH-2 names component, repetition, escape and subcomponent
/// separator, in this order. Escape and subcomponent may be left out, and a
/// fifth character (truncation, since HL7 2.7) splits nothing. A character that
/// MSH-2 does not declare is data.
///
/// ```
/// use hl7_message::Separators;
///
/// let separators = Separators::parse(b"|", br"^~\&").unwrap();
/// assert_eq!(separators, Separators::DEFAULT);
/// assert_eq!(separators.encoding_characters(), br"^~\&");
///
/// let short = Separators::parse(b"|", b"^~").unwrap();
/// assert_eq!(short.escape(), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Separators {
    pub(crate) field: u8,
    pub(crate) component: u8,
    pub(crate) repetition: u8,
    pub(crate) escape: u8,
    pub(crate) subcomponent: u8,
    pub(crate) truncation: u8,
}

/// Stands for a delimiter that is not declared. A CR ends every segment, so it
/// never occurs inside one and a search for it finds nothing.
pub(crate) const NONE: u8 = b'\r';

const fn declared(byte: u8) -> Option<u8> {
    if byte == NONE { None } else { Some(byte) }
}

impl Separators {
    /// The usual delimiters: `|` and `^~\&`.
    ///
    /// ```
    /// use hl7_message::Separators;
    ///
    /// assert_eq!(Separators::DEFAULT.encoding_characters(), br"^~\&");
    /// ```
    pub const DEFAULT: Self = Self {
        field: b'|',
        component: b'^',
        repetition: b'~',
        escape: b'\\',
        subcomponent: b'&',
        truncation: NONE,
    };

    /// Delimiters that split nothing, for MSH-1 and MSH-2 themselves.
    pub(crate) const ATOMIC: Self = Self {
        field: NONE,
        component: NONE,
        repetition: NONE,
        escape: NONE,
        subcomponent: NONE,
        truncation: NONE,
    };

    /// Reads the two fields MSH-1 and MSH-2.
    ///
    /// # Errors
    ///
    /// MSH-1 that is not one printable ASCII character, MSH-2 that is not two
    /// to five of them, a letter, digit or blank among them, or two alike.
    ///
    /// ```
    /// use hl7_message::{ParseErrorKind, Separators};
    ///
    /// assert!(Separators::parse(b"|", br"^~\&#").is_ok());
    /// assert_eq!(Separators::parse(b"|", b"^^"), Err(ParseErrorKind::SeparatorCollision));
    /// ```
    pub fn parse(field: &[u8], encoding_characters: &[u8]) -> Result<Self, ParseErrorKind> {
        let &[field] = field else {
            return Err(ParseErrorKind::FieldSeparator);
        };
        if !usable(field) {
            return Err(ParseErrorKind::FieldSeparator);
        }
        let mut all = [NONE; 6];
        let len = encoding_characters.len();
        if !(2..=5).contains(&len) {
            return Err(ParseErrorKind::EncodingCharacters);
        }
        if let Some(first) = all.first_mut() {
            *first = field;
        }
        for (slot, &byte) in all.iter_mut().skip(1).zip(encoding_characters) {
            if !usable(byte) {
                return Err(ParseErrorKind::EncodingCharacters);
            }
            *slot = byte;
        }
        let taken = all.get(..=len).unwrap_or(&all);
        for (position, byte) in taken.iter().enumerate() {
            if taken.iter().skip(position + 1).any(|other| other == byte) {
                return Err(ParseErrorKind::SeparatorCollision);
            }
        }
        let [
            field,
            component,
            repetition,
            escape,
            subcomponent,
            truncation,
        ] = all;
        Ok(Self {
            field,
            component,
            repetition,
            escape,
            subcomponent,
            truncation,
        })
    }

    /// MSH-1, the field separator.
    ///
    /// ```
    /// use hl7_message::Separators;
    ///
    /// assert_eq!(Separators::DEFAULT.field(), b'|');
    /// ```
    pub const fn field(&self) -> u8 {
        self.field
    }

    /// The component separator, first character of MSH-2.
    ///
    /// ```
    /// use hl7_message::Separators;
    ///
    /// assert_eq!(Separators::DEFAULT.component(), b'^');
    /// ```
    pub const fn component(&self) -> u8 {
        self.component
    }

    /// The repetition separator, second character of MSH-2.
    ///
    /// ```
    /// use hl7_message::Separators;
    ///
    /// assert_eq!(Separators::DEFAULT.repetition(), b'~');
    /// ```
    pub const fn repetition(&self) -> u8 {
        self.repetition
    }

    /// The escape character, third character of MSH-2, if declared.
    ///
    /// ```
    /// use hl7_message::Separators;
    ///
    /// assert_eq!(Separators::DEFAULT.escape(), Some(b'\\'));
    /// ```
    pub const fn escape(&self) -> Option<u8> {
        declared(self.escape)
    }

    /// The subcomponent separator, fourth character of MSH-2, if declared.
    ///
    /// ```
    /// use hl7_message::Separators;
    ///
    /// assert_eq!(Separators::DEFAULT.subcomponent(), Some(b'&'));
    /// ```
    pub const fn subcomponent(&self) -> Option<u8> {
        declared(self.subcomponent)
    }

    /// The truncation character, fifth character of MSH-2 since HL7 2.7, if declared.
    ///
    /// ```
    /// use hl7_message::Separators;
    ///
    /// assert_eq!(Separators::DEFAULT.truncation(), None);
    /// ```
    pub const fn truncation(&self) -> Option<u8> {
        declared(self.truncation)
    }

    /// The bytes of MSH-2, as they were declared.
    ///
    /// ```
    /// use hl7_message::Separators;
    ///
    /// let separators = Separators::parse(b"|", b"^~").unwrap();
    /// assert_eq!(separators.encoding_characters(), b"^~");
    /// ```
    pub fn encoding_characters(&self) -> Vec<u8> {
        [
            self.component,
            self.repetition,
            self.escape,
            self.subcomponent,
            self.truncation,
        ]
        .into_iter()
        .take_while(|&byte| byte != NONE)
        .collect()
    }

    /// Whether `byte` splits or escapes text under these delimiters.
    pub(crate) const fn is_delimiter(self, byte: u8) -> bool {
        byte != NONE
            && (byte == self.field
                || byte == self.component
                || byte == self.repetition
                || byte == self.escape
                || byte == self.subcomponent)
    }
}

impl Default for Separators {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Printable ASCII that is neither a letter nor a digit nor a blank: anything
/// else as a delimiter would cut names and numbers apart.
const fn usable(byte: u8) -> bool {
    byte.is_ascii_punctuation()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(field: &[u8], encoding: &[u8], kind: ParseErrorKind) {
        assert_eq!(Separators::parse(field, encoding), Err(kind));
    }

    #[test]
    fn two_to_five_encoding_characters_are_read() {
        for encoding in [&b"^~"[..], br"^~\", br"^~\&", br"^~\&#"] {
            let separators = Separators::parse(b"|", encoding).unwrap();
            assert_eq!(separators.encoding_characters(), encoding);
        }
    }

    #[test]
    fn other_characters_than_the_usual_are_read() {
        let separators = Separators::parse(b"@", br"~&#\").unwrap();
        assert_eq!(separators.subcomponent(), Some(b'\\'));
        assert_eq!(separators.escape(), Some(b'#'));
    }

    #[test]
    fn broken_delimiters_are_refused() {
        refused(b"", br"^~\&", ParseErrorKind::FieldSeparator);
        refused(b"A", br"^~\&", ParseErrorKind::FieldSeparator);
        refused(b"\t", br"^~\&", ParseErrorKind::FieldSeparator);
        refused(b"|", b"^", ParseErrorKind::EncodingCharacters);
        refused(b"|", br"^~\&#$", ParseErrorKind::EncodingCharacters);
        refused(b"|", b"0000", ParseErrorKind::EncodingCharacters);
        refused(b"|", br"^~y&", ParseErrorKind::EncodingCharacters);
        refused(b"|", b"^~ &", ParseErrorKind::EncodingCharacters);
        refused(b"|", br"^~\\&", ParseErrorKind::SeparatorCollision);
        refused(b"^", br"^~\&", ParseErrorKind::SeparatorCollision);
    }
}
