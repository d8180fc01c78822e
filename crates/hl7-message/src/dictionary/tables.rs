//! [`Table`]: codes and what they mean.

use core::fmt;

use super::text::{Cursor, Text};

static FILE: &str = include_str!("tables.tsv");
const COUNT: usize = Cursor::new(FILE).count().0;
static TABLES: [Table; COUNT] = read();

/// A table of codes of HL7 2.3.
///
/// ```
/// use hl7_message::dictionary::{self, TableKind};
///
/// let control = dictionary::table(119).unwrap();
/// assert_eq!(control.to_string(), "0119 Order control codes");
/// assert_eq!(control.kind(), TableKind::Hl7);
/// assert_eq!(control.label("NW"), Some("New Order"));
/// ```
#[derive(Clone, Copy)]
pub struct Table {
    name: Text,
    values: Text,
    number: u16,
    kind: TableKind,
}

/// Who says which codes a [`Table`] has.
///
/// ```
/// use hl7_message::dictionary::{self, TableKind};
/// assert_eq!(dictionary::table(1).unwrap().kind(), TableKind::User);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// The standard: no other code is allowed.
    Hl7,
    /// The site: the codes of the standard are suggestions.
    User,
    /// No source says.
    Unknown,
}

/// Which family of public sources has a [`TableValue`] in version 2.3.
///
/// ```
/// use hl7_message::dictionary::{self, Sources};
/// let dr = dictionary::table(119).unwrap().values().find(|v| v.code() == "DR").unwrap();
/// assert_eq!(dr.sources(), Sources::Hl7Database);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sources {
    /// Both of them.
    Both,
    /// The libraries generated from the HL7 database alone.
    Hl7Database,
    /// Caristix's definitions alone.
    Caristix,
}

/// One code of a [`Table`].
///
/// ```
/// use hl7_message::dictionary::{self, Sources};
/// let first = dictionary::table(1).unwrap().values().next().unwrap();
/// assert_eq!((first.code(), first.label()), ("F", "Female"));
/// assert_eq!(first.sources(), Sources::Both);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableValue {
    code: &'static str,
    label: &'static str,
    sources: Sources,
}

impl TableValue {
    /// The code, as it travels.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// let codes: Vec<_> = dictionary::table(136).unwrap().values().map(|v| v.code()).collect();
    /// assert_eq!(codes, ["N", "Y"]);
    /// ```
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// What it means. Where the public sources cut the words off, they end in `…` here too;
    /// [`TableValue::is_cut`] says so.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// assert!(dictionary::table(136).unwrap().values().any(|v| v.label() == "Yes"));
    /// ```
    pub const fn label(&self) -> &'static str {
        self.label
    }

    /// Whether the sources cut the label off: what follows the `…` is not known here.
    ///
    /// ```
    /// use hl7_message::dictionary;
    ///
    /// let events = dictionary::table(3).unwrap();
    /// let merge = events.values().find(|value| value.code() == "A34").unwrap();
    /// assert!(merge.is_cut());
    /// assert!(merge.label().ends_with("patient ID only (for backward…"));
    /// ```
    pub fn is_cut(&self) -> bool {
        self.label.ends_with('…')
    }

    /// Who has it.
    ///
    /// ```
    /// use hl7_message::dictionary::{self, Sources};
    /// let sex = dictionary::table(1).unwrap();
    /// assert!(sex.values().all(|value| value.sources() == Sources::Both));
    /// ```
    pub const fn sources(&self) -> Sources {
        self.sources
    }
}

impl Table {
    const EMPTY: Self = Self {
        name: Text::EMPTY,
        values: Text::EMPTY,
        number: 0,
        kind: TableKind::Unknown,
    };

