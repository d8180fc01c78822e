use proptest::prelude::*;

use super::*;
use crate::loc;

/// The edit of one message: what it gives, as text.
#[track_caller]
fn check(
    message: &str,
    change: impl for<'e, 'm> FnOnce(&'e mut Edit<'m>) -> Result<&'e mut Edit<'m>, EditError>,
    expected: &str,
) {
    let message = Message::parse(message.as_bytes()).unwrap();
    let mut edit = Edit::new(&message);
    change(&mut edit).unwrap();
    assert_eq!(String::from_utf8(edit.apply()).unwrap(), expected);
}

#[track_caller]
fn refused(
    change: impl for<'e, 'm> FnOnce(&'e mut Edit<'m>) -> Result<&'e mut Edit<'m>, EditError>,
    expected: &str,
) {
    let bytes = b"MSH|^~|A\rPID|1||7\r";
    let message = Message::parse(bytes).unwrap();
    let mut edit = Edit::new(&message);
    let error = change(&mut edit).unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert_eq!(edit.apply(), bytes);
}

const HEAD: &str = "MSH|^~\\&|A\r";

/// The same in a PID.
#[track_caller]
fn check_pid(
    pid: &str,
    change: impl for<'e, 'm> FnOnce(&'e mut Edit<'m>) -> Result<&'e mut Edit<'m>, EditError>,
    expected: &str,
) {
    check(
        &format!("{HEAD}{pid}\rPV1|1\r"),
        change,
        &format!("{HEAD}{expected}\rPV1|1\r"),
    );
}

#[test]
fn what_is_there_is_replaced() {
    let pid = "PID|1||77^A~88^B&C||DOE^JANE||";
    check_pid(
        pid,
        |e| e.set(loc!("PID-5.1"), "ROE"),
        &pid.replace("DOE", "ROE"),
    );
    check_pid(
        pid,
        |e| e.set(loc!("PID-3[2].2.2"), "X"),
        &pid.replace('C', "X"),
    );
    check_pid(
        pid,
        |e| e.set(loc!("PID-3[2].2"), "X"),
        &pid.replace("B&C", "X"),
    );
    check_pid(
        pid,
        |e| e.set(loc!("PID-3"), "9"),
        &pid.replace("77^A~88^B&C", "9"),
    );
    check_pid(
        pid,
        |e| e.set_raw(loc!("PID-3[2]"), b"9^Z"),
        &pid.replace("88^B&C", "9^Z"),
    );
    check_pid(
        pid,
        |e| e.clear(loc!("PID-5")),
        &pid.replace("DOE^JANE", ""),
    );
    check_pid(
        pid,
        |e| e.set_null(loc!("PID-5.2")),
        &pid.replace("JANE", "\"\""),
    );
}

#[test]
fn what_is_not_there_is_made_with_its_delimiters() {
    check_pid("PID", |e| e.set(loc!("PID-1"), "1"), "PID|1");
    check_pid(
        "PID|1",
        |e| e.set(loc!("PID-5.2"), "JANE"),
        "PID|1||||^JANE",
    );
    check_pid(
        "PID|1||77",
        |e| e.set(loc!("PID-3[3].2.2"), "x"),
        "PID|1||77~~^&x",
    );
    check_pid(
        "PID|1",
        |e| e.set(loc!("PID-4"), "d")?.set(loc!("PID-2.2"), "b"),
        "PID|1|^b||d",
    );
}

#[test]
fn nothing_is_not_put_where_nothing_is() {
    check_pid("PID|1", |e| e.clear(loc!("PID-5")), "PID|1");
    check_pid("PID|1", |e| e.set(loc!("PID-1.4"), ""), "PID|1");
}

#[test]
fn the_header_is_counted_from_its_separator() {
    check("MSH|^~\\&", |e| e.set(loc!("MSH-5"), "B"), "MSH|^~\\&|||B");
    check(HEAD, |e| e.set(loc!("MSH-3"), "B"), "MSH|^~\\&|B\r");
    let batch = format!("{HEAD}FHS\r");
    check(
        &batch,
        |e| e.set(loc!("FHS-4"), "B"),
        "MSH|^~\\&|A\rFHS|||B\r",
    );
}

