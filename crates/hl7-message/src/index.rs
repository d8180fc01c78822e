//! [`Index`]: every delimiter of a message in one pass, and the leaves between them.

#![expect(
    clippy::inline_always,
    reason = "work is compiled for a processor where it is inlined into code for that processor"
)]

use core::fmt;

use crate::bitmap::{BLOCK, Filter, Masks, Plain, Work, best, last_of};
use crate::field::Subcomponent;
use crate::location::Location;
use crate::message::Message;
use crate::segment::Segment;
use crate::separators::Separators;

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
    pub const fn new() -> Self {
        Self {
            marks: Vec::new(),
            len: 0,
            portable: false,
        }
    }

    /// An empty one that is filled in plain integers alone, whatever this processor has: as on
    /// processors without compare instructions. It finds the same; for tests and measurements.
    pub const fn portable() -> Self {
        Self {
            marks: Vec::new(),
            len: 0,
            portable: true,
        }
    }

    /// Finds every delimiter of `message`; what was found before is forgotten.
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

/// Notes where in `bytes` from `start` on the bytes stand that are wanted; gives how many.
struct Fill<'i, 'a> {
    marks: &'i mut Vec<u32>,
    bytes: &'a [u8],
    start: usize,
    wanted: [u8; 4],
}

impl Work for Fill<'_, '_> {
    type Output = usize;

    #[inline(always)]
    fn run<M: Masks>(self, masks: M) -> usize {
        /// So many blocks without a delimiter, and strides of them are looked through at once.
        const PATIENCE: u32 = 2;
        let Self {
            marks,
            bytes,
            start,
            wanted,
        } = self;
        let mut notes = Notes {
            marks,
            len: 0,
            // Room in one go for most messages: a delimiter for every four bytes is many.
            likely: bytes.len() / 4 + BLOCK,
        };
        let mut filter = None;
        let mut quiet = 0;
        let mut at = start;
        while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let mask = masks.any_of(block, wanted);
            if mask == 0 {
                quiet += 1;
                at += BLOCK;
                if quiet >= PATIENCE {
                    let filter = filter.get_or_insert_with(|| Filter::new(wanted));
                    at += masks.quiet(bytes.get(at..).unwrap_or_default(), filter);
                }
                continue;
            }
            quiet = 0;
            notes.add(masks, mask, at);
            at += BLOCK;
        }
        let mask = last_of(masks, bytes, at, wanted);
        if mask != 0 {
            notes.add(masks, mask, at);
        }
        notes.len
    }
}

/// The marks while they are noted.
struct Notes<'i> {
    marks: &'i mut Vec<u32>,
    /// How many there are so far.
    len: usize,
    /// How many there may be in all.
    likely: usize,
}

impl Notes<'_> {
    /// Notes the set bits of a block that stands at `base`.
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a message is at most u32::MAX bytes"
    )]
    fn add<M: Masks>(&mut self, masks: M, mask: u64, base: usize) {
        if self.marks.len() < self.len + BLOCK {
            grow(self.marks, self.len, self.likely);
        }
        let room = self.marks.get_mut(self.len..);
        if let Some(room) = room.and_then(<[u32]>::first_chunk_mut) {
            masks.places(mask, base as u32, room);
            self.len += mask.count_ones() as usize;
        }
    }
}

/// Makes room for the marks of another block.
#[cold]
#[inline(never)]
fn grow(marks: &mut Vec<u32>, len: usize, likely: usize) {
    if marks.is_empty() {
        *marks = vec![0; likely.clamp(2 * BLOCK, 4096)];
    }
    if marks.len() < len + BLOCK {
        marks.resize((len + BLOCK) * 2, 0);
    }
}

/// A message with its delimiters; made by [`Index::of`].
#[derive(Clone, Copy)]
pub struct Indexed<'i, 'a> {
    message: &'i Message<'a>,
    marks: &'i [u32],
}

impl<'i, 'a> Indexed<'i, 'a> {
    /// How many delimiters there are, those in MSH-1 and MSH-2 included.
    pub const fn delimiter_count(&self) -> usize {
        self.marks.len()
    }

    /// Where each delimiter stands, ascending.
    pub const fn delimiters(&self) -> &'i [u32] {
        self.marks
    }

    /// Every leaf in order, empty ones included; MSH-1 and MSH-2 are one leaf each.
    ///
    /// A place that is not asked for is not counted.
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

/// One leaf and its place, numbers from 1.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'i, 'a> {
    message: &'i Message<'a>,
    place: Place,
    /// The leaf.
    pub view: Subcomponent<'a>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    /// From 1.
    segment: u32,
    /// Field, repetition, component, subcomponent, from 1.
    numbers: [u32; 4],
}

