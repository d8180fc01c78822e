//! Where bytes stand, 64 at a time: a bit for each byte of a block.
//!
//! What looks for bytes is [`Work`], written once over [`Masks`]: the compare instructions of
//! `crate::simd` where there are some, else eight bytes at a time in plain integers.

#![expect(
    clippy::inline_always,
    reason = "work is compiled for a processor where it is inlined into code for that processor"
)]

/// Bytes of one block.
pub(crate) const BLOCK: usize = 64;

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// A way to compare the bytes of a block.
pub(crate) trait Masks: Copy {
    /// A bit for each byte of `block` that is one of `wanted`, the first byte in the lowest bit.
    fn any_of<const N: usize>(self, block: &[u8; BLOCK], wanted: [u8; N]) -> u64;

    /// Where the `n`-th bit that is set stands, from 0; there are more than `n`.
    #[inline(always)]
    fn nth_bit(self, mut mask: u64, n: u32) -> u32 {
        for _ in 0..n {
            mask &= mask.wrapping_sub(1);
        }
        mask.trailing_zeros()
    }

    /// Writes to the front of `room` where the bits that are set stand, each `base` further on.
    #[inline(always)]
    fn places(self, mut mask: u64, base: u32, room: &mut [u32; BLOCK]) {
        // Four at a time without asking, so that fewer questions are answered wrongly.
        let (rooms, _) = room.as_chunks_mut::<4>();
        for room in rooms {
            for slot in room {
                *slot = base.wrapping_add(mask.trailing_zeros());
                mask &= mask.wrapping_sub(1);
            }
            if mask == 0 {
                break;
            }
        }
    }

    /// How many bytes at the front of `bytes` surely hold none of the bytes of `filter`; 0 where
    /// that cannot be told faster than by [`Masks::any_of`].
    #[inline(always)]
    fn quiet(self, _bytes: &[u8], _filter: &Filter) -> usize {
        0
    }
}

/// Something done with whatever masks there are.
pub(crate) trait Work {
    /// What comes out of it.
    type Output;

    /// Does it; the same comes out of any masks. To be inlined, so that it is compiled for the
    /// processor that `masks` stands for.
    fn run<M: Masks>(self, masks: M) -> Self::Output;
}

/// Does `work` with the best masks that this processor has.
#[inline(always)]
pub(crate) fn best<W: Work>(work: W) -> W::Output {
    #[cfg(all(target_arch = "x86_64", feature = "simd"))]
    return crate::simd::best(work);
    #[cfg(not(all(target_arch = "x86_64", feature = "simd")))]
    return work.run(Plain);
}

/// Plain integers: what every processor can do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain;

impl Masks for Plain {
    #[inline(always)]
    fn any_of<const N: usize>(self, block: &[u8; BLOCK], wanted: [u8; N]) -> u64 {
        let (words, _) = block.as_chunks::<8>();
        let patterns = wanted.map(|byte| LOW * u64::from(byte));
        // Bit `word` of byte `place`: whether the byte there is none of them.
        let mut others = 0;
        for (word, loaded) in words.iter().enumerate() {
            let loaded = u64::from_le_bytes(*loaded);
            let mut differs = HIGH;
            for pattern in patterns {
                let zero_where_equal = loaded ^ pattern;
                differs &= ((zero_where_equal & !HIGH) + !HIGH) | zero_where_equal;
            }
            others |= differs >> (7 - word);
        }
        !transposed(others)
    }
}

/// The square of eight times eight bits, its rows made columns.
#[inline(always)]
const fn transposed(mut square: u64) -> u64 {
    let swap = (square ^ (square >> 7)) & 0x00AA_00AA_00AA_00AA;
    square ^= swap ^ (swap << 7);
    let swap = (square ^ (square >> 14)) & 0x0000_CCCC_0000_CCCC;
    square ^= swap ^ (swap << 14);
    let swap = (square ^ (square >> 28)) & 0x0000_0000_F0F0_F0F0;
    square ^ swap ^ (swap << 28)
}

