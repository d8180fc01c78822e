//! [`Generated`]: a message with what a broker should answer; [`Kind`] and [`Counts`].

use core::fmt;
use core::str::FromStr;
use std::borrow::Cow;

use hl7_message::AckCode;

/// The types of messages that are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// ORM^O01
    Order,
    /// ORU^R01
    Report,
    /// ADT^A08
    PatientUpdate,
    /// ADT^A40
    PatientMerge,
    /// ACK
    Acknowledgement,
}

impl Kind {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Order,
        Self::Report,
        Self::PatientUpdate,
        Self::PatientMerge,
        Self::Acknowledgement,
    ];

    /// Those that a broker takes: all but acknowledgements.
    pub const MESSAGES: [Self; 4] = [
        Self::Order,
        Self::Report,
        Self::PatientUpdate,
        Self::PatientMerge,
    ];

    /// MSH-9.2 of a message that the broker takes.
    pub(super) const fn event(self) -> &'static str {
        match self {
            Self::Order => "O01",
            Self::Report | Self::Acknowledgement => "R01",
            Self::PatientUpdate => "A08",
            Self::PatientMerge => "A40",
        }
    }

    /// Its name on command lines and in file names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Order => "orm",
            Self::Report => "oru",
            Self::PatientUpdate => "adt_a08",
            Self::PatientMerge => "adt_a40",
            Self::Acknowledgement => "ack",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Text that names no [`Kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message type: orm, oru, adt_a08, adt_a40 or ack")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or(UnknownKind)
    }
}

/// How many messages of each type a story has.
///
/// ```
/// use medsynapse::synth::{Counts, Kind};
///
/// let counts = Counts::each(&[Kind::Order, Kind::Report], 3).with(Kind::PatientMerge, 1);
/// assert_eq!(counts.of(Kind::Order), 3);
/// assert_eq!(counts.total(), 7);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u64; Kind::COUNT]);

impl Counts {
    /// `count` of each of these types, none of the others.
    pub fn each(kinds: &[Kind], count: u64) -> Self {
        kinds
            .iter()
            .fold(Self::default(), |counts, &kind| counts.with(kind, count))
    }

    /// `total` messages of these types, in the proportions of a working day: for ten orders there
    /// are six reports, three updates of patients, a merge and an acknowledgement.
    ///
    /// ```
    /// use medsynapse::synth::{Counts, Kind};
    ///
    /// let counts = Counts::of_a_day(&Kind::MESSAGES, 1000);
    /// assert_eq!(counts.total(), 1000);
    /// assert!(counts.of(Kind::Order) > counts.of(Kind::Report));
    /// ```
    pub fn of_a_day(kinds: &[Kind], total: u64) -> Self {
        const PROPORTIONS: [u64; Kind::COUNT] = [10, 6, 3, 1, 1];
        let asked = |kind: Kind| kinds.contains(&kind);
        let share = |kind: Kind| PROPORTIONS.get(kind as usize).copied().unwrap_or_default();
        let (mut parts, mut left) = (0, total);
        for kind in Kind::ALL.into_iter().filter(|&kind| asked(kind)) {
            parts += share(kind);
        }
        let mut counts = Self::default();
        for kind in Kind::ALL.into_iter().filter(|&kind| asked(kind)) {
            // A share of what is left, so that nothing is lost to rounding.
            let exact = u128::from(left) * u128::from(share(kind));
            let count = u64::try_from(exact.div_ceil(u128::from(parts))).unwrap_or(left);
            counts = counts.with(kind, count);
            left -= count;
            parts -= share(kind);
        }
        counts
    }

    /// The same with another count for one type.
    #[must_use]
    pub fn with(mut self, kind: Kind, count: u64) -> Self {
        if let Some(slot) = self.0.get_mut(kind as usize) {
            *slot = count;
        }
        self
    }

    /// How many of one type.
    pub fn of(&self, kind: Kind) -> u64 {
        self.0.get(kind as usize).copied().unwrap_or_default()
    }

    /// How many of all types.
    pub fn total(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// One less of a type.
    pub(super) fn take(&mut self, kind: Kind) {
        if let Some(slot) = self.0.get_mut(kind as usize) {
            *slot = slot.saturating_sub(1);
        }
    }
}

/// What a broker answers to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// What the message shows: `conformant`, or the rule that it stretches or breaks.
    pub rule: &'static str,
    /// MSA-1.
    pub code: AckCode,
    /// MSA-3, where the conformance statement of the broker fixes it.
    pub text: Option<Cow<'static, str>>,
}

/// One message of a story. `Debug` shows which it is, not what it says.
#[derive(Clone, PartialEq, Eq)]
pub struct Generated {
    /// Its type.
    pub kind: Kind,
    /// MSH-10
    pub control_id: String,
    /// OBR-2.1 of orders and reports.
    pub accession_number: Option<String>,
    /// PID-3.1
    pub patient_id: Option<String>,
    /// What a broker answers that took all messages of the story so far.
    pub expected: Expected,
    /// The message, every segment ended with CR.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generated")
            .field("kind", &self.kind)
            .field("control_id", &self.control_id)
            .field("accession_number", &self.accession_number)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_shared_without_a_rest() {
        for total in 0..200 {
            assert_eq!(Counts::of_a_day(&Kind::ALL, total).total(), total);
            assert_eq!(
                Counts::of_a_day(&[Kind::PatientMerge], total).total(),
                total
            );
        }
        assert_eq!(Counts::of_a_day(&[], 5).total(), 0);
        assert_eq!(
            Counts::of_a_day(&Kind::MESSAGES, u64::MAX).total(),
            u64::MAX
        );
    }

    #[test]
    fn names_go_there_and_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("adt".parse::<Kind>(), Err(UnknownKind));
    }
}
