//! From an order over MLLP to the worklist of a modality, and what the modality says back.

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use medsynapse_worklist::scp::StepStatus;
use medsynapse_worklist::scu::{
    Modality, Moment, Offer, TINY_OBJECT_CLASS, derived_uid, keys_of_a_step, step_ended,
    step_started, tiny_object,
};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::server::{PATIENCE, Server, order};

async fn modality(server: &Server) -> Modality<TcpStream> {
    let offer = Offer::modality("CT1", "MEDSYNAPSE");
    Modality::connect(&*server.dicom, &offer).await.unwrap()
}

/// The items of an accession number, or of all.
async fn items(server: &Server, accession_number: &str) -> Vec<InMemDicomObject> {
    let mut modality = modality(server).await;
    let answers = modality
        .find(&keys_of_a_step(accession_number))
        .await
        .unwrap();
    assert!(answers.outcome.is_success(), "{:?}", answers.outcome);
    modality.release().await.unwrap();
    answers.items.into_iter().map(|(_, item)| item).collect()
}

fn text(item: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    let element = item.get(tag);
    element
        .map(|e| e.to_str().unwrap().into_owned())
        .unwrap_or_default()
}

fn moment() -> Moment {
    Moment {
        date: "20230614".into(),
        time: "132500".into(),
    }
}

async fn send(server: &Server, message: &str) {
    let mut client = server.client().await;
    let answer = client.exchange(message.as_bytes()).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.contains("MSA|AA|"), "{answer}");
}

/// The state of an order in the REST interface's own words is not asked: the worklist says it.
async fn state(server: &Server, accession_number: &str) -> Option<String> {
    let items = items(server, accession_number).await;
    let step = items
        .first()?
        .get(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE)?;
    Some(text(
        &step.items()?[0],
        tags::SCHEDULED_PROCEDURE_STEP_STATUS,
    ))
}

#[tokio::test]
async fn what_is_acknowledged_is_on_the_worklist_at_once() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &[]);
    assert!(items(&server, "").await.is_empty());
    for number in 1..=20 {
        send(&server, &order(number)).await;
        let found = items(&server, &format!("A{number}")).await;
        assert_eq!(found.len(), 1, "order {number}");
        assert_eq!(text(&found[0], tags::PATIENT_NAME), "SMITH^JOHN");
    }
    let change = "MSH|^~\\&|RIS|H|PACS_APP|P|20230614||ADT^A08|C1|P|2.3\rEVN|A08\rPID|||P3||NEW^NAME||19800101|M\r";
    send(&server, change).await;
    assert_eq!(
        text(&items(&server, "A3").await[0], tags::PATIENT_NAME),
        "NEW^NAME"
    );
    let merge =
        "MSH|^~\\&|RIS|H|PACS_APP|P|20230614||ADT^A40|C2|P|2.3\rEVN|A40\rPID|||P4\rMRG|P5\r";
    send(&server, merge).await;
    assert_eq!(text(&items(&server, "A5").await[0], tags::PATIENT_ID), "P4");
    let cancel = order(6).replace("ORC|NW", "ORC|CA").replace("|M6|", "|C3|");
    send(&server, &cancel).await;
    assert!(items(&server, "A6").await.is_empty());
    let complete = order(7).replace("ORC|NW", "ORC|CM").replace("|M7|", "|C4|");
    send(&server, &complete).await;
    assert!(items(&server, "A7").await.is_empty());
    let moved = order(8)
        .replace("20230614132030", "20230615080000")
        .replace("|M8|", "|C5|");
    send(&server, &moved).await;
    let step = items(&server, "A8").await[0]
        .get(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE)
        .unwrap()
        .items()
        .unwrap()[0]
        .clone();
    assert_eq!(
        text(&step, tags::SCHEDULED_PROCEDURE_STEP_START_DATE),
        "20230615"
    );
    assert_eq!(items(&server, "").await.len(), 18);
}

