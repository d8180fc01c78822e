//! Strangers on the MLLP port.

use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{PATIENCE, Server, order};

fn frame(message: &str) -> Vec<u8> {
    [b"\x0B", message.as_bytes(), b"\x1C\r"].concat()
}

/// Sends bytes, closes its half, and gives what came back.
async fn talk(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.mllp).await.unwrap();
    // The server may close before all of it is taken.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(PATIENCE, read).await.expect("an end");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn everything_that_is_no_message_is_survived() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &[]);
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(server.mllp).await.unwrap());
    }
    let good = order(1);
    let mut stream = TcpStream::connect(server.mllp).await.unwrap();
    for piece in frame(&good).chunks(7) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = vec![0; 4_096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(String::from_utf8_lossy(&answer[..read]).contains("MSA|AA|M1|Order registered."));

    assert!(
        talk(&server, &frame("not HL7"))
            .await
            .contains("MSA|AR||No message")
    );
    assert!(
        talk(&server, &frame(&good.replace("|M1|", "||")))
            .await
            .contains("Missing MSH-10")
    );
    assert!(
        talk(&server, &frame(&good.replace("ORM^O01", "XXX^Y01")))
            .await
            .contains("MSA|AR|M1|")
    );
    assert_eq!(talk(&server, &frame(&good)[..100]).await, "");
    assert_eq!(
        talk(&server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await,
        ""
    );
    let junk = talk(
        &server,
        &[b"\r\n\r\n".as_slice(), &frame(&order(2)), b"\n"].concat(),
    )
    .await;
    assert!(junk.contains("MSA|AA|M2|"), "{junk}");
    // Twenty megabytes in one frame: over the limit, dropped without an answer.
    let giant = [b"\x0B".as_slice(), &vec![b'x'; 20 << 20]].concat();
    assert_eq!(talk(&server, &giant).await, "");
    let separators = format!("{}OBX{}", order(3), "|".repeat(1 << 20));
    let start = std::time::Instant::now();
    assert!(
        talk(&server, &frame(&separators))
            .await
            .contains("MSA|AA|M3|")
    );
    assert!(start.elapsed() < Duration::from_secs(10));

    let listed = server.get("/api/hl7/messages?limit=100").await;
    assert_eq!(listed["totalCount"], 6);
    drop(silent);
}

#[tokio::test]
async fn silent_http_connections_take_nothing_from_mllp() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &[]);
    let rest = server.rest.trim_start_matches("http://").to_owned();
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(&rest).await.unwrap());
    }
    assert!(
        talk(&server, &frame(&order(1)))
            .await
            .contains("MSA|AA|M1|")
    );
    drop(silent);
    assert_eq!(server.get("/api/hl7/messages").await["totalCount"], 1);
}

#[tokio::test]
async fn the_strict_profile_refuses_a_second_connection() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &["--profile", "medsynapse-strict"]);
    let first = TcpStream::connect(server.mllp).await.unwrap();
    let mut second = TcpStream::connect(server.mllp).await.unwrap();
    let mut byte = [0];
    let end = tokio::time::timeout(PATIENCE, second.read(&mut byte))
        .await
        .unwrap();
    assert!(matches!(end, Ok(0) | Err(_)));
    drop(first);
    // The place is free again as soon as the server has seen the end of the first.
    let answer = loop {
        let answer = talk(&server, &frame(&order(1))).await;
        if !answer.is_empty() {
            break answer;
        }
    };
    assert!(answer.contains("MSA|AA|M1|"));
}
