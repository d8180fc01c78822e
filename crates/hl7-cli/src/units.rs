//! Waits and rates as a person writes them: `10s`, `500ms`, `1.5`, `200/s`.

use std::time::Duration;

/// A wait: a number with `ns`, `us`, `ms`, `s`, `m` or `h`; a plain number is seconds.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(hl7_cli::units::duration("1.5"), Ok(Duration::from_millis(1500)));
/// assert!(hl7_cli::units::duration("a while").is_err());
/// ```
///
/// # Errors
///
/// Another text, with what to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let number = positive(number).ok_or("write a wait such as 10s, 500ms or 1.5")?;
    let factor = match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("unknown unit {unit:?}: write 10s, 500ms, 2m or 1h")),
    };
    Duration::try_from_secs_f64(number * factor).map_err(|_| "too long a wait".to_owned())
}

/// A wait that is not zero.
///
/// # Errors
///
/// As [`duration`], and zero.
pub fn nonzero_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be more than zero".to_owned()),
        wait => Ok(wait),
    }
}

/// Messages a second: `200/s`, `30/m`, `5000`.
///
/// ```
/// assert_eq!(hl7_cli::units::rate("200/s"), Ok(200.0));
/// assert!(hl7_cli::units::rate("0/s").is_err());
/// ```
///
/// # Errors
///
/// Another text, or no rate at all, with what to write instead.
pub fn rate(text: &str) -> Result<f64, String> {
    let (number, unit) = split(text);
    let number = positive(number).ok_or("write a rate such as 500/s, 30/m or 500")?;
    let per_seconds = match unit {
        "" | "/s" => 1.0,
        "/m" | "/min" => 60.0,
        "/h" => 3600.0,
        _ => return Err(format!("unknown unit {unit:?}: write 500/s, 30/m or 500")),
    };
    let rate = number / per_seconds;
    if rate > 0.0 {
        Ok(rate)
    } else {
        Err("must be more than zero".to_owned())
    }
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).unwrap_or((text, ""));
    (number, unit.trim())
}

fn positive(number: &str) -> Option<f64> {
    number
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite() && *value >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_with_and_without_units() {
        for (text, millis) in [
            ("10", 10_000),
            ("10s", 10_000),
            ("1.5", 1_500),
            ("500ms", 500),
            ("2m", 120_000),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(duration("1ns"), Ok(Duration::from_nanos(1)));
        assert_eq!(duration("20us"), Ok(Duration::from_micros(20)));
        for text in ["", "s", "-1", "10 days", "1e400", "9999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(nonzero_duration("0s").is_err());
    }

    #[test]
    fn rates_are_messages_a_second() {
        for (text, per_second) in [
            ("500/s", 500.0),
            ("500", 500.0),
            ("30/m", 0.5),
            ("0.5 /s", 0.5),
        ] {
            let found = rate(text).unwrap();
            assert!((found - per_second).abs() < 1e-9, "{text}: {found}");
        }
        for text in ["0", "0/s", "5/day", "fast"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
