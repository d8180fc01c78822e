//! Pieces of the data files, found while the crate is compiled.
//!
//! The files are the data: a definition holds where its words stand in its file, four bytes
//! instead of a pointer and a length, and a slip in a file is a compile error.

/// Where a piece of a data file stands.
#[derive(Clone, Copy)]
pub(super) struct Text {
    start: u16,
    len: u16,
}

impl Text {
    pub(super) const EMPTY: Self = Self { start: 0, len: 0 };

    /// The piece itself; `file` is the file it was found in.
    pub(super) fn of(self, file: &'static str) -> &'static str {
        let start = usize::from(self.start);
        file.get(start..start + usize::from(self.len))
            .unwrap_or_default()
    }

    pub(super) const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// From where `self` starts to where `cursor` stands.
    pub(super) const fn up_to(self, cursor: &Cursor) -> Self {
        let end = cursor.here();
        Self {
            start: self.start,
            len: end.start - self.start,
        }
    }
}

/// Reads a data file in constants. Lines end in LF, cells in a tab; a line that starts with `#`
/// is a comment, one that starts with a tab belongs to the line above that does not.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    rest: &'static [u8],
    total: usize,
}

impl Cursor {
    pub(super) const fn new(file: &'static str) -> Self {
        assert!(
            file.len() <= u16::MAX as usize,
            "a data file is at most 64 KiB"
        );
        let mut cursor = Self {
            rest: file.as_bytes(),
            total: file.len(),
        };
        while let [b'#', ..] = cursor.rest {
            cursor.skip_line();
        }
        cursor
    }

    pub(super) const fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Whether this line belongs to the one above.
    pub(super) const fn is_indented(&self) -> bool {
        matches!(self.rest, [b'\t', ..])
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the file is at most u16::MAX bytes"
    )]
    pub(super) const fn here(&self) -> Text {
        Text {
            start: (self.total - self.rest.len()) as u16,
            len: 0,
        }
    }

    /// What stands up to the next tab or line end; a tab is stepped over.
    pub(super) const fn cell(&mut self) -> Text {
        let text = self.here();
        self.bytes();
        let text = text.up_to(self);
        self.step_over_tab();
        text
    }

    /// The bytes up to the next tab or line end; stays there.
    const fn bytes(&mut self) -> &'static [u8] {
        let from = self.rest;
        let mut len = 0;
        while let [byte, rest @ ..] = self.rest {
            if matches!(byte, b'\t' | b'\n') {
                break;
            }
            self.rest = rest;
            len += 1;
        }
        from.split_at(len).0
    }

    /// The bytes of a cell; a tab behind it is stepped over.
    pub(super) const fn word(&mut self) -> &'static [u8] {
        let bytes = self.bytes();
        self.step_over_tab();
        bytes
    }

    const fn step_over_tab(&mut self) {
        if let [b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// A cell that holds a number; 0 where it is empty.
    pub(super) const fn number(&mut self) -> u32 {
        let mut word = self.word();
        let mut value = 0;
        while let [digit, rest @ ..] = word {
            assert!(digit.is_ascii_digit(), "a number has digits only");
            value = value * 10 + (*digit - b'0') as u32;
            word = rest;
        }
        value
    }

    /// A cell that holds a number of at most four digits.
    #[expect(clippy::cast_possible_truncation, reason = "checked here")]
    pub(super) const fn small(&mut self) -> u16 {
        let value = self.number();
        assert!(value <= u16::MAX as u32, "the number is too large");
        value as u16
    }

    /// Steps over the line end that must stand here.
    pub(super) const fn end_line(&mut self) {
        let [b'\n', rest @ ..] = self.rest else {
            panic!("the line has more cells than it should")
        };
        self.rest = rest;
    }

    pub(super) const fn skip_line(&mut self) {
        while let [byte, rest @ ..] = self.rest {
            self.rest = rest;
            if *byte == b'\n' {
                break;
            }
        }
    }

    /// How many lines start without a tab, and how many with one.
    pub(super) const fn count(mut self) -> (usize, usize) {
        let (mut own, mut indented) = (0, 0);
        while !self.at_end() {
            if self.is_indented() {
                indented += 1;
            } else {
                own += 1;
            }
            self.skip_line();
        }
        (own, indented)
    }
}

/// Whether two words are the same.
pub(super) const fn same(mut left: &[u8], mut right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    while let ([a, rest_left @ ..], [b, rest_right @ ..]) = (left, right) {
        if *a != *b {
            return false;
        }
        (left, right) = (rest_left, rest_right);
    }
    true
}
