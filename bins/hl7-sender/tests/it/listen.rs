//! The pretend receiver, with the sender at its other end.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use crate::program::{Files, message, run, send, sender};

/// A running receiver and its port.
pub(crate) struct Listening {
    child: Child,
    err: BufReader<std::process::ChildStderr>,
    pub(crate) port: u16,
}

impl Listening {
    pub(crate) fn new(more: &[&str]) -> Self {
        let mut child = Command::new(sender().get_program())
            .args(["--listen", "127.0.0.1:0"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut banner = String::new();
        err.read_line(&mut banner).unwrap();
        let port = banner.split(':').nth(1).and_then(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            rest[..end].parse().ok()
        });
        let port = port.unwrap_or_else(|| panic!("no port in {banner:?}"));
        Self { child, err, port }
    }

    /// Its exit code, standard output and standard error after the banner.
    pub(crate) fn ended(mut self) -> (i32, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        self.err.read_to_string(&mut err).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), out, err)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn what_is_received_is_printed_saved_and_answered() {
    let files = Files::new();
    let saved = files.path().join("saved");
    let listening = Listening::new(&["--count", "2", "--save", saved.to_str().unwrap()]);
    send(&files.messages(2), listening.port, &[])
        .exits(0)
        .says("1/2  ORM^O01  M1  AA  Received.")
        .ends_with("Sending complete. Successfully sent 2/2 messages.");
    let (code, out, err) = listening.ended();
    assert_eq!(code, 0, "{err}");
    assert_eq!(out, format!("{}\n{}\n", message(1), message(2)));
    assert!(err.contains("1  ORM^O01  M1  from 127.0.0.1:"), "{err}");
    assert!(err.ends_with("Received 2 messages.\n"), "{err}");
    let first = std::fs::read(saved.join("000001-M1.hl7")).unwrap();
    assert_eq!(first, message(1).replace('\n', "\r").into_bytes());
}

#[test]
fn it_answers_as_told_and_the_sender_tells_each_apart() {
    let files = Files::new();
    let how = "AE,AR,wrong-id,close,none,delay=50ms";
    let listening = Listening::new(&["--answer", how, "--count", "6"]);
    let ran = send(&files.messages(6), listening.port, &["--timeout", "1"]).exits(3);
    let lines: Vec<_> = ran.err.lines().collect();
    let expected = [
        "AE  Answered as told.",
        "AR  Answered as told.",
        "names another message",
        "closed the connection before it answered",
        "no acknowledgement within 1s",
        "AA  Received.",
    ];
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{line}");
    }
    assert_eq!(
        ran.out,
        "Sending complete. Successfully sent 1/6 messages.\n"
    );
    assert_eq!(listening.ended().0, 0);
}

#[test]
fn json_lines_hold_the_messages_and_can_be_sent_again() {
    let files = Files::new();
    let listening = Listening::new(&["--json", "--count", "1"]);
    send(&files.messages(1), listening.port, &[]).exits(0);
    let (_, out, _) = listening.ended();
    let object: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(object["controlId"], "M1");
    assert_eq!(object["message"], message(1).replace('\n', "\r"));
    let again = files.write("again.ndjson", out);
    run(sender().arg("--dry-run").arg("--input").arg(again))
        .exits(0)
        .says("1 message ready");
}

#[test]
fn a_port_in_use_is_3() {
    let listening = Listening::new(&[]);
    let address = format!("127.0.0.1:{}", listening.port);
    run(sender().args(["--listen", &address]))
        .exits(3)
        .says("--listen");
    run(sender().args(["--listen", "here"]))
        .exits(2)
        .says("127.0.0.1:2576");
    run(sender().args(["--answer", "AA"]))
        .exits(2)
        .says("--listen");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_and_is_an_interruption_only_where_more_was_wanted() {
    let files = Files::new();
    for (more, code) in [(&[][..], 0), (&["--count", "2"][..], 130)] {
        let listening = Listening::new(more);
        send(&files.messages(1), listening.port, &[]).exits(0);
        let pid = listening.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        let (ended, _, err) = listening.ended();
        assert_eq!(ended, code, "{err}");
        assert!(err.ends_with("Received 1 messages.\n"), "{err}");
    }
}
