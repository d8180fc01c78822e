//! [`HeaderCheck`]: what the protocol layer looks at before any application sees a message.

use crate::ack::{Situation, is_acknowledgement};
use crate::loc;
use crate::message::Message;
use crate::segment::SegmentId;

/// Which headers are acceptable (HL7 2.3 chapter 2, 2.12.1: syntax, MSH-9, MSH-11, MSH-12).
///
/// ```
/// use hl7_message::{HeaderCheck, Message, Situation};
///
/// let check = HeaderCheck::default();
/// let order = Message::parse(b"MSH|^~\\&|RIS|H|PACS|R|||ORM^O01|MSG1|P|2.3\rORC|NW\r")?;
/// assert_eq!(check.check(&order), Ok(()));
/// let late = Message::parse(b"MSH|^~\\&|RIS|H|PACS|R|||ORM^O01|MSG1|P|3.0\rORC|NW\r")?;
/// assert_eq!(check.check(&late), Err(Situation::UnsupportedVersion));
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderCheck {
    /// Acceptable values of MSH-12. Default 2.1 to 2.8.
    pub versions: Vec<String>,
    /// Acceptable values of MSH-11. Default P, D and T.
    pub processing_ids: Vec<String>,
    /// Acceptable message types, with their events; an event of `None` is any event. Empty, the
    /// default, takes every type.
    pub types: Vec<(String, Option<String>)>,
    /// Whether parts of continued messages are taken. Default no.
    pub continuation: bool,
}

impl Default for HeaderCheck {
    fn default() -> Self {
        let versions = [
            "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8",
        ];
        Self {
            versions: versions.map(str::to_owned).into(),
            processing_ids: ["P", "D", "T"].map(str::to_owned).into(),
            types: Vec::new(),
            continuation: false,
        }
    }
}

impl HeaderCheck {
    /// Whether a message may be handed to the application.
    ///
    /// ```
    /// use hl7_message::{HeaderCheck, Message, Situation};
    ///
    /// let check = HeaderCheck {
    ///     types: vec![("ORM".into(), Some("O01".into()))],
    ///     ..HeaderCheck::default()
    /// };
    /// let query = Message::parse(b"MSH|^~\\&|RIS|H|PACS|R|||QRY^R02|MSG1|P|2.3\r")?;
    /// assert_eq!(check.check(&query), Err(Situation::UnsupportedMessageType));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What is the matter with it, the first thing found.
    pub fn check(&self, message: &Message<'_>) -> Result<(), Situation> {
        let header = message.header();
        if is_acknowledgement(message) {
            return Err(Situation::Acknowledgement);
        }
        if message.segments_of(SegmentId::MSH).nth(1).is_some() {
            return Err(Situation::Batch);
        }
        if header.control_id().as_bytes().trim_ascii().is_empty() {
            return Err(Situation::NoControlId);
        }
        self.check_type(header.message_code(), header.trigger_event())?;
        let holds = |list: &[String], value: &[u8]| {
            let value = value.trim_ascii();
            list.iter().any(|known| known.as_bytes() == value)
        };
        if !holds(
            &self.processing_ids,
            header.processing_id().first().as_bytes(),
        ) {
            return Err(Situation::UnsupportedProcessingId);
        }
        if !holds(&self.versions, header.version().first().as_bytes()) {
            return Err(Situation::UnsupportedVersion);
        }
        let continued = !header.continuation_pointer().is_empty()
            || message
                .raw(loc!("DSC-1"))
                .is_some_and(|pointer| !pointer.is_empty());
        if continued && !self.continuation {
            return Err(Situation::Continuation);
        }
        Ok(())
    }

    fn check_type(&self, code: &[u8], event: &[u8]) -> Result<(), Situation> {
        let (code, event) = (code.trim_ascii(), event.trim_ascii());
        if code.is_empty() {
            return Err(Situation::UnsupportedMessageType);
        }
        let mut of_type = self
            .types
            .iter()
            .filter(|(known, _)| known.as_bytes() == code)
            .peekable();
        if self.types.is_empty() {
            return Ok(());
        }
        if of_type.peek().is_none() {
            return Err(Situation::UnsupportedMessageType);
        }
        let served =
            |known: &Option<String>| known.as_ref().is_none_or(|known| known.as_bytes() == event);
        if of_type.any(|(_, event)| served(event)) {
            Ok(())
        } else {
            Err(Situation::UnsupportedEvent)
        }
    }

