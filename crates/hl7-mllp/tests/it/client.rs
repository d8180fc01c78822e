//! The client: every way in which an answer fails to come is an error of its own.

use std::time::Duration;

use hl7_mllp::{
    Client, ClientConfig, ExchangeError, FrameErrorKind, Link, RetryPolicy, ServerConfig,
    client::AnswerPhase, correlate::Verdict, handler_fn,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};

use crate::peers::{Act, Script, ToScript, ack, framed, id_of, on_tcp, order};

fn answer(code: &str, id: &str) -> Act {
    Act::Say(framed(&ack(code, id)))
}

/// What one exchange with a peer that acts like this comes to.
async fn submit(act: Act) -> Result<Verdict, ExchangeError> {
    let script = Script::new([act]);
    let mut link = Link::through(ToScript(script), ClientConfig::default());
    let result = link.submit(&order("1")).await;
    if result.is_err() {
        assert!(!link.is_connected(), "a connection in doubt is not kept");
    }
    result.map(|exchange| exchange.verdict)
}

/// The error's name, of an exchange with a peer that says these bytes and closes or not.
async fn outcome(act: Act) -> &'static str {
    submit(act).await.unwrap_err().name()
}

#[tokio::test(start_paused = true)]
async fn every_code_has_its_verdict() {
    for (code, verdict) in [
        ("AA", Verdict::Accepted),
        ("CA", Verdict::Accepted),
        ("AE", Verdict::Error),
        ("CE", Verdict::Error),
        ("AR", Verdict::Rejected),
        ("CR", Verdict::Rejected),
    ] {
        assert_eq!(submit(answer(code, "1")).await.unwrap(), verdict);
    }
}

