//! Makes HL7 v2.3 messages of a believable radiology day.

mod cli;
mod interrupt;
mod moment;
mod output;
mod plan;
mod run;
mod template;

#[cfg(test)]
#[path = "../../reference.rs"]
mod reference;

use std::io;
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use hl7_cli::{ERROR, INTERRUPTED, WARNING, print_line};
use medsynapse::synth::{Conformance, Kind};
use serde_json::json;

use crate::cli::Cli;
use crate::output::is_stdout;
use crate::plan::Plan;
use crate::run::Done;

/// Wrong options, or output that cannot be written.
const USAGE: u8 = 2;

const NO_OUTPUT: &str = "cannot write to standard output";

fn main() -> ExitCode {
    let cli = Cli::read();
    match program(&cli) {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("{ERROR}error:{ERROR:#} {error:#}");
            ExitCode::from(USAGE)
        }
    }
}

fn program(cli: &Cli) -> anyhow::Result<ExitCode> {
    if let Some(page) = &cli.page {
        page.print(Cli::command()).context(NO_OUTPUT)?;
        return Ok(ExitCode::SUCCESS);
    }
    let plan = Plan::new(cli)?;
    if plan.seed_is_new && !cli.output.quiet {
        let (seed, start) = (plan.seed, plan.start);
        anstream::eprintln!(
            "seed {seed}: make the same again with --seed {seed} --start-time {start}"
        );
    }
    let done = run::run(&plan, cli.output.quiet)?;
    tell(cli, &plan, &done).context(NO_OUTPUT)?;
    if done.interrupted {
        anstream::eprintln!("Interrupted: the last message that was written is whole.");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    Ok(ExitCode::SUCCESS)
}

/// The last words, on standard error where standard output is taken by messages.
fn tell(cli: &Cli, plan: &Plan, done: &Done) -> io::Result<()> {
    for edit in &done.unused {
        let at = edit.location();
        anstream::eprintln!(
            "{WARNING}warning:{WARNING:#} no message has the segment of {at}: nothing was set"
        );
    }
    if let Some(expected) = plan.expected.as_ref().filter(|_| !cli.output.quiet) {
        anstream::eprintln!("what a broker should answer is in {}", expected.display());
    }
    if plan.expected.is_none() && plan.options.conformance == Conformance::Violations {
        anstream::eprintln!(
            "to have the answers that a broker should give, name a file with --expected"
        );
    }
    let total = done.counts.total();
    if cli.output.verbose > 0 {
        for kind in Kind::ALL {
            match done.counts.of(kind) {
                0 => {}
                count => anstream::eprintln!("{kind}: {count}"),
            }
        }
        anstream::eprintln!("{:.3} s", done.elapsed.as_secs_f64());
    }
    let line = if cli.output.json {
        let types = Kind::ALL.map(|kind| (kind.as_str().to_owned(), json!(done.counts.of(kind))));
        json!({
            "v": 1,
            "generated": total,
            "output": plan.output.display().to_string(),
            "seed": plan.seed,
            "startTime": plan.start.to_string(),
            "types": types.into_iter().collect::<serde_json::Map<_, _>>(),
            "elapsedMs": u64::try_from(done.elapsed.as_millis()).unwrap_or(u64::MAX),
        })
        .to_string()
    } else {
        format!(
            "Generated {total} HL7 messages and saved to {}",
            plan.output.display()
        )
    };
    let taken = [Some(&plan.output), plan.expected.as_ref()];
    if taken.into_iter().flatten().any(|path| is_stdout(path)) {
        anstream::eprintln!("{line}");
        return Ok(());
    }
    print_line(line)
}
