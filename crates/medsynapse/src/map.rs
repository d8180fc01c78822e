//! The field mapping of the conformance statement: one row an attribute, read both ways.
//!
//! The same rows read an order from a message, write it into one, name the
//! columns and the JSON members, and make the page `docs/reference/field-mapping.md`.

mod mapping;
mod member;

use core::fmt;
use std::fmt::Write as _;

use hl7_message::{Location, loc};

pub use mapping::{Mapping, UnknownMapping};
pub use member::{Detail, Member};

/// How the value of an attribute is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text of one leaf.
    Text,
    /// An XPN: all components of the first repetition.
    Name,
    /// A TS that reaches the day at least.
    DateTime,
    /// A TS that reaches the day at least, of which only the day counts.
    Date,
    /// A decimal number.
    Decimal,
    /// A code of table 0001.
    Sex,
    /// A modality code.
    Modality,
    /// A UID.
    Uid,
}

/// One row of the mapping.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Which attribute of an order this is.
    pub attribute: Attribute,
    /// Its name in the conformance statement.
    pub name: &'static str,
    /// Its name in databases and logs.
    pub column: &'static str,
    /// Its member in the domain JSON of an order, below `order`.
    pub json: &'static str,
    /// Its member in the domain JSON of a report, below `report`.
    pub report_json: &'static str,
    /// Where it stands in a report before the places of an order.
    pub report_source: Option<Location>,
    /// Where it stands in the conformance statement.
    pub(crate) statement: &'static [Location],
    /// Where it stands in IHE RAD-4.
    pub(crate) rad4: &'static [Location],
    /// How it is read.
    pub kind: Kind,
    /// Whether the conformance statement refuses a new order without it.
    pub mandatory: bool,
    /// Most characters, for values that become DICOM values and are never cut.
    pub characters_max: Option<usize>,
}

/// The first name of a row: the one in reports, where it has one.
const fn first(names: &[&'static str]) -> &'static str {
    match names {
        [name, ..] => name,
        [] => "",
    }
}

const fn row_option(places: &[Location]) -> Option<Location> {
    match places {
        [place, ..] => Some(*place),
        [] => None,
    }
}

/// The places of RAD-4: those of the statement, unless others are given.
const fn either(other: &'static [Location], statement: &'static [Location]) -> &'static [Location] {
    if other.is_empty() { statement } else { other }
}

macro_rules! rows {
    ($($variant:ident $name:literal $column:literal $json:literal
       $(/ $report_json:literal $report_at:literal)?
       [$($at:literal),+] $(=> [$($rad4:literal),+])?
       $kind:ident $mandatory:literal $max:expr;)*) => {
        /// An attribute of an order, as the conformance statement lists them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Attribute {
            $(#[doc = $name] $variant,)*
        }

        /// The mapping, in the order of the conformance statement.
        pub static ROWS: [Row; Attribute::COUNT] = [
            $(Row {
                attribute: Attribute::$variant,
                name: $name,
                column: $column,
                json: $json,
                report_json: first(&[$($report_json,)? $json]),
                report_source: row_option(&[$(loc!($report_at))?]),
                statement: &[$(loc!($at)),+],
                rad4: either(&[$($(loc!($rad4)),+)?], &[$(loc!($at)),+]),
                kind: Kind::$kind,
                mandatory: $mandatory,
                characters_max: $max,
            },)*
        ];

        impl Attribute {
            /// How many there are.
            pub const COUNT: usize = [$(stringify!($variant)),*].len();

            /// All of them, in the order of the conformance statement.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant),*];

            /// Its row.
            pub fn row(self) -> &'static Row {
                match self {
                    $(Self::$variant => {
                        const INDEX: usize = Attribute::$variant as usize;
                        const { assert!(INDEX < Attribute::COUNT) };
                        &ROWS[INDEX]
                    })*
                }
            }
        }
    };
}

