//! What a view says as text: `text` of fields, their parts and values.

use std::borrow::Cow;

use super::{Charset, InvalidBytes};
use crate::field::{Component, Field, Repetition, Subcomponent};
use crate::value::Value;

macro_rules! text {
    ($($view:ident),*) => {
        $(
            impl<'a> $view<'a> {
                /// Its text in a character set, with the escape sequences for delimiters and
                /// hexadecimal bytes decoded. Allocates only where one stands, or where the
                /// bytes are not UTF-8.
                ///
                /// # Errors
                ///
                /// Bytes that the set does not have; the offset is that among the bytes that
                /// `unescape` gives.
                ///
                /// ```
                /// use hl7_message::{Charset, Message, loc};
                ///
                /// let message = Message::parse(b"MSH|^~\\&|\rPID|1||77||M\xFCller \\T\\ Co\r")?;
                /// let field = message.field(loc!("PID-5")).unwrap();
                /// assert_eq!(field.text(Charset::LATIN_1).unwrap(), "Müller & Co");
                /// assert_eq!(field.first().text(Charset::UTF_8).unwrap_err().offset, 1);
                /// # Ok::<(), hl7_message::ParseError>(())
                /// ```
                pub fn text(&self, charset: Charset) -> Result<Cow<'a, str>, InvalidBytes> {
                    match self.unescape() {
                        Cow::Borrowed(bytes) => charset.decode(bytes),
                        Cow::Owned(bytes) => match charset.decode(&bytes) {
                            Ok(Cow::Borrowed(text)) => Ok(Cow::Owned(text.to_owned())),
                            Ok(Cow::Owned(text)) => Ok(Cow::Owned(text)),
                            Err(error) => Err(error),
                        },
                    }
                }
            }
        )*
    };
}

text! { Field, Repetition, Component, Subcomponent }

impl<'a> Value<'a> {
    /// The text in a character set, escape sequences decoded; `None` where none was sent.
    ///
    /// # Errors
    ///
    /// As [`Subcomponent::text`].
    ///
    /// ```
    /// use hl7_message::{Charset, Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|\rPID|1||77||DOE||\"\"\r")?;
    /// assert_eq!(message.value(loc!("PID-5")).text(Charset::ASCII)?.as_deref(), Some("DOE"));
    /// assert_eq!(message.value(loc!("PID-7")).text(Charset::ASCII)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn text(&self, charset: Charset) -> Result<Option<Cow<'a, str>>, InvalidBytes> {
        match self {
            Self::Text(leaf) => leaf.text(charset).map(Some),
            Self::Absent | Self::Null => Ok(None),
        }
    }
}
