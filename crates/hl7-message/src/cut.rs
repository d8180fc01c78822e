//! Where a message begins and ends, and where its segments do.

use memchr::{memchr, memchr_iter, memchr2, memchr2_iter};

use crate::bitmap::{BLOCK, equal};
use crate::error::{ParseError, ParseErrorKind};
use crate::location::Location;
use crate::message::LineEnd;
use crate::segment::SegmentId;
use crate::table::{SegmentTable, Span};

pub(crate) fn at_msh(kind: ParseErrorKind, field: u16, offset: usize) -> ParseError {
    ParseError {
        kind,
        location: Location::of(SegmentId::MSH).at_field(field),
        offset,
    }
}

/// How many bytes stand before the message: byte order mark, white space, MLLP start block.
#[inline]
pub(crate) fn preamble(bytes: &[u8]) -> usize {
    if let Some(b'M') = bytes.first() {
        return 0;
    }
    let mut at = 0;
    loop {
        match bytes.get(at..) {
            Some([0xEF, 0xBB, 0xBF, ..]) => at += 3,
            Some([b'\r' | b'\n' | b' ' | b'\t' | 0x0B, ..]) => at += 1,
            _ => return at,
        }
    }
}

/// Where the message ends in `body`: before an MLLP end block, if one stands at the end.
pub(crate) fn epilogue(body: &[u8]) -> usize {
    let trimmed = body.strip_suffix(b"\r").unwrap_or(body);
    trimmed
        .strip_suffix(b"\x1C")
        .map_or(body.len(), <[u8]>::len)
}

/// How a message starts in UTF-16 and UTF-32, either byte first.
const WIDE: [&[u8]; 4] = [b"M\0S\0", b"\0M\0S", b"M\0\0\0S", b"\0\0\0M"];

/// Why there is no header.
pub(crate) fn classify(input: &[u8], body: &[u8]) -> ParseErrorKind {
    match input {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, 0, 0xFE, 0xFF, ..] => {
            ParseErrorKind::WideCharacters
        }
        _ if WIDE.iter().any(|start| body.starts_with(start)) => ParseErrorKind::WideCharacters,
        _ if body.is_empty() => ParseErrorKind::Empty,
        _ => ParseErrorKind::NoHeader,
    }
}

/// Records where each segment begins and ends.
pub(crate) struct Cutter<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) start: usize,
    pub(crate) segments_max: usize,
}

impl Cutter<'_> {
    /// Cuts the body into `table`; gives what ends the segments.
    #[inline]
    pub(crate) fn cut(&self, table: &mut SegmentTable) -> Result<LineEnd, ParseError> {
        let Some(first) = memchr2(b'\r', b'\n', self.body) else {
            self.segment(0, self.body.len(), table)?;
            return Ok(LineEnd::Missing);
        };
        let line_end = match self.body.get(first..) {
            Some([b'\r', b'\n', ..]) => LineEnd::CrLf,
            Some([b'\r', ..]) => LineEnd::Cr,
            _ => LineEnd::Lf,
        };
        self.segment(0, first, table)?;
        let mut from = first + 1;
        let rest = self.body.get(from..).unwrap_or_default();
        let base = from;
        if line_end == LineEnd::Cr {
            from = self.cut_at_cr(rest, base, table)?;
        } else {
            for at in memchr2_iter(b'\r', b'\n', rest) {
                self.segment(from, base + at, table)?;
                from = base + at + 1;
            }
        }
        if from < self.body.len() {
            // An LF behind everything is a line end that a file or an editor added.
            let last = self.body.len()
                - self
                    .body
                    .iter()
                    .rev()
                    .take_while(|&&byte| byte == b'\n')
                    .count();
            self.segment(from, last.max(from), table)?;
        }
        Ok(line_end)
    }

    /// Cuts `rest`, which stands at `base`, at every CR; gives where the last one left off.
    #[inline]
    fn cut_at_cr(
        &self,
        rest: &[u8],
        base: usize,
        table: &mut SegmentTable,
    ) -> Result<usize, ParseError> {
        /// So many blocks without a CR, and the next one is searched for instead.
        const PATIENCE: u32 = 4;
        let mut from = base;
        let mut at = 0;
        let mut quiet = 0;
        while let Some((block, _)) = rest.get(at..).and_then(<[u8]>::split_first_chunk) {
            let mut mask = equal(block, b'\r');
            if mask == 0 {
                quiet += 1;
                at += BLOCK;
                if quiet >= PATIENCE {
                    let far = rest.get(at..).unwrap_or_default();
                    at += memchr(b'\r', far).unwrap_or(far.len());
                }
                continue;
            }
            quiet = 0;
            while mask != 0 {
                let end = base + at + mask.trailing_zeros() as usize;
                self.segment(from, end, table)?;
                from = end + 1;
                mask &= mask - 1;
            }
            at += BLOCK;
        }
        for end in memchr_iter(b'\r', rest.get(at..).unwrap_or_default()) {
            self.segment(from, base + at + end, table)?;
            from = base + at + end + 1;
        }
        Ok(from)
    }

    /// What stands between two line ends: a segment, unless it is blank.
    #[inline]
    fn segment(&self, from: usize, to: usize, table: &mut SegmentTable) -> Result<(), ParseError> {
        match self.body.get(from) {
            Some(&byte) if byte > b' ' && from < to => self.push(from, to, table),
            _ if from < to => self.odd_segment(from, to, table),
            _ => Ok(()),
        }
    }

    /// A segment that begins with white space or a control character.
    #[cold]
    fn odd_segment(
        &self,
        mut from: usize,
        to: usize,
        table: &mut SegmentTable,
    ) -> Result<(), ParseError> {
        // An LF right behind a CR belongs to the line end, whatever MSH ended in.
        if from > 0 && self.body.get(from) == Some(&b'\n') {
            from += 1;
        }
        // A line of white space is a blank line.
        let blank = |line: &[u8]| line.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        if from < to && !self.body.get(from..to).is_some_and(blank) {
            return self.push(from, to, table);
        }
        Ok(())
    }

    #[inline]
    fn push(&self, from: usize, to: usize, table: &mut SegmentTable) -> Result<(), ParseError> {
        if table.len() >= self.segments_max {
            let kind = ParseErrorKind::TooManySegments {
                max: self.segments_max,
            };
            return Err(at_msh(kind, 0, self.start + from));
        }
        table.push(Span::new(self.start + from, self.start + to));
        Ok(())
    }
}
