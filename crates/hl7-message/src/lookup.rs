//! The way to one leaf: its place is counted out in bitmaps, without looking at each byte.

#![expect(
    clippy::inline_always,
    reason = "work is compiled for a processor where it is inlined into code for that processor"
)]

use core::ops::Range;

use crate::bitmap::{BLOCK, Masks, Window, Work, nth_of};
use crate::separators::Separators;

/// Where a leaf stands in the first repetition of a field.
pub(crate) struct Lookup<'b> {
    /// The message.
    pub(crate) bytes: &'b [u8],
    /// Where the first field of the segment begins.
    pub(crate) from: usize,
    /// Where the segment ends.
    pub(crate) end: usize,
    pub(crate) separators: Separators,
    /// From 1, as all numbers.
    pub(crate) field: u16,
    pub(crate) component: u16,
    pub(crate) subcomponent: u16,
}

impl Work for Lookup<'_> {
    type Output = Option<Range<usize>>;

    #[inline(always)]
    fn run<M: Masks>(self, masks: M) -> Option<Range<usize>> {
        let Self {
            bytes,
            from,
            end,
            separators,
            field,
            component,
            subcomponent,
        } = self;
        let start = match u32::from(field).checked_sub(2) {
            None => from,
            Some(last) => nth_of(masks, bytes, (from, end), separators.field, last)? + 1,
        };
        let Some(window) = Window::new(bytes, start, end) else {
            return odd(bytes, start..end, separators, component, subcomponent);
        };
        if (component, subcomponent) == (1, 1) {
            // The first leaf ends at the first delimiter, whatever it is.
            let Separators {
                field,
                repetition,
                component,
                subcomponent,
                ..
            } = separators;
            let ends = window.any_of(masks, [field, repetition, component, subcomponent]);
            if ends != 0 {
                return Some(start..start + ends.trailing_zeros() as usize);
            }
        }
        let stops = window.any_of(masks, [separators.field, separators.repetition]);
        let len = match (stops, end - start) {
            (0, len @ 0..=BLOCK) => len,
            (0, _) => return odd(bytes, start..end, separators, component, subcomponent),
            _ => stops.trailing_zeros() as usize,
        };
        let components = window.any_of(masks, [separators.component]);
        let part = nth_part(masks, components, 0..len, component)?;
        let subcomponents = window.any_of(masks, [separators.subcomponent]);
        let leaf = nth_part(masks, subcomponents, part, subcomponent)?;
        Some(start + leaf.start..start + leaf.end)
    }
}

/// The part with this number, from 1, of those into which the set bits split `whole`.
#[inline(always)]
fn nth_part<M: Masks>(
    masks: M,
    splits: u64,
    whole: Range<usize>,
    number: u16,
) -> Option<Range<usize>> {
    let behind = |mask: u64, at: usize| match at {
        0..BLOCK => mask & (u64::MAX << at),
        _ => 0,
    };
    let mut splits = behind(splits, whole.start) & !behind(u64::MAX, whole.end);
    let mut start = whole.start;
    if number != 1 {
        let before = u32::from(number).checked_sub(2)?;
        if splits.count_ones() <= before {
            return None;
        }
        start = masks.nth_bit(splits, before) as usize + 1;
        splits = behind(splits, start);
    }
    let end = match splits {
        0 => whole.end,
        _ => splits.trailing_zeros() as usize,
    };
    Some(start..end)
}

/// The leaf in a field that is longer than a block, or empty, or in a message that is shorter than
/// one; the field stands at the front of `rest`.
#[cold]
fn odd(
    bytes: &[u8],
    rest: Range<usize>,
    separators: Separators,
    component: u16,
    subcomponent: u16,
) -> Option<Range<usize>> {
    let start = rest.start;
    let rest = bytes.get(rest)?;
    let ends = |byte: &u8| *byte == separators.field || *byte == separators.repetition;
    let len = rest.iter().position(ends).unwrap_or(rest.len());
    let field = rest.get(..len)?;
    let component = nth_piece(field, 0..len, separators.component, component)?;
    let leaf = nth_piece(field, component, separators.subcomponent, subcomponent)?;
    Some(start + leaf.start..start + leaf.end)
}

/// The part with this number, from 1, of those into which `separator` splits `whole`.
fn nth_piece(
    bytes: &[u8],
    whole: Range<usize>,
    separator: u8,
    number: u16,
) -> Option<Range<usize>> {
    let mut start = whole.start;
    let mut pieces = bytes.get(whole)?.split(|&byte| byte == separator);
    for _ in 1..number {
        start += pieces.next()?.len() + 1;
    }
    Some(start..start + pieces.next().filter(|_| number > 0)?.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bitmap::{Plain, best};
    use proptest::prelude::*;

    /// The same by splitting.
    fn plain(segment: &str, [field, component, subcomponent]: [u16; 3]) -> Option<&str> {
        let nth = |n: u16| usize::from(n).checked_sub(1);
        let field = segment.split('|').nth(nth(field)?)?;
        let repetition = field.split('~').next()?;
        let component = repetition.split('^').nth(nth(component)?)?;
        component.split('&').nth(nth(subcomponent)?)
    }

    proptest! {
        #[test]
        fn a_leaf_is_that_of_plain_splitting(
            before in "[A|^]{0,70}", segment in "([A-C]{0,9}[|^~&]?){0,60}", behind in "[A|^]{0,70}",
            field in 1..12_u16, component in 0..5_u16, subcomponent in 0..4_u16,
        ) {
            let message = format!("{before}{segment}{behind}");
            let lookup = || Lookup {
                bytes: message.as_bytes(),
                from: before.len(),
                end: before.len() + segment.len(),
                separators: Separators::DEFAULT,
                field,
                component,
                subcomponent,
            };
            let expected = plain(&segment, [field, component, subcomponent]);
            let found = best(lookup());
            prop_assert_eq!(found.clone().map(|leaf| &message[leaf]), expected);
            prop_assert_eq!(lookup().run(Plain), found);
        }

        #[test]
        fn a_long_field_too(
            field in "([A-C]{0,60}[~^&]?){0,9}", component in 0..5_u16, subcomponent in 0..4_u16,
        ) {
            let segment = format!("{field}|D");
            let lookup = Lookup {
                bytes: segment.as_bytes(),
                from: 0,
                end: segment.len(),
                separators: Separators::DEFAULT,
                field: 1,
                component,
                subcomponent,
            };
            let expected = plain(&segment, [1, component, subcomponent]);
            prop_assert_eq!(best(lookup).map(|leaf| &segment[leaf]), expected);
        }
    }
}
