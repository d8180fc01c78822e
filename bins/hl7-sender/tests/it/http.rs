//! Sending by HTTP.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hl7_mllp::tls::rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::{
    peer::{ack, closed_port, control_id},
    program::{Files, Ran, message, run, sender},
    tls::Certificates,
};

/// A request as it came: its head in lower case, and its JSON.
struct Request {
    head: String,
    json: Value,
}

impl Request {
    fn message(&self) -> Vec<u8> {
        STANDARD
            .decode(self.json["message"].as_str().unwrap())
            .unwrap()
    }
}

/// A server that answers each request with what `answer` makes of its message.
fn server(answer: fn(&[u8]) -> (u16, String)) -> (String, Receiver<Request>) {
    server_over("http", answer, |stream| stream)
}

/// [`server`] over what `upgrade` makes of a connection.
fn server_over<S: Read + Write>(
    scheme: &str,
    answer: fn(&[u8]) -> (u16, String),
    upgrade: impl Fn(TcpStream) -> S + Send + 'static,
) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let host = if scheme == "https" {
        "localhost"
    } else {
        "127.0.0.1"
    };
    let (saw, seen) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let mut stream = upgrade(stream);
            let Some(request) = read(&mut stream) else {
                continue;
            };
            let (status, body) = answer(&request.message());
            let _ = saw.send(request);
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(&[head.into_bytes(), body.into_bytes()].concat());
        }
    });
    (format!("{scheme}://{host}:{port}/api/hl7"), seen)
}

fn read(stream: &mut impl Read) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length: usize = head
                .split("content-length: ")
                .nth(1)?
                .lines()
                .next()?
                .parse()
                .ok()?;
            if bytes.len() >= end + 4 + length {
                let json = serde_json::from_slice(&bytes[end + 4..]).ok()?;
                return Some(Request { head, json });
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

fn answered(status: u16, code: &str, message: &[u8]) -> (u16, String) {
    let acknowledgment = ack(code, &control_id(message));
    (
        status,
        json!({ "messageId": 1, "acknowledgment": acknowledgment }).to_string(),
    )
}

fn accept(message: &[u8]) -> (u16, String) {
    answered(200, "AA", message)
}

fn post(url: &str, count: usize, more: &[&str]) -> Ran {
    let files = Files::new();
    let mut command = sender();
    command
        .args(["--http", "--endpoint", url, "--input"])
        .arg(files.messages(count))
        .args(more);
    run(&mut command)
}

#[test]
fn the_message_travels_in_base64_with_type_and_time() {
    let (url, seen) = server(accept);
    post(&url, 2, &[])
        .exits(0)
        .ends_with("Sending complete. Successfully sent 2/2 messages.");
    let request = seen.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(
        request.head.starts_with("post /api/hl7 http/1.1"),
        "{}",
        request.head
    );
    assert!(
        request.head.contains("content-type: application/json"),
        "{}",
        request.head
    );
    assert!(!request.head.contains("x-api-key"));
    assert_eq!(
        request.message(),
        message(1).replace('\n', "\r").into_bytes()
    );
    assert_eq!(request.json["messageType"], "ORM");
    let time = request.json["sendTime"].as_str().unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
}

#[test]
fn a_refusal_carries_its_acknowledgement() {
    let (url, _seen) = server(|message| answered(422, "AR", message));
    post(&url, 1, &[]).exits(1).says("AR  Text of AR.");
    let (url, _seen) = server(|message| answered(503, "AE", message));
    post(&url, 1, &[]).exits(1).says("AE  Text of AE.");
    post(&url, 1, &["--expect", "AE"]).exits(0);
}

#[test]
fn a_refused_key_is_5_and_ends_the_run() {
    let (url, seen) = server(|_| {
        (
            401,
            json!({ "error": "Unauthorized: Invalid API key" }).to_string(),
        )
    });
    let ran = post(&url, 3, &[])
        .exits(5)
        .says("HL7_API_KEY")
        .says("2 messages were not tried");
    assert_eq!(
        ran.out,
        "Sending complete. Successfully sent 0/3 messages.\n"
    );
    assert_eq!(seen.try_iter().count(), 1);
}

#[test]
fn the_key_comes_from_file_environment_or_command_line() {
    let (url, seen) = server(accept);
    let key = || {
        let head = seen.recv_timeout(Duration::from_secs(20)).unwrap().head;
        head.lines()
            .find_map(|line| line.strip_prefix("x-api-key: ").map(str::to_owned))
            .unwrap()
    };
    let files = Files::new();
    let file = files.write("key.txt", "k-file\n");
    let ran = post(&url, 1, &["--apikey-file", file.to_str().unwrap()]).exits(0);
    assert_eq!(key(), "k-file");
    assert!(!ran.err.contains("warning"), "{}", ran.err);

    let mut command = sender();
    command
        .env("HL7_API_KEY", "k-env")
        .env("HL7_API_ENDPOINT", &url);
    let ran = run(command.args(["--http", "--input"]).arg(files.messages(1))).exits(0);
    assert_eq!(key(), "k-env");
    assert!(!ran.err.contains("warning"), "{}", ran.err);

    let ran = post(&url, 1, &["--apikey", "k-line"])
        .exits(0)
        .says("every user of this machine");
    assert_eq!(key(), "k-line");
    assert!(!ran.err.contains("k-line"), "{}", ran.err);
}

#[test]
fn what_is_no_acknowledgement_is_told_apart() {
    let (url, _seen) = server(|_| {
        (
            200,
            json!({ "acknowledgment": ack("AA", "other") }).to_string(),
        )
    });
    post(&url, 1, &[]).exits(6).says("MSA-2");
    let (url, _seen) = server(|_| (404, "<html>not here</html>".to_owned()));
    post(&url, 1, &[]).exits(6).says("HTTP 404");
    let (url, _seen) = server(|_| {
        (
            400,
            json!({ "error": "Failed to parse HL7 message" }).to_string(),
        )
    });
    post(&url, 1, &[])
        .exits(1)
        .says("HTTP 400): Failed to parse HL7 message");
}

#[test]
fn nothing_there_is_3_and_silence_is_4() {
    let port = closed_port();
    post(&format!("http://127.0.0.1:{port}/api/hl7"), 1, &[])
        .exits(3)
        .says("--endpoint");
    // The listener takes the connection into its backlog and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    post(&url, 1, &["--timeout", "300ms"])
        .exits(4)
        .says("no answer within 300ms");
    post("no-url", 1, &[])
        .exits(2)
        .says("http://host:port/path");
}

#[test]
fn https_trusts_the_authority_that_is_named() {
    let certificates = Certificates::new();
    let tls = certificates.server();
    let (url, _seen) = server_over("https", accept, move |stream| {
        let session = ServerConnection::new(Arc::clone(&tls)).unwrap();
        StreamOwned::new(session, stream)
    });
    post(&url, 1, &["--ca", &certificates.path("ca.pem")])
        .exits(0)
        .says("AA");
    let stranger = Certificates::new();
    post(&url, 1, &["--ca", &stranger.path("ca.pem")])
        .exits(5)
        .says("certificate");
}
