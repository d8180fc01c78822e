//! [`Context`]: what a message needs beside what the request says. All of it is passed in.

use std::collections::BTreeMap;

use crate::id::AccessionNumber;
use crate::map::Attributes;
use crate::order::Order;
use crate::render::Envelope;

/// Whether what a request leaves out is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fill {
    /// As the reference says; what then still lacks a mandatory field is refused.
    #[default]
    Missing,
    /// The message says what the request says and nothing else; mandatory fields may lack. For
    /// converting a message that is there already.
    Nothing,
}

/// Where the studies of one modality are made where an order does not say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Station {
    /// Scheduled Station AE Title, OBR-21.
    pub ae_title: String,
    /// Scheduled Station Name, OBR-18; the AE title where there is none.
    pub name: Option<String>,
}

/// What a message needs beside what the request says.
///
/// ```
/// use medsynapse::domain::{Context, accession_number};
/// use medsynapse::render::Envelope;
///
/// let number = accession_number(48_116).unwrap();
/// assert_eq!(number.as_str(), "ACC48116");
/// let context = Context {
///     new_accession_number: Some(&number),
///     ..Context::new(Envelope {
///         sending_application: "API_GATEWAY",
///         sending_facility: "FACILITY",
///         receiving_application: "PACS_APP",
///         receiving_facility: "PACS_FACILITY",
///         time: "20230614131415".parse()?,
///         control_id: "MSG123",
///     })
/// };
/// # let _ = context;
/// # Ok::<(), hl7_message::InvalidTimestamp>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Context<'c> {
    /// Who sends to whom under which control id, and when: the time is the scheduled time too,
    /// where an order has none.
    pub envelope: Envelope<'c>,
    /// Whether what is left out is filled in.
    pub fill: Fill,
    /// For an order that has none: never used before, see [`accession_number`].
    pub new_accession_number: Option<&'c AccessionNumber>,
    /// The stations by modality code. Where one is not listed, it is the code and a 1.
    pub stations: Option<&'c BTreeMap<String, Station>>,
    /// What is known of the patient that the request names.
    pub patient: Option<&'c Attributes>,
    /// The order that is known under the accession number that the request names: what the
    /// request leaves out stays as it is.
    pub order: Option<&'c Order>,
}

impl<'c> Context<'c> {
    /// A context in which nothing is known but who sends to whom, and when.
    pub const fn new(envelope: Envelope<'c>) -> Self {
        Self {
            envelope,
            fill: Fill::Missing,
            new_accession_number: None,
            stations: None,
            patient: None,
            order: None,
        }
    }
}

/// The accession number of a number that was never used before: `ACC` and the number.
/// `None` where it would be longer than 16 characters.
pub fn accession_number(number: u64) -> Option<AccessionNumber> {
    let text = format!("ACC{number}");
    AccessionNumber::try_from(text.as_str())
        .ok()
        .filter(|_| text.len() <= 16)
}
