//! [`Case`]: one rule of the statement, the messages that ask about it, the answers that follow it.

#![expect(
    clippy::needless_pass_by_value,
    reason = "a table of cases reads better without references"
)]

use clap::ValueEnum;

use super::sheet::{Maker, Sheet};

/// Where a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basis {
    /// The conformance statement or MLLP itself says so.
    Statement,
    /// The statement is silent; this is how this broker decided.
    Decision,
}

impl Basis {
    /// In reports.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::Decision => "decision",
        }
    }
}

/// Which of the two presets the receiver follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// Many connections, many messages on each, some leniency.
    Medsynapse,
    /// The statement's limits: one connection, one message on it, nothing lenient.
    MedsynapseStrict,
}

impl Preset {
    /// As it is written on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Medsynapse => "medsynapse",
            Self::MedsynapseStrict => "medsynapse-strict",
        }
    }
}

/// What must come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Want {
    /// One acknowledgement.
    Answer {
        /// MSA-1.
        code: &'static str,
        /// MSA-3, as this broker decided it; `None`: any reason.
        text: Option<String>,
        /// MSA-2.
        control_id: String,
    },
    /// No byte: the connection stays silent or is closed.
    Silence,
    /// Silence, or a refusal.
    NoAccept,
}

impl Want {
    /// Whether there has to be an answer.
    pub(super) const fn is_answer(&self) -> bool {
        matches!(self, Self::Answer { .. })
    }
}

/// One thing to do, over a connection of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Writes these pieces, with a moment between them, and compares what comes back, in order.
    Wire {
        pieces: Vec<Vec<u8>>,
        wants: Vec<Want>,
        /// Closes our side after the last piece.
        hang_up: bool,
    },
    /// Sends frames one by one over one connection, each after the answer to the one before.
    Talk(Vec<(Vec<u8>, Want)>),
    /// Sends the last frame again: the same code and text must come under another MSH-10.
    Again,
    /// Opens a connection, and before it is used opens and uses a second beside it.
    Beside {
        first: (Vec<u8>, Want),
        second: (Vec<u8>, Want),
    },
    /// Sends one frame and expects the receiver to close after its answer.
    ThenClosed(Vec<u8>, Want),
}

/// One numbered case.
#[derive(Debug)]
pub(super) struct Case {
    /// `ORM-01`.
    pub(super) number: &'static str,
    /// The rule, as a sentence.
    pub(super) rule: &'static str,
    pub(super) basis: Basis,
    /// The only preset that it is about; `None` for both.
    pub(super) preset: Option<Preset>,
    pub(super) steps: fn(&mut Maker) -> Vec<Step>,
}

/// AA with that text.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a table of cases reads better so"
)]
pub(super) fn accept(sheet: Sheet, text: &str) -> Step {
    answered(&sheet, "AA", Some(text))
}

/// AA with any text.
pub(super) fn accept_any(sheet: Sheet) -> Step {
    answered(&sheet, "AA", None)
}

/// AR with that text.
pub(super) fn reject(sheet: Sheet, text: &str) -> Step {
    answered(&sheet, "AR", Some(text))
}

/// AR with any reason.
pub(super) fn reject_any(sheet: Sheet) -> Step {
    answered(&sheet, "AR", None)
}

fn answered(sheet: &Sheet, code: &'static str, text: Option<&str>) -> Step {
    let want = want(code, text, &sheet.control_id());
    raw(sheet.bytes(), want)
}

/// One frame with any content.
pub(super) fn raw(bytes: Vec<u8>, want: Want) -> Step {
    Step::Talk(vec![(bytes, want)])
}

/// An acknowledgement.
pub(super) fn want(code: &'static str, text: Option<&str>, control_id: &str) -> Want {
    Want::Answer {
        code,
        text: text.map(str::to_owned),
        control_id: control_id.to_owned(),
    }
}

/// A frame around bytes.
pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    [b"\x0B", bytes, b"\x1C\r"].concat()
}
