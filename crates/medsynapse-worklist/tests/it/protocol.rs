//! What a peer may do wrong, and what it may do that is seldom seen.

use std::time::{Duration, Instant};

use dicom_dictionary_std::{tags, uids};
use medsynapse_worklist::scp::{Deadlines, End, Occurrence, ScpConfig, Services};
use medsynapse_worklist::scu::{Modality, Offer, ScuError};
use medsynapse_worklist::{Board, OverLimit, View};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bed::{Bed, board, element, identifier, many, text};

fn config() -> ScpConfig {
    ScpConfig::new("MEDSYNAPSE", Services::Worklist)
}

#[tokio::test]
async fn echo_and_release() {
    let bed = Bed::start(Board::default()).await;
    let mut modality = bed.modality().await;
    assert!(modality.echo().await.unwrap().is_success());
    modality.release().await.unwrap();
    bed.hears(|heard| {
        matches!(
            heard,
            Occurrence::Closed {
                end: End::Released,
                ..
            }
        )
    })
    .await;
    bed.end().await;
}

#[tokio::test]
async fn ae_titles_are_checked() {
    let mut config = config();
    config.access.allowed_calling = vec!["CT1".into()];
    let bed = Bed::with(Board::default(), config).await;
    for (calling, called, why) in [
        ("CT1", "SOMEBODY", "called AE title not recognized"),
        ("CT2", "MEDSYNAPSE", "calling AE title not recognized"),
    ] {
        let offer = Offer::modality(calling, called);
        let error = Modality::connect(bed.address, &offer).await.unwrap_err();
        assert!(matches!(&error, ScuError::Rejected(_)), "{error}");
        bed.hears(
            |heard| matches!(heard, Occurrence::Refused { refusal, .. } if refusal.as_str() == why),
        )
        .await;
    }
    let offer = Offer::modality("CT1", "MEDSYNAPSE");
    assert!(Modality::connect(bed.address, &offer).await.is_ok());
    bed.end().await;
}

#[tokio::test]
async fn an_unknown_class_is_not_agreed_on_and_the_rest_is() {
    let bed = Bed::start(Board::default()).await;
    let mut offer = Offer::modality("CT1", "MEDSYNAPSE");
    offer.contexts.insert(
        0,
        (
            uids::CT_IMAGE_STORAGE.into(),
            vec![uids::IMPLICIT_VR_LITTLE_ENDIAN.into()],
        ),
    );
    offer.contexts.push((
        uids::VERIFICATION.into(),
        vec!["1.2.840.10008.1.2.2".into()],
    ));
    let mut modality = Modality::connect(bed.address, &offer).await.unwrap();
    assert_eq!(modality.classes().len(), 3);
    assert!(modality.echo().await.unwrap().is_success());
    bed.end().await;
}

#[tokio::test]
async fn many_contexts_fit_into_a_request() {
    let bed = Bed::start(Board::default()).await;
    let mut offer = Offer::modality("CT1", "MEDSYNAPSE");
    let storage = (
        uids::CT_IMAGE_STORAGE.to_owned(),
        vec![uids::IMPLICIT_VR_LITTLE_ENDIAN.to_owned(); 20],
    );
    offer.contexts.resize(128, storage);
    let mut modality = Modality::connect(bed.address, &offer).await.unwrap();
    assert!(modality.echo().await.unwrap().is_success());
    bed.end().await;
}

#[tokio::test]
async fn an_unknown_operation_and_a_wrong_class_are_answered() {
    let bed = Bed::start(Board::default()).await;
    let mut modality = bed.modality().await;
    let c_get = 0x0010;
    let outcome = modality
        .raw(uids::VERIFICATION, c_get, Vec::new(), None)
        .await
        .unwrap();
    assert_eq!(outcome.status, 0x0211);
    let c_store = 0x0001;
    let outcome = modality
        .raw(uids::VERIFICATION, c_store, Vec::new(), None)
        .await
        .unwrap();
    assert_eq!(outcome.status, 0x0211);
    let c_find = 0x0020;
    let keys = identifier("PatientName");
    let outcome = modality
        .raw(uids::VERIFICATION, c_find, Vec::new(), Some(&keys))
        .await
        .unwrap();
    assert_eq!(outcome.status, 0x0122);
    let class = uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND;
    let outcome = modality.raw(class, c_find, Vec::new(), None).await.unwrap();
    assert_eq!(outcome.status, 0xC001);
    assert!(modality.echo().await.unwrap().is_success());
    bed.end().await;
}

