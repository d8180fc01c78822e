//! [`SegmentDefinition`] and [`FieldDefinition`].

use core::fmt;

use super::conflict::{Conflict, Property};
use super::tables::{self, Table};
use super::text::{Cursor, Text};
use super::types::{self, DataType};
use crate::SegmentId;

static FILE: &str = include_str!("segments.tsv");
const COUNTS: (usize, usize) = Cursor::new(FILE).count();
const READ: ([SegmentDefinition; COUNTS.0], [FieldDefinition; COUNTS.1]) = read();
static SEGMENTS: [SegmentDefinition; COUNTS.0] = READ.0;
static FIELDS: [FieldDefinition; COUNTS.1] = READ.1;

/// A segment of HL7 2.3 with its fields.
///
/// ```
/// use hl7_message::{SegmentId, dictionary};
///
/// let pid = dictionary::segment(SegmentId::PID).unwrap();
/// assert_eq!(pid.name(), "Patient Identification");
/// assert_eq!(pid.fields().len(), 30);
/// assert_eq!(pid.field(5).unwrap().name(), "Patient Name");
/// ```
#[derive(Clone, Copy)]
pub struct SegmentDefinition {
    id: SegmentId,
    name: Text,
    first: u16,
    count: u16,
}

impl SegmentDefinition {
    const EMPTY: Self = Self {
        id: SegmentId::MSH,
        name: Text::EMPTY,
        first: 0,
        count: 0,
    };

    /// Its three letters.
    ///
    /// ```
    /// use hl7_message::{SegmentId, dictionary};
    /// assert_eq!(dictionary::segments().first().unwrap().id(), SegmentId::MSH);
    /// ```
    pub const fn id(&self) -> SegmentId {
        self.id
    }

    /// Its name in words.
    ///
    /// ```
    /// use hl7_message::{SegmentId, dictionary};
    /// assert_eq!(dictionary::segment(SegmentId::PV1).unwrap().name(), "Patient Visit");
    /// ```
    pub fn name(&self) -> &'static str {
        self.name.of(FILE)
    }

    /// Its fields in order, from field 1.
    ///
    /// ```
    /// use hl7_message::{SegmentId, dictionary};
    /// assert_eq!(dictionary::segment(SegmentId::OBR).unwrap().fields().len(), 43);
    /// ```
    pub fn fields(&self) -> &'static [FieldDefinition] {
        let first = usize::from(self.first);
        FIELDS
            .get(first..first + usize::from(self.count))
            .unwrap_or_default()
    }

    /// Field `number`, from 1.
    ///
    /// ```
    /// use hl7_message::{SegmentId, dictionary};
    /// let nte = dictionary::segment(SegmentId::NTE).unwrap();
    /// assert_eq!(nte.field(3).unwrap().name(), "Comment");
    /// assert!(nte.field(4).is_none());
    /// ```
    pub fn field(&self, number: u16) -> Option<&'static FieldDefinition> {
        self.fields().get(usize::from(number).checked_sub(1)?)
    }
}

impl fmt::Debug for SegmentDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.name())
    }
}

/// Whether a field must be sent.
///
/// ```
/// use hl7_message::{dictionary::{self, Optionality}, loc};
/// let placer = dictionary::field(loc!("OBR-2")).unwrap();
/// assert_eq!(placer.optionality(), Optionality::Conditional);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Optionality {
    /// `R`: always.
    Required,
    /// `O`: as the sender likes.
    Optional,
    /// `C`: where the chapter's own condition holds.
    Conditional,
    /// `B`: kept for older versions.
    Backward,
}

/// How often a field may stand.
///
/// ```
/// use hl7_message::{dictionary::{self, Repeats}, loc};
/// assert_eq!(dictionary::field(loc!("PID-3")).unwrap().repeats(), Repeats::Yes);
/// assert_eq!(dictionary::field(loc!("PID-7")).unwrap().repeats(), Repeats::No);
/// assert_eq!(dictionary::field(loc!("OBR-28")).unwrap().repeats(), Repeats::Max(5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// Once.
    No,
    /// As often as there is something to say.
    Yes,
    /// At most so often.
    Max(u8),
}

impl Repeats {
    /// The most repetitions that are allowed, if there is a limit.
    ///
    /// ```
    /// use hl7_message::dictionary::Repeats;
    /// assert_eq!(Repeats::No.max(), Some(1));
    /// assert_eq!(Repeats::Max(3).max(), Some(3));
    /// assert_eq!(Repeats::Yes.max(), None);
    /// ```
    pub const fn max(self) -> Option<u16> {
        match self {
            Self::No => Some(1),
            Self::Yes => None,
            Self::Max(most) => Some(most as u16),
        }
    }

