//! Performed procedure steps, and the recorder.

use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use medsynapse_worklist::Board;
use medsynapse_worklist::scp::{ScpConfig, Services, StepStatus, merge};
use medsynapse_worklist::scu::{Modality, Offer, sequence};

use crate::bed::{Bed, element, text};

fn step(status: &str, accession_numbers: &[&str]) -> InMemDicomObject {
    let items = accession_numbers
        .iter()
        .map(|accession| {
            vec![
                element("StudyInstanceUID", "1.2.3"),
                element("AccessionNumber", accession),
                element("ScheduledProcedureStepID", "S1"),
            ]
        })
        .collect();
    InMemDicomObject::from_element_iter([
        element("PerformedProcedureStepStatus", status),
        sequence(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, items),
    ])
}

#[tokio::test]
async fn a_step_is_made_changed_and_ended_once() {
    let bed = Bed::start(Board::default()).await;
    let mut modality = bed.modality().await;
    let status = |outcome: medsynapse_worklist::scu::Outcome| (outcome.status, outcome.error_id);
    let new = step("IN PROGRESS", &["A1", "A2"]);
    let done = step("COMPLETED", &[]);
    let uid = "1.2.3.4";
    assert_eq!(
        status(modality.set_step(uid, &done).await.unwrap()),
        (0x0112, None)
    );
    assert_eq!(
        status(modality.create_step(uid, &done).await.unwrap()),
        (0x0106, None)
    );
    assert_eq!(
        status(modality.create_step("", &new).await.unwrap()),
        (0x0117, None)
    );
    assert_eq!(
        status(modality.create_step(uid, &new).await.unwrap()),
        (0, None)
    );
    assert_eq!(
        status(modality.create_step(uid, &new).await.unwrap()),
        (0x0111, None)
    );
    let odd = step("PAUSED", &[]);
    assert_eq!(
        status(modality.set_step(uid, &odd).await.unwrap()),
        (0x0106, None)
    );
    assert_eq!(
        status(modality.set_step(uid, &done).await.unwrap()),
        (0, None)
    );
    let late = modality.set_step(uid, &done).await.unwrap();
    assert_eq!(status(late), (0x0110, Some(0xA506)));
    modality.release().await.unwrap();
    {
        let steps = bed.department.steps.lock().unwrap();
        let (made, ended) = &steps[0];
        assert_eq!(*ended, StepStatus::Completed);
        let named: Vec<_> = made
            .references
            .iter()
            .map(|r| r.accession_number.as_str())
            .collect();
        assert_eq!(named, ["A1", "A2"]);
        assert_eq!(made.calling, "CT1");
    }
    bed.end().await;
}

#[test]
fn an_n_set_goes_over_what_is_kept() {
    let kept = merge(&[], &step("IN PROGRESS", &["A1"]));
    let changes = InMemDicomObject::from_element_iter([
        element("PerformedProcedureStepStatus", "COMPLETED"),
        element("PerformedStationName", "B\u{fc}ro"),
    ]);
    let kept = merge(&kept, &changes);
    let syntax = dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased();
    let object = InMemDicomObject::read_dataset_with_ts(&kept[..], &syntax).unwrap();
    assert_eq!(
        text(&object, tags::PERFORMED_PROCEDURE_STEP_STATUS),
        "COMPLETED"
    );
    assert_eq!(text(&object, tags::PERFORMED_STATION_NAME), "B\u{fc}ro");
    let items = object
        .get(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE)
        .unwrap()
        .items()
        .unwrap();
    assert_eq!(text(&items[0], tags::ACCESSION_NUMBER), "A1");
}

#[tokio::test]
async fn the_recorder_keeps_identifiers_and_no_pixels() {
    let config = ScpConfig::new("RECORDER", Services::Recorder);
    let bed = Bed::with(Board::default(), config).await;
    let class = uids::SECONDARY_CAPTURE_IMAGE_STORAGE;
    let offer = Offer::storage("CT1", "RECORDER", class);
    let mut modality = Modality::connect(bed.address, &offer).await.unwrap();
    assert!(modality.echo().await.unwrap().is_success());
    let mut object = InMemDicomObject::from_element_iter([
        element("SOPClassUID", class),
        element("SOPInstanceUID", "1.2.3.9"),
        element("AccessionNumber", "A1"),
        element("Modality", "OT"),
        element("PatientID", "P1"),
        element("StudyInstanceUID", "1.2.3"),
        element("SeriesInstanceUID", "1.2.3.1"),
    ]);
    object.put(dicom_core::DataElement::new(
        tags::PIXEL_DATA,
        dicom_core::VR::OW,
        dicom_core::value::PrimitiveValue::U8(vec![7; 3_000_000].into()),
    ));
    for n in 0..3 {
        let outcome = modality
            .store(class, &format!("1.2.3.9.{n}"), &object)
            .await
            .unwrap();
        assert!(outcome.is_success(), "{outcome:?}");
    }
    let nothing = InMemDicomObject::from_element_iter([element("PatientID", "P1")]);
    assert!(
        modality
            .store(class, "1.2.3.9.9", &nothing)
            .await
            .unwrap()
            .is_success()
    );
    modality.release().await.unwrap();
    let stored = bed.department.stored.lock().unwrap().clone();
    assert_eq!(stored.len(), 4);
    assert_eq!(stored[1].sop_instance_uid, "1.2.3.9.1");
    assert_eq!(
        (
            stored[0].study_instance_uid.as_str(),
            stored[0].series_instance_uid.as_str(),
            stored[0].accession_number.as_str(),
            stored[0].patient_id.as_str(),
            stored[0].modality.as_str(),
        ),
        ("1.2.3", "1.2.3.1", "A1", "P1", "OT")
    );
    bed.end().await;
}
