//! Every other option.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use hl7_message::{Message, loc};

use crate::program::{Program, messages, types};

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let program = Program::new();
    let run = |arguments: &str| program.ok(&format!("{arguments} --output -")).stdout;
    assert_eq!(run("--seed 7"), run("--seed 7"));
    assert_ne!(run("--seed 7"), run("--seed 8"));
    assert_ne!(run("--seed 7"), run("--seed 7 --start-time 20260106"));
}

#[test]
fn a_chosen_seed_is_told_and_repeats_the_run() {
    let program = Program::new();
    let run = program.ok("--output -");
    let line = run
        .stderr
        .lines()
        .find(|line| line.starts_with("seed "))
        .unwrap();
    let again = line.split_once("with ").unwrap().1;
    assert_eq!(
        program.ok(&format!("{again} --output -")).stdout,
        run.stdout
    );
    assert!(!program.ok("--seed 3").stderr.contains("seed"));
}

#[test]
fn the_story_begins_when_it_is_told() {
    let program = Program::new();
    for start in ["20240229103000", "2024-02-29T10:30:00", "2024-02-29"] {
        let run = program.ok(&format!("--seed 1 --start-time {start} --output -"));
        assert!(run.text().contains("|PACS_FACILITY|20240229"), "{start}");
    }
    program.refused("--start-time yesterday", "write a date such as");
}

#[test]
fn a_total_is_shared() {
    let program = Program::new();
    let run = program.ok("--total 100 --seed 1 --output -");
    let types = types(&messages(&run.text()));
    assert_eq!(types.len(), 100);
    assert_eq!(types.iter().filter(|name| *name == "ORM^O01").count(), 50);
    assert_eq!(
        program.ok("--total 7 --types oru").text(),
        "Generated 7 HL7 messages and saved to sample_messages.txt\n"
    );
}

