//! The server: every cap and every deadline.

use std::{io, time::Duration};

use bytes::BytesMut;
use hl7_mllp::{
    Answer, FrameErrorKind, Limits, ServerConfig, handler_fn,
    server::{CloseReason, Refusal},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    held::{Held, acknowledging},
    peers::{Heard, ack, framed, on_pipes, on_tcp, order, read_frame},
};

#[tokio::test]
async fn a_connection_over_a_cap_is_closed_and_counted() {
    let config = ServerConfig {
        connections_max: 1,
        ..ServerConfig::default()
    };
    let (address, mut running) = on_tcp(acknowledging(), config).await;
    let first = TcpStream::connect(address).await.unwrap();
    running
        .heard
        .until(|heard| matches!(heard, Heard::Opened(_)))
        .await;
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(
        running.heard.next().await,
        Heard::Refused(Refusal::TooManyConnections)
    );
    assert_eq!(second.read(&mut [0]).await.unwrap(), 0);
    drop(first);
    running.heard.closed().await;
    let mut third = TcpStream::connect(address).await.unwrap();
    third.write_all(&framed(&order("1"))).await.unwrap();
    assert!(read_frame(&mut third, &mut BytesMut::new()).await.is_some());
    drop(third);
    assert_eq!(running.stop().await.refused, 1);
}

