//! What single bytes do in a message: end a place, or need an escape to be data.

use std::borrow::Cow;

use crate::escape;
use crate::location::Location;
use crate::separators::Separators;

/// What ends a segment or an MLLP frame.
pub(crate) const fn ends_segment(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0x0B | 0x1C)
}

/// What each byte does under some delimiters, as a table: one look at a byte answers all questions,
/// and the table of the usual delimiters is made when the program is compiled.
#[derive(Clone)]
pub(crate) struct Classes(Cow<'static, [u8; 256]>);

/// Is no data as it stands.
const ESCAPED: u8 = 1;
const ENDS_SEGMENT: u8 = 2;
const FIELD: u8 = 4;
const REPETITION: u8 = 8;
const COMPONENT: u8 = 16;
const SUBCOMPONENT: u8 = 32;

static USUAL: [u8; 256] = table(Separators::DEFAULT);

#[expect(
    clippy::indexing_slicing,
    reason = "a byte indexes 256 places, and a constant cannot call `get_mut`"
)]
const fn table(separators: Separators) -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    loop {
        let mut class = 0;
        if !escape::is_plain(byte, separators) {
            class |= ESCAPED;
        }
        if ends_segment(byte) {
            class |= ENDS_SEGMENT;
        }
        if byte == separators.field {
            class |= FIELD;
        }
        if byte == separators.repetition {
            class |= REPETITION;
        }
        if byte == separators.component {
            class |= COMPONENT;
        }
        if byte == separators.subcomponent {
            class |= SUBCOMPONENT;
        }
        table[byte as usize] = class;
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

impl Classes {
    pub(crate) fn of(separators: Separators) -> Self {
        Self(if separators == Separators::DEFAULT {
            Cow::Borrowed(&USUAL)
        } else {
            Cow::Owned(table(separators))
        })
    }

    /// Whether all bytes are data as they stand. Looks at every byte, without a way out in the
    /// middle: nearly all texts are, and a branch for each byte costs more than the look.
    pub(crate) fn are_plain(&self, bytes: &[u8]) -> bool {
        self.found(bytes) & ESCAPED == 0
    }

    /// The first of `bytes` that would end what stands at `location`, its segment or the frame.
    pub(crate) fn first_end(&self, bytes: &[u8], location: Location) -> Option<usize> {
        let in_component = location.component_number().is_some();
        let in_repetition = in_component || location.repetition_number() > 1;
        let in_subcomponent = in_component && location.subcomponent_number().is_some();
        let mut ends = ENDS_SEGMENT | FIELD;
        if in_repetition {
            ends |= REPETITION;
        }
        if in_component {
            ends |= COMPONENT;
        }
        if in_subcomponent {
            ends |= SUBCOMPONENT;
        }
        if self.found(bytes) & ends == 0 {
            return None;
        }
        let table = &*self.0;
        let ends = |byte: &u8| table.get(usize::from(*byte)).is_some_and(|c| c & ends != 0);
        bytes.iter().position(ends)
    }

    /// Every class of which there is a byte.
    fn found(&self, bytes: &[u8]) -> u8 {
        let table = &*self.0;
        let class = |byte: &u8| table.get(usize::from(*byte)).copied().unwrap_or_default();
        bytes.iter().fold(0, |found, byte| found | class(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loc;

    #[test]
    fn the_table_says_what_the_rules_say() {
        for encoding in [&b"^~\\&"[..], b"^~", b"^~\\&#", b"&~", b"$%"] {
            let separators = Separators::parse(b"|", encoding).unwrap();
            let classes = Classes::of(separators);
            for byte in 0..=u8::MAX {
                assert_eq!(
                    classes.are_plain(&[b'A', byte]),
                    escape::is_plain(byte, separators),
                );
                let place = |location| classes.first_end(&[b'A', byte], location).is_some();
                let outer = ends_segment(byte) || byte == separators.field();
                let repetition = outer || byte == separators.repetition();
                let component = repetition || byte == separators.component();
                let inner = component || Some(byte) == separators.subcomponent();
                assert_eq!(place(loc!("PID-3")), outer);
                assert_eq!(place(loc!("PID-3[2]")), repetition);
                assert_eq!(place(loc!("PID-3.1")), component);
                assert_eq!(place(loc!("PID-3.1.1")), inner);
            }
        }
    }

    #[test]
    fn the_first_end_is_told_by_its_offset() {
        let classes = Classes::of(Separators::DEFAULT);
        assert_eq!(classes.first_end(b"a^b~c|d\r", loc!("PID-3")), Some(5));
        assert_eq!(classes.first_end(b"a^b~c|d\r", loc!("PID-3[2]")), Some(3));
        assert_eq!(classes.first_end(b"a^b~c|d\r", loc!("PID-3.2")), Some(1));
        assert_eq!(classes.first_end(b"", loc!("PID-3.2")), None);
    }
}
