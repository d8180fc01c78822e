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
    /// How many there are in all.
    len: usize,
    /// All spans, once there are more than fit inline.
    spilled: Vec<Span>,
}

impl SegmentTable {
    /// Begins to fill the table, which is empty; [`Filling::done`] ends it.
    #[inline]
    pub(crate) fn fill(&mut self) -> Filling<'_> {
        Filling {
            inline: &mut self.inline,
            len: 0,
            spilled: &mut self.spilled,
            total: &mut self.len,
        }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[Span] {
        self.inline.get(..self.len).unwrap_or(&self.spilled)
    }
}

/// A table while it is filled. How many spans there are stands in a register meanwhile: counting
/// them in the table would make each one wait for the one before.
pub(crate) struct Filling<'t> {
    inline: &'t mut [Span; INLINE],
    len: usize,
    spilled: &'t mut Vec<Span>,
    total: &'t mut usize,
}

impl Filling<'_> {
    #[inline]
    pub(crate) fn push(&mut self, span: Span) {
        if let Some(slot) = self.inline.get_mut(self.len) {
            *slot = span;
        } else {
            spill(self.inline, self.spilled, span);
        }
        self.len += 1;
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn done(self) {
        *self.total = self.len;
    }
}

#[cold]
#[inline(never)]
fn spill(inline: &[Span; INLINE], spilled: &mut Vec<Span>, span: Span) {
    if spilled.is_empty() {
        spilled.reserve(INLINE * 4);
        spilled.extend_from_slice(inline);
    }
    spilled.push(span);
}
