//! Power loss. A broker runs under `strace`, which writes down every byte that goes to its files
//! and every fsync; from that record disks are built as a power cut at some moment could leave
//! them: with unsynced writes lost, out of order, or torn. Each must open, hold every message that
//! was acknowledged by that moment, and be whole.
//!
//! The same with `synchronous=NORMAL` must lose something, or this test shows nothing.
#![cfg(target_os = "linux")]
#![expect(clippy::cast_possible_truncation, reason = "counts and dice of a test")]

mod disk;
mod record;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use medsynapse_broker::{Broker, BrokerConfig, SystemClock};
use medsynapse_store::{MessageQuery, SqliteStore, Store};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tempfile::TempDir;

use crate::bed::{message, order, origin};
use disk::{Cut, Disk};
use record::{Event, Record};

const SENDERS: u32 = 8;
const MESSAGES: u32 = 60;
/// Moments at which the power is cut, and as many again right after an acknowledgement; and each
/// one at which a new database has come a step further.
const CUTS: usize = 48;

/// What runs under strace: a broker with several senders, each of which tells what was
/// acknowledged by writing it to a file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that the other tests of this file watch"]
async fn watched() {
    let Some(directory) = std::env::var_os("HL7_POWER_DIR") else {
        return;
    };
    let directory = Path::new(&directory);
    let mut options = crate::bed::options();
    options.commits_unsynced = std::env::var_os("HL7_POWER_UNSYNCED").is_some();
    let store = SqliteStore::open_with(&directory.join("data"), &options).unwrap();
    let config = BrokerConfig::default();
    let broker = Broker::start(Arc::new(store), config, Arc::new(SystemClock)).unwrap();
    let told = std::fs::File::create(directory.join("told")).unwrap();
    let told = Arc::new(std::sync::Mutex::new(told));
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let (broker, told) = (Arc::clone(&broker), Arc::clone(&told));
        senders.spawn(async move {
            for number in 0..MESSAGES {
                if number == MESSAGES * 3 / 4 {
                    // Time enough for the log to be moved while there is more to come.
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
                let id = format!("S{sender}M{number}");
                let rest = order("NW", &format!("A{sender}-{number}"), &format!("P{sender}"));
                // Some pages for each, so that the log is moved into the database on the way.
                let text = message(
                    "ORM^O01",
                    &id,
                    &format!("{rest}NTE|1||{}\r", "x".repeat(16_000)),
                );
                let answer = broker.receive(text.into(), origin()).await.unwrap();
                assert_eq!(answer.code.as_str(), "AA");
                told.lock().unwrap().write_all(id.as_bytes()).unwrap();
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended.unwrap();
    }
    tokio::task::spawn_blocking(move || broker.close())
        .await
        .unwrap();
}

/// Runs [`watched`] under strace and gives what it did; `None` where strace cannot be used.
fn watch(directory: &Path, unsynced: bool) -> Option<Record> {
    let calls = "trace=openat,pwrite64,write,ftruncate,fdatasync,fsync,unlink,rename";
    let trace = directory.join("trace");
    let strace = |program: &Path| {
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-xx", "-s", "70000", "-e", calls, "-o"]);
        command.arg(&trace).arg(program);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    if !strace(Path::new("true"))
        .status()
        .is_ok_and(|status| status.success())
    {
        println!("skipped: strace is not installed, or may not watch here");
        return None;
    }
    let mut command = strace(&std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "power::watched"])
        .env("HL7_POWER_DIR", directory);
    if unsynced {
        command.env("HL7_POWER_UNSYNCED", "1");
    }
    assert!(
        command.status().unwrap().success(),
        "the watched broker failed"
    );
    let text = std::fs::read(&trace).unwrap();
    std::fs::remove_file(&trace).unwrap();
    Some(Record::read(
        &text,
        &directory.join("data"),
        &directory.join("told"),
    ))
}

/// What a power cut left.
#[derive(Debug, Default)]
struct Loss {
    cuts: usize,
    acknowledged: usize,
    lost: usize,
}

/// Opens a disk as the broker does when the power is back, and counts what is missing.
fn missing(image: &Path, told: &BTreeSet<String>) -> usize {
    let store = crate::bed::open(image).expect("a database that opens");
    let all = MessageQuery {
        limit: 10_000,
        ..MessageQuery::default()
    };
    let listed = store.messages(&all).unwrap();
    assert_eq!(
        listed.total as usize,
        listed.items.len(),
        "counts follow the log"
    );
    let mut found = BTreeSet::new();
    for summary in &listed.items {
        // Checks the checksum.
        let stored = store.message(summary.id).unwrap().unwrap();
        let id = &summary.control_id;
        assert!(String::from_utf8_lossy(&stored.ack).contains(&format!("MSA|AA|{id}|")));
        let accession = summary.accession_number.as_deref().unwrap();
        assert!(
            store
                .order(&accession.try_into().unwrap())
                .unwrap()
                .is_some()
        );
        assert!(found.insert(id.clone()), "{id} is there twice");
    }
    assert_eq!(store.order_count().unwrap() as usize, found.len());
    drop(store);
    let database = rusqlite::Connection::open(image.join("medsynapse.db")).unwrap();
    let whole: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
    told.difference(&found).count()
}

fn cut_the_power(record: &Record, cuts: usize) -> Loss {
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    let count = record.events.len();
    let mut moments: Vec<usize> = (0..cuts)
        .map(|_| dice.next_u64() as usize % count)
        .collect();
    let tellings: Vec<usize> = (0..count)
        .filter(|at| matches!(record.events[*at], Event::Told(_)))
        .collect();
    moments.extend((0..cuts).map(|_| tellings[dice.next_u64() as usize % tellings.len()]));
    // While the database is made, whenever something new is on disk.
    let first = tellings.first().copied().unwrap_or_default();
    moments.extend((0..first).filter(|at| matches!(record.events[*at], Event::SyncEnds(_))));
    moments.sort_unstable();
    let mut loss = Loss::default();
    let mut disk = Disk::default();
    let mut told = BTreeSet::new();
    let mut moments = moments.into_iter().peekable();
    for (at, event) in record.events.iter().enumerate() {
        match event {
            Event::Told(id) => {
                told.insert(id.clone());
            }
            event => disk.apply(event),
        }
        while moments.next_if_eq(&at).is_some() {
            let cut = Cut::ALL[loss.cuts % Cut::ALL.len()];
            let image = TempDir::new().unwrap();
            disk.image(image.path(), cut, &mut dice);
            loss.cuts += 1;
            loss.acknowledged += told.len();
            loss.lost += missing(image.path(), &told);
        }
    }
    loss
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_is_cut() {
    let directory = TempDir::new().unwrap();
    let Some(record) = watch(directory.path(), false) else {
        return;
    };
    let told = record
        .events
        .iter()
        .filter(|e| matches!(e, Event::Told(_)))
        .count();
    assert_eq!(told as u32, SENDERS * MESSAGES);
    // The log was moved into the database while messages came in, not only at the end.
    let moved = record.syncs_between_tellings("medsynapse.db");
    assert!(
        moved >= 1,
        "no checkpoint on the way: the test is too small"
    );
    let loss = cut_the_power(&record, CUTS);
    println!(
        "{loss:?}, {} events, {moved} checkpoints on the way",
        record.events.len()
    );
    assert_eq!(loss.lost, 0, "{loss:?}");
}

#[test]
fn without_fsync_at_commit_acknowledged_messages_are_lost() {
    let directory = TempDir::new().unwrap();
    let Some(record) = watch(directory.path(), true) else {
        return;
    };
    let loss = cut_the_power(&record, CUTS / 4);
    println!("{loss:?} with synchronous=NORMAL");
    assert!(loss.lost > 0, "the cuts are not hard enough: {loss:?}");
}