#[test]
fn the_last_value_wins_and_parts_are_put_into_the_whole() {
    check_pid(
        "PID|1",
        |e| e.set(loc!("PID-1"), "2")?.set(loc!("PID-1"), "3"),
        "PID|3",
    );
    check_pid(
        "PID|1",
        |e| {
            e.set_raw(loc!("PID-2"), b"a^b~c")?
                .set(loc!("PID-2.2"), "x|")
        },
        "PID|1|a^x\\F\\~c",
    );
    check_pid(
        "PID|1",
        |e| e.set(loc!("PID-1.2"), "x")?.set(loc!("PID-1"), "3"),
        "PID|3",
    );
}

#[test]
fn segments_come_and_go() {
    let lines = "MSH|^~\\&|A\r\nNTE|1\r\n\r\nNTE|2";
    let (one, two) = (loc!("NTE"), loc!("NTE[2]"));
    check(lines, |e| e.remove_segment(one), "MSH|^~\\&|A\r\n\r\nNTE|2");
    check(
        lines,
        |e| e.remove_segment(two),
        "MSH|^~\\&|A\r\nNTE|1\r\n\r\n",
    );
    check(
        lines,
        |e| e.append_segment(b"PV1"),
        &format!("{lines}\r\nPV1"),
    );
    check(
        lines,
        |e| {
            e.insert_segment_before(one, b"PID|1")?
                .insert_segment_before(one, b"PV1|1")
        },
        "MSH|^~\\&|A\r\nPID|1\r\nPV1|1\r\nNTE|1\r\n\r\nNTE|2",
    );
    check(
        lines,
        |e| {
            e.insert_segment_after(one, b"PID|1")?
                .remove_segment(one)?
                .set(loc!("NTE[2]-1"), "3")
        },
        "MSH|^~\\&|A\r\nPID|1\r\n\r\nNTE|3",
    );
    check(
        "MSH|^~\\&",
        |e| e.append_segment(b"PID|1"),
        "MSH|^~\\&\rPID|1",
    );
}

#[test]
fn framing_and_odd_lines_stay() {
    let odd = "\u{FEFF}\u{B}MSH|^~\\&|A||\rfree text\r\r \rPID|1||\r\u{1C}\r";
    check(
        odd,
        |e| e.set(loc!("PID-2"), "7"),
        &odd.replace("1||", "1|7|"),
    );
    check(
        odd,
        |e| e.append_segment(b"NTE"),
        &odd.replace("1||", "1||\rNTE"),
    );
    check(
        odd,
        |e| e.remove_segment(loc!("PID")),
        &odd.replace("PID|1||\r", ""),
    );
}

#[test]
fn a_lone_line_feed_in_text_stays_text_when_a_segment_goes() {
    for between in ["", "\n", "\n\n"] {
        let bytes = format!("MSH|^~\\&\rPID|1\r{between}OBX|a\nb\r");
        let message = Message::parse(bytes.as_bytes()).unwrap();
        let edited = Edit::new(&message)
            .remove_segment(loc!("PID"))
            .unwrap()
            .apply();
        let read = Message::parse(&edited).unwrap();
        assert_eq!(read.line_end(), LineEnd::Cr);
        let last =
            |message: &Message<'_>| message.segments().next_back().unwrap().as_bytes().to_vec();
        assert_eq!(last(&read), last(&message));
        assert_eq!(read.segment_count(), 2);
    }
}

