//! What is read, and what is refused, with file, line and byte.

use crate::{
    peer::{Act, Peer},
    program::{Files, message, run, send, sender},
};

/// A run with this file is refused before anything is sent, and says why.
#[track_caller]
fn refused(content: &[u8], says: &str) {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let ran = send(&files.write("in.txt", content), peer.port, &[])
        .exits(2)
        .says(says);
    assert_eq!(ran.out, "");
    assert_eq!(peer.all(), [], "nothing is sent when an input is wrong");
}

#[test]
fn wrong_inputs_are_named_with_their_place() {
    refused(b"", "in.txt holds no HL7 message");
    refused(b"\n\n\n", "in.txt holds no HL7 message");
    refused(b"FHS|^~\\&\rFTS|0\r", "in.txt holds no HL7 message");
    refused(
        b"hello\nMSH|^~\\&|A|||||||1\n",
        "in.txt, line 1 (byte 0): this is not HL7",
    );
    let between = format!("{}\na note\n\n{}", message(1), message(2));
    refused(
        between.as_bytes(),
        "in.txt, line 4 (byte 70): this line is no segment",
    );
    let nameless = format!("{}\nMSH|^~\\&|A\nPID|1\n", message(1));
    refused(
        nameless.as_bytes(),
        "in.txt, line 4 (byte 70): the message has no control id (MSH-10)",
    );
    refused(
        b"MSH|^^\\&|A|||||||1\n",
        "two delimiters are the same character",
    );
}

#[test]
fn cr_terminated_messages_travel_byte_for_byte() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let odd = b"MSH|^~\\&|A|||||||1|P|2.3||||\r\rZZZ|\xFF\xFE|a\nb|\rpid\r";
    send(&files.write("in.hl7", odd), peer.port, &[]).exits(0);
    assert_eq!(peer.frames(), [odd.to_vec()]);
}

#[test]
fn windows_line_ends_become_cr() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let file = files.write("in.txt", message(1).replace('\n', "\r\n"));
    send(&file, peer.port, &[]).exits(0);
    assert_eq!(peer.frames(), [message(1).replace('\n', "\r").into_bytes()]);
}

#[test]
fn several_files_and_standard_input_are_read_in_order() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let first = files.write("1.txt", message(1));
    let third = files.write("3.txt", message(3));
    let mut command = sender();
    command.args([
        "--host",
        "127.0.0.1",
        "--port",
        &peer.port.to_string(),
        "--input",
    ]);
    command
        .arg(first)
        .arg("-")
        .arg(third)
        .write_stdin(message(2));
    run(&mut command)
        .exits(0)
        .ends_with("Sending complete. Successfully sent 3/3 messages.");
    let ids: Vec<_> = peer
        .frames()
        .iter()
        .map(|frame| crate::peer::control_id(frame))
        .collect();
    assert_eq!(ids, ["M1", "M2", "M3"]);
}

#[test]
fn captures_and_json_lines_are_read() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let cr = message(1).replace('\n', "\r");
    let capture = files.write("a.mllp", format!("\x0B{cr}\x1C\r"));
    let json = files.write(
        "a.ndjson",
        format!("{}\n", serde_json::json!({ "message": cr })),
    );
    send(&capture, peer.port, &[]).exits(0);
    send(&json, peer.port, &[]).exits(0);
    assert_eq!(peer.frames(), [cr.clone().into_bytes(), cr.into_bytes()]);
}

#[test]
fn batch_headers_are_told_about_and_not_sent() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let batch = format!("FHS|^~\\&\nBHS|^~\\&\n{}BTS|1\nFTS|1\n", message(1));
    send(&files.write("batch.txt", batch), peer.port, &[])
        .exits(0)
        .says("4 batch headers and trailers");
    assert_eq!(peer.frames().len(), 1);
}

#[test]
fn unchecked_messages_are_sent_for_the_receiver_to_judge() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AR")]);
    let file = files.write(
        "bad.txt",
        "MSH|^^\\&|A||||||ORM^O01|M1|P|2.3\nPID|1\n\nMSH|^~\\&|A||||||ORM^O01||P|2.3\n",
    );
    send(&file, peer.port, &["--expect", "AR"]).exits(2);
    send(&file, peer.port, &["--expect", "AR", "--unchecked"])
        .exits(0)
        .ends_with("Sending complete. Successfully sent 2/2 messages.");
    let ids: Vec<_> = peer
        .frames()
        .iter()
        .map(|frame| crate::peer::control_id(frame))
        .collect();
    assert_eq!(ids, ["M1", ""]);
}

