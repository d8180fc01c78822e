//! The rules of the conformance statement, one test a rule.

use medsynapse::{AccessionNumber, Attribute, OrderState, Profile};
use medsynapse_store::MessageQuery;

use crate::bed::{Bed, Over, a08, a40, message, order, over_both, report};

over_both!(
    orders_are_registered_updated_completed_and_cancelled,
    an_order_that_is_not_known_cannot_be_changed,
    absent_keeps_null_clears_text_sets,
    the_study_instance_uid_is_made_once_and_kept,
    an_order_keeps_its_segments_to_the_byte,
    a_second_report_updates_the_first,
    demographics_change_in_all_orders_of_the_patient,
    a_merge_moves_orders_and_gives_them_the_surviving_demographics,
    a_message_sent_again_is_answered_as_the_first_time_and_applied_once,
    a_refused_message_sent_again_is_refused_as_the_first_time,
    a_control_id_used_again_is_a_new_message_with_a_warning,
    the_acknowledgement_has_the_shape_of_the_statement,
    what_is_refused_is_kept_with_its_answer,
    an_acknowledgement_is_never_acknowledged,
    err_is_sent_where_the_profile_says_so,
    an_order_that_changes_hands_says_so,
    counts_follow_the_log,
    every_sample_message_gets_the_answer_that_it_expects,
);

fn log(bed: &Bed) -> Vec<(String, String)> {
    let query = MessageQuery {
        limit: 100,
        ..MessageQuery::default()
    };
    let page = bed.broker.store().messages(&query).unwrap();
    assert_eq!(page.total, page.items.len() as u64);
    page.items
        .into_iter()
        .map(|m| (m.control_id, m.ack_code))
        .collect()
}

async fn orders_are_registered_updated_completed_and_cancelled(over: &Over) {
    let bed = Bed::new(over);
    bed.check("ORM^O01", &order("NW", "A1", "P1"), "AA Order registered.")
        .await;
    let first = bed.order("A1").unwrap();
    assert_eq!(first.order.state, OrderState::Scheduled);

    let changed = order("NW", "A1", "P1").replace("CT CHEST|ROUTINE", "CT HEAD|STAT");
    bed.check("ORM^O01", &changed, "AA Order updated.").await;
    let text = bed.attribute("A1", Attribute::Priority);
    assert_eq!(text.as_deref(), Some("STAT"));
    let second = bed.order("A1").unwrap();
    assert_eq!(
        (first.created_by, second.created_by, second.updated_by),
        (1, 1, 2)
    );

    bed.check("ORM^O01", &order("XO", "A1", "P1"), "AA Order updated.")
        .await;
    bed.check("ORM^O01", "ORC|CM\rOBR|1|A1\r", "AA Order completed.")
        .await;
    assert_eq!(bed.order("A1").unwrap().order.state, OrderState::Completed);

    // Never shown to a modality again, whatever comes later.
    bed.check("ORM^O01", &order("NW", "A1", "P1"), "AA Order updated.")
        .await;
    assert_eq!(bed.order("A1").unwrap().order.state, OrderState::Completed);

    bed.check("ORM^O01", "ORC|CA\rOBR|1|A1\r", "AA Order cancelled.")
        .await;
    assert_eq!(bed.order("A1"), None);
    assert_eq!(log(&bed).len(), 6);
}

async fn an_order_that_is_not_known_cannot_be_changed(over: &Over) {
    let bed = Bed::new(over);
    for control in ["CA", "CM", "XO"] {
        let text = "AR No order has accession number A9.";
        bed.check("ORM^O01", &order(control, "A9", "P1"), text)
            .await;
    }
    assert_eq!(log(&bed).len(), 3);
    assert_eq!(bed.broker.store().order_count().unwrap(), 0);
    let stored = bed.stored(1);
    assert_eq!(
        (
            stored.findings[0].code.as_str(),
            stored.findings[0].path.as_str()
        ),
        ("204", "OBR-2.1")
    );
}

