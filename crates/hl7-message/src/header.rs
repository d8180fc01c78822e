//! [`Header`]: the fields of MSH by name.

use memchr::memchr2;

use crate::field::Field;
use crate::segment::{Segment, SegmentId};
use crate::separators::{NONE, Separators};

/// The MSH segment with its fields by name.
///
/// ```
/// use hl7_message::Message;
///
/// let message = Message::parse(b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r")?;
/// let header = message.header();
/// assert_eq!(header.control_id().as_bytes(), b"MSG1");
/// assert_eq!(header.message_code(), b"ORM");
/// assert_eq!(header.trigger_event(), b"O01");
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    segment: Segment<'a>,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $number:literal),* $(,)?) => {
        $(
            $(#[$doc])*
            /// Empty where the segment ends before it.
            pub fn $name(&self) -> Field<'a> {
                self.field($number)
            }
        )*
    };
}

impl<'a> Header<'a> {
    pub(crate) const fn new(segment: Segment<'a>) -> Self {
        Self { segment }
    }

    /// Reads what can be read of the header of bytes that [`Message::parse`](crate::Message::parse)
    /// refused: enough to address an answer.
    ///
    /// `None` where the bytes do not start with MSH and a field separator.
    ///
    /// ```
    /// use hl7_message::{Header, Message};
    ///
    /// let broken = b"MSH|^~~&|RIS|H|PACS|R|||ORM^O01|MSG1|P|2.3\r";
    /// assert!(Message::parse(broken).is_err());
    /// assert_eq!(Header::salvage(broken).unwrap().control_id().as_bytes(), b"MSG1");
    /// ```
    pub fn salvage(bytes: &'a [u8]) -> Option<Self> {
        let start = bytes
            .iter()
            .take_while(|b| !b.is_ascii_alphanumeric())
            .count();
        let rest = bytes.get(start..)?;
        let [b'M', b'S', b'H', field, ..] = rest else {
            return None;
        };
        if !field.is_ascii_punctuation() {
            return None;
        }
        let component = if *field == b'^' { NONE } else { b'^' };
        let separators = Separators {
            field: *field,
            component,
            ..Separators::ATOMIC
        };
        let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..end)?;
        Some(Self::new(Segment::new(line, start, separators)))
    }

    /// The segment itself.
    ///
    /// ```
    /// use hl7_message::Message;
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(message.header().segment().name(), b"MSH");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub const fn segment(&self) -> Segment<'a> {
        self.segment
    }

    fn field(&self, number: u16) -> Field<'a> {
        let end = self.segment.span().end;
        self.segment
            .field(number)
            .unwrap_or_else(|| Field::new(&[], end, *self.segment.separators()))
    }

    fields! {
        /// MSH-3, sending application.
        sending_application: 3,
        /// MSH-4, sending facility.
        sending_facility: 4,
        /// MSH-5, receiving application.
        receiving_application: 5,
        /// MSH-6, receiving facility.
        receiving_facility: 6,
        /// MSH-7, date and time of the message.
        date_time: 7,
        /// MSH-9, message type and trigger event.
        message_type: 9,
        /// MSH-10, Message Control ID.
        control_id: 10,
        /// MSH-11, processing id: P, T or D.
        processing_id: 11,
        /// MSH-12, version id.
        version: 12,
        /// MSH-13, sequence number.
        sequence_number: 13,
        /// MSH-14, continuation pointer.
        continuation_pointer: 14,
        /// MSH-15, accept acknowledgement type.
        accept_acknowledgement: 15,
        /// MSH-16, application acknowledgement type.
        application_acknowledgement: 16,
        /// MSH-18, character set.
        character_set: 18,
    }

    /// MSH-9.1, the message code, for instance `ORM`.
    ///
    /// ```
    /// use hl7_message::Message;
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(message.header().message_code(), b"ORM");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn message_code(&self) -> &'a [u8] {
        self.message_type().first().as_bytes()
    }

    /// MSH-9.2, the trigger event, for instance `O01`; empty where there is none.
    ///
    /// ```
    /// use hl7_message::Message;
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert_eq!(message.header().trigger_event(), b"O01");
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn trigger_event(&self) -> &'a [u8] {
        self.message_type()
            .component(2)
            .map_or(&[], |component| component.first().as_bytes())
    }

    /// Whether this really is MSH.
    ///
    /// ```
    /// use hl7_message::Message;
    ///
    /// let bytes = b"MSH|^~\\&|RIS|H|PACS|R|20230614131415||ORM^O01|MSG1|P|2.3\r\
    ///               PID|1||77^^^HIS~88||DOE^JANE||\"\"\r";
    /// let message = Message::parse(bytes)?;
    /// assert!(message.header().is_msh());
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn is_msh(&self) -> bool {
        self.segment.is(SegmentId::MSH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salvage_reads_what_is_left() {
        let header = Header::salvage(b"MSH|^~y&|RIS|H|P|R|||ORM^O01^ORM_O01|M 1").unwrap();
        assert_eq!(header.sending_application().as_bytes(), b"RIS");
        assert_eq!(header.message_code(), b"ORM");
        assert_eq!(header.trigger_event(), b"O01");
        assert_eq!(header.control_id().as_bytes(), b"M 1");
        assert_eq!(header.version().as_bytes(), b"");
        for not in [&b""[..], b"MSH", b"PID|1", b"MSHX", b"\x00\x01"] {
            assert!(Header::salvage(not).is_none());
        }
    }
}
