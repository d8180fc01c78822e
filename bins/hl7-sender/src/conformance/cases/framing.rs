//! Frames: what stands around a message on the wire.

use super::super::case::{
    Basis::{Decision, Statement},
    Case,
    Preset::{Medsynapse, MedsynapseStrict},
    Step, Want, accept_any, framed, raw, want,
};
use super::super::sheet::Maker;

pub(super) static CASES: &[Case] = &[
    Case {
        number: "FRM-01",
        rule: "A message in one frame is answered by one frame.",
        basis: Statement,
        preset: None,
        steps: |m| vec![accept_any(m.new_order())],
    },
    Case {
        number: "FRM-02",
        rule: "A frame may come in any number of pieces.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let sheet = m.new_order();
            let frame = framed(&sheet.bytes());
            vec![Step::Wire {
                pieces: frame.chunks(23).map(<[u8]>::to_vec).collect(),
                wants: vec![want("AA", None, &sheet.control_id())],
                hang_up: false,
            }]
        },
    },
    Case {
        number: "FRM-03",
        rule: "Start block, content and end block may come in pieces of their own.",
        basis: Statement,
        preset: None,
        steps: |m| {
            let sheet = m.new_order();
            vec![Step::Wire {
                pieces: vec![vec![0x0B], sheet.bytes(), vec![0x1C], vec![b'\r']],
                wants: vec![want("AA", None, &sheet.control_id())],
                hang_up: false,
            }]
        },
    },
    Case {
        number: "FRM-04",
        rule: "Several messages may come over one connection, each after the answer to the last.",
        basis: Decision,
        preset: Some(Medsynapse),
        steps: |m| {
            let talk = (0..3).map(|_| {
                let sheet = m.new_order();
                (sheet.bytes(), want("AA", None, &sheet.control_id()))
            });
            vec![Step::Talk(talk.collect())]
        },
    },
    Case {
        number: "FRM-05",
        rule: "Two frames in one write are two messages, answered in their order.",
        basis: Decision,
        preset: Some(Medsynapse),
        steps: |m| {
            let (one, two) = (m.new_order(), m.new_order());
            vec![Step::Wire {
                pieces: vec![[framed(&one.bytes()), framed(&two.bytes())].concat()],
                wants: vec![
                    want("AA", None, &one.control_id()),
                    want("AA", None, &two.control_id()),
                ],
                hang_up: false,
            }]
        },
    },
    Case {
        number: "FRM-06",
        rule: "Two connections at the same time are both served.",
        basis: Decision,
        preset: Some(Medsynapse),
        steps: |m| {
            let (one, two) = (m.new_order(), m.new_order());
            vec![Step::Beside {
                first: (one.bytes(), want("AA", None, &one.control_id())),
                second: (two.bytes(), want("AA", None, &two.control_id())),
            }]
        },
    },
    Case {
        number: "FRM-07",
        rule: "The connection is closed after its one answer.",
        basis: Statement,
        preset: Some(MedsynapseStrict),
        steps: |m| {
            let sheet = m.new_order();
            vec![Step::ThenClosed(
                sheet.bytes(),
                want("AA", None, &sheet.control_id()),
            )]
        },
    },
    Case {
        number: "FRM-08",
        rule: "Line ends and zero bytes before the start block are skipped.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let sheet = m.new_order();
            vec![Step::Wire {
                pieces: vec![[b"\r\n\0\0\r\n".to_vec(), framed(&sheet.bytes())].concat()],
                wants: vec![want("AA", None, &sheet.control_id())],
                hang_up: false,
            }]
        },
    },
    Case {
        number: "FRM-09",
        rule: "A message that is cut off by the end of its connection is not answered.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let frame = framed(&m.new_order().bytes());
            let half = frame.get(..frame.len() / 2).unwrap_or_default().to_vec();
            vec![Step::Wire {
                pieces: vec![half],
                wants: vec![Want::Silence],
                hang_up: true,
            }]
        },
    },
    Case {
        number: "FRM-10",
        rule: "A start block inside a message is a framing error: nothing of it is accepted.",
        basis: Decision,
        preset: None,
        steps: |m| {
            let bytes = m.new_order().bytes();
            let (head, tail) = bytes.split_at(bytes.len() / 2);
            vec![Step::Wire {
                pieces: vec![framed(&[head, b"\x0B", tail].concat())],
                wants: vec![Want::NoAccept],
                hang_up: false,
            }]
        },
    },
    Case {
        number: "FRM-11",
        rule: "An empty frame holds no message: AR.",
        basis: Decision,
        preset: None,
        steps: |_| vec![raw(Vec::new(), want("AR", None, ""))],
    },
    Case {
        number: "FRM-12",
        rule: "A second connection at the same time is refused.",
        basis: Statement,
        preset: Some(MedsynapseStrict),
        steps: |m| {
            let (one, two) = (m.new_order(), m.new_order());
            vec![Step::Beside {
                first: (one.bytes(), want("AA", None, &one.control_id())),
                second: (two.bytes(), Want::Silence),
            }]
        },
    },
    Case {
        number: "FRM-13",
        rule: "After all of these the receiver still works.",
        basis: Statement,
        preset: None,
        steps: |m: &mut Maker| vec![accept_any(m.new_order())],
    },
];
