//! [`Line`]: a segment as it stands in the message, its delimiters told apart.

use hl7_message::{Charset, Location, Message, Segment, escape};

use crate::names;
use crate::text::{self, MARK, Piece};

/// Most segments that are shown as they stand.
const LINES_MAX: usize = 500;
/// Most bytes of one field that are shown as they stand.
const FIELD_BYTES_MAX: usize = 4_000;
/// Most fields of a message that are shown.
const FIELDS_MAX: usize = 5_000;
/// Most values of a message that are told apart; further fields are shown whole.
const LEAVES_MAX: usize = 10_000;
/// Bytes of fields after which no further one is shown.
const BYTES_MAX: usize = 512 << 10;

/// A segment as it stands.
pub(crate) struct Line {
    pub(crate) name: Vec<Piece>,
    pub(crate) fields: Vec<Part>,
}

/// A field as it stands, with the delimiter before it.
pub(crate) struct Part {
    /// Its path; empty where it has none.
    pub(crate) path: String,
    /// Its path and name, to show on demand.
    pub(crate) title: String,
    pub(crate) before: &'static str,
    pub(crate) leaves: Vec<Leaf>,
}

/// A value as it stands, with the delimiter before it.
pub(crate) struct Leaf {
    /// Its path; empty where it is that of the field.
    pub(crate) path: String,
    pub(crate) before: String,
    pub(crate) pieces: Vec<Piece>,
}

impl Leaf {
    fn plain(pieces: Vec<Piece>) -> Vec<Self> {
        vec![Self {
            path: String::new(),
            before: String::new(),
            pieces,
        }]
    }
}

/// The lines of a message, and how many more there are.
pub(crate) fn lines(bytes: &[u8]) -> (Vec<Line>, usize) {
    let Ok(message) = Message::parse(bytes) else {
        return unreadable(bytes);
    };
    let charset = text::charset_of(&message);
    let mut numbers = std::collections::HashMap::new();
    let mut room = Room {
        fields: FIELDS_MAX,
        bytes: BYTES_MAX,
        leaves: LEAVES_MAX,
    };
    let lines = message.segments().take(LINES_MAX).map(|segment| {
        let at = segment.id().map(|id| {
            let number: &mut u16 = numbers.entry(id).or_default();
            *number = number.saturating_add(1);
            Location::of(id).occurrence(*number)
        });
        line(segment, at, charset, &mut room)
    });
    (
        lines.collect(),
        message.segment_count().saturating_sub(LINES_MAX),
    )
}

/// What may still be shown of a message.
struct Room {
    fields: usize,
    bytes: usize,
    leaves: usize,
}

fn line(segment: Segment<'_>, at: Option<Location>, charset: Charset, room: &mut Room) -> Line {
    let mut name = Vec::new();
    text::show(segment.name(), charset, &mut name);
    let header = segment
        .fields()
        .next()
        .is_some_and(|first| first.separators().field() != segment.separators().field());
    let separator = delimiter(segment.separators().field());
    let mut fields = Vec::new();
    for (n, field) in segment.fields().enumerate() {
        if room.fields == 0 || room.bytes == 0 {
            let more = segment.fields().skip(n).count();
            fields.push(Part {
                title: String::new(),
                path: String::new(),
                before: separator,
                leaves: Leaf::plain(vec![Piece::new(format!("{more} more fields"), MARK)]),
            });
            break;
        }
        room.fields -= 1;
        room.bytes = room
            .bytes
            .saturating_sub(field.as_bytes().len().min(FIELD_BYTES_MAX));
        let at = at
            .zip(u16::try_from(n + 1).ok())
            .map(|(at, number)| at.at_field(number));
        let path = at.map(|at| at.to_string()).unwrap_or_default();
        let called = at
            .and_then(names::field)
            .map(|(name, _)| name)
            .unwrap_or_default();
        let bytes = field.as_bytes();
        let leaves = if header && n < 2 {
            let text = String::from_utf8_lossy(bytes);
            Leaf::plain(vec![Piece::new(text, "sep")])
        } else {
            let shown = bytes.get(..FIELD_BYTES_MAX).unwrap_or(bytes);
            let mut leaves = inside(shown, at, *field.separators(), charset);
            if leaves.len() > room.leaves {
                leaves = Leaf::plain(leaves.into_iter().flat_map(Leaf::whole).collect());
            }
            room.leaves -= leaves.len().min(room.leaves);
            if shown.len() < bytes.len() {
                let more = bytes.len() - shown.len();
                let more = Piece::new(format!("{more} more bytes"), MARK);
                leaves.extend(Leaf::plain(vec![more]));
            }
            leaves
        };
        let before = if header && n < 2 { "" } else { separator };
        fields.push(Part {
            title: format!("{path} {called}").trim().to_owned(),
            path,
            before,
            leaves,
        });
    }
    Line { name, fields }
}

