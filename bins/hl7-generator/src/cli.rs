//! [`Cli`]: the options, and the text of `--help`.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::{ArgAction, Args, Parser, ValueEnum};
use hl7_cli::{Color, Page, units};
use hl7_message::{Charset, Timestamp};
use medsynapse::synth::{Conformance, Edit, Kind, Scenario};

use crate::moment::moment;

const EXAMPLES: &str = "\
Examples:
  Five messages of each type, in sample_messages.txt:
    hl7-generator
  A hundred orders and reports, the same again on any machine:
    hl7-generator --count 100 --types orm,oru --seed 7 --output orders.txt
  A working day as MLLP frames, straight to a broker:
    hl7-generator --total 1000 --format mllp --output - | nc localhost 2575
  Ten messages a second into another program:
    hl7-generator --total 600 --rate 10/s --output - | hl7-sender --input -
  One patient for all, and a name with an umlaut:
    hl7-generator --types orm --set PID-3=PAT1 --set PID-5.1=MÜLLER --charset utf-8
  Messages that a broker must refuse, and what it should answer to each:
    hl7-generator --profile violations --count 40 --output bad.txt --expected answers.ndjson

Exit codes: 0 all messages written, or a reader that has seen enough; 2 wrong options, or output
that cannot be written; 130 interrupted.";

/// Makes HL7 v2.3 messages of a believable radiology day.
///
/// The messages of one run tell one story: updates, cancels, completions, reports and merges
/// refer to orders and patients of the same run, in an order that a broker with an empty database
/// accepts completely. The same seed gives the same bytes on every machine.
#[derive(Debug, Parser)]
#[command(name = "hl7-generator", version, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) page: Option<Page>,
    #[command(flatten)]
    pub(crate) messages: MessageArgs,
    #[command(flatten)]
    pub(crate) story: StoryArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Which messages.
#[derive(Debug, Args)]
#[command(next_help_heading = "Messages")]
pub(crate) struct MessageArgs {
    /// How many messages of each type.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) count: u64,

    /// How many messages in all, in the proportions of a working day.
    #[arg(long, value_name = "N", conflicts_with = "count")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) total: Option<u64>,

    /// Which types, apart by commas.
    #[arg(
        long,
        short = 't',
        value_name = "TYPE",
        value_delimiter = ',',
        default_value = "all"
    )]
    #[arg(value_parser = TrimmedType, ignore_case = true)]
    pub(crate) types: Vec<Type>,

    /// Put a value into every message that has the segment; may be given several times.
    ///
    /// `PID-5.1=DOE` writes data and escapes it; `PID-5=DOE^JANE` writes a whole field as it is.
    #[arg(long, value_name = "PLACE=VALUE")]
    pub(crate) set: Vec<Edit>,

    /// Write each message by this template instead: a text in the syntax of Jinja.
    ///
    /// `{{ field("PID-5.1") }}` is a value of the generated message, escaped as it is there; also
    /// `control_id`, `accession_number`, `patient_id`, `type` and `number`.
    #[arg(long, value_name = "FILE")]
    pub(crate) template: Option<PathBuf>,

    /// The character set: ascii, utf-8, 8859/1 to 8859/9 or 8859/15. Names of people follow it.
    #[arg(long, value_name = "NAME", default_value = "ascii", value_parser = charset)]
    pub(crate) charset: Charset,
}

/// What the story is made from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Story")]
pub(crate) struct StoryArgs {
    /// The seed; without it one is chosen and told.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// When the story begins: 20260105070000, 2026-01-05T07:00:00 or with an offset. Without it,
    /// a run with a seed begins on 2026-01-05 at seven, another one now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) start_time: Option<Timestamp>,

    /// How the messages hang together.
    #[arg(long, value_name = "NAME", value_enum, default_value_t = ScenarioName::Workflow)]
    pub(crate) scenario: ScenarioName,

    /// How well the messages keep to the rules of the broker.
    ///
    /// What it should answer to odd and to wrong messages is written beside them, see --expected.
    #[arg(long, value_name = "NAME", value_enum, default_value_t = ProfileName::Conformant)]
    pub(crate) profile: ProfileName,

    /// Keep to the strict reading of the conformance statement: updates as NW, never as XO.
    #[arg(long)]
    pub(crate) strict: bool,

    /// MSH-3, the application that sends.
    #[arg(long, value_name = "NAME", default_value = "RIS")]
    pub(crate) sending_application: String,

    /// MSH-4, the facility that sends.
    #[arg(long, value_name = "NAME", default_value = "HOSPITAL")]
    pub(crate) sending_facility: String,

    /// MSH-5, the application that receives.
    #[arg(long, value_name = "NAME", default_value = "PACS_APP")]
    pub(crate) receiving_application: String,

    /// MSH-6, the facility that receives.
    #[arg(long, value_name = "NAME", default_value = "PACS_FACILITY")]
    pub(crate) receiving_facility: String,
}

