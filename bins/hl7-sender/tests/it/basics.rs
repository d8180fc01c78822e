//! Sending files over MLLP, and what is said about it.

use crate::{
    peer::{Act, Peer},
    program::{Files, message, run, send, sender},
};

#[test]
fn messages_go_out_in_order_each_on_its_own_connection() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let ran = send(&files.messages(3), peer.port, &[])
        .exits(0)
        .ends_with("Sending complete. Successfully sent 3/3 messages.");
    assert_eq!(ran.out.lines().count(), 1);
    let seen = peer.all();
    let expected: Vec<_> = (1..=3)
        .map(|n| (n - 1, message(n).replace('\n', "\r").into_bytes()))
        .collect();
    let found: Vec<_> = seen
        .into_iter()
        .map(|seen| (seen.connection, seen.frame))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn one_line_tells_what_became_of_each_message() {
    let files = Files::new();
    let peer = Peer::new(&[
        Act::Code("AA"),
        Act::Code("AR"),
        Act::Code("AE"),
        Act::Code("CA"),
    ]);
    let ran = send(&files.messages(4), peer.port, &[])
        .exits(1)
        .ends_with("Sending complete. Successfully sent 2/4 messages.");
    insta::assert_snapshot!(ran.stable(peer.port), @r"
    1/4  ORM^O01  M1  AA  Text of AA.
    2/4  ORM^O01  M2  AR  Text of AR.
    3/4  ORM^O01  M3  AE  Text of AE.
    4/4  ORM^O01  M4  CA  Text of CA.
    ");
    assert!(!ran.err.contains("DOE"), "no patient data");
}

#[test]
fn the_environment_names_the_receiver() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let port = peer.port.to_string();
    let mut command = sender();
    command
        .env("HL7_SERVER_HOST", "127.0.0.1")
        .env("HL7_SERVER_PORT", port);
    run(command.arg("--input").arg(files.messages(1))).exits(0);
    assert_eq!(peer.frames().len(), 1);
}

#[test]
fn json_lines_are_all_there_is_on_standard_output() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA"), Act::WrongId]);
    let ran = send(&files.messages(2), peer.port, &["--json"]).exits(6);
    let lines: Vec<serde_json::Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["v"].as_u64(),
                line["record"].as_str(),
                line["accepted"].clone(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some(1), Some("message"), true.into()),
            (Some(1), Some("message"), false.into()),
            (Some(1), Some("summary"), 1.into()),
        ]
    );
    assert_eq!(lines[1]["error"], "wrong_id");
    assert_eq!(lines[2]["exit"], 6);
    assert_eq!(
        ran.err,
        "Sending complete. Successfully sent 1/2 messages.\n"
    );
}

#[test]
fn quiet_leaves_the_last_line() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AR")]);
    for quiet in ["-q", "--quiet"] {
        let ran = send(&files.messages(1), peer.port, &[quiet]).exits(1);
        assert_eq!(
            ran.out,
            "Sending complete. Successfully sent 0/1 messages.\n"
        );
        assert_eq!(ran.err, "");
    }
    send(&files.messages(1), peer.port, &["--quiet", "--verbose"])
        .exits(2)
        .says("cannot be used with");
}

#[test]
fn colours_come_when_asked_for() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let file = files.messages(1);
    let coloured = |more: &[&str]| send(&file, peer.port, more).exits(0).err.contains('\x1B');
    assert!(!coloured(&[]));
    assert!(coloured(&["--color", "always"]));
    assert!(!coloured(&["--color", "never"]));
}

#[test]
fn a_delay_is_kept_between_messages() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let started = std::time::Instant::now();
    send(&files.messages(3), peer.port, &["--delay", "0.2"]).exits(0);
    assert!(started.elapsed() >= std::time::Duration::from_millis(400));
}

#[test]
fn a_dry_run_sends_nothing() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let ran = send(&files.messages(2), peer.port, &["--dry-run"]).exits(0);
    insta::assert_snapshot!(ran.stable(peer.port), @r"
    1/2  ORM^O01  M1  (69 bytes)
    2/2  ORM^O01  M2  (69 bytes)
    Dry run: 2 messages ready for 127.0.0.1:PORT; nothing was sent.
    ");
    assert_eq!(ran.out, "");
    assert_eq!(peer.all(), []);
}

#[test]
fn with_keep_alive_one_connection_carries_all() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    send(&files.messages(3), peer.port, &["--keep-alive"]).exits(0);
    let connections: Vec<_> = peer.all().into_iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
}

#[test]
fn a_receiver_that_closes_after_each_answer_is_connected_to_again() {
    let files = Files::new();
    let peer = Peer::new(&[Act::AcceptAndClose]);
    // Whether the goodbye is seen before the next message goes out is a race; a retry wins it.
    send(
        &files.messages(3),
        peer.port,
        &["--keep-alive", "--retries", "1"],
    )
    .exits(0)
    .ends_with("Sending complete. Successfully sent 3/3 messages.");
    let connections: Vec<_> = peer.all().into_iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1, 2]);
}

#[test]
fn the_whole_answer_is_shown_when_asked_for() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AE")]);
    let ran = send(&files.messages(1), peer.port, &["-v"]).exits(1);
    insta::assert_snapshot!(ran.stable(peer.port), @r"
    1/1  ORM^O01  M1  AE  Text of AE.
        MSH|^~\&|PEER|X|A|B|20240301||ACK^O01|9|P|2.3
        MSA|AE|M1|Text of AE.
    ");
}
