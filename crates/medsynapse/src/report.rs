//! [`Report`]: a radiologist's report as it came from the RIS.

use core::fmt;

use crate::id::{AccessionNumber, PatientId};
use crate::segments::Segments;

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

/// How far the report of a study has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReportStatus {
    /// A physician has read the study.
    Read,
    /// The report is final.
    Final,
    /// The report was printed.
    Printed,
}

impl ReportStatus {
    /// All of them, in the order of a report's life.
    pub const ALL: [Self; 3] = [Self::Read, Self::Final, Self::Printed];

    /// Its name in databases and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Final => "FINAL",
            Self::Printed => "PRINTED",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// What the RIS is told about a study: OBX-11 of an ORU^R01 that goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StudyStatus {
    /// I: the study is completed.
    Completed,
    /// R: the report was read.
    Read,
    /// F: the report is final; told twice, without its text and with it.
    Final,
    /// P: the report was printed.
    Printed,
}

impl StudyStatus {
    /// All of them, in the order of the conformance statement.
    pub const ALL: [Self; 4] = [Self::Completed, Self::Read, Self::Final, Self::Printed];

    /// OBX-11.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Completed => "I",
            Self::Read => "R",
            Self::Final => "F",
            Self::Printed => "P",
        }
    }

    /// The status of that code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// Its name in configuration and JSON: `completed`, `read`, `final`, `printed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Read => "read",
            Self::Final => "final",
            Self::Printed => "printed",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
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
