//! [`Field`], [`Repetition`], [`Component`], [`Subcomponent`]: the parts of a segment.
//!
//! Each is a small `Copy` view: its bytes, where they stand, and the delimiters in force.

use core::fmt;
use core::ops::Range;
use std::borrow::Cow;

use memchr::memchr;

use crate::bitmap::position_of_nth;
use crate::escape;
use crate::separators::Separators;

macro_rules! view {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a> {
            bytes: &'a [u8],
            offset: usize,
            separators: Separators,
        }

        impl<'a> $name<'a> {
            #[inline]
            pub(crate) const fn new(bytes: &'a [u8], offset: usize, separators: Separators) -> Self {
                Self { bytes, offset, separators }
            }

            /// The bytes between its delimiters, escapes as they are.
            ///
            /// ```
            /// use hl7_message::{Message, loc};
            ///
            /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
            ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
            /// let message = Message::parse(bytes)?;
            /// assert_eq!(message.field(loc!("PID-5")).unwrap().as_bytes(), b"DOE^JANE");
            /// # Ok::<(), hl7_message::ParseError>(())
            /// ```
            pub const fn as_bytes(&self) -> &'a [u8] {
                self.bytes
            }

            /// Where it stands in the input.
            ///
            /// ```
            /// use hl7_message::{Message, loc};
            ///
            /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
            ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
            /// let message = Message::parse(bytes)?;
            /// let family = message.leaf(loc!("PID-5.1")).unwrap();
            /// assert_eq!(&bytes[family.span()], b"DOE");
            /// # Ok::<(), hl7_message::ParseError>(())
            /// ```
            pub const fn span(&self) -> Range<usize> {
                self.offset..self.offset + self.bytes.len()
            }

            /// The delimiters in force.
            ///
            /// ```
            /// use hl7_message::{Message, loc};
            ///
            /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
            ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
            /// let message = Message::parse(bytes)?;
            /// let field = message.field(loc!("PID-5")).unwrap();
            /// assert_eq!(field.separators().component(), b'^');
            /// # Ok::<(), hl7_message::ParseError>(())
            /// ```
            pub const fn separators(&self) -> &Separators {
                &self.separators
            }

            /// Whether there are no characters: leave the stored value alone.
            ///
            /// ```
            /// use hl7_message::{Message, loc};
            ///
            /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
            ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
            /// let message = Message::parse(bytes)?;
            /// assert!(message.field(loc!("PID-4")).unwrap().is_empty());
            /// assert!(!message.field(loc!("PID-7")).unwrap().is_empty());
            /// # Ok::<(), hl7_message::ParseError>(())
            /// ```
            pub const fn is_empty(&self) -> bool {
                self.bytes.is_empty()
            }

            /// Whether it is `""`: delete the stored value.
            ///
            /// ```
            /// use hl7_message::{Message, loc};
            ///
            /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
            ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
            /// let message = Message::parse(bytes)?;
            /// assert!(message.field(loc!("PID-7")).unwrap().is_null());
            /// assert!(!message.field(loc!("PID-4")).unwrap().is_null());
            /// # Ok::<(), hl7_message::ParseError>(())
            /// ```
            pub const fn is_null(&self) -> bool {
                matches!(self.bytes, b"\"\"")
            }

            /// All of its bytes as data, delimiters included, with the escape sequences for
            /// delimiters and hexadecimal bytes decoded. Allocates only where one stands.
            ///
            /// ```
            /// use hl7_message::{Message, loc};
            ///
            /// let message = Message::parse(b"MSH|^~\\&|RIS\rNTE|1||A \\T\\ E\r")?;
            /// assert_eq!(message.field(loc!("NTE-3")).unwrap().unescape().as_ref(), b"A & E");
            /// # Ok::<(), hl7_message::ParseError>(())
            /// ```
            pub fn unescape(&self) -> Cow<'a, [u8]> {
                escape::unescape(self.bytes, &self.separators)
            }
        }

        impl fmt::Debug for $name<'_> {
            /// Place and size only: the value is a person's.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let span = self.span();
                write!(f, "{}({}..{})", stringify!($name), span.start, span.end)
            }
        }
    };
}

view! {
    /// One field of a segment, with all its repetitions.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|\rPID|1||77^^^HIS~88^^^RIS\r")?;
    /// let ids = message.field(loc!("PID-3")).unwrap();
    /// let numbers: Vec<_> = ids.repetitions().map(|r| r.first().as_bytes()).collect();
    /// assert_eq!(numbers, [b"77", b"88"]);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    Field
}

view! {
    /// One repetition of a field.
    Repetition
}

view! {
    /// One component of a repetition.
    Component
}

view! {
    /// One subcomponent: a leaf, the innermost part that HL7 has.
    Subcomponent
}

