//! [`Index`]: every delimiter of a message in one pass, and the leaves between them.

use core::fmt;

use crate::bitmap::{Plain, Work, best};
use crate::field::Subcomponent;
use crate::message::Message;
use crate::separators::Separators;
use fill::Fill;

mod fill;
mod leaf;

pub use leaf::Leaf;

/// Where every delimiter of a message stands, found in one pass.
///
/// For reading a whole message; for a few fields [`Message::leaf`] is faster. An
/// index is filled again and again without allocating, once it has grown to
/// the longest message.
///
/// ```
/// use hl7_message::{Index, Message};
///
/// let message = Message::parse(b"MSH|^~\\&|RIS\rPID|1||77^^^HIS~88||SMITH^JOHN\r")?;
/// let mut index = Index::new();
/// let leaves: Vec<_> = index
///     .of(&message)
///     .leaves()
///     .filter(|leaf| !leaf.view.is_empty())
///     .map(|leaf| (leaf.location().unwrap().to_string(), leaf.view.as_bytes()))
///     .collect();
/// assert_eq!(leaves[3], ("PID-1.1.1".to_string(), &b"1"[..]));
/// assert_eq!(leaves[6], ("PID-3[2].1.1".to_string(), &b"88"[..]));
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// Offsets; only the first `len` count.
    marks: Vec<u32>,
    len: usize,
    portable: bool,
}

impl Index {
    /// An empty one.
    ///
    /// ```
    /// use hl7_message::Index;
    ///
    /// let index = Index::new(); // allocates with the first message
    /// # let _ = index;
    /// ```
    pub const fn new() -> Self {
        Self {
            marks: Vec::new(),
            len: 0,
            portable: false,
        }
    }

    /// An empty one that is filled in plain integers alone, whatever this processor has: as on
    /// processors without compare instructions. It finds the same; for tests and measurements.
    ///
    /// ```
    /// use hl7_message::{Index, Message};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let (mut fast, mut plain) = (Index::new(), Index::portable());
    /// assert_eq!(fast.of(&message).delimiters(), plain.of(&message).delimiters());
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn portable() -> Self {
        Self {
            marks: Vec::new(),
            len: 0,
            portable: true,
        }
    }

    /// Finds every delimiter of `message`; what was found before is forgotten.
    ///
    /// ```
    /// use hl7_message::{Index, Message};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// let mut index = Index::new();
    /// assert_eq!(index.of(&message).leaves().count(), message.segments().flat_map(|s| s.fields())
    ///     .flat_map(|f| f.repetitions()).flat_map(|r| r.components())
    ///     .flat_map(|c| c.subcomponents()).count());
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn of<'i, 'a>(&'i mut self, message: &'i Message<'a>) -> Indexed<'i, 'a> {
        let separators = *message.separators();
        // What is not declared is looked for as the field separator once more: no harm.
        let or_field = |byte: Option<u8>| byte.unwrap_or(separators.field);
        let wanted = [
            separators.field,
            separators.component,
            separators.repetition,
            or_field(separators.subcomponent()),
        ];
        let bytes = message.as_bytes();
        let start = message
            .segments()
            .next()
            .map_or(0, |segment| segment.span().start);
        let work = Fill {
            marks: &mut self.marks,
            bytes,
            start,
            wanted,
        };
        self.len = if self.portable {
            work.run(Plain)
        } else {
            best(work)
        };
        Indexed {
            message,
            marks: self.marks.get(..self.len).unwrap_or_default(),
        }
    }
}

/// A message with its delimiters; made by [`Index::of`].
///
/// ```
/// use hl7_message::{Index, Message};
///
/// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
/// let message = Message::parse(bytes)?;
/// let mut index = Index::new();
/// let indexed = index.of(&message);
/// assert!(indexed.leaves().any(|leaf| leaf.view.as_bytes() == b"JANE"));
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Indexed<'i, 'a> {
    message: &'i Message<'a>,
    marks: &'i [u32],
}

impl<'i, 'a> Indexed<'i, 'a> {
    /// How many delimiters there are, those in MSH-1 and MSH-2 included.
    ///
    /// ```
    /// use hl7_message::{Index, Message};
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(Index::new().of(&message).delimiter_count(), 27);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn delimiter_count(&self) -> usize {
        self.marks.len()
    }

