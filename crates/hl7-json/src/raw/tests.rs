use hl7_message::Message;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::RawError;

fn raw(bytes: &[u8]) -> Value {
    serde_json::from_str(&to_raw(&Message::parse(bytes).unwrap())).unwrap()
}

#[track_caller]
fn comes_back(bytes: &[u8]) {
    let message = Message::parse(bytes).unwrap();
    let json = to_raw(&message);
    let again = from_raw(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(
        again.escape_ascii().to_string(),
        bytes.escape_ascii().to_string(),
        "{json}"
    );
    schema::check(&serde_json::from_str(&json).unwrap());
    streams(&message);
}

/// The writer gives what serde gives, into a buffer and through one.
#[track_caller]
fn streams(message: &Message<'_>) {
    let expected = serde_json::to_string(&Raw(message)).unwrap();
    assert_eq!(to_raw(message), expected);
    let mut written = Vec::new();
    write_raw(message, &mut written).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), expected);
}

/// The fields of a second segment whose text is `fields`.
#[track_caller]
fn fields(fields: &str, expected: &Value) {
    let bytes = format!("MSH|^~\\&\rZZZ|{fields}\r");
    assert_eq!(raw(bytes.as_bytes())["segments"][1]["fields"], *expected);
    comes_back(bytes.as_bytes());
}

#[test]
fn the_whole_document() {
    let bytes = b"MSH|^~\\&|RIS\rPID|1||PAT789||SMITH^JOHN||19800101|M\r";
    assert_eq!(
        raw(bytes),
        json!({
            "format": "hl7v2-raw/1", "delimiters": "|^~\\&", "charset": "ASCII",
            "terminator": "\r", "finalTerminator": true,
            "segments": [
                {"id": "MSH", "fields": ["|", "^~\\&", "RIS"]},
                {"id": "PID", "fields":
                    ["1", "", "PAT789", "", [["SMITH", "JOHN"]], "", "19800101", "M"]},
            ]
        })
    );
    comes_back(bytes);
}

#[test]
fn only_children_collapse() {
    fields("A", &json!(["A"]));
    fields("A~B", &json!([["A", "B"]]));
    fields("A^B", &json!([[["A", "B"]]]));
    fields("A&B", &json!([[[["A", "B"]]]]));
    fields("A^B~C", &json!([[["A", "B"], "C"]]));
    fields("A^B&C~D&E", &json!([[["A", ["B", "C"]], [["D", "E"]]]]));
}

#[test]
fn empty_parts_stay() {
    fields("", &json!([""]));
    fields("||", &json!(["", "", ""]));
    fields("^", &json!([[["", ""]]]));
    fields("A~", &json!([["A", ""]]));
    fields("\"\"", &json!(["\"\""]));
}

