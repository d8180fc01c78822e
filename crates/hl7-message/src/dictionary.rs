//! The dictionary of HL7 version 2.3: what segments, fields, components and codes are called,
//! of which type they are, and a check of messages against it.
//!
//! ```
//! use hl7_message::{dictionary, loc};
//!
//! assert_eq!(dictionary::name_of(loc!("PID-5.2")).unwrap(), "Patient Name / Given Name");
//! assert_eq!(dictionary::find("patient name"), [loc!("PID-5")]);
//! assert_eq!(dictionary::table_of(loc!("PID-8")).unwrap().label("F"), Some("Female"));
//! ```
//!
//! It knows 28 segments with 476 fields, 51 data types, 130 tables with 906 codes, and the
//! structure of the messages that radiology exchanges. The data are three small files that are
//! part of the program as they are, some 75 KiB with their indexes; looking up allocates nothing
//! but the names that it puts together. 35 labels of codes are cut off in every public source;
//! they end in `…` and are not completed.
//!
//! # Where sources disagree
//!
//! The public sources of version 2.3 fall into two families, and on 98 of the fields here they
//! disagree: about a length, a repetition, what is required. Such a property carries its
//! [`Conflict`], and [`check`] never reports more than a [`Severity::Note`] about it.

mod check;
mod conflict;
mod names;
mod segments;
mod structures;
mod tables;
mod text;
mod types;

pub use check::{Checks, Diagnostic, DiagnosticKind, Severity, check};
pub use conflict::{Conflict, Property};
pub use names::{field, find, name_of, table_of};
pub use segments::{FieldDefinition, Optionality, Repeats, SegmentDefinition, segment, segments};
pub use structures::{Element, ElementKind, Structure, structure, structures};
pub use tables::{Sources, Table, TableKind, TableValue, table, tables};
pub use types::{ComponentDefinition, DataType, data_type, data_types};
