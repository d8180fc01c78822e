//! Where the segments stand: 16 inline, more on the heap.

use core::ops::Range;

const INLINE: usize = 16;

/// One segment without its terminator, as offsets from the start of the input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// The caller has checked that the input is no longer than `u32::MAX`.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the input is at most u32::MAX bytes"
    )]
    pub(crate) const fn new(start: usize, end: usize) -> Self {
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    #[inline]
    pub(crate) const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The spans of all segments in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct SegmentTable {
    inline: [Span; INLINE],
    len: usize,
    /// All spans, once there are more than fit inline.
    spilled: Vec<Span>,
}

impl SegmentTable {
    #[inline]
    pub(crate) fn push(&mut self, span: Span) {
        if let Some(slot) = self.inline.get_mut(self.len) {
            *slot = span;
            self.len += 1;
        } else {
            self.spill(span);
        }
    }

    #[cold]
    #[inline(never)]
    fn spill(&mut self, span: Span) {
        if self.spilled.is_empty() {
            self.spilled.reserve(INLINE * 4);
            self.spilled.extend_from_slice(&self.inline);
        }
        self.spilled.push(span);
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        if self.spilled.is_empty() {
            self.len
        } else {
            self.spilled.len()
        }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[Span] {
        if self.spilled.is_empty() {
            self.inline.get(..self.len).unwrap_or_default()
        } else {
            &self.spilled
        }
    }
}
