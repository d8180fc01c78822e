//! What fuzzing checks: one plain function over bytes for each way in.
//!
//! The targets in `fuzz/` hand their input on to these functions; the test of this crate replays
//! the sample messages, and everything kept in `fuzz/corpus`, on every run. A function returns
//! where all is well and panics where something is broken.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a broken promise is a panic: that is the point"
)]

pub mod dicom;
pub mod domain;
pub mod link;
pub mod vault;

use bytes::BytesMut;
use hl7_message::escape::{Formatted, Token, escape, formatted, tokens, unescape};
use hl7_message::{
    Charset, Chunk, ChunkReader, Edit, Header, Index, Limits, Location, Message, ReadError,
    Readable, Separators, Timestamp, chunks,
};
use hl7_mllp::{Event, MllpCodec};
use medsynapse::{Profile, interpret};

/// A way in: its name and what is checked.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 11] = [
    ("message", message),
    ("index", index),
    ("escapes", escapes),
    ("charset", charset),
    ("location", location),
    ("timestamp", timestamp),
    ("batch", batch),
    ("reader", reader),
    ("edit", edit),
    ("mllp", mllp),
    ("json", json),
];

/// A message: spans point into the input, nothing panics that looks at it, the broker comes to an
/// answer.
pub fn message(data: &[u8]) {
    let _ = Header::salvage(data);
    let Ok(message) = Message::parse(data) else {
        return;
    };
    for (_, _, span) in lazy(&message) {
        assert!(data.get(span).is_some());
    }
    for told in message.diagnostics() {
        assert!(told.offset <= data.len());
    }
    let readable = Readable::of(data, Charset::UTF_8);
    let length = readable.as_bytes().len();
    for offset in [0, length.min(8), length / 2, length] {
        assert!(readable.source_offset(offset) <= data.len());
    }
    if let Some(one) = readable.undecodable().first() {
        assert!(readable.offset_of(one.offset) <= readable.as_bytes().len());
    }
    let outcome = interpret(&message, &Profile::default()).outcome;
    if let Err(rejection) = outcome {
        assert!(!rejection.findings.is_empty() && !rejection.text.is_empty());
    }
}

type Leaf = (u32, [u32; 4], core::ops::Range<usize>);

/// Every leaf with its numbers, by the lazy views.
fn lazy(message: &Message<'_>) -> Vec<Leaf> {
    let data = message.as_bytes();
    let mut lazy = Vec::new();
    for (segment, n) in message.segments().zip(1_u32..) {
        assert_eq!(data.get(segment.span()), Some(segment.as_bytes()));
        for (field, f) in segment.fields().zip(1_u32..) {
            for (repetition, r) in field.repetitions().zip(1_u32..) {
                for (component, c) in repetition.components().zip(1_u32..) {
                    for (leaf, s) in component.subcomponents().zip(1_u32..) {
                        assert_eq!(data.get(leaf.span()), Some(leaf.as_bytes()));
                        lazy.push((n, [f, r, c, s], leaf.span()));
                    }
                }
            }
        }
    }
    lazy
}

/// The index against the lazy views: each message of the input, with one index used again.
pub fn index(data: &[u8]) {
    let mut index = Index::new();
    let parts = chunks(data).map(|chunk| chunk.bytes);
    for part in core::iter::once(data).chain(parts) {
        let Ok(message) = Message::parse(part) else {
            continue;
        };
        let indexed: Vec<_> = index
            .of(&message)
            .leaves()
            .map(|leaf| (leaf.segment_number(), leaf.numbers(), leaf.view.span()))
            .collect();
        assert_eq!(indexed, lazy(&message));
    }
}

/// Escape sequences: tokens give back every byte, and what is escaped reads back as it was.
pub fn escapes(data: &[u8]) {
    let separators = Separators::DEFAULT;
    let mut written = Vec::new();
    for token in tokens(data, &separators) {
        token.write_to(&mut written, &separators);
    }
    assert_eq!(written, data);
    let mut kept = 0;
    for piece in formatted(data, &separators) {
        if let Formatted::Token(Token::Text(text)) = piece {
            kept += text.len();
        }
    }
    assert!(kept <= data.len());
    let text = escape(data, &separators).expect("the usual delimiters can escape anything");
    assert_eq!(unescape(&text, &separators).as_ref(), data);
}

/// Character sets: the first byte picks one; what it does not have is told, line ends stay line
/// ends, and every place of the text has one in the source.
pub fn charset(data: &[u8]) {
    const NAMES: [&str; 8] = [
        "ASCII",
        "UNICODE UTF-8",
        "8859/1",
        "8859/9",
        "ISO IR14",
        "ISO IR87",
        "SHIFT_JIS",
        "GB 18030-2000",
    ];
    let Some((&pick, bytes)) = data.split_first() else {
        return;
    };
    let name = NAMES.get(usize::from(pick) % NAMES.len()).expect("a name");
    let charset = Charset::from_msh18(name.as_bytes()).expect("a known name");
    let utf8 = charset.to_utf8(bytes);
    let clean = utf8.undecodable().is_empty();
    assert_eq!(charset.decode(bytes).is_ok(), clean);
    let lines = |bytes: &[u8]| bytes.split(|b| matches!(b, b'\r' | b'\n')).count();
    assert_eq!(lines(utf8.as_bytes()), lines(bytes));
    for offset in (0..utf8.as_str().len()).step_by(utf8.as_str().len() / 16 + 1) {
        assert!(utf8.source_offset(offset) < bytes.len());
    }
    if let (true, Ok(text)) = (clean, charset.decode(bytes)) {
        assert_eq!(text, utf8.as_str());
    }
}

