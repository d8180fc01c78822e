//! [`Branch`]: a segment with its fields and their parts, each under its path.

use std::collections::HashMap;

use hl7_message::{Charset, Field, Location, Message, Repetition, SegmentId, Subcomponent};
use medsynapse::Mapping;
use medsynapse_store::Note;

use crate::names;
use crate::text::{self, MARK, Piece};

/// Most rows that a message is shown with.
const ROWS_MAX: usize = 2_000;
/// Most bytes of one leaf that are shown.
const LEAF_BYTES_MAX: usize = 20_000;

/// A segment.
pub(crate) struct Branch {
    pub(crate) path: String,
    pub(crate) name: &'static str,
    pub(crate) rows: Vec<Leaf>,
    pub(crate) notes: Vec<Said>,
    /// Whether it is worth a look at once: the header is shown at the top already.
    pub(crate) open: bool,
}

/// A field or a part of one.
pub(crate) struct Leaf {
    at: Location,
    pub(crate) path: String,
    pub(crate) depth: u8,
    pub(crate) name: &'static str,
    pub(crate) data_type: &'static str,
    pub(crate) meaning: &'static str,
    /// The DICOM attributes that modalities get it as.
    pub(crate) dicom: Vec<(String, &'static str)>,
    /// What a code means.
    pub(crate) label: &'static str,
    /// Empty where it has parts, which follow.
    pub(crate) value: Vec<Piece>,
    /// Whether it is `""`.
    pub(crate) null: bool,
    /// Whether it is not there at all, and only something is said about it.
    pub(crate) missing: bool,
    pub(crate) notes: Vec<Said>,
}

/// A finding or a warning.
#[derive(Clone)]
pub(crate) struct Said {
    /// `bad` or `warn`.
    pub(crate) tone: &'static str,
    pub(crate) code: String,
    pub(crate) path: String,
    pub(crate) message: String,
    /// Whether its place is shown.
    pub(crate) placed: bool,
}

impl Said {
    pub(crate) fn of(note: Note, tone: &'static str) -> Self {
        Self {
            tone,
            code: note.code,
            path: note.path,
            message: note.message,
            placed: false,
        }
    }