/// Where it goes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// The file to write, or the directory with --format dir; `-` is standard output.
    #[arg(
        long,
        short = 'o',
        value_name = "FILE",
        default_value = "sample_messages.txt"
    )]
    pub(crate) output: PathBuf,

    /// How messages are told apart.
    #[arg(long, short = 'f', value_name = "NAME", value_enum, default_value_t = Format::BlankLine)]
    pub(crate) format: Format,

    /// Write what a broker should answer to each message: one JSON object a line.
    ///
    /// With --profile violations it is written anyway, to the output's name with
    /// `.expected.ndjson` behind.
    #[arg(long, value_name = "FILE")]
    pub(crate) expected: Option<PathBuf>,

    /// Write no faster than this: 500/s, 30/m.
    #[arg(long, value_name = "RATE", value_parser = units::rate)]
    pub(crate) rate: Option<f64>,

    /// The last line as a JSON object.
    #[arg(long)]
    pub(crate) json: bool,

    /// Only the last line and errors.
    #[arg(long, short = 'q', conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more: how many messages of each type, and how long it took.
    #[arg(long, short = 'v', action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Colours; `auto` follows the terminal and `NO_COLOR`.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

/// A type of messages on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Type {
    /// ORM^O01, orders
    #[value(name = "orm")]
    Order,
    /// ORU^R01, reports
    #[value(name = "oru")]
    Report,
    /// ADT^A08, changes of patients
    #[value(name = "adt_a08", alias = "adt-a08", alias = "a08")]
    PatientUpdate,
    /// ADT^A40, merges of patients
    #[value(name = "adt_a40", alias = "adt-a40", alias = "a40")]
    PatientMerge,
    /// ACK, acknowledgements
    #[value(name = "ack")]
    Acknowledgement,
    /// All of them but ack
    #[value(name = "all")]
    All,
}

/// Reads a [`Type`] with blanks around it: people write a blank behind a comma.
#[derive(Debug, Clone)]
struct TrimmedType;

impl TypedValueParser for TrimmedType {
    type Value = Type;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Type, clap::Error> {
        let trimmed = value.to_str().map_or(value, |text| OsStr::new(text.trim()));
        EnumValueParser::<Type>::new().parse_ref(command, arg, trimmed)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue>>> {
        let values = Type::value_variants().iter();
        Some(Box::new(values.filter_map(ValueEnum::to_possible_value)))
    }
}

impl Type {
    /// The types that these names stand for, each once.
    pub(crate) fn kinds(types: &[Self]) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = types
            .iter()
            .flat_map(|name| match name {
                Self::Order => &[Kind::Order][..],
                Self::Report => &[Kind::Report],
                Self::PatientUpdate => &[Kind::PatientUpdate],
                Self::PatientMerge => &[Kind::PatientMerge],
                Self::Acknowledgement => &[Kind::Acknowledgement],
                Self::All => &Kind::MESSAGES,
            })
            .copied()
            .collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }
}

/// A scenario on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScenarioName {
    /// One story, every message refers to what came before
    Workflow,
    /// Every message stands alone
    Independent,
}

impl From<ScenarioName> for Scenario {
    fn from(name: ScenarioName) -> Self {
        match name {
            ScenarioName::Workflow => Self::Workflow,
            ScenarioName::Independent => Self::Independent,
        }
    }
}

/// A profile on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileName {
    /// As the conformance statement has it: every message is accepted
    Conformant,
    /// Odd and accepted: other delimiters, extra segments, nulls, long fields and the like
    EdgeCases,
    /// Refused: each message stands alone and breaks one rule
    Violations,
}

impl From<ProfileName> for Conformance {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Conformant => Self::Conformant,
            ProfileName::EdgeCases => Self::EdgeCases,
            ProfileName::Violations => Self::Violations,
        }
    }
}

/// How messages are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Segments one a line, messages apart by a blank line
    BlankLine,
    /// Segments ended with CR, as on the wire, without anything between messages
    Cr,
    /// MLLP frames
    Mllp,
    /// One JSON object a line, the message in `message`
    Ndjson,
    /// One file a message in a new directory
    Dir,
}

impl Cli {
    /// Reads the command line; ends the program where it asks for help or cannot be read.
    pub(crate) fn read() -> Self {
        let cli = Self::parse();
        cli.output.color.apply();
        cli
    }
}

/// A character set in which a message can travel.
fn charset(name: &str) -> Result<Charset, String> {
    let known = Charset::from_msh18(name.as_bytes());
    known
        .ok()
        .filter(Charset::is_ascii_superset)
        .ok_or_else(|| "write ascii, utf-8, or 8859/1 to 8859/9 and 8859/15".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_page_of_the_reference_is_the_command_line() {
        crate::reference::check(Cli::command());
    }

    #[test]
    fn the_options_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn types_are_taken_once() {
        let kinds = Type::kinds(&[Type::Report, Type::All, Type::Order]);
        assert_eq!(kinds, Kind::MESSAGES);
        assert_eq!(
            Type::kinds(&[Type::Acknowledgement]),
            [Kind::Acknowledgement]
        );
    }

    #[test]
    fn a_blank_behind_a_comma_does_not_matter() {
        let read = |text| {
            Cli::try_parse_from(["hl7-generator", "--types", text]).map(|c| c.messages.types)
        };
        let two = vec![Type::Order, Type::Report];
        assert_eq!(read("orm, ORU").unwrap(), two);
        let error = read("orm, orx").unwrap_err().to_string();
        assert!(
            error.contains("orm") && error.contains("adt_a08"),
            "{error}"
        );
    }

    #[test]
    fn sets_that_cannot_travel_are_refused() {
        assert!(charset("8859/1").is_ok() && charset("utf-8").is_ok());
        assert!(charset("UNICODE UTF-16").is_err() && charset("ISO IR87").is_err());
    }
}