impl<'a> Leaf<'_, 'a> {
    /// The segment that it stands in.
    pub fn segment(&self) -> Option<Segment<'a>> {
        self.message.segments().nth(self.place.segment as usize - 1)
    }

    /// Which segment of the message that is, from 1.
    pub const fn segment_number(&self) -> u32 {
        self.place.segment
    }

    /// Field, repetition, component, subcomponent, each from 1.
    pub const fn numbers(&self) -> [u32; 4] {
        self.place.numbers
    }

    /// Its full location; `None` in a segment whose name is no name, or beyond what a location
    /// can count. Counts the segments of that name: not for a loop over a long message.
    pub fn location(&self) -> Option<Location> {
        let id = self.segment()?.id()?;
        let before = self.message.segments().take(self.place.segment as usize);
        let occurrence = before.filter(|segment| segment.is(id)).count();
        let number = |n: u32| u16::try_from(n).ok();
        let [field, repetition, component, subcomponent] = self.place.numbers;
        Some(
            Location::of(id)
                .occurrence(u16::try_from(occurrence).ok()?)
                .at_field(number(field)?)
                .repetition(number(repetition)?)
                .component(number(component)?)
                .subcomponent(number(subcomponent)?),
        )
    }
}

/// The leaves of a message in order; made by [`Indexed::leaves`].
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Row = (u32, [u32; 4], Vec<u8>, usize);

    fn indexed(message: &Message<'_>) -> Vec<Row> {
        let mut index = Index::new();
        let rows = index.of(message).leaves().map(|leaf| {
            let start = leaf.view.span().start;
            (
                leaf.segment_number(),
                leaf.numbers(),
                leaf.view.as_bytes().to_vec(),
                start,
            )
        });
        let by_next: Vec<Row> = rows.clone().collect();
        let by_fold = rows.fold(Vec::new(), |mut rows, row| {
            rows.push(row);
            rows
        });
        assert_eq!(by_next, by_fold);
        by_next
    }

    /// The same by the lazy views.
    fn lazy(message: &Message<'_>) -> Vec<Row> {
        let mut rows = Vec::new();
        for (segment, n) in message.segments().zip(1..) {
            for (field, f) in segment.fields().zip(1..) {
                for (repetition, r) in field.repetitions().zip(1..) {
                    for (component, c) in repetition.components().zip(1..) {
                        for (leaf, s) in component.subcomponents().zip(1..) {
                            let start = leaf.span().start;
                            rows.push((n, [f, r, c, s], leaf.as_bytes().to_vec(), start));
                        }
                    }
                }
            }
        }
        rows
    }

    /// The same by splitting, written without any of this crate's code.
    fn plain(bytes: &[u8]) -> Vec<(u32, [u32; 4], Vec<u8>)> {
        let mut rows = Vec::new();
        let lines = bytes.split(|b| *b == b'\r').filter(|line| !line.is_empty());
        for (line, n) in lines.zip(1..) {
            let mut fields: Vec<(u32, &[u8], bool)> = Vec::new();
            for (field, f) in line.split(|b| *b == b'|').zip(0..) {
                fields.push((f, field, true));
            }
            fields.remove(0);
            if line.starts_with(b"MSH|") {
                for field in &mut fields {
                    field.0 += 1;
                }
                fields[0].2 = false;
                fields.insert(0, (1, b"|", false));
            }
            for (f, field, split) in fields {
                if !split {
                    rows.push((n, [f, 1, 1, 1], field.to_vec()));
                    continue;
                }
                for (repetition, r) in field.split(|b| *b == b'~').zip(1..) {
                    for (component, c) in repetition.split(|b| *b == b'^').zip(1..) {
                        for (leaf, s) in component.split(|b| *b == b'&').zip(1..) {
                            rows.push((n, [f, r, c, s], leaf.to_vec()));
                        }
                    }
                }
            }
        }
        rows
    }

    proptest! {
        #[test]
        fn index_lazy_views_and_plain_splitting_agree(
            body in "[A-C|^~&\\\\\r]{0,300}",
        ) {
            let text = format!("MSH|^~\\&|{body}");
            let message = Message::parse(text.as_bytes()).unwrap();
            let lazy = lazy(&message);
            prop_assert_eq!(&indexed(&message), &lazy);
            let without_place: Vec<_> =
                lazy.into_iter().map(|(n, numbers, bytes, _)| (n, numbers, bytes)).collect();
            prop_assert_eq!(without_place, plain(text.as_bytes()));
        }

        #[test]
        fn other_delimiters_and_line_ends_too(
            body in "[A-C@#~%\r\n ]{0,200}", end in "(\r|\n|\r\n)",
        ) {
            for header in ["MSH@#~", "MSH@#~!", "MSH@#~!%"] {
                let text = format!("{header}{end}{body}");
                let message = Message::parse(text.as_bytes()).unwrap();
                prop_assert_eq!(indexed(&message), lazy(&message));
            }
        }
    }

    #[test]
    fn an_index_is_used_again_without_growing() {
        let bytes = hl7_corpus::oru_30_obx.bytes;
        let message = Message::parse(bytes).unwrap();
        let mut index = Index::new();
        let count = index.of(&message).delimiter_count();
        let capacity = index.marks.capacity();
        assert_eq!(index.of(&message).delimiter_count(), count);
        assert_eq!(index.marks.capacity(), capacity);
        assert_eq!(count, bytes.iter().filter(|b| b"|^~&".contains(b)).count());
    }
}
