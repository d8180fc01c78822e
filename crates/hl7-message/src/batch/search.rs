//! [`Search`]: where a chunk ends, found in bytes that may still be coming in.

use memchr::memchr2;

use super::ChunkKind;

/// The chunk that starts the bytes searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: ChunkKind,
    /// How long it is.
    pub(super) len: usize,
    /// How long it is with the white space and framing bytes behind it.
    pub(super) extent: usize,
}

/// The search for the end of one chunk. No byte is looked at twice, in however many pieces the
/// bytes come.
#[derive(Debug, Clone, Default)]
pub(super) struct Search {
    kind: Option<ChunkKind>,
    /// Whether a lone LF is data; known once the first line has ended.
    lone_lf_is_data: Option<bool>,
    /// Before here stands no line end that has not been dealt with.
    at: usize,
    line: Option<Line>,
}

/// A line end, and what stands behind it.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// Where the next line would start.
    start: usize,
    cr: bool,
    /// Up to here only white space and framing bytes follow.
    at: usize,
}

impl Search {
    /// Goes on with the search: `body` is what it was the last time, and more. `all` says that
    /// nothing will follow. `None` asks for more bytes, and never comes where that is `all`.
    pub(super) fn run(&mut self, body: &[u8], all: bool) -> Option<Found> {
        let kind = self.kind(body, all)?;
        let lone_lf_is_data = self.lone_lf_is_data(body, all, kind)?;
        loop {
            let Some(line) = self.line(body) else {
                self.at = body.len();
                return all.then_some(Found {
                    kind,
                    len: body.len(),
                    extent: body.len(),
                });
            };
            let (skip, certain) = lead_so_far(body.get(line.at..).unwrap_or_default(), all);
            let at = line.at + skip;
            self.line = Some(Line { at, ..line });
            let after = body.get(at..).unwrap_or_default();
            if !all && (!certain || after.len() < START) {
                return None;
            }
            let blank = matches!(body.get(line.start), Some(b'\r' | b'\n'));
            let starts = line.cr || blank || !lone_lf_is_data;
            if starts && kind_of(after) != ChunkKind::Other {
                return Some(Found {
                    kind,
                    len: line.start,
                    extent: at,
                });
            }
            // What was stepped over holds no start of a chunk.
            self.line = None;
            self.at = at;
        }
    }

    /// How long the chunk is at least, with what stands behind it.
    pub(super) fn extent(&self) -> usize {
        self.line.map_or(self.at, |line| line.at)
    }

    /// Forgets bytes at the start of `body`, so that they can be let go; gives how many.
    pub(super) fn forget(&mut self) -> usize {
        let count = self.line.map_or(self.at, |line| line.start);
        self.at = self.at.saturating_sub(count);
        if let Some(line) = &mut self.line {
            line.start -= count;
            line.at -= count;
        }
        count
    }

    fn kind(&mut self, body: &[u8], all: bool) -> Option<ChunkKind> {
        if self.kind.is_none() && (all || body.len() >= START) {
            self.kind = Some(kind_of(body));
        }
        self.kind
    }

    fn lone_lf_is_data(&mut self, body: &[u8], all: bool, kind: ChunkKind) -> Option<bool> {
        if self.lone_lf_is_data.is_none() {
            let from = body.get(self.at..).unwrap_or_default();
            self.lone_lf_is_data = match memchr2(b'\r', b'\n', from) {
                _ if kind == ChunkKind::Other => Some(false),
                None => {
                    self.at = body.len();
                    all.then_some(false)
                }
                Some(end) => match from.get(end..) {
                    Some([b'\r', b'\n', ..] | [b'\n', ..]) => Some(false),
                    Some([b'\r']) if !all => None,
                    _ => Some(true),
                },
            };
        }
        self.lone_lf_is_data
    }

    /// The line end at hand, or the next one.
    fn line(&self, body: &[u8]) -> Option<Line> {
        if self.line.is_some() {
            return self.line;
        }
        let end = self.at + memchr2(b'\r', b'\n', body.get(self.at..)?)?;
        Some(Line {
            start: end + 1,
            cr: body.get(end) == Some(&b'\r'),
            at: end + 1,
        })
    }
}

/// So many bytes tell how a chunk starts.
const START: usize = 4;

/// White space, framing bytes and a byte order mark before a chunk.
pub(super) fn lead(bytes: &[u8]) -> usize {
    lead_so_far(bytes, true).0
}

/// As [`lead`]; and whether more bytes could not make it longer where something else follows.
pub(super) fn lead_so_far(bytes: &[u8], all: bool) -> (usize, bool) {
    let mut at = 0;
    loop {
        match bytes.get(at..) {
            Some([0xEF, 0xBB, 0xBF, ..]) => at += 3,
            Some([0xEF] | [0xEF, 0xBB]) if !all => return (at, false),
            Some([b'\r' | b'\n' | b' ' | b'\t' | 0x0B | 0x1C, ..]) => at += 1,
            _ => return (at, true),
        }
    }
}

fn kind_of(line: &[u8]) -> ChunkKind {
    let [a, b, c, rest @ ..] = line else {
        return ChunkKind::Other;
    };
    let kind = match &[*a, *b, *c] {
        b"MSH" => ChunkKind::Message,
        b"FHS" => ChunkKind::FileHeader,
        b"BHS" => ChunkKind::BatchHeader,
        b"BTS" => ChunkKind::BatchTrailer,
        b"FTS" => ChunkKind::FileTrailer,
        _ => return ChunkKind::Other,
    };
    let trailer = matches!(kind, ChunkKind::BatchTrailer | ChunkKind::FileTrailer);
    match rest.first() {
        Some(delimiter) if delimiter.is_ascii_punctuation() => kind,
        // All fields of a trailer may be left out.
        None | Some(b'\r' | b'\n') if trailer => kind,
        _ => ChunkKind::Other,
    }
}
