//! [`interpret`]: a message to the change it asks for, or to everything that is wrong with it.

mod envelope;
pub(crate) mod fields;
mod order;
mod patient;
pub(crate) mod report;
mod structure;

use std::borrow::Cow;

use hl7_message::{Charset, Message, SegmentId, loc};

use crate::change::Change;
use crate::map::{Attribute, Mapping};
use crate::profile::Profile;
use crate::rejection::{Rejection, Warning};

/// What a message says, or why it is refused, and what is odd about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpretation {
    /// The change that it asks for, or the refusal.
    pub outcome: Result<Change, Rejection>,
    /// What is odd about it.
    pub warnings: Vec<Warning>,
}

/// What a message is about, as far as it can be read: for lists and searches, never for rules.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// MSH-3, raw bytes as text.
    pub sending_application: String,
    /// MSH-4
    pub sending_facility: String,
    /// MSH-7
    pub sent_at: String,
    /// MSH-9.1, for instance `ORM`.
    pub message_code: String,
    /// MSH-9.2, for instance `O01`.
    pub trigger_event: String,
    /// MSH-10
    pub control_id: String,
    /// MSH-12
    pub version: String,
    /// OBR-2.1
    pub accession_number: Option<String>,
    /// PID-3.1
    pub patient_id: Option<String>,
    /// PID-5, components apart by `^`.
    pub patient_name: Option<String>,
}

impl core::fmt::Debug for Facts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Facts")
            .field("message_code", &self.message_code)
            .field("trigger_event", &self.trigger_event)
            .field("control_id", &self.control_id)
            .field("accession_number", &self.accession_number)
            .finish_non_exhaustive()
    }
}

impl Facts {
    /// Reads them from a message.
    pub fn of(message: &Message<'_>, profile: &Profile) -> Self {
        let charset = charset_of(message, profile.default_charset);
        let text = |bytes: &[u8]| text_of(bytes, charset).trim().to_owned();
        let at = |location| {
            let value = message.value(location).unescape()?;
            Some(text(&value)).filter(|text: &String| !text.is_empty())
        };
        let name = message.field(loc!("PID-5")).and_then(|f| f.repetition(1));
        Self {
            accession_number: Attribute::AccessionNumber
                .row()
                .sources(profile.mapping_of(&message.header()))
                .iter()
                .find_map(|place| at(*place)),
            patient_id: at(loc!("PID-3.1")),
            patient_name: name
                .map(|name| text(name.as_bytes()))
                .filter(|n| !n.is_empty()),
            ..Self::of_header(&message.header())
        }
    }

    /// Reads what a header alone says.
    pub fn of_header(header: &hl7_message::Header<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            sending_application: text(header.sending_application().as_bytes()),
            sending_facility: text(header.sending_facility().as_bytes()),
            sent_at: text(header.date_time().first().as_bytes()),
            message_code: text(header.message_code()),
            trigger_event: text(header.trigger_event()),
            control_id: text(header.control_id().as_bytes()),
            version: text(header.version().first().as_bytes()),
            ..Self::default()
        }
    }
}

/// The character set that MSH-18 names; `otherwise` where it names none that is known.
pub(crate) fn charset_of(message: &Message<'_>, otherwise: Charset) -> Charset {
    let name = message.header().character_set();
    Charset::from_msh18(name.first().as_bytes())
        .ok()
        .filter(|_| !name.is_empty())
        .unwrap_or(otherwise)
}

/// Bytes as text for people; where the set does not have them, U+FFFD.
pub(crate) fn text_of(bytes: &[u8], charset: Charset) -> Cow<'_, str> {
    charset
        .decode(bytes)
        .unwrap_or_else(|_| String::from_utf8_lossy(bytes))
}

/// Whether a message is itself an acknowledgement or an answer: it is never acknowledged.
pub fn is_acknowledgement(message: &Message<'_>) -> bool {
    match message.header().message_code() {
        b"ACK" => true,
        // In a message that the broker serves, an MSA is a segment that it does not read.
        b"ORM" | b"ORU" | b"ADT" => false,
        _ => message.segment(SegmentId::MSA).is_some(),
    }
}

/// Reads what a message asks for under `profile`.
///
/// Looks at the message alone; whether an order is known is decided where the
/// change is applied. When several things are wrong, all of them are reported.
///
/// ```
/// use hl7_message::Message;
/// use medsynapse::{Change, Profile, interpret};
///
/// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\rORC|CA\rOBR|1|ACC1\r";
/// let message = Message::parse(bytes)?;
/// let outcome = interpret(&message, &Profile::default()).outcome;
/// assert!(matches!(outcome, Ok(Change::CancelOrder(order)) if order.as_str() == "ACC1"));
///
/// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG2|P|2.3\rORC|CA\rOBR|1\r";
/// let message = Message::parse(bytes)?;
/// let refusal = interpret(&message, &Profile::default()).outcome.unwrap_err();
/// assert_eq!(refusal.text, "Missing OBR-2");
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
pub fn interpret(message: &Message<'_>, profile: &Profile) -> Interpretation {
    let mut warnings = Vec::new();
    let outcome = read(message, profile, &mut warnings);
    Interpretation { outcome, warnings }
}

fn read(
    message: &Message<'_>,
    profile: &Profile,
    warnings: &mut Vec<Warning>,
) -> Result<Change, Rejection> {
    let (kind, charset) = envelope::check(message, profile, warnings)?;
    let mapping = match kind {
        envelope::Kind::Order | envelope::Kind::Report => profile.mapping_of(&message.header()),
        // Both have the same fields of PID.
        envelope::Kind::PatientUpdate | envelope::Kind::PatientMerge => Mapping::Medsynapse,
    };
    let structure = structure::check(message, kind, mapping, warnings);
    let reader = fields::Reader {
        message,
        charset,
        profile,
        mapping,
    };
    let fields = match kind {
        envelope::Kind::Order => order::read(reader, warnings),
        envelope::Kind::Report => report::read(reader, warnings),
        envelope::Kind::PatientUpdate => patient::read_update(reader, warnings),
        envelope::Kind::PatientMerge => patient::read_merge(reader, warnings),
    };
    // All that is wrong at once: with the segments and in the fields.
    match (structure, fields) {
        (structure, fields) if structure.is_empty() => fields,
        (structure, Ok(_)) => Err(Rejection::new(structure)),
        (mut structure, Err(rejection)) => {
            structure.extend(rejection.findings);
            Err(Rejection::new(structure))
        }
    }
}

#[cfg(test)]
mod rad4_tests;
#[cfg(test)]
mod tests;
