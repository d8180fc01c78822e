//! Starting, stopping, being killed, refusing to start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::server::{Server, command, order, run};

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let directory = TempDir::new().unwrap();
    let mut next = 0;
    for _ in 0..3 {
        let server = Server::start(directory.path(), &[]);
        let acknowledged = Arc::new(AtomicU32::new(next));
        let (mllp, seen, first) = (server.mllp, Arc::clone(&acknowledged), next);
        // One sender, one message at a time: all up to the last acknowledged one must be there.
        let sender = tokio::spawn(async move {
            let config = hl7_mllp::ClientConfig::default();
            let mut client = hl7_mllp::Client::connect(mllp, config).await.unwrap();
            for number in first.. {
                if client.exchange(order(number).as_bytes()).await.is_err() {
                    return;
                }
                seen.store(number + 1, Ordering::SeqCst);
            }
        });
        while acknowledged.load(Ordering::SeqCst) < next + 50 {
            tokio::task::yield_now().await;
        }
        server.kill();
        sender.await.unwrap();
        next = acknowledged.load(Ordering::SeqCst);

        let start = Instant::now();
        let server = Server::start(directory.path(), &[]);
        assert!(start.elapsed() < Duration::from_secs(10));
        let types = server.get("/api/hl7/types").await;
        let stored = types["ORM"].as_u64().unwrap();
        // The one in hand when the kill came may be stored without having been acknowledged.
        assert!(
            stored == u64::from(next) || stored == u64::from(next) + 1,
            "{stored} {next}"
        );
        // Sent again, it is the same message and not a second one.
        let mut client = server.client().await;
        client.exchange(order(next).as_bytes()).await.unwrap();
        next += 1;
        assert_eq!(server.get("/api/hl7/types").await["ORM"], next);
        server.kill();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn sigterm_answers_what_is_in_hand_and_ends_well() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &[]);
    let mllp = server.mllp;
    let sender = tokio::spawn(async move {
        let mut answered = 0;
        let config = hl7_mllp::ClientConfig::default();
        let mut client = hl7_mllp::Client::connect(mllp, config).await.unwrap();
        while client.exchange(order(answered).as_bytes()).await.is_ok() {
            answered += 1;
        }
        answered
    });
    while server.get("/api/hl7/types").await["ORM"]
        .as_u64()
        .unwrap_or(0)
        < 20
    {
        tokio::task::yield_now().await;
    }
    let start = Instant::now();
    server.signal("TERM");
    let status = tokio::task::spawn_blocking(|| server.ended())
        .await
        .unwrap();
    assert!(status.success());
    assert!(start.elapsed() < Duration::from_secs(5));
    let answered = sender.await.unwrap();

    let server = Server::start(directory.path(), &[]);
    assert_eq!(server.get("/api/hl7/types").await["ORM"], answered);
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_at_the_first_moment_is_obeyed_and_not_suffered() {
    for _ in 0..10 {
        let directory = TempDir::new().unwrap();
        let server = Server::start(directory.path(), &[]);
        server.signal("TERM");
        assert_eq!(server.ended().code(), Some(0));
    }
}

#[test]
fn a_port_in_use_is_one_clear_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--mllp", "--rest", "--web", "--dicom"] {
        let directory = TempDir::new().unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hl7-server"));
        command
            .args([
                "--mllp",
                "127.0.0.1:0",
                "--rest",
                "127.0.0.1:0",
                "--web",
                "127.0.0.1:0",
                "--dicom",
                "127.0.0.1:0",
            ])
            .arg("--data-dir")
            .arg(directory.path());
        // The last one given wins only where it is given once: replace it.
        let arguments: Vec<String> = command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect();
        let mut replaced = std::process::Command::new(env!("CARGO_BIN_EXE_hl7-server"));
        replaced
            .env_clear()
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut next_is_ours = false;
        for argument in arguments {
            replaced.arg(if next_is_ours {
                address.clone()
            } else {
                argument.clone()
            });
            next_is_ours = argument == flag;
        }
        let (code, _, error) = run(replaced);
        assert_eq!(code, Some(1));
        assert!(
            error.contains(&format!("{address} is in use")) && error.contains(flag),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn a_data_directory_has_one_broker() {
    let directory = TempDir::new().unwrap();
    let _first = Server::start(directory.path(), &[]);
    let (code, _, error) = run(command(directory.path()));
    assert_eq!(code, Some(1));
    assert!(error.contains("is in use by another broker"), "{error}");
}

#[test]
fn wrong_configuration_is_told_before_anything_happens() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("broker.toml");
    std::fs::write(&file, "[mllp]\nlissen = '127.0.0.1:1'\n").unwrap();
    let data = directory.path().join("data");
    let mut with_file = command(&data);
    with_file.arg("--config").arg(&file);
    let (code, _, error) = run(with_file);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("broker.toml") && error.contains("lissen"),
        "{error}"
    );
    assert!(!data.exists());

    let mut unprotected = command(&data);
    unprotected.args(["--log", "info"]);
    let mut open = std::process::Command::new(env!("CARGO_BIN_EXE_hl7-server"));
    open.env_clear()
        .args(["--rest", "0.0.0.0:0"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let (code, _, error) = run(open);
    assert_eq!(code, Some(2));
    assert!(error.contains("--insecure"), "{error}");
}

#[test]
fn the_effective_configuration_hides_keys() {
    let directory = TempDir::new().unwrap();
    let mut shown = command(directory.path());
    shown
        .arg("--print-config")
        .env("API_KEY", "very-secret-key");
    let (code, out, _) = run(shown);
    assert_eq!(code, Some(0));
    assert!(
        out.contains("(hidden)") && !out.contains("very-secret-key"),
        "{out}"
    );
}

#[tokio::test]
async fn the_banner_names_what_is_open_and_health_can_be_asked() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &["--demo", "40"]);
    let rest = server.rest.trim_start_matches("http://").to_owned();
    let mut asked = std::process::Command::new(env!("CARGO_BIN_EXE_hl7-server"));
    asked
        .env_clear()
        .args(["healthcheck", "--rest", &rest])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let (code, _, error) = run(asked);
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(server.get("/api/hl7/messages").await["totalCount"], 40);
    let page = reqwest::get(&server.web)
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(page.contains("ORM"), "{page}");
}

#[test]
fn it_completes_its_options_and_has_a_manual() {
    use std::process::{Command, Stdio};
    let server = || Command::new(env!("CARGO_BIN_EXE_hl7-server"));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = server().args(["completions", shell]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("print-ports"));
    }
    let output = server().arg("man").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains(".TH hl7-server 1"));
    for arguments in ["man", "completions bash", "openapi", "check-config"] {
        let mut child = server()
            .args(arguments.split(' '))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Whoever reads it has seen enough.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments}: {error}");
    }
}
