//! Every target over the sample messages, pieces of them, and whatever fuzzing found and kept.
#![cfg(test)]

use std::path::Path;

use hl7_fuzz::{TARGETS, Target, dicom, domain, link, vault};
use proptest::prelude::*;

fn targets() -> impl Iterator<Item = Target> {
    TARGETS
        .into_iter()
        .chain(link::TARGETS)
        .chain(domain::TARGETS)
        .chain(dicom::TARGETS)
        .chain(vault::TARGETS)
}

#[test]
fn samples_and_pieces_of_them() {
    for (_, check) in targets() {
        for case in hl7_corpus::CASES {
            check(case.bytes);
            let framed = [b"\x07\x0B".as_slice(), case.bytes, b"\x1C\r"].concat();
            check(&framed);
            for end in (0..case.bytes.len()).step_by(13) {
                check(&case.bytes[..end]);
            }
        }
    }
}

#[test]
fn what_fuzzing_found() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, check) in targets() {
        let Ok(files) = std::fs::read_dir(kept.join(name)) else {
            continue;
        };
        for file in files {
            check(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}

/// Pieces that make sense alone and often do not together.
const PIECES: &[&[u8]] = &[
    b"\x0b",
    b"\x1c\r",
    b"\x1c",
    b"\r",
    b"\n",
    b"\x06",
    b"\x15",
    b"MSH|^~\\&|C|D|A|B|1||ACK|9|P|2.3\r",
    b"MSA|",
    b"AA|42",
    b"CA|42",
    b"AE|41",
    b"AR|",
    b"\x0bMSH|^~\\&|C|D|A|B|1||ACK|9|P|2.3\rMSA|AA|42|ok\r\x1c\r",
];

/// What a peer may say.
fn said() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => proptest::sample::select(PIECES).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_a_peer_says(settings in any::<u8>(), said in said()) {
        link::exchange(&[&[settings], &said[..]].concat());
    }

    #[test]
    fn whatever_is_answered(data in said(), more in proptest::collection::vec(any::<u8>(), 0..40)) {
        link::acknowledge(&data);
        link::acknowledge(&[b"MSH|^~\\&|A|B|C|D|1||ORM^O01|", &more[..], b"|P|2.3\r"].concat());
        link::acknowledge(&[b"MSH", &more[..]].concat());
    }

    #[test]
    fn whatever_stands_in_a_file_of_keys(
        slips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        end in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = include_bytes!("../../../fuzz/corpus/keys/two").to_vec();
        for (at, byte) in slips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        vault::keys(&bytes);
        vault::keys(&bytes[..end.index(bytes.len())]);
    }

    #[test]
    fn samples_with_slips_of_the_pen(
        case in 0..hl7_corpus::CASES.len(),
        slips in proptest::collection::vec((any::<proptest::sample::Index>(), slip()), 1..6),
    ) {
        let mut bytes = hl7_corpus::CASES[case].bytes.to_vec();
        for (at, slip) in slips {
            let at = at.index(bytes.len());
            bytes.splice(at..at + usize::from(slip.len() == 1), slip);
        }
        domain::domain(&bytes);
    }

    #[test]
    fn what_modalities_send_with_slips_of_the_pen(
        slips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        end in any::<proptest::sample::Index>(),
    ) {
        for (check, seed) in SEEDS {
            let mut bytes = seed.to_vec();
            for (at, byte) in &slips {
                bytes[at.index(seed.len())] = *byte;
            }
            check(&bytes);
            check(&bytes[..end.index(bytes.len())]);
        }
    }
}

/// Which target reads, and what.
type Seed = (fn(&[u8]), &'static [u8]);

/// What a modality says.
const SEEDS: [Seed; 3] = [
    (
        dicom::pdu,
        include_bytes!("../../../fuzz/corpus/dicom-pdu/query"),
    ),
    (
        dicom::identifier,
        include_bytes!("../../../fuzz/corpus/dicom-identifier/explicit"),
    ),
    (
        dicom::identifier,
        include_bytes!("../../../fuzz/corpus/dicom-identifier/implicit"),
    ),
];

/// What is put into a message, or in place of one byte.
fn slip() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::sample::select(vec![
            &b"|"[..],
            b"^",
            b"~",
            b"&",
            b"\\",
            b"\"",
            b"|\"\"|",
            b"\\X22\\\"",
            b"\\.br\\",
            b"\r",
            b" ",
            b"\xC3\xBC",
            b"\xFC",
            b"\\X0D\\",
            b"7",
            b"+",
            b".",
            b"\rPID|",
            b"\\H\\",
            b"RTF",
        ])
        .prop_map(<[u8]>::to_vec),
        any::<u8>().prop_map(|byte| vec![byte]),
    ]
}
