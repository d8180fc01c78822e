//! Messages that are odd and taken all the same.

use hl7_message::{Location, SegmentId, loc};

use super::generated::{Generated, Kind};
use super::surgery::Surgery;

/// One oddity.
struct EdgeCase {
    rule: &'static str,
    kinds: &'static [Kind],
    /// Whether the strict reading takes it, too.
    strict: bool,
    /// The odd message; `None` where this one cannot be made so.
    make: fn(Surgery) -> Option<Surgery>,
}

const ORDERS: &[Kind] = &[Kind::Order, Kind::Report];
const REPORTS: &[Kind] = &[Kind::Report];
const UPDATES: &[Kind] = &[Kind::PatientUpdate];
const ALL: &[Kind] = &Kind::MESSAGES;

macro_rules! edge_cases {
    ($($rule:literal $kinds:ident $strict:literal $make:expr;)*) => {
        static EDGE_CASES: &[EdgeCase] = &[$(EdgeCase {
            rule: $rule,
            kinds: $kinds,
            strict: $strict,
            make: $make,
        },)*];
    };
}

edge_cases! {
    "other-delimiters" ALL true |m| Some(m.under(b'#', b"*!$@"));
    "no-subcomponent-separator" ALL true |m| Some(m.under(b'|', b"^~\\"));
    "extra-segments" ALL true |m| Some(m.with(&[
        "NTE|1||Patient asks for a copy on disc.", "NTE|2||~Second line", "AL1|1||^Penicillin",
        "ZHX|1|local^data&more",
    ]));
    "trailing-delimiters" ALL true |m| Some(m.padded("||||"));
    "version-2.5" ALL false |m| Some(m.set(loc!("MSH-12"), "2.5"));
    "processing-id-test" ALL true |m| Some(m.set(loc!("MSH-11"), "T"));
    "segments-reversed" ALL true |m| Some(m.reversed());
    "many-repetitions" ALL true |m| {
        let id = m.raw(loc!("PID-3"));
        let others: String = (1..200).fold(String::new(), |all, n| all + &format!("~{n}^^^REGISTRY"));
        Some(m.set(loc!("PID-3"), &(id + "^^^HOSPITAL" + &others)))
    };
    "long-field" ALL true |m| Some(m.set(loc!("PID-11"), &"Long Lane ".repeat(800)));
    "assigning-authority" ALL true |m| {
        let id = m.raw(loc!("PID-3"));
        Some(m.set(loc!("PID-3"), &(id + "^^^HOSPITAL&2.999.1&ISO^MR")))
    };
    "utf-8-name" ALL true |m| {
        // In another character set the bytes would be other letters.
        (!m.has(loc!("MSH-18")) || m.raw(loc!("MSH-18")) == "UNICODE UTF-8").then(|| {
            m.set(loc!("PID-5"), "MÜLLER-ŁUKASZEWICZ^ZOË^山田 太郎")
                .set(loc!("MSH-18"), "UNICODE UTF-8")
        })
    };
    "utf-8-name-without-msh-18" ALL true |m| {
        (!m.has(loc!("MSH-18"))).then(|| m.set(loc!("PID-5"), "ŞAHİN^Ångström"))
    };
    "name-of-many-parts" ALL true |m| {
        let name = m.raw(loc!("PID-5.1"));
        Some(m.set(loc!("PID-5"), &(name + "&VON&SMITH^GIVEN^MIDDLE^III^DR^MD^L~ALIAS^ONE^^^^^A")))
    };
    "hexadecimal-escapes" ALL true |m| Some(m.set(loc!("PID-5.1"), r"O\X27\NEIL \X26\ S\X4F4E\"));
    "sender-time-with-fraction" ALL true |m| {
        let time = m.raw(loc!("MSH-7"));
        let second = time.get(..14).unwrap_or(&time).to_owned();
        Some(m.set(loc!("MSH-7"), &(second + ".1234+0100")))
    };
    "birth-date-null" ALL true |m| Some(m.set(loc!("PID-7"), "\"\""));
    "acknowledgement-asked-for" ALL true |m| {
        Some(m.set(loc!("MSH-15"), "AL").set(loc!("MSH-16"), "NE"))
    };
    "nulls-for-optional" ORDERS true |m| Some(m.set_where_present(&OPTIONAL, "\"\""));
    "empty-for-optional" ORDERS true |m| {
        Some(m.set_where_present(&OPTIONAL, "").without(SegmentId::ZDS))
    };
    "no-visit" ORDERS true |m| Some(m.without(SegmentId::PV1));
    "other-modality" ORDERS true |m| Some(m.set(loc!("OBR-24"), "BMD"));
    "start-without-seconds" ORDERS true |m| {
        let start = m.raw(loc!("OBR-36"));
        start.get(..12).map(|minute| m.set(loc!("OBR-36"), minute))
    };
    "start-with-offset" ORDERS true |m| {
        let start = m.raw(loc!("OBR-36"));
        start.get(..14).map(|second| m.clone().set(loc!("OBR-36"), &format!("{second}-0330")))
    };
    "bare-cancel-or-completion" ORDERS true |m| {
        let control = m.raw(loc!("ORC-1"));
        matches!(control.as_str(), "CA" | "CM").then(|| {
            let accession_number = m.raw(loc!("OBR-2"));
            [SegmentId::PID, SegmentId::PV1, SegmentId::ZDS, SegmentId::OBR]
                .into_iter()
                .fold(m, Surgery::without)
                .with(&[&format!("OBR||{accession_number}")])
        })
    };
    "line-ends-of-all-kinds" REPORTS true |m| Some(m.set(
        loc!("OBX-5"),
        r"FINDINGS\X0D0A\First line.\X0D\Second line.\X0A\Third line.\.br\Fourth line.~Fifth line.",
    ));
    "delimiters-in-text" REPORTS true |m| {
        Some(m.set(loc!("OBX-5"), r"Ratio A^B & C, path \\server\share, 5 \F\ 6, \Q\ \E\ \S\ \T\ \R\"))
    };
    "highlighted-text" REPORTS true |m| Some(m.set(loc!("OBX-5"), r"IMPRESSION: \H\urgent\N\ finding."));
    "formatted-text" REPORTS true |m| Some(m.set(loc!("OBX-2"), "FT"));
    "string-for-text" REPORTS true |m| Some(m.set(loc!("OBX-2"), "ST"));
    "rich-text" REPORTS false |m| Some(
        m.set(loc!("OBX-2"), "RTF").set(loc!("OBX-5"), r"{\E\rtf1\E\ansi \E\b Impression:\E\b0  clear.}"),
    );
    "long-report" REPORTS true |m| {
        Some(m.set(loc!("OBX-5"), &r"The same sentence again.\X0D\\X0A\".repeat(1500)))
    };
    "status-cleared" REPORTS true |m| Some(m.set(loc!("OBX-11"), ""));
    "admission-and-sex-null" UPDATES true |m| {
        Some(m.set(loc!("PID-8"), "\"\"").set(loc!("PID-18"), "\"\""))
    };
    "name-null" UPDATES true |m| Some(m.set(loc!("PID-5"), "\"\""));
}

const OPTIONAL: [Location; 9] = [
    loc!("PID-7"),
    loc!("PID-18"),
    loc!("PV1-8"),
    loc!("PV1-20"),
    loc!("ORC-12"),
    loc!("ORC-17"),
    loc!("OBR-5"),
    loc!("OBR-20"),
    loc!("OBR-31"),
];

/// Makes a message odd: the `turn`-th oddity that it can have, from the first again after the
/// last one.
pub(super) fn make_odd(generated: &mut Generated, turn: usize, strict: bool) {
    let cases = EDGE_CASES.len();
    let in_turn = EDGE_CASES.iter().cycle().skip(turn % cases).take(cases);
    let fits =
        in_turn.filter(|case| case.kinds.contains(&generated.kind) && (case.strict || !strict));
    for case in fits {
        if let Some(odd) = (case.make)(Surgery::on(&generated.bytes)) {
            generated.bytes = odd.done();
            generated.expected.rule = case.rule;
            return;
        }
    }
}

#[cfg(test)]
pub(super) fn rules() -> impl Iterator<Item = &'static str> {
    EDGE_CASES.iter().map(|case| case.rule)
}
