//! The mapping of an order to what a modality sees: one row a DICOM attribute.
//!
//! The same rows make the data sets, say how a key matches, explain an order, and make the page
//! `docs/reference/dicom-conformance.md`.

use core::fmt;

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use hl7_message::{Location, loc};
use medsynapse::{Attribute, Mapping};

/// Where in the data set an attribute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The data set itself.
    Root,
    /// The item of the Scheduled Procedure Step Sequence.
    Step,
    /// The item of the Scheduled Protocol Code Sequence in it.
    Protocol,
}

/// How a key of an attribute matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// It does not; a value in the request is ignored, and the response says so with FF01.
    Never,
    /// Single value, or with wildcards; case counts.
    Text,
    /// As text, any of several values.
    AnyOf,
    /// A person's name: wildcards, case does not count.
    Name,
    /// A date or a range of dates.
    Date,
    /// A time or a range of times.
    Time,
    /// Any of a list of UIDs.
    Uid,
}

/// Type of a return key, PS3.4 table K.6-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// Always there, with a value.
    One,
    /// There with a value where the standard's condition holds.
    OneC,
    /// Always there, empty where nothing is known.
    Two,
    /// May be missing.
    Three,
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::One => "1",
            Self::OneC => "1C",
            Self::Two => "2",
            Self::Three => "3",
        })
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// An attribute of the order, read by the mapping of the messages.
    Order(Attribute),
    /// Fields of the order's own message that no attribute keeps; the first that says anything.
    Message(&'static [Location]),
    /// Fields of the order's own message under [`Mapping::IheRad4`]; nothing otherwise.
    Rad4(&'static [Location]),
    /// The state of the order.
    State,
    /// Nowhere: always empty.
    Nothing,
}

/// One row of the mapping.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Which attribute this is.
    pub element: Element,
    /// Its keyword.
    pub keyword: &'static str,
    /// Its tag.
    pub tag: Tag,
    /// Its value representation.
    pub vr: VR,
    /// Where it stands.
    pub level: Level,
    /// How it is returned.
    pub key_type: KeyType,
    /// How it matches.
    pub matching: Matching,
    /// Where its value comes from.
    pub source: Source,
    /// What becomes of the value on the way, in a sentence.
    pub rule: &'static str,
}

impl Row {
    /// Where its value stands in HL7; the first place that says anything counts.
    pub fn places(&self, mapping: Mapping) -> Vec<Location> {
        match (self.source, mapping) {
            (Order(attribute), _) => attribute.row().sources(mapping).to_vec(),
            (Message(places), Mapping::IheRad4) if self.level == Level::Protocol => {
                // The code of the step is the second of OBR-4, behind that of the procedure.
                let second = |at: &Location| at.component(at.component_number().unwrap_or(1) + 3);
                let seconds = places.iter().map(second);
                seconds.chain(places.iter().copied()).collect()
            }
            (Message(places), _) | (Rad4(places), Mapping::IheRad4) => places.to_vec(),
            (Rad4(_) | State | Nothing, _) => Vec::new(),
        }
    }
}

/// A row is known by its attribute.
impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.element == other.element
    }
}

impl Eq for Row {}

macro_rules! elements {
    ($($element:ident $tag:ident $vr:ident $level:ident $key:ident $matching:ident
       ($source:expr) $rule:literal;)*) => {
        /// A DICOM attribute of a worklist item.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Element {
            $(#[doc = stringify!($element)] $element,)*
        }

        /// The mapping, in the order of the page of documentation.
        pub static ROWS: [Row; Element::COUNT] = [
            $(Row {
                element: Element::$element,
                keyword: stringify!($element),
                tag: tags::$tag,
                vr: VR::$vr,
                level: Level::$level,
                key_type: KeyType::$key,
                matching: Matching::$matching,
                source: $source,
                rule: $rule,
            },)*
        ];

        impl Element {
            /// How many there are.
            pub const COUNT: usize = [$(stringify!($element)),*].len();

            /// Its row.
            pub fn row(self) -> &'static Row {
                match self {
                    $(Self::$element => {
                        const INDEX: usize = Element::$element as usize;
                        const { assert!(INDEX < Element::COUNT) };
                        &ROWS[INDEX]
                    })*
                }
            }
        }
    };
}