#[tokio::test(start_paused = true)]
async fn every_bad_answer_has_its_error() {
    assert_eq!(outcome(answer("AA", "2")).await, "wrong_id");
    assert_eq!(outcome(answer("AA", "")).await, "wrong_id");
    assert_eq!(outcome(answer("XX", "1")).await, "unknown_code");
    assert_eq!(outcome(Act::Say(framed(&order("1")))).await, "no_msa");
    assert_eq!(outcome(Act::Say(framed(b""))).await, "no_msa");
    assert_eq!(outcome(Act::Say(ack("AA", "1").to_vec())).await, "unframed");
    assert_eq!(
        outcome(Act::SayAndClose(ack("AA", "1").to_vec())).await,
        "unframed"
    );
    assert_eq!(outcome(Act::SayAndClose(Vec::new())).await, "closed");
    assert_eq!(
        outcome(Act::SayAndClose(b"\x0bMSH|half".to_vec())).await,
        "truncated"
    );
    assert_eq!(
        outcome(Act::Say(b"\x0ba\x1cb".to_vec())).await,
        "end_block_alone"
    );
    assert_eq!(outcome(Act::Say(framed(b"\x15"))).await, "commit_nak");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_without_an_id_is_the_answer() {
    assert_eq!(submit(answer("AR", "")).await.unwrap(), Verdict::Rejected);
}

#[tokio::test(start_paused = true)]
async fn a_commit_block_is_not_yet_the_answer() {
    let both = [framed(b"\x06"), framed(&ack("AA", "1"))].concat();
    assert_eq!(submit(Act::Say(both)).await.unwrap(), Verdict::Accepted);
}

#[tokio::test(start_paused = true)]
async fn a_commit_accept_is_the_answer_unless_the_application_is_awaited() {
    let both = || [framed(&ack("CA", "1")), framed(&ack("AE", "1"))].concat();
    assert_eq!(submit(Act::Say(both())).await.unwrap(), Verdict::Accepted);

    let config = ClientConfig {
        await_application_answer: true,
        ..ClientConfig::default()
    };
    let steps = [
        Act::Say(both()),
        Act::Say(both()),
        Act::Say(framed(&ack("CE", "1"))),
    ];
    let script = Script::new(steps);
    let mut link = Link::through(ToScript(script.clone()), config);
    for _ in 0..3 {
        assert_eq!(
            link.submit(&order("1")).await.unwrap().verdict,
            Verdict::Error
        );
    }
    assert_eq!(script.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_be_the_last_word() {
    assert_eq!(
        submit(Act::SayAndClose(framed(&ack("AA", "1"))))
            .await
            .unwrap(),
        Verdict::Accepted
    );
    // Without its carriage return: the end of the stream is the end of the block.
    let bare = [b"\x0b", &ack("AA", "1")[..], b"\x1c"].concat();
    assert_eq!(
        submit(Act::SayAndClose(bare)).await.unwrap(),
        Verdict::Accepted
    );
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_never_sends_a_carriage_return_can_be_understood() {
    let bare = [b"\x0b", &ack("AA", "1")[..], b"\x1c"].concat();
    assert_eq!(outcome(Act::Say(bare.clone())).await, "answer_timeout");

    let end_block_wait = Some(Duration::from_secs(2));
    let config = ClientConfig {
        end_block_wait,
        ..ClientConfig::default()
    };
    let mut link = Link::through(ToScript(Script::new([Act::Say(bare)])), config);
    let before = Instant::now();
    assert_eq!(
        link.submit(&order("1")).await.unwrap().verdict,
        Verdict::Accepted
    );
    assert_eq!(before.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn each_phase_of_an_answer_has_its_time() {
    let before = Instant::now();
    let error = submit(Act::Silence).await.unwrap_err();
    assert!(matches!(
        error,
        ExchangeError::AnswerTimeout {
            phase: AnswerPhase::FirstByte
        }
    ));
    assert_eq!(before.elapsed(), Duration::from_secs(30));

    let before = Instant::now();
    let error = submit(Act::Say(b"\x0bMSH|".to_vec())).await.unwrap_err();
    assert!(matches!(
        error,
        ExchangeError::AnswerTimeout {
            phase: AnswerPhase::Whole
        }
    ));
    assert_eq!(before.elapsed(), Duration::from_mins(1));
    assert!(error.was_sent() && !error.is_permanent());
}

#[tokio::test(start_paused = true)]
async fn a_message_nobody_takes_times_out() {
    let (ours, _theirs) = tokio::io::duplex(16);
    let mut client = Client::over(ours, ClientConfig::default());
    let error = client.exchange(&order("1")).await.unwrap_err();
    assert!(matches!(error, ExchangeError::WriteTimeout));
    let error = client.exchange(&order("1")).await.unwrap_err();
    assert!(matches!(error, ExchangeError::Unusable));
}

#[tokio::test]
async fn what_cannot_be_sent_leaves_the_connection_usable() {
    let (ours, _theirs) = tokio::io::duplex(16);
    let mut client = Client::over(ours, ClientConfig::default());
    let error = client.exchange(b"MSH|^~\\&|no id").await.unwrap_err();
    assert!(matches!(error, ExchangeError::NoControlId));
    let error = client
        .exchange(&[&order("1")[..], b"\x1c"].concat())
        .await
        .unwrap_err();
    assert!(matches!(error, ExchangeError::Encode(_)) && error.is_permanent());
    assert!(client.is_usable());
}

#[tokio::test]
async fn whatever_comes_unasked_is_unexpected_and_nothing_is_sent() {
    let said = [
        &framed(&ack("AA", "0"))[..],
        b"\x0bhalf",
        b"\x0ba\x1cb",
        &framed(b"\x15"),
    ];
    for unasked in said {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        theirs.write_all(unasked).await.unwrap();
        let mut client = Client::over(ours, ClientConfig::default());
        let error = client.exchange(&order("1")).await.unwrap_err();
        assert!(matches!(error, ExchangeError::Unexpected) && !error.was_sent());
        drop(client);
        assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn an_exchange_given_up_leaves_the_connection_unusable() {
    let (ours, _theirs) = tokio::io::duplex(4096);
    let mut client = Client::over(ours, ClientConfig::default());
    let sent = order("1");
    {
        let mut exchange = std::pin::pin!(client.exchange(&sent));
        tokio::select! {
            biased;
            _ = &mut exchange => unreachable!(),
            () = async { for _ in 0..10 { tokio::task::yield_now().await } } => {}
        }
    }
    assert!(!client.is_usable());
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Client::connect(address, ClientConfig::default())
        .await
        .unwrap_err();
    assert!(matches!(error, ExchangeError::Refused) && !error.was_sent());
}

#[tokio::test(start_paused = true)]
async fn deliver_sends_the_same_bytes_until_they_are_answered() {
    let script = Script::new([
        Act::Refuse,
        Act::Silence,
        Act::SayAndClose(Vec::new()),
        Act::SayAndClose(framed(&ack("AA", "1"))[..9].to_vec()),
        answer("AA", "another"),
        answer("AE", "1"),
    ]);
    let mut link = Link::through(ToScript(script.clone()), ClientConfig::default());
    let mut failures = Vec::new();
    let exchange = link
        .deliver(
            &order("1"),
            &RetryPolicy::default(),
            || u64::MAX,
            |count, error| failures.push((count, error.name())),
        )
        .await
        .unwrap();
    assert_eq!(exchange.verdict, Verdict::Error);
    assert_eq!(
        failures,
        [
            (1, "refused"),
            (2, "answer_timeout"),
            (3, "closed"),
            (4, "truncated"),
            (5, "wrong_id")
        ]
    );
    assert_eq!(script.frames(), vec![order("1"); 5]);
    assert_eq!(
        script.connections(),
        5,
        "each failure had its own connection"
    );
}

#[tokio::test(start_paused = true)]
async fn deliver_stops_at_what_is_permanent_and_at_the_last_attempt() {
    let script = Script::new([Act::Say(b"HTTP/1.1 400 Bad Request\r\n".to_vec())]);
    let mut link = Link::through(ToScript(script), ClientConfig::default());
    let policy = RetryPolicy {
        attempts_max: Some(3),
        ..RetryPolicy::default()
    };
    let error = link
        .deliver(&order("1"), &policy, || 0, |_, _| ())
        .await
        .unwrap_err();
    assert!(matches!(error, ExchangeError::Unframed { bytes: 26 }));

    let script = Script::new([Act::Refuse, Act::Refuse, Act::Refuse, Act::Refuse]);
    let mut link = Link::through(ToScript(script), ClientConfig::default());
    let before = Instant::now();
    let error = link
        .deliver(&order("1"), &policy, || u64::MAX, |_, _| ())
        .await
        .unwrap_err();
    assert!(matches!(error, ExchangeError::Refused));
    assert_eq!(before.elapsed(), Duration::from_secs(3), "1 s and 2 s");
}

#[tokio::test]
async fn many_messages_share_a_connection() {
    let handler = handler_fn(|request: hl7_mllp::Request| async move {
        hl7_mllp::Answer::Reply(ack("AA", &id_of(&request.frame)))
    });
    let (address, running) = on_tcp(handler, ServerConfig::default()).await;
    let mut client = Client::connect(address, ClientConfig::default())
        .await
        .unwrap();
    let mut frames: Vec<_> = (0..500).map(|id| order(&id.to_string())).collect();
    frames.push(b"no id".to_vec());
    let mut outcomes = client.exchange_many(&frames, 64).await;
    assert_eq!(outcomes.pop().unwrap().unwrap_err().name(), "no_control_id");
    for (id, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome.unwrap().answer, ack("AA", &id.to_string()));
    }
    assert_eq!(client.exchange(&order("x")).await.unwrap(), ack("AA", "x"));
    client.close().await;
    assert_eq!(running.stop().await.answers, 501);
}

#[tokio::test(start_paused = true)]
async fn many_answers_may_come_in_any_order_and_a_foreign_one_ends_it() {
    let script = Script::new([
        Act::Say(Vec::new()),
        Act::Say([framed(&ack("AE", "2")), framed(&ack("AA", "1"))].concat()),
        answer("AA", "foreign"),
    ]);
    let dialer = ToScript(script);
    let stream = hl7_mllp::client::Dial::dial(&dialer, &ClientConfig::default())
        .await
        .unwrap();
    let mut client = Client::over(stream, ClientConfig::default());
    let frames = ["1", "2", "3", "4"].map(order);
    let outcomes = client.exchange_many(&frames, 2).await;
    let names: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            outcome
                .as_ref()
                .map(|exchange| exchange.verdict)
                .map_err(ExchangeError::name)
        })
        .collect();
    assert_eq!(
        names,
        [
            Ok(Verdict::Accepted),
            Ok(Verdict::Error),
            Err("wrong_id"),
            Err("abandoned")
        ]
    );
    assert!(!client.is_usable());
}

#[tokio::test(start_paused = true)]
async fn a_broken_answer_says_where() {
    let error = submit(Act::SayAndClose(b"\x0bMSH|half".to_vec()))
        .await
        .unwrap_err();
    let ExchangeError::Frame(error) = error else {
        panic!("{error}")
    };
    assert_eq!((error.kind, error.offset), (FrameErrorKind::Truncated, 9));
}
