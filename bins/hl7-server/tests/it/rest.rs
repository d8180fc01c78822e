//! What clients of the REST API do: the recipes of the guide against a running server,
//! and bodies that no client should send.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{PATIENCE, Server};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Whether a program of others is there; says so where it is not.
fn there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(program).exists());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// Runs a program to its end and gives what it prints.
fn run(mut command: Command) -> String {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{}: {out}\n{err}", output.status);
    out.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recipes_of_the_guide() {
    if !there("curl") || !there("sh") {
        return;
    }
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &[]);
    let guide = std::fs::read_to_string(repository().join("docs/guide/rest.md")).unwrap();
    let blocks = guide
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let script: String = blocks.collect();
    assert!(script.matches("curl").count() > 15);
    let mut command = Command::new("sh");
    // A status of 400 and above ends the recipe with an error.
    let fail = "curl() { command curl --fail-with-body \"$@\" && echo; }\nset -e\n";
    command
        .arg("-c")
        .arg(format!("{fail}{script}"))
        .env("BROKER", &server.rest);
    let said = run(command);
    for wanted in [
        "\"accessionNumber\":\"CT-1001\"",
        "made up",
        "\"reportStatus\":\"FINAL\"",
        "MSA|AA|",
        "\"Lungs are clear",
        "\"accepted\":false",
    ] {
        let plain = said.replace("\\n", "\n");
        assert!(
            said.contains(wanted) || plain.contains(wanted.trim_start_matches('"')),
            "{wanted} in {said}"
        );
    }
}

async fn answer_to(server: &Server, request: &[u8]) -> String {
    let rest = server.rest.trim_start_matches("http://");
    let mut stream = TcpStream::connect(rest).await.unwrap();
    // The server may answer and close before all of it is taken.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_50_mb_and_other_garbage() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &[]);
    let routes = [
        ("/api/hl7", "text/plain"),
        ("/api/hl7", "application/json"),
        ("/api/orders", "application/json"),
        ("/api/hl7/query", "application/json"),
        ("/api/v1/parse", "application/json"),
        ("/api/v1/generate", "application/json"),
    ];
    let body = vec![b'['; 50 << 20];
    for (path, kind) in routes {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\n"
        );
        let sized = format!("{head}Content-Length: {}\r\n\r\n", body.len());
        let answer = answer_to(&server, &[sized.as_bytes(), &body].concat()).await;
        // A link that is cut because its end is not read is an answer too.
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
            "{path}: {answer:.60}"
        );
        // Nobody said how long it is: it is counted.
        let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        chunked.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
        chunked.extend_from_slice(&body);
        let answer = answer_to(&server, &chunked).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
            "{path}: {answer:.60}"
        );
        // As deep as a small body can be.
        let deep = vec![b'['; 60_000];
        let sized = format!("{head}Content-Length: {}\r\n\r\n", deep.len());
        let answer = answer_to(&server, &[sized.as_bytes(), &deep].concat()).await;
        assert!(
            answer.starts_with("HTTP/1.1 4") || kind == "text/plain",
            "{path}: {answer:.60}"
        );
    }
    assert_eq!(server.get("/api/v1/health/ready").await["status"], "ready");
}
