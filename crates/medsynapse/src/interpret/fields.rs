//! Reads attributes by the mapping table.

use std::borrow::Cow;

use hl7_message::{
    Charset, ErrorCondition, Location, Message, Precision, SegmentId, Timestamp, Value, loc,
};

use crate::id::StudyInstanceUid;
use crate::map::{Attribute, Kind, MODALITIES, Mapping, Patch, Patches, ROWS, Row};
use crate::person_name::xpn;
use crate::profile::Profile;
use crate::rejection::{Finding, Warning};
use crate::segments::Segments;

/// A message with what is needed to read it.
#[derive(Clone, Copy)]
pub(super) struct Reader<'m, 'a> {
    pub(super) message: &'m Message<'a>,
    pub(super) charset: Charset,
    pub(super) profile: &'m Profile,
    pub(super) mapping: Mapping,
}

/// One value that was read.
pub(super) enum Read {
    Absent,
    Null,
    Text(String),
}

impl Reader<'_, '_> {
    /// The segments that are kept with an order or a report.
    pub(super) fn segments(&self) -> Segments {
        Segments::of(self.message)
    }

    /// The text of one leaf, decoded and without padding.
    pub(super) fn text(&self, location: Location) -> Result<Read, Finding> {
        let leaf = match self.message.value(location) {
            Value::Absent => return Ok(Read::Absent),
            Value::Null => return Ok(Read::Null),
            Value::Text(leaf) => leaf,
        };
        let text = self.decode(&leaf.unescape(), location, leaf.span().start)?;
        let text = text.trim();
        Ok(if text.is_empty() {
            Read::Absent
        } else {
            Read::Text(text.to_owned())
        })
    }

    /// The text of one leaf, where it sets any.
    pub(super) fn some_text(&self, location: Location) -> Result<Option<String>, Finding> {
        Ok(match self.text(location)? {
            Read::Text(text) => Some(text),
            Read::Absent | Read::Null => None,
        })
    }

    /// Bytes of a field in the message's character set.
    pub(super) fn decode(
        &self,
        bytes: &[u8],
        location: Location,
        offset: usize,
    ) -> Result<String, Finding> {
        self.charset
            .decode(bytes)
            .map(Cow::into_owned)
            .map_err(|_| Finding {
                location,
                offset: Some(offset),
                condition: ErrorCondition::DataType,
                message: format!("{location} has bytes that are not {}.", self.charset),
            })
    }

    /// An XPN as it is kept: all components of the first repetition.
    fn name(&self, location: Location) -> Result<Read, Finding> {
        let first = match self.text(location)? {
            Read::Text(text) => text,
            other => return Ok(other),
        };
        let repetition = self
            .message
            .field(location)
            .and_then(|field| field.repetition(1));
        let mut parts = vec![first];
        for component in repetition
            .iter()
            .flat_map(hl7_message::Repetition::components)
            .skip(1)
        {
            let leaf = component.first();
            let text = if leaf.is_null() {
                Cow::default()
            } else {
                leaf.unescape()
            };
            parts.push(
                self.decode(&text, location, leaf.span().start)?
                    .trim()
                    .to_owned(),
            );
        }
        Ok(Read::Text(xpn(parts.iter().map(String::as_str))))
    }

