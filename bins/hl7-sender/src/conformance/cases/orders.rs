//! ORM^O01.

use super::super::case::{
    Basis::{Decision, Statement},
    Case,
    Preset::{Medsynapse, MedsynapseStrict},
    Step, accept, reject, reject_any,
};
use super::super::sheet::Maker;

const REGISTERED: &str = "Order registered.";
const UPDATED: &str = "Order updated.";
const CANCELLED: &str = "Order cancelled.";
const COMPLETED: &str = "Order completed.";

/// A new order, and then a message about it.
fn after_new(m: &mut Maker, then: impl FnOnce(&mut Maker, &str, &str) -> Vec<Step>) -> Vec<Step> {
    let (accession, patient) = (m.accession(), m.patient());
    let mut steps = vec![accept(m.order("NW", &accession, &patient), REGISTERED)];
    steps.extend(then(m, &accession, &patient));
    steps
}

fn missing(m: &mut Maker, segment: &str, number: usize, name: &str) -> Vec<Step> {
    let text = format!("Missing {name}");
    vec![
        reject(m.new_order().set(segment, number, ""), &text),
        reject(m.new_order().set(segment, number, "\"\""), &text),
    ]
}

fn unknown(m: &mut Maker, control: &str) -> Vec<Step> {
    let (accession, patient) = (m.accession(), m.patient());
    let text = format!("No order has accession number {accession}.");
    vec![reject(m.order(control, &accession, &patient), &text)]
}

macro_rules! mandatory {
    ($number:literal $segment:literal $field:literal $what:literal) => {
        mandatory!($number $segment $field concat!($segment, "-", $field), $what)
    };
    ($number:literal $segment:literal $field:literal $name:expr, $what:literal) => {
        Case {
            number: $number,
            rule: concat!($what, " (", $segment, "-", $field, ") is mandatory, and named where it is missing."),
            basis: Statement,
            preset: None,
            steps: |m| missing(m, $segment, $field, $name),
        }
    };
}