rows! {
    AccessionNumber "Accession Number"
        "accession_number" "accessionNumber" ["OBR-2.1"]
        => ["OBR-18.1", "OBR-2.1"] Text true Some(16);
    PatientId "Patient ID"
        "patient_id" "patient.id" ["PID-3.1"] Text true Some(64);
    PatientName "Patient Name"
        "patient_name" "patient.name" ["PID-5.1"] Name true None;
    PatientSex "Patient Sex"
        "patient_sex" "patient.gender" ["PID-8.1"] Sex true None;
    Modality "Modality"
        "modality" "study.modality" ["OBR-24.1"]
        => ["OBR-24.1", "IPC-5.1"] Modality true None;
    ScheduledStationAeTitle "Scheduled Station AE Title"
        "scheduled_station_ae_title" "scheduling.aeTitle" ["OBR-21.1"]
        => ["ORC-18.1", "IPC-9.1"] Text true Some(16);
    ScheduledStationName "Scheduled Station Name"
        "scheduled_station_name" "scheduling.stationName" ["OBR-18.1"]
        => ["IPC-7.1"] Text true None;
    ScheduledStart "Scheduled Procedure Step Start Date Time"
        "scheduled_start" "scheduling.scheduledDateTime" ["OBR-36.1"]
        => ["ORC-7.4", "OBR-27.4", "TQ1-7.1"] DateTime true None;
    ScheduledProcedureStepId "Scheduled Procedure Step ID"
        "scheduled_procedure_step_id" "study.procedureId" / "study.id" "OBX-3.1" ["OBR-4.1"]
        => ["OBR-20.1", "IPC-4.1"] Text true Some(16);
    ScheduledProcedureStepDescription "Scheduled Procedure Step Description"
        "scheduled_procedure_step_description" "study.description" / "study.description" "OBX-3.2" ["OBR-4.2"]
        => ["OBR-4.5", "OBR-4.2"] Text true None;
    RequestedProcedureId "Requested Procedure ID"
        "requested_procedure_id" "study.requestedProcedureId" ["OBR-19.1"] Text true None;
    RequestedProcedureDescription "Requested Procedure Description"
        "requested_procedure_description" "study.requestedProcedureDescription" ["OBR-15.1"]
        => ["OBR-44.2", "OBR-4.2"] Text true None;
    AdmissionId "Admission ID"
        "admission_id" "patient.admissionId" ["PID-18.1"]
        => ["PV1-19.1", "PID-18.1"] Text false None;
    PatientWeight "Patient Weight"
        "patient_weight" "patient.weightKg" ["PV1-20.1"]
        => ["OBX-5.1"] Decimal false None;
    PatientBirthDate "Patient Birth Date"
        "birth_date" "patient.dateOfBirth" ["PID-7.1"] Date false None;
    ReferringPhysician "Referring Physician Name"
        "referring_physician" "visit.referringPhysician" ["PV1-8.2"] Text false None;
    RequestingPhysician "Requesting Physician"
        "requesting_physician" "requestingPhysician" ["ORC-12.2"]
        => ["OBR-16.2"] Text false None;
    PerformingPhysician "Scheduled Performing Physician Name"
        "performing_physician" "scheduling.performingPhysician" ["OBR-34.1"] Text false None;
    Location "Scheduled Procedure Step Location"
        "location" "scheduling.location" ["OBR-20.1"]
        => ["IPC-8.1"] Text false None;
    Reason "Reason For Requested Procedure"
        "reason" "study.reason" ["OBR-31.2", "OBR-31.1"] Text false None;
    Priority "Requested Procedure Priority"
        "priority" "study.priority" ["OBR-5.1"]
        => ["ORC-7.6", "OBR-27.6", "TQ1-9.1"] Text false None;
    InstitutionName "Institution Name"
        "institution_name" "institutionName" ["ORC-17.2"]
        => ["ORC-17.2", "ORC-17.1", "MSH-4.1"] Text false None;
    StudyInstanceUid "Study Instance UID"
        "study_instance_uid" "study.studyInstanceUid" ["ZDS-1.1"]
        => ["ZDS-1.1", "IPC-3.1"] Uid false None;
}

/// The modality codes of the conformance statement; DICOM has more.
pub const MODALITIES: [&str; 19] = [
    "CR", "CT", "DX", "ES", "GM", "IO", "MG", "MR", "NM", "PX", "RF", "OT", "PT", "SC", "SM", "US",
    "XA", "XC", "ECG",
];

