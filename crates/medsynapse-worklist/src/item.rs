//! [`Item`]: an order as a modality will see it, and what was odd on the way.

use core::fmt;
use core::ops::Range;

use crate::table::{Element, ROWS, Row};

/// The values of one worklist item as DICOM writes them.
///
/// Small, for there are many: all texts behind one another in one allocation. `Debug` shows which
/// are known, not what they say.
#[derive(Clone, PartialEq, Eq)]
pub struct Item {
    text: Box<str>,
    /// Where each value ends; it begins where the one before it ends.
    ends: [u32; Element::COUNT],
}

impl Default for Item {
    fn default() -> Self {
        Self {
            text: Box::default(),
            ends: [0; Element::COUNT],
        }
    }
}

impl Item {
    fn span(&self, element: Element) -> Range<usize> {
        let n = element as usize;
        let end = |n: usize| self.ends.get(n).map_or(0, |end| *end as usize);
        n.checked_sub(1).map_or(0, end)..end(n)
    }

    /// The value of an attribute; empty where nothing is known.
    pub fn get(&self, element: Element) -> &str {
        self.text.get(self.span(element)).unwrap_or_default()
    }

    /// Sets a value.
    pub fn set(&mut self, element: Element, value: &str) {
        let span = self.span(element);
        let (Ok(new), Ok(old)) = (u32::try_from(value.len()), u32::try_from(span.len())) else {
            return;
        };
        let mut text = String::from(core::mem::take(&mut self.text));
        text.replace_range(span, value);
        self.text = text.into();
        for end in self.ends.iter_mut().skip(element as usize) {
            *end = *end + new - old;
        }
    }

    /// The rows with their values, those without a value too.
    pub fn rows(&self) -> impl Iterator<Item = (&'static Row, &str)> {
        ROWS.iter().map(|row| (row, self.get(row.element)))
    }

    /// Whether everything is ASCII.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// How much memory it takes, without what the allocator adds.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len()
    }

    /// What lists are sorted by: date, time, accession number.
    pub fn sort_key(&self) -> (&str, &str, &str) {
        (
            self.get(Element::ScheduledProcedureStepStartDate),
            self.get(Element::ScheduledProcedureStepStartTime),
            self.get(Element::AccessionNumber),
        )
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.rows().filter(|(_, value)| !value.is_empty());
        f.debug_set()
            .entries(known.map(|(row, _)| row.keyword))
            .finish()
    }
}

/// Something that was changed or left out on the way to DICOM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// Of which attribute.
    pub element: Element,
    /// What, in a sentence without the value.
    pub what: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_touch_one_another() {
        let mut item = Item::default();
        for (n, row) in ROWS.iter().enumerate() {
            item.set(row.element, &"x".repeat(n % 5));
        }
        item.set(Element::PatientName, "MÜLLER");
        item.set(Element::PatientName, "Ä");
        item.set(Element::Modality, "");
        for (n, row) in ROWS.iter().enumerate() {
            let expected = match row.element {
                Element::PatientName => "Ä".into(),
                Element::Modality => String::new(),
                _ => "x".repeat(n % 5),
            };
            assert_eq!(item.get(row.element), expected, "{}", row.keyword);
        }
    }

    #[test]
    fn debug_shows_no_values() {
        let mut item = Item::default();
        item.set(Element::PatientName, "SECRET");
        assert_eq!(format!("{item:?}"), r#"{"PatientName"}"#);
    }
}
