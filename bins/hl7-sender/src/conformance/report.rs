//! [`Report`]: the verdicts, for a terminal, as JSON, and as a page.

use std::fmt::Write;

use serde_json::{Value, json};

use super::case::{Basis, Preset};
use super::judge::{Failure, Scope};
use crate::report::{BAD, DIM, GOOD};

/// What a case came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Failed(Failure),
    /// And why.
    NotApplicable(String),
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: &'static str,
    pub(super) rule: &'static str,
    pub(super) basis: Basis,
    pub(super) verdict: Verdict,
}

/// A whole run.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) receiver: String,
    pub(super) preset: Preset,
    pub(super) scope: Scope,
    /// What the ids of this run begin with.
    pub(super) mark: String,
    /// When it began, as a person reads it.
    pub(super) at: String,
    pub(super) lines: Vec<Line>,
    pub(super) interrupted: bool,
}

impl Report {
    /// Passed, failed, not applicable.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: fn(&Verdict) -> bool| {
            self.lines
                .iter()
                .filter(|line| wanted(&line.verdict))
                .count()
        };
        (
            count(|verdict| *verdict == Verdict::Passed),
            count(|verdict| matches!(verdict, Verdict::Failed(_))),
            count(|verdict| matches!(verdict, Verdict::NotApplicable(_))),
        )
    }

    /// The last line.
    pub(super) fn last_words(&self) -> String {
        let (passed, failed, not_applicable) = self.counts();
        let end = if self.interrupted {
            " Interrupted."
        } else {
            ""
        };
        format!(
            "Conformance: {passed} passed, {failed} failed, {not_applicable} not applicable.{end}"
        )
    }

    /// One object for each case, then the summary.
    pub(super) fn objects(&self) -> Vec<Value> {
        let (passed, failed, not_applicable) = self.counts();
        let mut all: Vec<Value> = self.lines.iter().map(object).collect();
        all.push(json!({
            "v": 1,
            "record": "summary",
            "receiver": self.receiver,
            "preset": self.preset.name(),
            "mark": self.mark,
            "at": self.at,
            "passed": passed,
            "failed": failed,
            "notApplicable": not_applicable,
            "interrupted": self.interrupted,
        }));
        all
    }
}

fn object(line: &Line) -> Value {
    let mut object = json!({
        "v": 1,
        "record": "case",
        "number": line.number,
        "rule": line.rule,
        "basis": line.basis.name(),
    });
    let more = match &line.verdict {
        Verdict::Passed => json!({"verdict": "passed"}),
        Verdict::NotApplicable(why) => json!({"verdict": "not_applicable", "reason": why}),
        Verdict::Failed(failure) => json!({
            "verdict": "failed",
            "expected": failure.expected,
            "got": failure.got,
            "sent": visible(&failure.sent),
            "received": visible(&failure.received),
        }),
    };
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

/// One case on a terminal; a failure with its bytes.
pub(super) fn text(line: &Line) -> String {
    let (number, rule) = (line.number, line.rule);
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = match &line.verdict {
        Verdict::Passed => writeln!(out, "{GOOD}passed{GOOD:#}  {number}  {rule}"),
        Verdict::NotApplicable(why) => {
            writeln!(out, "{DIM}n/a     {number}  {rule} ({why}){DIM:#}")
        }
        Verdict::Failed(failure) => {
            let Failure {
                expected,
                got,
                sent,
                received,
            } = failure;
            let basis = line.basis.name();
            writeln!(
                out,
                "{BAD}failed{BAD:#}  {number}  {rule} ({basis})\n        expected  {expected}\n        \
                 got       {got}\n        sent      {}\n        received  {}",
                visible(sent),
                visible(received)
            )
        }
    };
    out
}

/// How much of a message is shown.
const SHOWN: usize = 2_000;

/// Bytes as a person reads them: `<CR>` and the like for what cannot be seen.
pub(super) fn visible(bytes: &[u8]) -> String {
    let mut out = String::new();
    let shown = bytes.get(..SHOWN).unwrap_or(bytes);
    for character in String::from_utf8_lossy(shown).chars() {
        let _ = match character {
            '\r' => write!(out, "<CR>"),
            '\n' => write!(out, "<LF>"),
            '\x0B' => write!(out, "<VT>"),
            '\x1C' => write!(out, "<FS>"),
            other if other.is_control() => write!(out, "<{:02X}>", u32::from(other)),
            other => write!(out, "{other}"),
        };
    }
    if shown.len() < bytes.len() {
        let _ = write!(out, "… ({} bytes)", bytes.len());
    }
    if out.is_empty() {
        out.push_str("nothing");
    }
    out
}

#[cfg(test)]
pub(super) fn sample() -> Report {
    Report {
        receiver: "localhost:2575".into(),
        preset: Preset::Medsynapse,
        scope: Scope::All,
        mark: "QQQQQQ".into(),
        at: "2030-01-02 03:04:05 UTC".into(),
        lines: vec![
            Line {
                number: "FRM-01",
                rule: "A message in one frame is answered by one frame.",
                basis: Basis::Statement,
                verdict: Verdict::Passed,
            },
            Line {
                number: "FRM-07",
                rule: "The connection is closed after its one answer.",
                basis: Basis::Statement,
                verdict: Verdict::NotApplicable("medsynapse-strict only".into()),
            },
            Line {
                number: "ORM-12",
                rule: "Patient ID is mandatory.",
                basis: Basis::Statement,
                verdict: Verdict::Failed(Failure {
                    expected: "AR \"Missing PID-3\"".into(),
                    got: "AA \"Fine <b>\"".into(),
                    sent: b"MSH|^~\\&|A\rPID|1\r".to_vec(),
                    received: b"MSH|^~\\&|B\rMSA|AA|1|Fine <b>\r".to_vec(),
                }),
            },
        ],
        interrupted: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_what_was_expected_and_the_bytes() {
        let report = sample();
        let all: String = report.lines.iter().map(text).collect();
        let plain = anstream::adapter::strip_str(&all).to_string();
        insta::assert_snapshot!(plain, @r#"
        passed  FRM-01  A message in one frame is answered by one frame.
        n/a     FRM-07  The connection is closed after its one answer. (medsynapse-strict only)
        failed  ORM-12  Patient ID is mandatory. (statement)
                expected  AR "Missing PID-3"
                got       AA "Fine <b>"
                sent      MSH|^~\&|A<CR>PID|1<CR>
                received  MSH|^~\&|B<CR>MSA|AA|1|Fine <b><CR>
        "#);
        assert_eq!(
            report.last_words(),
            "Conformance: 1 passed, 1 failed, 1 not applicable."
        );
    }

    #[test]
    fn json_has_a_line_for_each_case_and_a_summary() {
        let objects = sample().objects();
        assert_eq!(objects.len(), 4);
        assert_eq!(objects[2]["verdict"], "failed");
        assert_eq!(objects[2]["expected"], "AR \"Missing PID-3\"");
        assert_eq!(objects[3]["failed"], 1);
    }

    #[test]
    fn what_cannot_be_seen_is_named() {
        assert_eq!(visible(b"\x0BA\r\n\x1C\0"), "<VT>A<CR><LF><FS><00>");
        assert_eq!(visible(b""), "nothing");
        assert!(visible(&[b'x'; 3_000]).ends_with("… (3000 bytes)"));
    }
}
