//! [`DataType`] and its components.

use core::fmt;

use super::tables::{self, Table};
use super::text::{Cursor, Text, same};

static FILE: &str = include_str!("types.tsv");
const COUNTS: (usize, usize) = Cursor::new(FILE).count();
const READ: ([DataType; COUNTS.0], [ComponentDefinition; COUNTS.1]) = read();
static TYPES: [DataType; COUNTS.0] = READ.0;
static COMPONENTS: [ComponentDefinition; COUNTS.1] = READ.1;

/// A data type of HL7 2.3 with its components, as `XPN`.
///
/// Composite types without a code of their own in 2.3 (`CM`) are told apart by the name that
/// message libraries give them: `CM_MSG` is the type of MSH-9.
///
/// ```
/// use hl7_message::dictionary;
///
/// let name = dictionary::data_type("XPN").unwrap();
/// assert_eq!(name.title(), "Extended person name");
/// assert_eq!(name.components().len(), 8);
/// assert_eq!(name.component(2).unwrap().name(), "Given Name");
/// ```
#[derive(Clone, Copy)]
pub struct DataType {
    name: Text,
    title: Text,
    first: u8,
    count: u8,
}

impl DataType {
    const EMPTY: Self = Self {
        name: Text::EMPTY,
        title: Text::EMPTY,
        first: 0,
        count: 0,
    };

    /// Its code, `XPN`; a composite without one has the name of its use, `CM_MSG`.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// assert!(dictionary::data_types().iter().any(|ty| ty.name() == "CM_MSG"));
    /// ```
    pub fn name(&self) -> &'static str {
        self.name.of(FILE)
    }

    /// What it is, in words.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// assert_eq!(dictionary::data_type("NM").unwrap().title(), "Numeric");
    /// ```
    pub fn title(&self) -> &'static str {
        self.title.of(FILE)
    }

    /// Its components in order; none for a type that has a single part.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// assert_eq!(dictionary::data_type("XAD").unwrap().components().len(), 10);
    /// assert!(dictionary::data_type("ST").unwrap().components().is_empty());
    /// ```
    pub fn components(&self) -> &'static [ComponentDefinition] {
        let first = usize::from(self.first);
        COMPONENTS
            .get(first..first + usize::from(self.count))
            .unwrap_or_default()
    }

    /// Component `number`, from 1.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// let id = dictionary::data_type("CX").unwrap();
    /// assert_eq!(id.component(4).unwrap().data_type().name(), "HD");
    /// assert!(id.component(7).is_none());
    /// ```
    pub fn component(&self, number: u16) -> Option<&'static ComponentDefinition> {
        self.components().get(usize::from(number).checked_sub(1)?)
    }
}

impl fmt::Debug for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for DataType {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for DataType {}

/// One component of a [`DataType`].
///
/// ```
/// use hl7_message::dictionary;
///
/// let units = dictionary::data_type("CQ").unwrap().component(2).unwrap();
/// assert_eq!((units.number(), units.name()), (2, "Units"));
/// assert_eq!(units.data_type().name(), "ST");
/// assert_eq!(units.other_data_type(), Some("CE")); // as other sources have it
/// ```
#[derive(Clone, Copy)]
pub struct ComponentDefinition {
    name: Text,
    other: Text,
    table: u16,
    number: u8,
    data_type: u8,
}

impl ComponentDefinition {
    const EMPTY: Self = Self {
        name: Text::EMPTY,
        other: Text::EMPTY,
        table: 0,
        number: 0,
        data_type: 0,
    };

    /// Its place in the type, from 1.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// let second = dictionary::data_type("PL").unwrap().component(2).unwrap();
    /// assert_eq!(second.number(), 2);
    /// ```
    pub fn number(&self) -> u16 {
        u16::from(self.number)
    }

    /// Its name in the standard.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// let second = dictionary::data_type("PL").unwrap().component(2).unwrap();
    /// assert_eq!(second.name(), "Room");
    /// ```
    pub fn name(&self) -> &'static str {
        self.name.of(FILE)
    }

    /// The type of its value; that of its subcomponents where it has some.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// let name = dictionary::data_type("CM_NDL").unwrap().component(1).unwrap();
    /// assert_eq!(name.data_type().name(), "CN");
    /// ```
    pub fn data_type(&self) -> &'static DataType {
        by_index(self.data_type)
    }

    /// The type that other sources give it, where they disagree; `-` where they do not know it.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// let city = dictionary::data_type("XAD").unwrap().component(3).unwrap();
    /// assert_eq!(city.other_data_type(), None);
    /// ```
    pub fn other_data_type(&self) -> Option<&'static str> {
        (!self.other.is_empty()).then(|| self.other.of(FILE))
    }

    /// The table of its codes.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// let kind = dictionary::data_type("XPN").unwrap().component(7).unwrap();
    /// assert_eq!(kind.table().unwrap().label("M"), Some("Maiden Name"));
    /// ```
    pub fn table(&self) -> Option<&'static Table> {
        tables::table(self.table)
    }
}

impl fmt::Debug for ComponentDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.number, self.name(), self.data_type())
    }
}

/// The data type with this name.
///
/// ```
/// use hl7_message::dictionary;
/// assert_eq!(dictionary::data_type("TS").unwrap().title(), "Time stamp");
/// assert!(dictionary::data_type("XX").is_none());
/// ```
pub fn data_type(name: &str) -> Option<&'static DataType> {
    TYPES.iter().find(|known| known.name() == name)
}

/// All data types.
///
/// ```
/// use hl7_message::dictionary;
/// let single = dictionary::data_types().iter().filter(|ty| ty.components().is_empty());
/// assert_eq!(single.count(), 12);
/// ```
pub fn data_types() -> &'static [DataType] {
    &TYPES
}

/// The data type at a place that [`index_of`] gave.
pub(super) fn by_index(index: u8) -> &'static DataType {
    static NONE: DataType = DataType::EMPTY;
    TYPES.get(usize::from(index)).unwrap_or(&NONE)
}

/// Where the type with this name stands; a compile error where there is none.
pub(super) const fn index_of(name: &[u8]) -> u8 {
    let mut lines = Cursor::new(FILE);
    let mut index = 0_u8;
    while !lines.at_end() {
        if !lines.is_indented() {
            if same(lines.word(), name) {
                return index;
            }
            index += 1;
        }
        lines.skip_line();
    }
    panic!("types.tsv has no data type of this name")
}

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "runs while the crate is compiled"
)]
const fn read() -> ([DataType; COUNTS.0], [ComponentDefinition; COUNTS.1]) {
    assert!(COUNTS.0 < 256 && COUNTS.1 < 256, "indexes are one byte");
    let mut types = [DataType::EMPTY; COUNTS.0];
    let mut components = [ComponentDefinition::EMPTY; COUNTS.1];
    let mut lines = Cursor::new(FILE);
    let (mut t, mut c) = (0, 0);
    while !lines.at_end() {
        let name = lines.cell();
        let title = lines.cell();
        lines.end_line();
        let first = c;
        while lines.is_indented() {
            lines.cell();
            let number = lines.small() as u8;
            let name = lines.cell();
            let data_type = index_of(lines.word());
            let table = lines.small();
            let other = lines.cell();
            lines.end_line();
            assert!(number as usize == c - first + 1, "components count from 1");
            components[c] = ComponentDefinition {
                name,
                other,
                table,
                number,
                data_type,
            };
            c += 1;
        }
        types[t] = DataType {
            name,
            title,
            first: first as u8,
            count: (c - first) as u8,
        };
        t += 1;
    }
    (types, components)
}