async fn absent_keeps_null_clears_text_sets(over: &Over) {
    let bed = Bed::new(over);
    bed.check("ORM^O01", &order("NW", "A1", "P1"), "AA Order registered.")
        .await;
    let update = order("NW", "A1", "P1")
        .replace("ADM1", "")
        .replace("19800101", "\"\"");
    bed.check("ORM^O01", &update, "AA Order updated.").await;
    assert_eq!(
        bed.attribute("A1", Attribute::AdmissionId).as_deref(),
        Some("ADM1")
    );
    assert_eq!(bed.attribute("A1", Attribute::PatientBirthDate), None);
}

async fn the_study_instance_uid_is_made_once_and_kept(over: &Over) {
    let bed = Bed::new(over);
    bed.check("ORM^O01", &order("NW", "A1", "P1"), "AA Order registered.")
        .await;
    let made = bed.attribute("A1", Attribute::StudyInstanceUid).unwrap();
    assert!(made.starts_with("2.25."));
    let elsewhere =
        message("ORM^O01", "Z1", &order("NW", "A1", "P1")).replace("HOSPITAL", "CLINIC");
    bed.send_bytes(elsewhere.as_bytes()).await;
    assert_eq!(
        bed.attribute("A1", Attribute::StudyInstanceUid).unwrap(),
        made
    );
    let nulled = order("NW", "A1", "P1") + "ZDS|\"\"\r";
    bed.check("ORM^O01", &nulled, "AA Order updated.").await;
    assert_eq!(
        bed.attribute("A1", Attribute::StudyInstanceUid).unwrap(),
        made
    );
    let brought = order("NW", "A1", "P1") + "ZDS|1.2.3^^Application^DICOM\r";
    bed.check("ORM^O01", &brought, "AA Order updated.").await;
    assert_eq!(
        bed.attribute("A1", Attribute::StudyInstanceUid).unwrap(),
        "1.2.3"
    );
}

async fn an_order_keeps_its_segments_to_the_byte(over: &Over) {
    let bed = Bed::new(over);
    let text = order("NW", "A1", "P1") + "NTE|1||not kept\rZDS|1.2.3\r";
    bed.check("ORM^O01", &text, "AA Order registered.").await;
    let segments = bed.order("A1").unwrap().order.segments;
    let kept = text.replace("NTE|1||not kept\r", "");
    assert_eq!(String::from_utf8(segments.bytes).unwrap(), kept);
    assert_eq!(segments.delimiters, b"|^~\\&");
}

async fn a_second_report_updates_the_first(over: &Over) {
    let bed = Bed::new(over);
    bed.check("ORM^O01", &order("NW", "A1", "P1"), "AA Order registered.")
        .await;
    bed.check("ORU^R01", &report("A1", "One"), "AA Report registered.")
        .await;
    bed.check(
        "ORU^R01",
        &report("A1", r"Two\X0D\\X0A\lines"),
        "AA Report updated.",
    )
    .await;
    let id = AccessionNumber::try_from("A1").unwrap();
    let record = bed.broker.store().report(&id).unwrap().unwrap();
    assert_eq!(
        (record.report.text.as_str(), record.version),
        ("Two\nlines", 2)
    );
    // No order: kept with its segments, and no worklist entry comes of it.
    bed.check("ORU^R01", &report("UNKNOWN", "x"), "AA Report registered.")
        .await;
    assert_eq!(bed.order("UNKNOWN"), None);
}

