//! Dates and times: HL7's and RFC 3339's.

use std::fmt::Write as _;

use hl7_message::{Precision, Timestamp};

/// HL7 writes fractions of a second with at most four digits.
const FRACTION_MAX: usize = 4;

/// A date or time as HL7 writes it, from HL7 or RFC 3339 text. Digits of a second behind the
/// fourth are left out.
pub(super) fn to_hl7(text: &str) -> Option<String> {
    let text = text.trim();
    if text.parse::<Timestamp>().is_ok() {
        return Some(text.to_owned());
    }
    let written = rfc3339(text)?;
    written.parse::<Timestamp>().ok().map(|_| written)
}

/// `2023-06-14`, or `2023-06-14T13:20[:30[.5]][Z|+02:00]`; what the numbers may be is asked
/// elsewhere.
fn rfc3339(text: &str) -> Option<String> {
    let mut out = String::with_capacity(24);
    let mut rest = digits(text, 4, &mut out)?.strip_prefix('-')?;
    rest = digits(rest, 2, &mut out)?.strip_prefix('-')?;
    rest = digits(rest, 2, &mut out)?;
    if rest.is_empty() {
        return Some(out);
    }
    rest = rest.strip_prefix(['T', 't', ' '])?;
    rest = digits(rest, 2, &mut out)?.strip_prefix(':')?;
    rest = digits(rest, 2, &mut out)?;
    if let Some(seconds) = rest.strip_prefix(':') {
        rest = digits(seconds, 2, &mut out)?;
        if let Some(fraction) = rest.strip_prefix('.') {
            let end = fraction
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(fraction.len());
            let (number, behind) = fraction.split_at_checked(end)?;
            if number.is_empty() {
                return None;
            }
            out.push('.');
            out.push_str(number.get(..FRACTION_MAX).unwrap_or(number));
            rest = behind;
        }
    }
    match rest {
        "" => return Some(out),
        "Z" | "z" => {
            out.push_str("+0000");
            return Some(out);
        }
        _ => {}
    }
    let sign = rest.chars().next().filter(|c| matches!(c, '+' | '-'))?;
    out.push(sign);
    rest = digits(rest.get(1..)?, 2, &mut out)?.strip_prefix(':')?;
    rest = digits(rest, 2, &mut out)?;
    rest.is_empty().then_some(out)
}

/// Moves `count` digits to `out`.
fn digits<'t>(text: &'t str, count: usize, out: &mut String) -> Option<&'t str> {
    let (number, rest) = text.split_at_checked(count)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    out.push_str(number);
    Some(rest)
}

/// HL7 text as RFC 3339, and whether the offset from UTC is the one that was passed in because
/// the text has none. A year or a month alone stays as short as ISO 8601 writes it.
pub(super) fn to_rfc3339(text: &str, offset_minutes: i16) -> Option<(String, bool)> {
    let moment: Timestamp = text.parse().ok()?;
    let mut out = format!("{:04}", moment.year());
    for part in [moment.month(), moment.day()].into_iter().flatten() {
        let _ = write!(out, "-{part:02}");
    }
    if moment.precision() <= Precision::Day {
        return Some((out, false));
    }
    let (hour, minute) = (moment.hour()?, moment.minute().unwrap_or(0));
    let second = moment.second().unwrap_or(0);
    let _ = write!(out, "T{hour:02}:{minute:02}:{second:02}");
    if let Some((_, fraction)) = text.split_once('.') {
        out.push('.');
        out.extend(fraction.chars().take_while(char::is_ascii_digit));
    }
    let offset = moment.offset_minutes().unwrap_or(offset_minutes);
    if offset == 0 {
        out.push('Z');
    } else {
        let sign = if offset < 0 { '-' } else { '+' };
        let minutes = offset.unsigned_abs();
        let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    }
    Some((out, moment.offset_minutes().is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rfc3339: &str, hl7: &str) {
        assert_eq!(to_hl7(rfc3339).as_deref(), Some(hl7));
    }

    #[test]
    fn both_spellings_are_read() {
        check("20230614132030", "20230614132030");
        check("20230614132030+0200", "20230614132030+0200");
        check("19800101", "19800101");
        check("1980-01-01", "19800101");
        check("2023-06-14T13:20:30Z", "20230614132030+0000");
        check("2023-06-14T13:20:30+02:00", "20230614132030+0200");
        check(
            "2023-06-14t13:20:30.123456-05:30",
            "20230614132030.1234-0530",
        );
        check("2023-06-14 13:20", "202306141320");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "yesterday",
            "2023-6-14",
            "2023-02-30",
            "2023-06-14T",
            "2023-06-14T25:00:00Z",
            "2023-06-14T13:20:30+2",
            "2023-06-14T13:20:30.Z",
            "2023-06-14Z",
            "14.06.2023",
            "2023-06-14T13:20:30Zz",
            "２０２３-06-14",
        ] {
            assert_eq!(to_hl7(text), None, "{text}");
        }
    }

    #[test]
    fn shown_as_rfc_3339() {
        let show = |text| to_rfc3339(text, 0).unwrap();
        assert_eq!(show("19800101"), ("1980-01-01".into(), false));
        assert_eq!(show("198001"), ("1980-01".into(), false));
        assert_eq!(
            show("20230614132030"),
            ("2023-06-14T13:20:30Z".into(), true)
        );
        assert_eq!(
            show("202306141320+0200"),
            ("2023-06-14T13:20:00+02:00".into(), false)
        );
        assert_eq!(
            show("20230614132030.25-0530"),
            ("2023-06-14T13:20:30.25-05:30".into(), false)
        );
        assert_eq!(
            to_rfc3339("20230614132030", 330).unwrap().0,
            "2023-06-14T13:20:30+05:30"
        );
    }

    #[test]
    fn there_and_back() {
        for text in ["19800101", "20230614132030+0200", "20230614132030.25-0530"] {
            let (shown, _) = to_rfc3339(text, 0).unwrap();
            assert_eq!(to_hl7(&shown).as_deref(), Some(text));
        }
    }
}
