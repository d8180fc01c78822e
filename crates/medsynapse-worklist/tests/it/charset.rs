//! What text looks like in bytes.

use std::collections::HashMap;

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use medsynapse_worklist::scp::{ScpConfig, Services};
use medsynapse_worklist::scu::{Modality, Offer};
use medsynapse_worklist::{
    Board, Element, Item, Query, QueryOptions, ResponseCharset, View, dataset,
};

use crate::bed::{Bed, identifier, text};

fn named(name: &str) -> Item {
    let mut item = Item::default();
    item.set(Element::AccessionNumber, "A1");
    item.set(Element::PatientName, name);
    item.set(Element::ScheduledStationAETitle, "CT1");
    item
}

/// The bytes of an answer in Implicit VR, after what the characters are told in.
#[track_caller]
fn check(name: &str, set: &str, expected: &[u8]) {
    let keys = identifier("PatientName");
    let query = Query::read(&keys, QueryOptions::default()).unwrap();
    let charset = ResponseCharset::from_name(set).unwrap();
    let object = dataset(&named(name), &query, charset);
    let mut bytes = Vec::new();
    let syntax = dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN.erased();
    object.write_dataset_with_ts(&mut bytes, &syntax).unwrap();
    assert_eq!(
        bytes.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

#[test]
fn ascii_says_nothing_of_its_characters() {
    let expected = b"\x10\0\x10\0\x0a\0\0\0SMITH^JOHN";
    check("SMITH^JOHN", "auto", expected);
    check("SMITH^JOHN", "ISO_IR 100", expected);
}

#[test]
fn utf_8() {
    check(
        "M\u{dc}LLER",
        "auto",
        b"\x08\0\x05\0\x0a\0\0\0ISO_IR 192\x10\0\x10\0\x08\0\0\0M\xC3\x9CLLER ",
    );
}

#[test]
fn latin_1() {
    check(
        "M\u{dc}LLER",
        "ISO_IR 100",
        b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100\x10\0\x10\0\x06\0\0\0M\xDCLLER",
    );
}

#[test]
fn latin_2_and_cyrillic() {
    check(
        "\u{141}\u{d3}D\u{179}",
        "ISO_IR 101",
        b"\x08\0\x05\0\x0a\0\0\0ISO_IR 101\x10\0\x10\0\x04\0\0\0\xA3\xD3D\xAC",
    );
    check(
        "\u{418}\u{432}",
        "ISO_IR 144",
        b"\x08\0\x05\0\x0a\0\0\0ISO_IR 144\x10\0\x10\0\x02\0\0\0\xB8\xD2",
    );
}

#[test]
fn what_a_set_lacks_is_written_in_other_letters() {
    check("M\u{dc}LLER", "ISO_IR 6", b"\x10\0\x10\0\x08\0\0\0MUeLLER ");
    check(
        "\u{141}\u{f3}d\u{17a}\u{dc}",
        "ISO_IR 100",
        b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100\x10\0\x10\0\x06\0\0\0L\xF3dz\xDC ",
    );
    check("\u{5c71}", "ISO_IR 100", b"\x10\0\x10\0\x02\0\0\0? ");
}

#[tokio::test]
async fn each_ae_title_gets_its_own() {
    let mut board = Board::default();
    board.put(named("M\u{dc}LLER^EVA"));
    let mut config = ScpConfig::new("MEDSYNAPSE", Services::Worklist);
    let latin = View {
        charset: ResponseCharset::from_name("ISO_IR 100").unwrap(),
        ..View::default()
    };
    config.views = HashMap::from([("OLD".to_owned(), latin)]);
    let bed = Bed::with(board, config).await;
    for (calling, set) in [("OLD", "ISO_IR 100"), ("NEW", "ISO_IR 192")] {
        let offer = Offer::modality(calling, "MEDSYNAPSE");
        let mut modality = Modality::connect(bed.address, &offer).await.unwrap();
        // The key comes in the peer's own characters, whatever the answer is written in.
        let mut key = InMemDicomObject::new_empty();
        for element in [
            crate::bed::element("SpecificCharacterSet", "ISO_IR 100"),
            crate::bed::element("PatientName", "m\u{fc}ller*"),
        ] {
            key.put(element);
        }
        let answers = modality.find(&key).await.unwrap();
        let (_, item) = &answers.items[0];
        assert_eq!(text(item, tags::SPECIFIC_CHARACTER_SET), set);
        assert_eq!(text(item, tags::PATIENT_NAME), "M\u{dc}LLER^EVA");
        modality.release().await.unwrap();
    }
    bed.end().await;
}
