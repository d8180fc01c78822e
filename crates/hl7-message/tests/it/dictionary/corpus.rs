//! Messages that are sent, and what the check says of them.

use std::path::PathBuf;

use hl7_message::dictionary::{Checks, Severity, check};
use hl7_message::{ChunkKind, Message, chunks};

/// What the check says of a message of the corpus, without what is only a note.
#[track_caller]
fn found(case: hl7_corpus::Case, expected: &[&str]) {
    let message = Message::parse(case.bytes).unwrap();
    let strict = check(&message, Checks::STRICT);
    let lines = strict
        .iter()
        .filter(|found| found.severity > Severity::Note);
    let lines: Vec<_> = lines.map(ToString::to_string).collect();
    assert_eq!(lines, expected, "{}", case.name);
}

/// Priorities in words, and a technician's name where the standard has a moment: what radiology
/// systems send.
const USUAL: [&str; 2] = [
    "warning: longer than 2 characters at OBR-5 (byte 436)",
    "warning: not a value of data type TS at OBR-34.2 (byte 557)",
];

#[test]
fn orders() {
    found(hl7_corpus::orm_new, &USUAL);
    found(hl7_corpus::orm_cancel, &USUAL);
    found(
        hl7_corpus::orm_update,
        &[
            USUAL[0],
            "warning: not a value of data type TS at OBR-34.2 (byte 554)",
        ],
    );
    found(
        hl7_corpus::orm_change,
        &[
            "warning: longer than 2 characters at OBR-5 (byte 433)",
            "warning: not a value of data type TS at OBR-34.2 (byte 551)",
        ],
    );
    found(
        hl7_corpus::orm_latin1,
        &[
            "warning: longer than 2 characters at OBR-5 (byte 372)",
            "warning: not a value of data type TS at OBR-34.2 (byte 479)",
        ],
    );
    found(
        hl7_corpus::golden_order,
        &["warning: longer than 2 characters at OBR-5 (byte 175)"],
    );
    found(
        hl7_corpus::orm_other_delimiters,
        &[
            "warning: longer than 2 characters at OBR-5 (byte 178)",
            "warning: code not in HL7 table 0074 at OBR-24 (byte 220)",
        ],
    );
    // CM is the broker's own order control.
    found(
        hl7_corpus::orm_complete,
        &[
            "warning: code not in HL7 table 0119 at ORC-1 (byte 308)",
            USUAL[0],
            USUAL[1],
        ],
    );
}

#[test]
fn orders_with_something_wrong() {
    found(
        hl7_corpus::orm_cancel_unknown,
        &["error: required field missing at OBR-4 (byte 109)"],
    );
    found(
        hl7_corpus::orm_missing_four,
        &["warning: longer than 2 characters at OBR-5 (byte 422)"],
    );
    // The modality stands two fields early, where a moment belongs.
    found(
        hl7_corpus::orm_misplaced,
        &[
            "warning: longer than 2 characters at OBR-5 (byte 175)",
            "error: not a value of data type TS at OBR-22 (byte 219)",
        ],
    );
}

#[test]
fn other_messages() {
    found(
        hl7_corpus::adt_a08,
        &["error: required segment missing at PV1 (byte 190)"],
    );
    found(hl7_corpus::adt_a40, &[]);
    found(hl7_corpus::ack_aa, &[]);
    found(hl7_corpus::siu_s12, &[]);
    found(hl7_corpus::golden_report, &[]);
    found(hl7_corpus::oru_report, &USUAL);
    found(hl7_corpus::oru_30_obx, &USUAL);
}

#[test]
fn notes_name_what_sources_disagree_on_and_what_the_site_may_do() {
    let message = Message::parse(hl7_corpus::orm_new.bytes).unwrap();
    let strict = check(&message, Checks::STRICT);
    let notes = strict
        .iter()
        .filter(|found| found.severity == Severity::Note);
    let notes: Vec<_> = notes.map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "note: longer than 12 characters at PV1-3 (byte 213)",
            "note: required field missing at ORC-7 (byte 327)",
            "note: code not in HL7 table 0070 at OBR-15.1 (byte 453)",
            "note: required field missing at OBR-27 (byte 520)",
            "note: local segment at ZDS (byte 579)",
        ]
    );
}

#[test]
fn relaxed_checks_note_and_no_more() {
    for case in hl7_corpus::CASES {
        let message = Message::parse(case.bytes).unwrap();
        let relaxed = check(&message, Checks::RELAXED);
        assert!(
            relaxed.iter().all(|found| found.severity == Severity::Note),
            "{}",
            case.name
        );
        let strict = check(&message, Checks::STRICT);
        let places = |found: &[hl7_message::dictionary::Diagnostic]| -> Vec<_> {
            found
                .iter()
                .map(|found| (found.kind, found.location, found.offset))
                .collect()
        };
        assert_eq!(places(&relaxed), places(&strict), "{}", case.name);
    }
}

/// All files in a folder and in those inside it.
fn files(folder: PathBuf) -> Vec<PathBuf> {
    let mut folders = vec![folder];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

/// Messages of other people's systems, if the folder that `HL7_CORPUS` names has some.
#[test]
fn every_message_can_be_checked() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the folder is the environment's to name"
    )]
    let Ok(folder) = std::env::var("HL7_CORPUS") else {
        return;
    };
    let mut checked = 0;
    for path in files(PathBuf::from(folder)) {
        let bytes = std::fs::read(&path).unwrap();
        for chunk in chunks(&bytes) {
            if chunk.kind != ChunkKind::Message {
                continue;
            }
            let Ok(message) = Message::parse(chunk.bytes) else {
                continue;
            };
            for found in check(&message, Checks::STRICT) {
                assert!(
                    found.offset <= chunk.bytes.len(),
                    "{}: {found}",
                    path.display()
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 0, "an empty corpus proves nothing");
}
