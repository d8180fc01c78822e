//! [`Index`]: every delimiter of a message in one pass, and the leaves between them.

use core::fmt;

use crate::bitmap;
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
}

impl Index {
    /// An empty one.
    pub const fn new() -> Self {
        Self {
            marks: Vec::new(),
            len: 0,
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
        self.len = 0;
        let bytes = message.as_bytes();
        let start = message
            .segments()
            .next()
            .map_or(0, |segment| segment.span().start);
        let body = bytes.get(start..).unwrap_or_default();
        self.fill(body, wanted, start);
        Indexed {
            message,
            marks: self.marks.get(..self.len).unwrap_or_default(),
        }
    }

    fn fill(&mut self, body: &[u8], wanted: [u8; 4], start: usize) {
        #[cfg(target_arch = "x86_64")]
        if crate::simd::has_avx2() {
            return crate::simd::for_each_hit(body, wanted, |mask, offset| {
                self.take(mask, start + offset);
            });
        }
        bitmap::for_each_block(body, |offset, block| {
            self.take(bitmap::any_of(block, wanted), start + offset);
        });
    }

    /// Notes the set bits of a block that starts at `base`.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a message is at most u32::MAX bytes"
    )]
    fn take(&mut self, mut mask: u64, base: usize) {
        let count = mask.count_ones() as usize;
        if self.marks.len() < self.len + bitmap::BLOCK {
            self.marks.resize((self.len + bitmap::BLOCK) * 2, 0);
        }
        let room = self
            .marks
            .get_mut(self.len..)
            .and_then(<[u32]>::first_chunk_mut);
        let Some(room) = room else { return };
        let room: &mut [u32; bitmap::BLOCK] = room;
        // Eight at a time without asking: most blocks hold fewer than nine.
        let (groups, _) = room.as_chunks_mut::<8>();
        for group in groups.iter_mut().take(count.div_ceil(8)) {
            for slot in group {
                *slot = base as u32 + mask.trailing_zeros();
                mask &= mask.wrapping_sub(1);
            }
        }
        self.len += count;
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
    pub fn leaves(&self) -> Leaves<'i, 'a> {
        Leaves {
            message: self.message,
            separators: *self.message.separators(),
            marks: self.marks,
            next_segment: 0,
            place: Place::default(),
            from: 0,
            end: 0,
            inside: false,
            header: false,
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

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// From 1.
    segment: u32,
    field: u32,
    repetition: u32,
    component: u32,
    subcomponent: u32,
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
        [
            self.place.field,
            self.place.repetition,
            self.place.component,
            self.place.subcomponent,
        ]
    }

    /// Its full location; `None` in a segment whose name is no name, or beyond what a location
    /// can count. Counts the segments of that name: not for a loop over a long message.
    pub fn location(&self) -> Option<Location> {
        let id = self.segment()?.id()?;
        let before = self.message.segments().take(self.place.segment as usize);
        let occurrence = before.filter(|segment| segment.is(id)).count();
        let number = |n: u32| u16::try_from(n).ok();
        Some(
            Location::of(id)
                .occurrence(u16::try_from(occurrence).ok()?)
                .at_field(number(self.place.field)?)
                .repetition(number(self.place.repetition)?)
                .component(number(self.place.component)?)
                .subcomponent(number(self.place.subcomponent)?),
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
    place: Place,
    /// Where the next leaf begins.
    from: usize,
    /// Where the segment ends.
    end: usize,
    inside: bool,
    /// The next leaf is MSH-2.
    header: bool,
}

impl fmt::Debug for Leaves<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leaves(at segment {})", self.next_segment)
    }
}

impl<'i, 'a> Leaves<'i, 'a> {
    /// The next delimiter, if it stands before `end`.
    #[inline]
    fn mark(&mut self) -> Option<usize> {
        let (&first, rest) = self.marks.split_first()?;
        let at = first as usize;
        if at >= self.end {
            return None;
        }
        self.marks = rest;
        Some(at)
    }

    fn byte(&self, at: usize) -> u8 {
        self.message.as_bytes().get(at).copied().unwrap_or_default()
    }

    /// Goes to the first field of the next segment that has one; `false` at the end.
    fn enter(&mut self) -> bool {
        while let Some(span) = self.message.span(self.next_segment) {
            self.next_segment += 1;
            self.end = span.end;
            // Delimiters of other levels in front of the first field are part of the name.
            let first = loop {
                match self.mark() {
                    None => break None,
                    Some(at) if self.byte(at) == self.separators.field => break Some(at),
                    Some(_) => {}
                }
            };
            let Some(first) = first else { continue };
            let segment = u32::try_from(self.next_segment).unwrap_or(u32::MAX);
            self.place = Place {
                segment,
                field: 1,
                repetition: 1,
                component: 1,
                subcomponent: 1,
            };
            self.from = first + 1;
            self.inside = true;
            self.header = first == span.start + 3 && declares(self.message, span.start);
            return true;
        }
        false
    }

    fn leaf(&self, from: usize, to: usize, separators: Separators) -> Leaf<'i, 'a> {
        let bytes = self.message.as_bytes().get(from..to).unwrap_or_default();
        let view = Subcomponent::new(bytes, from, separators);
        Leaf {
            message: self.message,
            place: self.place,
            view,
        }
    }

    /// MSH-1 and MSH-2, whose characters split nothing.
    fn header_leaf(&mut self) -> Leaf<'i, 'a> {
        if self.place.field == 1 {
            let leaf = self.leaf(self.from - 1, self.from, Separators::ATOMIC);
            self.place.field = 2;
            return leaf;
        }
        self.header = false;
        let from = self.from;
        loop {
            match self.mark() {
                Some(at) if self.byte(at) == self.separators.field => {
                    let leaf = self.leaf(from, at, Separators::ATOMIC);
                    self.from = at + 1;
                    self.place.field = 3;
                    return leaf;
                }
                Some(_) => {}
                None => {
                    self.inside = false;
                    return self.leaf(from, self.end, Separators::ATOMIC);
                }
            }
        }
    }
}

/// Whether the segment at `start` is one whose first two fields declare the delimiters.
fn declares(message: &Message<'_>, start: usize) -> bool {
    let name = message.as_bytes().get(start..start + 3);
    matches!(name, Some(b"MSH" | b"FHS" | b"BHS"))
}

impl<'i, 'a> Iterator for Leaves<'i, 'a> {
    type Item = Leaf<'i, 'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if !self.inside && !self.enter() {
            return None;
        }
        if self.header {
            return Some(self.header_leaf());
        }
        let Some(at) = self.mark() else {
            self.inside = false;
            return Some(self.leaf(self.from, self.end, self.separators));
        };
        let leaf = self.leaf(self.from, at, self.separators);
        self.from = at + 1;
        let byte = self.byte(at);
        self.place.step(byte, self.separators);
        Some(leaf)
    }

    /// The same leaves, faster: nothing is put away between two of them.
    fn fold<B, F>(mut self, init: B, mut f: F) -> B
    where
        F: FnMut(B, Self::Item) -> B,
    {
        let mut result = init;
        let separators = self.separators;
        let bytes = self.message.as_bytes();
        while self.inside || self.enter() {
            while self.inside && self.header {
                let leaf = self.header_leaf();
                result = f(result, leaf);
            }
            if !self.inside {
                continue;
            }
            let end = self.end;
            let mut from = self.from;
            let mut place = self.place;
            let mut left = self.marks.iter();
            let mut rest = left.as_slice();
            while let Some(&mark) = left.next() {
                let at = mark as usize;
                if at >= end {
                    break;
                }
                rest = left.as_slice();
                let leaf = bytes.get(from..at).unwrap_or_default();
                let view = Subcomponent::new(leaf, from, separators);
                result = f(
                    result,
                    Leaf {
                        message: self.message,
                        place,
                        view,
                    },
                );
                from = at + 1;
                place.step(bytes.get(at).copied().unwrap_or_default(), separators);
            }
            self.marks = rest;
            self.place = place;
            self.inside = false;
            let last = self.leaf(from, end, separators);
            result = f(result, last);
        }
        result
    }
}

impl Place {
    /// Goes on behind the delimiter `byte`.
    #[inline]
    fn step(&mut self, byte: u8, separators: Separators) {
        if byte == separators.field {
            self.field += 1;
            (self.repetition, self.component, self.subcomponent) = (1, 1, 1);
        } else if byte == separators.component {
            self.component += 1;
            self.subcomponent = 1;
        } else if byte == separators.repetition {
            self.repetition += 1;
            (self.component, self.subcomponent) = (1, 1);
        } else {
            self.subcomponent += 1;
        }
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
