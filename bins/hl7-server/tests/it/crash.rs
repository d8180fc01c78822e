//! kill -9 and SIGTERM under load: what was acknowledged is there, once, with its effect once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::senders::{Sender, Shared, resend, start};
use crate::server::Server;

const SENDERS: u64 = 6;
/// How many messages a sender has on the way at a time.
const WINDOW: usize = 8;
/// Kills in an ordinary run; `HL7_CRASH_KILLS` asks for more.
const KILLS: u32 = 10;

fn kills() -> u32 {
    std::env::var_os("HL7_CRASH_KILLS")
        .and_then(|text| text.to_str()?.parse().ok())
        .unwrap_or(KILLS)
}

fn senders(round: u32) -> Vec<Sender> {
    (0..SENDERS)
        .map(|n| Sender::new(format!("R{round}S{n}"), u64::from(round) * 100 + n))
        .collect()
}

/// Compares the database with what the senders wrote down.
fn compare(data_dir: &Path, shared: &Shared) {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(data_dir.join("medsynapse.db"), flags).unwrap();
    let check: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let mut stored: BTreeMap<String, (String, u32)> = BTreeMap::new();
    let mut statement = database
        .prepare(
            "SELECT control_id, ack_code, CAST(raw AS TEXT), CAST(ack AS TEXT) FROM messages \
             WHERE direction = 'in'",
        )
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    // What the messages in the log must have done together.
    let mut versions: BTreeMap<String, u32> = BTreeMap::new();
    let mut orders: BTreeMap<String, u32> = BTreeMap::new();
    while let Some(row) = rows.next().unwrap() {
        let id: String = row.get(0).unwrap();
        let (code, raw): (String, String) = (row.get(1).unwrap(), row.get(2).unwrap());
        let ack: String = row.get(3).unwrap();
        assert!(ack.contains(&format!("\rMSA|{code}|{id}|")), "{ack}");
        stored.entry(id).or_insert((raw.clone(), 0)).1 += 1;
        let accession = raw.split("\rOBR|1|").nth(1).unwrap();
        let accession = accession.split(['|', '\r']).next().unwrap().to_owned();
        let effects = if raw.contains("ORM^O01") {
            &mut orders
        } else {
            &mut versions
        };
        *effects.entry(accession).or_default() += 1;
    }
    let log = shared.log();
    for (id, message) in &log.accepted {
        let (raw, times) = stored
            .get(id)
            .unwrap_or_else(|| panic!("{id} was acknowledged and is not stored"));
        assert_eq!((raw, *times), (message, 1), "{id}");
    }
    for (id, (_, times)) in &stored {
        assert_eq!(*times, 1, "{id} is stored {times} times");
        assert!(log.accepted.contains_key(id) || log.unanswered.contains_key(id));
    }
    let of = |sql: &str| -> BTreeMap<String, u32> {
        let mut statement = database.prepare(sql).unwrap();
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        rows.map(Result::unwrap).collect()
    };
    // Each order exists because of one message, each report has a version for each message.
    assert_eq!(
        of("SELECT accession_number, count(*) FROM orders GROUP BY 1"),
        orders
    );
    assert_eq!(
        of("SELECT accession_number, max(version) FROM reports GROUP BY 1"),
        versions
    );
    assert_eq!(
        of("SELECT accession_number, count(*) FROM reports GROUP BY 1"),
        versions
    );
    let counted: u32 = of("SELECT 'all', coalesce(sum(messages), 0) FROM message_counts")["all"];
    assert_eq!(counted as usize, stored.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_message_survives_every_kill() {
    let directory = TempDir::new().unwrap();
    let shared = Shared::default();
    let mut dice = ChaCha8Rng::seed_from_u64(2_575);
    let mut slowest = Duration::ZERO;
    for round in 0..kills() {
        let server = Server::start(directory.path(), &[]);
        // What the last kill left without an answer comes again, and counts once.
        resend(server.mllp, &shared).await;
        compare(directory.path(), &shared);
        let (before, wanted) = (shared.accepted(), u64::from(dice.next_u32() % 400));
        let mut set = start(senders(round), server.mllp, WINDOW, &shared);
        while shared.accepted() < before + wanted {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        // Some moment within a commit.
        tokio::time::sleep(Duration::from_micros(u64::from(dice.next_u32() % 5_000))).await;
        server.kill();
        while set.join_next().await.is_some() {}

        let begun = Instant::now();
        let server = Server::start(directory.path(), &[]);
        slowest = slowest.max(begun.elapsed());
        compare(directory.path(), &shared);
        server.kill();
    }
    let server = Server::start(directory.path(), &[]);
    resend(server.mllp, &shared).await;
    compare(directory.path(), &shared);
    println!(
        "{} kills, {} messages acknowledged, slowest start {slowest:?}",
        kills(),
        shared.accepted()
    );
    assert!(shared.accepted() > 0);
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_answers_all_that_is_stored_and_a_resend_finds_it() {
    let directory = TempDir::new().unwrap();
    let shared = Shared::default();
    for round in 0..3 {
        let server = Server::start(directory.path(), &[]);
        resend(server.mllp, &shared).await;
        let before = shared.accepted();
        let mut set = start(senders(round), server.mllp, WINDOW, &shared);
        while shared.accepted() < before + 100 {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        let begun = Instant::now();
        server.signal("TERM");
        let status = tokio::task::spawn_blocking(|| server.ended())
            .await
            .unwrap();
        assert!(status.success(), "{status}");
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
        while set.join_next().await.is_some() {}
        compare(directory.path(), &shared);
        // Nothing was stored behind a sender's back.
        let database = Connection::open(directory.path().join("medsynapse.db")).unwrap();
        let rows: u64 = database
            .query_row("SELECT count(*) FROM messages", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, shared.accepted());
    }
    // Acknowledged messages, sent again: the first answers, no second effect.
    let server = Server::start(directory.path(), &[]);
    let again = Shared::default();
    let accepted = shared.log().accepted.clone();
    again
        .log()
        .unanswered
        .extend(accepted.into_iter().take(200));
    resend(server.mllp, &again).await;
    resend(server.mllp, &shared).await;
    compare(directory.path(), &shared);
}
