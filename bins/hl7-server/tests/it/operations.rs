//! What somebody who runs the broker sees of it: metrics, and faults on purpose.

use std::io::{BufRead, BufReader};

use tempfile::TempDir;

use crate::senders::{self, Sender, Shared};
use crate::server::{PATIENCE, Server, command, order, run};

/// The value of a line of the metrics page.
#[track_caller]
pub(crate) fn value(page: &str, name: &str) -> f64 {
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("{name} is not in:\n{page}"));
    line.parse().unwrap()
}

pub(crate) async fn metrics(server: &Server) -> String {
    let answer = reqwest::get(format!("{}/api/v1/metrics", server.rest))
        .await
        .unwrap();
    assert!(answer.status().is_success());
    let kind = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    answer.text().await.unwrap()
}

#[tokio::test]
async fn metrics_count_what_happened_and_name_nobody() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &[]);
    let mut client = server.client().await;
    for number in 0..5 {
        client.exchange(order(number).as_bytes()).await.unwrap();
    }
    client.exchange(order(0).as_bytes()).await.unwrap();
    let incomplete = order(9).replace("SMITH^JOHN", "");
    client.exchange(incomplete.as_bytes()).await.unwrap();
    let unknown = order(8).replace("ORC|NW", "ORC|CA");
    client.exchange(unknown.as_bytes()).await.unwrap();
    let page = metrics(&server).await;
    assert!((value(&page, "hl7_messages_received_total{transport=\"mllp\"}") - 8.0).abs() < 0.1);
    for (name, expected) in [
        ("hl7_messages_answered_total{code=\"AA\"}", 6.0),
        ("hl7_messages_answered_total{code=\"AR\"}", 2.0),
        ("hl7_messages_answered_total{code=\"AE\"}", 0.0),
        ("hl7_messages_duplicate_total", 1.0),
        ("hl7_messages_refused_total{reason=\"101\"}", 1.0),
        ("hl7_messages_refused_total{reason=\"204\"}", 1.0),
        ("hl7_commit_seconds_count", 8.0),
        ("hl7_commit_batch_messages_sum", 8.0),
        ("hl7_queue_wait_seconds_count", 8.0),
        ("hl7_queue_messages", 0.0),
        ("hl7_queue_oldest_seconds", 0.0),
        ("hl7_storing", 1.0),
        ("hl7_faults_on", 0.0),
        ("mllp_connections", 1.0),
        ("mllp_frames_total", 8.0),
    ] {
        let found = value(&page, name);
        assert!((found - expected).abs() < 0.001, "{name} {found}");
    }
    for private in ["SMITH", "JOHN", "P1", "HOSPITAL", "RIS", "M0", "A0\""] {
        assert!(!page.contains(private), "{private} is in:\n{page}");
    }

    // Bytes that are no frame are counted by kind.
    let bad = [b"\x0B".as_slice(), order(3).as_bytes(), b"\x0B\x1C\r"].concat();
    let mut stream = tokio::net::TcpStream::connect(server.mllp).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &bad)
        .await
        .unwrap();
    let mut rest = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    // The server takes its leave a moment after the last byte.
    let start = std::time::Instant::now();
    loop {
        let page = metrics(&server).await;
        if page.contains("mllp_connections_closed_total{reason=\"block_restarted\"} 1") {
            assert!(
                (value(&page, "mllp_frame_errors_total{kind=\"block_restarted\"}") - 1.0).abs()
                    < 0.1
            );
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{page}");
    }
}

