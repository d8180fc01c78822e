//! An order to an [`Item`]: every rule of the mapping.

use std::borrow::Cow;

use chrono::{Datelike as _, NaiveDate, Timelike as _};
use hl7_message::{Charset, Field, Location, Message, Precision, Timestamp, loc};
use medsynapse::{Attribute, Mapping, Order, StudyInstanceUid};

use crate::item::{Item, Oddity};
use crate::person::to_pn;
use crate::table::{Element, ROWS, Source};

/// What of the mapping can be configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingSettings {
    /// Whose field positions the orders' messages have.
    pub mapping: Mapping,
    /// What the segments of an order are written in where MSH-18 was empty.
    pub default_charset: Charset,
    /// The coding scheme of OBR-4 where OBR-4.3 names none; without one there is no code item.
    pub default_coding_scheme: Option<String>,
    /// The offset of the site in minutes. With it, a start that names another offset is moved to
    /// the time on the site's walls, and none is sent.
    pub site_offset_minutes: Option<i16>,
    /// What becomes of a sex, from what HL7 says (in upper case) to what DICOM says.
    pub sex: Vec<(String, String)>,
}

impl Default for MappingSettings {
    fn default() -> Self {
        let sex = [
            ("M", "M"),
            ("F", "F"),
            ("O", "O"),
            ("A", "O"),
            ("N", "O"),
            ("U", ""),
        ];
        Self {
            mapping: Mapping::default(),
            default_charset: Charset::UTF_8,
            default_coding_scheme: None,
            site_offset_minutes: None,
            sex: sex.map(|(from, to)| (from.into(), to.into())).to_vec(),
        }
    }
}

/// What a modality sees of an order, and what was odd about it.
///
/// ```
/// use medsynapse::{Attribute, Attributes, Order, OrderState, Segments};
/// use medsynapse_worklist::{Element, MappingSettings, map};
///
/// let mut attributes = Attributes::default();
/// attributes.set(Attribute::PatientName, "SMITH^JOHN^Q^JR^DR");
/// attributes.set(Attribute::ScheduledStart, "202306141315");
/// let order = Order {
///     accession_number: "ACC1".try_into()?,
///     state: OrderState::Scheduled,
///     attributes,
///     segments: Segments::default(),
/// };
/// let (item, _) = map(&order, &MappingSettings::default());
/// assert_eq!(item.get(Element::PatientName), "SMITH^JOHN^Q^DR^JR");
/// assert_eq!(item.get(Element::ScheduledProcedureStepStartTime), "131500");
/// # Ok::<(), medsynapse::InvalidId>(())
/// ```
pub fn map(order: &Order, settings: &MappingSettings) -> (Item, Vec<Oddity>) {
    let raw = raw_message(order);
    let mut mapper = Mapper {
        order,
        settings,
        message: raw.as_deref().and_then(|raw| Message::parse(raw).ok()),
        charset: Charset::from_msh18(&order.segments.charset)
            .ok()
            .filter(|_| !order.segments.charset.is_empty())
            .unwrap_or(settings.default_charset),
        oddities: Vec::new(),
    };
    let mut item = Item::default();
    for row in &ROWS {
        let value = mapper.value(row.element);
        item.set(row.element, &value);
    }
    (item, mapper.oddities)
}

/// The segments of an order as a message that can be read.
fn raw_message(order: &Order) -> Option<Vec<u8>> {
    let segments = &order.segments;
    if segments.bytes.is_empty() {
        return None;
    }
    let mut raw = b"MSH".to_vec();
    raw.extend_from_slice(&segments.delimiters);
    raw.push(b'\r');
    raw.extend_from_slice(&segments.bytes);
    Some(raw)
}

struct Mapper<'m> {
    order: &'m Order,
    settings: &'m MappingSettings,
    message: Option<Message<'m>>,
    charset: Charset,
    oddities: Vec<Oddity>,
}

