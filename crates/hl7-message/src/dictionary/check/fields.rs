//! The fields of one segment against their definitions.

use super::super::conflict::Property;
use super::super::segments::{self, FieldDefinition};
use super::super::tables::Table;
use super::super::types::{self, ComponentDefinition, DataType};
use super::{DiagnosticKind, Findings, Severity, format};
use crate::{Component, Field, Location, Repetition, Segment};

/// A length that stands for "as long as it takes": OBX-5, NTE-3.
const NOMINAL_LENGTH: u32 = 65_536;

/// Checks the fields of `segment`, which stands at `place`.
pub(super) fn check(segment: &Segment<'_>, place: Location, findings: &mut Findings) {
    let Some(definition) = segments::segment(place.segment_id()) else {
        return;
    };
    let mut fields = segment.fields();
    for field in definition.fields() {
        let place = place.at_field(field.number());
        let value = fields.next();
        let end = segment.span().end;
        let Some(value) = value.filter(|value| !is_blank(value)) else {
            if field.is_required_by_some() {
                let offset = value.map_or(end, |value| value.span().start);
                let most = most(field, Property::Optionality);
                findings.add_at_most(most, DiagnosticKind::MissingField, place, offset);
            }
            continue;
        };
        let data_type = match field.data_type().name() {
            "varies" => observed(segment).unwrap_or(field.data_type()),
            _ => field.data_type(),
        };
        Check {
            field,
            data_type,
            length_max: field.shortest_length_max(),
            findings,
        }
        .repetitions(&value, place);
        if findings.is_full() {
            return;
        }
    }
    // The segment goes on: the first field with something in it tells that it does.
    let known = u16::try_from(definition.fields().len()).unwrap_or(u16::MAX);
    if let Some((n, field)) = (known..u16::MAX)
        .zip(fields)
        .find(|(_, field)| !is_blank(field))
    {
        let place = place.at_field(n + 1);
        findings.add(DiagnosticKind::UnknownField, place, field.span().start);
    }
}

/// The type of OBX-5, which OBX-2 names.
fn observed(segment: &Segment<'_>) -> Option<&'static DataType> {
    let name = segment.field(2)?.first();
    types::data_type(core::str::from_utf8(name.as_bytes()).ok()?)
}

/// Whether a field has delimiters at most.
fn is_blank(field: &Field<'_>) -> bool {
    let mut repetitions = field.repetitions();
    repetitions.all(|repetition| {
        let mut components = repetition.components();
        components.all(|component| component.subcomponents().all(|leaf| leaf.is_empty()))
    })
}

/// How severe a finding about this property may be: sources that disagree reject nothing.
fn most(field: &FieldDefinition, property: Property) -> Severity {
    if field.conflict(property).is_some() {
        Severity::Note
    } else {
        Severity::Error
    }
}

struct Check<'f> {
    field: &'static FieldDefinition,
    data_type: &'static DataType,
    length_max: u32,
    findings: &'f mut Findings,
}

