//! Where bytes stand, 64 at a time: a bit for each byte of a block. By compare instructions where
//! there are some (`crate::simd`), else eight bytes at a time in plain integers.

/// Bytes of one block.
pub(crate) const BLOCK: usize = 64;

#[cfg(any(test, not(target_arch = "x86_64")))]
const LOW: u64 = 0x0101_0101_0101_0101;
#[cfg(any(test, not(target_arch = "x86_64")))]
const SEVEN: u64 = 0x7F7F_7F7F_7F7F_7F7F;

/// A bit for each byte of `block` that is `byte`, the first byte in the lowest bit.
#[inline]
pub(crate) fn equal(block: &[u8; BLOCK], byte: u8) -> u64 {
    any_of(block, [byte])
}

/// A bit for each byte of `block` that is one of `bytes`.
#[inline]
pub(crate) fn any_of<const N: usize>(block: &[u8; BLOCK], bytes: [u8; N]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    return crate::simd::any_of(block, bytes);
    #[cfg(not(target_arch = "x86_64"))]
    return plain_any_of(block, bytes);
}

/// [`any_of`] in plain integers.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
pub(crate) fn plain_any_of<const N: usize>(block: &[u8; BLOCK], bytes: [u8; N]) -> u64 {
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

/// A block that starts with `tail`, which is shorter, and ends in zeros.
#[inline]
pub(crate) fn filled(tail: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    if let Some(start) = block.get_mut(..tail.len()) {
        start.copy_from_slice(tail);
    }
    block
}

/// Where the `n`-th `byte` of `bytes` stands, from 0.
#[inline]
pub(crate) fn position_of_nth(bytes: &[u8], byte: u8, n: usize) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if let Some(found) = crate::simd::position_of_nth(bytes, byte, n) {
        return found;
    }
    plain_position_of_nth(bytes, byte, n)
}

/// [`position_of_nth`] without asking what the processor can do.
fn plain_position_of_nth(bytes: &[u8], byte: u8, mut n: usize) -> Option<usize> {
    let mut place = None;
    for_each_block(bytes, |offset, block| {
        if place.is_some() {
            return;
        }
        let mut mask = any_of(block, [byte]);
        let count = mask.count_ones() as usize;
        if n >= count {
            n -= count;
            return;
        }
        for _ in 0..n {
            mask &= mask - 1;
        }
        place = Some(offset + mask.trailing_zeros() as usize);
    });
    place
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
            prop_assert_eq!(plain_any_of(&block, [wanted]), plain);
            let three = [wanted, bytes[0], bytes[1]];
            let plain =
                block.iter().rev().fold(0_u64, |mask, b| (mask << 1) | u64::from(three.contains(b)));
            prop_assert_eq!(any_of(&block, three), plain);
            prop_assert_eq!(plain_any_of(&block, three), plain);
        }

        #[test]
        fn the_nth_is_found_as_by_a_plain_loop(
            bytes in proptest::collection::vec(0..4_u8, 0..300), n in 0..80_usize,
        ) {
            let plain = bytes.iter().enumerate().filter(|(_, b)| **b == 2).nth(n).map(|(at, _)| at);
            prop_assert_eq!(position_of_nth(&bytes, 2, n), plain);
            prop_assert_eq!(plain_position_of_nth(&bytes, 2, n), plain);
        }
    }
}
