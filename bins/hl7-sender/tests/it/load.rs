//! Many connections, repeats, rates, retries and limits.

use std::collections::BTreeSet;

use crate::{
    listen::Listening,
    peer::{Act, Peer, control_id},
    program::{Files, send},
};

#[test]
fn every_repeat_is_sent_over_as_many_connections_as_asked() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let more = [
        "--concurrency",
        "4",
        "--repeat",
        "50",
        "--keep-alive",
        "--new-control-id",
    ];
    let ran = send(&files.messages(2), peer.port, &more)
        .exits(0)
        .says("100 accepted")
        .ends_with("Sending complete. Successfully sent 100/100 messages.");
    assert!(
        !ran.err.contains("1/100"),
        "no line for each message:\n{}",
        ran.err
    );
    let seen = peer.all();
    let connections: BTreeSet<_> = seen.iter().map(|seen| seen.connection).collect();
    assert!(connections.len() <= 4, "{connections:?}");
    let ids: BTreeSet<_> = seen.iter().map(|seen| control_id(&seen.frame)).collect();
    assert_eq!(ids.len(), 100, "each message has an id of its own");
    assert!(ids.iter().all(|id| id.len() == 20), "{ids:?}");
}

#[test]
fn the_same_ids_again_are_warned_about() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    send(&files.messages(1), peer.port, &["--repeat", "2"])
        .exits(0)
        .says("--new-control-id");
    assert_eq!(peer.all().len(), 2);
}

#[test]
fn under_load_lines_come_when_asked_for() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    send(&files.messages(1), peer.port, &["--repeat", "2", "-v"])
        .exits(0)
        .says("2/2  ORM^O01  M1");
    let ran = send(&files.messages(1), peer.port, &["--repeat", "2", "--json"]).exits(0);
    assert_eq!(ran.out.lines().count(), 1, "the summary alone: {}", ran.out);
}

#[test]
fn a_rate_spreads_the_messages_over_time() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let started = std::time::Instant::now();
    let more = ["--rate", "50/s", "--duration", "0.4", "--keep-alive"];
    send(&files.messages(1), peer.port, &more)
        .exits(0)
        .says("the wait for a free connection included")
        .ends_with("Sending complete. Successfully sent 20/20 messages.");
    assert!(started.elapsed() >= std::time::Duration::from_millis(380));
}

#[test]
fn a_missed_limit_is_7_and_weaker_than_a_time_out() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA"), Act::Code("AR")]);
    let file = files.messages(2);
    send(
        &file,
        peer.port,
        &["--fail-if", "errors>0", "--fail-if", "max>1h"],
    )
    .exits(7)
    .says("limit missed: errors>0: it was 1");
    let silent = Peer::new(&[Act::Silent]);
    let more = ["--fail-if", "errors>0", "--timeout", "0.2", "--fail-fast"];
    send(&file, silent.port, &more)
        .exits(4)
        .says("limit missed");
    let quick = Peer::new(&[Act::Code("AA")]);
    send(&file, quick.port, &["--fail-if", "max>1h"]).exits(0);
    send(&file, quick.port, &["--fail-if", "p99>5"])
        .exits(2)
        .says("50ms");
}

#[test]
fn a_message_without_an_answer_is_sent_again_with_the_same_bytes() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Close, Act::Code("AA")]);
    send(&files.messages(1), peer.port, &["--retries", "1"])
        .exits(0)
        .says("trying again in")
        .says("2 tries");
    let frames = peer.frames();
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0], frames[1]);
}

#[test]
fn an_answer_is_not_asked_for_twice() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AE")]);
    send(&files.messages(1), peer.port, &["--retries", "3"]).exits(1);
    assert_eq!(peer.all().len(), 1);
}

#[test]
fn fail_fast_stops_at_the_first_that_is_not_accepted() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA"), Act::Code("AR"), Act::Code("AA")]);
    send(&files.messages(5), peer.port, &["--fail-fast"])
        .exits(1)
        .says("3 messages were not tried")
        .ends_with("Sending complete. Successfully sent 1/5 messages.");
    assert_eq!(peer.all().len(), 2);
}

#[test]
fn answers_are_saved_as_they_came() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA"), Act::Code("AR")]);
    let directory = files.path().join("acks/deep");
    let more = ["--save-acks", directory.to_str().unwrap()];
    send(&files.messages(2), peer.port, &more).exits(1);
    let read = |name| std::fs::read_to_string(directory.join(name)).unwrap();
    assert_eq!(read("000001-M1-AA.hl7"), crate::peer::ack("AA", "M1"));
    assert_eq!(read("000002-M2-AR.hl7"), crate::peer::ack("AR", "M2"));
}

#[test]
fn values_are_set_where_their_segment_is() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let file = files.messages(1);
    send(
        &file,
        peer.port,
        &["--set", "PID-5.1=ROE", "--set", "MSH-10=X9"],
    )
    .exits(0);
    let frame = String::from_utf8(peer.next().frame).unwrap();
    assert!(frame.contains("|ORM^O01|X9|"), "{frame}");
    assert!(frame.ends_with("PID|1||P1||ROE^JANE\r"), "{frame}");
    send(&file, peer.port, &["--set", "OBR-2=1"])
        .exits(2)
        .says("no message has this OBR segment");
    send(&file, peer.port, &["--set", "PID5=1"])
        .exits(2)
        .says("PID-5.2");
}

#[test]
fn new_ids_are_given_to_messages_that_have_none() {
    let files = Files::new();
    let peer = Peer::new(&[Act::Code("AA")]);
    let file = files.write("in.txt", "MSH|^~\\&|A\nPID|1\n");
    send(&file, peer.port, &["--new-control-id"]).exits(0);
    assert_eq!(control_id(&peer.next().frame).len(), 20);
}

#[test]
fn what_a_slow_receiver_left_over_is_told() {
    let files = Files::new();
    let listening = Listening::new(&["--answer", "delay=300ms"]);
    let more = ["--rate", "100/s", "--duration", "0.5", "--keep-alive"];
    let ran = send(&files.messages(1), listening.port, &more)
        .exits(0)
        .says("more messages were due by then")
        .ends_with("Sending complete. Successfully sent 2/2 messages.");
    // The second was due after 10 ms and had to wait for the first: 590 ms, not 300.
    let max = ran
        .err
        .lines()
        .find_map(|line| line.trim().strip_prefix("max"))
        .unwrap();
    let millis: f64 = max.trim().strip_suffix(" ms").unwrap().parse().unwrap();
    assert!(millis > 550.0, "{millis}");
}
