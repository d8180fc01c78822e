//! [`Value`]: the three things that a place in a message can say.

use std::borrow::Cow;

use crate::field::Subcomponent;

/// What stands at a place: nothing, `""`, or text.
///
/// HL7 2.3 chapter 2: no characters leave the stored value alone, `""` deletes
/// it, text replaces it. Use [`Message::leaf`](crate::Message::leaf) to tell a
/// place that is there but empty from one that is not there.
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
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether `""` was sent.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text with its escape sequences as they are.
    pub const fn raw(&self) -> Option<&'a [u8]> {
        match self {
            Self::Text(leaf) => Some(leaf.as_bytes()),
            Self::Absent | Self::Null => None,
        }
    }

    /// The text with its escape sequences decoded.
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
