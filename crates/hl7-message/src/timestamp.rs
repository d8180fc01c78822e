//! [`Timestamp`]: data type TS at any precision, with its offset from UTC.

use core::fmt;
use core::str::FromStr;

use crate::combinators;

/// How far a [`Timestamp`] goes.
///
/// ```
/// use hl7_message::{Precision, Timestamp};
///
/// let day = Timestamp::parse(b"20230614").unwrap();
/// assert_eq!(day.precision(), Precision::Day);
/// assert!(Precision::Day < Precision::Minute);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// `2023`
    Year,
    /// `202306`
    Month,
    /// `20230614`
    Day,
    /// `2023061413`, not in the standard but sent by some
    Hour,
    /// `202306141314`
    Minute,
    /// `20230614131415`
    Second,
    /// `20230614131415.1` to `.123456789`
    Fraction,
}

/// Digits behind the second: `digits` of them, worth `nanoseconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Fraction {
    nanoseconds: u32,
    digits: u8,
}

impl Fraction {
    /// From one to nine digits.
    pub(crate) fn from_digits(digits: &[u8]) -> Self {
        let mut nanoseconds = 0_u32;
        for place in 0..9 {
            let digit = digits.get(place).map_or(0, |digit| digit - b'0');
            nanoseconds = nanoseconds * 10 + u32::from(digit);
        }
        Self {
            nanoseconds,
            digits: u8::try_from(digits.len().min(9)).unwrap_or(9),
        }
    }
}

/// A moment as HL7 writes it: a date, as much of a time as was sent, and the offset from UTC
/// if one was sent.
///
/// Values are a real date of the calendar; hours go to 23, minutes and seconds to 59.
///
/// Source: HL7 2.3 chapter 2, section 2.8.24, `YYYY[MM[DD[HHMM[SS[.S[S[S[S]]]]]]]][+/-ZZZZ]`.
/// Hours without minutes and up to nine digits behind the second are read too.
///
/// ```
/// use hl7_message::{Precision, Timestamp};
///
/// let at: Timestamp = "202306141314+0200".parse()?;
/// assert_eq!((at.year(), at.month(), at.day()), (2023, Some(6), Some(14)));
/// assert_eq!(at.precision(), Precision::Minute);
/// assert_eq!(at.offset_minutes(), Some(120));
/// assert_eq!(at.to_string(), "202306141314+0200");
/// # Ok::<(), hl7_message::InvalidTimestamp>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timestamp {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    fraction: Fraction,
    precision: Precision,
    offset_minutes: Option<i16>,
}

type Opt<T> = Option<(u16, T)>;

impl Timestamp {
    /// A moment to the second, without an offset. `None` where the calendar has no such moment.
    ///
    /// ```
    /// use hl7_message::Timestamp;
    ///
    /// let at = Timestamp::from_civil((2023, 6, 14), (13, 14, 15)).unwrap();
    /// assert_eq!(at.to_string(), "20230614131415");
    /// assert!(Timestamp::from_civil((2023, 2, 30), (0, 0, 0)).is_none());
    /// ```
    pub fn from_civil(date: (u16, u8, u8), time: (u8, u8, u8)) -> Option<Self> {
        Self {
            year: date.0,
            month: date.1,
            day: date.2,
            hour: time.0,
            minute: time.1,
            second: time.2,
            fraction: Fraction::default(),
            precision: Precision::Second,
            offset_minutes: None,
        }
        .checked()
    }

    /// A date alone. `None` where the calendar has no such day.
    ///
    /// ```
    /// use hl7_message::Timestamp;
    ///
    /// assert_eq!(Timestamp::from_date(2023, 6, 14).unwrap().to_string(), "20230614");
    /// ```
    pub fn from_date(year: u16, month: u8, day: u8) -> Option<Self> {
        let moment = Self::from_civil((year, month, day), (0, 0, 0))?;
        Some(Self {
            precision: Precision::Day,
            ..moment
        })
    }

    /// The same moment with an offset from UTC in minutes, east positive.
    ///
    /// ```
    /// use hl7_message::Timestamp;
    ///
    /// let at = Timestamp::from_civil((2023, 6, 14), (13, 14, 15)).unwrap().with_offset(-330);
    /// assert_eq!(at.to_string(), "20230614131415-0530");
    /// ```
    #[must_use]
    pub const fn with_offset(mut self, minutes: i16) -> Self {
        self.offset_minutes = Some(minutes);
        self
    }