#[test]
fn a_directory_is_read_file_by_file_in_the_order_of_names() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let directory = files.path().join("messages");
    std::fs::create_dir_all(directory.join("deeper")).unwrap();
    for n in [3, 1, 2] {
        files.write(&format!("messages/{n}.hl7"), message(n));
    }
    files.write("messages/.hidden", "no message");
    let ran = send(&directory, peer.port, &["--json"]).exits(0);
    let ids: Vec<_> = peer
        .frames()
        .iter()
        .map(|frame| crate::peer::control_id(frame))
        .collect();
    assert_eq!(ids, ["M1", "M2", "M3"]);
    assert!(ran.out.contains("2.hl7"), "{}", ran.out);
    send(&directory.join("deeper"), peer.port, &[])
        .exits(2)
        .says("holds no files");
}

#[test]
fn a_quoted_pattern_stands_for_its_files() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    files.write("b.hl7", message(2));
    files.write("a.hl7", message(1));
    files.write("c.txt", message(3));
    files.write(".hidden.hl7", message(4));
    let directory = files.write("a.hl7", message(1));
    let pattern = directory.parent().unwrap().join("*.hl7");
    send(&pattern, peer.port, &[]).exits(0);
    let sent = [1, 2].map(|number| message(number).replace('\n', "\r").into_bytes());
    assert_eq!(peer.frames(), sent);
    let nothing = directory.parent().unwrap().join("*.xyz");
    send(&nothing, peer.port, &[])
        .exits(2)
        .says("no file matches");
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::process::Stdio;

    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let input = files.write("in.txt", message(1));
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("hl7-sender"))
        .args(["--json", "--port", &peer.port.to_string(), "--input"])
        .arg(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(peer.frames().len(), 1);
}

/// The sender, reading from a pipe that stays open.
fn piped(port: u16, more: &[&str]) -> std::process::Child {
    reading("-", port, more)
}

fn reading(input: &str, port: u16, more: &[&str]) -> std::process::Child {
    use std::process::{Command, Stdio};
    let mut command = Command::new(sender().get_program());
    command.args(["--host", "127.0.0.1", "--input", input, "--port"]);
    command
        .arg(port.to_string())
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn from_a_pipe_messages_go_out_as_they_come() {
    use std::io::Write as _;
    for (begin, end) in [("\x0B", "\x1C\r"), ("", "\n")] {
        let peer = Peer::new(&[Act::Code("AA")]);
        let mut child = piped(peer.port, &["--set", "PID-5.1=ROE"]);
        let mut stdin = child.stdin.take().unwrap();
        for n in [1, 2] {
            let cr = message(n).replace('\n', "\r");
            stdin
                .write_all(format!("{begin}{cr}{end}").as_bytes())
                .unwrap();
        }
        // A frame ends with its own end, text where the next message begins.
        let seen = peer.next();
        assert!(seen.frame.windows(8).any(|bytes| bytes == b"ROE^JANE"));
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let out = String::from_utf8(output.stdout).unwrap();
        assert_eq!(out, "Sending complete. Successfully sent 2/2 messages.\n");
    }
}

/// As `--input <(program)` in a shell.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_may_have_a_name() {
    use std::io::Write as _;
    let peer = Peer::new(&[Act::Code("AA")]);
    let mut child = reading("/dev/stdin", peer.port, &[]);
    let mut stdin = child.stdin.take().unwrap();
    let cr = message(1).replace('\n', "\r");
    stdin
        .write_all(format!("\x0B{cr}\x1C\r").as_bytes())
        .unwrap();
    assert_eq!(peer.next().frame, cr.into_bytes());
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_is_wrong_in_a_pipe_ends_it_with_its_place() {
    use std::io::Write as _;
    let peer = Peer::new(&[Act::Code("AA")]);
    for (input, says, sent) in [
        (
            format!("{}\nMSH|^~\\&|A\nPID|1\n", message(1)),
            "standard input, message 2 (byte 70): the message has no control id",
            1,
        ),
        (String::new(), "standard input holds no HL7 message", 0),
        ("hello".to_owned(), "message 1 (byte 0): this is not HL7", 0),
    ] {
        let mut child = piped(peer.port, &[]);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(says), "{error}");
        assert_eq!(peer.all().len(), sent, "{error}");
    }
    let mut child = piped(peer.port, &["--set", "OBR-2=1"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(message(1).as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("no message has this OBR segment"), "{error}");
}

#[test]
fn a_pipe_can_be_sent_again_when_it_has_ended() {
    let peer = Peer::new(&[Act::Code("AA")]);
    let mut command = sender();
    command.args(["--host", "127.0.0.1", "--port", &peer.port.to_string()]);
    command.args(["--input", "-", "--repeat", "3", "--new-control-id"]);
    run(command.write_stdin(message(1)))
        .exits(0)
        .ends_with("Sending complete. Successfully sent 3/3 messages.");
    assert_eq!(peer.all().len(), 3);
}
