//! [`Filter`]: a search that says of each word what it is, as `type:ORU has:warnings after:08:30`.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use medsynapse_broker::Clock;
use medsynapse_store::{Direction, MessageSearch, Paging, Peer};

/// What a word can say it is, for the page that explains it.
pub(crate) const WORDS: [&str; 10] = [
    "acc:", "pid:", "id:", "type:", "ack:", "peer:", "dir:", "has:", "after:", "before:",
];

/// A word that says nothing to anybody: what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotUnderstood(pub(crate) &'static str);

/// What a search asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter(MessageSearch);

impl Filter {
    /// Reads a text; `None` where no word of it says what it is, or only one number is named.
    pub(crate) fn read(text: &str, clock: &dyn Clock) -> Option<Result<Self, NotUnderstood>> {
        let words = words(text);
        let said = |word: &&String| prefix(word).is_some();
        let number = |word: &&String| matches!(prefix(word), Some(("acc:" | "pid:" | "id:", _)));
        // One number alone may hold blanks: `pid:A 1`.
        let first_is_number = words.first().is_some_and(|word| number(&word));
        let prefixes = words.iter().filter(said).count();
        if prefixes == 0 || prefixes == 1 && first_is_number {
            return None;
        }
        Some(Self::of(&words, clock))
    }

    fn of(words: &[String], clock: &dyn Clock) -> Result<Self, NotUnderstood> {
        let mut search = MessageSearch::default();
        let mut free: Vec<&str> = Vec::new();
        for word in words {
            let Some((name, value)) = prefix(word) else {
                free.push(word);
                continue;
            };
            if value.is_empty() {
                return Err(NotUnderstood(
                    "A word that ends in a colon wants a value after it.",
                ));
            }
            let text = Some(value.to_owned());
            match name {
                "acc:" => search.accession_number = text,
                "pid:" => search.patient_id = text,
                "id:" => search.control_id = text,
                "ack:" => search.ack_code = Some(value.to_ascii_uppercase()),
                "type:" => {
                    let kind = value.to_ascii_uppercase();
                    let (code, event) = match kind.split_once(['^', '_']) {
                        Some((code, event)) => (code.to_owned(), Some(event.to_owned())),
                        None => (kind, None),
                    };
                    search.message_code = Some(code);
                    search.trigger_event = event;
                }
                "peer:" => {
                    let address = value.parse();
                    search.peer =
                        Some(address.map_or_else(|_| Peer::Exactly(value.into()), Peer::Address));
                }
                "dir:" => {
                    search.direction = Some(match value.to_ascii_lowercase().as_str() {
                        "in" => Direction::In,
                        "out" => Direction::Out,
                        _ => return Err(NotUnderstood("Write dir:in or dir:out.")),
                    });
                }
                "has:" => match value.to_ascii_lowercase().as_str() {
                    "warnings" | "warning" => search.has_warnings = Some(true),
                    _ => return Err(NotUnderstood("Write has:warnings.")),
                },
                "after:" => search.received_from = Some(moment(value, clock, false)?),
                _ => search.received_to = Some(moment(value, clock, true)?),
            }
        }
        search.text = Some(free.join(" ")).filter(|text| !text.is_empty());
        Ok(Self(search))
    }

    /// What the store is asked for a page of it.
    pub(crate) fn page(
        mut self,
        kind: Option<&str>,
        ack: &str,
        before: Option<i64>,
        rows: u32,
    ) -> MessageSearch {
        if let Some(kind) = kind {
            self.0.message_code.get_or_insert_with(|| kind.to_owned());
        }
        if !ack.is_empty() {
            self.0.ack_code.get_or_insert_with(|| ack.to_owned());
        }
        self.0.paging = Paging {
            cursor: before,
            limit: rows,
        };
        self.0
    }
}