async fn demographics_change_in_all_orders_of_the_patient(over: &Over) {
    let bed = Bed::new(over);
    for accession_number in ["A1", "A2"] {
        let new = order("NW", accession_number, "P1");
        bed.check("ORM^O01", &new, "AA Order registered.").await;
    }
    bed.check("ORM^O01", &order("NW", "A3", "P2"), "AA Order registered.")
        .await;
    let update = a08("PID|1||P1||DOE^JANE||19700101|F");
    bed.check(
        "ADT^A08",
        &update,
        "AA Patient information updated in 2 orders.",
    )
    .await;
    for accession_number in ["A1", "A2"] {
        let of = |attribute| bed.attribute(accession_number, attribute);
        assert_eq!(of(Attribute::PatientName).as_deref(), Some("DOE^JANE"));
        assert_eq!(of(Attribute::PatientSex).as_deref(), Some("F"));
        // Only name, sex and admission id are updated; empty keeps.
        assert_eq!(of(Attribute::PatientBirthDate).as_deref(), Some("19800101"));
        assert_eq!(of(Attribute::AdmissionId).as_deref(), Some("ADM1"));
    }
    assert_eq!(
        bed.attribute("A3", Attribute::PatientName).as_deref(),
        Some("SMITH^JOHN")
    );
    let clear = a08("PID|1||P1||\"\"|||||||||||||\"\"");
    bed.check(
        "ADT^A08",
        &clear,
        "AA Patient information updated in 2 orders.",
    )
    .await;
    assert_eq!(bed.attribute("A1", Attribute::AdmissionId), None);
    assert_eq!(
        bed.attribute("A1", Attribute::PatientName).as_deref(),
        Some("DOE^JANE")
    );
    let nobody = a08("PID|1||NOBODY||X^Y");
    bed.check(
        "ADT^A08",
        &nobody,
        "AA Patient information updated in 0 orders.",
    )
    .await;
}

async fn a_merge_moves_orders_and_gives_them_the_surviving_demographics(over: &Over) {
    let bed = Bed::new(over);
    for (accession_number, patient) in [("A1", "OLD"), ("A2", "OLD"), ("A3", "NEW")] {
        let new = order("NW", accession_number, patient);
        bed.check("ORM^O01", &new, "AA Order registered.").await;
    }
    let change = a08("PID|1||NEW||DOE^JANE|||F");
    bed.check(
        "ADT^A08",
        &change,
        "AA Patient information updated in 1 orders.",
    )
    .await;
    let merge = a40("PID|1||NEW", "OLD");
    bed.check("ADT^A40", &merge, "AA Patient merged, 2 orders moved.")
        .await;
    for accession_number in ["A1", "A2", "A3"] {
        let of = |attribute| bed.attribute(accession_number, attribute).unwrap();
        assert_eq!(of(Attribute::PatientId), "NEW");
        assert_eq!(of(Attribute::PatientName), "DOE^JANE");
        assert_eq!(of(Attribute::PatientSex), "F");
    }
    // The old id is gone: the same merge again moves nothing.
    bed.check("ADT^A40", &merge, "AA Patient merged, 0 orders moved.")
        .await;
    bed.check(
        "ADT^A40",
        &a40("PID|1||X", "X"),
        "AR MRG-1 and PID-3 are the same patient id.",
    )
    .await;
    // What the message says of the patient that stays comes first.
    let named = a40("PID|1||LAST||LAST^NAME|||O", "NEW");
    bed.check("ADT^A40", &named, "AA Patient merged, 3 orders moved.")
        .await;
    assert_eq!(
        bed.attribute("A1", Attribute::PatientName).as_deref(),
        Some("LAST^NAME")
    );
    assert_eq!(
        bed.attribute("A1", Attribute::PatientBirthDate).as_deref(),
        Some("19800101")
    );
}

async fn a_message_sent_again_is_answered_as_the_first_time_and_applied_once(over: &Over) {
    let bed = Bed::new(over);
    bed.check("ORM^O01", &order("NW", "A1", "OLD"), "AA Order registered.")
        .await;
    let merge = message("ADT^A40", "M40", &a40("PID|1||NEW", "OLD"));
    let first = bed.send_bytes(merge.as_bytes()).await;
    assert_eq!(first.text, "Patient merged, 1 orders moved.");
    let again = bed.send_bytes(merge.as_bytes()).await;
    assert!(again.duplicate);
    assert_eq!((again.code, &again.text), (first.code, &first.text));
    assert_eq!(again.message_id, first.message_id);
    assert_ne!(
        again.ack, first.ack,
        "a new acknowledgement has its own control id"
    );
    let bed = bed.restart().await;
    let after = bed.send_bytes(merge.as_bytes()).await;
    assert_eq!((after.duplicate, after.text), (true, first.text));
    assert_eq!(bed.stored(2).summary.retransmissions, 2);
    assert_eq!(log(&bed).len(), 2);
}