#[tokio::test]
async fn one_message_per_connection_closes_after_its_answer() {
    let config = ServerConfig {
        one_message_per_connection: true,
        ..ServerConfig::default()
    };
    let (address, mut running) = on_tcp(acknowledging(), config).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(&[framed(&order("1")), framed(&order("2"))].concat())
        .await
        .unwrap();
    let mut all = Vec::new();
    peer.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, framed(&ack("AA", "1")));
    drop(peer);
    assert_eq!(running.heard.closed().await, CloseReason::OneMessage);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_closes_and_connects_again_finds_its_place() {
    for one_message_per_connection in [false, true] {
        let config = ServerConfig {
            connections_max: 1,
            one_message_per_connection,
            ..ServerConfig::default()
        };
        let (address, running) = on_tcp(acknowledging(), config).await;
        for _ in 0..200 {
            let mut peer = TcpStream::connect(address).await.unwrap();
            peer.write_all(&framed(&order("1"))).await.unwrap();
            assert!(read_frame(&mut peer, &mut BytesMut::new()).await.is_some());
        }
        let summary = running.stop().await;
        assert_eq!((summary.refused, summary.answers), (0, 200));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_frame_meets_its_deadline_and_a_whole_one_does_not() {
    let (plug, mut running) = on_pipes(acknowledging(), ServerConfig::default());
    let mut peer = plug.connect(4096);
    peer.write_all(&framed(&order("1"))).await.unwrap();
    running
        .heard
        .until(|heard| matches!(heard, Heard::Answer(_)))
        .await;
    tokio::time::sleep(Duration::from_hours(1)).await;
    // One byte every 10 s: never idle, never done.
    let before = tokio::time::Instant::now();
    peer.write_all(b"\x0b").await.unwrap();
    let drip = tokio::spawn(async move {
        while peer.write_all(b"A").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    });
    assert_eq!(running.heard.closed().await, CloseReason::FrameDeadline);
    assert!(
        before.elapsed() < Duration::from_secs(31),
        "{:?}",
        before.elapsed()
    );
    assert!(
        before.elapsed() >= Duration::from_secs(30),
        "{:?}",
        before.elapsed()
    );
    drip.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_answers_meets_its_deadline() {
    let held = Held::default();
    let (plug, mut running) = on_pipes(held.clone(), ServerConfig::default());
    let mut peer = plug.connect(4096);
    for id in ["1", "2"] {
        peer.write_all(&framed(&order(id))).await.unwrap();
        running
            .heard
            .until(|heard| matches!(heard, Heard::Frame(_)))
            .await;
    }
    tokio::time::sleep(Duration::from_secs(100)).await;
    let before = tokio::time::Instant::now();
    held.answer(0, Answer::Reply(ack("AA", "1")));
    assert_eq!(running.heard.closed().await, CloseReason::AnswerDeadline);
    assert!(
        before.elapsed() >= Duration::from_mins(2),
        "{:?}",
        before.elapsed()
    );
    let mut all = Vec::new();
    peer.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, framed(&ack("AA", "1")));
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_never_sends_a_carriage_return_can_be_understood() {
    let end_block_wait = Some(Duration::from_secs(2));
    let config = ServerConfig {
        end_block_wait,
        ..ServerConfig::default()
    };
    let (plug, _running) = on_pipes(acknowledging(), config);
    let mut peer = plug.connect(4096);
    let mut unread = BytesMut::new();
    for id in ["1", "2"] {
        peer.write_all(framed(&order(id)).strip_suffix(b"\r").unwrap())
            .await
            .unwrap();
        let before = tokio::time::Instant::now();
        assert_eq!(
            read_frame(&mut peer, &mut unread).await.unwrap(),
            ack("AA", id)
        );
        assert!(before.elapsed() >= Duration::from_secs(2));
        assert!(before.elapsed() < Duration::from_secs(3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_is_not_late_while_nobody_reads_it() {
    let held = Held::default();
    let config = ServerConfig {
        in_flight_max: 1,
        ..ServerConfig::default()
    };
    let (plug, mut running) = on_pipes(held.clone(), config);
    let mut peer = plug.connect(4096);
    let second = framed(&order("2"));
    peer.write_all(&[&framed(&order("1"))[..], &second[..20]].concat())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    held.answer(0, Answer::Reply(ack("AA", "1")));
    tokio::time::sleep(Duration::from_secs(29)).await;
    peer.write_all(&second[20..]).await.unwrap();
    running
        .heard
        .until(|heard| matches!(heard, Heard::Frame(_)))
        .await;
    running
        .heard
        .until(|heard| matches!(heard, Heard::Frame(_)))
        .await;
    assert_eq!(held.accepted(), 2);
}

#[tokio::test(start_paused = true)]
async fn silence_is_allowed_unless_configured() {
    let config = ServerConfig {
        idle_timeout: Some(Duration::from_mins(1)),
        ..ServerConfig::default()
    };
    let (plug, mut running) = on_pipes(acknowledging(), config);
    let mut peer = plug.connect(4096);
    tokio::time::sleep(Duration::from_secs(50)).await;
    peer.write_all(&framed(&order("1"))).await.unwrap();
    let before = tokio::time::Instant::now();
    assert_eq!(running.heard.closed().await, CloseReason::Idle);
    assert!(before.elapsed() >= Duration::from_mins(1));
    assert!(before.elapsed() < Duration::from_secs(62));
}

#[tokio::test(start_paused = true)]
async fn an_answer_nobody_takes_ends_the_connection() {
    let (plug, mut running) = on_pipes(acknowledging(), ServerConfig::default());
    let mut peer = plug.connect(16);
    peer.write_all(&framed(&order("1"))).await.unwrap();
    let before = tokio::time::Instant::now();
    assert_eq!(running.heard.closed().await, CloseReason::WriteTimeout);
    assert!(before.elapsed() >= Duration::from_secs(30));
}

#[tokio::test]
async fn the_largest_unfinished_frame_goes_first() {
    let config = ServerConfig {
        unfinished_bytes_max: 100_000,
        ..ServerConfig::default()
    };
    let (address, mut running) = on_tcp(acknowledging(), config).await;
    let mut large = TcpStream::connect(address).await.unwrap();
    running.heard.next().await;
    large
        .write_all(&[&b"\x0b"[..], &b"A".repeat(80_000)].concat())
        .await
        .unwrap();
    let mut small = TcpStream::connect(address).await.unwrap();
    running.heard.next().await;
    small
        .write_all(&[&b"\x0b"[..], &b"A".repeat(30_000)].concat())
        .await
        .unwrap();
    let gone = Heard::Closed(1, CloseReason::UnfinishedBytes);
    assert_eq!(running.heard.next().await, gone);
    small.write_all(&framed(b"")[1..]).await.unwrap();
    assert_eq!(running.heard.next().await, Heard::Frame(30_000));
}

#[tokio::test(start_paused = true)]
async fn failing_accepts_are_waited_out() {
    let (plug, mut running) = on_pipes(acknowledging(), ServerConfig::default());
    for _ in 0..20 {
        plug.fail(io::Error::from_raw_os_error(24));
    }
    let mut peer = plug.connect(4096);
    for _ in 0..20 {
        assert_eq!(running.heard.next().await, Heard::AcceptFailed);
    }
    peer.write_all(&framed(&order("1"))).await.unwrap();
    assert!(read_frame(&mut peer, &mut BytesMut::new()).await.is_some());
}

#[tokio::test]
async fn a_broken_frame_gets_no_answer_and_closes_the_link() {
    for broken in [&b"\x0bMSH|half\x0b"[..], b"\x0bMSH|\x1c|half"] {
        let (address, running) = on_tcp(acknowledging(), ServerConfig::default()).await;
        let mut peer = TcpStream::connect(address).await.unwrap();
        let sent = [&framed(&order("1")), broken, &framed(&order("2"))].concat();
        peer.write_all(&sent).await.unwrap();
        let mut all = Vec::new();
        peer.read_to_end(&mut all).await.unwrap();
        assert_eq!(
            all,
            framed(&ack("AA", "1")),
            "what came whole before it is answered"
        );
        drop(peer);
        let summary = running.stop().await;
        assert_eq!((summary.frames, summary.frame_errors), (1, 1));
    }
}

#[tokio::test]
async fn a_recoverable_error_goes_on_and_too_many_close() {
    let config = ServerConfig {
        frame_errors_max: 2,
        ..ServerConfig::default()
    };
    let (address, mut running) = on_tcp(acknowledging(), config).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    let good = framed(&order("1"));
    let sent = [b"\x0ba\x0bb", &good[..], b"\x0ba\x0bb\x0bc\x0bd", &good].concat();
    peer.write_all(&sent).await.unwrap();
    let mut all = Vec::new();
    peer.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, framed(&ack("AA", "1")));
    drop(peer);
    let reason = running.heard.closed().await;
    assert!(matches!(
        reason,
        CloseReason::Frame(error) if error.kind == FrameErrorKind::BlockRestarted
    ));
}

#[tokio::test]
async fn a_frame_too_large_closes_after_the_answers_in_hand() {
    let config = ServerConfig {
        limits: Limits {
            frame_bytes_max: 200,
            ..Limits::default()
        },
        ..ServerConfig::default()
    };
    let (address, mut running) = on_tcp(acknowledging(), config).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    let sent = [framed(&order("1")), framed(&[b'A'; 201])].concat();
    peer.write_all(&sent).await.unwrap();
    let mut all = Vec::new();
    peer.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, framed(&ack("AA", "1")));
    drop(peer);
    let reason = running.heard.closed().await;
    assert!(matches!(
        reason,
        CloseReason::Frame(error) if error.kind == FrameErrorKind::FrameTooLarge { limit: 200 }
    ));
}

#[tokio::test]
async fn an_answer_that_cannot_travel_closes_the_connection() {
    let handler = handler_fn(|_| async { Answer::Reply("a\x0bb".into()) });
    let (address, mut running) = on_tcp(handler, ServerConfig::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(&framed(&order("1"))).await.unwrap();
    let mut all = Vec::new();
    peer.read_to_end(&mut all).await.unwrap();
    assert!(all.is_empty());
    drop(peer);
    assert_eq!(running.heard.closed().await, CloseReason::AnswerUnsendable);
}
