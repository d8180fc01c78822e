//! Moments as the clock on the wall shows them, and numbers as people read them.

use std::fmt::Write as _;

use chrono::{DateTime, FixedOffset, Utc};
use hl7_message::Timestamp;
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

/// An HL7 time stamp as people read it, as far as it goes; other text as it is.
pub(crate) fn readable(text: &str) -> String {
    let Ok(stamp) = Timestamp::parse(text.as_bytes()) else {
        return text.to_owned();
    };
    let mut out = format!("{:04}", stamp.year());
    let parts = [
        ('-', stamp.month()),
        ('-', stamp.day()),
        (' ', stamp.hour()),
        (':', stamp.minute()),
        (':', stamp.second()),
    ];
    for (before, part) in parts {
        let Some(part) = part else { break };
        let _ = write!(out, "{before}{part:02}");
    }
    if let Some(offset) = stamp.offset_minutes() {
        let sign = if offset < 0 { '-' } else { '+' };
        let _ = write!(
            out,
            " {sign}{:02}:{:02}",
            offset.abs() / 60,
            offset.abs() % 60
        );
    }
    out
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
    fn time_stamps_are_readable() {
        for (stamp, text) in [
            ("20230614132030", "2023-06-14 13:20:30"),
            ("202306141320-0130", "2023-06-14 13:20 -01:30"),
            ("19800101", "1980-01-01"),
            ("2023", "2023"),
            ("soon", "soon"),
        ] {
            assert_eq!(readable(stamp), text);
        }
    }

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
