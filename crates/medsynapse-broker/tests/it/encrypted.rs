//! An encrypted database: nothing of a patient is in its files, and everything else is as ever.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use chrono::TimeDelta;
use medsynapse::Profile;
use medsynapse_broker::{Broker, BrokerConfig, ManualClock, replay};
use medsynapse_store::{
    AccessStore, ActionKind, Converted, Delivery, DeliveryOutcome, Destination, FinalReport,
    FirstAnswer, Keys, MessageQuery, MessageSearch, OrderQuery, OrderStep, PatientQuery, Procedure,
    ProcedureState, SqliteOptions, SqliteStore, Store, StoreError, VaultError, backup, decrypt,
    encrypt, encryption, rekey,
};
use tempfile::TempDir;

use crate::bed::{a08, a40, encrypted, keys, message, origin, start_of_time};
use crate::flipped::{open_and_read, reads};
use crate::replay::Department;

/// What is said of patients in [`workflow`], and nowhere else.
const SECRETS: [&str; 16] = [
    "WINTERBOTTOM",
    "GERALDINE",
    "PATID-77",
    "PATID-88",
    "19431207",
    "ADMIT-5",
    "DRFOLLETT",
    "DRQUIGLEY",
    "Suspected osteosarcoma",
    "LEFT-TIBIA",
    "haemorrhage",
    "metastases",
    "WARD-NINE",
    "QUOTED-IN-AN-ANSWER",
    "DATASET-OF-A-PATIENT",
    "83.5",
];

fn key(name: &str) -> Keys {
    let secret =
        std::array::from_fn(|n| name.as_bytes()[n % name.len()] ^ u8::try_from(n).unwrap());
    Keys::line(name, &secret).unwrap().parse().unwrap()
}

fn both(first: &str, second: &str) -> Keys {
    let secret = |name: &str| -> [u8; 32] {
        std::array::from_fn(|n| name.as_bytes()[n % name.len()] ^ u8::try_from(n).unwrap())
    };
    let line = |name| Keys::line(name, &secret(name)).unwrap();
    format!("{}\n{}", *line(first), *line(second))
        .parse()
        .unwrap()
}

fn open(directory: &Path, keys: Option<&Keys>) -> Result<SqliteStore, StoreError> {
    let mut options = SqliteOptions::default();
    options.keys = keys.cloned();
    SqliteStore::open_with(directory, &options)
}

fn order_of(accession: &str, patient: &str) -> String {
    format!(
        "PID|1||{patient}||WINTERBOTTOM^GERALDINE||19431207|F||||||||||ADMIT-5\r\
         PV1|1|I|WARD-NINE||||||DRFOLLETT^X\rORC|NW||||||||||||DRQUIGLEY^Y\r\
         OBR|1|{accession}||CT123^LEFT-TIBIA|ROUTINE||||||||||LEFT-TIBIA|DRQUIGLEY^Y||CT1|RP1||CT1\
         |||CT|||||||Suspected osteosarcoma|||||20230614132030\r\
         OBX|1|NM|WEIGHT||83.5\r"
    )
}