#[tokio::test]
async fn faults_are_in_the_banner_and_on_the_wire_and_never_in_the_store() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("broker.toml");
    std::fs::write(&file, "[faults]\nreject = 1.0\nseed = 3\n").unwrap();
    let data = directory.path().join("data");
    let server = Server::start(&data, &["--config", file.to_str().unwrap()]);
    let mut client = server.client().await;
    let answer = client.exchange(order(1).as_bytes()).await.unwrap();
    let answer = String::from_utf8(answer.to_vec()).unwrap();
    assert!(answer.contains("MSA|AR|M1|Fault on purpose"), "{answer}");
    let listed = server.get("/api/hl7/messages/1").await;
    assert!(listed.to_string().contains("M1"), "{listed}");
    let page = metrics(&server).await;
    assert!((value(&page, "hl7_faults_total{fault=\"reject\"}") - 1.0).abs() < 0.1);
    assert!((value(&page, "hl7_messages_answered_total{code=\"AA\"}") - 1.0).abs() < 0.1);
    drop(client);
    server.kill();

    let mut child = command(&data).arg("--config").arg(&file).spawn().unwrap();
    let banner = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("FAULTS") || line.contains("Ctrl-C"));
    child.kill().unwrap();
    child.wait().unwrap();
    let banner = banner.expect("a banner");
    assert!(
        banner.contains("FAULTS ARE ON") && banner.contains("AR 100 %"),
        "{banner}"
    );

    let mut shown = command(&data);
    shown.arg("--config").arg(&file).arg("--print-config");
    let (code, out, _) = run(shown);
    assert_eq!(code, Some(0));
    assert!(
        out.contains("[faults]") && out.contains("reject = 1.0"),
        "{out}"
    );
}

fn backup(data: &std::path::Path, file: &std::path::Path) -> (Option<i32>, String) {
    let mut asked = command(data);
    asked.arg("backup").arg(file);
    let (code, out, error) = run(asked);
    assert_eq!(out, "");
    (code, error)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_taken_while_messages_come_in_and_is_a_broker_of_its_own() {
    let directory = TempDir::new().unwrap();
    let (data, restored) = (
        directory.path().join("data"),
        directory.path().join("restored"),
    );
    std::fs::create_dir(&restored).unwrap();
    let server = Server::start(&data, &[]);
    let shared = Shared::default();
    let senders = (0..3).map(|n| Sender::new(format!("S{n}"), n)).collect();
    let mut set = senders::start(senders, server.mllp, 4, &shared);
    while shared.accepted() < 50 {
        tokio::task::yield_now().await;
    }
    let before = shared.log().accepted.clone();
    let file = restored.join("medsynapse.db");
    let (code, told) = tokio::task::spawn_blocking({
        let (data, file) = (data.clone(), file.clone());
        move || backup(&data, &file)
    })
    .await
    .unwrap();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("every one of them checked"), "{told}");
    let during = shared.accepted();
    while shared.accepted() < during + 50 {
        tokio::task::yield_now().await;
    }
    server.kill();
    while set.join_next().await.is_some() {}

    let names: Vec<_> = std::fs::read_dir(&restored)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["medsynapse.db"]);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::MetadataExt::mode(&file.metadata().unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }
    // All that was acknowledged before the backup began is found in it, once.
    let server = Server::start(&restored, &[]);
    let copied = server.get("/api/hl7/messages").await["totalCount"]
        .as_u64()
        .unwrap();
    assert!(copied >= before.len() as u64);
    let again = Shared::default();
    again.log().unanswered.extend(before);
    senders::resend(server.mllp, &again).await;
    assert_eq!(server.get("/api/hl7/messages").await["totalCount"], copied);

    // A name that is taken is left alone; a directory without a database is told.
    let (code, told) = backup(&data, &file);
    assert_eq!(code, Some(1));
    assert!(told.contains("is there already"), "{told}");
    let (code, told) = backup(
        &directory.path().join("nothing"),
        &directory.path().join("x.db"),
    );
    assert_eq!(code, Some(1));
    assert!(told.contains("no database is there"), "{told}");
    assert!(!directory.path().join("x.db").exists());
    // And without a server.
    let (code, told) = backup(&data, &directory.path().join("stopped.db"));
    assert_eq!(code, Some(0), "{told}");
}