#[tokio::test]
async fn a_step_goes_through_its_life_also_over_a_restart() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &[]);
    send(&server, &order(1)).await;
    send(&server, &order(2)).await;
    assert_eq!(state(&server, "A1").await.as_deref(), Some("SCHEDULED"));
    let item = items(&server, "A1").await.remove(0);
    let uid = derived_uid(&["test", "A1"]);
    let started = step_started(&item, "CT1", &moment());
    let mut ct = modality(&server).await;
    assert!(ct.create_step(&uid, &started).await.unwrap().is_success());
    assert_eq!(ct.create_step(&uid, &started).await.unwrap().status, 0x0111);
    ct.release().await.unwrap();
    assert_eq!(state(&server, "A1").await.as_deref(), Some("STARTED"));
    server.kill();

    let server = Server::start(directory.path(), &[]);
    assert_eq!(state(&server, "A1").await.as_deref(), Some("STARTED"));
    let mut ct = modality(&server).await;
    let ended = step_ended(StepStatus::Completed, &moment());
    assert!(ct.set_step(&uid, &ended).await.unwrap().is_success());
    let late = ct.set_step(&uid, &ended).await.unwrap();
    assert_eq!((late.status, late.error_id), (0x0110, Some(0xA506)));
    let unknown = ct.set_step("1.2.3.4.5", &ended).await.unwrap();
    assert_eq!(unknown.status, 0x0112);
    let path = "/modality-performed-procedure-steps";
    let kept = server.get(&format!("{path}/{uid}")).await;
    for (tag, expected) in [
        ("00080018", uid.as_str()),
        ("00400252", "COMPLETED"),
        ("00400241", "CT1"),
    ] {
        assert_eq!(kept[0][tag]["Value"][0], expected, "{tag}");
    }
    let step = &kept[0]["00400270"]["Value"][0];
    assert_eq!(step["00080050"]["Value"][0], "A1");
    let none = reqwest::get(format!("{}{path}/1.2.3.4.5", server.rest));
    assert_eq!(none.await.unwrap().status(), 404);
    assert_eq!(state(&server, "A1").await, None);
    assert_eq!(state(&server, "A2").await.as_deref(), Some("SCHEDULED"));
    server.signal("TERM");
    assert_eq!(server.ended().code(), Some(0));
}

#[tokio::test]
async fn a_step_that_was_not_scheduled_is_linked_by_its_study() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &[]);
    send(&server, &order(1)).await;
    let item = items(&server, "A1").await.remove(0);
    let mut started = step_started(&item, "CT1", &moment());
    let study = text(&item, tags::STUDY_INSTANCE_UID);
    started.put(medsynapse_worklist::scu::sequence(
        tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE,
        vec![vec![DataElement::new(
            tags::STUDY_INSTANCE_UID,
            VR::UI,
            PrimitiveValue::from(study),
        )]],
    ));
    let mut ct = modality(&server).await;
    assert!(
        ct.create_step("1.2.9", &started)
            .await
            .unwrap()
            .is_success()
    );
    assert_eq!(state(&server, "A1").await.as_deref(), Some("STARTED"));
    let ended = step_ended(StepStatus::Discontinued, &moment());
    assert!(ct.set_step("1.2.9", &ended).await.unwrap().is_success());
    assert_eq!(state(&server, "A1").await, None);
}