impl Row {
    /// Where the attribute stands; the first place that says anything counts.
    pub const fn sources(&self, mapping: Mapping) -> &'static [Location] {
        match mapping {
            Mapping::Medsynapse => self.statement,
            Mapping::IheRad4 => self.rad4,
        }
    }

    /// The first of its places.
    pub fn place(&self, mapping: Mapping) -> Location {
        let first = self.sources(mapping).first();
        first.copied().unwrap_or(loc!("OBR"))
    }

    /// Where the attribute is written: its place in the conformance statement.
    pub fn location(&self) -> Location {
        self.place(Mapping::Medsynapse)
    }

    /// Whether a new order without it is refused. RAD-4 has no place for a station's name but
    /// IPC, which messages of v2.3 lack.
    pub fn is_mandatory(&self, mapping: Mapping) -> bool {
        self.mandatory
            && (mapping, self.attribute) != (Mapping::IheRad4, Attribute::ScheduledStationName)
    }

    /// Its places in words, for instance `` `OBR-31.2`, else `OBR-31.1` ``.
    fn places(&self, mapping: Mapping) -> String {
        let place = |at: &Location| match self.kind {
            Kind::Name => format!("`{}-{}`", at.segment_id(), at.field_number().unwrap_or(0)),
            _ if at.segment_id() == hl7_message::SegmentId::OBX => {
                format!("`{at}` of the OBX whose OBX-3 is `BODY WEIGHT`, in kg")
            }
            _ => format!("`{at}`"),
        };
        let places: Vec<String> = self.sources(mapping).iter().map(place).collect();
        let mut text = places.join(", else ");
        if (mapping, self.attribute) == (Mapping::IheRad4, Attribute::ScheduledStationAeTitle) {
            text.push_str(", else as configured for the modality");
        }
        text
    }
}

/// The attributes of an order that are known, as text.
///
/// Names are XPN under the usual delimiters, dates as HL7 writes them.
/// `Debug` shows which are known, not what they say.
///
/// ```
/// use medsynapse::{Attribute, Attributes};
///
/// let mut attributes = Attributes::default();
/// attributes.set(Attribute::Modality, "CT");
/// assert_eq!(attributes.get(Attribute::Modality), Some("CT"));
/// assert_eq!(attributes.get(Attribute::Reason), None);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    values: [Option<Box<str>>; Attribute::COUNT],
}

impl Attributes {
    /// The value of one, if it is known.
    pub fn get(&self, attribute: Attribute) -> Option<&str> {
        self.values.get(attribute as usize)?.as_deref()
    }

    /// Sets one; empty text makes it unknown.
    pub fn set(&mut self, attribute: Attribute, text: &str) {
        self.put(
            attribute,
            if text.is_empty() {
                None
            } else {
                Some(text.into())
            },
        );
    }

    /// Makes one unknown.
    pub fn clear(&mut self, attribute: Attribute) {
        self.put(attribute, None);
    }

    fn put(&mut self, attribute: Attribute, value: Option<Box<str>>) {
        if let Some(slot) = self.values.get_mut(attribute as usize) {
            *slot = value;
        }
    }

    /// Those that are known, in the order of the conformance statement.
    pub fn iter(&self) -> impl Iterator<Item = (Attribute, &str)> {
        Attribute::ALL
            .into_iter()
            .zip(&self.values)
            .filter_map(|(attribute, value)| Some((attribute, value.as_deref()?)))
    }

    /// Keeps, clears and sets as `patches` say.
    pub fn apply(&mut self, patches: &Patches) {
        for attribute in Attribute::ALL {
            match patches.get(attribute) {
                Patch::Keep => {}
                Patch::Clear => self.clear(attribute),
                Patch::Set(text) => self.set(attribute, text),
            }
        }
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|(attribute, _)| attribute))
            .finish()
    }
}

/// What a message says about one attribute.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Patch {
    /// Nothing: keep what is known.
    #[default]
    Keep,
    /// `""`: forget it.
    Clear,
    /// Text: set it.
    Set(Box<str>),
}

impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::Clear => "Clear",
            Self::Set(_) => "Set(…)",
        })
    }
}

/// What a message says about every attribute of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patches {
    values: [Patch; Attribute::COUNT],
}

impl Patches {
    /// What it says about one.
    pub fn get(&self, attribute: Attribute) -> &Patch {
        self.values.get(attribute as usize).unwrap_or(&Patch::Keep)
    }

