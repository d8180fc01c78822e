//! `--break`, with the pretend receiver at the other end.

use crate::{
    listen::Listening,
    program::{Files, send},
};

/// Sends one message broken, and expects this of the receiver.
#[track_caller]
fn check(how: &str, expect: &str) {
    let files = Files::new();
    let listening = Listening::new(&[]);
    let wait = if expect == "none" { "0.3" } else { "10" };
    let more = ["--break", how, "--expect", expect, "--timeout", wait];
    send(&files.messages(1), listening.port, &more)
        .exits(0)
        .ends_with("Sending complete. Successfully sent 1/1 messages.");
    // The receiver is still well.
    send(&files.messages(1), listening.port, &[]).exits(0);
}

#[test]
fn what_can_be_understood_is_accepted() {
    check("split", "AA");
    check("two-frames", "AA");
    check("garbage", "AA");
    check("line-feeds", "AA");
}

#[test]
fn what_is_no_message_is_rejected() {
    check("wrong-delimiters", "AR");
    check("no-header", "AR");
    check("no-control-id", "AR");
    check("empty", "AR");
}

#[test]
fn what_never_ends_or_begins_twice_gets_no_answer() {
    check("restart", "none");
    check("no-start", "none");
    check("no-end", "none");
    check("truncate", "none");
}

#[test]
fn an_answer_where_none_is_expected_is_1() {
    let files = Files::new();
    let listening = Listening::new(&[]);
    send(&files.messages(1), listening.port, &["--expect", "none"]).exits(1);
    send(&files.messages(1), listening.port, &["--break", "bend"])
        .exits(2)
        .says("split");
}
