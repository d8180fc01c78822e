//! Enhanced mode: two answers to one message, from the server's end and from the client's.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use hl7_mllp::{
    Answer, Client, ClientConfig, ExchangeError, Handler, Link, Request, RetryPolicy, ServerConfig,
    client::{Phase, Phases},
    correlate::{Acknowledgement, Asks, Correlate, Hl7, Verdict, When},
    handler_fn,
    server::{CloseReason, Counters},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::oneshot,
    time::Instant,
};

use crate::peers::{
    Act, Heard, Script, ToScript, ack, framed, id_of, on_pipes, on_tcp, order, read_frame,
};

/// Commits at once; the application's answers come when the test says so.
#[derive(Clone, Default)]
struct Applications(Arc<Mutex<Vec<Option<oneshot::Sender<Answer>>>>>);

impl Applications {
    fn answer(&self, place: usize, answer: Answer) {
        let sender = self.0.lock().unwrap()[place].take().unwrap();
        let _ = sender.send(answer);
    }

    fn accepted(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Handler for Applications {
    type Pending = std::future::Ready<Answer>;

    async fn accept(&self, request: Request) -> Self::Pending {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap().push(Some(sender));
        let commit = ack("CA", &id_of(&request.frame));
        std::future::ready(Answer::commit_then(commit, async {
            receiver.await.expect("the test answers")
        }))
    }

    fn failure(&self, frame: &Bytes) -> Option<Bytes> {
        Some(ack("AR", &id_of(frame)))
    }
}

#[tokio::test(start_paused = true)]
async fn commit_answers_leave_at_once_and_later_ones_in_order() {
    let applications = Applications::default();
    let (plug, mut running) = on_pipes(applications.clone(), ServerConfig::default());
    let mut peer = plug.connect(4096);
    let mut unread = BytesMut::new();
    for id in ["1", "2", "3"] {
        peer.write_all(&framed(&order(id))).await.unwrap();
        let answer = read_frame(&mut peer, &mut unread).await.unwrap();
        assert_eq!(
            answer,
            ack("CA", id),
            "an application in arrears holds up no commit answer"
        );
    }
    applications.answer(2, Answer::Reply(ack("AA", "3")));
    applications.answer(1, Answer::Reply(ack("AE", "2")));
    tokio::time::sleep(Duration::from_secs(1)).await;
    applications.answer(0, Answer::Reply(ack("AA", "1")));
    for (code, id) in [("AA", "1"), ("AE", "2"), ("AA", "3")] {
        let answer = read_frame(&mut peer, &mut unread).await.unwrap();
        assert_eq!(answer, ack(code, id));
    }
    drop(peer);
    assert_eq!(running.heard.closed().await, CloseReason::PeerClosed);
    let summary = running.stop().await;
    assert_eq!((summary.frames, summary.answers), (3, 6));
}

#[tokio::test(start_paused = true)]
async fn a_frame_is_in_hand_until_its_last_answer() {
    let applications = Applications::default();
    let config = ServerConfig {
        in_flight_max: 2,
        ..ServerConfig::default()
    };
    let (plug, _running) = on_pipes(applications.clone(), config);
    let mut peer = plug.connect(4096);
    for id in ["1", "2", "3"] {
        peer.write_all(&framed(&order(id))).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(applications.accepted(), 2);
    applications.answer(0, Answer::Nothing);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(applications.accepted(), 3);
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_the_application() {
    let applications = Applications::default();
    let (plug, mut running) = on_pipes(applications.clone(), ServerConfig::default());
    let mut peer = plug.connect(4096);
    peer.write_all(&framed(&order("1"))).await.unwrap();
    running
        .heard
        .until(|heard| matches!(heard, Heard::Answer(_)))
        .await;
    running.shutdown.cancel();
    tokio::time::sleep(Duration::from_secs(5)).await;
    applications.answer(0, Answer::Reply(ack("AA", "1")));
    let mut all = Vec::new();
    peer.read_to_end(&mut all).await.unwrap();
    assert_eq!(
        all,
        [framed(&ack("CA", "1")), framed(&ack("AA", "1"))].concat()
    );
    assert_eq!(running.stop().await.cut_off, 0);
}

#[tokio::test(start_paused = true)]
async fn an_application_that_crashes_is_answered_for() {
    let applications = Applications::default();
    let (plug, mut running) = on_pipes(applications.clone(), ServerConfig::default());
    let mut peer = plug.connect(4096);
    peer.write_all(&framed(&order("1"))).await.unwrap();
    running
        .heard
        .until(|heard| matches!(heard, Heard::Answer(_)))
        .await;
    // The sender is gone, so the application's future panics.
    applications.0.lock().unwrap()[0].take();
    let mut all = Vec::new();
    peer.read_to_end(&mut all).await.unwrap();
    assert_eq!(
        all,
        [framed(&ack("CA", "1")), framed(&ack("AR", "1"))].concat()
    );
    assert_eq!(running.heard.closed().await, CloseReason::HandlerPanicked);
}

#[tokio::test]
async fn everything_is_counted_by_its_code() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = handler_fn(|request: Request| async move {
        let id = id_of(&request.frame);
        Answer::commit_then(ack("CA", &id), async move { Answer::Reply(ack("AE", &id)) })
    });
    let (counters, shutdown) = (
        Arc::new(Counters::default()),
        tokio_util::sync::CancellationToken::new(),
    );
    let server = tokio::spawn(hl7_mllp::serve(
        listener,
        Arc::new(handler),
        ServerConfig::default(),
        counters.clone(),
        shutdown.clone(),
    ));
    let mut client = Client::connect(address, ClientConfig::default())
        .await
        .unwrap();
    for id in ["1", "2", "3"] {
        let phases = client
            .submit_by_mode(&asking("AL", "AL", id))
            .await
            .unwrap();
        assert_eq!(phases.verdict(), Some(Verdict::Error));
    }
    client.close().await;
    shutdown.cancel();
    server.await.unwrap().unwrap();
    assert_eq!(
        (
            counters.acks("CA"),
            counters.acks("AE"),
            counters.acks("AA")
        ),
        (3, 3, 0)
    );
    assert_eq!(counters.in_hand(), 0);
    assert!(
        counters
            .to_string()
            .contains("mllp_ack_latency_seconds_count 6\n")
    );
}

fn asking(commit: &str, application: &str, id: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|RIS|H|PACS|H|1||ORM^O01|{id}|P|2.3|||{commit}|{application}\rPID|||7||Doe^Jane\r"
    )
    .into()
}

/// What a message that asks for these answers comes to, with a peer that gives those, a second
/// apart: both stages in short, and whether the link is kept.
async fn phases(asks: (&str, &str), says: &[&str]) -> (String, bool) {
    let said: Vec<_> = says.iter().map(|code| framed(&ack(code, "1"))).collect();
    let act = match &said[..] {
        [] => Act::Silence,
        [one] => Act::Say(one.clone()),
        [first, second, ..] => Act::SayThen(first.clone(), Duration::from_secs(1), second.clone()),
    };
    let mut link = Link::through(ToScript(Script::new([act])), ClientConfig::default());
    let text = match link.submit_by_mode(&asking(asks.0, asks.1, "1")).await {
        Ok(phases) => format!("{} {}", short(&phases.commit), short(&phases.application)),
        Err(error) => error.name().to_owned(),
    };
    (text, link.is_connected())
}

fn short(phase: &Phase) -> String {
    match phase {
        Phase::NotDue => "-".into(),
        Phase::Silent(_) => "silent".into(),
        Phase::Answered(exchange) => {
            let code = Hl7.acknowledgement(&exchange.answer).unwrap().code;
            String::from_utf8(code.to_vec()).unwrap()
        }
        Phase::Failed(error) => error.name().into(),
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_awaits_what_the_message_asks_for() {
    // MSH-15, MSH-16; what the peer says; both stages; whether the link is kept.
    type Row = (
        &'static str,
        &'static str,
        &'static [&'static str],
        &'static str,
        bool,
    );
    let table: [Row; 26] = [
        ("", "", &["AA"], "- AA", true),
        ("", "", &["CA", "AA"], "CA AA", true),
        ("NE", "AL", &["AR"], "- AR", true),
        ("", "", &[], "answer_timeout", false),
        ("AL", "AL", &["CA", "AA"], "CA AA", true),
        ("AL", "AL", &["CA", "AE"], "CA AE", true),
        ("AL", "AL", &["CE"], "CE -", true),
        ("AL", "AL", &["CR"], "CR -", true),
        ("AL", "AL", &["AA"], "silent AA", true),
        ("AL", "AL", &["CA"], "CA answer_timeout", false),
        ("AL", "AL", &["CA", "CA"], "CA answered_before", false),
        ("AL", "AL", &[], "answer_timeout", false),
        ("AL", "NE", &["CA"], "CA -", true),
        ("AL", "", &["CE"], "CE -", true),
        ("AL", "ER", &["CA", "AE"], "CA AE", true),
        ("AL", "ER", &["CA"], "CA silent", false),
        ("AL", "SU", &["CA", "AA"], "CA AA", true),
        ("AL", "SU", &["CA"], "CA silent", false),
        ("ER", "NE", &[], "silent -", false),
        ("ER", "NE", &["CE"], "CE -", true),
        ("ER", "AL", &["AA"], "silent AA", true),
        ("ER", "AL", &[], "answer_timeout", false),
        ("SU", "NE", &["CA"], "CA -", true),
        ("SU", "AL", &[], "silent -", false),
        ("NE", "NE", &[], "- -", true),
        ("NE", "SU", &[], "- silent", false),
    ];
    for (commit, application, says, expected, kept) in table {
        let found = phases((commit, application), says).await;
        assert_eq!(
            found,
            (expected.to_owned(), kept),
            "{commit}/{application} {says:?}"
        );
    }
}

#[test]
fn silence_means_the_opposite_of_what_was_asked_for() {
    let phases = |commit, application| Phases {
        commit,
        application,
    };
    let silent = |when| Phase::Silent(when);
    for (phases, verdict, forget) in [
        (phases(Phase::NotDue, Phase::NotDue), None, true),
        (
            phases(silent(When::Error), Phase::NotDue),
            Some(Verdict::Accepted),
            true,
        ),
        (
            phases(silent(When::Success), Phase::NotDue),
            Some(Verdict::Error),
            false,
        ),
        (
            phases(Phase::NotDue, silent(When::Success)),
            Some(Verdict::Error),
            false,
        ),
        (
            phases(silent(When::Error), silent(When::Success)),
            Some(Verdict::Error),
            true,
        ),
        (
            phases(silent(When::Error), Phase::Failed(ExchangeError::Reset)),
            None,
            true,
        ),
    ] {
        assert_eq!(phases.verdict(), verdict, "{phases:?}");
        assert_eq!(phases.may_be_forgotten(), forget, "{phases:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_asks_for_nothing_costs_no_wait() {
    let script = Script::new([Act::Silence, Act::Say(framed(&ack("AA", "2")))]);
    let mut link = Link::through(ToScript(script.clone()), ClientConfig::default());
    let before = Instant::now();
    let phases = link.submit_by_mode(&asking("NE", "NE", "1")).await.unwrap();
    assert!(phases.may_be_forgotten() && before.elapsed() < Duration::from_secs(1));
    let phases = link.submit_by_mode(&asking("", "", "2")).await.unwrap();
    assert_eq!(phases.verdict(), Some(Verdict::Accepted));
    assert_eq!(script.connections(), 1);
}

/// Answers the application's answer with a commit answer.
struct Polite;

impl Correlate for Polite {
    fn control_id<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        Hl7.control_id(frame)
    }

    fn acknowledgement<'a>(&self, frame: &'a [u8]) -> Option<Acknowledgement<'a>> {
        Hl7.acknowledgement(frame)
    }

    fn asks(&self, frame: &[u8]) -> Asks {
        Hl7.asks(frame)
    }

    fn commit_answer(&self, answer: &[u8]) -> Option<Bytes> {
        Some(ack("CA", &id_of(answer)))
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_answer_gets_the_commit_answer_it_asks_for() {
    let both = Act::SayThen(
        framed(&ack("CA", "1")),
        Duration::from_secs(1),
        framed(&ack("AA", "1")),
    );
    let script = Script::new([both]);
    let mut link = Link::through(ToScript(script.clone()), ClientConfig::default())
        .correlated_by(Arc::new(Polite));
    let phases = link.submit_by_mode(&asking("AL", "AL", "1")).await.unwrap();
    assert_eq!(phases.verdict(), Some(Verdict::Accepted));
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The peer's AA has the control id 91.
    assert_eq!(
        script.frames(),
        [asking("AL", "AL", "1"), ack("CA", "91").to_vec()]
    );
}

#[tokio::test(start_paused = true)]
async fn a_commit_answer_that_was_waited_past_is_kept() {
    let config = ClientConfig {
        await_application_answer: true,
        ..ClientConfig::default()
    };
    let both = || [framed(&ack("CA", "1")), framed(&ack("AA", "1"))].concat();
    let script = Script::new([Act::Say(both()), Act::Say(both())]);
    let mut link = Link::through(ToScript(script), config.clone());
    let exchange = link.submit(&order("1")).await.unwrap();
    assert_eq!(
        (exchange.commit, exchange.answer),
        (Some(ack("CA", "1")), ack("AA", "1"))
    );

    let (ours, mut theirs) = tokio::io::duplex(4096);
    let said = [
        framed(&ack("CA", "1")),
        framed(&ack("CA", "2")),
        framed(&ack("AA", "2")),
        framed(&ack("AA", "1")),
    ];
    tokio::spawn(async move {
        let mut unread = BytesMut::new();
        for _ in 0..2 {
            read_frame(&mut theirs, &mut unread).await.unwrap();
        }
        theirs.write_all(&said.concat()).await.unwrap();
        theirs
    });
    let mut client = Client::over(ours, config);
    let outcomes = client.exchange_many(&[order("1"), order("2")], 2).await;
    for (outcome, id) in outcomes.into_iter().zip(["1", "2"]) {
        let exchange = outcome.unwrap();
        assert_eq!(
            (exchange.commit, exchange.answer),
            (Some(ack("CA", id)), ack("AA", id))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_none_is_handed_on_and_never_printed() {
    let not_an_answer = Bytes::from(order("1"));
    for (said, name) in [
        (ack("AA", "2"), "wrong_id"),
        (ack("XX", "1"), "unknown_code"),
        (not_an_answer, "no_msa"),
    ] {
        let script = Script::new([Act::Say(framed(&said))]);
        let mut link = Link::through(ToScript(script), ClientConfig::default());
        let error = link.submit(&order("1")).await.unwrap_err();
        assert_eq!((error.name(), error.answer()), (name, Some(&said)));
        let printed = format!("{error} {error:?}");
        assert!(
            !printed.contains("MSH") && !printed.contains("Doe"),
            "{printed}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_for_it_gets_the_same_bytes_later() {
    let answers = ["AR", "AR", "AA"].map(|code| Act::Say(framed(&ack(code, "1"))));
    let script = Script::new(answers);
    let mut link = Link::through(ToScript(script.clone()), ClientConfig::default());
    let before = Instant::now();
    let mut postponed = 0;
    let exchange = link
        .deliver_until(
            &order("1"),
            &RetryPolicy::default(),
            || u64::MAX,
            |_, error| postponed += u32::from(matches!(error, ExchangeError::Postponed(_))),
            |exchange| exchange.verdict != Verdict::Rejected,
        )
        .await
        .unwrap();
    assert_eq!((exchange.verdict, postponed), (Verdict::Accepted, 2));
    assert_eq!(before.elapsed(), Duration::from_secs(1 + 2));
    assert_eq!(script.frames(), vec![order("1"); 3]);
    assert_eq!(
        script.connections(),
        1,
        "an answered message leaves the link in order"
    );
}

#[tokio::test]
async fn both_ends_speak_enhanced_mode_with_each_other() {
    let applications = Applications::default();
    let (address, mut running) = on_tcp(applications.clone(), ServerConfig::default()).await;
    let client = tokio::spawn(async move {
        let mut link = Link::new(address.to_string(), ClientConfig::default());
        link.submit_by_mode(&asking("AL", "AL", "1")).await.unwrap()
    });
    running
        .heard
        .until(|heard| matches!(heard, Heard::Answer(_)))
        .await;
    applications.answer(0, Answer::Reply(ack("AA", "1")));
    let phases = client.await.unwrap();
    assert!(phases.may_be_forgotten());
    assert_eq!(short(&phases.commit) + &short(&phases.application), "CAAA");
}