async fn a_refused_message_sent_again_is_refused_as_the_first_time(over: &Over) {
    let bed = Bed::new(over);
    let cancel = message("ORM^O01", "M1", "ORC|CA\rOBR|1|A1\r");
    let first = bed.send_bytes(cancel.as_bytes()).await;
    bed.check("ORM^O01", &order("NW", "A1", "P1"), "AA Order registered.")
        .await;
    let again = bed.send_bytes(cancel.as_bytes()).await;
    assert_eq!((again.code, again.text), (first.code, first.text));
    assert!(bed.order("A1").is_some());
}

async fn a_control_id_used_again_is_a_new_message_with_a_warning(over: &Over) {
    let bed = Bed::new(over);
    let one = message("ORM^O01", "SAME", &order("NW", "A1", "P1"));
    let two = message("ORM^O01", "SAME", &order("NW", "A2", "P1"));
    bed.send_bytes(one.as_bytes()).await;
    let answer = bed.send_bytes(two.as_bytes()).await;
    assert_eq!(answer.text, "Order registered.");
    let stored = bed.stored(answer.message_id.unwrap());
    assert_eq!(stored.warnings[0].code, "control-id-reused");
    // Another sender has control ids of its own.
    let other = one.replace("|RIS|", "|RIS2|");
    let answer = bed.send_bytes(other.as_bytes()).await;
    assert_eq!(
        (answer.duplicate, answer.text.as_str()),
        (false, "Order updated.")
    );
    assert_eq!(
        bed.stored(answer.message_id.unwrap()).summary.warning_count,
        0
    );

    let strict = Bed::strict(over);
    strict.send_bytes(one.as_bytes()).await;
    let answer = strict.send_bytes(two.as_bytes()).await;
    assert_eq!(answer.code.as_str(), "AR");
    assert_eq!(answer.text, "MSH-10 was used before with other content.");
    assert_eq!(strict.order("A2"), None);
}

async fn the_acknowledgement_has_the_shape_of_the_statement(over: &Over) {
    let bed = Bed::new(over);
    let message = message("ORM^O01", "MSG 1", &order("NW", "A1", "P1"));
    let answer = bed.send_bytes(message.as_bytes()).await;
    let ack = String::from_utf8(answer.ack.to_vec()).unwrap();
    let own = ack.split('|').nth(9).unwrap().to_owned();
    assert_eq!(
        ack.replace(&own, "OWN"),
        "MSH|^~\\&|PACS_APP|PACS_FACILITY|RIS|HOSPITAL|20230614131416||ACK^O01|OWN|P|2.3|1||||91|||\r\
         MSA|AA|MSG 1|Order registered.|||\r"
    );
    let stored = bed.stored(1);
    assert_eq!(stored.ack, answer.ack);
    assert_eq!(stored.raw, message.as_bytes());
}

async fn what_is_refused_is_kept_with_its_answer(over: &Over) {
    let bed = Bed::new(over);
    let cases: [(&[u8], &str); 7] = [
        (b"hello", "No message: the input does not start with MSH."),
        (b"", "No message: the input is empty."),
        (
            b"MSH|^^\\&|A|B|C|D|||ORM^O01|77|P|2.3\r",
            "Two delimiters are the same character.",
        ),
        (b"MSH|^~\\&|A|B|C|D|||ORM^O01||P|2.3\r", "Missing MSH-10"),
        (
            b"MSH|^~\\&|A|B|C|D|||SIU^S12|5|P|2.3\r",
            "Message type SIU is not supported.",
        ),
        (
            b"FHS|^~\\&|A\rBHS|^~\\&\r",
            "Batches are not supported; send one message a frame.",
        ),
        (
            b"MSH|^~\\&|A|B|C|D|||ORM^O01|6|P|2.3\rORC|NW\r",
            "Missing PID-3,5,8 OBR-2,4,15,18,19,21,24,36",
        ),
    ];
    for (n, (bytes, text)) in cases.iter().enumerate() {
        let answer = bed.send_bytes(bytes).await;
        assert_eq!((answer.code.as_str(), answer.text.as_str()), ("AR", *text));
        let stored = bed.stored(answer.message_id.unwrap());
        assert_eq!(
            (stored.raw.as_slice(), &stored.ack),
            (*bytes, &answer.ack.to_vec())
        );
        assert!(!stored.findings.is_empty(), "case {n}");
    }
    // A control id that could be read is answered even where the delimiters are broken.
    assert_eq!(bed.stored(3).summary.control_id, "77");
    assert!(
        String::from_utf8(bed.stored(3).ack)
            .unwrap()
            .contains("MSA|AR|77|")
    );
}

