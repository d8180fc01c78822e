//! Moments in JSON: RFC 3339 in UTC.

use chrono::{DateTime, FixedOffset, NaiveDate, Offset, SecondsFormat, TimeZone, Utc};
use hl7_message::Timestamp;
use medsynapse_broker::Clock;

pub(crate) fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// MSH-7 in UTC; without an offset it is wall time here. `None` where it names no day.
pub(crate) fn sent(text: &str, clock: &dyn Clock) -> Option<String> {
    let stamp = Timestamp::parse(text.as_bytes()).ok()?;
    let date = NaiveDate::from_ymd_opt(
        i32::from(stamp.year()),
        u32::from(stamp.month()?),
        u32::from(stamp.day()?),
    )?;
    let part = |value: Option<u8>| u32::from(value.unwrap_or_default());
    let wall = date.and_hms_nano_opt(
        part(stamp.hour()),
        part(stamp.minute()),
        part(stamp.second()),
        stamp.nanosecond().unwrap_or_default(),
    )?;
    let offset = match stamp.offset_minutes() {
        Some(minutes) => FixedOffset::east_opt(i32::from(minutes) * 60)?,
        None => clock.offset(Utc.from_utc_datetime(&wall)).fix(),
    };
    Some(rfc3339(
        offset.from_local_datetime(&wall).single()?.to_utc(),
    ))
}

#[cfg(test)]
mod tests {
    use medsynapse_broker::ManualClock;

    use super::*;

    #[test]
    fn time_stamps_become_utc() {
        let clock = ManualClock::at(DateTime::UNIX_EPOCH);
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(sent(text, &clock).as_deref(), expected, "{text}");
        };
        check("20230614131415", Some("2023-06-14T13:14:15.000Z"));
        check("20230614131415.25+0200", Some("2023-06-14T11:14:15.250Z"));
        check("20230614", Some("2023-06-14T00:00:00.000Z"));
        check("2023", None);
        check("", None);
        check("yesterday", None);
    }
}
