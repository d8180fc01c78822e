//! [`Clock`]: what time it is, as something that is passed in.

use std::sync::Mutex;

use chrono::{DateTime, FixedOffset, Local, Offset, TimeDelta, Utc};
use hl7_message::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// This moment.
    fn now(&self) -> DateTime<Utc>;

    /// How far the clock on the wall is from UTC at a moment; messages carry wall time.
    fn offset(&self, at: DateTime<Utc>) -> FixedOffset {
        let _ = at;
        Utc.fix()
    }

    /// A moment as a message says it: wall time to the second.
    fn timestamp(&self, at: DateTime<Utc>) -> Timestamp {
        use chrono::{Datelike, Timelike};
        let wall = at.with_timezone(&self.offset(at));
        let small = |value: u32| u8::try_from(value).unwrap_or_default();
        let date = (
            u16::try_from(wall.year()).unwrap_or_default(),
            small(wall.month()),
            small(wall.day()),
        );
        let time = (
            small(wall.hour()),
            small(wall.minute()),
            small(wall.second()),
        );
        // A clock that shows a year that HL7 cannot write is broken; say so with the first one.
        Timestamp::from_civil(date, time)
            .or_else(|| Timestamp::from_date(1, 1, 1))
            .unwrap_or_else(|| unreachable!("the first of January of the year 1 is a date"))
    }
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn offset(&self, at: DateTime<Utc>) -> FixedOffset {
        *at.with_timezone(&Local).offset()
    }
}

/// A clock that stands still until it is moved, for tests.
///
/// ```
/// use chrono::{DateTime, TimeDelta};
/// use medsynapse_broker::{Clock, ManualClock};
///
/// let clock = ManualClock::at(DateTime::UNIX_EPOCH);
/// clock.advance(TimeDelta::hours(1));
/// assert_eq!(clock.now().timestamp(), 3600);
/// ```
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<DateTime<Utc>>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub const fn at(now: DateTime<Utc>) -> Self {
        Self {
            now: Mutex::new(now),
        }
    }

    /// Moves it on.
    pub fn advance(&self, by: TimeDelta) {
        let mut now = self
            .now
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *now += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self
            .now
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
