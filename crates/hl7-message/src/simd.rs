//! Comparing many bytes at once: the one module with unsafe code.
//!
//! Everything here takes references to arrays of fixed size and calls the processor's compare
//! instructions on them. Two things make that sound, and nothing else is needed:
//!
//! - a load reads only inside the array it is given (`loadu` needs no alignment);
//! - SSE2 belongs to every x86-64 processor, and AVX2 is called only after the processor was asked.
//!
//! `crate::bitmap` has the same in plain integers; property tests hold all ways equal,
//! also under a memory checker, and other processors use the plain way.

#![allow(unsafe_code, reason = "compare instructions; see the module's text")]

use core::arch::x86_64::{
    __m128i, __m256i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128,
    _mm_set1_epi8, _mm_setzero_si128, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set1_epi8, _mm256_setzero_si256, _pdep_u64,
};

use crate::bitmap::{BLOCK, filled};

/// A bit for each byte of `block` that is one of `bytes`, by SSE2.
#[inline]
#[expect(clippy::cast_ptr_alignment, reason = "loadu needs no alignment")]
#[expect(clippy::cast_possible_wrap, reason = "bits, not numbers")]
#[expect(clippy::cast_sign_loss, reason = "bits, not numbers")]
pub(crate) fn any_of<const N: usize>(block: &[u8; BLOCK], bytes: [u8; N]) -> u64 {
    let (lanes, _) = block.as_chunks::<16>();
    let mut mask = 0;
    for (lane, chunk) in lanes.iter().enumerate() {
        // SAFETY: every x86-64 processor has SSE2, and the load reads the 16 bytes of `chunk`.
        let found = unsafe {
            let loaded = _mm_loadu_si128(chunk.as_ptr().cast::<__m128i>());
            let mut found = _mm_setzero_si128();
            for byte in bytes {
                found = _mm_or_si128(found, _mm_cmpeq_epi8(loaded, _mm_set1_epi8(byte as i8)));
            }
            _mm_movemask_epi8(found)
        };
        mask |= u64::from(found as u32) << (16 * lane);
    }
    mask
}

/// Whether this processor has AVX2, and counts and finds bits in one instruction.
#[inline]
pub(crate) fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("bmi2")
        && std::arch::is_x86_feature_detected!("popcnt")
}

/// Where the `n`-th `byte` of `bytes` stands, from 0; outer `None` where the processor has no AVX2.
#[inline]
#[expect(
    clippy::option_option,
    reason = "whether it can be told, and whether it is there"
)]
pub(crate) fn position_of_nth(bytes: &[u8], byte: u8, n: usize) -> Option<Option<usize>> {
    // SAFETY: the processor has what the function is compiled for.
    has_avx2().then(|| unsafe { position_of_nth_avx2(bytes, byte, n) })
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
#[expect(clippy::cast_possible_wrap, reason = "bits, not numbers")]
fn position_of_nth_avx2(bytes: &[u8], byte: u8, mut n: usize) -> Option<usize> {
    let wanted = [_mm256_set1_epi8(byte as i8)];
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    let mut offset = 0;
    for block in blocks {
        let mask = mask_avx2(block, &wanted);
        let count = mask.count_ones() as usize;
        if n < count {
            return Some(offset + _pdep_u64(1 << n, mask).trailing_zeros() as usize);
        }
        n -= count;
        offset += BLOCK;
    }
    // What is left, read together with what stands before it where there is enough.
    let mask = match bytes.last_chunk::<BLOCK>() {
        Some(last) if !tail.is_empty() => mask_avx2(last, &wanted) >> (BLOCK - tail.len()),
        Some(_) => 0,
        None => mask_avx2(&filled(tail), &wanted),
    };
    ((mask.count_ones() as usize) > n)
        .then(|| offset + _pdep_u64(1 << n, mask).trailing_zeros() as usize)
}

/// Calls `take` with the bitmap and the offset of each block that holds one of `bytes`, by AVX2.
///
/// # Panics
///
/// Where the processor has no AVX2: ask [`has_avx2`] first.
pub(crate) fn for_each_hit<const N: usize>(
    body: &[u8],
    bytes: [u8; N],
    take: impl FnMut(u64, usize),
) {
    assert!(has_avx2(), "asked for AVX2 on a processor without it");
    // SAFETY: the processor has what the function is compiled for.
    unsafe { for_each_hit_avx2(body, bytes, take) }
}

#[target_feature(enable = "avx2,bmi1,popcnt")]
#[expect(clippy::cast_possible_wrap, reason = "bits, not numbers")]
fn for_each_hit_avx2<const N: usize>(
    body: &[u8],
    bytes: [u8; N],
    mut take: impl FnMut(u64, usize),
) {
    let wanted = bytes.map(|byte| _mm256_set1_epi8(byte as i8));
    let (blocks, tail) = body.as_chunks::<BLOCK>();
    let mut offset = 0;
    for block in blocks {
        let mask = mask_avx2(block, &wanted);
        if mask != 0 {
            take(mask, offset);
        }
        offset += BLOCK;
    }
    if !tail.is_empty() {
        let mask = mask_avx2(&filled(tail), &wanted);
        if mask != 0 {
            take(mask, offset);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
#[expect(clippy::cast_ptr_alignment, reason = "loadu needs no alignment")]
#[expect(clippy::cast_sign_loss, reason = "bits, not numbers")]
fn mask_avx2<const N: usize>(block: &[u8; BLOCK], wanted: &[__m256i; N]) -> u64 {
    let (halves, _) = block.as_chunks::<32>();
    let mut found = [_mm256_setzero_si256(); 2];
    for (found, half) in found.iter_mut().zip(halves) {
        // SAFETY: the load reads the 32 bytes of `half`.
        let loaded = unsafe { _mm256_loadu_si256(half.as_ptr().cast::<__m256i>()) };
        for byte in wanted {
            *found = _mm256_or_si256(*found, _mm256_cmpeq_epi8(loaded, *byte));
        }
    }
    let [low, high] = found;
    let low = u64::from(_mm256_movemask_epi8(low) as u32);
    let high = u64::from(_mm256_movemask_epi8(high) as u32);
    low | high << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bitmap;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_way_finds_the_same(bytes in proptest::collection::vec(0..6_u8, 0..400)) {
            let wanted = [1, 2, 3, 5];
            let mut plain = Vec::new();
            bitmap::for_each_block(&bytes, |offset, block| {
                let mask = bitmap::plain_any_of(block, wanted);
                assert_eq!(any_of(block, wanted), mask);
                if mask != 0 {
                    plain.push((mask, offset));
                }
            });
            for n in 0..70 {
                let place = bytes.iter().enumerate().filter(|(_, b)| **b == 2).nth(n);
                if let Some(found) = position_of_nth(&bytes, 2, n) {
                    prop_assert_eq!(found, place.map(|(at, _)| at));
                }
            }
            if has_avx2() {
                let mut found = Vec::new();
                for_each_hit(&bytes, wanted, |mask, offset| found.push((mask, offset)));
                prop_assert_eq!(found, plain);
            }
        }
    }
}