    fn read(word: &str) -> Option<Self> {
        match word {
            "N" => Some(Self::No),
            "Y" => Some(Self::Yes),
            most => most.parse().ok().map(Self::Max),
        }
    }
}

/// One field of a [`SegmentDefinition`].
///
/// Where sources disagree it holds the reading of Caristix, with which the text of the chapters
/// agrees where it was compared; [`FieldDefinition::conflicts`] tells the others.
///
/// ```
/// use hl7_message::{dictionary, loc};
///
/// let section = dictionary::field(loc!("OBR-24")).unwrap();
/// assert_eq!(section.name(), "Diagnostic Service Section ID");
/// assert_eq!((section.data_type().name(), section.length_max()), ("ID", 10));
/// assert_eq!(section.table().unwrap().label("CT"), Some("CAT scan"));
/// ```
#[derive(Clone, Copy)]
pub struct FieldDefinition {
    name: Text,
    conflicts: Text,
    length_max: u32,
    table: u16,
    number: u8,
    data_type: u8,
    optionality: Optionality,
    repeats: Repeats,
}

impl FieldDefinition {
    const EMPTY: Self = Self {
        name: Text::EMPTY,
        conflicts: Text::EMPTY,
        length_max: 0,
        table: 0,
        number: 0,
        data_type: 0,
        optionality: Optionality::Optional,
        repeats: Repeats::No,
    };

    /// Its place in the segment, from 1.
    ///
    /// ```
    /// use hl7_message::{dictionary, loc};
    /// assert_eq!(dictionary::field(loc!("PID-8")).unwrap().number(), 8);
    /// ```
    pub fn number(&self) -> u16 {
        u16::from(self.number)
    }

    /// Its name in the standard.
    ///
    /// ```
    /// use hl7_message::{dictionary, loc};
    /// assert_eq!(dictionary::field(loc!("PID-8")).unwrap().name(), "Sex");
    /// ```
    pub fn name(&self) -> &'static str {
        self.name.of(FILE)
    }

    /// The type of its value; that of OBX-5 is named `varies`.
    ///
    /// ```
    /// use hl7_message::{dictionary, loc};
    /// assert_eq!(dictionary::field(loc!("PID-3")).unwrap().data_type().name(), "CX");
    /// ```
    pub fn data_type(&self) -> &'static DataType {
        types::by_index(self.data_type)
    }

    /// The longest that one repetition may be, in characters.
    ///
    /// ```
    /// use hl7_message::{dictionary, loc};
    /// assert_eq!(dictionary::field(loc!("MSH-10")).unwrap().length_max(), 20);
    /// ```
    pub const fn length_max(&self) -> u32 {
        self.length_max
    }

    /// Whether it must be sent.
    ///
    /// ```
    /// use hl7_message::{dictionary::{self, Optionality}, loc};
    /// let ids = dictionary::field(loc!("PID-3")).unwrap();
    /// assert_eq!(ids.optionality(), Optionality::Required);
    /// ```
    pub const fn optionality(&self) -> Optionality {
        self.optionality
    }

    /// How often it may stand.
    ///
    /// ```
    /// use hl7_message::{dictionary::{self, Repeats}, loc};
    /// assert_eq!(dictionary::field(loc!("OBX-5")).unwrap().repeats(), Repeats::Yes);
    /// ```
    pub const fn repeats(&self) -> Repeats {
        self.repeats
    }

    /// The table of its codes.
    ///
    /// ```
    /// use hl7_message::{dictionary, loc};
    /// assert_eq!(dictionary::field(loc!("PID-8")).unwrap().table().unwrap().number(), 1);
    /// assert!(dictionary::field(loc!("PID-5")).unwrap().table().is_none());
    /// ```
    pub fn table(&self) -> Option<&'static Table> {
        tables::table(self.table)
    }

    /// What the public sources of version 2.3 disagree on; nothing for most fields.
    ///
    /// A table that one source alone names counts too.
    ///
    /// ```
    /// use hl7_message::{dictionary, loc};
    /// assert_eq!(dictionary::field(loc!("PID-3")).unwrap().conflicts().count(), 0);
    /// assert_eq!(dictionary::field(loc!("EVN-2")).unwrap().conflicts().count(), 1);
    /// ```
    pub fn conflicts(&self) -> impl Iterator<Item = Conflict> + use<> {
        self.conflicts
            .of(FILE)
            .split_ascii_whitespace()
            .filter_map(Conflict::read)
    }

    /// The conflict about one property, if there is one.
    ///
    /// ```
    /// use hl7_message::{dictionary::{self, Property}, loc};
    /// let name = dictionary::field(loc!("PID-5")).unwrap();
    /// assert!(name.conflict(Property::Repeats).is_some());
    /// assert!(name.conflict(Property::Length).is_none());
    /// ```
    pub fn conflict(&self, property: Property) -> Option<Conflict> {
        self.conflicts().find(|found| found.property() == property)
    }

    /// Whether any source requires it.
    pub(super) fn is_required_by_some(&self) -> bool {
        self.optionality == Optionality::Required
            || self
                .conflict(Property::Optionality)
                .is_some_and(|conflict| conflict.others().any(|other| other == "R"))
    }

    /// The fewest repetitions that any source allows, if there is a limit.
    pub(super) fn repetitions_max(&self) -> Option<u16> {
        let others = self.conflict(Property::Repeats);
        let others = others.iter().flat_map(Conflict::others);
        others
            .filter_map(Repeats::read)
            .chain([self.repeats])
            .filter_map(Repeats::max)
            .min()
    }

    /// The shortest maximum that any source states. A source that states 0 states none.
    pub(super) fn shortest_length_max(&self) -> u32 {
        let others = self.conflict(Property::Length);
        let others = others.iter().flat_map(Conflict::others);
        others
            .filter_map(|other| other.parse().ok())
            .filter(|&length| length > 0)
            .fold(self.length_max, u32::min)
    }
}

