//! Comparing many bytes at once: the one module with unsafe code.
//!
//! Everything here takes references to arrays of fixed size and calls the processor's compare
//! instructions on them. Two things make that sound, and nothing else is needed:
//!
//! - a load or a store stays inside the array that it is given, and needs no alignment;
//! - SSE2 belongs to every x86-64 processor, and an [`Avx2`] or an [`Avx512`] is made only once the
//!   processor was asked: whoever has one may use what it stands for.
//!
//! `crate::bitmap` has the same in plain integers; property tests hold all ways equal, also under
//! a memory checker, and other processors use the plain way.

#![allow(unsafe_code, reason = "compare instructions; see the module's text")]
#![expect(
    clippy::inline_always,
    reason = "work is compiled for a processor where it is inlined into code for that processor"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "a table that is made when this is compiled"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_ptr_alignment,
    clippy::cast_sign_loss,
    reason = "bits, not numbers; the loads and stores need no alignment"
)]

use core::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128,
    _mm_set1_epi8, _mm_setzero_si128, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
    _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_testz_si256, _mm512_add_epi32,
    _mm512_broadcast_i32x4, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask, _mm512_cvtepu8_epi32,
    _mm512_extracti32x4_epi32, _mm512_loadu_si512, _mm512_maskz_compress_epi8, _mm512_min_epu8,
    _mm512_set1_epi8, _mm512_set1_epi32, _mm512_shuffle_epi8, _mm512_storeu_si512,
    _mm512_ternarylogic_epi32, _mm512_testn_epi8_mask, _pdep_u64,
};
use core::sync::atomic::{AtomicU8, Ordering};

use crate::bitmap::{BLOCK, Filter, Masks, Work};

/// Does `work` with the best that this processor has.
#[inline]
pub(crate) fn best<W: Work>(work: W) -> W::Output {
    match Best::here() {
        // SAFETY: the processor has what the function is compiled for.
        Best::Avx512(masks) => unsafe { run_avx512(work, masks) },
        // SAFETY: the processor has what the function is compiled for.
        Best::Avx2(masks) => unsafe { run_avx2(work, masks) },
        Best::Sse2(masks) => work.run(masks),
    }
}

/// The best masks of a processor.
#[derive(Debug, Clone, Copy)]
enum Best {
    Avx512(Avx512),
    Avx2(Avx2),
    Sse2(Sse2),
}

impl Best {
    /// Those of this processor, which is asked once: a look-up of one field should not begin with
    /// eight questions.
    #[inline(always)]
    fn here() -> Self {
        const AVX512: u8 = 3;
        const AVX2: u8 = 2;
        const SSE2: u8 = 1;
        /// What the processor answered; 0 before it was asked.
        static ANSWER: AtomicU8 = AtomicU8::new(0);
        #[cold]
        fn ask() -> Best {
            let best = match (Avx512::detect(), Avx2::detect()) {
                (Some(masks), _) => Best::Avx512(masks),
                (None, Some(masks)) => Best::Avx2(masks),
                (None, None) => Best::Sse2(Sse2),
            };
            let answer = match best {
                Best::Avx512(_) => AVX512,
                Best::Avx2(_) => AVX2,
                Best::Sse2(_) => SSE2,
            };
            ANSWER.store(answer, Ordering::Relaxed);
            best
        }
        match ANSWER.load(Ordering::Relaxed) {
            AVX512 => Self::Avx512(Avx512(Avx2(()))),
            AVX2 => Self::Avx2(Avx2(())),
            SSE2 => Self::Sse2(Sse2),
            _ => ask(),
        }
    }
}

/// `work`, compiled for the processors that [`Avx512`] stands for.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,popcnt")]
fn run_avx512<W: Work>(work: W, masks: Avx512) -> W::Output {
    work.run(masks)
}

/// `work`, compiled for the processors that [`Avx2`] stands for.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn run_avx2<W: Work>(work: W, masks: Avx2) -> W::Output {
    work.run(masks)
}

/// What every x86-64 processor has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sse2;