impl Leaf {
    /// Its delimiter and its text.
    fn whole(self) -> Vec<Piece> {
        let mut all = Vec::new();
        if !self.before.is_empty() {
            all.push(Piece::new(self.before, "sep"));
        }
        all.extend(self.pieces);
        all
    }
}

/// The values of a field, each with the path that it has among the fields.
fn inside(
    bytes: &[u8],
    field: Option<Location>,
    separators: hl7_message::Separators,
    charset: Charset,
) -> Vec<Leaf> {
    let sub = |byte: &u8| Some(*byte) == separators.subcomponent();
    let component = |byte: &u8| *byte == separators.component();
    let one = |byte: u8| char::from(byte).to_string();
    let mut leaves = Vec::new();
    let repetitions = bytes.split(|byte| *byte == separators.repetition());
    for (n, repetition) in (1..=u16::MAX).zip(repetitions) {
        let simple = !repetition.iter().any(|byte| component(byte) || sub(byte));
        let at_repetition = field.map(|at| at.repetition(n));
        for (c, part) in (1..=u16::MAX).zip(repetition.split(component)) {
            let whole = !part.iter().any(sub);
            let at_component = at_repetition.map(|at| at.component(c));
            for (s, leaf) in (1..=u16::MAX).zip(part.split(sub)) {
                let at = match (simple, whole) {
                    (true, _) => at_repetition,
                    (false, true) => at_component,
                    (false, false) => at_component.map(|at| at.subcomponent(s)),
                };
                let before = match (n, c, s) {
                    (1, 1, 1) => String::new(),
                    (_, 1, 1) => one(separators.repetition()),
                    (_, _, 1) => one(separators.component()),
                    _ => separators.subcomponent().map(one).unwrap_or_default(),
                };
                leaves.push(Leaf {
                    path: at
                        .filter(|at| Some(*at) != field)
                        .map(|at| at.to_string())
                        .unwrap_or_default(),
                    before,
                    pieces: value(leaf, separators, charset),
                });
            }
        }
    }
    leaves
}

/// A value with its escape sequences told apart.
fn value(bytes: &[u8], separators: hl7_message::Separators, charset: Charset) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for token in escape::tokens(bytes, &separators) {
        if let escape::Token::Text(plain) = token {
            text::show(plain, charset, &mut pieces);
        } else {
            let mut sequence = Vec::new();
            token.write_to(&mut sequence, &separators);
            pieces.push(Piece::new(String::from_utf8_lossy(&sequence), "esc"));
        }
    }
    pieces
}

/// Bytes that are no message, line by line.
fn unreadable(bytes: &[u8]) -> (Vec<Line>, usize) {
    let all = bytes
        .split(|byte| *byte == b'\r')
        .filter(|line| !line.is_empty());
    let mut lines = Vec::new();
    for line in all.clone().take(LINES_MAX) {
        let mut pieces = Vec::new();
        let shown = line.get(..FIELD_BYTES_MAX).unwrap_or(line);
        text::show(shown, Charset::UTF_8, &mut pieces);
        if shown.len() < line.len() {
            pieces.push(Piece::new(
                format!("{} more bytes", line.len() - shown.len()),
                MARK,
            ));
        }
        let part = Part {
            path: String::new(),
            title: String::new(),
            before: "",
            leaves: Leaf::plain(pieces),
        };
        lines.push(Line {
            name: Vec::new(),
            fields: vec![part],
        });
    }
    (lines, all.count().saturating_sub(LINES_MAX))
}

