//! [`Plan`]: a command line that was checked and filled in.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;

use anyhow::bail;
use chrono::{Datelike, Local, Timelike};
use hl7_message::{Charset, Timestamp};
use medsynapse::synth::{Conformance, Counts, Edit, Options};

use crate::cli::{Cli, Format, Type};
use crate::output::is_stdout;

/// When a run with a seed begins if nobody says: a Monday at seven, so that the seed alone
/// decides every byte.
const FIXED_START: (u16, u8, u8) = (2026, 1, 5);

/// Seeds that are chosen stay below this, where each has ids of its own.
const SEEDS: u64 = 2_000_000_000;

/// What is made, and where it goes.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// The seed was chosen here: the person has to be told.
    pub(crate) seed_is_new: bool,
    pub(crate) start: Timestamp,
    pub(crate) counts: Counts,
    pub(crate) options: Options,
    pub(crate) edits: Vec<Edit>,
    pub(crate) template: Option<PathBuf>,
    pub(crate) format: Format,
    pub(crate) output: PathBuf,
    pub(crate) expected: Option<PathBuf>,
    pub(crate) rate: Option<f64>,
}

impl Plan {
    pub(crate) fn new(cli: &Cli) -> anyhow::Result<Self> {
        let (messages, story, output) = (&cli.messages, &cli.story, &cli.output);
        let kinds = Type::kinds(&messages.types);
        let counts = match messages.total {
            Some(total) => Counts::of_a_day(&kinds, total),
            None => Counts::each(&kinds, messages.count),
        };
        let charset = messages.charset;
        for edit in &messages.set {
            edit.check(charset)?;
        }
        if output.format == Format::Ndjson && charset != Charset::ASCII && charset != Charset::UTF_8
        {
            bail!("--format ndjson is written in UTF-8: leave out --charset, or use utf-8");
        }
        if messages.template.is_some() && charset != Charset::ASCII && charset != Charset::UTF_8 {
            bail!("--template is written in UTF-8: leave out --charset, or use utf-8");
        }
        let mut path = output.output.clone();
        if output.format == Format::Dir {
            if is_stdout(&path) {
                bail!("--format dir writes files: name a directory with --output");
            }
            if path.as_os_str() == "sample_messages.txt" {
                path = "sample_messages".into();
            }
        }
        let conformance = Conformance::from(story.profile);
        let mut expected = output.expected.clone();
        if expected.is_none() && conformance == Conformance::Violations && !is_stdout(&path) {
            let mut name = path.clone().into_os_string();
            name.push(".expected.ndjson");
            expected = Some(name.into());
        }
        if expected.as_deref() == Some(path.as_path()) && !is_stdout(&path) {
            bail!("--output and --expected are the same file: name another one for one of them");
        }
        if output.expected.as_deref().is_some_and(is_stdout) && is_stdout(&path) {
            bail!("--output and --expected cannot both be standard output: name a file for one");
        }
        let start = story.start_time.or_else(|| {
            if story.seed.is_some() {
                Timestamp::from_civil(FIXED_START, (7, 0, 0))
            } else {
                now()
            }
        });
        let Some(start) = start else {
            bail!("the clock of this machine cannot be read: name a moment with --start-time");
        };
        Ok(Self {
            seed: story.seed.unwrap_or_else(random_seed),
            seed_is_new: story.seed.is_none(),
            start,
            counts,
            options: Options {
                sending_application: story.sending_application.clone(),
                sending_facility: story.sending_facility.clone(),
                receiving_application: story.receiving_application.clone(),
                receiving_facility: story.receiving_facility.clone(),
                charset,
                scenario: story.scenario.into(),
                conformance,
                strict: story.strict,
            },
            edits: messages.set.clone(),
            template: messages.template.clone(),
            format: output.format,
            output: path,
            expected,
            rate: output.rate,
        })
    }
}

/// The one place that asks the clock.
fn now() -> Option<Timestamp> {
    let now = Local::now();
    let small = |part: u32| u8::try_from(part).ok();
    Timestamp::from_civil(
        (
            u16::try_from(now.year()).ok()?,
            small(now.month())?,
            small(now.day())?,
        ),
        (
            small(now.hour())?,
            small(now.minute())?,
            small(now.second())?,
        ),
    )
}

/// The one place that asks for chance: the keys of a hash map come from the operating system.
fn random_seed() -> u64 {
    RandomState::new().hash_one(0) % SEEDS
}
