//! Why an item is as it is, and why a query did or did not find it.

use medsynapse::{Mapping, Order};

use crate::convert::{MappingSettings, map};
use crate::item::Item;
use crate::query::{Key, Query};
use crate::table::{Element, Matching};
use crate::test::{Test, trim};
use crate::view::View;

/// Where an attribute of an item comes from.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// Which attribute.
    pub element: Element,
    /// What a modality is sent.
    pub value: String,
    /// Where that stands in HL7, for instance `OBR-21.1`; empty where it does not.
    pub place: String,
    /// What becomes of it on the way.
    pub rule: &'static str,
    /// What was odd about it.
    pub warning: Option<&'static str>,
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Origin({:?})", self.element)
    }
}

/// Where each attribute of an order's item comes from, in the order of the mapping.
pub fn origins(order: &Order, settings: &MappingSettings) -> Vec<Origin> {
    let (item, oddities) = map(order, settings);
    item.rows()
        .map(|(row, value)| {
            let places = row.places(settings.mapping);
            let mut places: Vec<String> = places.iter().map(ToString::to_string).collect();
            if (settings.mapping, row.element)
                == (Mapping::IheRad4, Element::ScheduledStationAETitle)
            {
                places.push("as configured for the modality".into());
            }
            let odd = oddities.iter().find(|odd| odd.element == row.element);
            Origin {
                element: row.element,
                value: value.to_owned(),
                place: places.join(", else "),
                rule: row.rule,
                warning: odd.map(|odd| odd.what),
            }
        })
        .collect()
}

/// A key that an item does not fit.
#[derive(Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Of which attribute; `None` where no key but a setting keeps the item back.
    pub element: Option<Element>,
    /// Why, in a sentence; it may hold what the order says.
    pub reason: String,
}

impl std::fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mismatch({:?})", self.element)
    }
}

/// Why a query does not find an item; nothing where it does.
pub fn mismatches(query: &Query, view: &View, item: &Item) -> Vec<Mismatch> {
    let mut found: Vec<Mismatch> = query
        .keys
        .iter()
        .filter(|key| !query.fits(key, item))
        .map(|key| Mismatch {
            element: Some(key.row.element),
            reason: reason(query, key, item),
        })
        .collect();
    if !query.shows(item) {
        let state = item.get(Element::ScheduledProcedureStepStatus);
        found.push(Mismatch {
            element: Some(Element::ScheduledProcedureStepStatus),
            reason: format!("the order is {state}: no modality is shown it"),
        });
    }
    if !view.shows(item) {
        let station = item.get(Element::ScheduledStationAETitle);
        found.push(Mismatch {
            element: None,
            reason: format!(
                "the settings of the calling AE title keep back steps of {station}, {}",
                item.get(Element::Modality)
            ),
        });
    }
    found
}

/// What people call an attribute in a sentence.
fn name(element: Element) -> &'static str {
    match element {
        Element::ScheduledStationAETitle => "AE title",
        Element::AccessionNumber => "accession number",
        Element::PatientID => "patient id",
        Element::PatientName => "patient name",
        Element::Modality => "modality",
        Element::ScheduledProcedureStepStartDate => "start date",
        Element::ScheduledProcedureStepStartTime => "start time",
        other => other.row().keyword,
    }
}

fn reason(query: &Query, key: &Key, item: &Item) -> String {
    let element = key.row.element;
    let (name, asked, has) = (name(element), &key.text, item.get(element));
    if has.is_empty() {
        return format!("the order has no {name}, and {asked} was asked for");
    }
    let loose = |matching: Matching, asked: &str, has: &str| {
        let test = Test::read(matching, asked, false).ok().flatten();
        test.is_some_and(|test| test.matches(has))
    };
    match &key.test {
        Test::Text(_) if loose(key.row.matching, &asked.to_lowercase(), &has.to_lowercase()) => {
            format!("{name} {asked} differs in case from {has}")
        }
        Test::Text(_) if packed(asked) == packed(has) => {
            format!("{name} {asked} differs in blanks from {has}")
        }
        Test::Text(_) | Test::Uid(_) if loose(key.row.matching, &format!("{asked}*"), has) => {
            format!("{name} is {has}: {asked} alone is not it, {asked}* would find it")
        }
        Test::Name(_) if loose(Matching::Name, &format!("{}*", trim(asked)), has) => {
            format!("{name} is {has}: {asked} is not the whole name, {asked}* would find it")
        }
        Test::Date(_) | Test::Time(_) if query.is_period() => {
            let date = item.get(Element::ScheduledProcedureStepStartDate);
            let time = item.get(Element::ScheduledProcedureStepStartTime);
            format!("the start {date} {time} is outside the period that date and time ask for")
        }
        Test::Date(_) | Test::Time(_) => format!("{name} {has} is outside {asked}"),
        Test::Text(_) | Test::Name(_) | Test::Uid(_) => {
            format!("{name} is {has}, and {asked} was asked for")
        }
    }
}

/// Without blanks.
fn packed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, VR};
    use dicom_dictionary_std::tags;
    use dicom_object::InMemDicomObject;

    use super::*;
    use crate::query::QueryOptions;

    #[track_caller]
    fn check(tag: dicom_core::Tag, vr: VR, asked: &str, expected: &str) {
        let mut item = Item::default();
        item.set(Element::PatientName, "SMITH^JOHN");
        item.set(Element::AccessionNumber, "ACC 1");
        item.set(Element::ScheduledStationAETitle, "CT1");
        item.set(Element::ScheduledProcedureStepStartDate, "20230614");
        let object = InMemDicomObject::from_element_iter([DataElement::new(tag, vr, asked)]);
        let options = QueryOptions {
            step_keys_at_root: true,
            ..QueryOptions::default()
        };
        let query = Query::read(&object, options).unwrap();
        let found = mismatches(&query, &View::default(), &item);
        let reasons: Vec<&str> = found.iter().map(|one| one.reason.as_str()).collect();
        assert_eq!(reasons, [expected]);
    }

    #[test]
    fn reasons_are_sentences() {
        let ae = tags::SCHEDULED_STATION_AE_TITLE;
        check(ae, VR::AE, "ct1", "AE title ct1 differs in case from CT1");
        check(ae, VR::AE, "MR1", "AE title is CT1, and MR1 was asked for");
        check(
            tags::ACCESSION_NUMBER,
            VR::SH,
            "ACC1",
            "accession number ACC1 differs in blanks from ACC 1",
        );
        check(
            tags::PATIENT_NAME,
            VR::PN,
            "SMITH",
            "patient name is SMITH^JOHN: SMITH is not the whole name, SMITH* would find it",
        );
        check(
            tags::SCHEDULED_PROCEDURE_STEP_START_DATE,
            VR::DA,
            "20230615-",
            "start date 20230614 is outside 20230615-",
        );
        check(
            tags::PATIENT_ID,
            VR::LO,
            "P1",
            "the order has no patient id, and P1 was asked for",
        );
    }
}
