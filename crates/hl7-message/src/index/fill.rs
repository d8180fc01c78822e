//! Filling an index: one pass over the bytes of a message.

#![expect(
    clippy::inline_always,
    reason = "work is compiled for a processor where it is inlined into code for that processor"
)]

use crate::bitmap::{BLOCK, Filter, Masks, Work, last_of};

/// Notes where in `bytes` from `start` on the bytes stand that are wanted; gives how many.
pub(super) struct Fill<'i, 'a> {
    pub(super) marks: &'i mut Vec<u32>,
    pub(super) bytes: &'a [u8],
    pub(super) start: usize,
    pub(super) wanted: [u8; 4],
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