    /// What is said, without the path that it may begin with.
    pub(crate) fn short(&self) -> &str {
        let place = self.path.as_str();
        let rest = self.message.strip_prefix(place).unwrap_or(&self.message);
        let rest = rest
            .strip_prefix(".1")
            .filter(|_| rest.len() < self.message.len())
            .unwrap_or(rest);
        if rest.starts_with(' ') {
            rest.trim_start()
        } else {
            &self.message
        }
    }
}

/// Where leaves are read from.
#[derive(Clone, Copy)]
struct Source<'m, 'a> {
    message: &'m Message<'a>,
    charset: Charset,
    mapping: Mapping,
}

impl Source<'_, '_> {
    /// What modalities get a leaf as: only orders become worklist items.
    fn dicom(&self, at: Location, meaning: &str) -> Vec<(String, &'static str)> {
        let order = self.message.header().message_code() == b"ORM";
        if order && !meaning.is_empty() {
            names::dicom_at(at, self.mapping)
        } else {
            Vec::new()
        }
    }
}

/// A message as a tree, and whether there is more of it.
pub(crate) fn tree(
    message: &Message<'_>,
    said: &mut [Said],
    mapping: Mapping,
) -> (Vec<Branch>, bool) {
    let from = Source {
        message,
        mapping,
        charset: text::charset_of(message),
    };
    let mut numbers = HashMap::new();
    let mut branches = Vec::new();
    let mut room = ROWS_MAX;
    for segment in message.segments() {
        if room == 0 {
            return (branches, true);
        }
        let Some(id) = segment.id() else { continue };
        let number: &mut u16 = numbers.entry(id).or_default();
        *number = number.saturating_add(1);
        let at = Location::of(id).occurrence(*number);
        let mut rows = Vec::new();
        for (number, field) in (1..=u16::MAX).zip(segment.fields()) {
            if !field.is_empty() {
                in_field(field, at.at_field(number), from, &mut rows);
            }
        }
        rows.truncate(room);
        room -= rows.len();
        let name = names::segment(id).unwrap_or_default();
        let mut branch = Branch {
            path: at.to_string(),
            name,
            rows,
            notes: Vec::new(),
            open: true,
        };
        for said in said.iter_mut() {
            branch.take(at, said);
        }
        branch.open = id != SegmentId::MSH || branch.rows.iter().any(|row| !row.notes.is_empty());
        branches.push(branch);
    }
    (branches, false)
}

impl Branch {
    /// Puts what is said about a place of this segment there.
    fn take(&mut self, segment: Location, said: &mut Said) {
        let Ok(at) = said.path.parse::<Location>() else {
            return;
        };
        let here = Location::of(at.segment_id()).occurrence(at.occurrence_number());
        if here != segment || said.placed {
            return;
        }
        said.placed = true;
        if at.field_number().is_none() {
            self.notes.push(said.clone());
            return;
        }
        // The first leaf of a field goes by the field's name where it is alone.
        let field = here.at_field(at.field_number().unwrap_or_default());
        let shorter = field.repetition(at.repetition_number());
        let exact = self.rows.iter().position(|row| row.at == at);
        let found = exact.or_else(|| {
            self.rows
                .iter()
                .position(|row| row.at == shorter && at.component_number() == Some(1))
        });
        if let Some(row) = found.and_then(|index| self.rows.get_mut(index)) {
            said.path.clone_from(&row.path);
            row.notes.push(said.clone());
            return;
        }
        // What is missing goes by the short name too.
        let first = at.component_number() == Some(1) && at.subcomponent_number().is_none();
        let at = if first { shorter } else { at };
        said.path = at.to_string();
        let index = self.rows.iter().take_while(|row| row.at < at).count();
        let mut row = Leaf::new(at, u8::from(at.component_number().unwrap_or(1) > 1));
        row.missing = true;
        row.notes.push(said.clone());
        self.rows.insert(index, row);
    }
}

impl Leaf {
    fn new(at: Location, depth: u8) -> Self {
        let (name, data_type) = names::field(at).unwrap_or_default();
        Self {
            at,
            path: at.to_string(),
            depth,
            name,
            data_type,
            label: "",
            meaning: "",
            dicom: Vec::new(),
            value: Vec::new(),
            null: false,
            missing: false,
            notes: Vec::new(),
        }
    }

