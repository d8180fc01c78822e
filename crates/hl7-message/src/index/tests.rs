use super::*;
use proptest::prelude::*;

type Row = (u32, [u32; 4], Vec<u8>, usize);

fn indexed(message: &Message<'_>) -> Vec<Row> {
    let mut index = Index::new();
    let mut portable = Index::portable();
    let delimiters = index.of(message).delimiters().to_vec();
    assert_eq!(portable.of(message).delimiters(), delimiters);
    let rows = index.of(message).leaves().map(|leaf| {
        let start = leaf.view.span().start;
        (
            leaf.segment_number(),
            leaf.numbers(),
            leaf.view.as_bytes().to_vec(),
            start,
        )
    });
    let by_next: Vec<Row> = rows.clone().collect();
    let by_fold = rows.fold(Vec::new(), |mut rows, row| {
        rows.push(row);
        rows
    });
    assert_eq!(by_next, by_fold);
    by_next
}

/// The same by the lazy views.
fn lazy(message: &Message<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (segment, n) in message.segments().zip(1..) {
        for (field, f) in segment.fields().zip(1..) {
            for (repetition, r) in field.repetitions().zip(1..) {
                for (component, c) in repetition.components().zip(1..) {
                    for (leaf, s) in component.subcomponents().zip(1..) {
                        let start = leaf.span().start;
                        rows.push((n, [f, r, c, s], leaf.as_bytes().to_vec(), start));
                    }
                }
            }
        }
    }
    rows
}

/// The same by splitting, written without any of this crate's code.
fn plain(bytes: &[u8]) -> Vec<(u32, [u32; 4], Vec<u8>)> {
    let mut rows = Vec::new();
    let lines = bytes.split(|b| *b == b'\r').filter(|line| !line.is_empty());
    for (line, n) in lines.zip(1..) {
        let mut fields: Vec<(u32, &[u8], bool)> = Vec::new();
        for (field, f) in line.split(|b| *b == b'|').zip(0..) {
            fields.push((f, field, true));
        }
        fields.remove(0);
        if line.starts_with(b"MSH|") {
            for field in &mut fields {
                field.0 += 1;
            }
            fields[0].2 = false;
            fields.insert(0, (1, b"|", false));
        }
        for (f, field, split) in fields {
            if !split {
                rows.push((n, [f, 1, 1, 1], field.to_vec()));
                continue;
            }
            for (repetition, r) in field.split(|b| *b == b'~').zip(1..) {
                for (component, c) in repetition.split(|b| *b == b'^').zip(1..) {
                    for (leaf, s) in component.split(|b| *b == b'&').zip(1..) {
                        rows.push((n, [f, r, c, s], leaf.to_vec()));
                    }
                }
            }
        }
    }
    rows
}

proptest! {
    #[test]
    fn index_lazy_views_and_plain_splitting_agree(
        body in "[A-C|^~&\\\\\r]{0,300}",
    ) {
        let text = format!("MSH|^~\\&|{body}");
        let message = Message::parse(text.as_bytes()).unwrap();
        let lazy = lazy(&message);
        prop_assert_eq!(&indexed(&message), &lazy);
        let without_place: Vec<_> =
            lazy.into_iter().map(|(n, numbers, bytes, _)| (n, numbers, bytes)).collect();
        prop_assert_eq!(without_place, plain(text.as_bytes()));
    }

    #[test]
    fn other_delimiters_and_line_ends_too(
        body in "[A-C@#~%\r\n ]{0,200}", end in "(\r|\n|\r\n)",
    ) {
        for header in ["MSH@#~", "MSH@#~!", "MSH@#~!%"] {
            let text = format!("{header}{end}{body}");
            let message = Message::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(indexed(&message), lazy(&message));
        }
    }
}

#[test]
fn long_text_between_delimiters_is_looked_through() {
    // Lengths around the blocks and strides that are taken at once.
    for len in [
        0, 1, 63, 64, 65, 127, 191, 192, 255, 256, 257, 400, 511, 640, 900, 1500,
    ] {
        let quiet = "text, \u{7F} and so on ".repeat(100);
        let text = format!("MSH|^~\\&|\rOBX|1|{0}^{0}&B~|{0}\rNTE|{0}", &quiet[..len]);
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(indexed(&message), lazy(&message), "{len}");
    }
}

#[test]
fn an_index_is_used_again_without_growing() {
    let bytes = hl7_corpus::oru_30_obx.bytes;
    let message = Message::parse(bytes).unwrap();
    let mut index = Index::new();
    let count = index.of(&message).delimiter_count();
    let capacity = index.marks.capacity();
    assert_eq!(index.of(&message).delimiter_count(), count);
    assert_eq!(index.marks.capacity(), capacity);
    assert_eq!(count, bytes.iter().filter(|b| b"|^~&".contains(b)).count());
}