impl Masks for Sse2 {
    #[inline(always)]
    fn any_of<const N: usize>(self, block: &[u8; BLOCK], wanted: [u8; N]) -> u64 {
        let (lanes, _) = block.as_chunks::<16>();
        let mut mask = 0;
        for (lane, chunk) in lanes.iter().enumerate() {
            // SAFETY: every x86-64 processor has SSE2, and the load reads the 16 bytes of `chunk`.
            let found = unsafe {
                let loaded = _mm_loadu_si128(chunk.as_ptr().cast::<__m128i>());
                let mut found = _mm_setzero_si128();
                for byte in wanted {
                    found = _mm_or_si128(found, _mm_cmpeq_epi8(loaded, _mm_set1_epi8(byte as i8)));
                }
                _mm_movemask_epi8(found)
            };
            mask |= u64::from(found as u32) << (16 * lane);
        }
        mask
    }
}

/// A processor that has AVX2, and counts and finds bits in one instruction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// Asks the processor.
    #[inline(always)]
    pub(crate) fn detect() -> Option<Self> {
        (std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("bmi2")
            && std::arch::is_x86_feature_detected!("lzcnt")
            && std::arch::is_x86_feature_detected!("popcnt"))
        .then_some(Self(()))
    }
}

impl Masks for Avx2 {
    #[inline(always)]
    fn any_of<const N: usize>(self, block: &[u8; BLOCK], wanted: [u8; N]) -> u64 {
        // SAFETY: there is an `Avx2`, so the processor was asked.
        unsafe { any_of_avx2(block, wanted) }
    }

    #[inline(always)]
    fn nth_bit(self, mask: u64, n: u32) -> u32 {
        // SAFETY: there is an `Avx2`, so the processor was asked.
        unsafe { nth_bit_bmi2(mask, n) }
    }

    #[inline(always)]
    fn quiet(self, bytes: &[u8], filter: &Filter) -> usize {
        // SAFETY: there is an `Avx2`, so the processor was asked.
        unsafe { quiet_avx2(bytes, filter) }
    }
}

/// A processor that has AVX-512 with the compressing of bytes, and what [`Avx2`] stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(Avx2);

impl Avx512 {
    /// Asks the processor.
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        let avx2 = Avx2::detect()?;
        (std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vbmi2"))
        .then_some(Self(avx2))
    }
}

impl Masks for Avx512 {
    #[inline(always)]
    fn any_of<const N: usize>(self, block: &[u8; BLOCK], wanted: [u8; N]) -> u64 {
        // SAFETY: there is an `Avx512`, so the processor was asked.
        unsafe { any_of_avx512(block, wanted) }
    }

    #[inline(always)]
    fn nth_bit(self, mask: u64, n: u32) -> u32 {
        self.0.nth_bit(mask, n)
    }

    #[inline(always)]
    fn places(self, mask: u64, base: u32, room: &mut [u32; BLOCK]) {
        // SAFETY: there is an `Avx512`, so the processor was asked.
        unsafe { places_avx512(mask, base, room) }
    }

