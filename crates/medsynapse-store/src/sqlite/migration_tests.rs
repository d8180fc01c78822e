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
