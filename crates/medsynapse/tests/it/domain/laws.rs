//! What has to hold for every message and every request.

use hl7_message::Message;
use medsynapse::domain::{Context, Fill, Form, Options, Request, from_message, to_message};
use medsynapse::map::{Detail, Kind, Member};
use medsynapse::synth::{Conformance, Counts, Kind as Made, Options as SynthOptions, Synth};
use medsynapse::{Attribute, Change, Profile, interpret};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{context, published};

/// A message is shown as it is, nothing filled in.
fn as_it_is() -> Context<'static> {
    Context {
        fill: Fill::Nothing,
        ..context()
    }
}

/// The value alone, without warnings.
fn value(bytes: &[u8]) -> Option<Value> {
    let message = Message::parse(bytes).ok()?;
    let form = Form::of(&message)?;
    let json = from_message(&message, &Options::default()).unwrap();
    published::fits(&json);
    let mut alone = Map::new();
    alone.insert(form.name().into(), json[form.name()].clone());
    Some(Value::Object(alone))
}

fn back(json: &Value, context: &Context<'_>) -> Option<Vec<u8>> {
    let request = Request::from_value(json).ok()?;
    to_message(&request, context).ok().map(|(bytes, _)| bytes)
}

/// HL7 → domain → HL7 → domain is the same value; `true` where the form covers the message.
#[track_caller]
fn comes_back(bytes: &[u8], name: &str) -> bool {
    let Some(first) = value(bytes) else {
        return false;
    };
    let message = Message::parse(bytes).unwrap();
    let accepted = interpret(&message, &Profile::default()).outcome.is_ok();
    let Some(written) = back(&first, &as_it_is()) else {
        let problem = Request::from_value(&first).unwrap_err();
        assert!(
            !accepted,
            "{name} is accepted and cannot be written: {problem}"
        );
        return false;
    };
    assert_eq!(value(&written), Some(first), "{name}");
    true
}

fn generated(conformance: Conformance) -> Vec<Vec<u8>> {
    let start = "20260105070000".parse().unwrap();
    let options = SynthOptions {
        conformance,
        ..SynthOptions::default()
    };
    let mut synth = Synth::new(7, &start, options);
    let story = synth.story(Counts::each(&Made::MESSAGES, 150));
    story.map(|made| made.bytes).collect()
}

#[test]
fn what_was_generated_comes_back() {
    for conformance in [
        Conformance::Conformant,
        Conformance::EdgeCases,
        Conformance::Violations,
    ] {
        let messages = generated(conformance);
        let covered = messages
            .iter()
            .filter(|bytes| comes_back(bytes, &String::from_utf8_lossy(bytes)))
            .count();
        assert!(
            covered > messages.len() / 4,
            "{covered} of {}",
            messages.len()
        );
    }
}

/// HL7 → domain → HL7 keeps every mapped field; the gateway may fill what was not said.
#[test]
fn generated_orders_keep_every_mapped_field() {
    let mut orders = 0;
    for conformance in [Conformance::Conformant, Conformance::EdgeCases] {
        for bytes in generated(conformance) {
            let change = |bytes: &[u8]| {
                let message = Message::parse(bytes).unwrap();
                match interpret(&message, &Profile::default()).outcome {
                    Ok(Change::RegisterOrder(order)) => Some(order),
                    _ => None,
                }
            };
            let Some(before) = change(&bytes) else {
                continue;
            };
            orders += 1;
            let json = value(&bytes).unwrap();
            for (context, filled) in [(context(), true), (as_it_is(), false)] {
                let Some(written) = back(&json, &context) else {
                    // Odd messages may lack what the gateway wants.
                    assert!(filled && conformance == Conformance::EdgeCases);
                    continue;
                };
                let after = change(&written).unwrap();
                assert_eq!(before.control, after.control);
                for attribute in Attribute::ALL {
                    let was = before.patches.text(attribute);
                    let is = after.patches.text(attribute);
                    if attribute == Attribute::PatientWeight && was.is_some() {
                        let number = |text: Option<&str>| text.unwrap().parse::<f64>().unwrap();
                        assert!((number(was) - number(is)).abs() < 1e-9);
                    } else if was.is_some() || !filled {
                        let bytes = String::from_utf8_lossy(&bytes);
                        // A name is its five parts; what stands behind them has a warning.
                        let five =
                            |text: &str| text.split('^').take(5).collect::<Vec<_>>().join("^");
                        let was = was.map(|text| match attribute {
                            Attribute::PatientName => five(text),
                            _ => text.to_owned(),
                        });
                        let is = is.map(str::to_owned);
                        assert_eq!(was, is, "{attribute:?}: {bytes}");
                    }
                }
            }
        }
    }
    assert!(orders > 100, "{orders}");
}