    fn with(mut self, leaf: Subcomponent<'_>, from: Source<'_, '_>) -> Self {
        self.meaning = names::meaning(self.at, from.message, from.mapping).unwrap_or_default();
        self.dicom = from.dicom(self.at, self.meaning);
        self.null = leaf.is_null();
        let data = leaf.unescape();
        self.label = names::label(self.at, &data).unwrap_or_default();
        let shown = data.get(..LEAF_BYTES_MAX).unwrap_or(&data);
        text::show(shown, from.charset, &mut self.value);
        if shown.len() < data.len() {
            let more = data.len() - shown.len();
            self.value
                .push(Piece::new(format!("{more} more bytes"), MARK));
        }
        self
    }
}

fn in_field(field: Field<'_>, at: Location, from: Source<'_, '_>, rows: &mut Vec<Leaf>) {
    for (number, repetition) in (1..=u16::MAX).zip(field.repetitions()) {
        in_repetition(repetition, at.repetition(number), from, rows);
        if rows.len() > ROWS_MAX {
            return;
        }
    }
}

fn in_repetition(
    repetition: Repetition<'_>,
    at: Location,
    from: Source<'_, '_>,
    rows: &mut Vec<Leaf>,
) {
    let simple = repetition.components().nth(1).is_none()
        && repetition.first().as_bytes().len() == repetition.as_bytes().len();
    if simple {
        if !repetition.is_empty() {
            rows.push(Leaf::new(at, 0).with(repetition.first(), from));
        }
        return;
    }
    let mut head = Leaf::new(at, 0);
    head.meaning = match names::meaning(at, from.message, from.mapping) {
        // What belongs to the first component is said there.
        Some(_) if names::meaning(at.component(1), from.message, from.mapping).is_some() => "",
        other => other.unwrap_or_default(),
    };
    head.dicom = from.dicom(at, head.meaning);
    rows.push(head);
    for (number, component) in (1..=u16::MAX).zip(repetition.components()) {
        let at = at.component(number);
        if component.is_empty() {
            continue;
        }
        let Some(_) = component.subcomponents().nth(1) else {
            rows.push(Leaf::new(at, 1).with(component.first(), from));
            continue;
        };
        rows.push(Leaf::new(at, 1));
        for (number, leaf) in (1..=u16::MAX).zip(component.subcomponents()) {
            if !leaf.is_empty() {
                rows.push(Leaf::new(at.subcomponent(number), 2).with(leaf, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(segments: &str, said: &mut [Said]) -> Vec<String> {
        let bytes = format!("MSH|^~\\&|\r{segments}");
        let message = Message::parse(bytes.as_bytes()).unwrap();
        let (branches, _) = tree(&message, said, Mapping::Medsynapse);
        let rows = branches.iter().skip(1).flat_map(|branch| &branch.rows);
        rows.map(|row| {
            let value: String = row.value.iter().map(|piece| piece.text.as_str()).collect();
            let notes: Vec<_> = row
                .notes
                .iter()
                .map(|note| format!(" !{}", note.message))
                .collect();
            let notes = notes.concat();
            let missing = if row.missing { " missing" } else { "" };
            format!(
                "{}{} {value} [{}]{missing}{notes}",
                " ".repeat(row.depth.into()),
                row.path,
                row.meaning
            )
        })
        .collect()
    }

    fn finding(path: &str) -> Said {
        let note = Note {
            code: "101".into(),
            path: path.into(),
            offset: None,
            message: "no".into(),
        };
        Said::of(note, "bad")
    }

    #[test]
    fn every_leaf_has_its_path() {
        assert_eq!(
            rows("PID|1||77~88||DOE^JANE&ANN", &mut []),
            [
                "PID-1 1 []",
                "PID-3 77 [Patient ID]",
                "PID-3[2] 88 []",
                "PID-5  [Patient Name]",
                " PID-5.1 DOE []",
                " PID-5.2  []",
                "  PID-5.2.1 JANE []",
                "  PID-5.2.2 ANN []",
            ]
        );
        assert_eq!(
            rows("OBR|1|||CT1^CT CHEST", &mut []),
            [
                "OBR-1 1 []",
                "OBR-4  []",
                " OBR-4.1 CT1 [Scheduled Procedure Step ID]",
                " OBR-4.2 CT CHEST [Scheduled Procedure Step Description]",
            ]
        );
    }

    #[test]
    fn findings_stand_at_their_place() {
        let mut said = [
            finding("OBR-2.1"),
            finding("OBR-24.1"),
            finding("OBR-4.2"),
            finding("ZDS-1"),
        ];
        assert_eq!(
            rows("OBR|1|A||CT1||||||||||||||||||||||||||||||||X", &mut said),
            [
                "OBR-1 1 []",
                "OBR-2 A [Accession Number] !no",
                "OBR-4 CT1 [Scheduled Procedure Step ID]",
                " OBR-4.2  [] missing !no",
                "OBR-24  [] missing !no",
                "OBR-36 X [Scheduled Procedure Step Start Date Time]",
            ]
        );
        assert!(said[0].placed && !said[3].placed);
        assert_eq!(said[0].path, "OBR-2");
    }
}
