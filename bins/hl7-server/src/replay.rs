//! `hl7-server replay`.

use std::io::{IsTerminal, Write as _};
use std::path::Path;

use anyhow::{Context, Result};
use medsynapse_broker::{replay, replay_log};

use crate::config::Config;

/// Rebuilds everything from the log of the file or of the shared database, into `into` or a directory that is removed again, and says
/// where it differs from what is kept. Gives whether nothing does.
///
/// # Errors
///
/// The log cannot be read, or there is no room to rebuild.
pub(crate) fn run(config: &Config, into: Option<&Path>) -> Result<bool> {
    let data_dir = &config.data_dir;
    // Beside the data, so that it is protected as well: it holds the same patients.
    let scratch = match into {
        Some(_) => None,
        None => Some(
            tempfile::Builder::new()
                .prefix("replay-")
                .tempdir_in(data_dir)
                .with_context(|| format!("making a directory in {}", data_dir.display()))?,
        ),
    };
    let target = match (into, &scratch) {
        (Some(into), _) => into,
        (None, Some(scratch)) => scratch.path(),
        (None, None) => unreachable!("one of them was just made"),
    };
    let keys = config.encryption.keys.as_ref();
    let shown = std::io::stderr().is_terminal();
    let profile = &config.profile;
    let progress = |entries| {
        if shown {
            eprint!("\r{entries} entries");
        }
    };
    let (replayed, at) = match &config.database {
        Some(database) => {
            let log = database.log()?;
            let replayed = replay_log(&log, target, profile, progress);
            (replayed, format!("database {}", database.at()))
        }
        None => (
            replay(data_dir, keys, target, profile, progress),
            format!("{} (--data-dir or data_dir)", data_dir.display()),
        ),
    };
    if shown {
        eprintln!();
    }
    let replayed = replayed.with_context(|| format!("replaying the log of {at}"))?;
    let comparison = &replayed.comparison;
    let mut out = std::io::stdout().lock();
    for difference in &comparison.differences {
        writeln!(out, "{difference}")?;
    }
    let entries = replayed.entries;
    if let Some(first) = replayed.first.filter(|first| *first > 1) {
        eprintln!("The log begins with entry {first}; older ones were purged.");
    }
    let told = comparison.differences.len() as u64;
    if comparison.different > told {
        eprintln!(
            "{} further differences are not listed.",
            comparison.different - told
        );
    }
    if comparison.different == 0 {
        eprintln!(
            "{entries} entries lead to what is kept: {} rows are equal.",
            comparison.rows
        );
    } else {
        eprintln!(
            "{} of {} rows differ from what {entries} entries lead to. Messages that were received \
             under other settings are read otherwise now; else keep the log and ask for help.",
            comparison.different, comparison.rows
        );
    }
    Ok(comparison.different == 0)
}