    /// Where each delimiter stands, ascending.
    ///
    /// ```
    /// use hl7_message::{Index, Message};
    ///
    /// let bytes = b"MSH|^~\\&|RIS\rPID|1||77^^^HIS~88\r";
    /// let message = Message::parse(bytes)?;
    /// let mut index = Index::new();
    /// let delimiters = index.of(&message).delimiters();
    /// assert!(delimiters.iter().all(|&at| b"|^~&".contains(&bytes[at as usize])));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn delimiters(&self) -> &'i [u32] {
        self.marks
    }

    /// Every leaf in order, empty ones included; MSH-1 and MSH-2 are one leaf each.
    ///
    /// A place that is not asked for is not counted.
    ///
    /// ```
    /// use hl7_message::{Index, Message};
    ///
    /// let bytes = b"MSH|^~\\&|RIS\rPID|1||77^^^HIS~88\r";
    /// let message = Message::parse(bytes)?;
    /// let mut index = Index::new();
    /// let texts: Vec<_> = index.of(&message).leaves().map(|leaf| leaf.view.as_bytes()).collect();
    /// assert_eq!(texts[..3], [&b"|"[..], b"^~\\&", b"RIS"]);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    #[inline]
    pub fn leaves(&self) -> Leaves<'i, 'a> {
        Leaves {
            message: self.message,
            separators: *self.message.separators(),
            marks: self.marks,
            next_segment: 0,
            place: Place::FIRST,
            from: 0,
            end: 0,
            state: State::Outside,
        }
    }
}

impl fmt::Debug for Indexed<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Indexed({} delimiters)", self.marks.len())
    }
}

/// The leaves of a message in order; made by [`Indexed::leaves`].
///
/// ```
/// use hl7_message::{Index, Message};
///
/// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
/// let message = Message::parse(bytes)?;
/// let mut index = Index::new();
/// let mut leaves = index.of(&message).leaves();
/// assert_eq!(leaves.next().unwrap().view.as_bytes(), b"|"); // MSH-1
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Clone)]
pub struct Leaves<'i, 'a> {
    message: &'i Message<'a>,
    separators: Separators,
    /// Delimiters that are still to come.
    marks: &'i [u32],
    next_segment: usize,
    /// That of the next leaf.
    place: Place,
    /// Where the next leaf begins.
    from: usize,
    /// Where the segment ends.
    end: usize,
    state: State,
}

/// Where the next leaf stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// In this segment.
    Inside,
    /// It is MSH-1.
    FieldSeparator,
    /// It is MSH-2, which ends here.
    EncodingCharacters(usize),
    /// In one of the segments to come.
    Outside,
}

impl fmt::Debug for Leaves<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leaves(at segment {})", self.next_segment)
    }
}

/// The first field of a segment.
struct Entry<'i> {
    marks: &'i [u32],
    /// From 1.
    segment: usize,
    from: usize,
    end: usize,
    declares: bool,
}

/// Goes to the first field of the next segment that has one, of those from `next` on.
// All goes in and out by value: an iterator whose address is taken is kept in memory, with all the
// numbers that nobody may have asked for.
fn enter<'i>(message: &Message<'_>, mut marks: &'i [u32], mut next: usize) -> Option<Entry<'i>> {
    let bytes = message.as_bytes();
    let field = message.separators().field;
    while let Some(span) = message.span(next) {
        next += 1;
        // Delimiters of other levels in front of the first field are part of the name.
        while let Some((&mark, rest)) = marks.split_first() {
            let at = mark as usize;
            if at >= span.end {
                break;
            }
            marks = rest;
            if bytes.get(at) == Some(&field) {
                return Some(Entry {
                    marks,
                    segment: next,
                    from: at + 1,
                    end: span.end,
                    declares: at == span.start + 3 && declares(bytes, span.start),
                });
            }
        }
    }
    None
}

/// Whether the segment at `start` is one whose first two fields declare the delimiters.
fn declares(bytes: &[u8], start: usize) -> bool {
    let name = bytes.get(start..start + 3);
    matches!(name, Some(b"MSH" | b"FHS" | b"BHS"))
}

/// Where MSH-2 ends, and the delimiters behind it: its own split nothing.
fn encoding_characters<'i>(
    message: &Message<'_>,
    mut marks: &'i [u32],
    end: usize,
) -> (usize, &'i [u32]) {
    let field = message.separators().field;
    while let Some((&mark, rest)) = marks.split_first() {
        let at = mark as usize;
        if at >= end {
            break;
        }
        marks = rest;
        if message.as_bytes().get(at) == Some(&field) {
            return (at, marks);
        }
    }
    (end, marks)
}

impl<'i, 'a> Leaves<'i, 'a> {
    /// Goes into the next segment; `None` at the end.
    #[inline]
    fn enter(&mut self) -> Option<()> {
        let entry = enter(self.message, self.marks, self.next_segment)?;
        self.marks = entry.marks;
        self.next_segment = entry.segment;
        self.from = entry.from;
        self.end = entry.end;
        self.place = Place {
            segment: u32::try_from(entry.segment).unwrap_or(u32::MAX),
            ..Place::FIRST
        };
        self.state = State::Inside;
        if entry.declares {
            self.state = State::FieldSeparator;
        }
        Some(())
    }

