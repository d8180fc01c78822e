//! What MSH decides, and bytes that are no message of ours.

use super::super::case::{
    Basis::{Decision, Statement},
    Case,
    Preset::{Medsynapse, MedsynapseStrict},
    Step, Want, accept_any, raw, reject_any, want,
};
use super::super::sheet::{Maker, Sheet};

fn with(m: &mut Maker, field: usize, value: &str) -> Sheet {
    m.new_order().set("MSH", field, value)
}

fn refused(m: &mut Maker, field: usize, values: &[&str]) -> Vec<Step> {
    let sheets = values.iter().map(|value| with(m, field, value));
    sheets.map(reject_any).collect()
}

fn accepted(m: &mut Maker, field: usize, values: &[&str]) -> Vec<Step> {
    let sheets = values.iter().map(|value| with(m, field, value));
    sheets.map(accept_any).collect()
}

pub(super) static CASES: &[Case] = &[
    Case {
        number: "MSH-01",
        rule: "What does not begin with MSH is AR with an empty MSA-2.",
        basis: Decision,
        preset: None,
        steps: |_| vec![raw(b"HELLO BROKER\r".to_vec(), want("AR", None, ""))],
    },
    Case {
        number: "MSH-02",
        rule: "Delimiters that are alike are AR.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let sheet = m.new_order();
            let text = String::from_utf8_lossy(&sheet.bytes()).replacen("^~\\&", "^~^&", 1);
            vec![raw(
                text.into_bytes(),
                want("AR", None, &sheet.control_id()),
            )]
        },
    },
    Case {
        number: "MSH-03",
        rule: "The delimiters are the ones that MSH names.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let sheet = m.new_order();
            let bytes = sheet.bytes_with(*b"#$%@*");
            vec![raw(bytes, want("AA", None, &sheet.control_id()))]
        },
    },
    Case {
        number: "MSH-04",
        rule: "Segments that end in LF or CR LF are read.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let sheets = ["\n", "\r\n"].map(|end| m.new_order().ended_by(end));
            sheets.map(accept_any).into()
        },
    },
    Case {
        number: "MSH-05",
        rule: "A message without MSH-10 is AR.",
        basis: Decision,
        preset: None,
        steps: |m| refused(m, 10, &[""]),
    },
    Case {
        number: "MSH-06",
        rule: "A message type that the statement does not name is AR.",
        basis: Decision,
        preset: None,
        steps: |m| refused(m, 9, &["SIU^S12", "MDM^T02", "XYZ"]),
    },
    Case {
        number: "MSH-07",
        rule: "An event that the statement does not name is AR.",
        basis: Decision,
        preset: None,
        steps: |m| refused(m, 9, &["ORM^O02", "ORU^R03", "ADT^A01", "ADT^A18"]),
    },
    Case {
        number: "MSH-08",
        rule: "MSH-11 may be P, T or D.",
        basis: Decision,
        preset: None,
        steps: |m| accepted(m, 11, &["P", "T", "D"]),
    },
    Case {
        number: "MSH-09",
        rule: "Another MSH-11 is AR.",
        basis: Decision,
        preset: None,
        steps: |m| refused(m, 11, &["X"]),
    },
    Case {
        number: "MSH-10",
        rule: "Versions 2.1 to 2.8 are read.",
        basis: Decision,
        preset: Some(Medsynapse),
        steps: |m| accepted(m, 12, &["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.8"]),
    },
    Case {
        number: "MSH-11",
        rule: "Versions other than 2.3 are AR.",
        basis: Decision,
        preset: Some(MedsynapseStrict),
        steps: |m| refused(m, 12, &["2.1", "2.2", "2.3.1", "2.5", "2.8"]),
    },
    Case {
        number: "MSH-12",
        rule: "A version that is not 2.x is AR.",
        basis: Decision,
        preset: None,
        steps: |m| refused(m, 12, &["3.0", "X"]),
    },
    Case {
        number: "MSH-13",
        rule: "MSH-15 and MSH-16 are ignored: one answer, in original mode.",
        basis: Statement,
        preset: None,
        steps: |m| {
            vec![
                accept_any(m.new_order().set("MSH", 15, "AL").set("MSH", 16, "AL")),
                accept_any(m.new_order().set("MSH", 15, "NE").set("MSH", 16, "NE")),
            ]
        },
    },
    Case {
        number: "MSH-14",
        rule: "A character set that nobody knows is AR.",
        basis: Decision,
        preset: None,
        steps: |m| refused(m, 18, &["KLINGON"]),
    },
    Case {
        number: "MSH-15",
        rule: "A name in the character set of MSH-18 is read.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let utf8 = m.new_order().set("MSH", 18, "UNICODE UTF-8");
            let utf8 = utf8.set("PID", 5, "MÜLLER^JÖRG");
            let sheet = m
                .new_order()
                .set("MSH", 18, "8859/1")
                .set("PID", 5, "M@LLER^J");
            let latin = sheet.bytes();
            let latin = latin.iter().map(|b| if *b == b'@' { 0xDC } else { *b });
            vec![
                accept_any(utf8),
                raw(latin.collect(), want("AA", None, &sheet.control_id())),
            ]
        },
    },
    Case {
        number: "MSH-16",
        rule: "Bytes that are not of the character set in MSH-18 are AR.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let sheet = m.new_order().set("MSH", 18, "UNICODE UTF-8");
            let sheet = sheet.set("PID", 5, "M@LLER^J");
            let bytes = sheet.bytes();
            let bytes = bytes.iter().map(|b| if *b == b'@' { 0xDC } else { *b });
            let want = want("AR", None, &sheet.control_id());
            vec![raw(bytes.collect(), want)]
        },
    },
    Case {
        number: "MSH-17",
        rule: "A batch is AR: one message at a time.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let sheet = m.new_order();
            let batch = [
                b"FHS|^~\\&\rBHS|^~\\&\r".to_vec(),
                sheet.bytes(),
                b"BTS|1\rFTS|1\r".to_vec(),
            ];
            vec![raw(batch.concat(), want("AR", None, ""))]
        },
    },
    Case {
        number: "MSH-18",
        rule: "A second MSH in one frame is AR: never one AA for two messages.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let (one, two) = (m.new_order(), m.new_order());
            let both = [one.bytes(), two.bytes()].concat();
            vec![raw(both, want("AR", None, &one.control_id()))]
        },
    },
    Case {
        number: "MSH-19",
        rule: "A part of a continued message is AR: what is unfinished is never accepted.",
        basis: Decision,
        preset: None,
        steps: |m| {
            vec![
                reject_any(m.new_order().with("DSC|PART2")),
                reject_any(m.new_order().set("MSH", 14, "PART2")),
            ]
        },
    },
    Case {
        number: "MSH-20",
        rule: "An acknowledgement is not acknowledged.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let id = m.control_id();
            let ack = m.new_order().set("MSH", 9, "ACK^O01");
            let others = ["PID", "PV1", "ORC", "OBR"];
            let ack = others.iter().fold(ack, |ack, name| ack.without(name));
            let ack = ack.with(&format!("MSA|AA|{id}|Thank you."));
            vec![raw(ack.bytes(), Want::Silence)]
        },
    },
    Case {
        number: "MSH-21",
        rule: "MSA-2 is MSH-10 as it was written, with its escapes and blanks.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let id = format!(r"{} \T\ 1", m.mark());
            accepted(m, 10, &[&id])
        },
    },
];