/// A test that each of four ASCII bytes passes, and few other bytes: one look-up by the low half
/// of a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filter {
    /// For each low half, what the byte must be once `blur` is set in it.
    pub(crate) table: [u8; 16],
    /// Bits in which bytes with the same low half may differ.
    pub(crate) blur: u8,
}

impl Filter {
    #[cold]
    #[inline(never)]
    pub(crate) fn new(wanted: [u8; 4]) -> Self {
        // `^` and `~` differ in one bit alone; bytes that differ in any are told apart by none.
        let blurs = [0, 0x10, 0x20, 0x40, 0x30, 0x50, 0x60, 0x70];
        let mut last = Self {
            table: [0; 16],
            blur: 0,
        };
        for blur in blurs {
            let mut filter = Self {
                table: [0; 16],
                blur,
            };
            for byte in wanted {
                if let Some(slot) = filter.table.get_mut(usize::from(byte & 0x0F)) {
                    *slot = byte | blur;
                }
            }
            last = filter;
            if wanted.iter().all(|&byte| filter.passes(byte)) {
                break;
            }
        }
        last
    }

    pub(crate) fn passes(self, byte: u8) -> bool {
        self.table.get(usize::from(byte & 0x0F)) == Some(&(byte | self.blur))
    }
}

/// Up to 64 bytes of a longer text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'b> {
    block: &'b [u8; BLOCK],
    /// How many bytes of the block stand in front of the window.
    before: usize,
    /// A bit for each byte that belongs to it.
    inside: u64,
}

impl<'b> Window<'b> {
    /// What stands in `bytes` from `at` to `end`, of 64 bytes at most. `None` where there is
    /// nothing, and where all of `bytes` is less than a block.
    #[inline(always)]
    pub(crate) fn new(bytes: &'b [u8], at: usize, end: usize) -> Option<Self> {
        // Near the end, read together with what stands before it: that costs less than to copy it.
        let start = at.min(bytes.len().checked_sub(BLOCK)?);
        let len = end
            .min(bytes.len())
            .checked_sub(at)
            .filter(|&len| len > 0)?;
        Some(Self {
            block: bytes.get(start..)?.first_chunk()?,
            before: at - start,
            inside: u64::MAX >> (BLOCK - len.min(BLOCK)),
        })
    }

    /// A bit for each byte that is one of `wanted`.
    #[inline(always)]
    pub(crate) fn any_of<M: Masks, const N: usize>(self, masks: M, wanted: [u8; N]) -> u64 {
        (masks.any_of(self.block, wanted) >> self.before) & self.inside
    }
}

/// The bitmap of what stands in `bytes` from `at` on, which is less than a block.
#[inline(always)]
pub(crate) fn last_of<M: Masks, const N: usize>(
    masks: M,
    bytes: &[u8],
    at: usize,
    wanted: [u8; N],
) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    match bytes.last_chunk() {
        _ if rest.is_empty() => 0,
        // Read together with what stands before it, which costs less than to copy it.
        Some(last) => masks.any_of(last, wanted) >> (BLOCK - rest.len()),
        None => masks.any_of(&filled(rest), wanted),
    }
}

/// A block that starts with `tail`, which is shorter, and ends in zeros: no delimiter is one.
#[cold]
fn filled(tail: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    if let Some(start) = block.get_mut(..tail.len()) {
        start.copy_from_slice(tail);
    }
    block
}

/// Where the first of `wanted` stands in `bytes`.
#[inline(always)]
pub(crate) fn first_of<M: Masks, const N: usize>(
    masks: M,
    bytes: &[u8],
    wanted: [u8; N],
) -> Option<usize> {
    let mut at = 0;
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let mask = masks.any_of(block, wanted);
        if mask != 0 {
            return Some(at + mask.trailing_zeros() as usize);
        }
        at += BLOCK;
    }
    let mask = last_of(masks, bytes, at, wanted);
    (mask != 0).then(|| at + mask.trailing_zeros() as usize)
}

