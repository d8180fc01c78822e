//! [`RetryPolicy`]: how long to wait before the same bytes are sent again.

use std::time::Duration;

/// Waits that double from `first` up to `cap`, each shortened by up to half at random, so that
/// many senders which lost one receiver do not all come back in the same instant.
///
/// Randomness is passed in: equal inputs give equal waits.
///
/// ```
/// use std::time::Duration;
/// use hl7_mllp::RetryPolicy;
///
/// let policy = RetryPolicy::default();
/// assert_eq!(policy.delay(1, u64::MAX), Duration::from_secs(1));
/// assert_eq!(policy.delay(3, u64::MAX), Duration::from_secs(4));
/// assert_eq!(policy.delay(3, 0), Duration::from_secs(2));
/// assert_eq!(policy.delay(1000, u64::MAX), Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The longest wait after the first failure. Default 1 s.
    pub first: Duration,
    /// The longest wait of all. Default 60 s.
    pub cap: Duration,
    /// Attempts in all before giving up; `None`, the default, never gives up.
    pub attempts_max: Option<u32>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            cap: Duration::from_mins(1),
            attempts_max: None,
        }
    }
}

impl RetryPolicy {
    /// The wait after the `failures`-th failure in a row, 1 for the first: between half and the
    /// whole of `first` doubled `failures - 1` times, at most `cap`. `random` picks the place in
    /// between, 0 the shortest and `u64::MAX` the longest.
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.cap);
        let half = whole / 2;
        let span = u64::try_from(whole.saturating_sub(half).as_nanos()).unwrap_or(u64::MAX);
        // The high half of the product is `random` scaled to 0..=span, without a division's bias.
        let share = (u128::from(random) * (u128::from(span) + 1)) >> 64;
        half + Duration::from_nanos(u64::try_from(share).unwrap_or(span))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_delay_lies_between_half_and_the_whole(failures in any::<u32>(), random in any::<u64>()) {
            let policy = RetryPolicy::default();
            let whole = policy.delay(failures, u64::MAX);
            let delay = policy.delay(failures, random);
            prop_assert!(delay <= whole && delay >= whole / 2);
            prop_assert!(whole <= policy.cap && whole >= policy.first);
        }
    }

    #[test]
    fn huge_settings_do_not_overflow() {
        let policy = RetryPolicy {
            first: Duration::MAX,
            cap: Duration::MAX,
            attempts_max: None,
        };
        assert!(policy.delay(u32::MAX, u64::MAX) > Duration::from_secs(u64::from(u32::MAX)));
    }
}