/// Everything that can say something of a patient.
async fn workflow(directory: &Path, keys: Option<&Keys>) -> Arc<Broker> {
    let store = Arc::new(open(directory, keys).unwrap());
    let config = BrokerConfig {
        destinations: vec![Destination::new("RIS")],
        ..BrokerConfig::default()
    };
    let clock = Arc::new(ManualClock::at(start_of_time()));
    let broker = Broker::start(store.clone(), config, clock.clone()).unwrap();
    let mut number = 0;
    let mut text = |kind: &str, rest: &str| {
        number += 1;
        message(kind, &format!("C{number}"), rest)
    };
    let pid = "PID|1||PATID-77||WINTERBOTTOM^GERALDINE||19431207|F";
    let texts = [
        text("ORM^O01", &order_of("A1", "PATID-77")),
        text("ORM^O01", &order_of("A2", "PATID-88")),
        text(
            "ORM^O01",
            &order_of("A3", "PATID-88").replace("|NW|", "|CA|"),
        ),
        text(
            "ORU^R01",
            &format!(
                "{pid}\rOBR|1|A1\rOBX|1|TX|CT123^LEFT-TIBIA||no haemorrhage||||||F|||20230614140000\
                 ||7^DRFOLLETT\r"
            ),
        ),
        text("ADT^A08", &a08(&pid.replace("GERALDINE", "GERALDINE ANN"))),
        text("ADT^A40", &a40(pid, "PATID-88")),
        // Refused, with findings that may quote.
        text(
            "ORM^O01",
            &order_of("A-NUMBER-THAT-IS-TOO-LONG", "PATID-77"),
        ),
    ];
    for text in &texts {
        broker.receive(text.clone().into(), origin()).await.unwrap();
        clock.advance(TimeDelta::seconds(1));
    }
    // Resent.
    let again = broker.receive(texts[0].clone().into(), origin()).await;
    assert!(again.unwrap().duplicate);
    let step = |accession: &str, step| ActionKind::Order {
        accession_number: accession.try_into().unwrap(),
        step,
    };
    let text = FinalReport {
        format: medsynapse::ReportFormat::Text,
        text: "metastases in LEFT-TIBIA".into(),
        date: String::new(),
        physician_id: Some("DRFOLLETT".into()),
        physician_name: Some("DRFOLLETT".into()),
    };
    let procedure = Procedure {
        sop_instance_uid: "1.2.3".into(),
        create: true,
        state: ProcedureState::InProgress,
        station_ae_title: "CT1".into(),
        study_instance_uid: None,
        accession_numbers: vec!["A2".try_into().unwrap()],
        dataset: b"DATASET-OF-A-PATIENT".to_vec(),
        reschedule_discontinued: false,
    };
    for kind in [
        step("A1", OrderStep::Completed),
        step("A1", OrderStep::Final(Some(text))),
        ActionKind::Procedure(procedure),
    ] {
        let done = broker.act(kind, "tester", None).await.unwrap();
        assert!(done.outcome.is_done(), "{done:?}");
    }
    for (code, outcome) in [
        ("AA", DeliveryOutcome::Accepted),
        ("AR", DeliveryOutcome::Refused),
        ("", DeliveryOutcome::Failed),
    ] {
        let next = store.next_outgoing("RIS").unwrap().unwrap();
        assert!(String::from_utf8_lossy(&next.raw).contains("WINTERBOTTOM"));
        let answer = format!(
            "MSH|^~\\&|RIS|H|||1||ACK|1|P|2.3\rMSA|{code}|X|QUOTED-IN-AN-ANSWER WINTERBOTTOM|\r"
        );
        let delivery = Delivery {
            message_id: next.message_id,
            fence: None,
            at: start_of_time(),
            took_micros: 1,
            outcome,
            reason: format!("{code} QUOTED-IN-AN-ANSWER"),
            answer: (!code.is_empty()).then(|| answer.into_bytes()),
        };
        broker.settle(delivery).await.unwrap();
    }
    answered(directory, keys);
    broker
}

/// An answer of the REST API that may have to be given again.
fn answered(directory: &Path, keys: Option<&Keys>) {
    let access = AccessStore::open_with(directory, keys).unwrap();
    let answer = FirstAnswer {
        status: 201,
        head: "x-patient: PATID-77".into(),
        body: b"{\"name\": \"WINTERBOTTOM\"}".to_vec(),
    };
    access.begin("a", "k", &[1; 32], start_of_time()).unwrap();
    access.settle("a", "k", &answer).unwrap();
    let again = access.begin("a", "k", &[1; 32], start_of_time()).unwrap();
    assert_eq!(again, medsynapse_store::Ticket::Answered(answer));
}

async fn closed(broker: Arc<Broker>) {
    tokio::task::spawn_blocking(move || {
        broker.close();
        drop(broker);
    })
    .await
    .unwrap();
}

/// What of the secrets is in which file of a directory, and how many files there are.
fn found(directory: &Path) -> (usize, Vec<String>) {
    let mut found = Vec::new();
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        files += 1;
        for secret in SECRETS {
            if bytes
                .windows(secret.len())
                .any(|at| at == secret.as_bytes())
            {
                found.push(format!("{secret} in {}", path.display()));
            }
        }
    }
    (files, found)
}