/// Where the `n`-th `byte` of `bytes` stands, from 0, between `from` and `end`.
#[inline(always)]
pub(crate) fn nth_of<M: Masks>(
    masks: M,
    bytes: &[u8],
    (from, end): (usize, usize),
    byte: u8,
    mut n: u32,
) -> Option<usize> {
    let mut at = from;
    while let Some(window) = Window::new(bytes, at, end) {
        let mask = window.any_of(masks, [byte]);
        let count = mask.count_ones();
        if n < count {
            return Some(at + masks.nth_bit(mask, n) as usize);
        }
        n -= count;
        at += BLOCK;
    }
    if bytes.len() < BLOCK {
        return nth_of_few(bytes, (from, end), byte, n);
    }
    None
}

/// The same in less than a block.
#[cold]
fn nth_of_few(bytes: &[u8], (from, end): (usize, usize), byte: u8, n: u32) -> Option<usize> {
    let few = bytes.get(from..end)?.iter().enumerate();
    let mut places = few.filter(|(_, found)| **found == byte);
    places.nth(n as usize).map(|(at, _)| from + at)
}

/// Where the `n`-th `byte` of `bytes` stands, from 0.
#[inline]
pub(crate) fn position_of_nth(bytes: &[u8], byte: u8, n: usize) -> Option<usize> {
    let n = u32::try_from(n).ok()?;
    best(Nth { bytes, byte, n })
}

struct Nth<'b> {
    bytes: &'b [u8],
    byte: u8,
    n: u32,
}

impl Work for Nth<'_> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<M: Masks>(self, masks: M) -> Option<usize> {
        let Self { bytes, byte, n } = self;
        nth_of(masks, bytes, (0, bytes.len()), byte, n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bitmap_is_that_of_a_plain_loop(
            bytes in proptest::array::uniform32(any::<u8>()), wanted in any::<u8>(),
        ) {
            let mut block = [wanted; BLOCK];
            block[..32].copy_from_slice(&bytes);
            let three = [wanted, bytes[0], bytes[1]];
            let plain =
                block.iter().rev().fold(0_u64, |mask, b| (mask << 1) | u64::from(three.contains(b)));
            prop_assert_eq!(Plain.any_of(&block, three), plain);
        }

        #[test]
        fn a_window_is_that_of_a_plain_loop(
            bytes in proptest::collection::vec(0..4_u8, 0..200), at in 0..220_usize, end in 0..220_usize,
        ) {
            let end = end.min(bytes.len());
            let plain = (at..end.min(at + BLOCK))
                .filter(|place| bytes[*place] == 2)
                .fold(0_u64, |mask, place| mask | 1 << (place - at));
            let found = Window::new(&bytes, at, end).map(|window| window.any_of(Plain, [2]));
            if at < end && bytes.len() >= BLOCK {
                prop_assert_eq!(found, Some(plain));
            } else {
                prop_assert_eq!(found, None);
            }
        }

        #[test]
        fn the_nth_is_found_as_by_a_plain_loop(
            bytes in proptest::collection::vec(0..4_u8, 0..300), n in 0..80_usize,
        ) {
            let plain = bytes.iter().enumerate().filter(|(_, b)| **b == 2).nth(n).map(|(at, _)| at);
            prop_assert_eq!(position_of_nth(&bytes, 2, n), plain);
            let n = u32::try_from(n).unwrap();
            prop_assert_eq!(Nth { bytes: &bytes, byte: 2, n }.run(Plain), plain);
            let first = bytes.iter().position(|b| *b == 2);
            prop_assert_eq!(first_of(Plain, &bytes, [2]), first);
        }

        #[test]
        fn a_filter_lets_pass_what_is_wanted(wanted in any::<[u8; 4]>()) {
            let wanted = wanted.map(|byte| byte & 0x7F);
            let filter = Filter::new(wanted);
            prop_assert!(wanted.iter().all(|byte| filter.passes(*byte)));
        }
    }

    #[test]
    fn the_usual_delimiters_let_few_others_pass() {
        let filter = Filter::new(*b"|^~&");
        let passing: Vec<_> = (0..=255).filter(|byte| filter.passes(*byte)).collect();
        assert_eq!(passing, b"\x06&\\^|~");
    }
}
