//! What users of other MLLP software have really hit, one test or more for each.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::BytesMut;
use hl7_mllp::{
    Answer, Client, ClientConfig, ExchangeError, FrameErrorKind, Limits, Link, Request,
    RetryPolicy, ServerConfig, correlate::Verdict, handler_fn, server::CloseReason,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::Instant,
};

use crate::held::acknowledging;
use crate::peers::{
    Act, Heard, Script, ToScript, ack, framed, id_of, on_pipes, on_tcp, order, read_frame,
};

#[tokio::test(start_paused = true)]
async fn pain_01_late_acknowledgement_is_never_taken_for_the_next_message() {
    let (ours, mut theirs) = tokio::io::duplex(4096);
    let mut client = Client::over(ours, ClientConfig::default());
    let error = client.exchange(&order("1")).await.unwrap_err();
    assert!(matches!(error, ExchangeError::AnswerTimeout { .. }));
    // Now it comes, positive and late.
    theirs.write_all(&framed(&ack("AA", "1"))).await.unwrap();
    let error = client.exchange(&order("2")).await.unwrap_err();
    assert!(
        matches!(error, ExchangeError::Unusable),
        "the connection is not used again"
    );
}

#[tokio::test(start_paused = true)]
async fn pain_01_second_answer_to_one_message_is_never_taken_for_the_next() {
    let twice = [framed(&ack("AA", "1")), framed(&ack("AA", "1"))].concat();
    let script = Script::new([Act::Say(twice), Act::Say(framed(&ack("AA", "2")))]);
    let mut link = Link::through(ToScript(script.clone()), ClientConfig::default());
    link.submit(&order("1")).await.unwrap();
    let exchange = link.submit(&order("2")).await.unwrap();
    assert_eq!(exchange.answer, ack("AA", "2"));
    assert_eq!(
        script.connections(),
        2,
        "the second went over a new connection"
    );
}

