//! The page of all errors, made from the types that say them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use hl7_message::{ErrorCondition, ParseErrorKind};
use hl7_mllp::FrameErrorKind;

use medsynapse::{AccessionNumber, Effect, Warning};
use medsynapse_http::ProblemCode;

/// Table 0357, and when the broker says each.
fn conditions() -> String {
    use ErrorCondition as E;

    let all = [
        E::SegmentSequence,
        E::RequiredFieldMissing,
        E::DataType,
        E::TableValueNotFound,
        E::UnsupportedMessageType,
        E::UnsupportedEvent,
        E::UnsupportedProcessingId,
        E::UnsupportedVersion,
        E::UnknownKey,
        E::DuplicateKey,
        E::RecordLocked,
        E::InternalError,
    ];
    let mut table = String::from("| number | name | the broker says it when |\n|---|---|---|\n");
    for condition in all {
        let when = match condition {
            E::SegmentSequence => {
                "a segment is missing or stands twice, or the bytes are no message"
            }
            E::RequiredFieldMissing => "a mandatory field is missing or empty",
            E::DataType => {
                "a value is too long, no date, not in the character set, or a delimiter is wrong"
            }
            E::TableValueNotFound => "a code is none of its table, for instance PID-8 or ORC-1",
            E::UnsupportedMessageType => {
                "MSH-9.1 is not ORM, ORU or ADT, or the frame holds a batch"
            }
            E::UnsupportedEvent => "MSH-9.2 is not an event of the statement",
            E::UnsupportedProcessingId => "MSH-11 is not P, T or D",
            E::UnsupportedVersion => "MSH-12 is not read by this preset",
            E::UnknownKey => "a cancellation or completion names an order that is not there",
            E::DuplicateKey => {
                "MSH-10 was used before with other content (strict preset), or both patient IDs of \
                 a merge are the same"
            }
            E::RecordLocked => "never",
            E::InternalError => {
                "the message goes on in another one (MSH-14, DSC), which is not supported"
            }
        };
        writeln!(
            table,
            "| {} | {} | {when} |",
            condition.code(),
            condition.text()
        )
        .unwrap();
    }
    table
}

/// The answers to messages that were understood.
fn effects() -> String {
    use Effect as E;

    let mut table = String::from("| MSA-1 | MSA-3 | |\n|---|---|---|\n");
    for effect in [
        E::OrderRegistered,
        E::OrderUpdated,
        E::OrderCancelled,
        E::OrderCompleted,
        E::ReportRegistered,
        E::ReportUpdated,
        E::PatientUpdated { orders: 2 },
        E::PatientMerged { orders: 2 },
        E::UnknownOrder(AccessionNumber::try_from("ACC1").unwrap()),
        E::ControlIdReused,
    ] {
        let about = match effect {
            E::OrderRegistered => "ORC-1 `NW`, the accession number is new",
            E::OrderUpdated => "ORC-1 `NW` (or `XO`), the order is there",
            E::OrderCancelled => "ORC-1 `CA`",
            E::OrderCompleted => "ORC-1 `CM`",
            E::ReportRegistered => "ORU^R01, the first report of the study",
            E::ReportUpdated => "ORU^R01, another one",
            E::PatientUpdated { .. } => "ADT^A08; 0 where nobody has this patient ID",
            E::PatientMerged { .. } => "ADT^A40; 0 where nobody has the old one",
            E::UnknownOrder(_) => "`CA`, `CM` or `XO` for an order that is not there",
            E::ControlIdReused => "strict preset alone; else a warning",
        };
        let (code, text) = (effect.code().as_str(), effect.text());
        writeln!(table, "| {code} | `{text}` | {about} |").unwrap();
    }
    table
}

fn unreadable() -> String {
    let mut table = String::from("| MSA-3 begins with, or REST says |\n|---|\n");
    for kind in [
        ParseErrorKind::Empty,
        ParseErrorKind::NoHeader,
        ParseErrorKind::WideCharacters,
        ParseErrorKind::FieldSeparator,
        ParseErrorKind::EncodingCharacters,
        ParseErrorKind::SeparatorCollision,
        ParseErrorKind::TooLong { max: 1000 },
        ParseErrorKind::TooManySegments { max: 1000 },
    ] {
        writeln!(table, "| {kind} |").unwrap();
    }
    table
}