#[tokio::test]
async fn a_study_whose_objects_stop_to_come_is_completed() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("broker.toml");
    std::fs::write(
        &config,
        "[dicom]\nstudy_idle_secs = 1\n[dicom.recorder]\nlisten = '127.0.0.1:0'\n",
    )
    .unwrap();
    let server = Server::start(directory.path(), &["--config", config.to_str().unwrap()]);
    send(&server, &order(1)).await;
    let item = items(&server, "A1").await.remove(0);
    let offer = Offer::storage("CT1", "MEDSYNAPSE_REC", TINY_OBJECT_CLASS);
    let recorder = server.recorder.clone().unwrap();
    let mut ct = Modality::connect(&*recorder, &offer).await.unwrap();
    for n in 0..3 {
        let uid = format!("1.2.3.{n}");
        let object = tiny_object(&item, &uid, "1.2.3");
        let stored = ct.store(TINY_OBJECT_CLASS, &uid, &object).await.unwrap();
        assert!(stored.is_success(), "{stored:?}");
    }
    ct.release().await.unwrap();
    assert_eq!(state(&server, "A1").await.as_deref(), Some("SCHEDULED"));
    let began = std::time::Instant::now();
    while state(&server, "A1").await.is_some() {
        assert!(began.elapsed() < PATIENCE, "the study is never completed");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_study_that_was_arriving_when_the_broker_died_is_completed_and_told_once() {
    let (address, got) = ris();
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("broker.toml");
    let start = |idle_secs: u32| {
        let text = format!(
            "[dicom]\nstudy_idle_secs = {idle_secs}\n[dicom.recorder]\nlisten = '127.0.0.1:0'\n\
             [[destinations]]\nname = 'ris'\naddress = '{address}'\n"
        );
        std::fs::write(&config, text).unwrap();
        Server::start(directory.path(), &["--config", config.to_str().unwrap()])
    };
    let server = start(3600);
    send(&server, &order(1)).await;
    send(&server, &order(2)).await;
    let item = items(&server, "A1").await.remove(0);
    let offer = Offer::storage("CT1", "MEDSYNAPSE_REC", TINY_OBJECT_CLASS);
    let recorder = server.recorder.clone().unwrap();
    let mut ct = Modality::connect(&*recorder, &offer).await.unwrap();
    let object = tiny_object(&item, "1.2.3.1", "1.2.3");
    let stored = ct.store(TINY_OBJECT_CLASS, "1.2.3.1", &object).await;
    assert!(stored.unwrap().is_success());
    assert_eq!(state(&server, "A1").await.as_deref(), Some("SCHEDULED"));
    server.kill();

    let server = start(1);
    let began = std::time::Instant::now();
    while state(&server, "A1").await.is_some() {
        assert!(began.elapsed() < PATIENCE, "the study is never completed");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(state(&server, "A2").await.as_deref(), Some("SCHEDULED"));
    let got = tokio::task::spawn_blocking(move || {
        let message = got.recv_timeout(PATIENCE).unwrap();
        assert!(message.contains("ORU^R01"), "{message}");
        assert!(message.contains("|A1|"), "{message}");
        got
    });
    let got = got.await.unwrap();
    server.kill();

    // A third start finds nothing that arrives.
    let server = start(1);
    let again =
        tokio::task::spawn_blocking(move || got.recv_timeout(std::time::Duration::from_secs(3)));
    let again = again.await.unwrap();
    assert!(again.is_err(), "told twice: {again:?}");
    assert_eq!(state(&server, "A1").await, None);
}

/// A RIS that sends by another mapping, and a gateway whose orders keep the usual one.
#[tokio::test]
async fn orders_of_ihe_rad_4_are_on_the_worklist() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("broker.toml");
    let settings = "[broker]\nmapping = 'ihe-rad4'\n[broker.ae_titles]\nMR = 'MR7'\n";
    std::fs::write(&config, settings).unwrap();
    let server = Server::start(directory.path(), &["--config", config.to_str().unwrap()]);
    let rad4 = "MSH|^~\\&|OF|H|IM|R|20230614||ORM^O01|R1|P|2.3.1\rPID|1||P7||DOE^JANE||19800101|F\r\
                PV1|1|O\rORC|NW|PL1|||SC||1^^^20230614150000^^S\r\
                OBR|1|PL1||RP71^BRAIN^99H^S71^BRAIN PLAIN^99I||||||||||||||ACC-7|RP7|SPS7||||MR\r\
                ZDS|1.2.7^^Application^DICOM\r";
    send(&server, rad4).await;
    let item = items(&server, "ACC-7").await.remove(0);
    assert_eq!(text(&item, tags::STUDY_INSTANCE_UID), "1.2.7");
    let steps = item.get(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).unwrap();
    let step = &steps.items().unwrap()[0];
    for (tag, expected) in [
        (tags::SCHEDULED_STATION_AE_TITLE, "MR7"),
        (tags::SCHEDULED_PROCEDURE_STEP_ID, "SPS7"),
        (tags::SCHEDULED_PROCEDURE_STEP_START_TIME, "150000"),
        (tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, "BRAIN PLAIN"),
    ] {
        assert_eq!(text(step, tag), expected, "{tag}");
    }
    let why = server
        .get("/api/v1/worklist/explain?aet=MR7&accession=ACC-7")
        .await;
    assert_eq!(why["matches"], true);
    let mut attributes = why["attributes"].as_array().unwrap().iter();
    let number = attributes.find(|one| one["attribute"] == "accessionNumber");
    assert_eq!(number.unwrap()["place"], "OBR-18.1, else OBR-2.1");

    let order = serde_json::json!({"order": {
        "accessionNumber": "ACC-8", "study": {"description": "MR KNEE", "modality": "MR"},
        "patient": {"id": "P8", "name": "DOE, JOHN", "gender": "M"},
        "scheduling": {"aeTitle": "MR1", "stationName": "ROOM 1"}}});
    let client = reqwest::Client::new();
    let posted = client.post(format!("{}/api/orders", server.rest));
    let posted = posted.json(&order).send().await.unwrap();
    assert_eq!(posted.status(), 201);
    let item = items(&server, "ACC-8").await.remove(0);
    let steps = item.get(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).unwrap();
    let step = &steps.items().unwrap()[0];
    assert_eq!(text(step, tags::SCHEDULED_STATION_NAME), "ROOM 1");
}

#[tokio::test]
async fn ae_titles_are_shown_what_the_configuration_says() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("broker.toml");
    std::fs::write(
        &config,
        "[dicom]\nae_title = 'WL'\nallow = ['CT1', 'MR1']\n[[dicom.ae]]\ntitle = 'MR1'\nown_steps = true\n",
    )
    .unwrap();
    let server = Server::start(directory.path(), &["--config", config.to_str().unwrap()]);
    send(&server, &order(1)).await;
    let count = async |calling: &str, called: &str| {
        let offer = Offer::modality(calling, called);
        let mut modality = Modality::connect(&*server.dicom, &offer).await.ok()?;
        let answers = modality.find(&keys_of_a_step("")).await.unwrap();
        Some(answers.items.len())
    };
    assert_eq!(count("CT1", "WL").await, Some(1));
    assert_eq!(count("MR1", "WL").await, Some(0));
    assert_eq!(count("CT2", "WL").await, None);
    assert_eq!(count("CT1", "MEDSYNAPSE").await, None);
}

