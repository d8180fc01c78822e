use super::*;
use crate::ack::{Ack, AckMode, AckWhen, Reply, Responder};
use crate::message::Message;
use crate::timestamp::Timestamp;

/// One row: the situation, the answer in `standard` and in `medsynapse`, the answers of enhanced
/// mode with AL and AL, ERR-1. `-` is no answer, `=` the one given before; a place of `_` is for
/// the caller to say.
type Row = (
    Situation,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

const TABLE: [Row; 24] = [
    (Situation::BrokenFrame, "drop", "drop", "drop", ""),
    (Situation::NotMsh, "AR", "AR", "CR", "MSH^1^^100"),
    (Situation::Delimiters, "AR", "AR", "CR", "MSH^1^2^102"),
    (Situation::NoControlId, "AR", "AR", "CR", "MSH^1^10^101"),
    (
        Situation::UnsupportedMessageType,
        "AR",
        "AR",
        "CR",
        "MSH^1^9^200",
    ),
    (Situation::UnsupportedEvent, "AR", "AR", "CR", "MSH^1^9^201"),
    (
        Situation::UnsupportedProcessingId,
        "AR",
        "AR",
        "CR",
        "MSH^1^11^202",
    ),
    (
        Situation::UnsupportedVersion,
        "AR",
        "AR",
        "CR",
        "MSH^1^12^203",
    ),
    (Situation::UnknownCharset, "AE", "AR", "CE", "MSH^1^18^103"),
    (Situation::InvalidBytes, "AE", "AR", "CE", "_102"),
    (Situation::SegmentSequence, "AE", "AR", "CA AE", "_100"),
    (Situation::RequiredFieldMissing, "AE", "AR", "CA AE", "_101"),
    (Situation::DataType, "AE", "AR", "CA AE", "_102"),
    (Situation::TableValueNotFound, "AE", "AR", "CA AE", "_103"),
    (Situation::TooManyOccurrences, "AE", "AR", "CA AE", "_100"),
    (Situation::UnknownKey, "AE", "AR", "CA AE", "_204"),
    (Situation::Resent, "=", "=", "=", ""),
    (Situation::ControlIdReused, "AE", "AR", "CE", "MSH^1^10^205"),
    (Situation::RecordLocked, "AR", "AE", "CE", "_206"),
    (Situation::Unavailable, "AR", "AE", "CE", "_207"),
    (Situation::HandlerFailed, "AR", "AE", "CA AR", "_207"),
    (Situation::Batch, "AR", "AR", "CR", "FHS^1^^200"),
    (Situation::Continuation, "AR", "AR", "CR", "MSH^1^14^207"),
    (Situation::Acknowledgement, "-", "-", "-", ""),
];

fn letters(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Drop => "drop",
        Verdict::Silence => "-",
        Verdict::Repeat => "=",
        Verdict::Answer(code) => code.as_str(),
    }
}

#[test]
fn every_row_of_the_table() {
    assert_eq!(TABLE.map(|row| row.0), Situation::ALL);
    let mode = AckMode::Enhanced {
        accept: AckWhen::Always,
        application: AckWhen::Always,
    };
    for (situation, standard, medsynapse, enhanced, error) in TABLE {
        assert_eq!(letters(situation.verdict(Convention::Standard)), standard);
        assert_eq!(
            letters(situation.verdict(Convention::Medsynapse)),
            medsynapse
        );
        let stages = situation.commit().map_or_else(
            || standard.to_owned(),
            |commit| {
                let answers = mode.answers(commit, situation.application());
                [answers.commit, answers.application]
                    .into_iter()
                    .flatten()
                    .map(AckCode::as_str)
                    .collect::<Vec<_>>()
                    .join(" ")
            },
        );
        assert_eq!(stages, enhanced, "{situation:?}");
        let place = situation.place().map_or("_".to_owned(), |place| {
            let field = place
                .field_number()
                .map_or(String::new(), |n| n.to_string());
            format!("{}^1^{field}^", place.segment_id().as_str())
        });
        let code = situation
            .error()
            .map_or(String::new(), |error| format!("{place}{}", error.code()));
        assert_eq!(code, error, "{situation:?}");
    }
}

#[test]
fn every_error_is_written_in_the_form_of_version_2_3() {
    let responder = Responder {
        application: "A".into(),
        facility: "F".into(),
        version: "2.3".into(),
        sequence_number: String::new(),
        country_code: String::new(),
        padded: false,
    };
    let reply = Reply::to_nobody(
        &responder,
        "1",
        &Timestamp::from_civil((2024, 3, 1), (0, 0, 0)).unwrap(),
    );
    for situation in Situation::ALL {
        let Some(error) = situation.error() else {
            continue;
        };
        let place = situation.place().unwrap_or(loc!("PID-3"));
        let bytes = reply.write(
            AckCode::ApplicationReject,
            situation.text(),
            &[(place, error)],
        );
        let message = Message::parse(&bytes).unwrap();
        assert!(Ack::parse(&message).unwrap().text.len() <= 80);
        let err = message.raw(loc!("ERR-1")).unwrap();
        assert!(err.len() <= 80, "{situation:?}");
        let written = String::from_utf8(err.to_vec()).unwrap();
        let ending = format!("^{}&{}&HL70357", error.code(), error.text());
        assert!(written.ends_with(&ending), "{written}");
    }
}

#[test]
fn parse_errors_are_situations() {
    let of = |bytes: &[u8]| Situation::of_parse_error(Message::parse(bytes).unwrap_err().kind);
    assert_eq!(of(b""), Situation::NotMsh);
    assert_eq!(of(b"PID|1"), Situation::NotMsh);
    assert_eq!(of(b"MSH|^^~&|"), Situation::Delimiters);
    assert_eq!(of(b"MSH"), Situation::Delimiters);
}