#[tokio::test]
async fn nothing_of_a_patient_is_in_any_file() {
    let directory = TempDir::new().unwrap();
    let keys = key("one");
    let broker = workflow(directory.path(), Some(&keys)).await;
    let file = directory.path().join("backup.db");
    let summary = backup(directory.path(), &file, Some(&keys), |_, _| {}).unwrap();
    assert!(summary.opened && summary.messages > 8, "{summary:?}");
    // With its log and the shared memory beside it, and after it is closed.
    let (files, leaks) = found(directory.path());
    assert!(files >= 6, "{files} files");
    assert_eq!(leaks, [""; 0]);
    closed(broker).await;
    assert_eq!(found(directory.path()).1, [""; 0]);

    // And all of it was there to be found.
    let plain = TempDir::new().unwrap();
    let broker = workflow(plain.path(), None).await;
    closed(broker).await;
    let (_, leaks) = found(plain.path());
    for secret in SECRETS {
        assert!(
            leaks.iter().any(|leak| leak.starts_with(secret)),
            "{secret}"
        );
    }
}

#[tokio::test]
async fn everything_is_found_as_in_a_plain_one() {
    let (plain, sealed) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let keys = key("one");
    closed(workflow(plain.path(), None).await).await;
    closed(workflow(sealed.path(), Some(&keys)).await).await;
    let (plain, sealed) = (
        open(plain.path(), None).unwrap(),
        open(sealed.path(), Some(&keys)).unwrap(),
    );
    let same = |what: &str, of: &dyn Fn(&dyn Store) -> (usize, String)| {
        let (count, told) = of(&plain);
        assert!(count > 0, "{what}: nothing was found");
        assert_eq!((count, told), of(&sealed), "{what}");
    };
    for text in ["osteosarcoma", "haemorrhage", "patid-88", "metastases"] {
        same(text, &|store| {
            let search = MessageSearch {
                text: Some(text.into()),
                ..MessageSearch::default()
            };
            let items = store.search(&search).unwrap().items;
            let ids: Vec<i64> = items.iter().map(|item| item.id).collect();
            (items.len(), format!("{ids:?}"))
        });
    }
    for patient in ["PATID-77", "PATID-88"] {
        same(patient, &|store| {
            let search = MessageSearch {
                patient_id: Some(patient.into()),
                ..MessageSearch::default()
            };
            let query = MessageQuery {
                patient_id: Some(patient.into()),
                limit: 100,
                ..MessageQuery::default()
            };
            let found = store.search(&search).unwrap().items;
            let page = store.messages(&query).unwrap();
            assert_eq!(page.total, found.len() as u64);
            let history = store.patient(&patient.try_into().unwrap()).unwrap();
            let orders = store.orders_of(&patient.try_into().unwrap()).unwrap();
            let orders: Vec<_> = orders.iter().map(|o| o.order.clone()).collect();
            (found.len(), format!("{found:?} {history:?} {orders:?}"))
        });
    }
    for text in ["winterbottom", "left-tibia", "PATID", "A1"] {
        same(text, &|store| {
            let query = OrderQuery {
                text: Some(text.into()),
                ..OrderQuery::default()
            };
            let items = store.orders(&query).unwrap().items;
            (items.len(), format!("{items:?}"))
        });
    }
    for text in [None, Some("geral"), Some("PATID-8")] {
        same("patients", &|store| {
            let mut query = PatientQuery {
                text: text.map(Into::into),
                with_merged: true,
                limit: 1,
                ..PatientQuery::default()
            };
            let mut found = Vec::new();
            loop {
                let page = store.patients(&query).unwrap();
                found.extend(page.items);
                query.cursor = page.next;
                if query.cursor.is_none() {
                    break;
                }
            }
            assert!(found.is_sorted_by_key(|patient| patient.patient_id.clone()));
            (found.len(), format!("{found:?}"))
        });
    }
}

/// A plain database with much in it, and what it answers.
async fn department(directory: &TempDir) -> Vec<(String, crate::flipped::Answer)> {
    let mut department = Department::over(directory, 11);
    for _ in 0..200 {
        department.step().await;
    }
    let broker = department.broker.clone();
    drop(department);
    closed(broker).await;
    open_and_read(directory.path()).unwrap()
}

/// Calls again what stops after every transaction, until it is done.
fn in_pieces(mut step: impl FnMut() -> Result<Converted, StoreError>) -> u32 {
    for pieces in 1..1_000 {
        if step().unwrap().complete {
            return pieces;
        }
    }
    panic!("it is never done");
}

