//! A database that version 1 made, with rows in it, and how it comes along.

use std::path::Path;

use medsynapse::{AccessionNumber, Attribute, OrderState, PatientId};
use refinery::Target;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{SqliteStore, connect, embedded};
use crate::{EventKind, MessageQuery, MessageSearch, Store, StoreError};

const ROWS: u32 = 300;
const V2: &str = include_str!("../../migrations/sqlite/V2__workflow.sql");

/// Messages, orders, patients and reports as version 1 kept them.
fn made_by_version_1(directory: &Path) {
    let path = directory.join("medsynapse.db");
    let mut connection = connect(&path, false).unwrap();
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .unwrap();
    embedded::migrations::runner()
        .set_target(Target::Version(1))
        .run(&mut connection)
        .unwrap();
    let transaction = connection.transaction().unwrap();
    for n in 1..=ROWS {
        let raw = format!("MSH|^~\\&|RIS|H|P|P|2023||ORM^O01|M{n}|P|2.3\r");
        transaction
            .execute(
                "INSERT INTO messages (id, direction, received_at, transport, peer, \
                 sending_application, sending_facility, sent_at, message_code, trigger_event, \
                 control_id, version, accession_number, patient_id, ack_code, ack_text, size, \
                 digest, ack, raw) VALUES (?1, 'in', ?1 * 1000000, 'mllp', '127.0.0.1:5', 'RIS', \
                 'H', '2023', 'ORM', 'O01', 'M' || ?1, '2.3', 'A' || ?1, 'P' || (?1 % 7), 'AA', \
                 'Order registered.', ?2, ?3, x'00', ?4)",
                rusqlite::params![
                    n,
                    raw.len(),
                    crate::record::digest(raw.as_bytes()),
                    raw.as_bytes()
                ],
            )
            .unwrap();
        let state = if n % 3 == 0 { "COMPLETED" } else { "SCHEDULED" };
        transaction
            .execute(
                "INSERT INTO orders (accession_number, state, patient_id, patient_name, \
                 scheduled_station_ae_title, scheduled_start, study_instance_uid, \
                 segment_delimiters, segment_charset, segments, created_at, updated_at, \
                 created_by, updated_by) VALUES ('A' || ?1, ?2, 'P' || (?1 % 7), 'DOE^JANE', \
                 'CT1', '20230614', '1.2.' || ?1, x'7C5E7E5C26', x'', ?3, ?1, ?1, ?1, ?1)",
                rusqlite::params![n, state, format!("PID|1||P{}\r", n % 7).as_bytes()],
            )
            .unwrap();
    }
    transaction
        .execute_batch(
            "INSERT INTO message_counts VALUES ('ORM', 300);
             INSERT INTO patients VALUES ('P1', 'DOE^JANE', 'F', '19700101', NULL, 5, 1);
             INSERT INTO patients VALUES ('P0', 'DOE^JOHN', NULL, NULL, 'P1', 5, 2);
             INSERT INTO reports VALUES ('A1', 1, 'P1', 'TX', 'one', '2023', 'F', '7', 'DOE',
                 x'7C', x'', x'00', 5, 1);",
        )
        .unwrap();
    transaction.commit().unwrap();
}

fn whole(directory: &Path) {
    let store = SqliteStore::open(directory).unwrap();
    let all = MessageQuery {
        limit: 1,
        ..MessageQuery::default()
    };
    assert_eq!(store.messages(&all).unwrap().total, u64::from(ROWS));
    assert_eq!(store.message_types().unwrap(), [("ORM".into(), 300)]);
    assert_eq!(store.order_count().unwrap(), u64::from(ROWS));
    let order = |n: u32| {
        let id = AccessionNumber::try_from(format!("A{n}").as_str()).unwrap();
        store.order(&id).unwrap().unwrap()
    };
    let first = order(1);
    assert_eq!(first.order.state, OrderState::Scheduled);
    assert_eq!((first.id, first.created_by, first.updated_by), (1, 1, 1));
    assert_eq!(first.order.segments.bytes, b"PID|1||P1\r");
    assert_eq!(
        (
            first.sending_application.as_str(),
            first.sending_facility.as_str()
        ),
        ("RIS", "H")
    );
    let uid = first.order.attributes.get(Attribute::StudyInstanceUid);
    assert_eq!(uid, Some("1.2.1"));
    assert_eq!(order(3).order.state, OrderState::Completed);
    let report = store
        .report(&first.order.accession_number)
        .unwrap()
        .unwrap();
    assert_eq!((report.report.text.as_str(), report.message_id), ("one", 1));
    let patient = store.patient(&PatientId::try_from("P0").unwrap());
    let merged = patient.unwrap().unwrap().patient.merged_into;
    assert_eq!(merged.as_deref(), Some("P1"));
    assert_eq!(store.message(7).unwrap().unwrap().summary.control_id, "M7");
    let found = store.search(&MessageSearch::default()).unwrap();
    assert_eq!(found.items[0].id, i64::from(ROWS));
    // What became of an old message was not kept: that it came is all there is to tell.
    let events = store.events_after(0, 1_000).unwrap();
    assert_eq!(events.len(), ROWS as usize);
    assert_eq!(events[0].kind, EventKind::MessageReceived { message_id: 1 });
    drop(store);
    let connection = Connection::open(directory.join("medsynapse.db")).unwrap();
    let ok: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(ok, "ok");
    let mut broken = connection.prepare("PRAGMA foreign_key_check").unwrap();
    assert!(!broken.exists([]).unwrap());
}

fn version(directory: &Path) -> i64 {
    Connection::open(directory.join("medsynapse.db"))
        .unwrap()
        .query_row(
            "SELECT max(version) FROM refinery_schema_history",
            [],
            |row| row.get(0),
        )
        .unwrap()
}

