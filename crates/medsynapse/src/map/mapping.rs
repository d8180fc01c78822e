//! [`Mapping`]: whose field positions a message is read by.

use core::fmt;
use core::str::FromStr;

/// Whose field positions orders are read by.
///
/// Both put the same attributes in other fields: OBR-18 is the station name for one and the
/// accession number for the other, so that the wrong one gives wrong orders and no error.
///
/// ```
/// use medsynapse::{Attribute, Mapping};
///
/// let row = Attribute::AccessionNumber.row();
/// assert_eq!(row.place(Mapping::Medsynapse).to_string(), "OBR-2.1");
/// assert_eq!(row.place(Mapping::IheRad4).to_string(), "OBR-18.1");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mapping {
    /// Those of the Medsynapse conformance statement.
    #[default]
    Medsynapse,
    /// Those of IHE Radiology, transaction RAD-4 (Procedure Scheduled).
    IheRad4,
}

impl Mapping {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Medsynapse, Self::IheRad4];

    /// Its name in configuration files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Medsynapse => "medsynapse",
            Self::IheRad4 => "ihe-rad4",
        }
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that is no mapping's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such mapping; write medsynapse or ihe-rad4")]
pub struct UnknownMapping;

impl FromStr for Mapping {
    type Err = UnknownMapping;

    fn from_str(name: &str) -> Result<Self, UnknownMapping> {
        let mut all = Self::ALL.into_iter();
        all.find(|mapping| mapping.as_str() == name)
            .ok_or(UnknownMapping)
    }
}
