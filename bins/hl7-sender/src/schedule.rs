//! [`Schedule`]: how many messages there will be, and when each of them is due.

use std::time::Duration;

/// When all is sent, and how fast it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) until: Until,
    /// Messages a second, whatever the receiver can do; `None` is as fast as it can.
    pub(crate) rate: Option<f64>,
}

/// When all is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    Count(u64),
    Elapsed(Duration),
    /// Nobody knows how many there are before they are read.
    InputEnds,
}

/// When a message is due, counted from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// As soon as there is a connection for it.
    Now,
    At(Duration),
    /// There is no such message.
    Never,
}

impl Schedule {
    /// How many messages there will be, if that is known.
    pub(crate) fn total(&self) -> Option<u64> {
        match (self.until, self.rate) {
            (Until::Count(count), _) => Some(count),
            (Until::Elapsed(time), Some(rate)) => Some(count_due(time, rate)),
            (Until::Elapsed(_), None) | (Until::InputEnds, _) => None,
        }
    }

    /// When message `number`, from 0, is due, now that `elapsed` has gone by.
    pub(crate) fn due(&self, number: u64, elapsed: Duration) -> Due {
        if self.total().is_some_and(|total| number >= total) {
            return Due::Never;
        }
        match self.until {
            Until::Elapsed(end) if elapsed >= end => Due::Never,
            _ => self
                .rate
                .map_or(Due::Now, |rate| Due::At(seconds(number, rate))),
        }
    }
}

/// When message `number` is due at this rate.
#[expect(clippy::cast_precision_loss, reason = "2^52 messages are never sent")]
fn seconds(number: u64, rate: f64) -> Duration {
    Duration::try_from_secs_f64(number as f64 / rate).unwrap_or(Duration::MAX)
}

/// How many messages are due before `end`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates"
)]
fn count_due(end: Duration, rate: f64) -> u64 {
    (end.as_secs_f64() * rate).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(until: Until, rate: Option<f64>, number: u64, elapsed_millis: u64, due: Due) {
        let elapsed = Duration::from_millis(elapsed_millis);
        assert_eq!(Schedule { until, rate }.due(number, elapsed), due);
    }

    #[test]
    fn without_a_rate_messages_are_due_until_the_end() {
        check(Until::Count(3), None, 2, 0, Due::Now);
        check(Until::Count(3), None, 3, 0, Due::Never);
        let second = Until::Elapsed(Duration::from_secs(1));
        check(second, None, 1_000_000, 999, Due::Now);
        check(second, None, 0, 1000, Due::Never);
    }

    #[test]
    fn with_a_rate_each_has_its_moment_however_late_it_is() {
        let at = |millis| Due::At(Duration::from_millis(millis));
        check(Until::Count(3), Some(10.0), 2, 0, at(200));
        check(Until::Count(3), Some(10.0), 2, 5000, at(200));
        let second = Until::Elapsed(Duration::from_secs(1));
        check(second, Some(10.0), 9, 950, at(900));
        check(second, Some(10.0), 10, 950, Due::Never);
        check(second, Some(10.0), 5, 1000, Due::Never);
    }

    #[test]
    fn an_open_loop_has_as_many_messages_as_come_due() {
        for (millis, rate) in [(1000, 5.0), (999, 5.0), (300, 7.0), (2500, 0.5)] {
            let end = Duration::from_millis(millis);
            let due = (0..1000)
                .take_while(|number| seconds(*number, rate) < end)
                .count();
            assert_eq!(count_due(end, rate), due as u64, "{millis} ms at {rate}/s");
        }
    }
}
