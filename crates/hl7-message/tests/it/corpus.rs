//! Every file of a corpus against its oracle.
//!
//! The folder that `HL7_CORPUS` names holds messages and `oracle.jsonl`, which says how many
//! fields and leaves each segment has and what they are. Without the variable there is nothing to
//! compare with, and the test says so.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use hl7_message::{ChunkKind, Message, Segment, chunks};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// One segment as the oracle tells it: name, fields as written, non-empty leaves, their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    name: String,
    fields: usize,
    leaves: usize,
    digest: String,
}

pub(crate) fn folder() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the folder is the environment's to name"
    )]
    let folder = std::env::var("HL7_CORPUS").ok().map(PathBuf::from);
    if folder.is_none() {
        eprintln!("HL7_CORPUS is not set: no corpus to compare with");
    }
    folder
}

fn row(segment: Segment<'_>) -> Row {
    let mut hash = Sha256::new();
    let (mut fields, mut leaves) = (0, 0);
    for (f, field) in (1..).zip(segment.fields()) {
        fields = f;
        for (r, repetition) in (1..).zip(field.repetitions()) {
            for (c, component) in (1..).zip(repetition.components()) {
                for (s, leaf) in (1..).zip(component.subcomponents()) {
                    if !leaf.is_empty() {
                        leaves += 1;
                        hash.update(format!("{f}.{r}.{c}.{s}="));
                        hash.update(leaf.as_bytes());
                        hash.update(b"\n");
                    }
                }
            }
        }
    }
    let mut digest = String::new();
    for byte in hash.finalize().iter().take(8) {
        write!(digest, "{byte:02x}").unwrap();
    }
    Row {
        name: String::from_utf8_lossy(segment.name()).into_owned(),
        fields,
        leaves,
        digest,
    }
}

/// All segments of a file, batch headers and trailers included; or why a part is refused.
fn ours(bytes: &[u8]) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for chunk in chunks(bytes) {
        // A batch header declares delimiters as MSH does; read as one, it gives its fields.
        let mut copy = chunk.bytes.to_vec();
        let header = matches!(chunk.kind, ChunkKind::FileHeader | ChunkKind::BatchHeader);
        if header {
            copy.splice(..3, *b"MSH");
        } else if chunk.kind != ChunkKind::Message {
            copy.splice(..0, *b"MSH|^~\\&\r");
        }
        let message = Message::parse(&copy).map_err(|error| error.to_string())?;
        let skip = usize::from(!header && chunk.kind != ChunkKind::Message);
        for (n, segment) in message.segments().enumerate().skip(skip) {
            let mut row = row(segment);
            if header && n == 0 {
                row.name = String::from_utf8_lossy(&chunk.bytes[..3]).into_owned();
            }
            rows.push(row);
        }
    }
    Ok(rows)
}

fn theirs(line: &Value) -> Vec<Row> {
    let rows = line["segs"].as_array().unwrap().iter();
    rows.map(|seg| Row {
        name: seg[0].as_str().unwrap().to_owned(),
        fields: usize::try_from(seg[1].as_u64().unwrap()).unwrap(),
        leaves: usize::try_from(seg[2].as_u64().unwrap()).unwrap(),
        digest: seg[3].as_str().unwrap().to_owned(),
    })
    .collect()
}

/// How our reading differs, in a few words; `None` where it does not.
fn difference(bytes: &[u8], line: &Value) -> Option<String> {
    let theirs = theirs(line);
    let ours = match ours(bytes) {
        Ok(rows) => rows,
        Err(error) => return Some(format!("refused: {error}")),
    };
    if ours == theirs {
        return None;
    }
    if ours.len() != theirs.len() {
        return Some(format!("{} segments for {}", ours.len(), theirs.len()));
    }
    let differing = ours
        .iter()
        .zip(&theirs)
        .filter(|(ours, theirs)| ours != theirs)
        .count();
    Some(format!("{differing} segments read otherwise"))
}

#[test]
fn every_leaf_is_the_oracles_or_the_difference_is_listed() {
    let Some(folder) = folder() else { return };
    let oracle = std::fs::read_to_string(folder.join("oracle.jsonl")).unwrap();
    let mut found = BTreeMap::new();
    let mut files = 0;
    for line in oracle.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let path = line["path"].as_str().unwrap();
        let bytes = std::fs::read(folder.join(path)).unwrap();
        files += 1;
        if let Some(difference) = difference(&bytes, &line) {
            found.insert(path.to_owned(), difference);
        }
    }
    assert!(files > 0, "an empty corpus proves nothing");
    let listed = listed();
    for (path, difference) in &found {
        if listed.get(path) != Some(difference) {
            println!(
                "| `{path}` | {} | {difference} |",
                listed.get(path).map_or("", |d| d)
            );
        }
    }
    assert_eq!(
        found, listed,
        "docs/reference/corpus.md lists what differs and why"
    );
}

/// The differences that `docs/reference/corpus.md` explains: file and difference.
fn listed() -> BTreeMap<String, String> {
    let page = include_str!("../../../../docs/reference/corpus.md");
    page.lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| {
            let mut cells = line.split(" | ");
            let path = cells.next()?.trim_end_matches('`');
            Some((path.to_owned(), cells.next()?.to_owned()))
        })
        .collect()
}