    #[inline(always)]
    fn quiet(self, bytes: &[u8], filter: &Filter) -> usize {
        // SAFETY: there is an `Avx512`, so the processor was asked.
        unsafe { quiet_avx512(bytes, filter) }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn any_of_avx512<const N: usize>(block: &[u8; BLOCK], wanted: [u8; N]) -> u64 {
    // SAFETY: the load reads the 64 bytes of `block`.
    let loaded = unsafe { _mm512_loadu_si512(block.as_ptr().cast::<__m512i>()) };
    wanted.into_iter().fold(0, |mask, byte| {
        mask | _mm512_cmpeq_epi8_mask(loaded, _mm512_set1_epi8(byte as i8))
    })
}

/// The numbers from 0 to 63 in bytes.
static COUNTING: [u8; BLOCK] = {
    let mut counting = [0; BLOCK];
    let mut n = 0;
    while n < BLOCK {
        let slot = &mut counting[n];
        *slot = n as u8;
        n += 1;
    }
    counting
};

/// All places at once, and written sixteen at a time.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
fn places_avx512(mask: u64, base: u32, room: &mut [u32; BLOCK]) {
    // SAFETY: the load reads the 64 bytes of the table.
    let counting = unsafe { _mm512_loadu_si512(COUNTING.as_ptr().cast::<__m512i>()) };
    let places = _mm512_maskz_compress_epi8(mask, counting);
    let base = _mm512_set1_epi32(base as i32);
    let quarters = [
        _mm512_castsi512_si128(places),
        _mm512_extracti32x4_epi32::<1>(places),
        _mm512_extracti32x4_epi32::<2>(places),
        _mm512_extracti32x4_epi32::<3>(places),
    ];
    let (rooms, _) = room.as_chunks_mut::<16>();
    let mut left = mask.count_ones();
    for (room, quarter) in rooms.iter_mut().zip(quarters) {
        let places = _mm512_add_epi32(_mm512_cvtepu8_epi32(quarter), base);
        // SAFETY: the store writes the 16 numbers of `room`.
        unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast::<__m512i>(), places) };
        left = left.saturating_sub(16);
        if left == 0 {
            break;
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn any_of_avx2<const N: usize>(block: &[u8; BLOCK], wanted: [u8; N]) -> u64 {
    let (halves, _) = block.as_chunks::<32>();
    let mut mask = 0;
    for (half, chunk) in halves.iter().enumerate() {
        let loaded = load_avx2(chunk);
        let mut found = _mm256_setzero_si256();
        for byte in wanted {
            let equal = _mm256_cmpeq_epi8(loaded, _mm256_set1_epi8(byte as i8));
            found = _mm256_or_si256(found, equal);
        }
        mask |= u64::from(_mm256_movemask_epi8(found) as u32) << (32 * half);
    }
    mask
}

#[inline]
#[target_feature(enable = "bmi1,bmi2")]
fn nth_bit_bmi2(mask: u64, n: u32) -> u32 {
    _pdep_u64(1_u64.wrapping_shl(n), mask).trailing_zeros()
}

/// Bytes that are looked through at once where there is nothing to be found.
const STRIDE: usize = 256;

/// Four instructions for 32 bytes, whatever is looked for, and one question for 256.
#[target_feature(enable = "avx2")]
fn quiet_avx2(bytes: &[u8], filter: &Filter) -> usize {
    // SAFETY: the load reads the 16 bytes of the table.
    let table = unsafe { _mm_loadu_si128(filter.table.as_ptr().cast::<__m128i>()) };
    let table = _mm256_broadcastsi128_si256(table);
    let blur = _mm256_set1_epi8(filter.blur as i8);
    let (strides, _) = bytes.as_chunks::<STRIDE>();
    let mut quiet = 0;
    for stride in strides {
        let (chunks, _) = stride.as_chunks::<32>();
        let mut found = _mm256_setzero_si256();
        for chunk in chunks {
            let loaded = load_avx2(chunk);
            // A byte of 128 or more looks up a 0, which is none of these bytes.
            let looked_up = _mm256_shuffle_epi8(table, loaded);
            let equal = _mm256_cmpeq_epi8(looked_up, _mm256_or_si256(loaded, blur));
            found = _mm256_or_si256(found, equal);
        }
        if _mm256_testz_si256(found, found) == 0 {
            break;
        }
        quiet += STRIDE;
    }
    quiet
}

/// Three instructions for 64 bytes, and one question for 256.
#[target_feature(enable = "avx512f,avx512bw")]
fn quiet_avx512(bytes: &[u8], filter: &Filter) -> usize {
    /// `(a | b) ^ c`, as the table of what comes out for each three bits.
    const OR_XOR: i32 = 0b0101_0110;
    // SAFETY: the load reads the 16 bytes of the table.
    let table = unsafe { _mm_loadu_si128(filter.table.as_ptr().cast::<__m128i>()) };
    let table = _mm512_broadcast_i32x4(table);
    let blur = _mm512_set1_epi8(filter.blur as i8);
    let (strides, _) = bytes.as_chunks::<STRIDE>();
    let mut quiet = 0;
    for stride in strides {
        let (blocks, _) = stride.as_chunks::<BLOCK>();
        // A zero in it where a byte passed.
        let mut least = _mm512_set1_epi8(-1);
        for block in blocks {
            // SAFETY: the load reads the 64 bytes of `block`.
            let loaded = unsafe { _mm512_loadu_si512(block.as_ptr().cast::<__m512i>()) };
            let looked_up = _mm512_shuffle_epi8(table, loaded);
            let differs = _mm512_ternarylogic_epi32::<OR_XOR>(loaded, blur, looked_up);
            least = _mm512_min_epu8(least, differs);
        }
        if _mm512_testn_epi8_mask(least, least) != 0 {
            break;
        }
        quiet += STRIDE;
    }
    quiet
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_avx2(chunk: &[u8; 32]) -> __m256i {
    // SAFETY: the load reads the 32 bytes of `chunk`.
    unsafe { _mm256_loadu_si256(chunk.as_ptr().cast::<__m256i>()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bitmap::Plain;
    use proptest::prelude::*;

    /// The same by `masks` as in plain integers.
    fn same(masks: impl Masks, block: &[u8; BLOCK], wanted: [u8; 4]) {
        let plain = Plain.any_of(block, wanted);
        assert_eq!(masks.any_of(block, wanted), plain);
        let [first, ..] = wanted;
        assert_eq!(masks.any_of(block, [first]), Plain.any_of(block, [first]));
        let (mut room, mut expected) = ([0; BLOCK], [0; BLOCK]);
        masks.places(plain, 77, &mut room);
        Plain.places(plain, 77, &mut expected);
        let count = plain.count_ones();
        assert_eq!(room[..count as usize], expected[..count as usize]);
        for n in 0..count {
            assert_eq!(masks.nth_bit(plain, n), Plain.nth_bit(plain, n));
        }
    }

    /// The same by all masks that this processor has.
    fn all_the_same(block: &[u8; BLOCK], wanted: [u8; 4]) {
        same(Sse2, block, wanted);
        if let Some(masks) = Avx2::detect() {
            same(masks, block, wanted);
        }
        if let Some(masks) = Avx512::detect() {
            same(masks, block, wanted);
        }
    }

    /// All that is quiet by `masks`, where `place` is the first that a byte passes.
    fn quiet(masks: impl Masks, text: &[u8], filter: &Filter, place: usize) {
        let strides = place.min(text.len()) / STRIDE * STRIDE;
        assert_eq!(masks.quiet(text, filter), strides);
    }

    proptest! {
        #[test]
        fn every_way_finds_the_same(bytes in proptest::collection::vec(0..6_u8, BLOCK)) {
            all_the_same(bytes.first_chunk().unwrap(), [1, 2, 3, 5]);
            all_the_same(bytes.first_chunk().unwrap(), [0, 1, 2, 3]);
        }

        #[test]
        fn any_bytes_give_the_same(
            bytes in proptest::collection::vec(any::<u8>(), BLOCK), wanted in any::<[u8; 4]>(),
        ) {
            all_the_same(bytes.first_chunk().unwrap(), wanted);
        }

        #[test]
        fn what_is_quiet_holds_nothing(
            text in proptest::collection::vec(any::<u8>(), 0..2000), wanted in any::<[u8; 4]>(),
            place in 0..3000_usize,
        ) {
            let wanted = wanted.map(|byte| byte & 0x7F);
            let filter = Filter::new(wanted);
            let mut text: Vec<_> = text.into_iter().filter(|byte| !filter.passes(*byte)).collect();
            if let Some(byte) = text.get_mut(place) {
                *byte = wanted[place % 4];
            }
            if let Some(masks) = Avx2::detect() {
                quiet(masks, &text, &filter, place);
            }
            if let Some(masks) = Avx512::detect() {
                quiet(masks, &text, &filter, place);
            }
        }
    }

    #[test]
    fn full_blocks_give_all_places() {
        all_the_same(&[7; BLOCK], [7, 8, 9, 10]);
        all_the_same(&[6; BLOCK], [7, 8, 9, 10]);
    }
}