#[test]
fn what_cannot_be_done_is_refused_with_its_place() {
    refused(
        |e| e.set(loc!("PID"), "x"),
        "PID is a whole segment; name a field of it",
    );
    refused(
        |e| e.set(loc!("PID[2]-1"), "x"),
        "the message has no segment for PID[2]-1",
    );
    refused(
        |e| e.set(loc!("MSH-2"), "x"),
        "MSH-2 declares the delimiters that the message is written in",
    );
    refused(
        |e| e.set(loc!("PID-3.1"), "a|b"),
        "the text for PID-3.1 holds a delimiter and MSH-2 declares no escape",
    );
    refused(
        |e| e.set(loc!("PID-3.1.2"), "a"),
        "PID-3.1.2 is a subcomponent and MSH-2 declares no separator for it",
    );
    refused(
        |e| e.remove_segment(loc!("PID-1")),
        "PID-1 is a field; name a whole segment",
    );
    refused(
        |e| e.remove_segment(loc!("MSH")),
        "MSH starts the message and stays first",
    );
    refused(
        |e| e.insert_segment_before(loc!("MSH"), b"PID"),
        "MSH starts the message and stays first",
    );
    refused(
        |e| e.append_segment(b"NTE|a\r"),
        "byte 5 of the segment to insert is a line end or a framing byte",
    );
    for bytes in [&b""[..], b"nte|1", b"NTES|1", b"MSH|^~|A", b"FTS|1"] {
        refused(
            |e| e.append_segment(bytes),
            "a segment to insert begins with its name, such as NTE, and not with that of a \
             message or a batch",
        );
    }
}

#[test]
fn written_bytes_may_not_end_their_place() {
    let bytes = b"MSH|^~\\&|A\rPID|1||7\r";
    let message = Message::parse(bytes).unwrap();
    for (location, allowed, ending) in [
        (loc!("PID-3"), "^~\\&", "|\r\n\u{B}\u{1C}"),
        (loc!("PID-3[2]"), "^\\&", "~|\r"),
        (loc!("PID-3.1"), "\\&", "^~|\r"),
        (loc!("PID-3.1.1"), "\\", "&^~|\r"),
    ] {
        let mut edit = Edit::new(&message);
        edit.set_raw(location, allowed.as_bytes()).unwrap();
        for byte in ending.bytes() {
            let error = edit.set_raw(location, &[b'a', byte]).unwrap_err();
            assert_eq!(
                error,
                EditError::RawBytes {
                    location,
                    offset: 1
                }
            );
        }
    }
}

#[test]
fn a_removed_segment_takes_no_values() {
    let message = Message::parse(b"MSH|^~\\&\rPID|1\r").unwrap();
    let mut edit = Edit::new(&message);
    let error = edit
        .set(loc!("PID-2"), "x")
        .and_then(|edit| edit.remove_segment(loc!("PID")))
        .and_then(|edit| edit.clear(loc!("PID-2")))
        .unwrap_err();
    assert_eq!(
        error,
        EditError::Removed {
            location: loc!("PID-2")
        }
    );
    assert_eq!(edit.apply(), b"MSH|^~\\&\r");
}

#[test]
fn debug_shows_no_values() {
    let message = Message::parse(b"MSH|^~\\&\rPID|1\r").unwrap();
    let mut edit = Edit::new(&message);
    edit.set(loc!("PID-5"), "SECRET").unwrap();
    assert_eq!(format!("{edit:?}"), "Edit(1 segments)");
}

/// What a property may say about one value.
#[derive(Debug, Clone)]
enum Put {
    Text(Location, String),
    Null(Location),
    Clear(Location),
    Raw(Location, String),
}

impl Put {
    fn to<'e, 'm>(&self, edit: &'e mut Edit<'m>) -> Result<&'e mut Edit<'m>, EditError> {
        match self {
            Self::Text(location, text) => edit.set(*location, text),
            Self::Null(location) => edit.set_null(*location),
            Self::Clear(location) => edit.clear(*location),
            Self::Raw(location, text) => edit.set_raw(*location, text.as_bytes()),
        }
    }
}

/// A place in the messages below; field 1 and 2 of MSH among them.
fn place() -> impl Strategy<Value = Location> {
    let id = prop::sample::select(vec![*b"MSH", *b"PID", *b"OBX"]);
    let occurrence = prop_oneof![4 => Just(1), 1 => Just(2)];
    (id, occurrence, 1..7_u16, 1..4_u16, 0..4_u16, 0..4_u16).prop_map(|(id, n, f, r, c, s)| {
        let location = Location::field(id, f).occurrence(n).repetition(r);
        location.component(c).subcomponent(s)
    })
}