impl fmt::Debug for FieldDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.number, self.name(), self.data_type())
    }
}

/// The segment with this id.
///
/// ```
/// use hl7_message::{SegmentId, dictionary};
/// assert_eq!(dictionary::segment(SegmentId::ORC).unwrap().name(), "Common Order");
/// assert!(dictionary::segment(SegmentId::ZDS).is_none());
/// ```
pub fn segment(id: SegmentId) -> Option<&'static SegmentDefinition> {
    SEGMENTS.iter().find(|segment| segment.id == id)
}

/// All segments.
///
/// ```
/// use hl7_message::dictionary;
/// let fields = dictionary::segments().iter().flat_map(|segment| segment.fields());
/// assert_eq!((dictionary::segments().len(), fields.count()), (28, 476));
/// ```
pub fn segments() -> &'static [SegmentDefinition] {
    &SEGMENTS
}

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "runs while the crate is compiled"
)]
const fn read() -> ([SegmentDefinition; COUNTS.0], [FieldDefinition; COUNTS.1]) {
    let mut segments = [SegmentDefinition::EMPTY; COUNTS.0];
    let mut fields = [FieldDefinition::EMPTY; COUNTS.1];
    let mut lines = Cursor::new(FILE);
    let (mut next, mut f) = (0, 0);
    while !lines.at_end() {
        let &[a, b, c] = lines.word() else {
            panic!("a segment has three letters")
        };
        let Some(id) = SegmentId::new([a, b, c]) else {
            panic!("a segment has three letters")
        };
        let name = lines.cell();
        lines.end_line();
        let first = f;
        while lines.is_indented() {
            fields[f] = read_field(&mut lines);
            f += 1;
            assert!(
                fields[f - 1].number as usize == f - first,
                "fields count from 1"
            );
        }
        segments[next] = SegmentDefinition {
            id,
            name,
            first: first as u16,
            count: (f - first) as u16,
        };
        next += 1;
    }
    (segments, fields)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "runs while the crate is compiled"
)]
const fn read_field(lines: &mut Cursor) -> FieldDefinition {
    lines.cell();
    let field = FieldDefinition {
        number: lines.small() as u8,
        name: lines.cell(),
        data_type: types::index_of(lines.word()),
        length_max: lines.number(),
        optionality: match lines.word() {
            b"R" => Optionality::Required,
            b"O" => Optionality::Optional,
            b"C" => Optionality::Conditional,
            b"B" => Optionality::Backward,
            _ => panic!("optionality is R, O, C or B"),
        },
        repeats: match lines.word() {
            b"N" => Repeats::No,
            b"Y" => Repeats::Yes,
            [digit @ b'2'..=b'9'] => Repeats::Max(*digit - b'0'),
            _ => panic!("a field repeats Y, N or up to 9 times"),
        },
        table: lines.small(),
        conflicts: lines.cell(),
    };
    lines.end_line();
    field
}
