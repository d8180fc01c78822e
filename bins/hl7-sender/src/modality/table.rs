//! Worklist items as a table.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// The columns: their heads, and where the values stand.
const COLUMNS: [(&str, bool, Tag); 8] = [
    ("DATE", true, tags::SCHEDULED_PROCEDURE_STEP_START_DATE),
    ("TIME", true, tags::SCHEDULED_PROCEDURE_STEP_START_TIME),
    ("AE TITLE", true, tags::SCHEDULED_STATION_AE_TITLE),
    ("MOD", true, tags::MODALITY),
    ("ACCESSION", false, tags::ACCESSION_NUMBER),
    ("PATIENT ID", false, tags::PATIENT_ID),
    ("PATIENT", false, tags::PATIENT_NAME),
    ("STEP", true, tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION),
];

/// A line for each item, in columns.
pub(super) fn of<'i>(items: impl Iterator<Item = &'i InMemDicomObject>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(COLUMNS.map(|(head, _, _)| head));
    for item in items {
        let step = item
            .get(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE)
            .and_then(dicom_core::DataElement::items)
            .and_then(<[_]>::first);
        table.add_row(COLUMNS.map(|(_, inside, tag)| {
            let object = if inside { step } else { Some(item) };
            object
                .and_then(|object| object.get(tag))
                .and_then(|element| element.to_str().ok())
                .map(|text| text.chars().filter(|c| !c.is_control()).collect::<String>())
                .unwrap_or_default()
        }));
    }
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}
