//! The DICOM conformance statement, made from the tables that the service runs on.

use std::fmt::Write as _;

use medsynapse::Mapping;

use crate::charset::ResponseCharset;
use crate::scp::{Deadlines, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, ScpLimits};
use crate::table::{Level, Matching, ROWS, Row, Source};
use crate::view::MAX_RESULTS;

/// The page `docs/reference/dicom-conformance.md`; a test keeps it current.
pub fn page() -> String {
    let mut page = String::from(include_str!("conformance/head.md"));
    let limits = ScpLimits::default();
    let deadlines = Deadlines::default();
    let replacements = [
        ("{CLASS}", IMPLEMENTATION_CLASS_UID.to_owned()),
        ("{VERSION}", IMPLEMENTATION_VERSION_NAME.to_owned()),
        ("{ASSOCIATIONS}", limits.associations_max.to_string()),
        ("{PER_ADDRESS}", limits.per_address_max.to_string()),
        ("{IDLE}", deadlines.idle.as_secs().to_string()),
        ("{REQUEST}", deadlines.request.as_secs().to_string()),
        ("{MAX_RESULTS}", MAX_RESULTS.to_string()),
    ];
    for (name, value) in replacements {
        page = page.replace(name, &value);
    }
    for (level, title) in [
        (Level::Root, "Data set"),
        (
            Level::Step,
            "Item of the Scheduled Procedure Step Sequence (0040,0100)",
        ),
        (
            Level::Protocol,
            "Item of the Scheduled Protocol Code Sequence (0040,0008) in it",
        ),
    ] {
        let _ = writeln!(
            page,
            "\n### {title}\n\n| attribute | tag | VR | type | matching | HL7, `medsynapse` | HL7, \
             `ihe-rad4` | rule |\n|---|---|---|---|---|---|---|---|"
        );
        for row in ROWS.iter().filter(|row| row.level == level) {
            let (tag, vr) = (row.tag, row.vr.to_string());
            let (keyword, key_type, rule) = (row.keyword, row.key_type, row.rule);
            let matching = matching(row.matching);
            let [places, rad4] = Mapping::ALL.map(|mapping| places(row, mapping));
            let _ = writeln!(
                page,
                "| {keyword} | {tag} | {vr} | {key_type} | {matching} | {places} | {rad4} | {rule} |"
            );
        }
    }
    page.push_str("\n## Character sets\n\nA response may be configured to be written in:");
    let names: Vec<String> = ResponseCharset::names()
        .map(|name| format!("`{name}`"))
        .collect();
    let _ = writeln!(
        page,
        " {}. `auto` names none where ASCII is enough, and `ISO_IR 192` else. What a set lacks is \
         written in other letters (ü as ue), never left out without a trace. The characters of a \
         request are those that it names itself; they do not decide those of the response.",
        names.join(", ")
    );
    page
}

fn places(row: &Row, mapping: Mapping) -> String {
    if let Source::State = row.source {
        return "state of the order".into();
    }
    let places = row.places(mapping);
    let places: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
    places.join(", else ")
}

const fn matching(matching: Matching) -> &'static str {
    match matching {
        Matching::Never => "none (FF01 with a value)",
        Matching::Text => "single value, wildcard",
        Matching::AnyOf => "single value, wildcard, any of several",
        Matching::Name => "single value, wildcard; case does not count",
        Matching::Date => "single value, range",
        Matching::Time => "single value, range; with a range of dates one period",
        Matching::Uid => "single value, list",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_is_current() {
        let page = include_str!("../../../docs/reference/dicom-conformance.md");
        assert_eq!(
            page,
            super::page(),
            "write the right side to docs/reference/dicom-conformance.md"
        );
    }
}
