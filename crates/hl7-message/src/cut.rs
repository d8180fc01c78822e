//! Where a message begins and ends, and where its segments do.

#![expect(
    clippy::inline_always,
    reason = "work is compiled for a processor where it is inlined into code for that processor"
)]

use memchr::{memchr, memchr2_iter};

use crate::bitmap::{BLOCK, Masks, Work, first_of, last_of};
use crate::error::{ParseError, ParseErrorKind};
use crate::location::Location;
use crate::message::LineEnd;
use crate::segment::SegmentId;
use crate::table::{Filling, SegmentTable, Span};

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

/// Finds where each segment begins and ends, and what ends them.
pub(crate) struct Cutter<'a, 't> {
    pub(crate) body: &'a [u8],
    pub(crate) start: usize,
    pub(crate) segments_max: usize,
    pub(crate) table: &'t mut SegmentTable,
}

impl Work for Cutter<'_, '_> {
    type Output = Result<LineEnd, ParseError>;

    #[inline(always)]
    fn run<M: Masks>(self, masks: M) -> Self::Output {
        let Self {
            body,
            start,
            segments_max,
            table,
        } = self;
        let mut cuts = Cuts {
            body,
            start,
            segments_max,
            spans: table.fill(),
            from: 0,
        };
        let Some(first) = first_of(masks, body, [b'\r', b'\n']) else {
            cuts.segment(body.len())?;
            cuts.spans.done();
            return Ok(LineEnd::Missing);
        };
        let line_end = match body.get(first..) {
            Some([b'\r', b'\n', ..]) => LineEnd::CrLf,
            Some([b'\r', ..]) => LineEnd::Cr,
            _ => LineEnd::Lf,
        };
        cuts.segment(first)?;
        if line_end == LineEnd::Cr {
            cuts.at_cr(masks)?;
        } else {
            let base = cuts.from;
            for at in memchr2_iter(b'\r', b'\n', body.get(base..).unwrap_or_default()) {
                cuts.segment(base + at)?;
            }
        }
        if cuts.from < body.len() {
            // An LF behind everything is a line end that a file or an editor added.
            let added = body.iter().rev().take_while(|&&byte| byte == b'\n');
            cuts.segment(body.len() - added.count())?;
        }
        cuts.spans.done();
        Ok(line_end)
    }
}

/// The segments that were found so far.
struct Cuts<'a, 't> {
    body: &'a [u8],
    start: usize,
    segments_max: usize,
    spans: Filling<'t>,
    /// Where the next one begins.
    from: usize,
}

impl Cuts<'_, '_> {
    /// Cuts at every CR that is left.
    #[inline(always)]
    fn at_cr<M: Masks>(&mut self, masks: M) -> Result<(), ParseError> {
        /// So many blocks without a CR, and the next one is searched for instead.
        const PATIENCE: u32 = 4;
        let body = self.body;
        let mut at = self.from;
        let mut quiet = 0;
        while let Some(block) = body.get(at..).and_then(<[u8]>::first_chunk) {
            let mask = masks.any_of(block, [b'\r']);
            if mask == 0 {
                quiet += 1;
                at += BLOCK;
                if quiet >= PATIENCE {
                    let far = body.get(at..).unwrap_or_default();
                    at += memchr(b'\r', far).unwrap_or(far.len());
                }
                continue;
            }
            quiet = 0;
            self.at_each(mask, at)?;
            at += BLOCK;
        }
        self.at_each(last_of(masks, body, at, [b'\r']), at)
    }

    /// Cuts at each set bit of a block that stands at `base`.
    #[inline(always)]
    fn at_each(&mut self, mut mask: u64, base: usize) -> Result<(), ParseError> {
        while mask != 0 {
            self.segment(base + mask.trailing_zeros() as usize)?;
            mask &= mask - 1;
        }
        Ok(())
    }

    /// What stands before the line end at `to`: a segment, unless it is blank.
    #[inline(always)]
    fn segment(&mut self, to: usize) -> Result<(), ParseError> {
        let mut from = self.from;
        self.from = to + 1;
        let Some(&[first, ..]) = self.body.get(from..to) else {
            return Ok(());
        };
        if first <= b' ' {
            match odd_segment(self.body, from, to) {
                Some(start) => from = start,
                None => return Ok(()),
            }
        }
        if self.spans.len() >= self.segments_max {
            return Err(too_many(self.segments_max, self.start + from));
        }
        self.spans
            .push(Span::new(self.start + from, self.start + to));
        Ok(())
    }
}

/// Where a segment begins whose first byte is white space or a control character; `None` for a
/// blank line.
#[cold]
fn odd_segment(body: &[u8], mut from: usize, to: usize) -> Option<usize> {
    // An LF right behind a CR belongs to the line end, whatever MSH ended in.
    if from > 0 && body.get(from) == Some(&b'\n') {
        from += 1;
    }
    // A line of white space is a blank line.
    let blank = |line: &[u8]| line.iter().all(|byte| matches!(byte, b' ' | b'\t'));
    let line = body.get(from..to).unwrap_or_default();
    (!blank(line)).then_some(from)
}

#[cold]
fn too_many(max: usize, offset: usize) -> ParseError {
    at_msh(ParseErrorKind::TooManySegments { max }, 0, offset)
}