/// The words of a text, which blanks part; within quotes they do not.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            letter if letter.is_whitespace() && !quoted => words.push(String::new()),
            letter => {
                if let Some(last) = words.last_mut() {
                    last.push(letter);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What a word says it is, and its value.
fn prefix(word: &str) -> Option<(&'static str, &str)> {
    WORDS.into_iter().find_map(|name| {
        let (start, rest) = word.split_at_checked(name.len())?;
        start.eq_ignore_ascii_case(name).then_some((name, rest))
    })
}

/// A day, a time of today, or both, on the wall; `before:` a day means before it begins.
fn moment(text: &str, clock: &dyn Clock, before: bool) -> Result<DateTime<Utc>, NotUnderstood> {
    let now = clock.now();
    let today = now.with_timezone(&clock.offset(now)).date_naive();
    let time = |text: &str| {
        let hours = NaiveTime::parse_from_str(text, "%H:%M");
        hours.or_else(|_| NaiveTime::parse_from_str(text, "%H:%M:%S"))
    };
    let day = |text: &str| {
        let dashes = NaiveDate::parse_from_str(text, "%Y-%m-%d");
        dashes.or_else(|_| NaiveDate::parse_from_str(text, "%Y%m%d"))
    };
    let wall = match (
        text.to_ascii_lowercase().as_str(),
        text.split_once(['T', 't']),
    ) {
        ("today", _) => Some(today.and_time(NaiveTime::MIN)),
        ("yesterday", _) => today.pred_opt().map(|day| day.and_time(NaiveTime::MIN)),
        (_, Some((on, at))) => day(on)
            .ok()
            .zip(time(at).ok())
            .map(|(on, at)| on.and_time(at)),
        _ => day(text)
            .map(|day| day.and_time(NaiveTime::MIN))
            .or_else(|_| time(text).map(|at| today.and_time(at)))
            .ok(),
    };
    let wall: NaiveDateTime = wall.ok_or(NotUnderstood(if before {
        "Write before: with a day or a time, for instance before:2026-03-01 or before:08:30."
    } else {
        "Write after: with a day or a time, for instance after:2026-03-01 or after:08:30."
    }))?;
    // The offset of that moment, not of now: a change of clocks may lie between.
    let guess = wall.and_utc();
    let offset = TimeDelta::seconds(clock.offset(guess).local_minus_utc().into());
    Ok(guess.checked_sub_signed(offset).unwrap_or(guess))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> DateTime<Utc> {
            DateTime::parse_from_rfc3339("2023-06-14T12:00:00+02:00")
                .unwrap()
                .to_utc()
        }

        fn offset(&self, _: DateTime<Utc>) -> chrono::FixedOffset {
            chrono::FixedOffset::east_opt(7200).unwrap()
        }
    }

    fn read(text: &str) -> MessageSearch {
        Filter::read(text, &Noon).unwrap().unwrap().0
    }

    #[test]
    fn a_number_alone_is_no_filter() {
        for text in ["ACC1", "SMITH JOHN", "pid:A 1", "ACC:A:1", "http://x", ""] {
            assert_eq!(Filter::read(text, &Noon), None, "{text}");
        }
    }

    #[test]
    fn words_say_what_they_are() {
        let search = read("acc:A1 type:oru_r01 ack:ar has:warnings dir:out peer:ris");
        assert_eq!(search.accession_number.as_deref(), Some("A1"));
        assert_eq!(search.message_code.as_deref(), Some("ORU"));
        assert_eq!(search.trigger_event.as_deref(), Some("R01"));
        assert_eq!(search.ack_code.as_deref(), Some("AR"));
        assert_eq!(search.has_warnings, Some(true));
        assert_eq!(search.direction, Some(Direction::Out));
        assert_eq!(search.peer, Some(Peer::Exactly("ris".into())));
        let search = read("peer:10.0.0.8 pid:\"A 1\" No fracture");
        assert_eq!(search.peer, Some(Peer::Address([10, 0, 0, 8].into())));
        assert_eq!(search.patient_id.as_deref(), Some("A 1"));
        assert_eq!(search.text.as_deref(), Some("No fracture"));
    }

    #[test]
    fn moments_are_those_of_the_wall() {
        for (text, moment) in [
            ("after:08:30", "2023-06-14T06:30:00Z"),
            ("after:2023-06-01", "2023-05-31T22:00:00Z"),
            ("after:20230601T10:00", "2023-06-01T08:00:00Z"),
            ("after:yesterday", "2023-06-12T22:00:00Z"),
        ] {
            let moment = DateTime::parse_from_rfc3339(moment).unwrap().to_utc();
            assert_eq!(read(text).received_from, Some(moment), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_says_how_it_is_written() {
        for text in ["after:soon", "before:99:99", "has:fun", "dir:up", "type:"] {
            let error = Filter::read(text, &Noon).unwrap().unwrap_err();
            assert!(error.0.ends_with('.'), "{text}");
        }
    }
}
