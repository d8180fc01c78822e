//! What the program says about itself.

use crate::program::{run, sender};

#[test]
fn help_names_every_exit_code_and_shows_examples() {
    let ran = run(sender().arg("--help")).exits(0);
    for text in [
        "hl7-sender --input sample_messages.txt",
        "HL7_SERVER_HOST",
        "HL7_SERVER_PORT",
        "HL7_API_ENDPOINT",
        "HL7_API_KEY",
        "When several apply: 130 2 5 3 4 6 7 1.",
    ] {
        assert!(ran.out.contains(text), "no {text:?} in:\n{}", ran.out);
    }
    let longest = ran.out.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(100), "{longest:?}");
}

#[test]
fn a_key_in_the_environment_is_not_shown() {
    let ran = run(sender().env("HL7_API_KEY", "very-secret").arg("--help")).exits(0);
    assert!(!ran.out.contains("very-secret"), "{}", ran.out);
}

#[test]
fn completions_know_the_options() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = run(sender().args(["completions", shell])).exits(0);
        assert!(ran.out.contains("keep-alive"), "{shell}");
    }
    run(sender().args(["completions", "sh"]))
        .exits(2)
        .says("bash");
}

#[test]
fn the_manual_page_is_one() {
    let ran = run(sender().arg("man")).exits(0);
    assert!(ran.out.contains(".TH hl7-sender 1"), "{}", ran.out);
    assert!(
        ran.out.contains("exit code") || ran.out.contains("Exit codes"),
        "{}",
        ran.out
    );
}

#[test]
fn the_environment_does_not_get_in_the_way_of_subcommands() {
    let mut command = sender();
    command
        .env("HL7_SERVER_PORT", "2576")
        .env("HL7_API_KEY", "k")
        .arg("man");
    run(&mut command).exits(0);
    let mut command = sender();
    command
        .env("HL7_SERVER_PORT", "port")
        .args(["--input", "x"]);
    run(&mut command).exits(2).says("HL7_SERVER_PORT");
}

#[test]
fn nobody_reads_what_is_said() {
    use std::process::{Command, Stdio};
    let files = crate::program::Files::new();
    let file = files.messages(1);
    let file = file.to_str().unwrap();
    for arguments in [
        &["--help"][..],
        &["man"],
        &["completions", "zsh"],
        &["--input", file, "--dry-run", "--json"],
    ] {
        let mut child = Command::new(sender().get_program())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {error}");
        assert!(!error.contains("panicked"), "{arguments:?}: {error}");
    }
}

#[test]
fn colours_follow_the_environment() {
    let files = crate::program::Files::new();
    let file = files.messages(1);
    let coloured = |variables: &[&str]| {
        let mut command = sender();
        command.args(["--dry-run", "--input"]).arg(&file);
        command.envs(variables.iter().map(|name| (name, "1")));
        run(&mut command).exits(0).err.contains('\u{1b}')
    };
    assert!(coloured(&["CLICOLOR_FORCE"]) && !coloured(&[]));
    assert!(!coloured(&["NO_COLOR"]) && !coloured(&["NO_COLOR", "CLICOLOR_FORCE"]));
}

#[test]
fn every_page_of_help_is_there_and_fits() {
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["help"],
        &["modality", "--help"],
        &["modality", "worklist", "--help"],
        &["modality", "store", "--help"],
        &["completions", "--help"],
    ] {
        let ran = run(sender().args(arguments)).exits(0);
        assert!(ran.out.contains("Usage:"), "{arguments:?}: {}", ran.out);
        let longest = ran.out.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(100), "{arguments:?}: {longest:?}");
    }
    assert!(
        run(sender().args(["modality", "--help"]))
            .out
            .contains("Examples:")
    );
    let version = run(sender().arg("--version")).exits(0).out;
    assert!(version.starts_with("hl7-sender "), "{version}");
}