#[test]
fn escape_sequences_stay() {
    fields(r"a\F\b\X0D\\.br\", &json!([r"a\F\b\X0D\\.br\"]));
}

#[test]
fn a_segment_without_fields() {
    assert_eq!(
        raw(b"MSH|^~\\&\rZZZ\rZZ1|")["segments"],
        json!([{"id": "MSH", "fields": ["|", "^~\\&"]}, {"id": "ZZZ", "fields": []},
               {"id": "ZZ1", "fields": [""]}])
    );
    comes_back(b"MSH|^~\\&\rZZZ\rZZ1|");
}

#[test]
fn character_sets() {
    let of = |bytes: &[u8]| {
        comes_back(bytes);
        let json = raw(bytes);
        let name = json["segments"][1]["fields"][4].clone();
        (json["charset"].as_str().unwrap().to_owned(), name)
    };
    let utf8 = ("UNICODE UTF-8".to_owned(), json!("MÜLLER"));
    assert_eq!(of("MSH|^~\\&\rPID|||||MÜLLER".as_bytes()), utf8);
    assert_eq!(
        of(b"MSH|^~\\&\rPID|||||M\xDCLLER"),
        ("ASCII".to_owned(), json!({"b64": "TdxMTEVS"}))
    );
    assert_eq!(
        of(b"MSH|^~\\&||||||||||||||||8859/1\rPID|||||M\xDCLLER"),
        ("8859/1".to_owned(), json!("MÜLLER"))
    );
    // ISO-2022-JP that switches for nothing: the text alone would not bring it back.
    assert_eq!(
        of(b"MSH|^~\\&||||||||||||||||ISO IR87\rPID|||||A\x1B(BB").1,
        json!({"b64": "QRsoQkI="})
    );
}

#[test]
fn what_is_stepped_over_comes_back() {
    for bytes in [
        &b"\x0BMSH|^~\\&\rPID|1\r\x1C\r"[..],
        b"\x0BMSH|^~\\&\rPID|1\x1C",
        b"MSH|^~\\&|\x1C\r",
        b"\xEF\xBB\xBF \r\n\tMSH|^~\\&\r\nPID|1\r\n\r\n",
        b"MSH|^~\\&\r\rPID|1\r\r\r",
        b"MSH|^~\\&\r\nPID|1\rPV1|1",
        b"MSH|^~\\&\nPID|1\r\nPV1|1\rOBX|1",
        b"MSH|^~\\&\r\n\n\nPID|1\n",
        b"MSH|^~\\&\rOBX|a\nb\r",
        b"MSH|^~\\&\r\nfree text\r\n",
        b"MSH|^~\\&\r|odd\r\xFFodd|1\r",
        b"MSH#*~\rPID#a*b&c\\d\r",
        b"MSH|^~\\&#|A#\rMSH|^~\\&|B^C\rFHS|\rBHS\rFHS|a^b|c^d\r",
    ] {
        let Ok(_) = Message::parse(bytes) else {
            panic!("{}", bytes.escape_ascii())
        };
        comes_back(bytes);
    }
}

#[test]
fn a_frame_is_named() {
    let json = raw(b"\x0BMSH|^~\\&\r\rPID|1\r\x1C\r");
    assert_eq!(json["prefix"], "\u{b}");
    assert_eq!(json["suffix"], "\u{1c}\r");
    assert_eq!(json["segments"][0]["end"], "\r\r");
    assert_eq!(json["finalTerminator"], true);
}

/// A writer that notes how much it gets at a time.
struct Pieces(Vec<usize>);
impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes.len());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
/// A writer that is full.
struct Full;
impl io::Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
#[test]
fn a_long_message_goes_out_in_pieces() {
    let note = format!("NTE|1||{}|\r", "text \\T\\ text~".repeat(20));
    let bytes = format!("MSH|^~\\&|A\r{}", note.repeat(2_000)).into_bytes();
    let message = Message::parse(&bytes).unwrap();
    streams(&message);
    let mut pieces = Pieces(Vec::new());
    write_raw(&message, &mut pieces).unwrap();
    assert!(pieces.0.len() > 8 && pieces.0.iter().all(|&n| n < 80_000));

    let error = write_raw(&message, Full).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

/// The messages of others, where `HL7_CORPUS` says where they are, and the samples.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "where the corpus is, only the environment knows"
)]
fn every_message_of_the_corpus_comes_back() {
    for case in hl7_corpus::CASES {
        comes_back(case.bytes);
    }
    let Ok(root) = std::env::var("HL7_CORPUS") else {
        eprintln!("HL7_CORPUS is not set: the samples alone");
        return;
    };
    let root = std::path::Path::new(&root);
    let manifest = std::fs::read_to_string(root.join("manifest.tsv")).unwrap();
    let (mut files, mut messages) = (0, 0);
    for name in manifest
        .lines()
        .skip(1)
        .filter_map(|line| line.split('\t').next())
    {
        let bytes = std::fs::read(root.join(name)).unwrap();
        // A file as a whole, several messages in it being segments of one, and each alone.
        if Message::parse(&bytes).is_ok() {
            comes_back(&bytes);
            files += 1;
        }
        for chunk in hl7_message::chunks(&bytes) {
            if Message::parse(chunk.bytes).is_ok() {
                comes_back(chunk.bytes);
                messages += 1;
            }
        }
    }
    assert!(
        files > 200 && messages > 1_000,
        "{files} files, {messages} messages"
    );
}