fn stop(_: u64) -> ControlFlow<()> {
    ControlFlow::Break(())
}

fn same_answers(directory: &Path, keys: Option<&Keys>, right: &[(String, crate::flipped::Answer)]) {
    let store = open(directory, keys).unwrap();
    for ((name, given), (_, right)) in reads(&store).iter().zip(right) {
        let (given, right) = (given.as_ref().unwrap(), right.as_ref().unwrap());
        assert_eq!(given, right, "{name}");
    }
}

#[tokio::test]
async fn a_plain_one_is_encrypted_rekeyed_and_decrypted_and_says_the_same() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let right = department(&directory).await;
    let (one, two) = (key("one"), both("two", "one"));

    // Stopped after every transaction, refused in between, and gone on with.
    let pieces = in_pieces(|| {
        let done = encrypt(path, &one, stop);
        if !done.as_ref().unwrap().complete {
            for keys in [None, Some(&one)] {
                let error = open(path, keys).unwrap_err();
                let told = VaultError::Unfinished { command: "encrypt" };
                assert!(
                    matches!(&error, StoreError::Encryption(e) if *e == told),
                    "{error}"
                );
            }
            assert_eq!(encryption(path).unwrap().state, Some("encrypting"));
        }
        done
    });
    assert!(pieces > 8, "{pieces} pieces");
    assert_eq!(encryption(path).unwrap().keys, ["one"]);
    same_answers(path, Some(&one), &right);

    // Under the new key it is served meanwhile; what is written is written with that.
    drop(open(path, Some(&two)).unwrap());
    assert_eq!(encryption(path).unwrap().keys, ["one", "two"]);
    let only = key("two");
    let refused = |keys: &Keys| match open(path, Some(keys)).unwrap_err() {
        StoreError::Encryption(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(
        refused(&only),
        VaultError::KeyMissing { name: "one".into() }
    );
    let pieces = in_pieces(|| {
        same_answers(path, Some(&two), &right);
        rekey(path, &two, stop)
    });
    assert!(pieces > 8, "{pieces} pieces");
    assert_eq!(encryption(path).unwrap().keys, ["two"]);
    same_answers(path, Some(&only), &right);
    assert_eq!(
        refused(&key("one")),
        VaultError::KeyMissing { name: "two".into() }
    );
    // The log leads to what was encrypted by hand as well.
    let into = TempDir::new().unwrap();
    let profile = Profile::default();
    let replayed = replay(path, Some(&only), into.path(), &profile, |_| {}).unwrap();
    assert_eq!(replayed.comparison.differences, []);

    in_pieces(|| decrypt(path, &only, stop));
    assert_eq!(encryption(path).unwrap().state, None);
    same_answers(path, None, &right);
    assert!(matches!(
        open(path, Some(&only)).unwrap_err(),
        StoreError::Encryption(VaultError::Plain)
    ));
}

#[tokio::test]
async fn nothing_stays_behind_when_a_plain_one_is_encrypted() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    closed(workflow(path, None).await).await;
    assert!(!found(path).1.is_empty());
    let keys = key("one");
    let done = encrypt(path, &keys, |_| ControlFlow::Continue(())).unwrap();
    assert!(done.complete && done.rows > 20, "{done:?}");
    assert_eq!(found(path).1, [""; 0]);
    // Again is nothing.
    let again = encrypt(path, &keys, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(again.rows, 0);
    // An answer from before is still given.
    let access = AccessStore::open_with(path, Some(&keys)).unwrap();
    let ticket = access.begin("a", "k", &[1; 32], start_of_time()).unwrap();
    assert!(
        matches!(ticket, medsynapse_store::Ticket::Answered(answer) if answer.head.contains("PATID-77"))
    );
}

#[tokio::test]
async fn without_the_right_key_nothing_is_opened() {
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    closed(workflow(path, Some(&key("one"))).await).await;
    let refused = |keys: Option<&Keys>| match open(path, keys).unwrap_err() {
        StoreError::Encryption(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(refused(None), VaultError::KeyNeeded);
    assert_eq!(
        refused(Some(&key("two"))),
        VaultError::KeyMissing { name: "one".into() }
    );
    let other: Keys = Keys::line(
        "one",
        &[7; 31]
            .iter()
            .copied()
            .chain([8])
            .collect::<Vec<u8>>()
            .try_into()
            .unwrap(),
    )
    .unwrap()
    .parse()
    .unwrap();
    assert_eq!(
        refused(Some(&other)),
        VaultError::WrongKey { name: "one".into() }
    );
    // The secret of the look-ups cannot be replaced either.
    let database = rusqlite::Connection::open(path.join("medsynapse.db")).unwrap();
    database
        .execute(
            "UPDATE vault SET lookup = CAST(substr(lookup, 1, 60) || zeroblob(17) AS BLOB)",
            [],
        )
        .unwrap();
    assert_eq!(refused(Some(&key("one"))), VaultError::Damaged);
    // A backup needs no key, but says that it did not look inside.
    let file = path.join("backup.db");
    let summary = backup(path, &file, None, |_, _| {}).unwrap();
    assert!(!summary.opened && summary.messages > 8);
}

#[tokio::test]
async fn what_was_changed_or_moved_by_another_hand_is_never_served() {
    encrypted();
    let directory = TempDir::new().unwrap();
    let path = directory.path();
    let keys = keys().unwrap();
    closed(workflow(path, Some(&keys)).await).await;
    let corrupt = |change: &str, read: &dyn Fn(&SqliteStore) -> Result<String, StoreError>| {
        let copy = TempDir::new().unwrap();
        std::fs::copy(
            path.join("medsynapse.db"),
            copy.path().join("medsynapse.db"),
        )
        .unwrap();
        let database = rusqlite::Connection::open(copy.path().join("medsynapse.db")).unwrap();
        assert!(database.execute(change, []).unwrap() > 0, "{change}");
        drop(database);
        // Whoever can change rows can make their checksums.
        medsynapse_store::testing::reseal(copy.path()).unwrap();
        let store = open(copy.path(), Some(&keys)).unwrap();
        let error = read(&store).unwrap_err();
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{change}: {error}"
        );
    };
    let order = |store: &SqliteStore| {
        store
            .order(&"A1".try_into().unwrap())
            .map(|found| format!("{found:?}"))
    };
    let message = |store: &SqliteStore| store.message(1).map(|found| format!("{found:?}"));
    let patient = |store: &SqliteStore| {
        store
            .patients(&PatientQuery {
                with_merged: true,
                limit: 10,
                ..PatientQuery::default()
            })
            .map(|found| format!("{found:?}"))
    };
    let report = |store: &SqliteStore| {
        store
            .report(&"A1".try_into().unwrap())
            .map(|found| format!("{found:?}"))
    };
    // Of another row of the same table.
    corrupt(
        "UPDATE orders SET sealed = (SELECT sealed FROM orders WHERE accession_number = 'A2') \
         WHERE accession_number = 'A1'",
        &order,
    );
    corrupt(
        "UPDATE messages SET sealed = (SELECT sealed FROM messages WHERE id = 2) WHERE id = 1",
        &message,
    );
    corrupt(
        "UPDATE messages SET raw = (SELECT raw FROM messages WHERE id = 2) WHERE id = 1",
        &message,
    );
    corrupt(
        "UPDATE reports SET sealed = (SELECT b.sealed FROM reports b WHERE b.version = 2) WHERE version = 1; ",
        &|store| {
            store
                .order_history(&"A1".try_into().unwrap())
                .map(|found| format!("{found:?}"))
        },
    );
    // Of another table.
    corrupt(
        "UPDATE reports SET sealed = (SELECT sealed FROM orders)",
        &report,
    );
    // Plain, as if it had never been encrypted.
    corrupt(
        "UPDATE orders SET sealed = NULL, patient_name = 'FORGED^NAME'",
        &order,
    );
    corrupt("UPDATE patients SET sealed = NULL", &patient);
    corrupt("UPDATE messages SET raw = x'4d5348' WHERE id = 1", &message);
    // Changed.
    corrupt(
        "UPDATE patients SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) || x'00' AS BLOB)",
        &patient,
    );
    // The index leads to another patient.
    corrupt(
        "UPDATE orders SET patient_id = (SELECT p.patient_id FROM patients p WHERE \
         p.patient_id <> orders.patient_id)",
        &|store| {
            let one = store.orders_of(&"PATID-77".try_into().unwrap())?;
            let two = store.orders_of(&"PATID-88".try_into().unwrap())?;
            Ok(format!("{one:?} {two:?}"))
        },
    );
}
