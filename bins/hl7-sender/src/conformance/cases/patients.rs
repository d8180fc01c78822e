//! ADT^A08 and ADT^A40.

use super::super::case::{
    Basis::{Decision, Statement},
    Case, Step, accept, reject, reject_any,
};
use super::super::sheet::Maker;

/// A patient with that many orders.
fn patient(m: &mut Maker, orders: usize) -> (String, Vec<Step>) {
    let patient = m.patient();
    let steps = (0..orders).map(|_| {
        let accession = m.accession();
        accept(m.order("NW", &accession, &patient), "Order registered.")
    });
    let steps = steps.collect();
    (patient, steps)
}

fn updated(count: u32) -> String {
    format!("Patient information updated in {count} orders.")
}

fn moved(count: u32) -> String {
    format!("Patient merged, {count} orders moved.")
}

pub(super) static CASES: &[Case] = &[
    Case {
        number: "ADT-01",
        rule: "A08 updates all orders of the patient and says how many.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let (patient, mut steps) = patient(m, 2);
            steps.push(accept(m.update(&patient, "NEW^NAME"), &updated(2)));
            steps
        },
    },
    Case {
        number: "ADT-02",
        rule: "A08 for a patient that is not known is AA.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let patient = m.patient();
            vec![accept(m.update(&patient, "NEW^NAME"), &updated(0))]
        },
    },
    Case {
        number: "ADT-03",
        rule: "Patient id and name are mandatory in A08.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let patient = m.patient();
            vec![
                reject(m.update("", "NEW^NAME"), "Missing PID-3"),
                reject(m.update(&patient, ""), "Missing PID-5"),
            ]
        },
    },
    Case {
        number: "ADT-04",
        rule: "In A08 an empty field changes nothing and a null (\"\") clears: both are AA.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let (patient, mut steps) = patient(m, 1);
            let empty = m.update(&patient, "NEW^NAME").set("PID", 8, "");
            let null = m.update(&patient, "NEW^NAME").set("PID", 18, "\"\"");
            steps.push(accept(empty, &updated(1)));
            steps.push(accept(null, &updated(1)));
            steps
        },
    },
    Case {
        number: "ADT-05",
        rule: "A40 moves all orders of the old id to the new one and says how many.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let ((old, mut steps), (new, more)) = (patient(m, 2), patient(m, 1));
            steps.extend(more);
            steps.extend([
                accept(m.merge(&old, &new), &moved(2)),
                accept(m.update(&old, "NEW^NAME"), &updated(0)),
                accept(m.update(&new, "NEW^NAME"), &updated(3)),
            ]);
            steps
        },
    },
    Case {
        number: "ADT-06",
        rule: "A40 from an id that is not known is AA.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let (old, new) = (m.patient(), m.patient());
            vec![accept(m.merge(&old, &new), &moved(0))]
        },
    },
    Case {
        number: "ADT-07",
        rule: "A40 of an id into itself is AR.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let id = m.patient();
            vec![reject_any(m.merge(&id, &id))]
        },
    },
    Case {
        number: "ADT-08",
        rule: "Old and new id are mandatory in A40.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let id = m.patient();
            vec![
                reject(m.merge("", &id), "Missing MRG-1"),
                reject(m.merge(&id, ""), "Missing PID-3"),
            ]
        },
    },
    Case {
        number: "ADT-09",
        rule: "Two PID or two MRG are AR.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let (old, new) = (m.patient(), m.patient());
            vec![
                reject_any(m.update(&new, "NEW^NAME").twice("PID")),
                reject_any(m.merge(&old, &new).twice("MRG")),
            ]
        },
    },
];
