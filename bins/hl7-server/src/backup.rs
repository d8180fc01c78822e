//! `hl7-server backup FILE`.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, Result};

use crate::config::Config;

/// Copies the database and says what is in the copy.
///
/// # Errors
///
/// There is no whole copy.
pub(crate) fn backup(config: &Config, file: &Path) -> Result<()> {
    let data_dir = &config.data_dir;
    let keys = config.encryption.keys.as_ref();
    let shown = std::io::stderr().is_terminal();
    let mut last = 101;
    let summary = medsynapse_store::backup(data_dir, file, keys, |done, pages| {
        let percent = (done * 100).checked_div(pages).unwrap_or(100);
        if shown && percent != last {
            eprint!("\r{percent:3} % copied");
            last = percent;
        }
    });
    if shown && last <= 100 {
        eprintln!();
    }
    let summary = summary.with_context(|| {
        format!(
            "backing up the data directory {} (--data-dir or data_dir)",
            data_dir.display()
        )
    })?;
    let checked = if summary.opened {
        "every one of them checked"
    } else {
        "encrypted; their checksums are right, and without the key nobody can see more"
    };
    eprintln!(
        "{} messages in {} ({} bytes), {checked}.",
        summary.messages,
        file.display(),
        summary.bytes
    );
    Ok(())
}
