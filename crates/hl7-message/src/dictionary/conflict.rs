//! [`Conflict`]: where public sources of version 2.3 disagree.

use core::fmt;

/// A property of a field on which sources can disagree.
///
/// ```
/// use hl7_message::{dictionary::{self, Property}, loc};
/// let alternate = dictionary::field(loc!("PID-4")).unwrap();
/// let disputed: Vec<_> = alternate.conflicts().map(|conflict| conflict.property()).collect();
/// assert_eq!(disputed, [Property::Length, Property::Repeats]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// The data type.
    DataType,
    /// The maximum length.
    Length,
    /// Whether it is required.
    Optionality,
    /// Whether it repeats, and how often.
    Repeats,
    /// The table of its codes.
    Table,
}

impl Property {
    const fn key(self) -> &'static str {
        match self {
            Self::DataType => "dt",
            Self::Length => "len",
            Self::Optionality => "opt",
            Self::Repeats => "rpt",
            Self::Table => "tbl",
        }
    }

    fn read(key: &str) -> Option<Self> {
        [
            Self::DataType,
            Self::Length,
            Self::Optionality,
            Self::Repeats,
            Self::Table,
        ]
        .into_iter()
        .find(|property| property.key() == key)
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DataType => "data type",
            Self::Length => "length",
            Self::Optionality => "optionality",
            Self::Repeats => "repetition",
            Self::Table => "table",
        })
    }
}

/// What other public sources of version 2.3 say about a property of a field.
///
/// ```
/// use hl7_message::{dictionary, loc};
///
/// let id = dictionary::field(loc!("PID-2")).unwrap();
/// let conflict = id.conflicts().next().unwrap();
/// assert_eq!(id.length_max(), 20);
/// assert_eq!(conflict.to_string(), "length: 16 in other sources");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    property: Property,
    others: &'static str,
}

impl Conflict {
    /// From `property:other|other`, as the data file has it.
    pub(super) fn read(word: &'static str) -> Option<Self> {
        let (key, others) = word.split_once(':')?;
        let property = Property::read(key)?;
        Some(Self { property, others })
    }

    /// What they disagree on.
    ///
    /// ```
    /// use hl7_message::{dictionary::{self, Property}, loc};
    /// let conflict = dictionary::field(loc!("PV1-10")).unwrap().conflicts().next().unwrap();
    /// assert_eq!(conflict.property(), Property::DataType);
    /// ```
    pub const fn property(&self) -> Property {
        self.property
    }

    /// What the others say: a data type, a length, `R` or `notR`, `Y`, `N` or a number of
    /// repetitions, a table; `-` is no table.
    ///
    /// ```
    /// use hl7_message::{dictionary, loc};
    /// let conflict = dictionary::field(loc!("PV1-10")).unwrap().conflicts().next().unwrap();
    /// assert_eq!(conflict.others().collect::<Vec<_>>(), ["ID"]);
    /// ```
    pub fn others(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.others.split('|')
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.property)?;
        for (n, other) in self.others().enumerate() {
            if n > 0 {
                f.write_str(" or ")?;
            }
            f.write_str(match other {
                "notR" => "not required",
                "R" if self.property == Property::Optionality => "required",
                "N" | "-" => "none",
                "Y" => "any number",
                other => other,
            })?;
        }
        f.write_str(" in other sources")
    }
}
