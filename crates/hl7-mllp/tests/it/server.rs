//! The server: order, back-pressure, half-close, shutdown, limits, panics.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use hl7_mllp::{
    Answer, Exchange, FrameErrorKind, Handler, Limits, Request, ServerConfig,
    correlate::Verdict,
    handler_fn,
    server::{CloseReason, Refusal},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, oneshot},
};

use crate::peers::{Heard, ack, framed, id_of, on_pipes, on_tcp, order, read_frame};

fn acknowledging() -> impl Handler {
    handler_fn(|request: Request| async move { Answer::Reply(ack("AA", &id_of(&request.frame))) })
}

/// Accepts at once; answers when the test says so.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<Vec<Option<oneshot::Sender<Answer>>>>>);

impl Held {
    fn answer(&self, place: usize, answer: Answer) {
        let sender = self.0.lock().unwrap()[place].take().unwrap();
        let _ = sender.send(answer);
    }

    fn accepted(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Handler for Held {
    type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

    async fn accept(&self, _: Request) -> Self::Pending {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap().push(Some(sender));
        Box::pin(async { receiver.await.unwrap_or(Answer::Close) })
    }
}

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
                answer: frame
            }
        ),
    ];
    for text in printed {
        assert!(!text.contains("Doe") && !text.contains("MSH"), "{text}");
    }
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