impl<'a> Field<'a> {
    /// The repetitions in order; an empty field has one, empty.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(message.field(loc!("PID-3")).unwrap().repetitions().count(), 2);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn repetitions(&self) -> impl Iterator<Item = Repetition<'a>> + use<'a> {
        let separators = self.separators;
        Pieces::new(Some(self.bytes), self.offset, separators.repetition)
            .map(move |(bytes, offset)| Repetition::new(bytes, offset, separators))
    }

    /// Repetition `number`, from 1.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let ids = message.field(loc!("PID-3")).unwrap();
    /// assert_eq!(ids.repetition(2).unwrap().as_bytes(), b"88");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn repetition(&self, number: u16) -> Option<Repetition<'a>> {
        let (bytes, offset) = piece(self.bytes, self.offset, self.separators.repetition, number)?;
        Some(Repetition::new(bytes, offset, self.separators))
    }

    /// Component `number` of the first repetition, from 1.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let name = message.field(loc!("PID-5")).unwrap();
    /// assert_eq!(name.component(2).unwrap().as_bytes(), b"JANE");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn component(&self, number: u16) -> Option<Component<'a>> {
        self.repetition(1)?.component(number)
    }

    /// The first leaf.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(message.field(loc!("PID-3")).unwrap().first().as_bytes(), b"77");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    #[inline]
    pub fn first(&self) -> Subcomponent<'a> {
        let s = &self.separators;
        let ends = |byte: u8| byte == s.repetition || byte == s.component || byte == s.subcomponent;
        let end = self
            .bytes
            .iter()
            .position(|&byte| ends(byte))
            .unwrap_or(self.bytes.len());
        let bytes = self.bytes.get(..end).unwrap_or_default();
        Subcomponent::new(bytes, self.offset, self.separators)
    }

    /// The leaf with these numbers, each from 1.
    #[inline]
    pub(crate) fn leaf(&self, numbers: [u16; 3]) -> Option<Subcomponent<'a>> {
        if numbers == [1, 1, 1] {
            return Some(self.first());
        }
        let [repetition, component, subcomponent] = numbers;
        self.repetition(repetition)?
            .component(component)?
            .subcomponent(subcomponent)
    }
}

impl<'a> Repetition<'a> {
    /// The components in order.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let id = message.field(loc!("PID-3")).unwrap().repetition(1).unwrap();
    /// assert_eq!(id.components().count(), 4);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn components(&self) -> impl Iterator<Item = Component<'a>> + use<'a> {
        let separators = self.separators;
        Pieces::new(Some(self.bytes), self.offset, separators.component)
            .map(move |(bytes, offset)| Component::new(bytes, offset, separators))
    }

    /// Component `number`, from 1.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let id = message.field(loc!("PID-3")).unwrap().repetition(1).unwrap();
    /// assert_eq!(id.component(4).unwrap().as_bytes(), b"HIS");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn component(&self, number: u16) -> Option<Component<'a>> {
        let (bytes, offset) = piece(self.bytes, self.offset, self.separators.component, number)?;
        Some(Component::new(bytes, offset, self.separators))
    }

    /// The first leaf.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let second = message.field(loc!("PID-3")).unwrap().repetition(2).unwrap();
    /// assert_eq!(second.first().as_bytes(), b"88");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn first(&self) -> Subcomponent<'a> {
        let bytes = head(self.bytes, self.separators.component);
        Component::new(bytes, self.offset, self.separators).first()
    }
}

impl<'a> Component<'a> {
    /// The subcomponents in order.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77^^^HIS&1.2.3&ISO\r")?;
    /// let authority = message.field(loc!("PID-3")).unwrap().component(4).unwrap();
    /// assert_eq!(authority.subcomponents().count(), 3);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn subcomponents(&self) -> impl Iterator<Item = Subcomponent<'a>> + use<'a> {
        let separators = self.separators;
        Pieces::new(Some(self.bytes), self.offset, separators.subcomponent)
            .map(move |(bytes, offset)| Subcomponent::new(bytes, offset, separators))
    }

    /// Subcomponent `number`, from 1.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77^^^HIS&1.2.3&ISO\r")?;
    /// let authority = message.field(loc!("PID-3")).unwrap().component(4).unwrap();
    /// assert_eq!(authority.subcomponent(3).unwrap().as_bytes(), b"ISO");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn subcomponent(&self, number: u16) -> Option<Subcomponent<'a>> {
        let (bytes, offset) = piece(
            self.bytes,
            self.offset,
            self.separators.subcomponent,
            number,
        )?;
        Some(Subcomponent::new(bytes, offset, self.separators))
    }

    /// The first leaf.
    ///
    /// ```
    /// use hl7_message::{Message, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77^^^HIS&1.2.3&ISO\r")?;
    /// let authority = message.field(loc!("PID-3")).unwrap().component(4).unwrap();
    /// assert_eq!(authority.first().as_bytes(), b"HIS");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn first(&self) -> Subcomponent<'a> {
        let bytes = head(self.bytes, self.separators.subcomponent);
        Subcomponent::new(bytes, self.offset, self.separators)
    }
}