#[tokio::test]
async fn the_worklist_by_http_and_why_an_order_is_not_on_it() {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &[]);
    send(&server, &order(1)).await;
    send(&server, &order(2)).await;
    let steps = server
        .get("/modality-scheduled-procedure-steps?Modality=CT&AccessionNumber=A2")
        .await;
    assert_eq!(steps[0]["00080050"]["Value"][0], "A2");
    assert_eq!(
        steps[0]["00400100"]["Value"][0]["00080060"]["Value"][0],
        "CT"
    );
    let none = reqwest::get(format!(
        "{}/modality-scheduled-procedure-steps?Modality=MR",
        server.rest
    ));
    assert_eq!(none.await.unwrap().status(), 204);
    let wrong = reqwest::get(format!(
        "{}/modality-scheduled-procedure-steps?ScheduledProcedureStepStartDate=TODAY",
        server.rest
    ));
    assert_eq!(wrong.await.unwrap().status(), 400);
    let list = server
        .get("/api/v1/worklist?aet=CT1&from=2023-06-14&to=2023-06-14&limit=1")
        .await;
    assert_eq!(list["items"][0]["accessionNumber"], "A1");
    let next = list["next"].as_str().unwrap();
    let list = server
        .get(&format!("/api/v1/worklist?aet=CT1&cursor={next}"))
        .await;
    assert_eq!(list["items"][0]["accessionNumber"], "A2");
    assert!(list["next"].is_null());
    let why = server
        .get("/api/v1/worklist/explain?aet=ct1&accession=A1")
        .await;
    assert_eq!(why["matches"], false);
    assert_eq!(
        why["reasons"][0]["reason"],
        "AE title ct1 differs in case from CT1"
    );
    let attributes = why["attributes"].as_array().unwrap();
    let title = attributes
        .iter()
        .find(|one| one["attribute"] == "scheduledStationAETitle");
    assert_eq!(title.unwrap()["place"], "OBR-21.1");
    let missed = server.get("/api/v1/worklist/explain?aet=CT9").await;
    assert_eq!(missed["items"].as_array().unwrap().len(), 2);
}

