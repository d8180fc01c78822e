//! Times as a person writes them: `2026-01-05T07:00:00Z`.

use hl7_message::{Precision, Timestamp};

/// A moment as HL7 or RFC 3339 has it, to the day at least.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let hl7 = if text.as_bytes().get(4) == Some(&b'-') {
        from_rfc3339(text)
    } else {
        text.to_owned()
    };
    match hl7.parse::<Timestamp>() {
        Ok(moment) if moment.precision() >= Precision::Day => Ok(moment),
        _ => Err("write a date such as 20260105, 20260105070000 or 2026-01-05T07:00:00".to_owned()),
    }
}

/// `2026-01-05T07:00:00+01:00` as `20260105070000+0100`; other text becomes what no time is.
fn from_rfc3339(text: &str) -> String {
    let (date, time) = text.split_at_checked(10).unwrap_or((text, ""));
    let time = time.strip_prefix(['T', 't', ' ']).unwrap_or(time);
    let time = time.replace(':', "").replace(['Z', 'z'], "+0000");
    date.replace('-', "") + &time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for (text, hl7) in [
            ("20260105", "20260105"),
            ("202601050700", "202601050700"),
            ("2026-01-05", "20260105"),
            ("2026-01-05T07:00:00", "20260105070000"),
            ("2026-01-05 07:00", "202601050700"),
            ("2026-01-05T07:00:00Z", "20260105070000+0000"),
            ("2026-01-05T07:00:00.5+05:30", "20260105070000.5+0530"),
            ("2026-01-05T07:00:00-03:00", "20260105070000-0300"),
        ] {
            assert_eq!(
                moment(text).map(|moment| moment.to_string()),
                Ok(hl7.to_owned())
            );
        }
        for text in [
            "",
            "2026",
            "202601",
            "2026-02-30",
            "tomorrow",
            "2026-01-05T25:00:00",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