    /// Whether MSH-12 is acceptable and yet worth a warning: it is not 2.3.
    ///
    /// ```
    /// use hl7_message::{HeaderCheck, Message};
    ///
    /// let newer = Message::parse(b"MSH|^~\\&|RIS|H|PACS|R|||ORM^O01|MSG1|P|2.5\r")?;
    /// assert!(HeaderCheck::warns(&newer));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn warns(message: &Message<'_>) -> bool {
        message.header().version().first().as_bytes().trim_ascii() != b"2.3"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(), Situation>) {
        let check = HeaderCheck {
            types: vec![
                ("ORM".into(), Some("O01".into())),
                ("ADT".into(), Some("A08".into())),
                ("ADT".into(), Some("A40".into())),
                ("ORU".into(), None),
            ],
            ..HeaderCheck::default()
        };
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!(check.check(&message), expected, "{text}");
    }

    #[test]
    fn each_field_has_its_situation() {
        check("MSH|^~\\&|A|B|C|D|||ORM^O01|1|P|2.3\r", Ok(()));
        check("MSH|^~\\&|A|B|C|D|||ADT^A40|1|T|2.8\r", Ok(()));
        check("MSH|^~\\&|A|B|C|D|||ORU^X99|1|D|2.1\r", Ok(()));
        check(
            "MSH|^~\\&|A|B|C|D|||ORM^O01||P|2.3\r",
            Err(Situation::NoControlId),
        );
        check(
            "MSH|^~\\&|A|B|C|D|||SIU^S12|1|P|2.3\r",
            Err(Situation::UnsupportedMessageType),
        );
        check(
            "MSH|^~\\&|A|B|C|D||||1|P|2.3\r",
            Err(Situation::UnsupportedMessageType),
        );
        check(
            "MSH|^~\\&|A|B|C|D|||ADT^A01|1|P|2.3\r",
            Err(Situation::UnsupportedEvent),
        );
        check(
            "MSH|^~\\&|A|B|C|D|||ORM^O01|1|X|2.3\r",
            Err(Situation::UnsupportedProcessingId),
        );
        check(
            "MSH|^~\\&|A|B|C|D|||ORM^O01|1||2.3\r",
            Err(Situation::UnsupportedProcessingId),
        );
        check(
            "MSH|^~\\&|A|B|C|D|||ORM^O01|1|P|2.9\r",
            Err(Situation::UnsupportedVersion),
        );
        check(
            "MSH|^~\\&|A|B|C|D|||ORM^O01|1|P\r",
            Err(Situation::UnsupportedVersion),
        );
        check(
            "MSH|^~\\&|A|B|C|D|||ORM^O01|1|P|2.3||x\r",
            Err(Situation::Continuation),
        );
        check(
            "MSH|^~\\&|A|B|C|D|||ORM^O01|1|P|2.3\rDSC|x\r",
            Err(Situation::Continuation),
        );
        check(
            "MSH|^~\\&|A|B|C|D|||ACK|1|P|2.3\rMSA|AA|1\r",
            Err(Situation::Acknowledgement),
        );
    }

    #[test]
    fn two_messages_in_a_frame_are_a_batch() {
        let two = "MSH|^~\\&|A|B|C|D|||ORM^O01|1|P|2.3\rMSH|^~\\&|A|B|C|D|||ORM^O01|2|P|2.3\r";
        check(two, Err(Situation::Batch));
    }

    #[test]
    fn versions_other_than_2_3_are_worth_a_warning() {
        let warns = |text: &str| HeaderCheck::warns(&Message::parse(text.as_bytes()).unwrap());
        assert!(!warns("MSH|^~\\&|A|B|C|D|||ORM^O01|1|P|2.3\r"));
        assert!(warns("MSH|^~\\&|A|B|C|D|||ORM^O01|1|P|2.3.1\r"));
    }
}
