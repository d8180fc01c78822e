//! From positions to names and back.

use super::segments::{self, FieldDefinition, SegmentDefinition};
use super::tables::Table;
use super::types::{ComponentDefinition, DataType};
use crate::Location;

/// The field that a location names.
///
/// ```
/// use hl7_message::{dictionary, loc};
/// assert_eq!(dictionary::field(loc!("PID-5.2")).unwrap().name(), "Patient Name");
/// assert!(dictionary::field(loc!("PID")).is_none());
/// assert!(dictionary::field(loc!("ZDS-1")).is_none());
/// ```
pub fn field(location: Location) -> Option<&'static FieldDefinition> {
    segments::segment(location.segment_id())?.field(location.field_number()?)
}

/// The name of a place, from the field inwards: `Patient Name / Given Name`; of a segment, its
/// name in words. `None` where the dictionary knows no such place.
///
/// Occurrences and repetitions have the name of the first. The only component of a field that
/// has one part is the field.
///
/// ```
/// use hl7_message::{dictionary::name_of, loc};
///
/// assert_eq!(name_of(loc!("PID")).unwrap(), "Patient Identification");
/// assert_eq!(name_of(loc!("OBX[2]-5")).unwrap(), "Observation Value");
/// assert_eq!(
///     name_of(loc!("PID-3.4.1")).unwrap(),
///     "Patient ID (Internal ID) / Assigning Authority / Namespace ID",
/// );
/// assert_eq!(name_of(loc!("PID-8.1")).unwrap(), "Sex");
/// assert_eq!(name_of(loc!("PID-8.2")), None);
/// ```
pub fn name_of(location: Location) -> Option<String> {
    let segment = segments::segment(location.segment_id())?;
    if location.field_number().is_none() {
        return Some(segment.name().to_owned());
    }
    let field = field(location)?;
    let mut name = field.name().to_owned();
    for part in parts(field.data_type(), location)?.into_iter().flatten() {
        name.push_str(" / ");
        name.push_str(part.name());
    }
    Some(name)
}

/// The table of the codes at a place: that of the component, or of the field.
///
/// ```
/// use hl7_message::{dictionary::table_of, loc};
///
/// assert_eq!(table_of(loc!("OBR-24")).unwrap().label("NMR"), Some("Nuclear magnetic resonance"));
/// assert_eq!(table_of(loc!("MSH-9.1")).unwrap().label("ORM"), Some("Order message"));
/// assert!(table_of(loc!("PID-5.1")).is_none());
/// ```
pub fn table_of(location: Location) -> Option<&'static Table> {
    let field = field(location)?;
    let [component, subcomponent] = parts(field.data_type(), location)?;
    match (component, subcomponent) {
        (_, Some(leaf)) | (Some(leaf), None) if leaf.table().is_some() => leaf.table(),
        // The code is the first part of a coded element.
        _ if location.component_number().unwrap_or(1) == 1
            && location.subcomponent_number().unwrap_or(1) == 1 =>
        {
            field.table()
        }
        _ => None,
    }
}

/// The component and the subcomponent that a location names in a field of this type, as far as
/// it goes. `None` where the type has no such part.
fn parts(
    data_type: &'static DataType,
    location: Location,
) -> Option<[Option<&'static ComponentDefinition>; 2]> {
    let mut found = [None, None];
    let numbers = [location.component_number(), location.subcomponent_number()];
    let mut outer = data_type;
    for (slot, number) in found.iter_mut().zip(numbers) {
        match number {
            None => break,
            // What has one part is its own only part.
            Some(1) if outer.components().is_empty() => {}
            Some(number) => {
                let component = outer.component(number)?;
                *slot = Some(component);
                outer = component.data_type();
            }
        }
    }
    Some(found)
}

/// The places with this name, in the order of the dictionary.
///
/// Case, spaces and punctuation do not count. The name may be that of a segment, of a field, or
/// of a field and its parts, outermost first; the segment's id may stand before it.
///
/// ```
/// use hl7_message::{dictionary::find, loc};
///
/// assert_eq!(find("patient name"), [loc!("PID-5")]);
/// assert_eq!(find("PID.PatientName.GivenName"), [loc!("PID-5.2")]);
/// assert_eq!(find("Placer Order Number"), [loc!("ORC-2"), loc!("OBR-2")]);
/// assert_eq!(find("obr placer order number"), [loc!("OBR-2")]);
/// assert_eq!(find("Common Order"), [loc!("ORC")]);
/// assert!(find("no such name").is_empty());
/// ```
pub fn find(name: &str) -> Vec<Location> {
    let wanted: Vec<u8> = letters(name).collect();
    let mut found = Vec::new();
    if !wanted.is_empty() {
        for segment in segments::segments() {
            find_in(segment, &wanted, &mut found);
        }
    }
    found
}

fn find_in(segment: &SegmentDefinition, wanted: &[u8], found: &mut Vec<Location>) {
    let place = Location::of(segment.id());
    if strip(wanted, segment.name()).is_some_and(<[u8]>::is_empty) {
        found.push(place);
    }
    let without_id = strip(wanted, segment.id().as_str()).filter(|rest| !rest.is_empty());
    for field in segment.fields() {
        let place = place.at_field(field.number());
        for wanted in [Some(wanted), without_id].into_iter().flatten() {
            let Some(rest) = strip(wanted, field.name()) else {
                continue;
            };
            if rest.is_empty() {
                found.push(place);
            } else {
                find_component(field.data_type(), place, rest, found);
            }
        }
    }
}

fn find_component(outer: &DataType, place: Location, wanted: &[u8], found: &mut Vec<Location>) {
    for component in outer.components() {
        let Some(rest) = strip(wanted, component.name()) else {
            continue;
        };
        let place = place.component(component.number());
        if rest.is_empty() {
            found.push(place);
        }
        for inner in component.data_type().components() {
            if !rest.is_empty() && strip(rest, inner.name()).is_some_and(<[u8]>::is_empty) {
                found.push(place.subcomponent(inner.number()));
            }
        }
    }
}

/// What counts of a name.
fn letters(name: &str) -> impl Iterator<Item = u8> + '_ {
    name.bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|byte| byte.to_ascii_lowercase())
}

/// What is left of `wanted` behind `name`, where it starts so.
fn strip<'w>(wanted: &'w [u8], name: &str) -> Option<&'w [u8]> {
    letters(name).try_fold(wanted, |rest, letter| match rest {
        [first, rest @ ..] if *first == letter => Some(rest),
        _ => None,
    })
}
