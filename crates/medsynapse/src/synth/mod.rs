//! Stories of a radiology department: believable messages, the same for the same seed.
//!
//! A [`Synth`] makes orders, updates, completions, cancels, reports, changes of patients and
//! merges that belong together: whatever a message refers to came in a message before it, so a
//! broker with an empty database answers AA to every one. Time and seed are passed in; the same
//! seed gives the same bytes on every machine.
//!
//! ```
//! use hl7_message::Message;
//! use medsynapse::synth::{Counts, Kind, Options, Synth};
//! use medsynapse::{Profile, interpret};
//!
//! let start = "20260105070000".parse()?;
//! let mut synth = Synth::new(42, &start, Options::default());
//! let day: Vec<_> = synth.story(Counts::each(&Kind::MESSAGES, 5)).collect();
//! assert_eq!(day.len(), 20);
//! for generated in &day {
//!     let message = Message::parse(&generated.bytes).unwrap();
//!     assert!(interpret(&message, &Profile::default()).outcome.is_ok());
//! }
//!
//! let mut again = Synth::new(42, &start, Options::default());
//! assert!(again.story(Counts::each(&Kind::MESSAGES, 5)).eq(day));
//! # Ok::<(), hl7_message::InvalidTimestamp>(())
//! ```

mod clock;
mod cultures;
mod department;
mod desk;
mod dice;
mod edge_cases;
mod edit;
mod generated;
mod ids;
mod ledger;
mod order;
mod patient;
mod people;
mod procedures;
mod regions;
mod reports;
mod scribe;
mod sheet;
mod story;
mod surgery;
mod violations;
mod workflow;

use hl7_message::{Charset, Timestamp};

pub use edit::{Edit, InvalidEdit};
pub use generated::{Counts, Expected, Generated, Kind, UnknownKind};
pub use story::Story;

use clock::Moment;
use dice::Dice;
use ids::Ids;
use ledger::Ledger;
use people::Culture;
use scribe::Scribe;

/// How the messages of a run hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scenario {
    /// One story: every message refers to what came before it.
    #[default]
    Workflow,
    /// Every message stands alone, with an order and a patient of its own.
    Independent,
}

/// How well the messages keep to the rules of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conformance {
    /// As the conformance statement has it.
    #[default]
    Conformant,
    /// Odd and accepted: other delimiters, extra segments, nulls, long fields and the like. Each
    /// message shows one oddity, which [`Expected::rule`] names.
    EdgeCases,
    /// Refused: each message stands alone and breaks one rule, which [`Expected::rule`] names.
    Violations,
}

/// Who sends, and what the messages are like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// MSH-3
    pub sending_application: String,
    /// MSH-4
    pub sending_facility: String,
    /// MSH-5
    pub receiving_application: String,
    /// MSH-6
    pub receiving_facility: String,
    /// What the messages are written in; names of people follow it. A set in which every byte
    /// below 80 is ASCII.
    pub charset: Charset,
    /// How they hang together.
    pub scenario: Scenario,
    /// How well they keep to the rules.
    pub conformance: Conformance,
    /// Stay within the strict reading of the conformance statement: no XO.
    pub strict: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sending_application: "RIS".into(),
            sending_facility: "HOSPITAL".into(),
            receiving_application: "PACS_APP".into(),
            receiving_facility: "PACS_FACILITY".into(),
            charset: Charset::ASCII,
            scenario: Scenario::default(),
            conformance: Conformance::default(),
            strict: false,
        }
    }
}

/// A radiology department that goes on for as long as messages are asked of it.
#[derive(Debug)]
pub struct Synth {
    options: Options,
    cultures: Vec<&'static Culture>,
    dice: Dice,
    scribe: Scribe,
    ledger: Ledger,
    now: Moment,
    next_patient: u64,
    next_order: u64,
    next_admission: u64,
    /// How many messages of each type were made odd or wrong.
    turns: [usize; Kind::COUNT],
}

impl Synth {
    /// A department at `start`, of which it knows nothing yet. Ids of different seeds differ;
    /// times are written with the offset of `start`, if it has one.
    pub fn new(seed: u64, start: &Timestamp, options: Options) -> Self {
        Self {
            cultures: Culture::in_charset(options.charset),
            dice: Dice::new(seed),
            scribe: Scribe::new(Ids::new(seed), start.offset_minutes()),
            ledger: Ledger::default(),
            now: Moment::of(start),
            next_patient: 1,
            next_order: 1,
            next_admission: 1,
            turns: [0; Kind::COUNT],
            options,
        }
    }

    /// The names of the rules that [`Conformance::Violations`] breaks, in the order in which
    /// messages of this type break them.
    ///
    /// ```
    /// use medsynapse::synth::{Kind, Synth};
    ///
    /// assert!(Synth::rules(Kind::Order).any(|rule| rule == "missing-modality"));
    /// ```
    pub fn rules(kind: Kind) -> impl Iterator<Item = &'static str> {
        violations::rules(kind)
    }

    /// A message of this type with one rule broken, one of [`rules`](Self::rules); the broker
    /// refuses it with AR. `None` where messages of this type have no such rule.
    ///
    /// ```
    /// use medsynapse::synth::{Kind, Synth};
    ///
    /// let order = b"MSH|^~\\&|A|B|C|D|2026||ORM^O01|1|P|2.3\rPID|1||7\rORC|NW\r";
    /// let broken = Synth::broken(Kind::Order, order, "missing-pid").unwrap();
    /// assert_eq!(broken, b"MSH|^~\\&|A|B|C|D|2026||ORM^O01|1|P|2.3\rORC|NW\r");
    /// assert_eq!(Synth::broken(Kind::Report, order, "missing-pid"), None);
    /// ```
    pub fn broken(kind: Kind, message: &[u8], rule: &str) -> Option<Vec<u8>> {
        violations::broken(kind, message, rule)
    }

    /// The next messages of the story, as many of each type as `counts` say, in an order that a
    /// broker accepts. What was told before goes on.
    pub fn story(&mut self, counts: Counts) -> Story<'_> {
        Story::new(self, counts)
    }
}

#[cfg(test)]
mod tests;