#[test]
fn decoded_is_for_reading_alone() {
    let bytes = b"MSH|^~\\&|A \\T\\ B\r";
    let json = serde_json::to_string(&Decoded(&Message::parse(bytes).unwrap())).unwrap();
    assert!(json.contains("A & B"));
    assert_eq!(from_raw(&json), Err(RawError::Format));
}

/// A document with `segments`, and what is wrong with it.
#[track_caller]
fn refused(segments: &Value, error: &str) {
    let json = json!({"format": FORMAT, "delimiters": "|^~\\&", "charset": "ASCII",
        "terminator": "\r", "finalTerminator": true, "segments": segments});
    assert_eq!(from_raw(&json.to_string()).unwrap_err().to_string(), error);
}

fn with(field: &Value) -> Value {
    json!([{"id": "MSH", "fields": ["|", "^~\\&"]}, {"id": "ZZZ", "fields": [field]}])
}

#[test]
fn what_would_be_read_otherwise_is_refused() {
    let cut = "a delimiter or a line end that is not escaped in field 1 of segment 2 (ZZZ-1)";
    for text in ["a|b", "a^b", "a~b", "a&b", "a\rb"] {
        refused(&with(&json!(text)), cut);
    }
    refused(
        &with(&json!([["a", "b^c"]])),
        &cut.replace("ZZZ-1", "ZZZ-1.2"),
    );
    refused(
        &with(&json!("é")),
        "a character that the character set does not have in field 1 of segment 2 (ZZZ-1)",
    );
    refused(
        &with(&json!([])),
        "an empty list; write \"\" for nothing in field 1 of segment 2 (ZZZ-1)",
    );
    refused(
        &with(&json!([[[["a"]]]])),
        "a list deeper than HL7 goes in field 1 of segment 2 (ZZZ-1.1.1)",
    );
    refused(
        &json!([{"id": "MSH", "fields": ["|", "^~\\&"]}, {"id": "", "fields": []}]),
        "segment 2 has no name, or one that holds a delimiter or a line end",
    );
    refused(
        &json!([{"id": "MSH", "fields": ["|", "^~\\&", ""], "end": "x"}, {"id": "PID", "fields": []}]),
        "segment 1 would be read otherwise: a line end, `prefix` or `suffix` is wrong",
    );
    refused(
        &json!([{"id": "PID", "fields": ["|", "^~\\&"]}]),
        "the first segment is not MSH",
    );
    refused(&json!([]), "the first segment is not MSH");
    refused(
        &json!([{"id": "MSH", "fields": ["|", "^~&"]}]),
        "`delimiters` and the first two fields of MSH are not the same",
    );
}

#[test]
fn errors_do_not_quote() {
    for json in [
        r#"{"format": "hl7v2-raw/1", "SECRET": 1}"#,
        r#"{"format": {"SECRET": 1}}"#,
        r#"{"format": "hl7v2-raw/1", "finalTerminator": "SECRET"}"#,
        r#"{"format": "hl7v2-raw/1", "segments": [{"id": {"SECRET": "x"}}]}"#,
        r#"{"format": "hl7v2-raw/1", "segments": [{"id": {"b64": "SECRET!"}}]}"#,
        "SECRET",
    ] {
        let error = from_raw(json).unwrap_err();
        assert!(!error.to_string().contains("SECRET"), "{error}");
        assert!(!format!("{error:?}").contains("SECRET"));
    }
    let unknown = r#"{"format": "hl7v2-raw/1", "patient": 1}"#;
    assert_eq!(
        from_raw(unknown).unwrap_err().to_string(),
        "an unknown member at line 1, column 35"
    );
}

