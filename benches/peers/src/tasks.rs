//! What is measured, of this crate and of its peers.

use std::hint::black_box;

use hl7_message::dictionary::{Checks, check};
use hl7_message::{Charset, Edit, Index, Location, Message, loc};

const TWELVE: [Location; 12] = [
    loc!("OBR-2.1"), loc!("PID-3.1"), loc!("PID-5.1"), loc!("PID-8.1"), loc!("OBR-24.1"),
    loc!("OBR-21.1"), loc!("OBR-18.1"), loc!("OBR-36.1"), loc!("OBR-4.1"), loc!("OBR-4.2"),
    loc!("OBR-19.1"), loc!("OBR-15.1"),
];

/// The floor: where each CR stands, into an array.
pub fn sweep(bytes: &[u8], places: &mut [u32]) -> usize {
    let mut count = 0;
    for at in memchr::memchr_iter(b'\r', bytes) {
        if let Some(slot) = places.get_mut(count) {
            *slot = at as u32;
        }
        count += 1;
    }
    count
}

pub fn twelve(bytes: &[u8]) -> usize {
    let message = Message::parse(bytes).unwrap();
    TWELVE.iter().filter_map(|at| message.leaf(*at)).map(|leaf| leaf.as_bytes().len()).sum()
}

pub fn walk(bytes: &[u8], index: &mut Index) -> usize {
    let message = Message::parse(bytes).unwrap();
    index.of(&message).leaves().map(|leaf| leaf.view.as_bytes().len()).sum()
}

pub fn walk_with_places(bytes: &[u8], index: &mut Index) -> usize {
    let message = Message::parse(bytes).unwrap();
    let leaves = index.of(&message).leaves();
    leaves.map(|leaf| leaf.view.as_bytes().len() + black_box(leaf.numbers())[0] as usize).sum()
}

pub fn views(bytes: &[u8]) -> usize {
    let message = Message::parse(bytes).unwrap();
    let leaves = message
        .segments()
        .flat_map(|s| s.fields())
        .flat_map(|f| f.repetitions())
        .flat_map(|r| r.components())
        .flat_map(|c| c.subcomponents());
    leaves.map(|leaf| leaf.as_bytes().len()).sum()
}

/// Escape sequences decoded, and the character set of MSH-18 applied.
pub fn decoded(bytes: &[u8], index: &mut Index) -> usize {
    let message = Message::parse(bytes).unwrap();
    let charset = Charset::of(&message, Charset::UTF_8).unwrap();
    let leaves = index.of(&message).leaves();
    leaves.map(|leaf| leaf.view.text(charset).map_or(0, |text| text.len())).sum()
}

pub fn checked(bytes: &[u8]) -> usize {
    check(&Message::parse(bytes).unwrap(), Checks::default()).len()
}

pub fn edited(bytes: &[u8]) -> usize {
    let message = Message::parse(bytes).unwrap();
    let mut edit = Edit::new(&message);
    edit.set(loc!("PID-5.1"), "O'NEIL & SONS").unwrap();
    edit.set(loc!("MSH-10"), "COPY-1").unwrap();
    edit.apply().len()
}

pub fn hl7_parser_walk(text: &str) -> usize {
    let message = hl7_parser::Message::parse(text).unwrap();
    let mut total = 0;
    for segment in message.segments() {
        for field in segment.fields() {
            for repeat in field.repeats() {
                for component in repeat.components() {
                    for subcomponent in component.subcomponents() {
                        total += subcomponent.raw_value().len();
                    }
                }
            }
        }
    }
    total
}

pub fn hl7_v2_twelve(bytes: &[u8]) -> usize {
    let message = hl7_v2::Hl7Message::parse(bytes).unwrap();
    let mut total = 0;
    for at in TWELVE {
        let name = at.segment_id();
        let field = message.segment(name.as_str()).and_then(|s| {
            let field = s.field(usize::from(at.field_number()?))?;
            Some(field.component(usize::from(at.component_number()?))?.len())
        });
        total += field.unwrap_or(0);
    }
    total
}
