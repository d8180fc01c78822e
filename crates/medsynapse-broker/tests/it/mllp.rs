//! The broker behind a real MLLP server, with clients that behave and clients that do not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hl7_mllp::{Client, ClientConfig, NoObserver, ServerConfig, serve};
use medsynapse::Preset;
use medsynapse_broker::MllpHandler;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::bed::{Bed, Over, message, order};

async fn listen(bed: &Bed, config: ServerConfig) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = Arc::new(MllpHandler::new(Arc::clone(&bed.broker)));
    let stop = CancellationToken::new();
    tokio::spawn(serve(
        listener,
        handler,
        config,
        Arc::new(NoObserver),
        stop.clone(),
    ));
    (address, stop)
}

fn frame(text: &str) -> Vec<u8> {
    [b"\x0B", text.as_bytes(), b"\x1C\r"].concat()
}

/// Writes bytes, closes the sending half, and reads all that comes.
async fn talk(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn many_messages_on_a_connection_are_answered_in_order() {
    let bed = Bed::new(&Over::File);
    let (address, _stop) = listen(&bed, ServerConfig::default()).await;
    let mut bytes = Vec::new();
    for n in 0..50 {
        let control = if n % 2 == 0 { "NW" } else { "CM" };
        let rest = order(control, &format!("A{}", n / 2), "P1");
        bytes.extend(frame(&message("ORM^O01", &format!("M{n}"), &rest)));
    }
    let answer = talk(address, &bytes).await;
    let said: Vec<&str> = answer
        .split("MSA|")
        .skip(1)
        .map(|a| a.split("||").next().unwrap())
        .collect();
    for (n, text) in said.iter().enumerate() {
        let what = if n % 2 == 0 {
            "Order registered."
        } else {
            "Order completed."
        };
        assert_eq!(*text, format!("AA|M{n}|{what}"));
    }
    assert_eq!(said.len(), 50);
}

#[tokio::test]
async fn what_is_not_a_message_gets_an_answer_and_the_server_lives_on() {
    let bed = Bed::new(&Over::File);
    let (address, _stop) = listen(&bed, ServerConfig::default()).await;
    let good = message("ORM^O01", "GOOD", &order("NW", "A1", "P1"));

    assert!(
        talk(address, &frame("hello"))
            .await
            .contains("MSA|AR||No message")
    );
    // Cut in the middle: reported, never taken, never answered.
    assert_eq!(talk(address, &frame(&good)[..80]).await, "");
    assert_eq!(bed.order("A1"), None);
    // Bytes between frames are stepped over.
    let stray = [b"\n\n".as_slice(), &frame("hello"), b"noise", &frame(&good)].concat();
    let answer = talk(address, &stray).await;
    assert!(answer.contains("MSA|AR||") && answer.contains("MSA|AA|GOOD|Order registered."));
    // Somebody who connects and says nothing takes nothing from anybody.
    let silent = TcpStream::connect(address).await.unwrap();
    let other = message("ORM^O01", "M2", &order("NW", "A2", "P1"));
    assert!(talk(address, &frame(&other)).await.contains("MSA|AA|M2|"));
    drop(silent);
}

#[tokio::test]
async fn a_frame_over_the_limit_is_dropped_with_its_link() {
    let bed = Bed::new(&Over::File);
    let mut config = ServerConfig::default();
    config.limits.frame_bytes_max = 2_000;
    let (address, _stop) = listen(&bed, config).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server closes while this is being written.
    let _ = stream
        .write_all(&[b"\x0B".as_slice(), &vec![b'x'; 100_000]].concat())
        .await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    let good = message("ORM^O01", "M1", &order("NW", "A1", "P1"));
    assert!(talk(address, &frame(&good)).await.contains("MSA|AA|M1|"));
}

#[tokio::test]
async fn stopping_answers_what_is_in_hand() {
    let bed = Bed::new(&Over::File);
    let (address, stop) = listen(&bed, ServerConfig::default()).await;
    let mut client = Client::connect(address, ClientConfig::default())
        .await
        .unwrap();
    let first = message("ORM^O01", "M1", &order("NW", "A1", "P1"));
    client.exchange(first.as_bytes()).await.unwrap();
    stop.cancel();
    let second = message("ORM^O01", "M2", &order("NW", "A2", "P1"));
    let late = client.exchange(second.as_bytes()).await;
    // Either it was still taken and answered, or it was not and the sender knows.
    assert_eq!(late.is_ok(), bed.order("A2").is_some());
}

#[tokio::test]
async fn the_strict_profile_closes_after_its_one_answer() {
    let bed = Bed::with(&Over::File, Preset::MedsynapseStrict.into());
    let config = ServerConfig {
        one_message_per_connection: true,
        ..ServerConfig::default()
    };
    let (address, _stop) = listen(&bed, config).await;
    let mut bytes = Vec::new();
    for n in 1..=2 {
        let rest = order("NW", &format!("A{n}"), "P1");
        bytes.extend(frame(&message("ORM^O01", &format!("M{n}"), &rest)));
    }
    let answer = talk(address, &bytes).await;
    assert!(
        answer.contains("MSA|AA|M1|") && !answer.contains("|M2|"),
        "{answer}"
    );
    assert_eq!(bed.order("A2"), None);
}
