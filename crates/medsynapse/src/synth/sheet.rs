//! [`Sheet`]: the attributes of one message, written one behind the other.

use core::ops::Range;

use crate::map::Attribute;
use crate::render::{Given, Known};

/// Values of attributes in one text that is used again for every message.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    text: String,
    ranges: [Range<usize>; Attribute::COUNT],
}

impl Sheet {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ranges = Default::default();
    }

    /// Takes one attribute out.
    pub(super) fn remove(&mut self, attribute: Attribute) {
        if let Some(range) = self.ranges.get_mut(attribute as usize) {
            *range = 0..0;
        }
    }

    pub(super) fn set(&mut self, attribute: Attribute, text: &str) {
        self.write(attribute, |out| out.push_str(text));
    }

    /// Sets one attribute to what `write` adds to the text.
    pub(super) fn write(&mut self, attribute: Attribute, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        if let Some(range) = self.ranges.get_mut(attribute as usize) {
            *range = start..self.text.len();
        }
    }

    pub(super) fn known(&self) -> Known<'_> {
        let mut known = [Given::Nothing; Attribute::COUNT];
        for (value, range) in known.iter_mut().zip(&self.ranges) {
            // Most are empty.
            if !range.is_empty() {
                *value = Given::some(self.text.get(range.clone()).unwrap_or_default());
            }
        }
        known
    }
}
