//! [`Correlate`]: which answer belongs to which message, found in the raw bytes.
//!
//! This is the one place of the crate that looks into a message, and it looks only at MSH-1,
//! MSH-10, MSH-15, MSH-16, MSA-1 and MSA-2.

use bytes::Bytes;
use memchr::{memchr_iter, memchr2};

/// Tells a [`Client`](crate::client::Client) which answer belongs to which message.
pub trait Correlate: Send + Sync {
    /// The id under which the message expects its answer, or `None` if it has none.
    fn control_id<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]>;

    /// What an answer says and about which message, or `None` if it is no acknowledgement.
    fn acknowledgement<'a>(&self, frame: &'a [u8]) -> Option<Acknowledgement<'a>>;

    /// Which answers the message asks for. The default is HL7's original mode: one, from the
    /// application.
    fn asks(&self, frame: &[u8]) -> Asks {
        let _ = frame;
        Asks::ORIGINAL
    }

    /// The commit answer that an application's answer itself asks for, if it is to have one. The
    /// default gives none.
    fn commit_answer(&self, answer: &[u8]) -> Option<Bytes> {
        let _ = answer;
        None
    }
}

/// Which answers a message asks for: MSH-15 and MSH-16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Asks {
    /// When an answer is to say that the message is stored: CA, CE, CR.
    pub commit: When,
    /// When an answer is to say what the application made of it: AA, AE, AR.
    pub application: When,
}

impl Asks {
    /// One answer, from the application, always.
    pub const ORIGINAL: Self = Self {
        commit: When::Never,
        application: When::Always,
    };
}

/// When an answer is wanted (HL7 table 0155).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// AL.
    Always,
    /// NE.
    Never,
    /// ER: for an error or a rejection only.
    Error,
    /// SU: for success only.
    Success,
}

impl When {
    /// A field as raw bytes; `None` where nothing is said. A value outside the table is read as
    /// AL: waiting too long is better than not hearing an error.
    fn from_field(bytes: &[u8]) -> Option<Self> {
        match bytes.trim_ascii() {
            b"" | b"\"\"" => None,
            b"NE" => Some(Self::Never),
            b"ER" => Some(Self::Error),
            b"SU" => Some(Self::Success),
            _ => Some(Self::Always),
        }
    }
}

/// The first two fields of an MSA segment, as raw bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement<'a> {
    /// MSA-1: AA, AE, AR, CA, CE or CR.
    pub code: &'a [u8],
    /// MSA-2: the control id of the message answered.
    pub control_id: &'a [u8],
}

/// What an acknowledgement code says about the message.
///
/// ```
/// use hl7_mllp::correlate::Verdict;
///
/// assert_eq!(Verdict::from_code(b"CA"), Some(Verdict::Accepted));
/// assert_eq!(Verdict::from_code(b"AE"), Some(Verdict::Error));
/// assert_eq!(Verdict::from_code(b"OK"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// AA or CA.
    Accepted,
    /// AE or CE.
    Error,
    /// AR or CR.
    Rejected,
}

impl Verdict {
    /// The verdict of an MSA-1 code (HL7 table 0008).
    pub const fn from_code(code: &[u8]) -> Option<Self> {
        match code {
            b"AA" | b"CA" => Some(Self::Accepted),
            b"AE" | b"CE" => Some(Self::Error),
            b"AR" | b"CR" => Some(Self::Rejected),
            _ => None,
        }
    }
}

/// The name of an acknowledgement code that is none of the six.
#[cfg(feature = "net")]
pub(crate) const OTHER_CODE: &str = "other";

/// An acknowledgement code as a name for counters: one of six, or `other`.
#[cfg(feature = "net")]
pub(crate) const fn code_name(code: &[u8]) -> &'static str {
    match code {
        b"AA" => "AA",
        b"AE" => "AE",
        b"AR" => "AR",
        b"CA" => "CA",
        b"CE" => "CE",
        b"CR" => "CR",
        _ => OTHER_CODE,
    }
}

/// HL7 v2: MSH-10 of the message against MSA-2 of the answer.
///
/// Segments end at CR or LF. The separator is each message's own MSH-1, the ids are compared as
/// the bytes they are.
///
/// ```
/// use hl7_mllp::correlate::{Correlate, Hl7, Verdict};
///
/// let order = b"MSH|^~\\&|RIS|H|PACS|H|20240301||ORM^O01|42|P|2.3\rPID|||7\r";
/// let answer = b"MSH|^~\\&|PACS|H|RIS|H|20240301||ACK^O01|9|P|2.3\rMSA|AA|42|Order registered.\r";
///
/// let ack = Hl7.acknowledgement(answer).unwrap();
/// assert_eq!(Hl7.control_id(order), Some(ack.control_id));
/// assert_eq!(Verdict::from_code(ack.code), Some(Verdict::Accepted));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Hl7;

