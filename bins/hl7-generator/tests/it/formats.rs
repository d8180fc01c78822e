//! `--format`: the same messages, told apart in different ways.

use crate::program::{Program, count_in_stream, messages};

#[test]
fn every_format_has_the_same_messages() {
    let program = Program::new();
    let run =
        |format: &str| program.ok(&format!("--seed 9 --count 3 --output - --format {format}"));
    let expected = messages(&run("blank-line").text());
    assert_eq!(expected.len(), 12);

    let cr = run("cr").text();
    assert_eq!(cr, expected.concat());
    assert_eq!(count_in_stream(cr.as_bytes()), 12);

    let frames: Vec<String> = expected
        .iter()
        .map(|m| format!("\u{b}{m}\u{1c}\r"))
        .collect();
    assert_eq!(run("mllp").text(), frames.concat());

    let ndjson = run("ndjson").text();
    let lines: Vec<serde_json::Value> = ndjson
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 12);
    for (line, message) in lines.iter().zip(&expected) {
        assert_eq!(line["v"], 1);
        assert_eq!(line["message"], message.as_str());
        assert!(message.contains(line["controlId"].as_str().unwrap()));
        assert!(message.contains(line["patientId"].as_str().unwrap()));
    }
}

#[test]
fn a_directory_has_one_file_a_message() {
    let program = Program::new();
    let run = program.ok("--seed 9 --count 1 --format dir");
    assert_eq!(
        run.text(),
        "Generated 4 HL7 messages and saved to sample_messages\n"
    );
    let mut names: Vec<String> = std::fs::read_dir(program.path("sample_messages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 4);
    assert_eq!(names[0], "000001-orm.hl7");
    let all: String = names
        .iter()
        .map(|n| program.read(&format!("sample_messages/{n}")))
        .collect();
    assert_eq!(
        all,
        program
            .ok("--seed 9 --count 1 --format cr --output -")
            .text()
    );

    program.refused("--format dir", "is not empty");
    program.refused("--format dir --output -", "name a directory with --output");
}

#[test]
fn ndjson_is_utf_8() {
    let program = Program::new();
    program.refused("--format ndjson --charset 8859/1", "use utf-8");
    program.ok("--format ndjson --charset utf-8");
}