    /// Its number.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// assert!(dictionary::tables().iter().any(|table| table.number() == 74));
    /// ```
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// Its name; empty for the few that no source names.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// assert_eq!(dictionary::table(1).unwrap().name(), "Sex");
    /// ```
    pub fn name(&self) -> &'static str {
        self.name.of(FILE)
    }

    /// Who says which codes it has.
    ///
    /// ```
    /// use hl7_message::dictionary::{self, TableKind};
    /// assert_eq!(dictionary::table(8).unwrap().kind(), TableKind::Hl7);
    /// ```
    pub const fn kind(&self) -> TableKind {
        self.kind
    }

    /// Its codes in order; none where the site makes all of them.
    ///
    /// ```
    /// use hl7_message::dictionary;
    /// assert_eq!(dictionary::table(1).unwrap().values().count(), 4);
    /// assert_eq!(dictionary::table(10).unwrap().values().count(), 0); // physicians
    /// ```
    pub fn values(&self) -> impl Iterator<Item = TableValue> + use<> {
        self.values.of(FILE).lines().map(|line| {
            let mut cells = line.split('\t').skip(1);
            let mut cell = || cells.next().unwrap_or_default();
            TableValue {
                code: cell(),
                label: cell(),
                sources: match cell() {
                    "D" => Sources::Hl7Database,
                    "C" => Sources::Caristix,
                    _ => Sources::Both,
                },
            }
        })
    }

    /// What a code means, `None` where the table does not have it. Codes are compared byte by
    /// byte, as they travel.
    ///
    /// ```
    /// use hl7_message::{Message, dictionary, loc};
    ///
    /// let message = Message::parse(b"MSH|^~\\&|\rORC|CA\r")?;
    /// let code = message.raw(loc!("ORC-1")).unwrap();
    /// let table = dictionary::table_of(loc!("ORC-1")).unwrap();
    /// assert_eq!(table.label(code), Some("Cancel order request"));
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn label(&self, code: impl AsRef<[u8]>) -> Option<&'static str> {
        let code = code.as_ref();
        if code.contains(&b'\t') {
            return None;
        }
        self.values.of(FILE).lines().find_map(|line| {
            let line = line.strip_prefix('\t')?;
            line.as_bytes().strip_prefix(code)?.strip_prefix(b"\t")?;
            line.split('\t').nth(1)
        })
    }

    /// Whether a code that is not here is one that the standard does not allow.
    pub(super) fn is_closed(&self) -> bool {
        self.kind == TableKind::Hl7 && !self.values.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.number)?;
        if !self.name.is_empty() {
            write!(f, " {}", self.name())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The table with this number.
///
/// ```
/// use hl7_message::dictionary;
/// assert_eq!(dictionary::table(4).unwrap().label("O"), Some("Outpatient"));
/// assert!(dictionary::table(9999).is_none());
/// ```
pub fn table(number: u16) -> Option<&'static Table> {
    let at = TABLES
        .binary_search_by_key(&number, |table| table.number)
        .ok()?;
    TABLES.get(at)
}

/// All tables, by number.
///
/// ```
/// use hl7_message::dictionary;
/// let values = dictionary::tables().iter().flat_map(|table| table.values());
/// assert_eq!((dictionary::tables().len(), values.count()), (130, 906));
/// ```
pub fn tables() -> &'static [Table] {
    &TABLES
}

#[expect(clippy::indexing_slicing, reason = "runs while the crate is compiled")]
const fn read() -> [Table; COUNT] {
    let mut tables = [Table::EMPTY; COUNT];
    let mut lines = Cursor::new(FILE);
    let (mut t, mut last) = (0, 0);
    while !lines.at_end() {
        let number = lines.small();
        assert!(number > last, "tables stand in the order of their numbers");
        last = number;
        let kind = match lines.word() {
            b"HL7" => TableKind::Hl7,
            b"User" => TableKind::User,
            b"-" => TableKind::Unknown,
            _ => panic!("a table is HL7, User or -"),
        };
        let name = lines.cell();
        lines.end_line();
        let values = lines.here();
        while lines.is_indented() {
            lines.skip_line();
        }
        tables[t] = Table {
            name,
            values: values.up_to(&lines),
            number,
            kind,
        };
        t += 1;
    }
    tables
}