fn put() -> impl Strategy<Value = Put> {
    prop_oneof![
        (place(), any::<String>()).prop_map(|(at, text)| Put::Text(at, text)),
        (place(), "[|^~\\\\&#*!$@\"a\r\n\u{B}\u{1C}]{0,6}").prop_map(|(at, t)| Put::Text(at, t)),
        place().prop_map(Put::Null),
        place().prop_map(Put::Clear),
        (place(), "[|^~\\\\&a]{0,6}").prop_map(|(at, text)| Put::Raw(at, text)),
    ]
}

/// Messages with all that may stand around and between segments, under several delimiters.
fn message() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => "(PID|OBX|ZZZ)(\\|[A-C^~&\\\\|]{0,16})?",
        1 => "(PIDX|pid|free text| PID\\|1| |)",
    ];
    let lines = prop::collection::vec((line, "(\n|\n\n||||)"), 0..7);
    let delimiters = prop::sample::select(vec!["|^~\\&", "|^~", "|^~\\", "#*!$@", "|^~\\&#"]);
    let head = prop::sample::select(vec!["", "\u{FEFF}", "\u{B}", "\r\n "]);
    let end = prop::sample::select(vec!["\r", "\n", "\r\n"]);
    let tail = prop::sample::select(vec!["", "\u{1C}\r", "\n", "\n\n", "|"]);
    (head, delimiters, lines, end, any::<bool>(), tail).prop_map(
        |(head, delimiters, lines, end, ended, tail)| {
            let mut text = String::from("MSH|^~\\&|A|B~C^D|");
            for (line, feeds) in &lines {
                text += end;
                // Text with a line feed, where that is text.
                text += if end == "\r" { feeds } else { "" };
                text += line;
            }
            let with: Vec<char> = delimiters.chars().collect();
            let written: String = text
                .chars()
                .skip("MSH|^~\\&".len())
                .map(|c| match "|^~\\&".find(c) {
                    Some(n) => with.get(n).copied().unwrap_or(c),
                    None => c,
                })
                .collect();
            let end = if ended { end } else { "" };
            format!("{head}MSH{delimiters}{written}{end}{tail}")
        },
    )
}

fn locations(message: &Message<'_>) -> Vec<Location> {
    let mut all = Vec::new();
    for id in [*b"MSH", *b"PID", *b"OBX", *b"ZZZ"] {
        let of_id = message.segments_of(SegmentId::new(id).unwrap()).count();
        for n in 1..=u16::try_from(of_id).unwrap() {
            for (f, r, c, s) in (1..9)
                .flat_map(|f| (1..4).map(move |r| (f, r)))
                .flat_map(|(f, r)| (1..5).map(move |c| (f, r, c)))
                .flat_map(|(f, r, c)| (1..5).map(move |s| (f, r, c, s)))
            {
                let location = Location::field(id, f).occurrence(n).repetition(r);
                all.push(location.component(c).subcomponent(s));
            }
        }
    }
    all
}

/// Whether the leaf is part of the place, as [`Message::raw`] reads it.
fn covers(place: Location, leaf: Location) -> bool {
    let same = |own: Option<u16>, other: Option<u16>| own.is_none() || own == other;
    let whole_field = place.component_number().is_none() && place.repetition_number() == 1;
    let inner = place.component_number().is_none()
        || same(place.component_number(), leaf.component_number())
            && same(place.subcomponent_number(), leaf.subcomponent_number());
    place.segment_id() == leaf.segment_id()
        && place.occurrence_number() == leaf.occurrence_number()
        && place.field_number() == leaf.field_number()
        && (whole_field || place.repetition_number() == leaf.repetition_number() && inner)
}

fn leaf<'a>(message: &Message<'a>, location: Location) -> &'a [u8] {
    message.leaf(location).map_or(&[], |leaf| leaf.as_bytes())
}