    #[expect(
        clippy::type_complexity,
        reason = "the shape in which the parts are read"
    )]
    pub(crate) fn from_nested(
        year: u16,
        months: Opt<Opt<Opt<Opt<Opt<Option<Fraction>>>>>>,
        offset_minutes: Option<i16>,
    ) -> Option<Self> {
        let small = |value: u16| u8::try_from(value).unwrap_or(u8::MAX);
        let mut moment = Self {
            year,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            fraction: Fraction::default(),
            precision: Precision::Year,
            offset_minutes,
        };
        if let Some((month, days)) = months {
            (moment.month, moment.precision) = (small(month), Precision::Month);
            if let Some((day, hours)) = days {
                (moment.day, moment.precision) = (small(day), Precision::Day);
                if let Some((hour, minutes)) = hours {
                    (moment.hour, moment.precision) = (small(hour), Precision::Hour);
                    if let Some((minute, seconds)) = minutes {
                        (moment.minute, moment.precision) = (small(minute), Precision::Minute);
                        if let Some((second, fraction)) = seconds {
                            (moment.second, moment.precision) = (small(second), Precision::Second);
                            if let Some(fraction) = fraction {
                                (moment.fraction, moment.precision) =
                                    (fraction, Precision::Fraction);
                            }
                        }
                    }
                }
            }
        }
        moment.checked()
    }

    fn checked(self) -> Option<Self> {
        let leap = self.year.is_multiple_of(4)
            && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return None,
        };
        let valid = (1..=9999).contains(&self.year)
            && (1..=days).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60;
        valid.then_some(self)
    }

    /// Reads a TS value, all of it.
    ///
    /// # Errors
    ///
    /// Another format, or a date that the calendar does not have.
    ///
    /// ```
    /// use hl7_message::{InvalidTimestamp, Timestamp};
    ///
    /// assert_eq!(Timestamp::parse(b"202306").unwrap().month(), Some(6));
    /// assert_eq!(Timestamp::parse(b"2023-06-14"), Err(InvalidTimestamp));
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidTimestamp> {
        match combinators::timestamp(bytes) {
            Ok(([], timestamp)) => Ok(timestamp),
            _ => Err(InvalidTimestamp),
        }
    }

    /// The year.
    ///
    /// ```
    /// use hl7_message::Timestamp;
    ///
    /// let at = Timestamp::parse(b"20230614131415.25+0200").unwrap();
    /// assert_eq!(at.year(), 2023);
    /// ```
    pub const fn year(&self) -> u16 {
        self.year
    }

    /// The month, 1 to 12, if the value goes that far.
    ///
    /// ```
    /// use hl7_message::Timestamp;
    ///
    /// let at = Timestamp::parse(b"20230614131415.25+0200").unwrap();
    /// assert_eq!(at.month(), Some(6));
    /// ```
    pub fn month(&self) -> Option<u8> {
        self.reaches(Precision::Month).then_some(self.month)
    }

    /// The day of the month, if the value goes that far.
    ///
    /// ```
    /// use hl7_message::Timestamp;
    ///
    /// let at = Timestamp::parse(b"20230614131415.25+0200").unwrap();
    /// assert_eq!(at.day(), Some(14));
    /// ```
    pub fn day(&self) -> Option<u8> {
        self.reaches(Precision::Day).then_some(self.day)
    }

    /// The hour, 0 to 23, if the value goes that far.
    ///
    /// ```
    /// use hl7_message::Timestamp;
    ///
    /// let at = Timestamp::parse(b"20230614131415.25+0200").unwrap();
    /// assert_eq!(at.hour(), Some(13));
    /// ```
    pub fn hour(&self) -> Option<u8> {
        self.reaches(Precision::Hour).then_some(self.hour)
    }

    /// The minute, if the value goes that far.
    ///
    /// ```
    /// use hl7_message::Timestamp;
    ///
    /// let at = Timestamp::parse(b"20230614131415.25+0200").unwrap();
    /// assert_eq!(at.minute(), Some(14));
    /// ```
    pub fn minute(&self) -> Option<u8> {
        self.reaches(Precision::Minute).then_some(self.minute)
    }

    /// The second, if the value goes that far.
    ///
    /// ```
    /// use hl7_message::Timestamp;
    ///
    /// let at = Timestamp::parse(b"20230614131415.25+0200").unwrap();
    /// assert_eq!(at.second(), Some(15));
    /// ```
    pub fn second(&self) -> Option<u8> {
        self.reaches(Precision::Second).then_some(self.second)
    }

    /// Nanoseconds within the second, if digits behind the second were sent.
    ///
    /// ```
    /// use hl7_message::Timestamp;
    ///
    /// let at = Timestamp::parse(b"20230614131415.25+0200").unwrap();
    /// assert_eq!(at.nanosecond(), Some(250_000_000));
    /// ```
    pub fn nanosecond(&self) -> Option<u32> {
        self.reaches(Precision::Fraction)
            .then_some(self.fraction.nanoseconds)
    }

    /// How far the value goes.
    ///
    /// ```
    /// use hl7_message::{Precision, Timestamp};
    ///
    /// let at = Timestamp::parse(b"20230614131415.25+0200").unwrap();
    /// assert_eq!(at.precision(), Precision::Fraction);
    /// ```
    pub const fn precision(&self) -> Precision {
        self.precision
    }

    /// The offset from UTC in minutes, east positive, if one was sent.
    ///
    /// ```
    /// use hl7_message::Timestamp;
    ///
    /// let at = Timestamp::parse(b"20230614131415.25+0200").unwrap();
    /// assert_eq!(at.offset_minutes(), Some(120));
    /// ```
    pub const fn offset_minutes(&self) -> Option<i16> {
        self.offset_minutes
    }

    fn reaches(&self, precision: Precision) -> bool {
        self.precision >= precision
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Timestamp {
    /// As HL7 writes it, at its own precision.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        for part in [
            self.month(),
            self.day(),
            self.hour(),
            self.minute(),
            self.second(),
        ]
        .into_iter()
        .flatten()
        {
            write!(f, "{part:02}")?;
        }
        if let Some(nanoseconds) = self.nanosecond() {
            let digits = usize::from(self.fraction.digits);
            let all = format!("{nanoseconds:09}");
            write!(f, ".{}", all.get(..digits).unwrap_or(&all))?;
        }
        if let Some(offset) = self.offset_minutes {
            let sign = if offset < 0 { '-' } else { '+' };
            let minutes = offset.unsigned_abs();
            write!(f, "{sign}{:02}{:02}", minutes / 60, minutes % 60)?;
        }
        Ok(())
    }
}

