//! [`ControlIds`]: a Message Control ID for everything that the broker sends.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

/// Gives Message Control IDs that no message of this broker had before: the moment of the start
/// and a running number, at most 20 letters and digits.
///
/// ```
/// use chrono::DateTime;
/// use medsynapse_broker::ControlIds;
///
/// let ids = ControlIds::starting_at(DateTime::UNIX_EPOCH);
/// assert_ne!(ids.next(), ids.next());
/// ```
#[derive(Debug)]
pub struct ControlIds {
    prefix: String,
    next: AtomicU64,
}

impl ControlIds {
    /// Ids of a broker that starts at this moment.
    pub fn starting_at(start: DateTime<Utc>) -> Self {
        let micros = u64::try_from(start.timestamp_micros()).unwrap_or_default();
        Self {
            prefix: base36(micros),
            next: AtomicU64::new(1),
        }
    }

    /// The next one.
    pub fn next(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{}X{}", self.prefix, base36(number))
    }
}

fn base36(mut value: u64) -> String {
    let mut digits = Vec::with_capacity(13);
    loop {
        let digit = u8::try_from(value % 36).unwrap_or_default();
        digits.push(char::from(if digit < 10 {
            b'0' + digit
        } else {
            b'A' + digit - 10
        }));
        value /= 36;
        if value == 0 {
            return digits.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_to_20_characters_for_a_long_time() {
        let start = DateTime::parse_from_rfc3339("2099-12-31T23:59:59.999999Z").unwrap();
        let ids = ControlIds::starting_at(start.to_utc());
        ids.next.store(100_000_000_000, Ordering::Relaxed);
        assert!(ids.next().len() <= 20);
    }
}