    /// The leaf from here to `to`.
    #[inline]
    fn leaf(&self, to: usize, separators: Separators) -> Leaf<'i, 'a> {
        let bytes = self.message.as_bytes().get(self.from..to);
        Leaf {
            message: self.message,
            place: self.place,
            view: Subcomponent::new(bytes.unwrap_or_default(), self.from, separators),
        }
    }

    /// The next leaf of this segment, and whether there are more.
    #[inline]
    fn inside(&mut self) -> Leaf<'i, 'a> {
        let (at, rest) = match self.marks.split_first() {
            Some((&mark, rest)) => (mark as usize, rest),
            None => (usize::MAX, self.marks),
        };
        let leaf = self.leaf(at.min(self.end), self.separators);
        if at < self.end {
            self.marks = rest;
            self.from = at + 1;
            let byte = self.message.as_bytes().get(at).copied();
            self.place = self.place.behind(byte.unwrap_or_default(), self.separators);
        } else {
            self.state = State::Outside;
        }
        leaf
    }

    /// MSH-1 or MSH-2.
    #[inline]
    fn header_leaf(&mut self) -> Leaf<'i, 'a> {
        if let State::EncodingCharacters(to) = self.state {
            let leaf = self.leaf(to, Separators::ATOMIC);
            self.place = self.place.at_field(3);
            self.state = if to < self.end {
                State::Inside
            } else {
                State::Outside
            };
            self.from = to + 1;
            return leaf;
        }
        let to = self.from;
        self.from = to - 1;
        let leaf = self.leaf(to, Separators::ATOMIC);
        self.from = to;
        self.place = self.place.at_field(2);
        let (to, marks) = encoding_characters(self.message, self.marks, self.end);
        self.marks = marks;
        self.state = State::EncodingCharacters(to);
        leaf
    }
}

impl<'i, 'a> Iterator for Leaves<'i, 'a> {
    type Item = Leaf<'i, 'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Outside {
            self.enter()?;
        }
        if self.state == State::Inside {
            Some(self.inside())
        } else {
            Some(self.header_leaf())
        }
    }

    /// The same leaves, without asking for each where the next one stands.
    #[inline]
    fn fold<B, F>(mut self, init: B, mut f: F) -> B
    where
        F: FnMut(B, Self::Item) -> B,
    {
        let mut result = init;
        let separators = self.separators;
        while self.state != State::Outside || self.enter().is_some() {
            while !matches!(self.state, State::Inside | State::Outside) {
                result = f(result, self.header_leaf());
            }
            if self.state == State::Outside {
                continue;
            }
            self.state = State::Outside;
            let Some(bytes) = self.message.as_bytes().get(..self.end) else {
                continue;
            };
            let Self {
                message,
                mut place,
                mut from,
                ..
            } = self;
            let mut n = 0;
            while let Some(&mark) = self.marks.get(n)
                && (mark as usize) < bytes.len()
            {
                let at = mark as usize;
                let leaf = bytes.get(from..at).unwrap_or_default();
                let view = Subcomponent::new(leaf, from, separators);
                result = f(
                    result,
                    Leaf {
                        message,
                        place,
                        view,
                    },
                );
                from = at + 1;
                place = place.behind(bytes.get(at).copied().unwrap_or_default(), separators);
                n += 1;
            }
            self.marks = self.marks.get(n..).unwrap_or_default();
            let view = Subcomponent::new(bytes.get(from..).unwrap_or_default(), from, separators);
            result = f(
                result,
                Leaf {
                    message,
                    place,
                    view,
                },
            );
        }
        result
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    /// From 1.
    segment: u32,
    /// Field, repetition, component, subcomponent, from 1.
    numbers: [u32; 4],
}

impl Place {
    const FIRST: Self = Self {
        segment: 1,
        numbers: [1; 4],
    };

    const fn at_field(self, number: u32) -> Self {
        Self {
            segment: self.segment,
            numbers: [number, 1, 1, 1],
        }
    }

    /// The place behind the delimiter `byte`.
    #[inline]
    fn behind(self, byte: u8, separators: Separators) -> Self {
        let [field, repetition, component, subcomponent] = self.numbers;
        let numbers = if byte == separators.field {
            [field + 1, 1, 1, 1]
        } else if byte == separators.component {
            [field, repetition, component + 1, 1]
        } else if byte == separators.repetition {
            [field, repetition + 1, 1, 1]
        } else {
            [field, repetition, component, subcomponent + 1]
        };
        Self { numbers, ..self }
    }
}

#[cfg(test)]
mod tests;