#[tokio::test]
async fn peers_of_any_pdu_size_get_whole_items() {
    let bed = Bed::start(board()).await;
    let mut counts = Vec::new();
    for pdu_bytes_max in [0, 8, 9, 64, 127, 1_024, 16_384, 131_072, u32::MAX] {
        let mut offer = Offer::modality("CT1", "MEDSYNAPSE");
        offer.pdu_bytes_max = pdu_bytes_max;
        let mut modality = Modality::connect(bed.address, &offer).await.unwrap();
        let answers = modality
            .find(&identifier("SPS; PatientName"))
            .await
            .unwrap();
        assert_eq!(answers.outcome.status, 0);
        counts.push(answers.items.len());
        modality.release().await.unwrap();
    }
    assert!(counts[0] > 5);
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    let mut offer = Offer::modality("CT1", "MEDSYNAPSE");
    offer.pdu_bytes_max = 4;
    assert!(Modality::connect(bed.address, &offer).await.is_err());
    bed.end().await;
}

#[tokio::test]
async fn a_cancelled_query_ends_at_once_with_one_answer() {
    let mut config = config();
    config.view.max_results = 0;
    let bed = Bed::with(many(30_000), config).await;
    let mut modality = bed.modality().await;
    let began = Instant::now();
    let answers = modality
        .find_until(&identifier("PatientName"), 10)
        .await
        .unwrap();
    assert_eq!(answers.outcome.status, 0xFE00);
    assert!(
        answers.items.len() < 29_000,
        "{} items",
        answers.items.len()
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    // The association goes on, and no second end comes.
    assert!(modality.echo().await.unwrap().is_success());
    modality.release().await.unwrap();
    bed.end().await;
}

#[tokio::test]
async fn a_cancel_that_comes_too_late_is_nothing() {
    let bed = Bed::start(many(3)).await;
    let mut modality = bed.modality().await;
    let answers = modality
        .find_until(&identifier("AccessionNumber"), 3)
        .await
        .unwrap();
    assert!(matches!(answers.outcome.status, 0 | 0xFE00));
    assert!(modality.echo().await.unwrap().is_success());
    bed.end().await;
}

#[tokio::test]
async fn a_cancel_is_looked_for_without_waiting() {
    let mut config = config();
    config.view.max_results = 0;
    let bed = Bed::with(many(8_000), config).await;
    let mut modality = bed.modality().await;
    // A wait of one timer tick an answer would be ten seconds.
    let began = Instant::now();
    let answers = modality
        .find(&identifier("PatientName; AccessionNumber"))
        .await
        .unwrap();
    assert_eq!((answers.items.len(), answers.outcome.status), (8_000, 0));
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    bed.end().await;
}

#[tokio::test]
async fn too_many_items_are_refused_before_the_first_or_cut() {
    let mut config = config();
    config.views.insert(
        "CUT".into(),
        View {
            max_results: 7,
            over_limit: OverLimit::Truncate,
            ..View::default()
        },
    );
    let bed = Bed::with(many(1_001), config).await;
    let mut modality = bed.modality().await;
    let answers = modality.find(&identifier("PatientName")).await.unwrap();
    assert_eq!((answers.items.len(), answers.outcome.status), (0, 0xA700));
    let mut cut = Modality::connect(bed.address, &Offer::modality("CUT", "MEDSYNAPSE"))
        .await
        .unwrap();
    let answers = cut
        .find(&identifier("PatientName; AccessionNumber"))
        .await
        .unwrap();
    assert_eq!((answers.items.len(), answers.outcome.status), (7, 0));
    assert_eq!(
        text(&answers.items[6].1, tags::ACCESSION_NUMBER),
        "A0000006"
    );
    bed.end().await;
}

#[tokio::test]
async fn an_ae_title_that_nobody_uses_is_told_of() {
    let bed = Bed::start(board()).await;
    let mut modality = bed.modality().await;
    let keys = identifier("SPS.ScheduledStationAETitle=ct1");
    assert!(modality.find(&keys).await.unwrap().items.is_empty());
    bed.hears(|heard| {
        matches!(heard, Occurrence::NoSuchStation { asked, similar: Some(similar), .. }
            if asked == "ct1" && similar == "CT1")
    })
    .await;
    bed.end().await;
}

#[tokio::test]
async fn only_what_was_asked_for_is_returned() {
    let bed = Bed::start(board()).await;
    let mut modality = bed.modality().await;
    let keys = identifier("AccessionNumber=ACC001; PatientName; StudyDescription; SPS.Modality");
    let answers = modality.find(&keys).await.unwrap();
    let (_, item) = &answers.items[0];
    let returned: Vec<_> = item.tags().collect();
    assert_eq!(
        returned,
        [
            tags::ACCESSION_NUMBER,
            tags::STUDY_DESCRIPTION,
            tags::PATIENT_NAME,
            tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE
        ]
    );
    let step = &item
        .get(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE)
        .unwrap()
        .items()
        .unwrap()[0];
    assert_eq!(step.tags().collect::<Vec<_>>(), [tags::MODALITY]);
    let full = modality
        .find(&identifier("AccessionNumber=ACC001; SPS"))
        .await
        .unwrap();
    let step = &full.items[0]
        .1
        .get(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE)
        .unwrap()
        .items()
        .unwrap()[0];
    for tag in [
        tags::MODALITY,
        tags::SCHEDULED_STATION_AE_TITLE,
        tags::SCHEDULED_PROCEDURE_STEP_START_DATE,
        tags::SCHEDULED_PROCEDURE_STEP_START_TIME,
        tags::SCHEDULED_PERFORMING_PHYSICIAN_NAME,
        tags::SCHEDULED_PROCEDURE_STEP_ID,
        tags::SCHEDULED_STATION_NAME,
    ] {
        assert!(step.get(tag).is_some(), "{tag}");
    }
    bed.end().await;
}

#[tokio::test]
async fn private_keys_and_the_level_are_ignored() {
    let bed = Bed::start(board()).await;
    let mut modality = bed.modality().await;
    let mut keys = identifier("AccessionNumber=ACC001; QueryRetrieveLevel=STUDY");
    keys.put(dicom_core::DataElement::new(
        dicom_core::Tag(0x0009, 0x1001),
        dicom_core::VR::LO,
        "PRIVATE",
    ));
    let answers = modality.find(&keys).await.unwrap();
    assert_eq!(answers.items.len(), 1);
    assert_eq!(answers.items[0].0, 0xFF00);
    assert_eq!(answers.items[0].1.tags().count(), 1);
    bed.end().await;
}

#[tokio::test]
async fn garbage_ends_one_connection_and_no_other() {
    let bed = Bed::start(Board::default()).await;
    let mut good = bed.modality().await;
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x01\0\xFF\xFF\xFF\xFF",
        b"\x01\0\0\0\0\x04abcd",
        b"\x04\0\0\0\0\x06\0\0\0\x02\x01\x03",
        b"\x16\x03\x01\x02\0\x01\0\x01\xFC\x03\x03",
        b"\x0BMSH|^~\\&|",
    ] {
        let mut stream = TcpStream::connect(bed.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer));
        assert!(read.await.is_ok(), "{}", garbage.escape_ascii());
        assert_eq!(
            answer.first(),
            Some(&7),
            "an A-ABORT: {}",
            garbage.escape_ascii()
        );
    }
    assert!(good.echo().await.unwrap().is_success());
    bed.end().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let mut config = config();
    config.deadlines = Deadlines {
        request: Duration::from_millis(100),
        idle: Duration::from_millis(200),
        pdu: Duration::from_millis(100),
        write: Duration::from_secs(1),
    };
    let bed = Bed::with(Board::default(), config).await;
    for begin in [&b""[..], b"\x01\0\0\0\x01\0"] {
        let mut stream = TcpStream::connect(bed.address).await.unwrap();
        stream.write_all(begin).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer));
        assert!(read.await.is_ok());
    }
    let mut idle = bed.modality().await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(idle.echo().await.is_err());
    bed.end().await;
}

