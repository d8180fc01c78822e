use super::*;
use crate::ack::Ack;
use crate::message::Message;

fn responder() -> Responder {
    Responder {
        application: "PACS_APP".into(),
        facility: "PACS_FACILITY".into(),
        version: "2.3".into(),
        sequence_number: "1".into(),
        country_code: "91".into(),
        padded: false,
    }
}

#[track_caller]
fn reply(inbound: &[u8], code: AckCode, text: &str) -> String {
    let now = Timestamp::from_civil((2023, 6, 14), (13, 14, 16)).unwrap();
    let reply = match Header::salvage(inbound) {
        Some(header) => Reply::to(&header, &responder(), "9", &now),
        None => Reply::to_nobody(&responder(), "9", &now),
    };
    let bytes = reply.write(code, text, &[]);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.segment_count(), 2);
    Ack::parse(&message).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_control_id_is_copied_to_the_byte() {
    let answer = reply(
        b"MSH|^~\\&|A\\T\\B^1|F|||||ORM^O01| M\\S\\1 and longer than twenty |T|2.3\r",
        AckCode::ApplicationReject,
        "x",
    );
    assert!(answer.contains("|A\\T\\B^1|F|"), "{answer}");
    assert!(
        answer.contains("MSA|AR| M\\S\\1 and longer than twenty |x\r"),
        "{answer}"
    );
    assert!(answer.contains("|ACK^O01|9|T|2.3|"), "{answer}");
}

#[test]
fn other_delimiters_are_kept() {
    let answer = reply(
        b"MSH@~&#\\@A@F@@@@@ORM~O01@7@P@2.3\r",
        AckCode::ApplicationAccept,
        "a@b",
    );
    assert!(answer.starts_with("MSH@~&#\\@PACS_APP@"), "{answer}");
    assert!(answer.ends_with("MSA@AA@7@a#F#b\r"), "{answer}");
}

#[test]
fn broken_delimiters_are_answered_under_the_usual_ones() {
    let answer = reply(
        b"MSH|^^^^|A&B|F|||||ORM^O01|7|P|2.3\r",
        AckCode::ApplicationReject,
        "x",
    );
    assert!(
        answer.starts_with("MSH|^~\\&|PACS_APP|PACS_FACILITY|A\\T\\B|F|"),
        "{answer}"
    );
    let answer = reply(b"hello", AckCode::ApplicationReject, "x");
    assert!(answer.contains("||ACK|9|P|2.3|"), "{answer}");
    assert!(answer.ends_with("MSA|AR||x\r"), "{answer}");
}

#[test]
fn the_text_keeps_to_its_length() {
    let answer = reply(b"MSH|^~\\&|", AckCode::ApplicationReject, &"é|".repeat(60));
    let msa3 = answer.rsplit('|').next().unwrap().trim_end();
    assert!(msa3.len() <= 80 && msa3.starts_with(r"?\F\?\F\"), "{msa3}");
}

#[test]
fn errors_are_written_as_version_2_3_has_them() {
    let now = Timestamp::from_civil((2023, 6, 14), (13, 14, 16)).unwrap();
    let reply = Reply::to_nobody(&responder(), "9", &now);
    let errors = [
        (loc!("PID-3"), ErrorCondition::RequiredFieldMissing),
        (loc!("OBX[2]"), ErrorCondition::SegmentSequence),
    ];
    let bytes = reply.write(AckCode::ApplicationError, "x", &errors);
    let text = String::from_utf8(bytes).unwrap();
    assert!(
        text.ends_with(
            "ERR|PID^1^3^101&Required field missing&HL70357~\
         OBX^2^^100&Segment sequence error&HL70357\r"
        ),
        "{text}"
    );
}

#[test]
fn the_expected_number_stands_in_msa_4() {
    let now = Timestamp::from_civil((2023, 6, 14), (13, 14, 16)).unwrap();
    let reply = Reply::to_nobody(&responder(), "9", &now).expecting(Number::RESYNCHRONISE);
    let bytes = reply.write(AckCode::CommitAccept, "", &[]);
    assert!(bytes.ends_with(b"MSA|CA|||-1\r"));
    let message = Message::parse(&bytes).unwrap();
    let ack = Ack::parse(&message).unwrap();
    assert_eq!(ack.expected(), Ok(Some(Number::RESYNCHRONISE)));
}

#[test]
fn a_padded_header_can_ask_for_a_commit_answer() {
    let now = Timestamp::from_civil((2023, 6, 14), (13, 14, 16)).unwrap();
    let responder = Responder {
        padded: true,
        ..responder()
    };
    let reply = Reply::to_nobody(&responder, "9", &now).asking(AckWhen::ErrorOrReject);
    let bytes = reply.write(AckCode::ApplicationAccept, "", &[]);
    assert!(bytes.starts_with(
        b"MSH|^~\\&|PACS_APP|PACS_FACILITY|||20230614131416||ACK|9|P|2.3|1||ER|NE|91|||\r"
    ));
}