/// A delimiter as text: it is ASCII punctuation.
fn delimiter(byte: u8) -> &'static str {
    const ASCII: &str = "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`\
                         abcdefghijklmnopqrstuvwxyz{|}~";
    let at = usize::from(byte).wrapping_sub(0x21);
    ASCII.get(at..=at).unwrap_or("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of a segment, pieces of a class in brackets.
    #[track_caller]
    fn check(segment: &[u8], shown: &str) {
        let bytes = [b"MSH|^~\\&|\r", segment].concat();
        let (lines, _) = lines(&bytes);
        let line = &lines[1];
        let text = |pieces: &[Piece]| -> String {
            let piece = |p: &Piece| match p.class {
                "" => p.text.clone(),
                class => format!("<{class} {}>", p.text),
            };
            pieces.iter().map(piece).collect()
        };
        let leaf = |leaf: &Leaf| match &*leaf.before {
            "" => text(&leaf.pieces),
            before => format!("<sep {before}>{}", text(&leaf.pieces)),
        };
        let fields = line.fields.iter().map(|f| {
            format!(
                "{}{}",
                f.before,
                f.leaves.iter().map(leaf).collect::<String>()
            )
        });
        assert_eq!(
            format!("{}{}", text(&line.name), fields.collect::<String>()),
            shown
        );
    }

    #[test]
    fn delimiters_and_escapes_are_told_apart() {
        check(b"PID|1||A^B&C~D", "PID|1||A<sep ^>B<sep &>C<sep ~>D");
        check(
            br"PID|a\T\b\.br\|^^",
            r"PID|a<esc \T\>b<esc \.br\>|<sep ^><sep ^>",
        );
        check(b"PID|a\tb", "PID|a<np TAB>b");
        check(b"ZZZ", "ZZZ");
    }

    #[test]
    fn values_have_the_paths_of_the_fields() {
        let bytes = b"MSH|^~\\&|\rPID|1||77^A~88||DOE^JANE&ANN^\r";
        let (lines, _) = lines(bytes);
        let paths: Vec<Vec<_>> = lines[1]
            .fields
            .iter()
            .map(|f| f.leaves.iter().map(|leaf| leaf.path.as_str()).collect())
            .collect();
        assert_eq!(paths[0], [""]);
        assert_eq!(paths[2], ["PID-3.1", "PID-3.2", "PID-3[2]"]);
        assert_eq!(paths[4], ["PID-5.1", "PID-5.2.1", "PID-5.2.2", "PID-5.3"]);
    }

    #[test]
    fn a_field_of_delimiters_is_shown_whole_at_last() {
        let mut bytes = b"MSH|^~\\&|A\r".to_vec();
        for _ in 0..10 {
            bytes.extend_from_slice(b"NTE|");
            bytes.resize(bytes.len() + 3_000, b'^');
            bytes.push(b'\r');
        }
        let (lines, _) = lines(&bytes);
        let leaves = lines
            .iter()
            .flat_map(|line| &line.fields)
            .map(|f| f.leaves.len());
        assert!(leaves.sum::<usize>() <= LEAVES_MAX + 20);
    }

    #[test]
    fn the_header_keeps_its_delimiters() {
        let (lines, _) = lines(b"MSH|^~\\&|RIS\r");
        let texts: Vec<_> = lines[0]
            .fields
            .iter()
            .map(|f| f.leaves[0].pieces[0].text.as_str())
            .collect();
        assert_eq!(texts, ["|", "^~\\&", "RIS"]);
        let before: Vec<_> = lines[0].fields.iter().map(|f| f.before).collect();
        assert_eq!(before, ["", "", "|"]);
        assert_eq!(lines[0].fields[2].title, "MSH-3 Sending Application");
    }

    #[test]
    fn delimiters_as_text() {
        for byte in 0x21..0x7F_u8 {
            assert_eq!(delimiter(byte), char::from(byte).to_string());
        }
    }

    #[test]
    fn a_line_of_a_million_fields_is_shown_in_part() {
        let mut bytes = b"MSH|^~\\&|A\rNTE|".to_vec();
        bytes.resize(1 << 20, b'|');
        let (lines, _) = lines(&bytes);
        let parts: usize = lines.iter().map(|line| line.fields.len()).sum();
        assert!(parts <= FIELDS_MAX + 1, "{parts}");
        let last = lines.last().and_then(|line| line.fields.last()).unwrap();
        assert!(last.leaves[0].pieces[0].text.ends_with("more fields"));
    }

    #[test]
    fn long_fields_are_cut() {
        let bytes = [b"MSH|^~\\&|\rOBX|".as_slice(), &[b'x'; 5000]].concat();
        let (lines, _) = lines(&bytes);
        assert_eq!(
            lines[1].fields[0].leaves[1].pieces[0].text,
            "1000 more bytes"
        );
    }
}