/// Where a byte stands. Most parts are a few bytes long: a loop is done before a search begins.
#[inline]
pub(crate) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    const SHORT: usize = 16;
    let (near, far) = bytes.split_at(bytes.len().min(SHORT));
    match near.iter().position(|&found| found == byte) {
        Some(at) => Some(at),
        None if far.is_empty() => None,
        None => memchr(byte, far).map(|at| SHORT + at),
    }
}

/// What stands before the first `separator`.
#[inline]
pub(crate) fn head(bytes: &[u8], separator: u8) -> &[u8] {
    let end = find(separator, bytes).unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}

/// The `number`-th part between `separator`s, from 1, and where it stands.
fn piece(bytes: &[u8], offset: usize, separator: u8, number: u16) -> Option<(&[u8], usize)> {
    if number == 1 {
        return Some((head(bytes, separator), offset));
    }
    let mut pieces = Pieces::new(Some(bytes), offset, separator);
    pieces.step_over(usize::from(number).checked_sub(1)?)?;
    pieces.next()
}

/// The parts between separators, each with its offset in the input.
#[derive(Debug, Clone)]
pub(crate) struct Pieces<'a> {
    rest: Option<&'a [u8]>,
    offset: usize,
    separator: u8,
}

impl<'a> Pieces<'a> {
    pub(crate) const fn new(rest: Option<&'a [u8]>, offset: usize, separator: u8) -> Self {
        Self {
            rest,
            offset,
            separator,
        }
    }

    /// Steps over `count` parts, at least one; `None` where there are no more after them.
    pub(crate) fn step_over(&mut self, count: usize) -> Option<()> {
        let rest = self.rest?;
        let Some(at) = position_of_nth(rest, self.separator, count - 1) else {
            self.rest = None;
            return None;
        };
        self.rest = rest.get(at + 1..);
        self.offset += at + 1;
        Some(())
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = (&'a [u8], usize);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        let offset = self.offset;
        if let Some(at) = find(self.separator, rest) {
            self.rest = rest.get(at + 1..);
            self.offset = offset + at + 1;
            Some((rest.get(..at).unwrap_or_default(), offset))
        } else {
            self.rest = None;
            Some((rest, offset))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Message, loc};

    #[test]
    fn every_level_splits_by_its_own_delimiter() {
        let message = Message::parse(b"MSH|^~\\&|\rPID|a&b^c~d^&e|f\r").unwrap();
        assert_eq!(message.raw(loc!("PID-1")), Some(&b"a&b^c~d^&e"[..]));
        assert_eq!(message.raw(loc!("PID-1.1")), Some(&b"a&b"[..]));
        assert_eq!(message.raw(loc!("PID-1.1.2")), Some(&b"b"[..]));
        assert_eq!(message.raw(loc!("PID-1[2].2.2")), Some(&b"e"[..]));
        assert_eq!(message.raw(loc!("PID-1[2].2.1")), Some(&b""[..]));
        assert_eq!(message.raw(loc!("PID-1[3]")), None);
        assert_eq!(message.raw(loc!("PID-1.3")), None);
        assert_eq!(message.raw(loc!("PID-3")), None);
    }

    #[test]
    fn a_path_that_stops_early_gives_the_first_leaf() {
        let message = Message::parse(b"MSH|^~\\&|\rPID|A|A^|A&|A&B^C~D\r").unwrap();
        for field in 1..=4 {
            let leaf = message.leaf(loc!("PID").at_field(field)).unwrap();
            assert_eq!(leaf.as_bytes(), b"A", "PID-{field}");
        }
    }

    #[test]
    fn undeclared_delimiters_split_nothing() {
        let message = Message::parse(b"MSH|^~|\rPID|a&b\\c\r").unwrap();
        let leaf = message.leaf(loc!("PID-1")).unwrap();
        assert_eq!(leaf.as_bytes(), b"a&b\\c");
        assert_eq!(leaf.unescape().as_ref(), b"a&b\\c");
    }

    #[test]
    fn spans_point_into_the_input() {
        let bytes = b"MSH|^~\\&|\rPID|a&b^c~d^&e|f\r";
        let message = Message::parse(bytes).unwrap();
        for segment in message.segments() {
            assert_eq!(&bytes[segment.span()], segment.as_bytes());
            for field in segment.fields() {
                assert_eq!(&bytes[field.span()], field.as_bytes());
                for repetition in field.repetitions() {
                    for component in repetition.components() {
                        for leaf in component.subcomponents() {
                            assert_eq!(&bytes[leaf.span()], leaf.as_bytes());
                        }
                    }
                }
            }
        }
    }
}
