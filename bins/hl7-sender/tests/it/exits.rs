//! Every exit code, and which one wins.

use crate::{
    peer::{Act, Peer, closed_port},
    program::{Files, run, send, sender},
};

/// Sends as many messages as the script has acts.
#[track_caller]
fn check(script: &[Act], more: &[&str], code: i32, says: &str) {
    let files = Files::new();
    let peer = Peer::new(script);
    send(&files.messages(script.len()), peer.port, more)
        .exits(code)
        .says(says);
}

#[test]
fn accepted_is_0() {
    check(&[Act::Code("AA"), Act::Code("CA")], &[], 0, "AA");
    check(&[Act::Code("AR")], &["--expect", "AR"], 0, "AR");
}

#[test]
fn not_accepted_is_1() {
    check(&[Act::Code("AA"), Act::Code("AE")], &[], 1, "AE");
    check(&[Act::Code("AA")], &["--expect", "AR"], 1, "AA");
    check(&[Act::Code("CA")], &["--expect", "AA"], 1, "CA");
}

#[test]
fn wrong_options_are_2() {
    run(sender().args(["--inputt", "x"]))
        .exits(2)
        .says("--input");
    run(&mut sender()).exits(2).says("--input");
    run(sender().args(["--input", "x", "--timeout", "soon"]))
        .exits(2)
        .says("10s");
    run(sender().args(["--input", "/does/not/exist"]))
        .exits(2)
        .says("/does/not/exist");
}

#[test]
fn no_connection_is_3_in_one_line_that_says_what_to_do() {
    let files = Files::new();
    let port = closed_port();
    let ran = send(&files.messages(3), port, &[])
        .exits(3)
        .ends_with("Sending complete. Successfully sent 0/3 messages.");
    insta::assert_snapshot!(ran.stable(port), @r"
    error: connection to 127.0.0.1:PORT refused: nothing listens there; start the receiver there (hl7-server), or name another with --host and --port
    2 messages were not tried.
    ");
}

#[test]
fn an_unknown_host_is_3() {
    let files = Files::new();
    let mut command = sender();
    command
        .args(["--host", "no-such-host.invalid", "--input"])
        .arg(files.messages(1));
    let ran = run(&mut command).exits(3);
    assert!(ran.err.contains("no-such-host.invalid"), "{}", ran.err);
}

#[test]
fn a_connection_that_ends_before_the_answer_is_3() {
    check(
        &[Act::Close],
        &[],
        3,
        "closed the connection before it answered",
    );
}

#[test]
fn no_answer_in_time_is_4() {
    check(
        &[Act::Silent],
        &["--timeout", "0.3"],
        4,
        "no acknowledgement within 300ms",
    );
}

#[test]
fn an_answer_that_is_none_is_6() {
    check(&[Act::NoMsa], &[], 6, "no MSA");
    check(&[Act::Code("XX")], &[], 6, "unknown code");
    check(&[Act::Unframed], &[], 6, "does not speak MLLP");
}

#[test]
fn an_answer_to_another_message_is_6_and_never_a_success() {
    let files = Files::new();
    let peer = Peer::new(&[Act::WrongId]);
    send(&files.messages(1), peer.port, &[])
        .exits(6)
        .says("MSA-2")
        .ends_with("Sending complete. Successfully sent 0/1 messages.");
}

#[test]
fn after_a_late_answer_the_next_message_gets_its_own() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Silent, Act::Code("AA")]);
    send(
        &files.messages(2),
        peer.port,
        &["--timeout", "1", "--keep-alive"],
    )
    .exits(4)
    .ends_with("Sending complete. Successfully sent 1/2 messages.");
    let connections: Vec<_> = peer.all().into_iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1]);
}

#[test]
fn of_several_the_documented_one_wins() {
    let short = &["--timeout", "1"][..];
    check(&[Act::Code("AE"), Act::WrongId], &[], 6, "MSA-2");
    check(
        &[Act::WrongId, Act::Silent, Act::Code("AE")],
        short,
        4,
        "MSA-2",
    );
    check(
        &[Act::Silent, Act::WrongId, Act::Close, Act::Code("AE")],
        short,
        3,
        "MSA-2",
    );
}

#[cfg(unix)]
#[test]
fn interrupted_is_130() {
    use std::process::{Command, Stdio};
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AR"), Act::Silent]);
    let child = Command::new(sender().get_program())
        .args([
            "--host",
            "127.0.0.1",
            "--port",
            &peer.port.to_string(),
            "--input",
        ])
        .arg(files.messages(3))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    peer.next();
    peer.next();
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.contains("Interrupted: 1 message was waiting for an answer; whether it was received is not known."),
        "{err}"
    );
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(out, "Sending complete. Successfully sent 0/3 messages.\n");
}
