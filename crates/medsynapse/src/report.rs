//! [`Report`]: a radiologist's report as it came from the RIS.

use core::fmt;

use crate::change::Segments;
use crate::id::{AccessionNumber, PatientId};

/// OBX-2: how the text of a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportFormat {
    /// TX, plain text; ST and FT are read as it.
    Text,
    /// RTF, rich text.
    RichText,
}

impl ReportFormat {
    /// The code in OBX-2.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "TX",
            Self::RichText => "RTF",
        }
    }

    /// The format of that code.
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "TX" | "ST" | "FT" => Some(Self::Text),
            "RTF" => Some(Self::RichText),
            _ => None,
        }
    }
}

/// A report: one for a study; another one for the same study takes its place.
///
/// `Debug` shows whose order it is, not what it says.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    /// The order that it reports on, OBR-2.1.
    pub accession_number: AccessionNumber,
    /// PID-3.1.
    pub patient_id: PatientId,
    /// OBX-2.
    pub format: ReportFormat,
    /// OBX-5, decoded, its repetitions joined, every line end as LF.
    pub text: String,
    /// OBX-14.1 as HL7 writes it.
    pub date: String,
    /// OBX-11, if it was sent.
    pub status: Option<String>,
    /// OBX-16.1, if it was sent.
    pub physician_id: Option<String>,
    /// OBX-16.2, if it was sent.
    pub physician_name: Option<String>,
    /// The segments that it came with.
    pub segments: Segments,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("accession_number", &self.accession_number)
            .field("format", &self.format)
            .field("text_bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}