impl Mapper<'_> {
    fn odd(&mut self, element: Element, what: &'static str) {
        self.oddities.push(Oddity { element, what });
    }

    fn attribute(&self, attribute: Attribute) -> &str {
        self.order.attributes.get(attribute).unwrap_or_default()
    }

    fn decode<'t>(&self, bytes: &'t [u8]) -> Cow<'t, str> {
        self.charset
            .decode(bytes)
            .or_else(|_| Charset::LATIN_1.decode(bytes))
            .unwrap_or_default()
    }

    /// The text of a leaf in the order's own message.
    fn leaf(&self, location: Location) -> String {
        let value = self.message.as_ref().map(|m| m.value(location));
        match value {
            Some(hl7_message::Value::Text(leaf)) => self.decode(&leaf.unescape()).trim().to_owned(),
            _ => String::new(),
        }
    }

    fn field(&self, location: Location) -> Option<Field<'_>> {
        self.message.as_ref()?.field(location)
    }

    /// The texts of the components of a field's first repetition, or of the subcomponents of its
    /// first component.
    fn parts(&self, location: Location, subcomponents: bool) -> Vec<String> {
        let Some(repetition) = self.field(location).and_then(|f| f.repetition(1)) else {
            return Vec::new();
        };
        let text = |bytes: Cow<'_, [u8]>| match self.decode(&bytes).trim() {
            "\"\"" => String::new(),
            text => text.to_owned(),
        };
        if subcomponents {
            let first = repetition.component(1);
            let leaves = first.iter().flat_map(hl7_message::Component::subcomponents);
            leaves.map(|s| text(s.unescape())).collect()
        } else {
            let components = repetition.components();
            components.map(|c| text(c.first().unescape())).collect()
        }
    }

    fn value(&mut self, element: Element) -> String {
        match element {
            Element::PatientName => self.patient_name(),
            Element::PatientSex => self.sex(),
            Element::PatientBirthDate => self.birth_date(),
            Element::PatientWeight => self.weight(),
            Element::ReferringPhysicianName => self.xcn(element, Attribute::ReferringPhysician),
            Element::RequestingPhysician => self.xcn(element, Attribute::RequestingPhysician),
            Element::ScheduledPerformingPhysicianName => self.performing(),
            Element::Modality => self.attribute(Attribute::Modality).trim().to_uppercase(),
            Element::ScheduledStationAETitle => self.ae_titles(),
            Element::ScheduledProcedureStepStartDate => self.start().0,
            Element::ScheduledProcedureStepStartTime => self.start().1,
            Element::TimezoneOffsetFromUTC => self.start().2,
            Element::RequestedProcedurePriority => self.priority(),
            Element::CurrentPatientLocation => self.location(),
            Element::StudyInstanceUID => self.study_uid(),
            Element::AccessionNumber => self.order.accession_number.as_str().to_owned(),
            Element::PatientID
            | Element::ScheduledProcedureStepID
            | Element::RequestedProcedureID => self.verbatim(element),
            Element::CodeValue | Element::CodingSchemeDesignator | Element::CodeMeaning => {
                self.code(element)
            }
            Element::ScheduledStationName | Element::ScheduledProcedureStepLocation => {
                self.text(element, 16)
            }
            _ => self.text(element, 64),
        }
    }

    fn raw(&self, element: Element) -> String {
        match element.row().source {
            Source::Order(attribute) => self.attribute(attribute).to_owned(),
            Source::Message(_) | Source::Rad4(_) => element
                .row()
                .places(self.settings.mapping)
                .into_iter()
                .map(|place| self.leaf(place))
                .find(|text| !text.is_empty())
                .unwrap_or_default(),
            Source::State => self.order.state.as_str().to_owned(),
            Source::Nothing => String::new(),
        }
    }

    /// What comes back from a modality: never changed.
    fn verbatim(&mut self, element: Element) -> String {
        self.raw(element).trim().to_owned()
    }

    /// Text that may be cut, in characters.
    fn text(&mut self, element: Element, characters_max: usize) -> String {
        let raw = self.raw(element);
        let mut text: String = raw
            .chars()
            .map(|c| if c.is_control() || c == '\\' { ' ' } else { c })
            .collect();
        if raw.contains('\\') {
            self.odd(element, "a backslash became a blank");
        }
        text.truncate(text.trim_end().len());
        let mut text = text.trim_start().to_owned();
        if let Some((end, _)) = text.char_indices().nth(characters_max) {
            text.truncate(end);
            text.truncate(text.trim_end().len());
            self.odd(element, "too long: cut");
        }
        text
    }

    fn patient_name(&mut self) -> String {
        let text = self.attribute(Attribute::PatientName);
        let parts: Vec<String> = text
            .split('^')
            .map(|part| {
                let leaf = part.split('&').next().unwrap_or_default();
                let separators = &hl7_message::Separators::DEFAULT;
                let bytes = hl7_message::escape::unescape(leaf.as_bytes(), separators);
                String::from_utf8_lossy(&bytes).into_owned()
            })
            .collect();
        self.name(Element::PatientName, &parts)
    }

    fn name(&mut self, element: Element, parts: &[String]) -> String {
        let (name, odd) = to_pn(parts.iter().map(String::as_str));
        if let Some(what) = odd {
            self.odd(element, what);
        }
        name
    }

    /// PV1-8 and ORC-12 or OBR-16: component 2 is the whole name, unless the rest makes an XCN
    /// of it.
    fn xcn(&mut self, element: Element, attribute: Attribute) -> String {
        let known = self.attribute(attribute).to_owned();
        let place = attribute.row().place(self.settings.mapping);
        let parts = self.parts(place.component(0), false);
        let agrees = parts.get(1).is_some_and(|second| *second == known);
        let rest = parts.get(2..7.min(parts.len())).unwrap_or_default();
        if agrees && rest.iter().any(|part| !part.is_empty()) {
            return self.name(
                element,
                parts.get(1..7.min(parts.len())).unwrap_or_default(),
            );
        }
        self.name(element, &[known])
    }

    /// OBR-34: a name, an NDL whose first component is a CNN, or an XCN.
    fn performing(&mut self) -> String {
        let element = Element::ScheduledPerformingPhysicianName;
        let known = self.attribute(Attribute::PerformingPhysician).to_owned();
        let inner = self.parts(loc!("OBR-34"), true);
        let outer = self.parts(loc!("OBR-34"), false);
        if inner.first() != Some(&known) {
            return self.name(element, &[known]);
        }
        let parts = if inner.iter().skip(1).any(|part| !part.is_empty()) {
            inner.get(1..7.min(inner.len()))
        } else if xcn_like(&outer) {
            outer.get(1..7.min(outer.len()))
        } else {
            None
        };
        match parts.map(<[String]>::to_vec) {
            Some(parts) => self.name(element, &parts),
            None => self.name(element, &[known]),
        }
    }

    fn sex(&mut self) -> String {
        let text = self.attribute(Attribute::PatientSex).trim().to_uppercase();
        if text.is_empty() {
            return text;
        }
        let found = self.settings.sex.iter().find(|(from, _)| *from == text);
        if let Some((_, to)) = found {
            return to.clone();
        }
        self.odd(Element::PatientSex, "not a known sex: left empty");
        String::new()
    }

    fn birth_date(&mut self) -> String {
        let text = self.attribute(Attribute::PatientBirthDate);
        if text.is_empty() {
            return String::new();
        }
        let day = text.get(..8).and_then(date);
        let Some(day) = day else {
            self.odd(Element::PatientBirthDate, "not a whole date: left empty");
            return String::new();
        };
        day
    }

    fn weight(&mut self) -> String {
        // As it was written, with its unit; in RAD-4 that field is no weight.
        let text = match self.settings.mapping {
            Mapping::Medsynapse => self.leaf(loc!("PV1-20.1")),
            Mapping::IheRad4 => String::new(),
        };
        let text = match text {
            text if text.is_empty() => self.attribute(Attribute::PatientWeight).to_owned(),
            text => text,
        };
        if text.is_empty() {
            return text;
        }
        if let Some(weight) = kilograms(&text) {
            return weight;
        }
        self.odd(Element::PatientWeight, "not a weight: left empty");
        String::new()
    }

    fn ae_titles(&mut self) -> String {
        let known = self.attribute(Attribute::ScheduledStationAeTitle).trim();
        let mut titles = vec![known.to_owned()];
        let row = Attribute::ScheduledStationAeTitle.row();
        let place = row.place(self.settings.mapping);
        if let Some(field) = self.field(place.component(0))
            && self.leaf(place) == known
        {
            let others = field.repetitions().skip(1);
            titles.extend(others.map(|r| self.decode(&r.first().unescape()).trim().to_owned()));
        }
        titles.retain(|title| !title.is_empty());
        titles.join("\\")
    }

    /// Date, time and offset of the scheduled start.
    fn start(&mut self) -> (String, String, String) {
        let text = self.attribute(Attribute::ScheduledStart);
        let Some(start) = text.parse::<Timestamp>().ok() else {
            return <(String, String, String)>::default();
        };
        let (Some(month), Some(day)) = (start.month(), start.day()) else {
            return <(String, String, String)>::default();
        };
        let number = u32::from;
        // DICOM has no second 60 here; HL7 may.
        let second = number(start.second().unwrap_or(0)).min(59);
        let moment = NaiveDate::from_ymd_opt(i32::from(start.year()), number(month), number(day))
            .and_then(|date| {
                let minute = number(start.minute().unwrap_or(0));
                date.and_hms_opt(number(start.hour().unwrap_or(0)), minute, second)
            });
        let Some(mut moment) = moment else {
            return <(String, String, String)>::default();
        };
        let mut offset = start.offset_minutes();
        let whole_day = start.precision() <= Precision::Day;
        if let (Some(own), Some(site)) = (offset, self.settings.site_offset_minutes) {
            if !whole_day {
                let shift = i64::from(site) - i64::from(own);
                moment = moment
                    .checked_add_signed(chrono::TimeDelta::minutes(shift))
                    .unwrap_or(moment);
            }
            offset = None;
        }
        (
            format!(
                "{:04}{:02}{:02}",
                moment.year(),
                moment.month(),
                moment.day()
            ),
            format!(
                "{:02}{:02}{:02}",
                moment.hour(),
                moment.minute(),
                moment.second()
            ),
            offset.map(zone).unwrap_or_default(),
        )
    }

    fn priority(&mut self) -> String {
        let text = self.text(Element::RequestedProcedurePriority, 16);
        let known = match text.to_uppercase().as_str() {
            "S" | "STAT" => "STAT",
            "A" | "P" | "C" | "ASAP" | "HIGH" => "HIGH",
            "R" | "ROUTINE" => "ROUTINE",
            "T" | "MEDIUM" => "MEDIUM",
            "LOW" => "LOW",
            _ => return text,
        };
        known.into()
    }

    fn location(&mut self) -> String {
        let mut parts = self.parts(loc!("PV1-3"), false);
        parts.truncate(3);
        let mut text = parts.join("^");
        text.truncate(text.trim_end_matches('^').len());
        text.chars().filter(|c| *c != '\\').take(64).collect()
    }

    fn study_uid(&mut self) -> String {
        let uid = self.attribute(Attribute::StudyInstanceUid).to_owned();
        if !uid.is_empty() && !StudyInstanceUid::is_valid(&uid) {
            self.odd(Element::StudyInstanceUID, "not a UID: left empty");
            return String::new();
        }
        uid
    }

    fn code(&mut self, element: Element) -> String {
        let parts = self.parts(loc!("OBR-4"), false);
        // In RAD-4 the code of the step, where there is one, is behind that of the procedure.
        let second = self.settings.mapping == Mapping::IheRad4
            && parts.get(3).is_some_and(|code| !code.is_empty());
        let first = if second { 3 } else { 0 };
        let part = |n: usize| {
            let text = parts.get(first + n).map(|text| text.trim());
            text.unwrap_or_default()
        };
        let named = part(2);
        let scheme = if named.is_empty() {
            self.settings
                .default_coding_scheme
                .as_deref()
                .unwrap_or_default()
        } else {
            named
        };
        let value = part(0);
        if scheme.is_empty() || value.is_empty() {
            return String::new();
        }
        let unfit = |text: &str| text.chars().count() > 16 || text.contains('\\');
        if unfit(value) || unfit(scheme) {
            if element == Element::CodeValue {
                self.odd(element, "longer than 16 characters: no code is sent");
            }
            return String::new();
        }
        match element {
            Element::CodeValue => value.to_owned(),
            Element::CodingSchemeDesignator => scheme.to_owned(),
            _ => {
                let meaning = if part(1).is_empty() { value } else { part(1) };
                let clean = |c: char| if c.is_control() || c == '\\' { ' ' } else { c };
                meaning.chars().map(clean).take(64).collect()
            }
        }
    }
}