/// A message in pieces that are close to what can go wrong.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            &b"|"[..], b"^", b"~", b"\\", b"&", b"\r", b"\n", b"\r\n", b"\x0B", b"\x1C", b"\x1C\r",
            b"\"\"", b"MSH", b"FHS|", b"BHS", b"PID|", b"#", b"\xEF\xBB\xBF", b"\x1B$B", b"\x1B(B",
            b"8859/1", b"UNICODE UTF-8", b"ISO IR87", b"GB 18030-2000", b" ",
        ]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..4),
        1 => "[a-zäöß ]{0,4}".prop_map(String::into_bytes),
    ];
    let head = prop::sample::select(vec![
        &b"MSH|^~\\&"[..],
        b"MSH|^~\\&|",
        b"MSH|^~\r",
        b"MSH#*~\n",
        b"MSH|^~\\&#\r\n",
        b"\x0BMSH|^~\\&\r",
        b"\xEF\xBB\xBFMSH|^~\\&\r",
        b"MSH|^~\\&||||||||||||||||8859/1\r",
        b"MSH|^~\\&||||||||||||||||BIG-5\r",
        b"MSH|^~\\&||||||||||||||||ISO IR87\r",
        b"MSH|^~\\&||||||||||||||||8859/9|\n",
    ]);
    (head, prop::collection::vec(piece, 0..24))
        .prop_map(|(head, rest)| [head.to_vec(), rest.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_comes_back(bytes in pieces()) {
        if let Ok(message) = Message::parse(&bytes) {
            let json = to_raw(&message);
            prop_assert_eq!(from_raw(&json), Ok(bytes.clone()), "{}", json);
            schema::check(&serde_json::from_str(&json).unwrap());
            streams(&message);
        }
    }

    #[test]
    fn the_json_comes_back(bytes in pieces()) {
        if let Ok(message) = Message::parse(&bytes) {
            let json = to_raw(&message);
            let again = from_raw(&json).unwrap();
            prop_assert_eq!(to_raw(&Message::parse(&again).unwrap()), json);
        }
    }

    #[test]
    fn what_is_given_is_a_message(text in "[\\x00-\\x7f]{0,6}", deep in any::<bool>()) {
        let field = if deep { json!([["x", &text]]) } else { json!(&text) };
        let document = json!({"format": FORMAT, "delimiters": "|^~\\&", "charset": "ASCII",
            "terminator": "\r", "finalTerminator": true, "segments": with(&field)});
        if let Ok(bytes) = from_raw(&document.to_string()) {
            prop_assert_eq!(&raw(&bytes)["segments"][1]["fields"][0], &field);
        }
    }
}

/// [`SCHEMA`], by the validator of others.
mod schema {
    use std::sync::LazyLock;

    use super::*;

    static VALIDATOR: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        jsonschema::draft202012::meta::validate(&schema).unwrap();
        jsonschema::draft202012::new(&schema).unwrap()
    });

    #[track_caller]
    pub(super) fn check(document: &Value) {
        if let Err(error) = VALIDATOR.validate(document) {
            panic!("{error}: {document}");
        }
    }

    #[test]
    fn what_the_schema_refuses() {
        let document = raw(b"MSH|^~\\&|A\r");
        check(&document);
        let refuses = |pointer: &str, value: Value| {
            let mut document = document.clone();
            *document.pointer_mut(pointer).unwrap() = value;
            assert!(!VALIDATOR.is_valid(&document), "{pointer}");
        };
        refuses("/format", json!("hl7v2-raw/2"));
        refuses("/terminator", json!("x"));
        refuses("/segments", json!([]));
        refuses("/segments/0/fields/2", json!(7));
        refuses("/segments/0/fields/2", json!([]));
        refuses("/segments/0/fields/2", json!([[[["a"]]]]));
        refuses("/segments/0/fields/2", json!({"b65": "eA=="}));
        let mut more = document.clone();
        more["more"] = json!(1);
        assert!(!VALIDATOR.is_valid(&more));
    }
}