use Source::{Message, Nothing, Order, Rad4, State};

elements! {
    AccessionNumber ACCESSION_NUMBER SH Root Two Text (Order(Attribute::AccessionNumber))
        "as it is: never cut, padded or re-cased";
    PatientName PATIENT_NAME PN Root One Name (Order(Attribute::PatientName))
        "family^given^middle^prefix^suffix degree; HL7 has suffix before prefix";
    PatientID PATIENT_ID LO Root One Text (Order(Attribute::PatientId))
        "as it is: never cut";
    IssuerOfPatientID ISSUER_OF_PATIENT_ID LO Root Three Text (Message(&[loc!("PID-3.4")]))
        "the assigning authority's name";
    PatientBirthDate PATIENT_BIRTH_DATE DA Root Two Date (Order(Attribute::PatientBirthDate))
        "the day; empty where it is not a whole date";
    PatientSex PATIENT_SEX CS Root Two Text (Order(Attribute::PatientSex))
        "M, F and O as they are; A and N become O; U is empty";
    PatientWeight PATIENT_WEIGHT DS Root Two Never (Order(Attribute::PatientWeight))
        "kilograms; a comma becomes a point; lb are converted; at most 650";
    AdmissionID ADMISSION_ID LO Root Two Text (Order(Attribute::AdmissionId))
        "cut at 64 characters";
    CurrentPatientLocation CURRENT_PATIENT_LOCATION LO Root Two Text (Message(&[loc!("PV1-3")]))
        "point of care, room and bed joined by ^";
    ReferringPhysicianName REFERRING_PHYSICIAN_NAME PN Root Two Name
        (Order(Attribute::ReferringPhysician))
        "component 2 is the whole name, unless components 3 and on make an XCN of it";
    RequestingPhysician REQUESTING_PHYSICIAN PN Root Two Name
        (Order(Attribute::RequestingPhysician))
        "component 2 is the whole name, unless components 3 and on make an XCN of it";
    InstitutionName INSTITUTION_NAME LO Root Three Never (Order(Attribute::InstitutionName))
        "cut at 64 characters";
    StudyInstanceUID STUDY_INSTANCE_UID UI Root One Uid (Order(Attribute::StudyInstanceUid))
        "as it is; made from facility and accession number where none is sent";
    RequestedProcedureID REQUESTED_PROCEDURE_ID SH Root One Text
        (Order(Attribute::RequestedProcedureId)) "as it is: never cut";
    RequestedProcedureDescription REQUESTED_PROCEDURE_DESCRIPTION LO Root OneC Text
        (Order(Attribute::RequestedProcedureDescription)) "cut at 64 characters";
    RequestedProcedurePriority REQUESTED_PROCEDURE_PRIORITY SH Root Two Text
        (Order(Attribute::Priority))
        "S is STAT; A, P and C are HIGH; R is ROUTINE; T is MEDIUM; other text as it is";
    ReasonForTheRequestedProcedure REASON_FOR_THE_REQUESTED_PROCEDURE LO Root Three Never
        (Order(Attribute::Reason)) "cut at 64 characters";
    PlacerOrderNumberImagingServiceRequest PLACER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST LO Root
        Three Text (Message(&[loc!("ORC-2.1"), loc!("OBR-2.1")])) "cut at 64 characters";
    FillerOrderNumberImagingServiceRequest FILLER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST LO Root
        Three Text (Message(&[loc!("ORC-3.1")])) "cut at 64 characters";
    TimezoneOffsetFromUTC TIMEZONE_OFFSET_FROM_UTC SH Root Three Never
        (Order(Attribute::ScheduledStart)) "the offset of the scheduled start, if it has one";
    MedicalAlerts MEDICAL_ALERTS LO Root Two Never (Rad4(&[loc!("OBR-13.1")]))
        "empty; under ihe-rad4 cut at 64 characters";
    Allergies ALLERGIES LO Root Two Never (Nothing) "empty";
    PregnancyStatus PREGNANCY_STATUS US Root Two Never (Nothing) "empty";
    SpecialNeeds SPECIAL_NEEDS LO Root Two Never (Nothing) "empty";
    PatientState PATIENT_STATE LO Root Two Never (Rad4(&[loc!("OBR-12.2"), loc!("OBR-12.1")]))
        "empty; under ihe-rad4 cut at 64 characters";
    ConfidentialityConstraintOnPatientDataDescription
        CONFIDENTIALITY_CONSTRAINT_ON_PATIENT_DATA_DESCRIPTION LO Root Two Never (Nothing) "empty";
    PatientTransportArrangements PATIENT_TRANSPORT_ARRANGEMENTS LO Root Two Never
        (Rad4(&[loc!("OBR-30.1")])) "empty; under ihe-rad4 cut at 64 characters";
    ReferencedStudySequence REFERENCED_STUDY_SEQUENCE SQ Root Two Never (Nothing) "no items";
    ReferencedPatientSequence REFERENCED_PATIENT_SEQUENCE SQ Root Two Never (Nothing) "no items";
    RequestedProcedureCodeSequence REQUESTED_PROCEDURE_CODE_SEQUENCE SQ Root OneC Never (Nothing)
        "no items: the description is there";
    ScheduledStationAETitle SCHEDULED_STATION_AE_TITLE AE Step One AnyOf
        (Order(Attribute::ScheduledStationAeTitle)) "as it is; repetitions become several values";
    ScheduledProcedureStepStartDate SCHEDULED_PROCEDURE_STEP_START_DATE DA Step One Date
        (Order(Attribute::ScheduledStart)) "the day on the wall";
    ScheduledProcedureStepStartTime SCHEDULED_PROCEDURE_STEP_START_TIME TM Step One Time
        (Order(Attribute::ScheduledStart)) "six digits; what is missing is 0";
    Modality MODALITY CS Step One AnyOf (Order(Attribute::Modality)) "in upper case";
    ScheduledPerformingPhysicianName SCHEDULED_PERFORMING_PHYSICIAN_NAME PN Step Two Name
        (Order(Attribute::PerformingPhysician))
        "the name, or a CNN whose subcomponents are id, family, given and so on";
    ScheduledProcedureStepDescription SCHEDULED_PROCEDURE_STEP_DESCRIPTION LO Step OneC Text
        (Order(Attribute::ScheduledProcedureStepDescription)) "cut at 64 characters";
    ScheduledStationName SCHEDULED_STATION_NAME SH Step Two Text
        (Order(Attribute::ScheduledStationName)) "cut at 16 characters";
    ScheduledProcedureStepLocation SCHEDULED_PROCEDURE_STEP_LOCATION SH Step Two Text
        (Order(Attribute::Location)) "cut at 16 characters";
    ScheduledProcedureStepID SCHEDULED_PROCEDURE_STEP_ID SH Step One Text
        (Order(Attribute::ScheduledProcedureStepId)) "as it is: never cut";
    ScheduledProcedureStepStatus SCHEDULED_PROCEDURE_STEP_STATUS CS Step Three AnyOf (State)
        "where the order is in its life";
    RequestedContrastAgent REQUESTED_CONTRAST_AGENT LO Step Two Never (Nothing) "empty";
    PreMedication PRE_MEDICATION LO Step Two Never (Nothing) "empty";
    CodeValue CODE_VALUE SH Protocol OneC Text (Message(&[loc!("OBR-4.1")]))
        "with a coding scheme alone; at most 16 characters";
    CodingSchemeDesignator CODING_SCHEME_DESIGNATOR SH Protocol OneC Text
        (Message(&[loc!("OBR-4.3")])) "as it is, or the configured scheme";
    CodeMeaning CODE_MEANING LO Protocol One Text (Message(&[loc!("OBR-4.2")]))
        "cut at 64 characters";
}

impl Element {
    /// The attribute of that tag, where it stands at `level`.
    pub fn of(tag: Tag, level: Level) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.tag == tag && row.level == level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
    use dicom_dictionary_std::StandardDataDictionary;

    #[test]
    fn keywords_tags_and_vrs_are_those_of_the_standard() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.element as usize, index);
            assert_eq!(row.element.row().keyword, row.keyword);
            let entry = StandardDataDictionary.by_tag(row.tag).unwrap();
            assert_eq!(entry.alias(), row.keyword);
            assert_eq!(entry.vr().relaxed(), row.vr, "{}", row.keyword);
        }
    }
}
