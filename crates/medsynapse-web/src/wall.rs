//! Moments as the clock on the wall shows them, and numbers as people read them.

use chrono::{DateTime, FixedOffset, Utc};
use medsynapse_broker::Clock;

/// A moment for a `<time>`.
pub(crate) struct Wall {
    /// For programs.
    pub(crate) iso: String,
    /// The date, where it is not today's.
    pub(crate) date: Option<String>,
    /// To the second.
    pub(crate) time: String,
    /// All of it.
    pub(crate) full: String,
}

impl Wall {
    pub(crate) fn of(at: DateTime<Utc>, clock: &dyn Clock) -> Self {
        let local =
            |at: DateTime<Utc>| -> DateTime<FixedOffset> { at.with_timezone(&clock.offset(at)) };
        let wall = local(at);
        let today = local(clock.now()).date_naive();
        let date = (wall.date_naive() != today).then(|| wall.format("%Y-%m-%d").to_string());
        Self {
            iso: at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            date,
            time: wall.format("%H:%M:%S").to_string(),
            full: wall.format("%Y-%m-%d %H:%M:%S%.3f %:z").to_string(),
        }
    }
}

/// `1,204`
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1204, "1,204"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
