//! [`Dice`]: every choice of a run, from one seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of choices. The same seed gives the same choices on every machine and in every
/// version: `ChaCha8` is a fixed function, and nothing here is a fraction.
#[derive(Debug, Clone)]
pub(super) struct Dice {
    stream: ChaCha8Rng,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip(seed.to_le_bytes()) {
            *to = from;
        }
        Self {
            stream: ChaCha8Rng::from_seed(key),
        }
    }

    /// A number from 0 to `end` - 1; 0 where `end` is 0.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        let wide = u64::from(self.stream.next_u32()) * u64::from(end);
        // The upper half of a product with `end` is below `end`.
        u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// A number from `first` to `last`.
    pub(super) fn between(&mut self, first: u32, last: u32) -> u32 {
        first + self.below((last + 1).saturating_sub(first))
    }

    /// True in `percent` of a hundred cases.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of a table. The tables of this module are never empty.
    pub(super) fn pick<'t, T>(&mut self, table: &'t [T]) -> &'t T {
        let end = u32::try_from(table.len()).unwrap_or(u32::MAX);
        let at = self.below(end) as usize;
        #[expect(
            clippy::indexing_slicing,
            reason = "below the length, and the tables are constants"
        )]
        &table[at]
    }

    /// One of a table of words.
    pub(super) fn word(&mut self, table: &[&'static str]) -> &'static str {
        self.pick::<&'static str>(table)
    }

    /// The number of one of `weights`, more often the heavier it is.
    pub(super) fn weighted(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let mut left = self.below(weights.clone().sum());
        for (at, weight) in weights.enumerate() {
            if left < weight {
                return at;
            }
            left -= weight;
        }
        0
    }

    /// One of a table, more often the heavier it is.
    pub(super) fn pick_weighted<'t, T>(
        &mut self,
        table: &'t [T],
        weight: impl Fn(&T) -> u32 + Clone,
    ) -> &'t T {
        let at = self.weighted(table.iter().map(weight));
        #[expect(
            clippy::indexing_slicing,
            reason = "below the length, and the tables are constants"
        )]
        &table[at]
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.stream.next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written down once: another number here means other messages for every seed.
    #[test]
    fn the_stream_of_a_seed_never_changes() {
        let mut dice = Dice::new(42);
        let found: Vec<u32> = (0..6).map(|_| dice.below(1000)).collect();
        assert_eq!(found, [99, 348, 88, 285, 394, 493]);
    }

    #[test]
    fn bounds_are_kept() {
        let mut dice = Dice::new(7);
        assert!((0..1000).all(|_| (5..=9).contains(&dice.between(5, 9))));
        assert!((0..1000).all(|_| dice.weighted([0, 3, 0, 1].into_iter()) % 2 == 1));
        assert_eq!((dice.below(0), dice.below(1)), (0, 0));
    }
}
