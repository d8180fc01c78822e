//! Where bytes stand, 64 at a time: a bit for each byte of a block, found eight bytes at a time
//! in plain integers.

/// Bytes of one block.
pub(crate) const BLOCK: usize = 64;

const LOW: u64 = 0x0101_0101_0101_0101;
const SEVEN: u64 = 0x7F7F_7F7F_7F7F_7F7F;

/// A bit for each byte of `block` that is `byte`, the first byte in the lowest bit.
#[inline]
fn equal(block: &[u8; BLOCK], byte: u8) -> u64 {
    let (words, _) = block.as_chunks::<8>();
    let pattern = LOW * u64::from(byte);
    let mut mask = 0;
    for (word, bytes) in words.iter().enumerate() {
        let zero_where_equal = u64::from_le_bytes(*bytes) ^ pattern;
        // The high bit of each byte that is zero, and of no other.
        let found = !(((zero_where_equal & SEVEN) + SEVEN) | zero_where_equal | SEVEN);
        // The eight high bits, brought together in the top byte.
        mask |= ((found >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * word);
    }
    mask
}

/// A bit for each byte of `block` that is one of `bytes`.
#[inline]
pub(crate) fn any_of<const N: usize>(block: &[u8; BLOCK], bytes: [u8; N]) -> u64 {
    let (words, _) = block.as_chunks::<8>();
    let patterns = bytes.map(|byte| LOW * u64::from(byte));
    let mut mask = 0;
    for (word, loaded) in words.iter().enumerate() {
        let loaded = u64::from_le_bytes(*loaded);
        let mut differs = u64::MAX;
        for pattern in patterns {
            let zero_where_equal = loaded ^ pattern;
            differs &= ((zero_where_equal & SEVEN) + SEVEN) | zero_where_equal;
        }
        let found = !(differs | SEVEN);
        mask |= ((found >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * word);
    }
    mask
}

/// The blocks of `bytes`, the last one filled up with zeros, each with its offset.
///
/// A zero is never a delimiter, so what is filled up shows in no bitmap of one.
#[inline]
pub(crate) fn for_each_block(bytes: &[u8], mut each: impl FnMut(usize, &[u8; BLOCK])) {
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    let mut offset = 0;
    for block in blocks {
        each(offset, block);
        offset += BLOCK;
    }
    if !tail.is_empty() {
        each(offset, &filled(tail));
    }
}

#[inline]
fn filled(tail: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    for (slot, &byte) in block.iter_mut().zip(tail) {
        *slot = byte;
    }
    block
}

/// Where the `n`-th `byte` of `bytes` stands, from 0.
#[inline]
pub(crate) fn position_of_nth(bytes: &[u8], byte: u8, mut n: usize) -> Option<usize> {
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    let mut offset = 0;
    for block in blocks {
        let mask = equal(block, byte);
        let count = mask.count_ones() as usize;
        if n < count {
            return Some(offset + nth_bit(mask, n));
        }
        n -= count;
        offset += BLOCK;
    }
    if tail.len() < 16 {
        let mut places = tail.iter().enumerate().filter(|(_, found)| **found == byte);
        return places.nth(n).map(|(at, _)| offset + at);
    }
    let mask = equal(&filled(tail), byte);
    ((mask.count_ones() as usize) > n).then(|| offset + nth_bit(mask, n))
}

/// Which bit is the `n`-th that is set, from 0; there are more than `n`.
#[inline]
fn nth_bit(mut mask: u64, n: usize) -> usize {
    for _ in 0..n {
        mask &= mask - 1;
    }
    mask.trailing_zeros() as usize
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
            let plain =
                block.iter().rev().fold(0_u64, |mask, b| (mask << 1) | u64::from(*b == wanted));
            prop_assert_eq!(equal(&block, wanted), plain);
            prop_assert_eq!(any_of(&block, [wanted]), plain);
            let three = [wanted, bytes[0], bytes[1]];
            let plain =
                block.iter().rev().fold(0_u64, |mask, b| (mask << 1) | u64::from(three.contains(b)));
            prop_assert_eq!(any_of(&block, three), plain);
        }

        #[test]
        fn the_nth_is_found_as_by_a_plain_loop(
            bytes in proptest::collection::vec(0..4_u8, 0..300), n in 0..80_usize,
        ) {
            let plain = bytes.iter().enumerate().filter(|(_, b)| **b == 2).nth(n).map(|(at, _)| at);
            prop_assert_eq!(position_of_nth(&bytes, 2, n), plain);
        }
    }
}