/// Locations: what is read prints as itself.
pub fn location(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(location) = text.parse::<Location>() {
        assert_eq!(location.to_string().parse(), Ok(location));
    }
}

/// Time stamps: what is read prints as itself.
pub fn timestamp(data: &[u8]) {
    if let Ok(timestamp) = Timestamp::parse(data) {
        assert_eq!(timestamp.to_string().parse(), Ok(timestamp));
    }
}

/// Many messages in a buffer: chunks stand one behind the other, and only framing and white space
/// between them.
pub fn batch(data: &[u8]) {
    let mut at = 0;
    for chunk in chunks(data) {
        let between = data.get(at..chunk.offset).expect("chunks ascend");
        assert!(
            between
                .iter()
                .all(|b| b"\r\n \t\x0B\x1C\xEF\xBB\xBF".contains(b))
        );
        assert_eq!(data.get(chunk.span()), Some(chunk.bytes));
        assert!(!chunk.bytes.is_empty());
        at = chunk.span().end;
    }
}

/// Many messages from a source: the first two bytes say in what pieces it hands out the rest and
/// how long a message may be; what is given is what the slice gives.
pub fn reader(data: &[u8]) {
    let Some((&[step, max], file)) = data.split_first_chunk() else {
        return;
    };
    let limits = Limits {
        message_bytes_max: usize::from(max) * 4,
        ..Limits::default()
    };
    let all: Vec<Chunk<'_>> = chunks(file).collect();
    let next = all.iter().skip(1).map(|chunk| chunk.offset);
    let mut reader = ChunkReader::with_limits(
        Pieces {
            bytes: file,
            size: usize::from(step).max(1),
        },
        limits,
    );
    for (chunk, end) in all.iter().zip(next.chain([file.len()])) {
        match reader.next_chunk() {
            Ok(given) => assert_eq!(given, Some(*chunk)),
            Err(ReadError::TooLong { offset, .. }) => {
                assert_eq!(offset, chunk.offset as u64);
                assert!(end - chunk.offset > limits.message_bytes_max);
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(matches!(reader.next_chunk(), Ok(None)));
}

/// A source that hands out its bytes in pieces of one size.
struct Pieces<'a> {
    bytes: &'a [u8],
    size: usize,
}

impl std::io::Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.size.min(buffer.len());
        std::io::Read::read(&mut self.bytes, buffer.get_mut(..len).unwrap_or_default())
    }
}

/// Changes: the place that was set reads back, and the segments stay as many.
pub fn edit(data: &[u8]) {
    let Some((text, rest)) = data.split_first_chunk::<4>() else {
        return;
    };
    let Ok(message) = Message::parse(rest) else {
        return;
    };
    let text: String = text.iter().map(|byte| char::from(*byte)).collect();
    for place in ["PID-5.2", "OBR-4", "MSH-10", "PID-3[2].4.1"] {
        let location: Location = place.parse().expect("a location");
        let mut edit = Edit::new(&message);
        if edit.set(location, &text).is_err() {
            continue;
        }
        let changed = edit.apply();
        let after = Message::parse(&changed).expect("an edited message is a message");
        assert_eq!(after.segment_count(), message.segment_count(), "{place}");
        let read = after
            .raw(location)
            .map(|raw| unescape(raw, after.separators()).into_owned());
        assert_eq!(read.unwrap_or_default(), text.as_bytes(), "{place}");
    }
}

/// The frame decoder: the first byte says how the rest is cut into reads; every cut gives the
/// same events, and no payload holds a framing byte.
pub fn mllp(data: &[u8]) {
    let Some((&step, stream)) = data.split_first() else {
        return;
    };
    let whole = events(stream, stream.len().max(1));
    assert_eq!(events(stream, usize::from(step).max(1)), whole);
    for event in whole.iter().flatten() {
        if let Event::Frame(payload) = event {
            assert!(!payload.iter().any(|byte| matches!(byte, 0x0B | 0x1C)));
        }
    }
}

fn events(stream: &[u8], step: usize) -> Vec<Result<Event, hl7_mllp::FrameError>> {
    let mut codec = MllpCodec::new();
    let mut buffer = BytesMut::new();
    let mut events = Vec::new();
    for piece in stream.chunks(step) {
        buffer.extend_from_slice(piece);
        loop {
            match codec.decode_event(&mut buffer) {
                Ok(None) => break,
                Ok(Some(event)) => events.push(Ok(event)),
                Err(error) => {
                    events.push(Err(error));
                    if !error.is_recoverable() {
                        return events;
                    }
                }
            }
        }
    }
    loop {
        match codec.decode_event_eof(&mut buffer) {
            Ok(None) => return events,
            Ok(Some(event)) => events.push(Ok(event)),
            Err(error) => {
                events.push(Err(error));
                if !error.is_recoverable() {
                    return events;
                }
            }
        }
    }
}

/// The lossless JSON form: a message comes back to the byte; other text is refused or gives a
/// message.
pub fn json(data: &[u8]) {
    if let Ok(message) = Message::parse(data) {
        let raw = hl7_json::to_raw(&message);
        let back = hl7_json::from_raw(&raw).expect("what was written can be read");
        assert_eq!(back, data);
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(bytes) = hl7_json::from_raw(text)
    {
        assert!(Message::parse(&bytes).is_ok());
    }
}
