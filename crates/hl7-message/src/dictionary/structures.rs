//! [`Structure`]: which segments a message has, in which order.

use core::fmt;

use crate::SegmentId;

/// The abstract syntax of a message of HL7 2.3: its segments and groups in order.
///
/// Printed as the standard writes it: `[ ]` is optional, `{ }` repeats, `< | >` is a choice.
///
/// ```
/// use hl7_message::dictionary;
///
/// let merge = dictionary::structure("ADT", "A40").unwrap();
/// assert_eq!(merge.to_string(), "MSH EVN {PID [PD1] MRG [PV1]}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Structure {
    code: &'static str,
    events: &'static [&'static str],
    elements: &'static [Element],
}

/// A segment, a choice of segments or a group in a [`Structure`].
///
/// ```
/// use hl7_message::{SegmentId, dictionary::{self, ElementKind}};
///
/// let ack = dictionary::structure("ACK", "O01").unwrap();
/// let [_, msa, err] = ack.elements() else { panic!("MSH MSA [ERR]") };
/// assert_eq!(msa.kind, ElementKind::Segment(SegmentId::MSA));
/// assert!(!msa.optional && err.optional && !err.repeats);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// What stands here.
    pub kind: ElementKind,
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether it may stand more than once.
    pub repeats: bool,
}

/// What an [`Element`] is.
///
/// ```
/// use hl7_message::dictionary::{self, ElementKind};
///
/// let merge = dictionary::structure("ADT", "A40").unwrap();
/// let ElementKind::Group(patient) = merge.elements()[2].kind else { panic!("a group") };
/// assert_eq!(patient.len(), 4);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementKind {
    /// One segment.
    Segment(SegmentId),
    /// One of these segments.
    Choice(&'static [SegmentId]),
    /// Elements that belong together.
    Group(&'static [Element]),
}

impl Structure {
    /// The message type, MSH-9.1.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// assert!(dictionary::structures().iter().any(|structure| structure.code() == "ORF"));
    /// ```
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The trigger events, MSH-9.2; none where every event has this structure.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// assert_eq!(dictionary::structure("ADT", "A08").unwrap().events(), ["A01", "A08"]);
    /// ```
    pub const fn events(&self) -> &'static [&'static str] {
        self.events
    }

    /// What stands in it, in order.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// assert_eq!(dictionary::structure("QRY", "R02").unwrap().elements().len(), 3);
    /// ```
    pub const fn elements(&self) -> &'static [Element] {
        self.elements
    }

    fn is(&self, code: &[u8], event: &[u8]) -> bool {
        self.code.as_bytes() == code
            && (self.events.is_empty() || self.events.iter().any(|known| known.as_bytes() == event))
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_all(f, self.elements)
    }
}

fn write_all(f: &mut fmt::Formatter<'_>, elements: &[Element]) -> fmt::Result {
    for (n, element) in elements.iter().enumerate() {
        if n > 0 {
            f.write_str(" ")?;
        }
        fmt::Display::fmt(element, f)?;
    }
    Ok(())
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.optional {
            f.write_str("[")?;
        }
        if self.repeats {
            f.write_str("{")?;
        }
        match self.kind {
            ElementKind::Segment(id) => write!(f, "{id}")?,
            ElementKind::Group(elements) => write_all(f, elements)?,
            ElementKind::Choice(ids) => {
                for (n, id) in ids.iter().enumerate() {
                    write!(f, "{}{id}", if n == 0 { "<" } else { "|" })?;
                }
                f.write_str(">")?;
            }
        }
        if self.repeats {
            f.write_str("}")?;
        }
        if self.optional {
            f.write_str("]")?;
        }
        Ok(())
    }
}

/// The structure of a message type and trigger event, as MSH-9 names them.
///
/// ```
/// use hl7_message::{Message, dictionary};
///
/// let message = Message::parse(b"MSH|^~\\&|||||||ORR^O02\r")?;
/// let header = message.header();
/// let structure = dictionary::structure(header.message_code(), header.trigger_event()).unwrap();
/// assert_eq!(structure.code(), "ORR");
/// assert!(dictionary::structure("SIU", "S12").is_none()); // not in this dictionary
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
pub fn structure(code: impl AsRef<[u8]>, event: impl AsRef<[u8]>) -> Option<&'static Structure> {
    let (code, event) = (code.as_ref(), event.as_ref());
    STRUCTURES
        .iter()
        .find(|structure| structure.is(code, event))
}

