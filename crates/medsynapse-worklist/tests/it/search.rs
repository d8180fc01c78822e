//! HTTP and C-FIND give the same.

use dicom_object::InMemDicomObject;
use medsynapse_worklist::{
    Board, Element, Query, QueryOptions, ResponseCharset, Search, View, dataset, dicom_json,
};
use proptest::prelude::*;

use crate::bed::{board, identifier};
use crate::cases::cases;

/// The parameters that ask what keys like those of the table ask.
fn parameters(keys: &str) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    for key in keys.split(';').map(str::trim).filter(|key| !key.is_empty()) {
        let (name, value) = key.split_once('=').unwrap_or((key, ""));
        let name = name.trim();
        if matches!(name, "SPS" | "SPS.") {
            parameters.push((
                "includefield".into(),
                "ScheduledProcedureStepSequence".into(),
            ));
            continue;
        }
        let name = name
            .replace("SPS.Protocol.", "SPS.ScheduledProtocolCodeSequence.")
            .replace("SPS.", "ScheduledProcedureStepSequence.");
        parameters.push((name, value.to_owned()));
    }
    // Without it everything is returned.
    parameters.push(("includefield".into(), "AccessionNumber".into()));
    parameters
}

/// What C-FIND and what HTTP find, as DICOM JSON; `Err` with the offending element.
fn both(board: &Board, keys: &str) -> [Result<Vec<serde_json::Value>, dicom_core::Tag>; 2] {
    let mut asked: InMemDicomObject = identifier(keys);
    if asked
        .get(dicom_dictionary_std::tags::ACCESSION_NUMBER)
        .is_none()
    {
        asked.put(crate::bed::element("AccessionNumber", ""));
    }
    let by_find = Query::read(&asked, QueryOptions::default());
    let parameters = parameters(keys);
    let pairs = parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let by_http = Search::read(pairs).unwrap().query();
    let view = View::default();
    let find = by_find.map_err(|error| error.tag).map(|query| {
        let found = board.find(&query, &view).unwrap().items;
        let object = |item| dataset(item, &query, ResponseCharset::Auto);
        found
            .iter()
            .map(|item| ::dicom_json::to_value(object(item)).unwrap())
            .collect()
    });
    let http = by_http.map_err(|error| error.tag).map(|query| {
        let found = board.find(&query, &view).unwrap().items;
        found.iter().map(|item| dicom_json(item, &query)).collect()
    });
    [find, http]
}

/// Root keys that HTTP would rather find in the step are not asked: there they stand for it.
fn comparable(keys: &str) -> bool {
    !keys
        .split(';')
        .any(|key| key.trim().starts_with("Modality="))
}

#[test]
fn every_case_gives_the_same_by_http() {
    let board = board();
    for (name, keys, _) in cases().into_iter().filter(|(_, keys, _)| comparable(keys)) {
        let [find, http] = both(&board, keys);
        assert_eq!(find, http, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_keys_together_give_the_same_by_http(
        picks in proptest::collection::vec(0_usize..1_000, 1..4),
    ) {
        let all = cases();
        let mut seen = std::collections::BTreeSet::new();
        let mut keys = Vec::new();
        for pick in picks {
            let (_, one, _) = all[pick % all.len()];
            for key in one.split(';').map(str::trim) {
                let name = key.split('=').next().unwrap_or(key).to_owned();
                // The sequence alone beside keys in it says nothing more.
                if seen.insert(name.clone()) && !matches!(name.as_str(), "SPS" | "SPS.") {
                    keys.push(key);
                }
            }
        }
        let keys = keys.join("; ");
        prop_assume!(comparable(&keys));
        let [find, http] = both(&board(), &keys);
        prop_assert_eq!(find, http);
    }
}

#[test]
fn a_step_key_may_stand_alone_and_tags_are_names_too() {
    let board = board();
    for name in [
        "Modality",
        "00080060",
        "ScheduledProcedureStepSequence.Modality",
        "00400100.00080060",
    ] {
        let query = Search::read([(name, "MR")]).unwrap().query().unwrap();
        let found = board.find(&query, &View::default()).unwrap();
        assert_eq!(found.items.len(), 2, "{name}");
        assert_eq!(found.items[0].get(Element::Modality), "MR");
    }
    assert!(Search::read([("PatientsNickname", "X")]).is_err());
    assert!(Search::read([("limit", "many")]).is_err());
}