impl Check<'_> {
    fn repetitions(&mut self, value: &Field<'_>, place: Location) {
        let mut reported = false;
        for (n, repetition) in value.repetitions().enumerate() {
            let n = u16::try_from(n + 1).unwrap_or(u16::MAX);
            let place = place.repetition(n);
            if self.findings.is_full() {
                return;
            }
            if repetition.is_empty() || repetition.is_null() {
                continue;
            }
            if n > 1
                && !reported
                && let Some(max) = self.field.repetitions_max()
                && n > max
            {
                reported = true;
                let most = most(self.field, Property::Repeats);
                let kind = DiagnosticKind::TooManyRepetitions { max };
                self.findings
                    .add_at_most(most, kind, place, repetition.span().start);
            }
            self.length(&repetition, place);
            self.code(&repetition, place);
            self.data_type(&repetition, place);
        }
    }

    fn length(&mut self, value: &Repetition<'_>, place: Location) {
        let max = self.length_max;
        let bytes = value.as_bytes();
        let most_bytes = usize::try_from(max).unwrap_or(usize::MAX);
        if bytes.len() <= most_bytes {
            return;
        }
        // Lengths are in characters; text that is not UTF-8 has one byte for each.
        let characters =
            core::str::from_utf8(bytes).map_or(bytes.len(), |text| text.chars().count());
        if characters > most_bytes {
            let most = if max == NOMINAL_LENGTH {
                Severity::Note
            } else {
                most(self.field, Property::Length)
            };
            let kind = DiagnosticKind::TooLong { max };
            self.findings
                .add_at_most(most, kind, place, value.span().start);
        }
    }

    /// The code of a field that has a table of the standard.
    fn code(&mut self, value: &Repetition<'_>, place: Location) {
        let Some(table) = self.field.table() else {
            return;
        };
        // Where the first component has a table of its own, it is checked there.
        let first = self.data_type.component(1);
        if first.is_some_and(|component| component.table().is_some()) {
            return;
        }
        // A coded element may name another coding system; only an ID has no other.
        let most = if self.data_type.name() == "ID" {
            most(self.field, Property::Table).min(most(self.field, Property::DataType))
        } else {
            Severity::Note
        };
        let leaf = value.first();
        self.code_in(table, leaf.as_bytes(), most, place, leaf.span().start);
    }

    fn code_in(
        &mut self,
        table: &Table,
        code: &[u8],
        most: Severity,
        place: Location,
        offset: usize,
    ) {
        let code = code.trim_ascii();
        if table.is_closed() && !code.is_empty() && code != b"\"\"" && table.label(code).is_none() {
            let table = table.number();
            let kind = DiagnosticKind::UnknownCode { table };
            self.findings.add_at_most(most, kind, place, offset);
        }
    }

    fn data_type(&mut self, value: &Repetition<'_>, place: Location) {
        let data_type = self.data_type;
        let leaf = value.first();
        // A time stamp is its first component.
        if !format::is_valid(data_type.name(), leaf.as_bytes()) {
            let most = most(self.field, Property::DataType);
            let data_type = data_type.name();
            let kind = DiagnosticKind::Malformed { data_type };
            self.findings
                .add_at_most(most, kind, place, leaf.span().start);
        }
        for (definition, component) in data_type.components().iter().zip(value.components()) {
            let place = place.component(definition.number());
            self.component(definition, &component, place);
        }
    }

    /// A part of a field is reported at most as a warning: the field can still be read.
    fn component(
        &mut self,
        definition: &'static ComponentDefinition,
        value: &Component<'_>,
        place: Location,
    ) {
        let most = part_most(definition, self.field);
        let leaf = value.first();
        let (bytes, offset) = (leaf.as_bytes(), leaf.span().start);
        self.part(definition, bytes, most, place, offset);
        let inner = definition.data_type().components();
        for (definition, leaf) in inner.iter().zip(value.subcomponents()) {
            let place = place.subcomponent(definition.number());
            let most = most.min(part_most(definition, self.field));
            self.part(definition, leaf.as_bytes(), most, place, leaf.span().start);
        }
    }

    fn part(
        &mut self,
        definition: &ComponentDefinition,
        bytes: &[u8],
        most: Severity,
        place: Location,
        offset: usize,
    ) {
        let data_type = definition.data_type().name();
        if !format::is_valid(data_type, bytes) {
            let kind = DiagnosticKind::Malformed { data_type };
            self.findings.add_at_most(most, kind, place, offset);
        }
        if let Some(table) = definition.table() {
            self.code_in(table, bytes, Severity::Note, place, offset);
        }
    }
}

fn part_most(definition: &ComponentDefinition, field: &FieldDefinition) -> Severity {
    let disputed =
        definition.other_data_type().is_some() || field.conflict(Property::DataType).is_some();
    if disputed {
        Severity::Note
    } else {
        Severity::Warning
    }
}
