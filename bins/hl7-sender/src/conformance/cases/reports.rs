//! ORU^R01 from the RIS.

use super::super::case::{
    Basis::{Decision, Statement},
    Case,
    Preset::{Medsynapse, MedsynapseStrict},
    Step, accept, reject, reject_any,
};
use super::super::sheet::{Maker, Sheet};

const REGISTERED: &str = "Report registered.";
const UPDATED: &str = "Report updated.";

/// A report on an order that was registered before.
fn on_order(m: &mut Maker) -> (Step, Sheet) {
    let (accession, patient) = (m.accession(), m.patient());
    let order = accept(m.order("NW", &accession, &patient), "Order registered.");
    (order, m.report(&accession, &patient, "Normal study."))
}

fn format(m: &mut Maker, format: &str) -> (Step, Sheet) {
    let (order, report) = on_order(m);
    (order, report.set("OBX", 2, format))
}

pub(super) static CASES: &[Case] = &[
    Case {
        number: "ORU-01",
        rule: "The first report of a study is registered, the next one updates it.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let (accession, patient) = (m.accession(), m.patient());
            vec![
                accept(m.order("NW", &accession, &patient), "Order registered."),
                accept(m.report(&accession, &patient, "First."), REGISTERED),
                accept(m.report(&accession, &patient, "Second."), UPDATED),
            ]
        },
    },
    Case {
        number: "ORU-02",
        rule: "A report of an order that is not known is kept.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let (accession, patient) = (m.accession(), m.patient());
            vec![
                accept(m.report(&accession, &patient, "Early."), REGISTERED),
                reject(
                    m.control("CM", &accession),
                    &format!("No order has accession number {accession}."),
                ),
            ]
        },
    },
    Case {
        number: "ORU-03",
        rule: "More than one OBX is AR.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let (order, report) = on_order(m);
            vec![order, reject_any(report.twice("OBX"))]
        },
    },
    Case {
        number: "ORU-04",
        rule: "Plain text (TX) is taken, with line ends and delimiters escaped.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let (order, report) = on_order(m);
            let text = r"One \F\ two \S\ three \T\ four \R\ five.\X0D\\X0A\Next line.\X0D\Last.";
            vec![order, accept(report.set("OBX", 5, text), REGISTERED)]
        },
    },
    Case {
        number: "ORU-05",
        rule: "ST and FT are taken, too.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let formats = ["ST", "FT"].map(|code| format(m, code));
            let steps = formats.map(|(order, report)| [order, accept(report, REGISTERED)]);
            steps.into_iter().flatten().collect()
        },
    },
    Case {
        number: "ORU-06",
        rule: "Rich text (RTF) is taken.",
        basis: Decision,
        preset: Some(Medsynapse),
        steps: |m| {
            let (order, report) = format(m, "RTF");
            let text = r"{\E\rtf1\E\ansi Normal study.}";
            vec![order, accept(report.set("OBX", 5, text), REGISTERED)]
        },
    },
    Case {
        number: "ORU-07",
        rule: "Rich text (RTF) is AR.",
        basis: Decision,
        preset: Some(MedsynapseStrict),
        steps: |m| {
            let (order, report) = format(m, "RTF");
            vec![order, reject_any(report)]
        },
    },
    Case {
        number: "ORU-08",
        rule: "Another format is AR.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let (order, report) = format(m, "ED");
            vec![order, reject_any(report)]
        },
    },
    Case {
        number: "ORU-09",
        rule: "Report text (OBX-5) and report date (OBX-14) are mandatory.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let (order, report) = on_order(m);
            let id = m.control_id();
            let dateless = report.clone().set("OBX", 14, "").set("MSH", 10, &id);
            vec![
                order,
                reject(report.set("OBX", 5, ""), "Missing OBX-5"),
                reject(dateless, "Missing OBX-14"),
            ]
        },
    },
    Case {
        number: "ORU-10",
        rule: "Accession number and patient id are mandatory in a report.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let (accession, patient) = (m.accession(), m.patient());
            let one = m.report(&accession, &patient, "Text.").set("OBR", 2, "");
            let two = m.report(&accession, &patient, "Text.").set("PID", 3, "");
            vec![reject(one, "Missing OBR-2"), reject(two, "Missing PID-3")]
        },
    },
    Case {
        number: "ORU-11",
        rule: "The other order fields need not be there in a report.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let (order, report) = on_order(m);
            let bare = [4, 15, 18, 19, 21, 24, 36];
            let report = bare
                .iter()
                .fold(report, |s, number| s.set("OBR", *number, ""));
            let report = report.set("PID", 5, "").set("PID", 8, "");
            vec![order, accept(report, REGISTERED)]
        },
    },
    Case {
        number: "ORU-12",
        rule: "A report of many lines and repetitions is taken whole.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let (order, report) = on_order(m);
            let text = "A line of a long report.~".repeat(2_000);
            vec![order, accept(report.set("OBX", 5, &text), REGISTERED)]
        },
    },
    Case {
        number: "ORU-13",
        rule: "PID, PV1, ORC and OBR of a report may each stand once: twice is AR.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let twice = |name: &&str| {
                let (accession, patient) = (m.accession(), m.patient());
                let report = m.report(&accession, &patient, "Normal study.");
                reject_any(report.twice(name))
            };
            ["PID", "PV1", "ORC", "OBR"].iter().map(twice).collect()
        },
    },
];