#[tokio::test]
async fn pain_01_answers_are_never_swapped_under_concurrency() {
    let (address, _running) = on_tcp(acknowledging(), ServerConfig::default()).await;
    let mut tasks = Vec::new();
    for lane in 0..8 {
        tasks.push(tokio::spawn(async move {
            let mut client = Client::connect(address, ClientConfig::default())
                .await
                .unwrap();
            for number in 0..50 {
                let id = format!("{lane}.{number}");
                assert_eq!(client.exchange(&order(&id)).await.unwrap(), ack("AA", &id));
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn pain_02_no_answer_leaves_before_the_handler_has_given_it() {
    let (stored, store) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let handler = {
        let (stored, store) = (stored.clone(), store.clone());
        handler_fn(move |request: Request| {
            let (stored, store) = (stored.clone(), store.clone());
            async move {
                store.notified().await;
                stored.store(true, SeqCst);
                Answer::Reply(ack("AA", &id_of(&request.frame)))
            }
        })
    };
    let (address, mut running) = on_tcp(handler, ServerConfig::default()).await;
    let client = tokio::spawn(async move {
        let mut client = Client::connect(address, ClientConfig::default())
            .await
            .unwrap();
        let answer = client.exchange(&order("1")).await;
        (answer, stored.load(SeqCst))
    });
    running
        .heard
        .until(|heard| matches!(heard, Heard::Frame(_)))
        .await;
    assert!(!client.is_finished());
    store.notify_one();
    let (answer, stored_before_answer) = client.await.unwrap();
    assert!(answer.is_ok() && stored_before_answer);
}

#[tokio::test]
async fn pain_03_a_large_message_split_and_small_ones_coalesced_all_arrive() {
    let (address, running) = on_tcp(acknowledging(), ServerConfig::default()).await;
    let mut large = order("large");
    large.extend(std::iter::repeat_n(b'A', 3 << 20));
    let sent = [framed(&order("1")), framed(&large), framed(&order("2"))].concat();
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let writing = tokio::spawn(async move {
        // Odd pieces, so that every boundary falls inside one sooner or later.
        for piece in sent.chunks(4093) {
            writer.write_all(piece).await.unwrap();
        }
        writer
    });
    let mut unread = BytesMut::new();
    for id in ["1", "large", "2"] {
        assert_eq!(
            read_frame(&mut reader, &mut unread).await.unwrap(),
            ack("AA", id)
        );
    }
    drop((writing.await.unwrap(), reader));
    assert_eq!(running.stop().await.frames, 3, "each was handed over once");
}

#[tokio::test(start_paused = true)]
async fn pain_03_one_byte_at_a_time_is_the_same_message() {
    let (plug, running) = on_pipes(acknowledging(), ServerConfig::default());
    let mut peer = plug.connect(1);
    for byte in framed(&order("1")) {
        peer.write_all(&[byte]).await.unwrap();
    }
    let answer = read_frame(&mut peer, &mut BytesMut::new()).await;
    assert_eq!(answer.unwrap(), ack("AA", "1"));
    drop(peer);
    assert_eq!(running.stop().await.frames, 1);
}

struct Crashing;

impl hl7_mllp::Handler for Crashing {
    type Pending = std::future::Ready<Answer>;

    async fn accept(&self, _: Request) -> Self::Pending {
        panic!("a fault in the application")
    }

    fn failure(&self, frame: &bytes::Bytes) -> Option<bytes::Bytes> {
        Some(ack("AE", &id_of(frame)))
    }
}

#[tokio::test]
async fn pain_04_a_crashing_handler_still_answers_negatively() {
    let (address, _running) = on_tcp(Crashing, ServerConfig::default()).await;
    let mut client = Client::connect(address, ClientConfig::default())
        .await
        .unwrap();
    let exchange = client.submit(&order("1")).await.unwrap();
    assert_eq!(exchange.verdict, Verdict::Error);
}

#[tokio::test]
async fn pain_04_an_empty_or_unreadable_block_reaches_the_handler_to_be_refused() {
    let handler = handler_fn(|request: Request| async move {
        let code = if request.frame.starts_with(b"MSH") {
            "AA"
        } else {
            "AR"
        };
        Answer::Reply(ack(code, ""))
    });
    let (address, _running) = on_tcp(handler, ServerConfig::default()).await;
    let mut client = Client::connect(address, ClientConfig::default())
        .await
        .unwrap();
    for payload in [&b""[..], b"hello"] {
        assert_eq!(client.exchange_raw(payload).await.unwrap(), ack("AR", ""));
    }
}

#[tokio::test]
async fn pain_05_stray_bytes_around_frames_are_skipped_and_counted() {
    let (address, running) = on_tcp(acknowledging(), ServerConfig::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    let order = |id| framed(&order(id));
    let sent = [
        &b"INFO sending message\n"[..],
        &order("line feed follows"),
        b"\n",
        &order("carriage return and line feed follow"),
        b"\r\n\0\0\0",
        b"\x0b",
        &order("doubled start"),
        order("doubled end").strip_suffix(b"\r").unwrap(),
        b"\x1c\r",
        &order("whole end twice"),
        b"\x1c\r",
        order("no carriage return").strip_suffix(b"\r").unwrap(),
        order("line feed instead").strip_suffix(b"\r").unwrap(),
        b"\n",
    ]
    .concat();
    peer.write_all(&sent).await.unwrap();
    let mut unread = BytesMut::new();
    for id in [
        "line feed follows",
        "carriage return and line feed follow",
        "doubled start",
        "doubled end",
        "whole end twice",
        "no carriage return",
        "line feed instead",
    ] {
        assert_eq!(
            read_frame(&mut peer, &mut unread).await.unwrap(),
            ack("AA", id)
        );
    }
    drop(peer);
    let summary = running.stop().await;
    assert_eq!(
        (summary.frame_errors, summary.junk_bytes),
        (0, 21 + 1 + 5 + 1 + 1 + 2)
    );
}

#[tokio::test(start_paused = true)]
async fn pain_05_line_feeds_after_an_answer_do_not_cost_the_connection() {
    let said = |id| Act::Say([&framed(&ack("AA", id))[..], b"\r\n"].concat());
    let script = Script::new([said("1"), said("2")]);
    let mut link = Link::through(ToScript(script.clone()), ClientConfig::default());
    link.submit(&order("1")).await.unwrap();
    link.submit(&order("2")).await.unwrap();
    assert_eq!(script.connections(), 1);
}

#[tokio::test]
async fn pain_06_a_framing_failure_is_heard_with_its_kind_and_place() {
    let (address, mut running) = on_tcp(acknowledging(), ServerConfig::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(b"GET / HTTP/1.1\r\n\x0bMSH|half")
        .await
        .unwrap();
    peer.shutdown().await.unwrap();
    assert_eq!(
        running
            .heard
            .until(|heard| matches!(heard, Heard::Junk(_)))
            .await,
        Heard::Junk(16)
    );
    let Heard::Error(error) = running.heard.next().await else {
        panic!()
    };
    assert_eq!((error.kind, error.offset), (FrameErrorKind::Truncated, 25));
    assert_eq!(running.heard.closed().await, CloseReason::Frame(error));
}

#[tokio::test(start_paused = true)]
async fn pain_06_an_unframed_answer_is_told_from_silence() {
    let script = Script::new([Act::Say(ack("AA", "1").to_vec())]);
    let mut link = Link::through(ToScript(script), ClientConfig::default());
    let error = link.submit(&order("1")).await.unwrap_err();
    let bytes = ack("AA", "1").len();
    assert_eq!(
        error.to_string(),
        format!("the peer sent {bytes} bytes without a block: it does not speak MLLP")
    );
}

#[tokio::test]
async fn pain_07_an_idle_link_that_the_peer_closed_is_replaced_before_anything_is_sent() {
    let (address, running) = on_tcp(acknowledging(), ServerConfig::default()).await;
    let mut link = Link::new(address.to_string(), ClientConfig::default());
    link.submit(&order("1")).await.unwrap();
    running.stop().await;
    // The same port again, as after a restart of the receiver.
    let listener = TcpListener::bind(address).await.unwrap();
    let receiver = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let frame = read_frame(&mut stream, &mut BytesMut::new()).await.unwrap();
        stream
            .write_all(&framed(&ack("AA", &id_of(&frame))))
            .await
            .unwrap();
        frame
    });
    assert_eq!(
        link.submit(&order("2")).await.unwrap().answer,
        ack("AA", "2")
    );
    assert_eq!(receiver.await.unwrap(), order("2"));
}

#[tokio::test]
async fn pain_07_a_peer_that_closes_mid_message_ends_the_connection() {
    let (address, mut running) = on_tcp(acknowledging(), ServerConfig::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(b"\x0bMSH|^~\\&|half a mess").await.unwrap();
    drop(peer);
    let reason = running.heard.closed().await;
    assert!(matches!(reason, CloseReason::Frame(error) if error.kind == FrameErrorKind::Truncated));
    assert_eq!(running.stop().await.frames, 0);
}

#[tokio::test]
async fn pain_07_a_reset_in_the_middle_of_a_message_is_reported_as_one() {
    let (address, mut running) = on_tcp(acknowledging(), ServerConfig::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    let sent = [&b"LF\n"[..], b"\x0bMSH|^~\\&|half a mess"].concat();
    peer.write_all(&sent).await.unwrap();
    running
        .heard
        .until(|heard| matches!(heard, Heard::Junk(3)))
        .await;
    socket2::SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(peer);
    let Heard::Error(error) = running.heard.next().await else {
        panic!()
    };
    assert_eq!(
        (error.kind, error.offset),
        (FrameErrorKind::Truncated, sent.len() as u64)
    );
    assert_eq!(running.heard.closed().await, CloseReason::Frame(error));
}

#[tokio::test(start_paused = true)]
async fn pain_07_a_receiver_that_never_answers_is_noticed() {
    let (ours, _theirs) = tokio::io::duplex(4096);
    let before = Instant::now();
    let mut client = Client::over(ours, ClientConfig::default());
    client.exchange(&order("1")).await.unwrap_err();
    assert!(before.elapsed() <= Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn pain_08_retries_back_off_and_send_the_same_bytes() {
    let script = Script::new((0..10).map(|_| Act::SayAndClose(Vec::new())));
    let mut link = Link::through(ToScript(script.clone()), ClientConfig::default());
    let policy = RetryPolicy {
        attempts_max: Some(10),
        ..RetryPolicy::default()
    };
    let before = Instant::now();
    link.deliver(&order("1"), &policy, || u64::MAX, |_, _| ())
        .await
        .unwrap_err();
    assert_eq!(script.frames(), vec![order("1"); 10]);
    let waits = [1, 2, 4, 8, 16, 32, 60, 60, 60];
    assert_eq!(before.elapsed(), Duration::from_secs(waits.iter().sum()));
}

#[tokio::test(start_paused = true)]
async fn pain_09_commit_codes_are_answers_like_any_other() {
    for (code, verdict) in [
        ("CA", Verdict::Accepted),
        ("CE", Verdict::Error),
        ("CR", Verdict::Rejected),
    ] {
        let script = Script::new([Act::Say(framed(&ack(code, "1")))]);
        let mut link = Link::through(ToScript(script), ClientConfig::default());
        assert_eq!(link.submit(&order("1")).await.unwrap().verdict, verdict);
    }
}

#[tokio::test]
async fn pain_09_an_answer_of_each_stage_is_given_and_understood() {
    let handler = handler_fn(|request: Request| async move {
        let id = id_of(&request.frame);
        Answer::commit_then(ack("CA", &id), async move { Answer::Reply(ack("AA", &id)) })
    });
    let (address, _running) = on_tcp(handler, ServerConfig::default()).await;
    let mut link = Link::new(address.to_string(), ClientConfig::default());
    let enhanced = b"MSH|^~\\&|RIS|H|PACS|H|1||ORM^O01|1|P|2.3|||AL|AL\r";
    let phases = link.submit_by_mode(enhanced).await.unwrap();
    assert!(phases.may_be_forgotten());
    assert_eq!(phases.verdict(), Some(Verdict::Accepted));
}

#[tokio::test(start_paused = true)]
async fn pain_10_error_and_rejection_are_told_apart_and_neither_is_retried_unasked() {
    for (code, verdict) in [("AE", Verdict::Error), ("AR", Verdict::Rejected)] {
        let script = Script::new([Act::Say(framed(&ack(code, "1")))]);
        let mut link = Link::through(ToScript(script.clone()), ClientConfig::default());
        let exchange = link
            .deliver(&order("1"), &RetryPolicy::default(), || 0, |_, _| ())
            .await
            .unwrap();
        assert_eq!(exchange.verdict, verdict);
        assert_eq!(script.frames().len(), 1);
    }
}

#[tokio::test]
async fn pain_11_bytes_of_any_character_set_travel_unchanged() {
    let handler = handler_fn(|request: Request| async move { Answer::Reply(request.frame) });
    let (address, _running) = on_tcp(handler, ServerConfig::default()).await;
    let mut client = Client::connect(address, ClientConfig::default())
        .await
        .unwrap();
    let every: Vec<u8> = (0..=u8::MAX)
        .filter(|byte| !matches!(byte, 0x0b | 0x1c))
        .collect();
    assert_eq!(client.exchange_raw(&every).await.unwrap(), every);
}

#[tokio::test]
async fn pain_12_a_server_goes_on_accepting_after_handlers_panic() {
    let (address, running) = on_tcp(Crashing, ServerConfig::default()).await;
    for round in 0..20 {
        let mut client = Client::connect(address, ClientConfig::default())
            .await
            .unwrap();
        let exchange = client.submit(&order(&round.to_string())).await.unwrap();
        assert_eq!(exchange.verdict, Verdict::Error);
    }
    assert_eq!(running.stop().await.connections, 20);
}

#[tokio::test(start_paused = true)]
async fn pain_14_sizes_are_bounded_from_the_start() {
    let limits = Limits {
        frame_bytes_max: 1000,
        junk_bytes_max: 1000,
    };
    let config = ServerConfig {
        limits,
        ..ServerConfig::default()
    };
    let (plug, mut running) = on_pipes(acknowledging(), config);
    for endless in [&b"\x0bAAAA"[..], b"AAAA"] {
        let mut peer = plug.connect(4096);
        peer.write_all(&[endless, &[b'A'; 3000]].concat())
            .await
            .unwrap();
        assert!(matches!(
            running.heard.closed().await,
            CloseReason::Frame(_)
        ));
        assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    }
    assert_eq!(Limits::default().frame_bytes_max, 16 << 20);
    assert_eq!(Limits::default().junk_bytes_max, 64 << 10);
}