proptest! {
    #[test]
    fn one_value_is_read_back_and_touches_nothing_else(
        text in message(), at in place(), value in any::<String>(),
    ) {
        let message = Message::parse(text.as_bytes()).unwrap();
        let mut edit = Edit::new(&message);
        let done = edit.set(at, &value).is_ok();
        let edited = edit.apply();
        if !done {
            prop_assert_eq!(edited, text.as_bytes());
            return Ok(());
        }
        let read = Message::parse(&edited).unwrap();
        let got = read.raw(at).unwrap_or_default();
        let data = escape::unescape(got, read.separators()).into_owned();
        prop_assert_eq!(data, value.as_bytes());
        prop_assert_eq!(read.segment_count(), message.segment_count());
        for other in locations(&message) {
            if !covers(at, other) {
                prop_assert_eq!(leaf(&read, other), leaf(&message, other), "{}", other);
            }
        }
        // All other segments, and all that stands between them.
        let span = message.segment_at(at).unwrap().span();
        prop_assert!(edited.starts_with(&text.as_bytes()[..span.start]));
        prop_assert!(edited.ends_with(&text.as_bytes()[span.end..]));
        // A place that was there: everything outside it.
        let field = message.raw(at).map(|raw| raw.as_ptr() as usize - text.as_ptr() as usize);
        if let (Some(start), Some(raw)) = (field, message.raw(at)) {
            let expected = [&text.as_bytes()[..start], got, &text.as_bytes()[start + raw.len()..]];
            prop_assert_eq!(&edited, &expected.concat());
        }
    }

    #[test]
    fn many_at_once_are_one_after_another(
        text in message(), puts in prop::collection::vec(put(), 0..8),
    ) {
        let message = Message::parse(text.as_bytes()).unwrap();
        let mut at_once = Edit::new(&message);
        let mut one_by_one = text.clone().into_bytes();
        for put in &puts {
            let done = put.to(&mut at_once).map(|_| ());
            let before = Message::parse(&one_by_one).unwrap();
            let mut edit = Edit::new(&before);
            prop_assert_eq!(put.to(&mut edit).map(|_| ()), done);
            let after = edit.apply();
            one_by_one = after;
        }
        let mut edited = b"before".to_vec();
        at_once.apply_to(&mut edited);
        prop_assert_eq!(&edited[6..], &one_by_one);
        let read = Message::parse(&edited[6..]).unwrap();
        prop_assert_eq!(read.segment_count(), message.segment_count());
    }

    #[test]
    fn segments_come_and_go_and_leave_the_others(
        text in message(),
        ops in prop::collection::vec((0..3_u8, 1..4_u16, prop::sample::select(vec!["PID", "OBX"])), 0..6),
    ) {
        let message = Message::parse(text.as_bytes()).unwrap();
        let mut edit = Edit::new(&message);
        // The same on a list of segments: where each starts, and what stands there in the end.
        let mut list: Vec<_> = message
            .segments()
            .map(|s| (s.span().start, [vec![], vec![s.as_bytes()], vec![]]))
            .collect();
        for (op, n, id) in ops {
            let at = Location::of(id.parse().unwrap()).occurrence(n);
            let done = match op {
                0 => edit.insert_segment_before(at, b"NTE"),
                1 => edit.remove_segment(at),
                _ => edit.insert_segment_after(at, b"AL1"),
            };
            let Some(segment) = message.segment_at(at) else {
                prop_assert_eq!(done.unwrap_err(), EditError::NoSegment { location: at });
                continue;
            };
            prop_assert!(done.is_ok());
            let start = segment.span().start;
            let (_, [before, own, after]) = list.iter_mut().find(|(at, _)| *at == start).unwrap();
            match op {
                0 => before.push(b"NTE"),
                1 => own.clear(),
                _ => after.push(b"AL1"),
            }
        }
        edit.append_segment(b"ZZ9").unwrap();
        list.last_mut().unwrap().1[2].push(b"ZZ9");
        let expected: Vec<&[u8]> = list.into_iter().flat_map(|(_, all)| all.concat()).collect();
        let edited = edit.apply();
        let read = Message::parse(&edited).unwrap();
        let got: Vec<&[u8]> = read.segments().map(|s| s.as_bytes()).collect();
        prop_assert_eq!(got, expected);
    }
}
