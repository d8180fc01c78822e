//! The same message again, and the same id for another one.

use super::super::case::{
    Basis::Decision,
    Case,
    Preset::{Medsynapse, MedsynapseStrict},
    Step, accept, accept_any, reject_any,
};

pub(super) static CASES: &[Case] = &[
    Case {
        number: "DUP-01",
        rule: "A message that comes again gets its first answer again, under a new MSH-10.",
        basis: Decision,
        preset: None,
        steps: |m| vec![accept(m.new_order(), "Order registered."), Step::Again],
    },
    Case {
        number: "DUP-02",
        rule: "It is not applied again: a cancellation that comes twice is answered alike.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let (accession, patient) = (m.accession(), m.patient());
            vec![
                accept(m.order("NW", &accession, &patient), "Order registered."),
                accept(m.control("CA", &accession), "Order cancelled."),
                Step::Again,
            ]
        },
    },
    Case {
        number: "DUP-03",
        rule: "A refused message that comes again is refused alike.",
        basis: Decision,
        preset: None,
        steps: |m| vec![reject_any(m.new_order().set("OBR", 24, "")), Step::Again],
    },
    Case {
        number: "DUP-04",
        rule: "A control id that comes again with other content is another message.",
        basis: Decision,
        preset: Some(Medsynapse),
        steps: |m| {
            let first = m.new_order();
            let second = m.new_order().set("MSH", 10, &first.control_id());
            vec![accept_any(first), accept(second, "Order registered.")]
        },
    },
    Case {
        number: "DUP-05",
        rule: "A control id that comes again with other content is AR.",
        basis: Decision,
        preset: Some(MedsynapseStrict),
        steps: |m| {
            let first = m.new_order();
            let second = m.new_order().set("MSH", 10, &first.control_id());
            vec![accept_any(first), reject_any(second)]
        },
    },
];