async fn an_acknowledgement_is_never_acknowledged(over: &Over) {
    let bed = Bed::new(over);
    let ack = message("ACK^O01", "9", "MSA|AA|1\r");
    let answer = bed.broker.receive(ack.into(), crate::bed::origin()).await;
    assert_eq!(answer, None);
}

async fn err_is_sent_where_the_profile_says_so(over: &Over) {
    let bed = Bed::with(
        over,
        Profile {
            send_err: true,
            ..Profile::default()
        },
    );
    let answer = bed.send("ORM^O01", "ORC|CA\rOBR|1\r").await;
    let ack = String::from_utf8(answer.ack.to_vec()).unwrap();
    assert!(
        ack.ends_with("\rERR|OBR^1^2^101&Required field missing&HL70357\r"),
        "{ack}"
    );
}

async fn an_order_that_changes_hands_says_so(over: &Over) {
    let bed = Bed::new(over);
    bed.check("ORM^O01", &order("NW", "A1", "P1"), "AA Order registered.")
        .await;
    let other = order("NW", "A1", "P2") + "ZDS|1.2.3\r";
    bed.check("ORM^O01", &other, "AA Order updated.").await;
    let codes = |id| {
        let warnings = bed.stored(id).warnings.into_iter();
        warnings.map(|warning| warning.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(2), ["other-patient", "other-uid"]);
    // The report is P1's, the order P2's.
    bed.check("ORU^R01", &report("A1", "x"), "AA Report registered.")
        .await;
    assert_eq!(codes(3), ["other-patient"]);
}

async fn counts_follow_the_log(over: &Over) {
    let bed = Bed::new(over);
    bed.send("ORM^O01", &order("NW", "A1", "P1")).await;
    bed.send("ORM^O01", &order("NW", "A2", "P1")).await;
    bed.send("ORU^R01", &report("A1", "x")).await;
    bed.send_bytes(b"junk").await;
    let types = bed.broker.store().message_types().unwrap();
    assert_eq!(
        types,
        [
            (String::new(), 1),
            ("ORM".to_owned(), 2),
            ("ORU".to_owned(), 1)
        ]
    );
    let query = MessageQuery {
        message_code: Some("ORM".into()),
        limit: 1,
        ..Default::default()
    };
    let page = bed.broker.store().messages(&query).unwrap();
    assert_eq!((page.total, page.items.len()), (2, 1));
}

async fn every_sample_message_gets_the_answer_that_it_expects(over: &Over) {
    use hl7_corpus::{CASES, Expect};
    let bed = Bed::new(over);
    for case in CASES {
        let answer = bed
            .broker
            .receive(case.bytes.into(), crate::bed::origin())
            .await
            .map(|answer| (answer.code.as_str(), answer.text));
        let expected = match case.expect {
            Expect::Accepted(text) => Some(("AA", text.to_owned())),
            Expect::Refused(text) => Some(("AR", text.to_owned())),
            Expect::NotAnswered => None,
        };
        assert_eq!(answer, expected, "{}", case.name);
    }
    assert_eq!(
        bed.attribute("ACC20230003", Attribute::PatientName)
            .as_deref(),
        Some("MÜLLER-LÜDENSCHEIDT^JÖRG")
    );
    assert_eq!(
        bed.attribute("ACC20230004", Attribute::PatientName)
            .as_deref(),
        Some("O#NEIL^SEAN")
    );
}
