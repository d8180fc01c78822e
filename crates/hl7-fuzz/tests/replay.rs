//! Every target over the sample messages, pieces of them, and whatever fuzzing found and kept.
#![cfg(test)]

use std::path::Path;

use hl7_fuzz::TARGETS;

#[test]
fn samples_and_pieces_of_them() {
    for (_, check) in TARGETS {
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
    for (name, check) in TARGETS {
        let Ok(files) = std::fs::read_dir(kept.join(name)) else {
            continue;
        };
        for file in files {
            check(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}