/// All structures.
///
/// ```
/// use hl7_message::dictionary;
/// assert_eq!(dictionary::structures().len(), 9);
/// ```
pub fn structures() -> &'static [Structure] {
    STRUCTURES
}

/// A segment's name from its letters; a compile error where it is none.
const fn id(name: &str) -> SegmentId {
    let [a, b, c] = name.as_bytes() else {
        panic!("a segment has three letters")
    };
    match SegmentId::new([*a, *b, *c]) {
        Some(id) => id,
        None => panic!("a segment has three letters"),
    }
}

const fn element(kind: ElementKind, optional: bool, repeats: bool) -> Element {
    Element {
        kind,
        optional,
        repeats,
    }
}

/// Elements in the notation of the standard: `[ ]` optional, `{ }` repeating; a choice stands
/// in `( | )`.
macro_rules! elements {
    (@ [$($done:expr,)*]) => { &[$($done),*] };
    (@ [$($done:expr,)*] [{ $($inner:tt)+ }] $($rest:tt)*) => {
        elements!(@ [$($done,)* element(kind!($($inner)+), true, true),] $($rest)*)
    };
    (@ [$($done:expr,)*] [ $($inner:tt)+ ] $($rest:tt)*) => {
        elements!(@ [$($done,)* element(kind!($($inner)+), true, false),] $($rest)*)
    };
    (@ [$($done:expr,)*] { $($inner:tt)+ } $($rest:tt)*) => {
        elements!(@ [$($done,)* element(kind!($($inner)+), false, true),] $($rest)*)
    };
    (@ [$($done:expr,)*] $one:tt $($rest:tt)*) => {
        elements!(@ [$($done,)* element(kind!($one), false, false),] $($rest)*)
    };
    ($($all:tt)+) => { elements!(@ [] $($all)+) };
}

macro_rules! kind {
    ($id:ident) => { ElementKind::Segment(id(stringify!($id))) };
    (($($id:ident)|+)) => { ElementKind::Choice(&[$(id(stringify!($id))),+]) };
    ($($all:tt)+) => { ElementKind::Group(elements!($($all)+)) };
}

// Source: HL7 2.3 chapters 2 to 4 and 7. CTI repeats in one family of sources alone, so it does
// here.
static STRUCTURES: &[Structure] = &[
    Structure {
        code: "ACK",
        events: &[],
        elements: elements!(MSH MSA [ERR]),
    },
    Structure {
        code: "ORM",
        events: &["O01"],
        elements: elements!(
            MSH [{NTE}]
            [PID [PD1] [{NTE}] [PV1 [PV2]] [{IN1 [IN2] [IN3]}] [GT1] [{AL1}]]
            {ORC [(OBR | RQD | RQ1 | RXO | ODS | ODT) [{NTE}] [{DG1}] [{OBX [{NTE}]}]] [{CTI}] [BLG]}
        ),
    },
    Structure {
        code: "ORR",
        events: &["O02"],
        elements: elements!(
            MSH MSA [ERR] [{NTE}]
            [[PID [{NTE}]] {ORC [(OBR | RQD | RQ1 | RXO | ODS | ODT)] [{NTE}] [{CTI}]}]
        ),
    },
    Structure {
        code: "ORU",
        events: &["R01"],
        elements: elements!(
            MSH
            {[PID [PD1] [{NTE}] [PV1 [PV2]]] {[ORC] OBR [{NTE}] {[OBX] [{NTE}]} [{CTI}]}}
            [DSC]
        ),
    },
    Structure {
        code: "ADT",
        events: &["A01", "A08"],
        elements: elements!(
            MSH EVN PID [PD1] [{NK1}] PV1 [PV2] [{DB1}] [{OBX}] [{AL1}] [{DG1}] [DRG]
            [{PR1 [{ROL}]}] [{GT1}] [{IN1 [IN2] [IN3]}] [ACC] [UB1] [UB2]
        ),
    },
    Structure {
        code: "ADT",
        events: &["A40"],
        elements: elements!(MSH EVN {PID [PD1] MRG [PV1]}),
    },
    Structure {
        code: "QRY",
        events: &["R02"],
        elements: elements!(MSH QRD QRF),
    },
    Structure {
        code: "ORF",
        events: &["R04"],
        elements: elements!(
            MSH MSA QRD [QRF]
            {[PID [{NTE}]] {[ORC] OBR [{NTE}] {[OBX] [{NTE}]} [{CTI}]}}
            [DSC]
        ),
    },
    Structure {
        code: "QRY",
        events: &["Q01"],
        elements: elements!(MSH QRD [QRF] [DSC]),
    },
];
