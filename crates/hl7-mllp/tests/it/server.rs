//! The server: order, back-pressure, half-close, shutdown, panics.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use hl7_mllp::{
    Answer, Exchange, Handler, Request, ServerConfig, correlate::Verdict, handler_fn,
    server::CloseReason,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
};

use crate::{
    held::{Held, acknowledging},
    peers::{Heard, ack, framed, id_of, on_pipes, on_tcp, order, read_frame},
};

#[tokio::test]
async fn answers_leave_in_the_order_of_the_frames() {
    let held = Held::default();
    let (address, mut running) = on_tcp(held.clone(), ServerConfig::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    for id in ["1", "2", "3"] {
        peer.write_all(&framed(&order(id))).await.unwrap();
        running
            .heard
            .until(|heard| matches!(heard, Heard::Frame(_)))
            .await;
    }
    while held.accepted() < 3 {
        tokio::task::yield_now().await;
    }
    for place in [2, 1, 0] {
        held.answer(place, Answer::Reply(ack("AA", &(place + 1).to_string())));
    }
    let mut unread = BytesMut::new();
    for id in ["1", "2", "3"] {
        assert_eq!(
            read_frame(&mut peer, &mut unread).await.unwrap(),
            ack("AA", id)
        );
    }
    drop(peer);
    assert_eq!(running.heard.closed().await, CloseReason::PeerClosed);
    let summary = running.stop().await;
    assert_eq!(
        (summary.frames, summary.answers, summary.connections),
        (3, 3, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_than_in_flight_max_are_in_hand() {
    let held = Held::default();
    let config = ServerConfig {
        in_flight_max: 2,
        ..ServerConfig::default()
    };
    let (plug, mut running) = on_pipes(held.clone(), config);
    let mut peer = plug.connect(4096);
    for id in ["1", "2", "3"] {
        peer.write_all(&framed(&order(id))).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(held.accepted(), 2);
    held.answer(0, Answer::Nothing);
    running
        .heard
        .until(|heard| matches!(heard, Heard::Frame(_)))
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(held.accepted(), 3);
}

#[tokio::test(start_paused = true)]
async fn frames_in_hand_share_the_room_and_wait_for_it() {
    let held = Held::default();
    let config = ServerConfig {
        in_hand_bytes_max: 1000,
        ..ServerConfig::default()
    };
    let (plug, mut running) = on_pipes(held.clone(), config);
    let mut peers = Vec::new();
    for size in [600, 600, 5000] {
        let mut peer = plug.connect(8192);
        peer.write_all(&framed(&b"A".repeat(size))).await.unwrap();
        running
            .heard
            .until(|heard| matches!(heard, Heard::Frame(_)))
            .await;
        peers.push(peer);
    }
    for place in 0..3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(held.accepted(), place + 1);
        held.answer(place, Answer::Reply(ack("AA", "1")));
    }
    for peer in &mut peers {
        assert!(read_frame(peer, &mut BytesMut::new()).await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_waits_for_room_counts_as_unfinished() {
    let config = ServerConfig {
        in_hand_bytes_max: 100,
        unfinished_bytes_max: 1000,
        ..ServerConfig::default()
    };
    let (plug, mut running) = on_pipes(Held::default(), config);
    let mut peers = Vec::new();
    for size in [100, 400, 500, 150] {
        let mut peer = plug.connect(8192);
        peer.write_all(&framed(&b"A".repeat(size))).await.unwrap();
        running
            .heard
            .until(|heard| matches!(heard, Heard::Frame(_)))
            .await;
        peers.push(peer);
    }
    let gone = Heard::Closed(3, CloseReason::UnfinishedBytes);
    assert_eq!(
        running
            .heard
            .until(|heard| matches!(heard, Heard::Closed(..)))
            .await,
        gone
    );
    assert_eq!(peers[2].read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_that_half_closes_gets_its_answers() {
    let (address, mut running) = on_tcp(acknowledging(), ServerConfig::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(&[framed(&order("1")), framed(&order("2"))].concat())
        .await
        .unwrap();
    peer.shutdown().await.unwrap();
    let mut all = Vec::new();
    peer.read_to_end(&mut all).await.unwrap();
    assert_eq!(
        all,
        [framed(&ack("AA", "1")), framed(&ack("AA", "2"))].concat()
    );
    assert_eq!(running.heard.closed().await, CloseReason::PeerClosed);
}

#[tokio::test]
async fn shutdown_answers_what_is_in_hand_and_nothing_else() {
    let held = Held::default();
    let (address, mut running) = on_tcp(held.clone(), ServerConfig::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(&[framed(&order("1")), b"\x0bMSH|half".to_vec()].concat())
        .await
        .unwrap();
    running
        .heard
        .until(|heard| matches!(heard, Heard::Frame(_)))
        .await;
    while held.accepted() == 0 {
        tokio::task::yield_now().await;
    }
    running.shutdown.cancel();
    // The port is closed to others while the one in hand is still being answered.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    held.answer(0, Answer::Reply(ack("AA", "1")));
    let mut all = Vec::new();
    peer.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, framed(&ack("AA", "1")));
    drop(peer);
    let summary = running.stop().await;
    assert_eq!(
        (summary.frames, summary.answers, summary.cut_off),
        (1, 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn what_outlasts_the_drain_deadline_is_cut_off() {
    let config = ServerConfig {
        drain_deadline: Duration::from_secs(5),
        ..ServerConfig::default()
    };
    let (plug, mut running) = on_pipes(
        handler_fn(|_| async { std::future::pending::<Answer>().await }),
        config,
    );
    let mut peer = plug.connect(4096);
    peer.write_all(&framed(&order("1"))).await.unwrap();
    running
        .heard
        .until(|heard| matches!(heard, Heard::Frame(_)))
        .await;
    let before = tokio::time::Instant::now();
    assert_eq!(running.stop().await.cut_off, 1);
    assert_eq!(before.elapsed(), Duration::from_secs(5));
}

struct Panicking;

impl Handler for Panicking {
    type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

    async fn accept(&self, request: Request) -> Self::Pending {
        let id = id_of(&request.frame);
        assert!(id != "early", "in the first phase");
        Box::pin(async move {
            assert!(id != "late", "in the second phase");
            Answer::Reply(ack("AA", &id))
        })
    }

    fn failure(&self, frame: &Bytes) -> Option<Bytes> {
        Some(ack("AR", &id_of(frame)))
    }
}

#[tokio::test]
async fn a_panic_answers_negatively_and_closes_that_connection_alone() {
    let (address, mut running) = on_tcp(Panicking, ServerConfig::default()).await;
    let mut other = TcpStream::connect(address).await.unwrap();
    for id in ["early", "late"] {
        let mut peer = TcpStream::connect(address).await.unwrap();
        let sent = [framed(&order("1")), framed(&order(id)), framed(&order("3"))].concat();
        peer.write_all(&sent).await.unwrap();
        let mut all = Vec::new();
        peer.read_to_end(&mut all).await.unwrap();
        assert_eq!(
            all,
            [framed(&ack("AA", "1")), framed(&ack("AR", id))].concat()
        );
        drop(peer);
        assert_eq!(running.heard.closed().await, CloseReason::HandlerPanicked);
    }
    other.write_all(&framed(&order("5"))).await.unwrap();
    let answer = read_frame(&mut other, &mut BytesMut::new()).await;
    assert_eq!(answer.unwrap(), ack("AA", "5"));
}

#[tokio::test]
async fn nothing_that_is_printed_shows_a_message() {
    let frame = Bytes::from(order("1"));
    let request = Request {
        frame: frame.clone(),
        peer: ([127, 0, 0, 1], 1).into(),
        connection: 1,
        received_sequence: 1,
    };
    let printed = [
        format!("{request:?}"),
        format!("{:?}", Answer::Reply(frame.clone())),
        format!("{:?}", Answer::ReplyAndClose(frame.clone())),
        format!("{:?}", hl7_mllp::Event::Frame(frame.clone())),
        format!(
            "{:?}",
            Exchange {
                verdict: Verdict::Accepted,
                answer: frame.clone(),
                commit: Some(frame),
            }
        ),
    ];
    for text in printed {
        assert!(!text.contains("Doe") && !text.contains("MSH"), "{text}");
    }
}

#[tokio::test]
async fn handler_fn_answers_one_frame_after_another() {
    let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let handler = {
        let (busy, most, gate) = (busy.clone(), most.clone(), gate.clone());
        handler_fn(move |_| {
            let (busy, most, gate) = (busy.clone(), most.clone(), gate.clone());
            async move {
                most.fetch_max(busy.fetch_add(1, SeqCst) + 1, SeqCst);
                gate.acquire().await.unwrap().forget();
                busy.fetch_sub(1, SeqCst);
                Answer::Nothing
            }
        })
    };
    let (address, running) = on_tcp(handler, ServerConfig::default()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    for id in ["1", "2", "3"] {
        peer.write_all(&framed(&order(id))).await.unwrap();
    }
    gate.add_permits(3);
    peer.shutdown().await.unwrap();
    assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(most.load(SeqCst), 1);
    assert_eq!(running.stop().await.frames, 3);
}