/// Whether components look like id, family, given.
fn xcn_like(parts: &[String]) -> bool {
    let filled = |n: usize| parts.get(n).is_some_and(|part| !part.is_empty());
    // In an NDL, component 2 is a start time and the third an end time.
    let time = |n: usize| {
        let part = parts.get(n).map(String::as_str).unwrap_or_default();
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.'))
    };
    filled(0) && filled(1) && filled(2) && !time(1) && !time(2)
}

/// `YYYYMMDD`, where that is a real date.
fn date(text: &str) -> Option<String> {
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |range| text.get(range).and_then(|t: &str| t.parse::<u32>().ok());
    let year = i32::try_from(number(0..4)?).ok()?;
    NaiveDate::from_ymd_opt(year, number(4..6)?, number(6..8)?)?;
    Some(text.to_owned())
}

const KILOGRAM: f64 = 1.0;

/// A weight in kilograms as DS writes it.
fn kilograms(text: &str) -> Option<String> {
    let lower = text.trim().to_lowercase().replace(',', ".");
    let (number, factor) = ["kgs", "kg"]
        .into_iter()
        .find_map(|unit| Some((lower.strip_suffix(unit)?, KILOGRAM)))
        .or_else(|| {
            ["lbs", "lb"]
                .into_iter()
                .find_map(|unit| Some((lower.strip_suffix(unit)?, 0.453_592_37)))
        })
        .unwrap_or((&lower, KILOGRAM));
    let number = number.trim();
    if !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let unit_is_kilogram = (factor - KILOGRAM).abs() < f64::EPSILON;
    let weight = number.parse::<f64>().ok()? * factor;
    if weight.is_nan() || weight <= 0.0 || weight > 650.0 {
        return None;
    }
    if unit_is_kilogram && number.len() <= 16 {
        return Some(number.to_owned());
    }
    let mut text = format!("{weight:.4}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    Some(text)
}

/// An offset as DICOM writes it.
fn zone(minutes: i16) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, minutes) = (minutes.unsigned_abs() / 60, minutes.unsigned_abs() % 60);
    format!("{sign}{hours:02}{minutes:02}")
}

#[cfg(test)]
mod rad4_tests;
#[cfg(test)]
mod tests;
