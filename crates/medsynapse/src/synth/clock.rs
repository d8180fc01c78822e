//! [`Moment`]: the time in a department, which passes as its messages are made.

use hl7_message::Timestamp;

const DAY: i64 = 86_400;

/// 0001-01-01 and the last second of 9999-12-31: HL7 writes four digits of a year.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;

/// Seconds since 1970-01-01 in the department's own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64);

impl Moment {
    /// What a time stamp says, as far as it goes; its offset stays outside.
    pub(super) fn of(time: &Timestamp) -> Self {
        let days = days_of(
            i64::from(time.year()),
            i64::from(time.month().unwrap_or(1)),
            i64::from(time.day().unwrap_or(1)),
        );
        let part = |part: Option<u8>| i64::from(part.unwrap_or(0));
        Self(days * DAY + part(time.hour()) * 3600 + part(time.minute()) * 60 + part(time.second()))
    }

    /// The last moment that HL7 can write is 9999-12-31; a run that comes so far starts again in
    /// the same year.
    pub(super) fn plus(self, seconds: u32) -> Self {
        let sum = self.0 + i64::from(seconds);
        Self(if sum > LAST { sum - 365 * DAY } else { sum })
    }

    /// The same moment with its seconds and minutes rounded up to five minutes.
    pub(super) fn on_the_five(self) -> Self {
        Self((self.0 + 299).div_euclid(300) * 300)
    }

    /// Hour of the day.
    pub(super) fn hour(self) -> i64 {
        self.0.rem_euclid(DAY) / 3600
    }

    /// Saturday or Sunday. 1970-01-01 was a Thursday.
    pub(super) fn is_weekend(self) -> bool {
        matches!((self.0.div_euclid(DAY) + 4).rem_euclid(7), 0 | 6)
    }

    /// `minutes` behind eight o'clock of the next day that is worked.
    pub(super) fn next_working_day(self, minutes: u32) -> Self {
        let mut day = Self((self.0.div_euclid(DAY) + 1) * DAY);
        while day.is_weekend() {
            day = day.plus(86_400);
        }
        day.plus(8 * 3600 + minutes * 60)
    }

    /// The year.
    pub(super) fn year(self) -> i64 {
        civil_of(self.0.div_euclid(DAY)).0
    }

    /// As HL7 has it, with the offset of the run.
    #[expect(
        clippy::expect_used,
        reason = "a day between FIRST and LAST is a day of the calendar; tested for all of them"
    )]
    pub(super) fn timestamp(self, offset_minutes: Option<i16>) -> Timestamp {
        let (year, month, day) = civil_of(self.0.div_euclid(DAY));
        let second = self.0.rem_euclid(DAY);
        let small = |value: i64| u8::try_from(value).unwrap_or_default();
        let time = Timestamp::from_civil(
            (
                u16::try_from(year).unwrap_or(9999),
                small(month),
                small(day),
            ),
            (
                small(second / 3600),
                small(second / 60 % 60),
                small(second % 60),
            ),
        )
        .expect("a day of the calendar");
        match offset_minutes {
            Some(minutes) => time.with_offset(minutes),
            None => time,
        }
    }

    /// Writes `YYYYMMDDHHMMSS` and the offset of the run.
    pub(super) fn write_to(self, out: &mut String, offset_minutes: Option<i16>) {
        let second = self.0.rem_euclid(DAY);
        self.write_date_to(out);
        write_pair(out, second / 3600);
        write_pair(out, second / 60 % 60);
        write_pair(out, second % 60);
        if let Some(offset) = offset_minutes {
            out.push(if offset < 0 { '-' } else { '+' });
            let minutes = i64::from(offset.unsigned_abs());
            write_pair(out, minutes / 60);
            write_pair(out, minutes % 60);
        }
    }

    /// The year, and `YYYYMMDD`.
    pub(super) fn date(self) -> (i64, [u8; 8]) {
        let mut text = String::with_capacity(8);
        self.write_date_to(&mut text);
        (
            self.year(),
            text.as_bytes().try_into().unwrap_or(*b"19700101"),
        )
    }

    /// Writes `YYYYMMDD`.
    fn write_date_to(self, out: &mut String) {
        let (year, month, day) = civil_of(self.0.div_euclid(DAY));
        write_pair(out, year / 100);
        write_pair(out, year % 100);
        write_pair(out, month);
        write_pair(out, day);
    }

    /// That many days before, at midnight.
    pub(super) fn days_before(self, days: u32) -> Self {
        let day = self.0.div_euclid(DAY) - i64::from(days);
        Self((day * DAY).max(FIRST))
    }
}

/// Writes a number below a hundred with two digits.
fn write_pair(out: &mut String, value: i64) {
    let digit = |value: i64| char::from(b'0' + u8::try_from(value % 10).unwrap_or_default());
    out.push(digit(value / 10));
    out.push(digit(value));
}

/// Days since 1970-01-01 of a date in the Gregorian calendar, by years that begin in March.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date of a day; undoes [`days_of`].
fn civil_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Moment {
        Moment::of(&text.parse().unwrap())
    }

    #[test]
    fn every_day_of_the_calendar_goes_there_and_back() {
        let mut count = 0;
        for day in (FIRST..=LAST).step_by(86_400 * 13) {
            let time = Moment(day).timestamp(None);
            assert_eq!(Moment::of(&time), Moment(day));
            count += 1;
        }
        assert!(count > 280_000);
        assert_eq!(moment("00010101"), Moment(FIRST));
        assert_eq!(moment("99991231235959"), Moment(LAST));
    }

    #[test]
    fn written_as_hl7_has_it() {
        let mut text = String::new();
        moment("20240229070509").write_to(&mut text, Some(-210));
        assert_eq!(text, "20240229070509-0330");
        assert_eq!(
            moment("20240229070509").timestamp(Some(-210)).to_string(),
            text
        );
    }

    #[test]
    fn the_week_is_known() {
        assert!(moment("20240302").is_weekend() && moment("20240303").is_weekend());
        assert!(!moment("20240304").is_weekend());
        // From Friday to Monday.
        assert_eq!(
            moment("20240301170000").next_working_day(90),
            moment("20240304093000")
        );
    }

    #[test]
    fn time_does_not_leave_the_calendar() {
        assert_eq!(moment("99991231235959").plus(1), moment("99990101000000"));
        assert_eq!(moment("00010102").days_before(9), Moment(FIRST));
        assert_eq!(
            moment("20240304103100").on_the_five(),
            moment("20240304103500")
        );
    }
}