impl Correlate for Hl7 {
    fn control_id<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        let (separator, header) = header(frame)?;
        // MSH-1 is the separator itself, so MSH-10 is the ninth piece after it.
        let mut ends = memchr_iter(separator, header);
        let start = ends.nth(7)? + 1;
        let end = ends.next().unwrap_or(header.len());
        header.get(start..end).filter(|id| !id.is_empty())
    }

    fn acknowledgement<'a>(&self, frame: &'a [u8]) -> Option<Acknowledgement<'a>> {
        let mut segments = segments(frame);
        let [separator, ..] = *segments.next()?.strip_prefix(b"MSH")? else {
            return None;
        };
        let msa = segments
            .find_map(|segment| segment.strip_prefix(b"MSA")?.strip_prefix(&[separator]))?;
        let mut fields = msa.split(|byte| *byte == separator);
        let code = fields.next().unwrap_or_default();
        let control_id = fields.next().unwrap_or_default();
        Some(Acknowledgement { code, control_id })
    }

    fn asks(&self, frame: &[u8]) -> Asks {
        let Some((separator, header)) = header(frame) else {
            return Asks::ORIGINAL;
        };
        let mut fields = header.split(|byte| *byte == separator).skip(13);
        let mut next = || When::from_field(fields.next().unwrap_or_default());
        match (next(), next()) {
            (None, None) => Asks::ORIGINAL,
            // One left empty while the other is valued means never.
            (commit, application) => Asks {
                commit: commit.unwrap_or(When::Never),
                application: application.unwrap_or(When::Never),
            },
        }
    }
}

/// The field separator and the rest of the MSH segment after it.
fn header(frame: &[u8]) -> Option<(u8, &[u8])> {
    match segments(frame).next()?.strip_prefix(b"MSH")? {
        [separator, header @ ..] => Some((*separator, header)),
        [] => None,
    }
}

fn segments(frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(frame);
    std::iter::from_fn(move || {
        let unread = rest?;
        let end = memchr2(b'\r', b'\n', unread);
        let (segment, after) = unread.split_at(end.unwrap_or(unread.len()));
        rest = end.and_then(|_| after.get(1..));
        Some(segment)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_id(frame: &[u8], expected: Option<&[u8]>) {
        assert_eq!(Hl7.control_id(frame), expected);
    }

    #[track_caller]
    fn check_ack(frame: &[u8], expected: Option<(&[u8], &[u8])>) {
        let found = Hl7
            .acknowledgement(frame)
            .map(|ack| (ack.code, ack.control_id));
        assert_eq!(found, expected);
    }

    #[test]
    fn the_control_id_is_field_ten() {
        check_id(b"MSH|^~\\&|A|B|C|D|E||ORM^O01|ID 1|P|2.3\r", Some(b"ID 1"));
    }

    #[test]
    fn the_separator_is_the_messages_own() {
        check_id(b"MSH#^~\\&#A#B#C#D#E##ORM^O01#X|1#P#2.3\r", Some(b"X|1"));
        check_ack(b"MSH#^~\\&#A\rMSA#AA#7#ok\r", Some((b"AA", b"7")));
    }

    #[test]
    fn the_header_may_end_at_field_ten() {
        check_id(b"MSH|^~\\&|A|B|C|D|E||ORM^O01|X", Some(b"X"));
        check_id(b"MSH|^~\\&|A|B|C|D|E||ORM^O01|X\nPID|1", Some(b"X"));
    }

    #[test]
    fn no_id_is_none() {
        check_id(b"MSH|^~\\&|A|B|C|D|E||ORM^O01||P\r", None);
        check_id(b"MSH|^~\\&|A|B|C|D|E\rPID|||||||||||\r", None);
        check_id(b"PID|1", None);
        check_id(b"MSH", None);
        check_id(b"", None);
    }

    #[test]
    fn what_is_asked_for_stands_in_fields_15_and_16() {
        use When::{Always, Error, Never, Success};
        let asks = |fields: &str| {
            let asks = Hl7.asks(format!("MSH|^~\\&|A|B|C|D|||ORM|1|P|2.3{fields}\r").as_bytes());
            (asks.commit, asks.application)
        };
        assert_eq!(asks(""), (Never, Always));
        assert_eq!(asks("|||\"\"|"), (Never, Always));
        assert_eq!(asks("|||AL"), (Always, Never));
        assert_eq!(asks("|||AL|AL|more"), (Always, Always));
        assert_eq!(asks("||||ER"), (Never, Error));
        assert_eq!(asks("|||SU|NE"), (Success, Never));
        assert_eq!(asks("|||XX|"), (Always, Never));
        assert_eq!(Hl7.asks(b"PID|1"), Asks::ORIGINAL);
    }

    #[test]
    fn msa_may_stand_after_other_segments_and_line_feeds() {
        check_ack(b"MSH|^~\\&|A\r\nSFT|x\r\nMSA|AE|7\r\n", Some((b"AE", b"7")));
    }

    #[test]
    fn an_msa_without_an_id_has_an_empty_one() {
        check_ack(b"MSH|^~\\&|A\rMSA|AR\r", Some((b"AR", b"")));
    }

    #[test]
    fn no_msa_is_none() {
        check_ack(b"MSH|^~\\&|A\rMSAX|AA|7\r", None);
        check_ack(b"MSA|AA|7\r", None);
        check_ack(b"MSH|^~\\&|MSA|AA|7", None);
    }
}