    /// The text that it sets, if it sets one.
    pub fn text(&self, attribute: Attribute) -> Option<&str> {
        match self.get(attribute) {
            Patch::Set(text) => Some(text),
            Patch::Keep | Patch::Clear => None,
        }
    }

    /// Says something about one.
    pub fn put(&mut self, attribute: Attribute, patch: Patch) {
        if let Some(slot) = self.values.get_mut(attribute as usize) {
            *slot = patch;
        }
    }
}

/// The mapping as a page of Markdown, for `docs/reference/field-mapping.md`.
pub fn reference() -> String {
    let mut page = String::from(
        "# Field mapping\n\n\
         Where each attribute of an order stands in ORM^O01 (and, as far as it is sent, in \
         ORU^R01). A new order without a mandatory attribute is refused with AR, and the answer \
         names every one that is missing. This page is made from `medsynapse::map::ROWS`; a test \
         keeps it true.\n\n\
         Two mappings are there: `medsynapse`, the conformance statement's and the default, and \
         `ihe-rad4`, that of IHE Radiology. Take the one that your RIS sends: they use the same \
         fields for other things, and a message read by the wrong one gives a wrong order. Set \
         `mapping = \"ihe-rad4\"` below `[broker]`, and in `[broker.ae_titles]` the AE title of \
         each modality whose orders name none, for instance `CT = \"CT1\"`. What is written - \
         orders given as JSON, and their JSON form - stands where `medsynapse` has it, and what \
         the broker's own gateway sends is always read so. Under `ihe-rad4` the name of the \
         station is not mandatory.\n\n\
         | attribute | `medsynapse` | `ihe-rad4` | mandatory | at most | JSON, below `order` | \
         column |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in &ROWS {
        let mandatory = if row.mandatory { "yes" } else { "" };
        let max = row
            .characters_max
            .map_or(String::new(), |max| format!("{max} characters"));
        let (name, json, column) = (row.name, row.json, row.column);
        let [statement, rad4] = Mapping::ALL.map(|mapping| row.places(mapping));
        let _ = writeln!(
            page,
            "| {name} | {statement} | {rad4} | {mandatory} | {max} | `{json}` | `{column}` |"
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_their_attributes() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.attribute as usize, index);
            assert_eq!(row.attribute.row().name, row.name);
        }
    }

    /// Written down from the conformance statement, independently of the table.
    #[test]
    fn mandatory_positions_are_those_of_the_statement() {
        let mut mandatory: Vec<String> = ROWS
            .iter()
            .filter(|row| row.mandatory)
            .map(|row| row.location().to_string())
            .collect();
        mandatory.sort();
        assert_eq!(
            mandatory,
            [
                "OBR-15.1", "OBR-18.1", "OBR-19.1", "OBR-2.1", "OBR-21.1", "OBR-24.1", "OBR-36.1",
                "OBR-4.1", "OBR-4.2", "PID-3.1", "PID-5.1", "PID-8.1",
            ]
        );
    }

    /// Written down from the integration profile, independently of the table.
    #[test]
    fn mandatory_positions_of_rad_4() {
        let mandatory: Vec<String> = ROWS
            .iter()
            .filter(|row| row.is_mandatory(Mapping::IheRad4))
            .map(|row| row.place(Mapping::IheRad4).to_string())
            .collect();
        assert_eq!(
            mandatory,
            [
                "OBR-18.1", "PID-3.1", "PID-5.1", "PID-8.1", "OBR-24.1", "ORC-18.1", "ORC-7.4",
                "OBR-20.1", "OBR-4.5", "OBR-19.1", "OBR-44.2",
            ]
        );
    }

    #[test]
    fn the_reference_page_is_current() {
        let page = include_str!("../../../docs/reference/field-mapping.md");
        assert_eq!(
            page,
            reference(),
            "write the right side to docs/reference/field-mapping.md"
        );
    }

    #[test]
    fn debug_shows_no_values() {
        let mut attributes = Attributes::default();
        attributes.set(Attribute::PatientName, "SECRET");
        assert!(!format!("{attributes:?}").contains("SECRET"));
        assert!(!format!("{:?}", Patch::Set("SECRET".into())).contains("SECRET"));
    }
}
