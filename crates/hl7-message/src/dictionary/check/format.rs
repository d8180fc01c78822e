//! Values that a program must be able to read: numbers, dates and times.

use crate::{Precision, Timestamp};

/// Whether a value is one of its data type. Types that hold any text hold any value; spaces
/// around a value are padding.
pub(super) fn is_valid(data_type: &str, value: &[u8]) -> bool {
    let value = value.trim_ascii();
    if value.is_empty() || value == b"\"\"" {
        return true;
    }
    match data_type {
        "NM" => is_number(value),
        "SI" => value.iter().all(u8::is_ascii_digit),
        "DT" => is_date(value),
        "TM" => is_time(value),
        "TS" => Timestamp::parse(value).is_ok(),
        _ => true,
    }
}

/// An optional sign, digits, and an optional point.
fn is_number(value: &[u8]) -> bool {
    let digits = match value {
        [b'+' | b'-', digits @ ..] | digits => digits,
    };
    let (mut points, mut count) = (0, 0);
    for byte in digits {
        match byte {
            b'.' => points += 1,
            b'0'..=b'9' => count += 1,
            _ => return false,
        }
    }
    points <= 1 && count > 0
}

/// `YYYY[MM[DD]]`.
fn is_date(value: &[u8]) -> bool {
    Timestamp::parse(value)
        .is_ok_and(|at| at.precision() <= Precision::Day && at.offset_minutes().is_none())
}

/// `HH[MM[SS[.S[S[S[S]]]]]][+/-ZZZZ]`: what follows the day in a time stamp.
fn is_time(value: &[u8]) -> bool {
    const DAY: &[u8] = b"20000101";
    let mut stamp = [0; 32];
    let Some(both) = stamp.get_mut(..DAY.len() + value.len()) else {
        return false;
    };
    let (day, time) = both.split_at_mut(DAY.len());
    day.copy_from_slice(DAY);
    time.copy_from_slice(value);
    Timestamp::parse(both).is_ok_and(|at| at.precision() >= Precision::Hour)
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[track_caller]
    fn check(data_type: &str, good: &[&str], bad: &[&str]) {
        for value in good {
            assert!(is_valid(data_type, value.as_bytes()), "{data_type} {value}");
        }
        for value in bad {
            assert!(
                !is_valid(data_type, value.as_bytes()),
                "{data_type} {value}"
            );
        }
    }

    #[test]
    fn numbers() {
        check(
            "NM",
            &["0", "62.5", "-1", "+01.20", ".5", "5.", " 7 ", "", "\"\""],
            &["x", "1,5", "1.2.3", ".", "-", "1e3", "--1", "1-"],
        );
        check("SI", &["1", "0042"], &["-1", "1.0", "one"]);
    }

    #[test]
    fn dates_and_times() {
        check(
            "DT",
            &["2023", "202306", "20230614", "20240229"],
            &[
                "20230229",
                "2023061413",
                "2023-06-14",
                "230614",
                "20230614+0200",
            ],
        );
        check(
            "TM",
            &["13", "1314", "131415", "131415.1234", "1314+0200"],
            &[
                "24",
                "1",
                "13:14",
                "1314151617",
                "99999999999999999999999999999999",
            ],
        );
        check(
            "TS",
            &["2023", "20230614131415.1234-0500"],
            &["yesterday", "20231314", "00000000"],
        );
        check("ST", &["any ^ thing"], &[]);
    }
}