#[test]
fn the_sample_messages_come_back() {
    let covered = hl7_corpus::CASES
        .iter()
        .filter(|case| comes_back(case.bytes, case.name))
        .count();
    assert!(covered >= 12, "{covered}");
}

/// The messages of others, where `HL7_CORPUS` says where they are.
#[test]
fn the_open_corpus_comes_back() {
    let Some(files) = super::corpus_files() else {
        return;
    };
    let mut covered = 0;
    for (name, bytes) in files {
        for chunk in hl7_message::chunks(&bytes) {
            covered += usize::from(comes_back(chunk.bytes, &name));
        }
    }
    println!("{covered} messages of the corpus");
    assert!(covered > 50, "{covered}");
}

/// Text that is not blank.
fn text() -> impl Strategy<Value = String> {
    let special = "[|^~&\\\\\"\r\n\t\u{b}\u{1c}\u{0}a .]{1,8}";
    prop_oneof![
        3 => any::<String>(),
        3 => special,
        1 => Just("\"\"".to_owned()),
        1 => Just("\\X0D\\".to_owned()),
        1 => Just("a\rOBX|1|TX|||injected".to_owned()),
    ]
    .prop_filter("not blank", |text| !text.trim().is_empty())
}

fn identifier(max: usize) -> impl Strategy<Value = String> {
    any::<String>()
        .prop_map(move |text| {
            let plain = text.chars().filter(|c| !c.is_control());
            let short: String = plain.take(max).collect();
            short.trim().to_owned()
        })
        .prop_filter("not blank", |text| !text.is_empty() && text != "\"\"")
}

fn of_member(member: Member) -> BoxedStrategy<Value> {
    let said = match (member, member.kind(), member.characters_max()) {
        (_, _, Some(max)) => identifier(max).prop_map(Value::from).boxed(),
        (Member::Detail(Detail::OrderControl), ..) => prop::sample::select(vec!["NW", "XO"])
            .prop_map(Value::from)
            .boxed(),
        (Member::Detail(Detail::ResultStatus), ..) => {
            prop::sample::select(vec!["COMPLETED", "READ", "FINAL", "PRINTED", "C"])
                .prop_map(Value::from)
                .boxed()
        }
        (Member::Detail(Detail::ResultFormat), ..) => Just(json!("RTF")).boxed(),
        (Member::Detail(Detail::ResultContent), ..) => text()
            .prop_map(|text| text.replace("\r\n", "\n").replace('\r', "\n").into())
            .boxed(),
        (_, Kind::Text, _) => text().prop_map(Value::from).boxed(),
        (_, Kind::Name, _) => {
            let part = || prop::option::weighted(0.6, prop::option::weighted(0.9, text()));
            (part(), part(), part(), part(), part())
                .prop_map(|(family, given, middle, suffix, prefix)| {
                    let mut map = Map::new();
                    let parts = [
                        ("family", family),
                        ("given", given),
                        ("middle", middle),
                        ("suffix", suffix),
                        ("prefix", prefix),
                    ];
                    for (name, part) in parts {
                        if let Some(part) = part {
                            map.insert(name.into(), part.map_or(Value::Null, Value::from));
                        }
                    }
                    match map.get("family") {
                        None if map.is_empty() => json!({"family": "X"}),
                        Some(Value::Null) if map.len() == 1 => Value::Null,
                        _ => Value::Object(map),
                    }
                })
                .boxed()
        }
        (_, Kind::DateTime, _) => prop::sample::select(vec![
            "20230614132030",
            "202306141320+0200",
            "20230614132030.25-0530",
            "20240229",
        ])
        .prop_map(Value::from)
        .boxed(),
        (_, Kind::Date, _) => Just(json!("19800101")).boxed(),
        (_, Kind::Decimal, _) => prop_oneof![
            (0..500_u32).prop_map(Value::from),
            (0..5000_u32).prop_map(|n| {
                let kilograms = f64::from(n) / 8.0;
                if n % 8 == 0 {
                    json!(n / 8)
                } else {
                    json!(kilograms)
                }
            }),
        ]
        .boxed(),
        (_, Kind::Sex, _) => prop::sample::select(vec!["F", "M", "O", "U"])
            .prop_map(Value::from)
            .boxed(),
        (_, Kind::Modality, _) => text()
            .prop_map(|text| text.trim().to_owned().into())
            .boxed(),
        (_, Kind::Uid, _) => Just(json!("1.2.840.1")).boxed(),
    };
    prop::option::weighted(0.9, said)
        .prop_map(|said| said.unwrap_or(Value::Null))
        .boxed()
}

