//! The table of matching cases, over a socket and without one.

use dicom_dictionary_std::tags;
use medsynapse_worklist::{Query, QueryOptions, View};

use crate::bed::{Bed, board, identifier, text};

const CASES: &str = include_str!("../cases/matching.tsv");

/// name, keys, what is expected.
pub(crate) fn cases() -> Vec<(&'static str, &'static str, &'static str)> {
    CASES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut columns = line.split('\t');
            let mut next = || {
                columns
                    .next()
                    .unwrap_or_else(|| panic!("short line: {line}"))
            };
            (next(), next(), next())
        })
        .collect()
}

#[tokio::test]
async fn every_case_gives_what_the_table_says() {
    let cases = cases();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let bed = Bed::start(board()).await;
    let mut modality = bed.modality().await;
    let mut wrong = Vec::new();
    for (name, keys, expected) in cases {
        let keys = if keys.contains("AccessionNumber") {
            keys.to_owned()
        } else {
            format!("{keys}; AccessionNumber")
        };
        let answers = modality.find(&identifier(&keys)).await.unwrap();
        let mut got: Vec<String> = answers
            .items
            .iter()
            .map(|(_, item)| text(item, tags::ACCESSION_NUMBER))
            .collect();
        if answers.outcome.status != 0 {
            got.push(format!("{:04X}", answers.outcome.status));
            got.extend(answers.outcome.offending.iter().map(ToString::to_string));
        } else if answers.items.iter().any(|(status, _)| *status == 0xFF01) {
            got.insert(0, "FF01".into());
        }
        let got = if got.is_empty() {
            "-".into()
        } else {
            got.join(" ")
        };
        if got != expected {
            wrong.push(format!("{name} [{keys}]: expected {expected}, got {got}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    modality.release().await.unwrap();
    bed.end().await;
}

/// An index leaves out nothing that matching would find.
#[test]
fn indexes_and_a_look_at_every_step_agree() {
    let board = board();
    let view = View::default();
    for (name, keys, _) in cases() {
        let Ok(query) = Query::read(&identifier(keys), QueryOptions::default()) else {
            continue;
        };
        let found = board.find(&query, &view).unwrap().items.len();
        let all = board.iter().filter(|item| query.matches(item)).count();
        assert_eq!(found, all, "{name}");
    }
}