#[test]
fn values_can_be_set() {
    let program = Program::new();
    let run = program.run_each(&[
        "--set",
        "PID-5.1=DOE & SON",
        "--set",
        "PV1-2=E",
        "--set",
        "MSH-11=T",
        "--output",
        "-",
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for text in messages(&run.text()) {
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(message.raw(loc!("PID-5.1")), Some(&br"DOE \T\ SON"[..]));
        assert_eq!(message.raw(loc!("MSH-11")), Some(&b"T"[..]));
        assert!(message.raw(loc!("PV1-2")).is_none_or(|class| class == b"E"));
    }
    let run = program.ok("--set ZZZ-1=x");
    assert!(
        run.stderr
            .contains("warning: no message has the segment of ZZZ-1"),
        "{}",
        run.stderr
    );
    program.refused("--set PID-5", "write PLACE=VALUE");
    program.refused("--set pid-5=X", "not a location");
    program.refused("--set PID-5=a|b", "name a component");
    program.refused("--set PID-5.1=MÜLLER", "choose another character set");
    assert!(
        program
            .ok("--set PID-5.1=MÜLLER --charset utf-8 -o -")
            .text()
            .contains("MÜLLER")
    );
}

#[test]
fn character_sets_are_named_in_the_message() {
    let program = Program::new();
    let run = program.ok("--seed 1 --count 20 --charset 8859/1 --output -");
    let latin: String = run.stdout.iter().map(|&byte| char::from(byte)).collect();
    assert!(latin.contains("||||||8859/1\n") && !latin.is_ascii());
    let run = program.ok("--seed 1 --count 20 --charset utf-8 --output -");
    assert!(run.text().contains("||||||UNICODE UTF-8\n") && !run.text().is_ascii());
    assert!(program.ok("--count 20 --output -").stdout.is_ascii());
    program.refused("--charset utf-16", "write ascii, utf-8");
}

#[test]
fn names_of_applications_can_be_set() {
    let program = Program::new();
    let run = program.ok(
        "--sending-application A --sending-facility B --receiving-application C \
         --receiving-facility D --output -",
    );
    assert!(
        messages(&run.text())
            .iter()
            .all(|m| m.starts_with("MSH|^~\\&|A|B|C|D|"))
    );
}

#[test]
fn messages_can_stand_alone() {
    let program = Program::new();
    let run = program.ok("--scenario independent --count 20 --types orm --output -");
    assert!(
        messages(&run.text())
            .iter()
            .all(|message| message.contains("\rORC|NW"))
    );
}

#[test]
fn a_strict_broker_gets_no_xo() {
    let program = Program::new();
    let has_xo = |extra: &str| {
        let run = program.ok(&format!(
            "--seed 2 --count 300 --types orm --output - {extra}"
        ));
        run.text().contains("ORC|XO")
    };
    assert!(has_xo("") && !has_xo("--strict"));
}

#[test]
fn the_last_line_can_be_json() {
    let program = Program::new();
    let run = program.ok("--json --seed 5 --count 2 --types orm,ack");
    let line: serde_json::Value = serde_json::from_str(&run.text()).unwrap();
    assert_eq!(
        (&line["v"], &line["generated"], &line["seed"]),
        (&1.into(), &4.into(), &5.into())
    );
    assert_eq!(line["output"], "sample_messages.txt");
    assert_eq!(
        (&line["types"]["orm"], &line["types"]["ack"]),
        (&2.into(), &2.into())
    );
}

#[test]
fn quiet_and_verbose() {
    let program = Program::new();
    assert_eq!(program.ok("--quiet").stderr, "");
    for verbose in ["-v", "--verbose"] {
        let run = program.ok(&format!("{verbose} --count 2"));
        assert!(run.stderr.contains("oru: 2\n"), "{}", run.stderr);
    }
    program.refused("-q -v", "cannot be used with");
}

#[test]
fn violations_come_with_the_answers_that_they_deserve() {
    let program = Program::new();
    let run = program.ok("--profile violations --seed 1 --count 40 --types orm");
    assert!(
        run.stderr.contains("sample_messages.txt.expected.ndjson"),
        "{}",
        run.stderr
    );
    let answers = program.read("sample_messages.txt.expected.ndjson");
    let answers: Vec<serde_json::Value> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 40);
    assert!(answers.iter().all(|answer| answer["code"] == "AR"));
    let modality = answers
        .iter()
        .find(|answer| answer["rule"] == "missing-modality")
        .unwrap();
    assert_eq!(modality["text"], "Missing OBR-24");
    assert!(answers.iter().any(|answer| answer["text"].is_null()));

    // Where standard output is taken, the answers go where they are told to go.
    program.ok("--profile violations --output - --expected answers.ndjson");
    assert_eq!(program.read("answers.ndjson").lines().count(), 20);
}

#[test]
fn edge_cases_are_named() {
    let program = Program::new();
    program.ok("--profile edge-cases --seed 1 --count 40 --expected answers.ndjson");
    let answers = program.read("answers.ndjson");
    assert!(answers.lines().all(|line| line.contains(r#""code":"AA""#)));
    assert!(answers.contains(r#""rule":"other-delimiters""#));
    program.refused(
        "--profile odd",
        "possible values: conformant, edge-cases, violations",
    );
}

#[test]
fn values_can_be_set_in_violations() {
    let program = Program::new();
    program.ok("--profile violations --count 40 --set MSH-3=X");
}

#[test]
fn a_template_shapes_the_messages() {
    let program = Program::new();
    let template = "MSH|^~\\&|LAB|L|||{{ field('MSH-7') }}||ORM^O01|{{ control_id }}|P|2.3\n\
                    PID|1||{{ patient_id }}||{{ field('PID-5') }}\nZXX|{{ number }}\n";
    std::fs::write(program.path("order.hl7"), template).unwrap();
    let run = program.ok("--template order.hl7 --types orm --count 3 --output - --set PID-8=F");
    let messages = messages(&run.text());
    assert_eq!(messages.len(), 3);
    assert!(messages[2].starts_with("MSH|^~\\&|LAB|L|") && messages[2].ends_with("\rZXX|3\r"));
    assert!(messages[0].contains("|||F\r"));

    std::fs::write(program.path("bad.hl7"), "PID|1").unwrap();
    program.refused("--template bad.hl7", "begin it with an MSH segment");
    std::fs::write(program.path("bad.hl7"), "MSH|^~\\&|{{ x }").unwrap();
    program.refused("--template bad.hl7", "in the template bad.hl7: line 1");
    program.refused("--template none.hl7", "cannot read the template none.hl7");
    program.refused(
        "--template order.hl7 --charset 8859/1",
        "leave out --charset",
    );
}

#[test]
fn colours_are_asked_for_or_forbidden() {
    let program = Program::new();
    let coloured = |arguments: &str| program.run(arguments).stderr.contains('\u{1b}');
    assert!(coloured("--set ZZZ-1=x --color always"));
    assert!(!coloured("--set ZZZ-1=x --color never") && !coloured("--set ZZZ-1=x"));
    // Whoever wants colours everywhere can say so in the environment, and NO_COLOR is stronger.
    let coloured = |variables: &[&str]| {
        let mut command = program.command();
        command.args(["--set", "ZZZ-1=x", "--count", "1"]);
        for name in ["NO_COLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        command.envs(variables.iter().map(|name| (name, "1")));
        command.output().unwrap().stderr.contains(&0x1b)
    };
    assert!(coloured(&["CLICOLOR_FORCE"]));
    assert!(!coloured(&["NO_COLOR"]) && !coloured(&["NO_COLOR", "CLICOLOR_FORCE"]));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let program = Program::new();
    let mut child = program
        .command()
        .args(["--total", "200000", "--seed", "1", "--output", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 4];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"MSH|");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn nobody_reads_what_is_said() {
    let program = Program::new();
    for arguments in ["--help", "man", "completions bash", "--count 1", "--json"] {
        let mut child = program
            .command()
            .args(arguments.split(' '))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments}: {error}");
        assert!(!error.contains("panicked"), "{arguments}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn interrupted_it_ends_behind_a_whole_message() {
    let program = Program::new();
    for signal in ["-INT", "-TERM"] {
        let mut child = program
            .command()
            .args("--total 100000 --seed 1 --rate 100/s --output -".split(' '))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut begin = [0; 4];
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut begin).unwrap();
        let id = child.id().to_string();
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args([signal, &id]).status().unwrap().success());
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{error}");
        assert!(error.contains("Interrupted"), "{error}");
        let all = messages(&format!("MSH|{rest}"));
        assert!(!all.is_empty() && rest.ends_with('\n'));
        let told = format!("Generated {} HL7", all.len());
        assert!(error.contains(&told), "{error}");
    }
}

#[test]
fn a_rate_takes_its_time() {
    let program = Program::new();
    let begin = Instant::now();
    program.ok("--count 4 --types orm --rate 20/s");
    assert!(begin.elapsed() >= Duration::from_millis(150));
    program.refused("--rate fast", "write a rate such as 500/s");
}

#[test]
fn expected_answers_go_to_a_file() {
    let program = Program::new();
    let run = program.ok("--seed 1 --count 3 --expected answers.ndjson --output -");
    let answers = program.read("answers.ndjson");
    let messages = messages(&run.text());
    assert_eq!(answers.lines().count(), messages.len());
    for (line, message) in answers.lines().zip(messages) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&line["rule"], &line["code"]),
            (&"conformant".into(), &"AA".into())
        );
        assert!(message.contains(line["controlId"].as_str().unwrap()));
    }
    program.refused("--expected a.txt --output a.txt", "are the same file");
    program.refused("--expected - --output -", "cannot both be standard output");
}
