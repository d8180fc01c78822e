//! Dates, times and ranges of them, as keys write them.

use chrono::NaiveDate;

/// One microsecond after the last of a day.
const DAY: u64 = 86_400_000_000;

/// A key of VR DA: a day or a range, `YYYYMMDD` as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DateRange {
    pub(crate) from: Option<u32>,
    pub(crate) to: Option<u32>,
    /// Written as a range.
    pub(crate) range: bool,
}

impl DateRange {
    /// Reads a key; `None` where it is no date.
    pub(crate) fn parse(key: &str) -> Option<Self> {
        let (from, to) = match key.split_once('-') {
            None => {
                let day = Some(day(key.trim())?);
                return Some(Self {
                    from: day,
                    to: day,
                    range: false,
                });
            }
            Some((from, to)) => (end(from, day)?, end(to, day)?),
        };
        (from.is_some() || to.is_some()).then_some(Self {
            from,
            to,
            range: true,
        })
    }

    pub(crate) fn contains(&self, value: &str) -> bool {
        day(value).is_some_and(|day| {
            self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
        })
    }
}

/// A key of VR TM: microseconds of a day, both ends included. A value of lower precision stands
/// for its whole unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeRange {
    pub(crate) from: Option<u64>,
    pub(crate) to: Option<u64>,
    /// Written as a range.
    pub(crate) range: bool,
}

impl TimeRange {
    /// Reads a key; `None` where it is no time.
    pub(crate) fn parse(key: &str) -> Option<Self> {
        match key.split_once('-') {
            None => {
                let (from, to) = unit(key.trim())?;
                Some(Self {
                    from: Some(from),
                    to: Some(to),
                    range: false,
                })
            }
            Some((from, to)) => {
                let (from, to) = (end(from, unit)?, end(to, unit)?);
                (from.is_some() || to.is_some()).then_some(Self {
                    from: from.map(|unit| unit.0),
                    to: to.map(|unit| unit.1),
                    range: true,
                })
            }
        }
    }

    pub(crate) fn contains(&self, value: &str) -> bool {
        unit(value).is_some_and(|(time, _)| {
            self.from.is_none_or(|from| from <= time) && self.to.is_none_or(|to| time <= to)
        })
    }
}

/// A date range and a time range together: one period, PS3.4 section K.6.1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    from: Option<(u32, u64)>,
    to: Option<(u32, u64)>,
}

impl Period {
    /// From the time on the first day to the time on the last one.
    pub(crate) fn new(dates: DateRange, times: TimeRange) -> Self {
        Self {
            from: dates.from.map(|day| (day, times.from.unwrap_or(0))),
            to: dates.to.map(|day| (day, times.to.unwrap_or(DAY - 1))),
        }
    }

    pub(crate) fn contains(&self, date: &str, time: &str) -> bool {
        let (Some(date), Some((time, _))) = (day(date), unit(time)) else {
            return false;
        };
        let moment = (date, time);
        self.from.is_none_or(|from| from <= moment) && self.to.is_none_or(|to| moment <= to)
    }
}

/// One end of a range: open where it is empty, `None` where it is wrong.
#[expect(clippy::option_option, reason = "an open end is not a wrong one")]
fn end<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    read(text).map(Some)
}

/// A day: `YYYYMMDD`, or `YYYY.MM.DD` as before DICOM 3.0.
pub(crate) fn day(text: &str) -> Option<u32> {
    let joined;
    let text = match text.as_bytes() {
        [_, _, _, _, b'.', _, _, b'.', _, _] => {
            joined = text.replace('.', "");
            &joined
        }
        _ => text,
    };
    if text.len() != 8 {
        return None;
    }
    let number = digits(text)?;
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    Some(number)
}

/// A time as its first and its last microsecond: `HH`, `HHMM`, `HHMMSS` or with a fraction; with
/// colons as before DICOM 3.0.
pub(crate) fn unit(text: &str) -> Option<(u64, u64)> {
    let joined;
    let text = if text.contains(':') {
        let mut parts = text.splitn(3, ':');
        let whole = |part: Option<&str>| part.is_none_or(|part| part.len() == 2);
        if !whole(parts.next()) || !whole(parts.next()) {
            return None;
        }
        joined = text.replace(':', "");
        &joined
    } else {
        text
    };
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let part = |range| whole.get(range).map_or(Some(0), digits).map(u64::from);
    let (hour, minute, second) = (part(0..2)?, part(2..4)?, part(4..6)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let from = ((hour * 60 + minute) * 60 + second.min(59)) * 1_000_000;
    let width = match (whole.len(), fraction) {
        (2, None) => 3_600_000_000,
        (4, None) => 60_000_000,
        (6, None) => 1_000_000,
        (6, Some(fraction)) if (1..=6).contains(&fraction.len()) => {
            let width = 10_u64.pow(6 - u32::try_from(fraction.len()).ok()?);
            let from = from + u64::from(digits(fraction)?) * width;
            return Some((from, from + width - 1));
        }
        _ => return None,
    };
    Some((from, from + width - 1))
}

fn digits(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn date(key: &str, value: &str, expected: Option<bool>) {
        assert_eq!(
            DateRange::parse(key).map(|range| range.contains(value)),
            expected,
            "{key}"
        );
    }

    #[track_caller]
    fn time(key: &str, value: &str, expected: Option<bool>) {
        assert_eq!(
            TimeRange::parse(key).map(|range| range.contains(value)),
            expected,
            "{key}"
        );
    }

    #[test]
    fn dates() {
        date("20230705", "20230705", Some(true));
        date("2023.07.05", "20230705", Some(true));
        date("20230705-", "20230706", Some(true));
        date("-20230705", "20230706", Some(false));
        date("20230705-20230707", "20230707", Some(true));
        date("20230705 - 20230707", "20230707", Some(true));
        for wrong in [
            "-",
            "2023",
            "202307",
            "20230230",
            "2023-07-05",
            "today",
            "20230705-x",
            "2023070*",
        ] {
            date(wrong, "20230705", None);
        }
    }

    #[test]
    fn times() {
        time("0930", "093059", Some(true));
        time("09:30:00", "093000", Some(true));
        time("-0800", "080059", Some(true));
        time("-0800", "080100", Some(false));
        time("0800-", "075959", Some(false));
        time("08-09", "095959", Some(true));
        time("2200-0600", "230000", Some(false));
        time("093000.5", "093000", Some(false));
        time("093000.0-093000.9", "093000", Some(true));
        for wrong in [
            "-",
            "9",
            "093",
            "2400",
            "0960",
            "093000.1234567",
            "9:30",
            "noon",
            "0*",
        ] {
            time(wrong, "093000", None);
        }
    }

    #[test]
    fn a_period_is_one_stretch_of_time() {
        let period = Period::new(
            DateRange::parse("20230705-20230707").unwrap(),
            TimeRange::parse("1000-1800").unwrap(),
        );
        for (date, time, expected) in [
            ("20230705", "095959", false),
            ("20230705", "100000", true),
            ("20230706", "030000", true),
            ("20230707", "180059", true),
            ("20230707", "180100", false),
        ] {
            assert_eq!(period.contains(date, time), expected, "{date} {time}");
        }
    }
}