/// Text that is not a time stamp of HL7.
///
/// ```
/// use hl7_message::{InvalidTimestamp, Timestamp};
///
/// assert_eq!("20230230".parse::<Timestamp>(), Err(InvalidTimestamp));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidTimestamp;

impl fmt::Display for InvalidTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a time stamp: write YYYYMMDD, or YYYYMMDDHHMMSS with an optional +ZZZZ")
    }
}

impl core::error::Error for InvalidTimestamp {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_precision_is_read_and_written() {
        for text in [
            "2023",
            "202306",
            "20230614",
            "2023061413",
            "202306141314",
            "20230614131415",
            "20230614131415.1",
            "20230614131415.1234",
            "20230614131415.000000001",
            "2023-0500",
            "20230614131415+0530",
            "20240229",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_the_calendar_does_not_have_is_refused() {
        for text in [
            "",
            "0000",
            "20231301",
            "20230230",
            "20230229",
            "19000229",
            "20230614240000",
            "20230614136000",
            "20230614131460",
            "2023061",
            "20230614131415.",
            "tomorrow",
            "2023-06-14",
            "20230614T1314",
            "20230614+1500",
            "20230614 ",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parse_and_display_agree(text in "[0-9.+-]{0,20}") {
            if let Ok(timestamp) = text.parse::<Timestamp>() {
                // The one value with two spellings: an offset of zero.
                prop_assert_eq!(timestamp.to_string(), text.replace("-0000", "+0000"));
            }
        }
    }
}
