//! One entry in three forms, and a message looked at in every way.

use medsynapse::Profile;
use medsynapse::domain::{Options, RoundTrip, Source, convert, round_trip, validate};
use serde_json::{Value, json};

use super::context;

fn forms(entry: &Value) -> Value {
    convert(entry, &context(), &Options::default())
        .unwrap()
        .to_json()
}

fn refused(entry: &Value) -> Value {
    let errors = convert(entry, &context(), &Options::default()).unwrap_err();
    serde_json::to_value(errors.problems()).unwrap()
}

const ORDER: &str =
    "MSH|^~\\&|A|B|C|D|20230614||ORM^O01|1|P|2.3\rPID|1||P1||DOE^J&X\rORC|CA\rOBR|1|A1\r";

#[test]
fn every_form_gives_all_of_them() {
    let first = forms(&json!({"message": ORDER}));
    assert_eq!(first["message"], ORDER);
    assert_eq!(
        first["domain"]["order"]["patient"]["name"],
        json!({"family": "DOE", "given": "J"})
    );
    assert_eq!(forms(&json!({"raw": first["raw"]})), first);
    let domain = json!({"domain": {"order": first["domain"]["order"]}});
    assert_eq!(forms(&domain)["domain"]["order"], first["domain"]["order"]);
}

#[test]
fn line_ends_of_a_pasted_message_stay() {
    let pasted = ORDER.replace('\r', "\n");
    let forms = forms(&json!({"message": pasted}));
    assert_eq!(forms["message"], pasted);
    assert_eq!(forms["raw"]["terminator"], "\n");
}

#[test]
fn a_message_without_a_domain_form_has_the_others() {
    let forms = forms(&json!({"message": "MSH|^~\\&|A|B|C|D|2023||SIU^S12|1|P|2.3\r"}));
    assert_eq!(forms["domain"], Value::Null);
    assert_eq!(forms["raw"]["format"], "hl7v2-raw/1");
}

#[test]
fn text_goes_into_the_character_set_that_it_names() {
    let latin = "MSH|^~\\&|A|B|C|D|2023||ADT^A08|1|P|2.3||||||8859/1\rEVN|A08\rPID|1||7||MÜLLER\r";
    let converted = convert(&json!({"message": latin}), &context(), &Options::default()).unwrap();
    assert!(converted.bytes.windows(4).any(|bytes| bytes == b"M\xDCLL"));
    let forms = converted.to_json();
    assert_eq!(forms["message"], latin);
    assert_eq!(forms["domain"]["patient"]["name"]["family"], "MÜLLER");
    assert_eq!(forms["raw"]["segments"][2]["fields"][4], "MÜLLER");
}

#[test]
fn what_was_made_up_is_told() {
    let options = Options {
        explain: true,
        ..Options::default()
    };
    let entry = json!({"domain": {"order": {"accessionNumber": "A1",
        "patient": {"id": "1", "name": "DOE", "gender": "F"}, "study": {"description": "CT HEAD"}}}});
    let forms = convert(&entry, &context(), &options).unwrap().to_json();
    assert_eq!(
        forms["domain"]["_map"]["order.study.priority"],
        "OBR-5.1 (made up: default, ROUTINE)"
    );
}

#[test]
fn what_is_wrong_has_a_place() {
    assert_eq!(
        refused(&json!({"message": 1}))[0]["jsonPointer"],
        "/message"
    );
    assert_eq!(refused(&json!({"message": "PID|1"}))[0]["code"], "not-hl7");
    assert_eq!(refused(&json!({}))[0]["code"], "one-form");
    assert_eq!(
        refused(&json!({"message": ORDER, "raw": {}}))[0]["code"],
        "one-form"
    );
    assert_eq!(
        refused(&json!({"domain": {"order": {"patient": {"id": 1}}}}))[0]["jsonPointer"],
        "/domain/order/patient/id"
    );
    let mut raw = forms(&json!({"message": ORDER}))["raw"].clone();
    raw["segments"][1]["fields"][2] = json!("a|b");
    assert_eq!(
        refused(&json!({"raw": raw})),
        json!([{"jsonPointer": "/raw/segments/1", "path": "PID-3", "segmentIndex": 1,
            "code": "not-raw", "message": "is not the raw form: a delimiter or a line end that is \
             not escaped in field 3 of segment 2 (PID-3)"}])
    );
}

#[test]
fn the_light_is_green() {
    let of = |bytes: &[u8]| round_trip(bytes, &context());
    let green = RoundTrip {
        raw: true,
        domain: Some(true),
    };
    assert_eq!(of(ORDER.as_bytes()), green);
    for case in hl7_corpus::CASES {
        let light = of(case.bytes);
        assert!(light.raw && light.domain != Some(false), "{}", case.name);
    }
    let other = of(b"MSH|^~\\&|A|B|C|D|2023||SIU^S12|1|P|2.3\r");
    assert_eq!((other.raw, other.domain), (true, None));
    // An accession number that is too long is refused in a request, and shown as it is.
    let long = ORDER.replace("A1", "A1234567890123456");
    assert_eq!(of(long.as_bytes()).domain, Some(true));
}

#[test]
fn a_message_in_every_way() {
    let bytes = "MSH|^~\\&|A|B|C|D|20230614131415||ORM^O01|1|P|2.3\nPID|1||P1||DOE||19800101|W\n\
                 PV1|1|O\nORC|NW\nOBR|1|A1||S^D|||||||||||D\nNTE|1||a\\Q\\b";
    let validation = validate(bytes.as_bytes(), &Profile::default());
    assert_eq!(
        validation.refusal.as_deref(),
        Some("Missing OBR-18 OBR-19 OBR-21 OBR-24 OBR-36")
    );
    let issues: Vec<String> = validation
        .issues
        .iter()
        .map(|issue| {
            let place = issue.path.map_or(String::new(), |path| path.to_string());
            let (offset, length) = (issue.byte_offset.unwrap(), issue.length);
            if let Some(length) = length {
                assert!(offset + length <= bytes.len());
            }
            format!(
                "{:?} {:?} {} {place} {offset}",
                issue.source, issue.severity, issue.code
            )
        })
        .collect();
    insta::assert_snapshot!(issues.join("\n"));
    for source in [Source::Format, Source::Dictionary, Source::Broker] {
        assert!(validation.issues.iter().any(|issue| issue.source == source));
    }
    let sex = &validation.to_json()["issues"];
    let sex = sex
        .as_array()
        .unwrap()
        .iter()
        .find(|issue| issue["code"] == "103")
        .unwrap();
    assert_eq!(
        (&sex["segmentIndex"], &sex["length"]),
        (&json!(1), &json!(1))
    );
}

#[test]
fn what_is_no_message_has_one_issue() {
    let validation = validate(b"hello", &Profile::default());
    assert_eq!(validation.issues.len(), 1);
    assert!(validation.refusal.is_some());
    let ack = validate(
        b"MSH|^~\\&|A|B|C|D|2023||ACK|1|P|2.3\rMSA|AA|1\r",
        &Profile::default(),
    );
    assert_eq!(ack.refusal, None);
}
