//! What scripts rely on.

use crate::program::{Program, messages, types};

fn count(types: &[String], name: &str) -> usize {
    types.iter().filter(|found| *found == name).count()
}

#[test]
fn without_arguments_five_of_each_type() {
    let program = Program::new();
    let run = program.ok("");
    assert_eq!(
        run.text(),
        "Generated 20 HL7 messages and saved to sample_messages.txt\n"
    );
    let types = types(&messages(&program.read("sample_messages.txt")));
    assert_eq!(types.len(), 20);
    for name in ["ORM^O01", "ORU^R01", "ADT^A08", "ADT^A40"] {
        assert_eq!(count(&types, name), 5, "{name}");
    }
}

#[test]
fn messages_are_apart_by_one_blank_line() {
    let program = Program::new();
    program.ok("--count 2 --output out.txt");
    let text = program.read("out.txt");
    assert!(text.starts_with("MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|"));
    assert!(text.ends_with('\n') && !text.ends_with("\n\n"));
    assert!(!text.contains("\n\n\n") && !text.contains('\r'));
    assert_eq!(text.matches("\n\nMSH|").count(), 7);
}

#[test]
fn count_is_for_each_type() {
    let program = Program::new();
    for (arguments, total) in [
        ("--count 3 --types orm", 3),
        ("--count 3 --types orm,oru", 6),
        ("--count 3 --types adt_a08 --types adt_a40", 6),
        ("--count 3 --types all", 12),
        ("--count 3 --types all,orm", 12),
        ("--count 3 --types all,ack", 15),
        ("--count 1 --types ORU", 1),
    ] {
        let run = program.ok(&format!("{arguments} --output out.txt"));
        let line = format!("Generated {total} HL7 messages and saved to out.txt\n");
        assert_eq!(run.text(), line, "{arguments}");
        assert_eq!(messages(&program.read("out.txt")).len(), total);
    }
}

#[test]
fn a_type_alone_is_that_type() {
    let program = Program::new();
    for (name, found) in [
        ("orm", "ORM^O01"),
        ("oru", "ORU^R01"),
        ("adt_a08", "ADT^A08"),
        ("adt_a40", "ADT^A40"),
        ("ack", "ACK^O01"),
    ] {
        let run = program.ok(&format!("--types {name} --output -"));
        assert_eq!(types(&messages(&run.text())), vec![found.to_owned(); 5]);
    }
}

#[test]
fn standard_output_is_for_messages_alone() {
    let program = Program::new();
    let run = program.ok("--count 1 --output -");
    assert_eq!(messages(&run.text()).len(), 4);
    assert!(
        run.stderr
            .contains("Generated 4 HL7 messages and saved to -\n"),
        "{}",
        run.stderr
    );
}

#[test]
fn what_cannot_be_is_told_with_what_to_do() {
    let program = Program::new();
    program.refused("--types orn", "a similar value exists: 'oru'");
    program.refused("--count none", "invalid value 'none'");
    program.refused("--count 0", "0 is not in");
    program.refused("--cuont 5", "a similar argument exists: '--count'");
    program.refused("--count 5 --total 5", "cannot be used with");
    program.refused(
        "--output missing/out.txt",
        "choose another file with --output",
    );
}

#[test]
fn help_completions_and_manual() {
    let program = Program::new();
    assert!(program.ok("--help").text().contains("Examples:"));
    assert!(
        program
            .ok("completions bash")
            .text()
            .contains("hl7__generator")
    );
    assert!(program.ok("man").text().contains(".TH hl7-generator"));
    assert!(program.ok("--version").text().starts_with("hl7-generator "));
    program.refused("completions tcl", "possible values");
}