    /// What the message says about the attributes in `only`; `mandatory` says which must be
    /// there. Everything that is wrong goes to `findings`.
    pub(super) fn patches(
        &self,
        only: impl Fn(Attribute) -> bool,
        mandatory: impl Fn(&Row) -> bool,
        findings: &mut Vec<Finding>,
        warnings: &mut Vec<Warning>,
    ) -> Patches {
        let mut patches = Patches::default();
        let accession_number = Attribute::AccessionNumber.row().place(self.mapping);
        let accession_number = Location::of(accession_number.segment_id())
            .at_field(accession_number.field_number().unwrap_or(1));
        for key in [loc!("PID-3"), accession_number, loc!("MRG-1")] {
            let others = self
                .message
                .field(key)
                .map(|field| field.repetitions().skip(1));
            if others.is_some_and(|mut others| others.any(|other| !other.is_empty())) {
                warnings.push(Warning {
                    code: "extra-repetition",
                    location: Some(key.repetition(2)),
                    message: format!("only the first repetition of {key} is read"),
                });
            }
        }
        for row in ROWS.iter().filter(|row| only(row.attribute)) {
            let required = mandatory(row);
            match self.patch(row, required, findings, warnings) {
                Ok(Patch::Set(text)) => patches.put(row.attribute, Patch::Set(text)),
                Ok(_) if required => match self.configured(row.attribute, &patches) {
                    Some(text) => patches.put(row.attribute, Patch::Set(text.into())),
                    None => findings.push(self.missing(row.place(self.mapping))),
                },
                Ok(patch) => patches.put(row.attribute, patch),
                Err(finding) => findings.push(finding),
            }
        }
        findings.sort_by_key(|finding| place(finding.location));
        patches
    }

    /// What the configuration says of an attribute that the message does not have.
    fn configured(&self, attribute: Attribute, patches: &Patches) -> Option<&str> {
        if (self.mapping, attribute) != (Mapping::IheRad4, Attribute::ScheduledStationAeTitle) {
            return None;
        }
        let modality = patches.text(Attribute::Modality)?.to_ascii_uppercase();
        self.profile.ae_titles.get(&modality).map(String::as_str)
    }

    /// A mandatory field that says nothing.
    pub(super) fn missing(&self, location: Location) -> Finding {
        let segment = self.message.segment_at(location);
        Finding {
            location,
            offset: segment.map(|segment| segment.span().start),
            condition: ErrorCondition::RequiredFieldMissing,
            message: format!("{location} is mandatory and missing."),
        }
    }

    /// What the message says about one attribute.
    fn patch(
        &self,
        row: &Row,
        required: bool,
        findings: &mut Vec<Finding>,
        warnings: &mut Vec<Warning>,
    ) -> Result<Patch, Finding> {
        let mut read = Read::Absent;
        let mut at = row.place(self.mapping);
        for &location in row.sources(self.mapping) {
            let location = if location.segment_id() == SegmentId::OBX {
                match self.body_weight(location, warnings)? {
                    Some(location) => location,
                    None => continue,
                }
            } else {
                location
            };
            read = match row.kind {
                Kind::Name => self.name(location)?,
                _ => self.text(location)?,
            };
            at = location;
            if !matches!(read, Read::Absent) {
                break;
            }
        }
        let text = match read {
            Read::Absent => return Ok(Patch::Keep),
            Read::Null => return Ok(Patch::Clear),
            Read::Text(text) => text,
        };
        if let Some(max) = row.characters_max
            && self.profile.check_lengths
            && text.chars().count() > max
        {
            // The value stays readable, so that what else is wrong is told as well.
            let message = format!("{} is longer than {max} characters.", field(at));
            findings.push(self.wrong(at, ErrorCondition::DataType, message));
        }
        match oddity(row.kind, &text) {
            None => Ok(Patch::Set(text.into())),
            Some(Oddity::Taken(code, what)) => {
                warnings.push(Warning {
                    code,
                    location: Some(at),
                    message: format!("{at} {what}"),
                });
                Ok(Patch::Set(text.into()))
            }
            Some(Oddity::Unusable(code, what)) if !required => {
                let message = format!("{at} {what}; ignored");
                warnings.push(Warning {
                    code,
                    location: Some(at),
                    message,
                });
                Ok(Patch::Keep)
            }
            Some(Oddity::Unusable(_, what)) => Err(self.wrong(
                at,
                ErrorCondition::DataType,
                format!("{} {what}.", field(at)),
            )),
            Some(Oddity::Refused(what)) => {
                let message = format!("{} {what}.", field(at));
                Err(self.wrong(at, ErrorCondition::TableValueNotFound, message))
            }
        }
    }