#[tokio::test]
async fn a_backup_of_a_damaged_message_is_refused() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let server = Server::start(&data, &[]);
    let mut client = server.client().await;
    for number in 0..3 {
        client.exchange(order(number).as_bytes()).await.unwrap();
    }
    server.kill();
    let database = rusqlite::Connection::open(data.join("medsynapse.db")).unwrap();
    let changed =
        "UPDATE messages SET raw = CAST(replace(raw, 'SMITH', 'SMYTH') AS BLOB) WHERE id = 2";
    assert_eq!(database.execute(changed, []).unwrap(), 1);
    drop(database);
    let file = directory.path().join("copy.db");
    let (code, told) = backup(&data, &file);
    assert_eq!(code, Some(1));
    assert!(
        told.contains("row 2 of messages does not match its checksum"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1);
    assert!(!file.exists());
}

#[tokio::test]
async fn a_replay_says_whether_the_log_leads_to_what_is_kept() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let server = Server::start(&data, &["--demo", "60"]);
    let mut client = server.client().await;
    for number in 0..5 {
        client.exchange(order(number).as_bytes()).await.unwrap();
    }
    let replay = |arguments: &[&str]| {
        let mut asked = command(&data);
        asked.arg("replay").args(arguments);
        run(asked)
    };
    // Beside the running server; nothing is left behind.
    let before = std::fs::read_dir(&data).unwrap().count();
    let (code, out, told) = replay(&[]);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{told}");
    assert!(told.contains("65 entries lead to what is kept"), "{told}");
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), before);
    server.kill();

    let database = rusqlite::Connection::open(data.join("medsynapse.db")).unwrap();
    let changed = "UPDATE orders SET modality = 'XA' WHERE accession_number = 'A3'";
    assert_eq!(database.execute(changed, []).unwrap(), 1);
    drop(database);
    let into = directory.path().join("rebuilt");
    let (code, out, told) = replay(&["--into", into.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{told}");
    assert_eq!(
        out,
        "orders A3: kept otherwise than the log leads to it: modality\n"
    );
    assert!(told.contains("1 of "), "{told}");
    // What was rebuilt is a data directory, and right.
    let server = Server::start(&into, &[]);
    assert_eq!(server.get("/api/hl7/messages").await["totalCount"], 65);
    server.kill();
    let (code, _, told) = replay(&["--into", into.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(told.contains("a database is there already"), "{told}");
}

#[tokio::test]
async fn what_is_older_than_retention_allows_goes_by_itself() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let server = Server::start(&data, &[]);
    let mut client = server.client().await;
    for number in 0..4 {
        client.exchange(order(number).as_bytes()).await.unwrap();
    }
    for number in 0..2 {
        let done = order(number).replace("|NW", "|CM").replace("|M", "|D");
        client.exchange(done.as_bytes()).await.unwrap();
    }
    server.kill();
    let database = rusqlite::Connection::open(data.join("medsynapse.db")).unwrap();
    // Ten days ago.
    let age = 10 * 86_400_000_000_i64;
    database
        .execute("UPDATE messages SET received_at = received_at - ?1", [age])
        .unwrap();
    database
        .execute("UPDATE orders SET updated_at = updated_at - ?1", [age])
        .unwrap();
    database
        .execute("UPDATE patients SET updated_at = updated_at - ?1", [age])
        .unwrap();
    drop(database);
    medsynapse_store::testing::reseal(&data).unwrap();
    let file = directory.path().join("broker.toml");
    for (days, left) in [(11, 6), (9, 2)] {
        std::fs::write(&file, format!("[retention]\ndays = {days}\n")).unwrap();
        let server = Server::start(&data, &["--config", file.to_str().unwrap()]);
        let start = std::time::Instant::now();
        loop {
            let count = server.get("/api/hl7/messages").await["totalCount"]
                .as_u64()
                .unwrap();
            if count == left {
                break;
            }
            assert!(count > left && start.elapsed() < PATIENCE, "{count}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let start = std::time::Instant::now();
        server.signal("TERM");
        assert!(server.ended().success());
        assert!(start.elapsed() < std::time::Duration::from_secs(5));
    }
}