fn framing() -> String {
    let mut table = String::from("| name | what |\n|---|---|\n");
    for kind in [
        FrameErrorKind::BlockRestarted,
        FrameErrorKind::EndBlockAlone,
        FrameErrorKind::Truncated,
        FrameErrorKind::FrameTooLarge { limit: 1000 },
        FrameErrorKind::TooMuchJunk { limit: 1000 },
    ] {
        writeln!(table, "| `{}` | {kind} |", kind.name()).unwrap();
    }
    table
}

fn warnings() -> String {
    let mut table = String::from("| code | what |\n|---|---|\n");
    for (code, about) in Warning::CODES {
        writeln!(table, "| `{code}` | {about} |").unwrap();
    }
    table
}

fn page() -> String {
    format!(
        "# Errors and answers

Everything that can be wrong, by where you see it. Made from the types of the code; a test keeps it
true. What to do about symptoms is in [troubleshooting](../guide/troubleshooting.md).

## Acknowledgements

MSA-1 is `AA` (taken, and on disk), `AR` (read and refused: correct it and send it under a new
control id) or `AE` (the broker's own trouble: send the same again later). MSA-3 has at most 80
characters, so a long list of reasons is cut there; the page of the message and `hl7` of a REST
answer have all of them.

{}
Everything else that is refused is an `AR` whose MSA-3 names the places, for instance `Missing OBR-24
OBR-36`.

## Conditions

The number of table 0357 stands in ERR where `broker.send_err` is on, in `hl7[].code` of REST
answers, in the label `reason` of `hl7_messages_refused_total`, and on the page of the message.

{}
## Bytes that are no message

Answered with `AR` and 100 or 102; numbers are the limits in force.

{}
## Warnings

A message with a warning was taken. The page of the message shows them; `has:warnings` finds them.

{}
## Framing

What does not read as an MLLP frame gets no answer: nobody knows where the next message begins. The
connection is closed and `mllp_frame_errors_total` counts it under this name.

{}
## REST

An error is `application/problem+json`:

```json
{{\"type\": \"about:blank\", \"title\": \"Unprocessable Entity\", \"status\": 422, \
\"code\": \"message_rejected\",
 \"error\": \"Missing OBR-24 OBR-36\",
 \"hl7\": [{{\"path\": \"OBR-24\", \"code\": \"101\", \"message\": \"OBR-24 is missing.\"}}]}}
```

`code` is for programs and does not change, `error` is for people and may. `hl7` lists every place
that is wrong, never a value.

{}
## DICOM

Statuses of C-FIND, N-CREATE, N-SET and C-STORE: [DICOM conformance](dicom-conformance.md#statuses).

## Programs

Exit codes stand in the help of each program: [hl7-server](hl7-server.md),
[hl7-sender](hl7-sender.md), [hl7-generator](hl7-generator.md).
",
        effects(),
        conditions(),
        unreadable(),
        warnings(),
        framing(),
        ProblemCode::table()
    )
}

#[test]
fn the_page_of_errors_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/errors.md");
    let wanted = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/reference/errors.md is not up to date: run this test with UPDATE_DOCS=1"
    );
}

#[test]
fn a_name_stands_once_for_each_status_and_statuses_stand_together() {
    let mut seen = BTreeSet::new();
    let mut last = 0;
    for code in ProblemCode::ALL {
        let status = code.status().as_u16();
        assert!(seen.insert((status, code.as_str())), "{code:?}");
        assert!(status >= last, "{code:?} stands behind {last}");
        last = status;
    }
}

/// The codes of warnings that the sources make: each is in the list, and none besides.
#[test]
fn every_warning_is_in_the_list() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut made = BTreeSet::new();
    let mut take = |text: &str, before: &str| {
        for rest in text.split(before).skip(1) {
            let rest = rest.trim_start().strip_prefix('"');
            if let Some((code, _)) = rest.and_then(|rest| rest.split_once('"')) {
                made.insert(code.to_owned());
            }
        }
    };
    for entry in std::fs::read_dir(crates.join("medsynapse/src/interpret")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        take(&text, "code:");
        take(&text, "Oddity::Taken(");
        take(&text, "Oddity::Unusable(");
    }
    for entry in std::fs::read_dir(crates.join("medsynapse-store/src/decide")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        take(&text, "Note::warning(");
    }
    let listed: BTreeSet<_> = Warning::CODES
        .iter()
        .map(|(code, _)| (*code).to_owned())
        .collect();
    assert_eq!(made, listed);
}
