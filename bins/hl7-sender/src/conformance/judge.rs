//! [`Judge`]: what was wanted against what came, and the rules that every answer must keep.

use std::collections::HashSet;

use clap::ValueEnum;
use hl7_message::{Message, SegmentId, Timestamp};

use super::case::{
    Basis::{self, Decision, Statement},
    Want,
};
use super::wire::{Got, Seen};

/// How much is asked of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scope {
    /// The statement, and this broker's decisions where the statement is silent.
    All,
    /// The statement alone; texts of answers are free.
    Statement,
}

impl Scope {
    pub(super) fn has(self, basis: Basis) -> bool {
        self == Self::All || basis == Statement
    }
}

/// Why a case failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) expected: String,
    pub(super) got: String,
    pub(super) sent: Vec<u8>,
    /// The answer, if there was one.
    pub(super) received: Vec<u8>,
}

/// A rule about every answer; one more numbered case each.
pub(super) struct AnswerRule {
    pub(super) number: &'static str,
    pub(super) rule: &'static str,
    pub(super) basis: Basis,
    /// What was expected, where the answer does not keep to it.
    check: fn(&Answer<'_>) -> Option<String>,
}

/// An answer beside the message that it answers.
struct Answer<'a> {
    received: &'a Message<'a>,
    /// `None` where the message cannot be read.
    sent: Option<&'a Message<'a>>,
    fresh: bool,
}

impl Answer<'_> {
    fn field(&self, path: &str) -> String {
        field(self.received, path)
    }
}

fn field(message: &Message<'_>, path: &str) -> String {
    let raw = path.parse().ok().and_then(|location| message.raw(location));
    String::from_utf8_lossy(raw.unwrap_or_default()).into_owned()
}

/// The rules about every answer.
pub(super) static ANSWER_RULES: &[AnswerRule] = &[
    AnswerRule {
        number: "ACK-01",
        rule: "MSH-9 of an answer is ACK with the event of the message.",
        basis: Statement,
        check: |a| {
            let code = a.field("MSH-9.1");
            let said = a.field("MSH-9.2");
            let event = a.sent.map(|sent| field(sent, "MSH-9.2"));
            let right = code == "ACK" && event.as_ref().is_none_or(|event| *event == said);
            (!right).then(|| format!("MSH-9 ACK^{}", event.unwrap_or_default()))
        },
    },
    AnswerRule {
        number: "ACK-02",
        rule: "MSH-10 of an answer is never empty and never used twice.",
        basis: Statement,
        check: |a| (!a.fresh).then(|| "an MSH-10 that was not used before".into()),
    },
    AnswerRule {
        number: "ACK-03",
        rule: "An answer goes to whom the message came from (MSH-5 and MSH-6).",
        basis: Statement,
        check: |a| {
            let sent = a.sent?;
            let wanted = (field(sent, "MSH-3"), field(sent, "MSH-4"));
            let said = (a.field("MSH-5"), a.field("MSH-6"));
            (said != wanted).then(|| format!("MSH-5 {} and MSH-6 {}", wanted.0, wanted.1))
        },
    },
    AnswerRule {
        number: "ACK-04",
        rule: "MSH-7 of an answer is a time.",
        basis: Statement,
        check: |a| {
            let time: Result<Timestamp, _> = a.field("MSH-7").parse();
            time.is_err().then(|| "MSH-7 YYYYMMDDHHMMSS".into())
        },
    },
    AnswerRule {
        number: "ACK-05",
        rule: "An answer is in version 2.3.",
        basis: Statement,
        check: |a| (a.field("MSH-12") != "2.3").then(|| "MSH-12 2.3".into()),
    },
    AnswerRule {
        number: "ACK-06",
        rule: "MSH-15 and MSH-16 of an answer are empty.",
        basis: Statement,
        check: |a| {
            let both = a.field("MSH-15") + &a.field("MSH-16");
            (!both.is_empty()).then(|| "empty MSH-15 and MSH-16".into())
        },
    },
    AnswerRule {
        number: "ACK-07",
        rule: "An answer always gives a reason (MSA-3).",
        basis: Statement,
        check: |a| {
            a.field("MSA-3")
                .is_empty()
                .then(|| "a text in MSA-3".into())
        },
    },
    AnswerRule {
        number: "ACK-08",
        rule: "The reason has at most 80 characters.",
        basis: Decision,
        check: |a| {
            let length = a.field("MSA-3").chars().count();
            (length > 80).then(|| "at most 80 characters in MSA-3".into())
        },
    },
    AnswerRule {
        number: "ACK-09",
        rule: "An answer is MSH and MSA, perhaps ERR, each ended by CR.",
        basis: Statement,
        check: |a| {
            let known = [SegmentId::MSH, SegmentId::MSA];
            let names: Vec<_> = a.received.segments().map(|s| s.name().to_vec()).collect();
            let begins = names
                .iter()
                .zip(known)
                .all(|(name, id)| *name == id.as_bytes());
            let rest = names.iter().skip(2).all(|name| name == b"ERR");
            let ended = a.received.as_bytes().ends_with(b"\r");
            let feeds = a.received.as_bytes().contains(&b'\n');
            (!(names.len() >= 2 && begins && rest && ended) || feeds)
                .then(|| "MSH, MSA, perhaps ERR, each ended by CR".into())
        },
    },
    AnswerRule {
        number: "ACK-10",
        rule: "An answer is under the processing id of its message (MSH-11).",
        basis: Decision,
        check: |a| {
            let wanted = field(a.sent?, "MSH-11");
            let known = matches!(wanted.as_str(), "P" | "T" | "D");
            (known && a.field("MSH-11") != wanted).then(|| format!("MSH-11 {wanted}"))
        },
    },
];