pub(super) static CASES: &[Case] = &[
    Case {
        number: "ORM-01",
        rule: "NW for an accession number that is not known registers an order.",
        basis: Statement,
        preset: None,
        steps: |m| vec![accept(m.new_order(), REGISTERED)],
    },
    Case {
        number: "ORM-02",
        rule: "NW for one that is known updates that order.",
        basis: Statement,
        preset: None,
        steps: |m| after_new(m, |m, a, p| vec![accept(m.order("NW", a, p), UPDATED)]),
    },
    Case {
        number: "ORM-03",
        rule: "CA deletes the order: afterwards it is not known.",
        basis: Statement,
        preset: None,
        steps: |m| {
            after_new(m, |m, a, p| {
                let gone = format!("No order has accession number {a}.");
                vec![
                    accept(m.order("CA", a, p), CANCELLED),
                    reject(m.order("CA", a, p), &gone),
                    accept(m.order("NW", a, p), REGISTERED),
                ]
            })
        },
    },
    Case {
        number: "ORM-04",
        rule: "CM completes the order.",
        basis: Statement,
        preset: None,
        steps: |m| after_new(m, |m, a, p| vec![accept(m.order("CM", a, p), COMPLETED)]),
    },
    Case {
        number: "ORM-05",
        rule: "CA and CM need the accession number and nothing else.",
        basis: Decision,
        preset: None,
        steps: |m| {
            after_new(m, |m, a, _| {
                vec![
                    accept(m.control("CM", a), COMPLETED),
                    accept(m.control("CA", a), CANCELLED),
                ]
            })
        },
    },
    Case {
        number: "ORM-06",
        rule: "CA for an accession number that is not known is AR.",
        basis: Decision,
        preset: None,
        steps: |m| unknown(m, "CA"),
    },
    Case {
        number: "ORM-07",
        rule: "CM for an accession number that is not known is AR.",
        basis: Decision,
        preset: None,
        steps: |m| unknown(m, "CM"),
    },
    Case {
        number: "ORM-08",
        rule: "XO updates an order that is known.",
        basis: Decision,
        preset: Some(Medsynapse),
        steps: |m| after_new(m, |m, a, p| vec![accept(m.order("XO", a, p), UPDATED)]),
    },
    Case {
        number: "ORM-09",
        rule: "XO for one that is not known is AR.",
        basis: Decision,
        preset: Some(Medsynapse),
        steps: |m| unknown(m, "XO"),
    },
    Case {
        number: "ORM-10",
        rule: "XO is AR.",
        basis: Decision,
        preset: Some(MedsynapseStrict),
        steps: |m| after_new(m, |m, a, p| vec![reject_any(m.order("XO", a, p))]),
    },
    Case {
        number: "ORM-11",
        rule: "Another order control is AR and named.",
        basis: Decision,
        preset: None,
        steps: |m| {
            vec![
                reject(
                    m.new_order().set("ORC", 1, "SC"),
                    "Order control SC is not supported.",
                ),
                reject_any(m.new_order().set("ORC", 1, "")),
            ]
        },
    },
    mandatory!("ORM-12" "PID" 3 "Patient ID"),
    mandatory!("ORM-13" "PID" 5 "Patient Name"),
    mandatory!("ORM-14" "PID" 8 "Patient Sex"),
    mandatory!("ORM-15" "OBR" 2 "Accession Number"),
    mandatory!("ORM-16" "OBR" 15 "Requested Procedure Description"),
    mandatory!("ORM-17" "OBR" 18 "Scheduled Station Name"),
    mandatory!("ORM-18" "OBR" 19 "Requested Procedure ID"),
    mandatory!("ORM-19" "OBR" 21 "Scheduled Station AE Title"),
    mandatory!("ORM-20" "OBR" 24 "Modality"),
    mandatory!("ORM-21" "OBR" 36 "Scheduled Procedure Step Start Date Time"),
    Case {
        number: "ORM-22",
        rule: "Scheduled Procedure Step ID and Description (OBR-4) are mandatory.",
        basis: Statement,
        preset: None,
        steps: |m| {
            vec![
                reject(m.new_order().set("OBR", 4, ""), "Missing OBR-4"),
                reject(m.new_order().set("OBR", 4, "CTCHEST"), "Missing OBR-4.2"),
                reject(m.new_order().set("OBR", 4, "^CT Chest"), "Missing OBR-4"),
            ]
        },
    },
    Case {
        number: "ORM-23",
        rule: "Everything that is missing is named at once, within 80 characters.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let four = [19, 21, 24, 36];
            let sheet = four.iter().fold(m.new_order(), |s, n| s.set("OBR", *n, ""));
            let bare = m.control("NW", "");
            vec![
                reject(sheet, "Missing OBR-19 OBR-21 OBR-24 OBR-36"),
                reject(bare, "Missing PID-3,5,8 OBR-2,4,15,18,19,21,24,36"),
            ]
        },
    },
    Case {
        number: "ORM-24",
        rule: "PID, PV1, ORC, OBR and ZDS may each stand once: twice is AR.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let mut sheets: Vec<_> = ["PID", "PV1", "ORC", "OBR"]
                .iter()
                .map(|name| m.new_order().twice(name))
                .collect();
            sheets.push(m.new_order().with("ZDS|1.2.3.4").with("ZDS|1.2.3.4"));
            sheets.into_iter().map(reject_any).collect()
        },
    },
    Case {
        number: "ORM-25",
        rule: "PV1 and ZDS may be missing.",
        basis: Decision,
        preset: None,
        steps: |m| vec![accept(m.new_order().without("PV1"), REGISTERED)],
    },
    Case {
        number: "ORM-26",
        rule: "The order of the segments behind MSH does not matter.",
        basis: Decision,
        preset: None,
        steps: |m| vec![accept(m.new_order().reversed(), REGISTERED)],
    },
    Case {
        number: "ORM-27",
        rule: "Segments that the statement does not name are ignored, repeated or not.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let notes = m.new_order().with("NTE|1||a note").with("NTE|2||a note");
            vec![accept(notes.with("DG1|1").with("ZZZ|local"), REGISTERED)]
        },
    },
    Case {
        number: "ORM-28",
        rule: "A Study Instance UID in ZDS is taken.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let sheet = m
                .new_order()
                .with("ZDS|1.2.826.0.1.3680043.2.1^^Application^DICOM");
            vec![accept(sheet, REGISTERED)]
        },
    },
    Case {
        number: "ORM-29",
        rule: "An accession number has at most 16 characters: longer is AR, never cut.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let (fits, patient) = (format!("{:X<16}", m.accession()), m.patient());
            let long = format!("{fits}X");
            m.remember(&[&fits, &long]);
            vec![
                accept(m.order("NW", &fits, &patient), REGISTERED),
                accept(m.control("CA", &fits), CANCELLED),
                reject_any(m.order("NW", &long, &patient)),
            ]
        },
    },
    Case {
        number: "ORM-30",
        rule: "A step id and an AE title have at most 16 characters, a patient id 64.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let patient = format!("{:X<64}", m.patient());
            let (long_id, accession) = (format!("{patient}X"), m.accession());
            vec![
                reject_any(m.new_order().set("OBR", 4, "STEPSTEPSTEPSTEP1^CT")),
                reject_any(m.new_order().set("OBR", 21, "AETITLEAETITLEAE1")),
                accept(m.order("NW", &accession, &patient), REGISTERED),
                reject_any(m.order("NW", &accession, &long_id)),
            ]
        },
    },
    Case {
        number: "ORM-31",
        rule: "Every modality code of the statement is taken.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let codes = [
                "CR", "CT", "DX", "ES", "GM", "IO", "MG", "MR", "NM", "PX", "RF", "OT", "PT", "SC",
                "SM", "US", "XA", "XC", "ECG",
            ];
            let sheets = codes.iter().map(|code| m.new_order().set("OBR", 24, code));
            sheets.map(|sheet| accept(sheet, REGISTERED)).collect()
        },
    },
    Case {
        number: "ORM-32",
        rule: "Another modality code is taken, too: DICOM has more.",
        basis: Decision,
        preset: None,
        steps: |m| vec![accept(m.new_order().set("OBR", 24, "KO"), REGISTERED)],
    },
    Case {
        number: "ORM-33",
        rule: "Escape sequences and optional fields do no harm.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let sheet = m.new_order().set("OBR", 4, r"CT\T\1^Chest \F\ abdomen");
            let sheet = sheet.set("PID", 7, "\"\"").set("PID", 18, "ADM1");
            let sheet = sheet.set("PV1", 8, "D1^REFERRER").set("PV1", 20, "70");
            vec![accept(sheet.set("OBR", 31, "^cough"), REGISTERED)]
        },
    },
    Case {
        number: "ORM-34",
        rule: "The accession number is the first component of OBR-2, whatever stands behind it.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let (accession, patient) = (m.accession(), m.patient());
            let sheet = m.order("NW", &accession, &patient);
            let sheet = sheet.set("OBR", 2, &format!("{accession}^RIS"));
            vec![
                accept(sheet, REGISTERED),
                accept(m.order("NW", &accession, &patient), UPDATED),
            ]
        },
    },
    Case {
        number: "ORM-35",
        rule: "A scheduled start (OBR-36) that is no date and time is AR.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let starts = ["TOMORROW", "20301350", "2030"];
            let sheets = starts.map(|start| m.new_order().set("OBR", 36, start));
            sheets.map(reject_any).into()
        },
    },
    Case {
        number: "ORM-36",
        rule: "A sex (PID-8) that table 0001 does not name is AR.",
        basis: Decision,
        preset: None,
        steps: |m| vec![reject_any(m.new_order().set("PID", 8, "Q"))],
    },
];