#[tokio::test]
async fn a_peer_that_vanishes_in_the_middle_does_no_harm() {
    let mut config = config();
    config.view.max_results = 0;
    let bed = Bed::with(many(5_000), config).await;
    for _ in 0..5 {
        let mut modality = bed.modality().await;
        let keys = identifier("PatientName");
        let find = modality.find(&keys);
        let _ = tokio::time::timeout(Duration::from_millis(5), find).await;
        drop(modality);
    }
    let mut good = bed.modality().await;
    assert!(good.echo().await.unwrap().is_success());
    bed.end().await;
}

#[tokio::test]
async fn a_flood_is_refused_in_words() {
    let mut config = config();
    config.limits.associations_max = 4;
    let bed = Bed::with(Board::default(), config).await;
    let mut good = Vec::new();
    for _ in 0..4 {
        good.push(bed.modality().await);
    }
    let offer = Offer::modality("CT1", "MEDSYNAPSE");
    for _ in 0..100 {
        let error = Modality::connect(bed.address, &offer).await.unwrap_err();
        assert!(
            matches!(&error, ScuError::Rejected(why) if why.contains("limit")),
            "{error}"
        );
    }
    for modality in &mut good {
        assert!(modality.echo().await.unwrap().is_success());
    }
    drop(good);
    // Places come free again.
    let mut tries = 0;
    while Modality::connect(bed.address, &offer).await.is_err() {
        tries += 1;
        assert!(tries < 200);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let summary = bed.end().await;
    assert!(summary.refused >= 100);
}

#[tokio::test]
async fn one_address_cannot_take_every_place() {
    let mut config = config();
    config.limits.per_address_max = 2;
    let bed = Bed::with(Board::default(), config).await;
    let _first = bed.modality().await;
    let _second = bed.modality().await;
    let offer = Offer::modality("CT1", "MEDSYNAPSE");
    assert!(Modality::connect(bed.address, &offer).await.is_err());
    bed.end().await;
}

#[tokio::test]
async fn requests_in_single_bytes_are_put_together() {
    let bed = Bed::start(board()).await;
    let (near, far) = tokio::io::duplex(1);
    let mut stream = TcpStream::connect(bed.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let pump = tokio::spawn(async move {
        let mut far = far;
        let _ = tokio::io::copy_bidirectional_with_sizes(&mut far, &mut stream, 1, 1).await;
    });
    let offer = Offer::modality("CT1", "MEDSYNAPSE");
    let mut modality = Modality::open(near, &offer).await.unwrap();
    let answers = modality
        .find(&identifier("AccessionNumber=ACC001; SPS"))
        .await
        .unwrap();
    assert_eq!(answers.items.len(), 1);
    modality.release().await.unwrap();
    pump.abort();
    bed.end().await;
}

#[tokio::test]
async fn stopping_ends_what_waits() {
    let bed = Bed::start(Board::default()).await;
    let mut modality = bed.modality().await;
    assert!(modality.echo().await.unwrap().is_success());
    let began = Instant::now();
    bed.end().await;
    assert!(began.elapsed() < Duration::from_secs(3));
    assert!(modality.echo().await.is_err());
}

#[tokio::test]
async fn a_sequence_with_two_items_is_invalid() {
    let bed = Bed::start(board()).await;
    let mut modality = bed.modality().await;
    let mut keys = identifier("PatientName");
    keys.put(medsynapse_worklist::scu::sequence(
        tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE,
        vec![
            vec![element("Modality", "CT")],
            vec![element("Modality", "MR")],
        ],
    ));
    let answers = modality.find(&keys).await.unwrap();
    assert_eq!(answers.outcome.status, 0xA900);
    assert_eq!(
        answers.outcome.offending,
        [tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE]
    );
    bed.end().await;
}