#[test]
fn an_older_database_comes_along_with_all_its_rows() {
    let directory = TempDir::new().unwrap();
    made_by_version_1(directory.path());
    whole(directory.path());
    assert!(version(directory.path()) >= 2);
    // Once is enough.
    whole(directory.path());
}

#[test]
fn killed_in_the_middle_the_old_version_is_there_and_comes_along_later() {
    let directory = TempDir::new().unwrap();
    made_by_version_1(directory.path());
    let mut connection = connect(&directory.path().join("medsynapse.db"), false).unwrap();
    // Half of what is written goes to the disk before the commit.
    connection.pragma_update(None, "cache_size", 10).unwrap();
    connection
        .pragma_update(None, "wal_autocheckpoint", 0)
        .unwrap();
    let statements: Vec<&str> = V2.split_inclusive(";\n").collect();
    for stop_after in [
        1,
        statements.len() / 3,
        statements.len() / 2,
        statements.len(),
    ] {
        let transaction = connection.transaction().unwrap();
        let some: String = statements[..stop_after].concat();
        transaction.execute_batch(&some).unwrap();
        // What a kill leaves: the files as they are.
        let left = TempDir::new().unwrap();
        for name in ["medsynapse.db", "medsynapse.db-wal"] {
            std::fs::copy(directory.path().join(name), left.path().join(name)).unwrap();
        }
        transaction.rollback().unwrap();
        assert_eq!(version(left.path()), 1, "{stop_after}");
        whole(left.path());
    }
}

#[test]
fn a_database_of_a_later_version_is_left_alone() {
    let directory = TempDir::new().unwrap();
    drop(SqliteStore::open(directory.path()).unwrap());
    let connection = Connection::open(directory.path().join("medsynapse.db")).unwrap();
    connection
        .execute(
            "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
             VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')",
            [],
        )
        .unwrap();
    drop(connection);
    let error = SqliteStore::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Migration(_)), "{error}");
}

#[test]
fn a_reader_that_panics_gives_its_connection_back() {
    let directory = TempDir::new().unwrap();
    made_by_version_1(directory.path());
    let store = SqliteStore::open(directory.path()).unwrap();
    for _ in 0..10 {
        let read =
            || store.scheduled_steps(&crate::StepQuery::default(), &mut |_| panic!("on purpose"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).is_err());
    }
    let mut steps = 0;
    let mut each = |_: &crate::ScheduledStep<'_>| {
        steps += 1;
        std::ops::ControlFlow::Continue(())
    };
    store
        .scheduled_steps(&crate::StepQuery::default(), &mut each)
        .unwrap();
    assert_eq!(steps, 200, "those that are not completed");
}

#[test]
#[expect(clippy::too_many_lines, reason = "one line an index")]
fn searches_find_what_there_is_by_every_index() {
    let directory = TempDir::new().unwrap();
    made_by_version_1(directory.path());
    drop(SqliteStore::open(directory.path()).unwrap());
    let connection = Connection::open(directory.path().join("medsynapse.db")).unwrap();
    connection
        .execute_batch(
            "UPDATE messages SET ack_code = 'AR' WHERE id % 100 = 1;
             UPDATE messages SET warning_count = 2 WHERE id % 50 = 0;
             UPDATE messages SET message_code = 'ADT' WHERE id IN (7, 9);",
        )
        .unwrap();
    super::seal::reseal(&connection).unwrap();
    drop(connection);
    let store = SqliteStore::open(directory.path()).unwrap();
    let find = |search: MessageSearch| -> Vec<i64> {
        let mut all = Vec::new();
        let mut search = MessageSearch {
            paging: crate::Paging {
                cursor: None,
                limit: 2,
            },
            ..search
        };
        loop {
            let found = store.search(&search).unwrap();
            all.extend(found.items.iter().map(|message| message.id));
            match found.next {
                Some(next) => search.paging.cursor = Some(next),
                None => return all,
            }
        }
    };
    let any = MessageSearch::default;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        find(MessageSearch {
            ack_code: text("AR"),
            ..any()
        }),
        [201, 101, 1]
    );
    let warned = MessageSearch {
        has_warnings: Some(true),
        ..any()
    };
    assert_eq!(find(warned), [300, 250, 200, 150, 100, 50]);
    assert_eq!(
        find(MessageSearch {
            message_code: text("ADT"),
            ..any()
        }),
        [9, 7]
    );
    assert_eq!(
        find(MessageSearch {
            control_id: text("M17"),
            ..any()
        }),
        [17]
    );
    assert_eq!(
        find(MessageSearch {
            accession_number: text("A18"),
            ..any()
        }),
        [18]
    );
    assert_eq!(
        find(MessageSearch {
            text: text("o01|m123|"),
            ..any()
        }),
        [123]
    );
    let few = MessageSearch {
        text: text("|M5|"),
        rows_max: 10,
        ..any()
    };
    assert_eq!(find(few), [5], "ten rows a page, and on from there");
    let time = |seconds: i64| chrono::DateTime::from_timestamp(seconds, 0);
    let times = MessageSearch {
        received_from: time(10),
        received_to: time(13),
        ..any()
    };
    assert_eq!(find(times), [12, 11, 10]);
    let peer = |address: &str| Some(crate::Peer::Address(address.parse().unwrap()));
    assert_eq!(
        find(MessageSearch {
            peer: peer("127.0.0.1"),
            ..any()
        })
        .len(),
        300
    );
    assert!(
        find(MessageSearch {
            peer: peer("127.0.0.10"),
            ..any()
        })
        .is_empty()
    );
}
