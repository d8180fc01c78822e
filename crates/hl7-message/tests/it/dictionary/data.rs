//! The data files against what the dictionary gives back, and the page that is made from it.

use std::fmt::Write as _;

use hl7_message::Location;
use hl7_message::dictionary::{
    self, ComponentDefinition, Conflict, FieldDefinition, Optionality, Property, Repeats, Sources,
    TableKind,
};

/// The lines of a data file without its comments.
fn rows(file: &str) -> Vec<String> {
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

fn row<const N: usize>(cells: [&str; N]) -> String {
    cells.join("\t").trim_end_matches('\t').to_owned()
}

fn number(table: Option<&dictionary::Table>) -> String {
    table.map_or(String::new(), |table| format!("{:04}", table.number()))
}

fn optionality(field: &FieldDefinition) -> &'static str {
    match field.optionality() {
        Optionality::Required => "R",
        Optionality::Optional => "O",
        Optionality::Conditional => "C",
        Optionality::Backward => "B",
    }
}

fn repeats(field: &FieldDefinition) -> String {
    match field.repeats() {
        Repeats::No => "N".to_owned(),
        Repeats::Yes => "Y".to_owned(),
        Repeats::Max(most) => most.to_string(),
    }
}

fn conflict(conflict: Conflict) -> String {
    let key = match conflict.property() {
        Property::DataType => "dt",
        Property::Length => "len",
        Property::Optionality => "opt",
        Property::Repeats => "rpt",
        Property::Table => "tbl",
    };
    let others: Vec<_> = conflict.others().collect();
    format!("{key}:{}", others.join("|"))
}

#[test]
fn every_row_of_segments_is_given_back() {
    let mut given = Vec::new();
    for segment in dictionary::segments() {
        given.push(row([segment.id().as_str(), segment.name()]));
        for field in segment.fields() {
            let conflicts: Vec<_> = field.conflicts().map(conflict).collect();
            given.push(row([
                "",
                &field.number().to_string(),
                field.name(),
                field.data_type().name(),
                &field.length_max().to_string(),
                optionality(field),
                &repeats(field),
                &number(field.table()),
                &conflicts.join(" "),
            ]));
        }
    }
    assert_eq!(
        given,
        rows(include_str!("../../../src/dictionary/segments.tsv"))
    );
}

#[test]
fn every_row_of_types_is_given_back() {
    let component = |component: &ComponentDefinition| {
        row([
            "",
            &component.number().to_string(),
            component.name(),
            component.data_type().name(),
            &number(component.table()),
            component.other_data_type().unwrap_or_default(),
        ])
    };
    let mut given = Vec::new();
    for data_type in dictionary::data_types() {
        given.push(row([data_type.name(), data_type.title()]));
        given.extend(data_type.components().iter().map(component));
    }
    assert_eq!(
        given,
        rows(include_str!("../../../src/dictionary/types.tsv"))
    );
}

#[test]
fn every_row_of_tables_is_given_back() {
    let mut given = Vec::new();
    for table in dictionary::tables() {
        let kind = match table.kind() {
            TableKind::Hl7 => "HL7",
            TableKind::User => "User",
            TableKind::Unknown => "-",
        };
        given.push(row([&number(Some(table)), kind, table.name()]));
        for value in table.values() {
            let sources = match value.sources() {
                Sources::Both => "",
                Sources::Hl7Database => "D",
                Sources::Caristix => "C",
            };
            given.push(row(["", value.code(), value.label(), sources]));
            let found = table.label(value.code());
            assert_eq!(found, Some(value.label()), "{table} {}", value.code());
        }
    }
    assert_eq!(
        given,
        rows(include_str!("../../../src/dictionary/tables.tsv"))
    );
}

#[test]
fn labels_that_the_sources_cut_off_are_marked() {
    let values = dictionary::tables()
        .iter()
        .flat_map(dictionary::Table::values);
    assert_eq!(values.filter(dictionary::TableValue::is_cut).count(), 35);
}

#[test]
fn every_table_that_a_field_names_is_there() {
    for file in [
        include_str!("../../../src/dictionary/segments.tsv"),
        include_str!("../../../src/dictionary/types.tsv"),
    ] {
        for line in rows(file) {
            for cell in line.split('\t').skip(3) {
                if cell.len() == 4 && cell.starts_with('0') {
                    let number = cell.parse().unwrap();
                    assert!(dictionary::table(number).is_some(), "{cell}");
                }
            }
        }
    }
}

/// The page for `docs/reference/dictionary.md`.
fn page() -> String {
    let mut page = "# The dictionary of version 2.3\n\n\
        What `hl7_message::dictionary` knows and where its sources disagree. This page is made \
        from the dictionary; a test keeps it true.\n\n\
        ## Structures\n\n\
        `[ ]` is optional, `{ }` repeats, `< | >` is a choice. Segments that start with Z may \
        stand anywhere.\n\n\
        | message | segments |\n|---|---|\n"
        .to_owned();
    for structure in dictionary::structures() {
        let events = structure.events();
        let events: Vec<_> = events.iter().map(|event| format!("^{event}")).collect();
        let segments = structure.to_string().replace('|', "\\|");
        writeln!(
            page,
            "| {}{} | `{segments}` |",
            structure.code(),
            events.join(", ")
        )
        .unwrap();
    }
    page += "\n## Segments\n\n| segment | name | fields | where sources disagree |\n|---|---|---|---|\n";
    for segment in dictionary::segments() {
        let fields = segment.fields();
        let disputed = fields
            .iter()
            .filter(|field| field.conflicts().next().is_some());
        let disputed = disputed.count();
        writeln!(
            page,
            "| {} | {} | {} | {disputed} |",
            segment.id(),
            segment.name(),
            fields.len()
        )
        .unwrap();
    }
    page += "\n## Fields where sources disagree\n\n\
        A check never reports more than a note about these properties.\n\n\
        | field | name | here | elsewhere |\n|---|---|---|---|\n";
    for segment in dictionary::segments() {
        for field in segment.fields() {
            let place = Location::of(segment.id()).at_field(field.number());
            for conflict in field.conflicts() {
                let here = match conflict.property() {
                    Property::DataType => field.data_type().name().to_owned(),
                    Property::Length => field.length_max().to_string(),
                    Property::Optionality => optionality(field).to_owned(),
                    Property::Repeats => repeats(field),
                    Property::Table => match field.table() {
                        Some(table) => format!("{:04}", table.number()),
                        None => "none".to_owned(),
                    },
                };
                let elsewhere = conflict.to_string();
                let elsewhere = elsewhere.trim_end_matches(" in other sources");
                writeln!(
                    page,
                    "| {place} | {} | {here} | {elsewhere} |",
                    field.name()
                )
                .unwrap();
            }
        }
    }
    page
}

#[test]
fn the_reference_page_is_the_dictionary() {
    let page = page();
    let written = concat!(env!("CARGO_TARGET_TMPDIR"), "/dictionary.md");
    std::fs::write(written, &page).unwrap();
    let kept = include_str!("../../../../../docs/reference/dictionary.md");
    assert!(
        kept == page,
        "docs/reference/dictionary.md should be {written}"
    );
}