/// Compares, and remembers what was seen.
#[derive(Debug)]
pub(super) struct Judge {
    scope: Scope,
    control_ids: HashSet<String>,
    /// The first failure of each of [`ANSWER_RULES`].
    broken: Vec<Option<Failure>>,
    answers: u64,
    last_text: Option<(String, String)>,
}

impl Judge {
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            scope,
            control_ids: HashSet::new(),
            broken: ANSWER_RULES.iter().map(|_| None).collect(),
            answers: 0,
            last_text: None,
        }
    }

    /// How many answers came.
    pub(super) const fn answers(&self) -> u64 {
        self.answers
    }

    /// What the rules about answers came to.
    pub(super) fn rules(&self) -> impl Iterator<Item = (&'static AnswerRule, Option<&Failure>)> {
        ANSWER_RULES
            .iter()
            .zip(self.broken.iter().map(Option::as_ref))
    }

    /// Whether what came is what was wanted; `again`: as the answer before it was.
    pub(super) fn compare(&mut self, seen: &Seen, again: bool) -> Result<(), Failure> {
        let bytes = match &seen.got {
            Got::Frame(bytes) | Got::AnswerThenClosed(bytes) | Got::AnswerThenOpen(bytes) => bytes,
            Got::Silence | Got::Closed | Got::Other(_) => {
                return without_answer(seen);
            }
        };
        let fail = |expected: String, got: String| Failure {
            expected,
            got,
            sent: seen.sent.clone(),
            received: bytes.to_vec(),
        };
        let Ok(answer) = Message::parse(bytes) else {
            return Err(fail(
                expectation(&seen.want),
                "a frame that is not HL7".into(),
            ));
        };
        self.audit(seen, &answer);
        let said = (field(&answer, "MSA-1"), unescaped(&answer));
        let got = format!("{} {:?}", said.0, said.1);
        if seen.want == Want::NoAccept && matches!(said.0.as_str(), "AE" | "AR") {
            return Ok(());
        }
        let Want::Answer {
            code,
            text,
            control_id,
        } = &seen.want
        else {
            return Err(fail(expectation(&seen.want), got));
        };
        let text_kept = match text {
            Some(text) if self.scope == Scope::All => *text == said.1,
            _ => true,
        };
        let before = self.last_text.replace(said.clone());
        if again && before.as_ref() != Some(&said) {
            let (code, text) = before.unwrap_or_default();
            return Err(fail(format!("{code} {text:?} again"), got));
        }
        if said.0 != *code || !text_kept {
            return Err(fail(expectation(&seen.want), got));
        }
        let answered = field(&answer, "MSA-2");
        if answered != *control_id {
            return Err(fail(
                format!("MSA-2 {control_id:?}"),
                format!("MSA-2 {answered:?}"),
            ));
        }
        if let Got::AnswerThenOpen(_) = &seen.got {
            let got = "the answer, and an open connection".into();
            return Err(fail("a close after the answer".into(), got));
        }
        Ok(())
    }

    fn audit(&mut self, seen: &Seen, answer: &Message<'_>) {
        self.answers += 1;
        let id = field(answer, "MSH-10");
        let fresh = !id.is_empty() && self.control_ids.insert(id);
        // Pieces of several frames belong to no one message.
        let sent = Message::parse(&seen.sent).ok();
        let sent = sent.as_ref().filter(|_| !seen.sent.contains(&0x0B));
        let pair = Answer {
            received: answer,
            sent,
            fresh,
        };
        for (rule, broken) in ANSWER_RULES.iter().zip(&mut self.broken) {
            if broken.is_some() || (seen.sent.contains(&0x0B) && rule.number == "ACK-01") {
                continue;
            }
            *broken = (rule.check)(&pair).map(|expected| Failure {
                expected,
                got: "another value in the answer".into(),
                sent: seen.sent.clone(),
                received: answer.as_bytes().to_vec(),
            });
        }
    }
}

/// The verdict where no frame came.
fn without_answer(seen: &Seen) -> Result<(), Failure> {
    let got = match &seen.got {
        Got::Silence | Got::Closed if !seen.want.is_answer() => return Ok(()),
        Got::Silence => "no answer".to_owned(),
        Got::Closed => "no answer: the connection was closed".to_owned(),
        Got::Other(text) => text.clone(),
        Got::Frame(_) | Got::AnswerThenClosed(_) | Got::AnswerThenOpen(_) => String::new(),
    };
    Err(Failure {
        expected: expectation(&seen.want),
        got,
        sent: seen.sent.clone(),
        received: Vec::new(),
    })
}