    /// The place of a field of OBX in the observation of the body weight, if there is one that
    /// is in kilograms.
    fn body_weight(
        &self,
        location: Location,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<Location>, Finding> {
        let count = self.message.segments_of(SegmentId::OBX).count();
        for n in (1..).take(count) {
            let at = |place: Location| place.occurrence(n);
            let mut is_weight = false;
            for name in [loc!("OBX-3.1"), loc!("OBX-3.2")] {
                let name = self.some_text(at(name))?;
                is_weight |= name.is_some_and(|name| name.eq_ignore_ascii_case("BODY WEIGHT"));
            }
            if !is_weight {
                continue;
            }
            let unit = at(loc!("OBX-6.1"));
            if self
                .some_text(unit)?
                .is_some_and(|unit| !unit.eq_ignore_ascii_case("kg"))
            {
                warnings.push(Warning {
                    code: "not-kilograms",
                    location: Some(unit),
                    message: format!("{unit} is not kg; the weight is ignored"),
                });
                continue;
            }
            return Ok(Some(at(location)));
        }
        Ok(None)
    }

    /// A value that is there and wrong.
    pub(super) fn wrong(
        &self,
        location: Location,
        condition: ErrorCondition,
        message: String,
    ) -> Finding {
        let offset = self.message.leaf(location).map(|leaf| leaf.span().start);
        Finding {
            location,
            offset,
            condition,
            message,
        }
    }
}

/// What is odd about a value.
pub(crate) enum Oddity {
    /// It is taken; the code of the warning, and what is odd.
    Taken(&'static str, &'static str),
    /// It is ignored, or refused where the field is mandatory.
    Unusable(&'static str, &'static str),
    /// It is refused.
    Refused(&'static str),
}

/// Whether `text` is what an attribute of this kind should be.
pub(crate) fn oddity(kind: Kind, text: &str) -> Option<Oddity> {
    let precision = || {
        text.parse::<Timestamp>()
            .ok()
            .map(|moment| moment.precision())
    };
    match kind {
        Kind::Text | Kind::Name => None,
        Kind::Sex => match text {
            "F" | "M" | "O" | "U" => None,
            "A" | "N" => Some(Oddity::Taken(
                "later-code",
                "is a code of later versions of table 0001",
            )),
            _ => Some(Oddity::Refused("is not in table 0001 (F M O U)")),
        },
        Kind::Modality if MODALITIES.contains(&text) => None,
        Kind::Modality => Some(Oddity::Taken(
            "other-modality",
            "is none of the modality codes of the conformance statement",
        )),
        Kind::DateTime => match precision() {
            Some(Precision::Day) => Some(Oddity::Taken("no-time", "has no time of day")),
            Some(precision) if precision > Precision::Day => None,
            _ => Some(Oddity::Unusable("not-a-date", "is not a date and time")),
        },
        Kind::Date if precision() >= Some(Precision::Day) => None,
        Kind::Date => Some(Oddity::Unusable("not-a-date", "is not a date")),
        Kind::Decimal => {
            let number = text
                .parse::<f64>()
                .ok()
                .filter(|n| n.is_finite() && *n >= 0.0);
            number
                .is_none()
                .then_some(Oddity::Unusable("not-a-number", "is not a number"))
        }
        Kind::Uid => (!StudyInstanceUid::is_valid(text))
            .then_some(Oddity::Unusable("not-a-uid", "is not a UID")),
    }
}

/// The field alone, for an answer.
pub(super) fn field(location: Location) -> String {
    location.subcomponent(0).component(0).to_string()
}

/// Findings are told in the order in which a person reads the message.
fn place(location: Location) -> (u8, Option<u16>, Option<u16>) {
    let segment = match location.segment_id().as_bytes() {
        b"MSH" => 0,
        b"EVN" => 1,
        b"PID" => 2,
        b"MRG" => 3,
        b"PV1" => 4,
        b"ORC" => 5,
        b"OBR" => 6,
        b"OBX" => 7,
        _ => 8,
    };
    (
        segment,
        location.field_number(),
        location.component_number(),
    )
}
