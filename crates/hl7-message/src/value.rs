//! [`Value`]: the three things that a place in a message can say.

use std::borrow::Cow;

use crate::field::Subcomponent;

/// What stands at a place: nothing, `""`, or text.
///
/// HL7 2.3 chapter 2: no characters leave the stored value alone, `""` deletes
/// it, text replaces it. Use [`Message::leaf`](crate::Message::leaf) to tell a
/// place that is there but empty from one that is not there.
///
/// ```
/// use hl7_message::{Message, Value, loc};
///
/// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
/// let message = Message::parse(bytes)?;
/// let what = |location| match message.value(location) {
///     Value::Absent => "keep",
///     Value::Null => "clear",
///     Value::Text(_) => "set",
/// };
/// assert_eq!([what(loc!("PID-4")), what(loc!("PID-7")), what(loc!("PID-5"))], ["keep", "clear", "set"]);
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// No characters: keep what is known.
    Absent,
    /// `""`: clear what is known.
    Null,
    /// Text: set it.
    Text(Subcomponent<'a>),
}

impl<'a> Value<'a> {
    /// Whether nothing was sent.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert!(message.value(loc!("PID-4")).is_absent());
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether `""` was sent.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert!(message.value(loc!("PID-7")).is_null());
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text with its escape sequences as they are.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(message.value(loc!("PID-5.2")).raw(), Some(&b"JANE"[..]));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn raw(&self) -> Option<&'a [u8]> {
        match self {
            Self::Text(leaf) => Some(leaf.as_bytes()),
            Self::Absent | Self::Null => None,
        }
    }

    /// The text with its escape sequences decoded.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rNTE|1||A \\T\\ E\r")?;
    /// assert_eq!(message.value(loc!("NTE-3")).unescape().as_deref(), Some(&b"A & E"[..]));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn unescape(&self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Text(leaf) => Some(leaf.unescape()),
            Self::Absent | Self::Null => None,
        }
    }
}

impl<'a> From<Subcomponent<'a>> for Value<'a> {
    fn from(leaf: Subcomponent<'a>) -> Self {
        if leaf.is_empty() {
            Self::Absent
        } else if leaf.is_null() {
            Self::Null
        } else {
            Self::Text(leaf)
        }
    }
}
