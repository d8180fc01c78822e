//! A full disk: a small file system that only this server sees.
#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use hl7_mllp::Client;
use tempfile::TempDir;

use crate::server::{Server, order};

/// A shell that mounts a small file system for itself alone and becomes the server.
const SMALL_DISK: &str = "mount -t tmpfs -o size=8m,mode=0700 tmpfs \"$0\" && exec \"$@\"";

/// Whether this machine lets us mount for ourselves.
fn may_mount() -> bool {
    let directory = TempDir::new().unwrap();
    std::process::Command::new("unshare")
        .args(["-rm", "--", "sh", "-c", SMALL_DISK])
        .arg(directory.path())
        .arg("true")
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

async fn answer(client: &mut Client, number: u32) -> (String, Duration) {
    let begun = Instant::now();
    let answer = client.exchange(order(number).as_bytes()).await.unwrap();
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let code = text.split("\rMSA|").nth(1).unwrap()[..2].to_owned();
    (code, begun.elapsed())
}

#[tokio::test]
async fn a_full_disk_is_answered_ae_and_heals_by_itself() {
    if !may_mount() {
        println!("skipped: this machine does not let a test mount a small file system");
        return;
    }
    let directory = TempDir::new().unwrap();
    let shell = ["unshare", "-rm", "--", "sh", "-c", SMALL_DISK];
    let server = Server::start_through(&shell, directory.path(), &[]);
    let mut client = server.client().await;
    let mut next = 0;
    while next < 50 {
        assert_eq!(answer(&mut client, next).await.0, "AA");
        next += 1;
    }
    let inside = PathBuf::from(format!("/proc/{}/root", server.id()));
    let filler = inside
        .join(directory.path().strip_prefix("/").unwrap())
        .join("filler");
    for round in 0..3_u64 {
        // All the room there is.
        let mut file = std::fs::File::create(&filler).unwrap();
        for size in [64 << 10, 4 << 10, 1] {
            while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
        }
        let (mut full, mut slowest) = (Vec::new(), Duration::ZERO);
        // The write-ahead log may have some room of its own left.
        while full.len() < 5 {
            let (code, time) = answer(&mut client, next).await;
            if code == "AE" {
                full.push(next);
                slowest = slowest.max(time);
            } else {
                assert_eq!(code, "AA");
                assert!(full.is_empty(), "AA while the disk is full");
            }
            next += 1;
            assert!(next < 20_000, "the disk never fills up");
        }
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        // Reads go on, and whoever asks is told.
        let stored = server.get("/api/hl7/messages").await["totalCount"]
            .as_u64()
            .unwrap();
        assert_eq!(stored, u64::from(next) - 5);
        let ready = reqwest::get(format!("{}/api/v1/health/ready", server.rest))
            .await
            .unwrap();
        assert_eq!(ready.status().as_u16(), 503);

        drop(file);
        std::fs::remove_file(&filler).unwrap();
        let begun = Instant::now();
        while answer(&mut client, full[0]).await.0 != "AA" {
            assert!(begun.elapsed() < Duration::from_secs(5), "round {round}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The sender sends the others again, too.
        for number in &full[1..] {
            assert_eq!(answer(&mut client, *number).await.0, "AA");
        }
        let stored = server.get("/api/hl7/messages").await["totalCount"]
            .as_u64()
            .unwrap();
        assert_eq!(stored, u64::from(next));
    }
}
