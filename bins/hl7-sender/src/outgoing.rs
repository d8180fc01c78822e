//! [`Outgoing`]: one message, ready to be sent.

use std::{fmt, ops::Range};

use bytes::Bytes;

/// A message and what is told about it. `Debug` shows no content.
#[derive(Clone)]
pub(crate) struct Outgoing {
    /// What goes between the framing bytes.
    pub(crate) bytes: Bytes,
    /// Where MSH-10 stands in them.
    pub(crate) control_id: Range<usize>,
    /// MSH-9, `ORM^O01`, fit to be printed.
    pub(crate) kind: String,
    /// Which of the inputs it came from.
    pub(crate) file: usize,
    /// Where in that input it begins.
    pub(crate) offset: usize,
}

impl Outgoing {
    /// MSH-10, as the bytes it is.
    pub(crate) fn control_id(&self) -> &[u8] {
        self.bytes.get(self.control_id.clone()).unwrap_or_default()
    }

    /// MSH-9.1, `ORM`.
    pub(crate) fn code(&self) -> &str {
        self.kind.split('^').next().unwrap_or_default()
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("bytes", &self.bytes.len())
            .field("kind", &self.kind)
            .field("file", &self.file)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// A stranger's bytes as text that a terminal takes as text: control characters are shown, not
/// obeyed.
pub(crate) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_of_terminals_are_defused() {
        assert_eq!(
            printable(b"\x1B[31mred\x07 \xFF"),
            "\u{FFFD}[31mred\u{FFFD} \u{FFFD}"
        );
    }
}