/// A RIS that accepts everything, and gives what it got.
fn ris() -> (String, std::sync::mpsc::Receiver<String>) {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (told, got) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut bytes = Vec::new();
            let mut one = [0];
            while matches!(stream.read(&mut one), Ok(1)) {
                bytes.push(one[0]);
                if !bytes.ends_with(b"\x1C\r") {
                    continue;
                }
                let message = String::from_utf8_lossy(&bytes[1..bytes.len() - 2]).into_owned();
                let id = message.split('|').nth(9).unwrap_or_default().to_owned();
                let ack = format!(
                    "\x0BMSH|^~\\&|RIS|H|PACS_APP|P|20230614||ACK^R01|K{id}|P|2.3\rMSA|AA|{id}\r\x1C\r"
                );
                bytes.clear();
                if stream.write_all(ack.as_bytes()).is_err() || told.send(message).is_err() {
                    break;
                }
            }
        }
    });
    (address, got)
}

#[tokio::test]
async fn the_ris_hears_once_that_a_study_is_completed() {
    let (address, got) = ris();
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("broker.toml");
    let text = format!(
        "[dicom]\nstudy_idle_secs = 1\n[dicom.recorder]\nlisten = '127.0.0.1:0'\n\
         [[destinations]]\nname = 'ris'\naddress = '{address}'\n"
    );
    std::fs::write(&config, text).unwrap();
    let server = Server::start(directory.path(), &["--config", config.to_str().unwrap()]);
    send(&server, &order(1)).await;
    let item = items(&server, "A1").await.remove(0);
    let offer = Offer::storage("CT1", "MEDSYNAPSE_REC", TINY_OBJECT_CLASS);
    let recorder = server.recorder.clone().unwrap();
    let mut store = Modality::connect(&*recorder, &offer).await.unwrap();
    let object = tiny_object(&item, "1.2.3.1", "1.2.3");
    assert!(
        store
            .store(TINY_OBJECT_CLASS, "1.2.3.1", &object)
            .await
            .unwrap()
            .is_success()
    );
    let mut ct = modality(&server).await;
    let started = step_started(&item, "CT1", &moment());
    assert!(
        ct.create_step("1.2.9", &started)
            .await
            .unwrap()
            .is_success()
    );
    let ended = step_ended(StepStatus::Completed, &moment());
    assert!(ct.set_step("1.2.9", &ended).await.unwrap().is_success());
    let message = tokio::task::spawn_blocking(move || {
        let message = got.recv_timeout(PATIENCE).unwrap();
        // The study arrives as well, a second later: that says nothing new.
        let again = got.recv_timeout(std::time::Duration::from_secs(3));
        assert!(again.is_err(), "told twice: {again:?}");
        message
    });
    let message = message.await.unwrap();
    assert!(message.contains("ORU^R01"), "{message}");
    assert!(message.contains("|A1|"), "{message}");
    let obx = message
        .split('\r')
        .find(|segment| segment.starts_with("OBX"))
        .unwrap();
    assert_eq!(obx.split('|').nth(11), Some("I"), "{obx}");
}