fn put(map: &mut Map<String, Value>, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            map.insert(name.into(), value);
        }
        Some((first, rest)) => {
            let below = map.entry(first).or_insert_with(|| json!({}));
            put(below.as_object_mut().unwrap(), rest, value);
        }
    }
}

/// A document of a form with any of its members, all of them legal.
fn document(form: Form) -> impl Strategy<Value = Value> {
    let members: Vec<_> = form
        .members()
        .iter()
        .map(|&member| prop::option::weighted(0.5, of_member(member)))
        .collect();
    members.prop_map(move |values| {
        let mut map = Map::new();
        for (&member, value) in form.members().iter().zip(values) {
            if let Some(value) = value {
                put(&mut map, form.name_of(member), value);
            }
        }
        json!({ form.name(): map })
    })
}

fn any_document() -> impl Strategy<Value = Value> {
    let forms = vec![Form::Order, Form::Report, Form::Patient, Form::Merge];
    prop::sample::select(forms).prop_flat_map(document)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// No text of a request can end a field or a segment, and every member reads back as it was.
    #[test]
    fn every_member_reads_back(json in any_document()) {
        let request = Request::from_slice(json.to_string().as_bytes()).unwrap();
        let (bytes, _) = to_message(&request, &as_it_is()).unwrap();
        let message = Message::parse(&bytes).unwrap();
        let mut names: Vec<_> = message.segments().map(|s| s.name().to_vec()).collect();
        names.dedup();
        prop_assert_eq!(names.len(), message.segment_count());
        prop_assert!(Message::parse_strict(&bytes).is_ok());
        prop_assert_eq!(bytes.split(|&b| b == b'\r').count(), names.len() + 1);
        let mut shown = from_message(&message, &Options::default()).unwrap();
        shown.as_object_mut().unwrap().remove("warnings");
        published::fits(&json);
        prop_assert_eq!(shown, json);
    }

    /// Whatever JSON comes in: refused with places, or a message that parses.
    #[test]
    fn any_json_is_refused_or_written(json in any_json()) {
        match Request::from_slice(json.to_string().as_bytes()) {
            Err(errors) => prop_assert!(!errors.problems().is_empty()),
            Ok(request) => {
                published::fits(&json);
                if let Ok((bytes, _)) = to_message(&request, &context()) {
                    let message = Message::parse(&bytes).unwrap();
                    let outcome = interpret(&message, &Profile::default()).outcome;
                    prop_assert!(outcome.is_ok() || request.form() != Form::Order, "{:?}", outcome);
                }
            }
        }
    }
}

/// JSON that is close to the forms.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
        Just(json!("")),
        prop::sample::select(vec![
            "NW",
            "CA",
            "M",
            "CT",
            "20230614132030",
            "CT CHEST",
            "AA"
        ])
        .prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "order",
        "report",
        "patient",
        "merge",
        "acknowledgement",
        "id",
        "name",
        "gender",
        "study",
        "modality",
        "description",
        "scheduling",
        "aeTitle",
        "accessionNumber",
        "orderControl",
        "result",
        "content",
        "status",
        "errors",
        "path",
        "code",
        "x",
        "patientId",
        "a.b",
        "fromPatientId",
        "intoPatientId",
        "weightKg",
        "dateOfBirth",
        "controlId",
    ]);
    leaf.prop_recursive(4, 40, 8, move |inner| {
        let map = prop::collection::vec((key.clone(), inner.clone()), 0..8).prop_map(|entries| {
            Value::Object(
                entries
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect(),
            )
        });
        prop_oneof![4 => map, 1 => prop::collection::vec(inner, 0..4).prop_map(Value::from)]
    })
}