/// MSA-3 in plain text.
fn unescaped(answer: &Message<'_>) -> String {
    let text = field(answer, "MSA-3");
    let plain = hl7_message::escape::unescape(text.as_bytes(), answer.separators());
    String::from_utf8_lossy(&plain).into_owned()
}

fn expectation(want: &Want) -> String {
    match want {
        Want::Silence => "no answer".into(),
        Want::NoAccept => "no answer, or a refusal".into(),
        Want::Answer {
            code,
            text: Some(text),
            ..
        } => format!("{code} {text:?}"),
        Want::Answer {
            code, text: None, ..
        } => format!("{code} with a reason"),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::case::want;
    use super::*;

    const SENT: &[u8] = b"MSH|^~\\&|A|B|C|D|20300102030405||ORM^O01|7|T|2.3\r";
    const ANSWER: &str =
        "MSH|^~\\&|C|D|A|B|20300102030405||ACK^O01|x1|T|2.3\rMSA|AA|7|Order registered.\r";

    fn judged(scope: Scope, want: Want, got: Got) -> (Result<(), Failure>, Vec<&'static str>) {
        let mut judge = Judge::new(scope);
        let seen = Seen {
            want,
            sent: SENT.to_vec(),
            got,
        };
        let verdict = judge.compare(&seen, false);
        let broken = judge.rules().filter(|(_, failure)| failure.is_some());
        let broken = broken.map(|(rule, _)| rule.number).collect();
        (verdict, broken)
    }

    fn frame(text: &str) -> Got {
        Got::Frame(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[track_caller]
    fn check(answer: &str, expected: &str, broken: &[&str]) {
        let want = want("AA", Some("Order registered."), "7");
        let (verdict, rules) = judged(Scope::All, want, frame(answer));
        let said = verdict
            .err()
            .map(|failure| failure.expected)
            .unwrap_or_default();
        assert_eq!((said.as_str(), rules.as_slice()), (expected, broken));
    }

    #[test]
    fn an_answer_is_right_in_code_text_and_id() {
        check(ANSWER, "", &[]);
        check(
            &ANSWER.replace("|AA|", "|AE|"),
            "AA \"Order registered.\"",
            &[],
        );
        check(
            &ANSWER.replace("registered", "taken"),
            "AA \"Order registered.\"",
            &[],
        );
        check(&ANSWER.replace("|7|", "|8|"), "MSA-2 \"7\"", &[]);
    }

    #[test]
    fn every_answer_is_held_to_its_shape() {
        check(&ANSWER.replace("ACK^O01", "ACK"), "", &["ACK-01"]);
        check(&ANSWER.replace("x1", ""), "", &["ACK-02"]);
        check(&ANSWER.replace("|A|B|", "|X|Y|"), "", &["ACK-03"]);
        check(
            &ANSWER.replace("|20300102030405|", "|soon|"),
            "",
            &["ACK-04"],
        );
        check(&ANSWER.replace("|2.3\r", "|2.5\r"), "", &["ACK-05"]);
        check(&ANSWER.replace("|2.3\r", "|2.3|||AL\r"), "", &["ACK-06"]);
        check(&ANSWER.replace("|T|", "|P|"), "", &["ACK-10"]);
        check(&ANSWER.replace("MSA|", "PID|1\rMSA|"), "", &["ACK-09"]);
        let long = "x".repeat(81);
        let text = ANSWER.replace("Order registered.", &long);
        check(&text, "AA \"Order registered.\"", &["ACK-08"]);
    }

    #[test]
    fn texts_are_free_where_the_statement_alone_is_asked() {
        let want = want("AA", Some("Order registered."), "7");
        let answer = ANSWER.replace("Order registered.", "Fine");
        assert_eq!(judged(Scope::Statement, want, frame(&answer)).0, Ok(()));
    }

    #[test]
    fn silence_is_silence_or_a_close() {
        for got in [Got::Silence, Got::Closed] {
            assert_eq!(judged(Scope::All, Want::Silence, got.clone()).0, Ok(()));
            assert!(judged(Scope::All, want("AA", None, "7"), got).0.is_err());
        }
        assert!(judged(Scope::All, Want::Silence, frame(ANSWER)).0.is_err());
    }

    #[test]
    fn an_answer_again_is_the_same_under_another_id() {
        let mut judge = Judge::new(Scope::All);
        let seen = |answer: &str| Seen {
            want: want("AA", None, "7"),
            sent: SENT.to_vec(),
            got: frame(answer),
        };
        assert_eq!(judge.compare(&seen(ANSWER), false), Ok(()));
        let second = ANSWER.replace("x1", "x2");
        assert_eq!(judge.compare(&seen(&second), true), Ok(()));
        let third = ANSWER.replace("registered", "updated");
        assert!(judge.compare(&seen(&third), true).is_err());
        let broken: Vec<_> = judge.rules().filter(|(_, f)| f.is_some()).collect();
        assert_eq!(broken.len(), 1, "the id x1 came twice");
    }
}
