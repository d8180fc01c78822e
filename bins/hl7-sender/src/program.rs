//! The program from its options to its exit code.

use std::io::{ErrorKind, Write};

use anyhow::{Context, bail};
use clap::CommandFactory;
use hl7_cli::ERROR;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{Cli, Command},
    conformance,
    exit::Exit,
    input::Reading,
    interrupt,
    link::Target,
    listen, modality, prepare,
    report::{self, Each, Reporter},
    send::{Outcome, Run},
    summary,
};

/// Runs the program; an error is one of usage or input.
pub(crate) fn run(cli: &Cli) -> anyhow::Result<Exit> {
    cli.output.color.apply();
    if let Some(address) = &cli.conformance.conformance {
        return runtime()?.block_on(conformance::run(cli, &cli.conformance, address));
    }
    match (&cli.command, cli.listen.listen) {
        (Some(Command::Modality(args)), _) => runtime()?.block_on(modality::run(args)),
        (Some(Command::Page(page)), _) => {
            page.print(Cli::command())
                .context("writing to standard output")?;
            Ok(Exit::Accepted)
        }
        (None, Some(address)) => runtime()?.block_on(listen::listen(cli, address)),
        (None, None) => send(cli),
    }
}

fn send(cli: &Cli) -> anyhow::Result<Exit> {
    if cli.input.input.is_empty() {
        bail!("nothing to send; give --input FILE, or --input - for standard input");
    }
    if cli.receiver.apikey_is_visible {
        report::warn(
            "--apikey shows the key to every user of this machine; use HL7_API_KEY or \
             --apikey-file",
        );
    }
    let reading = prepare::reading(cli)?;
    let target = prepare::target(cli)?;
    let each = prepare::each(cli);
    if cli.input.dry_run {
        return dry_run(cli, &reading, &target, each);
    }
    let reporter = Reporter {
        each,
        inputs: reading.files.clone(),
        answers: cli.output.verbose > u8::from(cli.load.is_load()),
        progress: each == Each::Nothing && !cli.output.quiet,
    };
    let streamed = reading.is_pipe();
    let plan = prepare::plan(cli, reading)?;
    let mut outcome = runtime()?.block_on(async {
        let abort = CancellationToken::new();
        let watch = interrupt::cancel(abort.clone()).context("listening for signals")?;
        let outcome = Run::new(plan, target, reporter, abort).finish().await;
        watch.abort();
        anyhow::Ok(outcome)
    })?;
    let read = outcome.read.take().transpose();
    if let Ok(Some(found)) = &read
        && streamed
    {
        prepare::tell(cli, found);
    }
    let exit = last_words(cli, &outcome)?;
    if let Some(error) = outcome.unsaved {
        return Err(error).context("an answer could not be written; check --save-acks");
    }
    match read {
        Err(error) if exit != Exit::Interrupted => {
            Err(error).context("reading ended here; what came before was sent")
        }
        _ => Ok(exit),
    }
}

fn dry_run(cli: &Cli, reading: &Reading, target: &Target, each: Each) -> anyhow::Result<Exit> {
    let (messages, found) = reading.all()?;
    prepare::tell(cli, &found);
    let total = messages.len();
    for (number, message) in (1..).zip(&messages) {
        report::ready(each, number, total, message, &reading.files);
    }
    let address = target.address();
    let ready = report::counted(total as u64, "message");
    anstream::eprintln!("Dry run: {ready} ready for {address}; nothing was sent.");
    Ok(Exit::Accepted)
}

fn runtime() -> anyhow::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().context("starting the runtime")
}

/// What is said at the end, and the exit code.
fn last_words(cli: &Cli, outcome: &Outcome) -> anyhow::Result<Exit> {
    let tally = &outcome.tally;
    if let Some((failure, advice)) = &outcome.unreachable {
        anstream::eprintln!("{ERROR}error:{ERROR:#} {}; {advice}", failure.text);
    }
    let untried = outcome
        .total
        .saturating_sub(tally.tried + outcome.unanswered);
    if untried > 0 && !cli.output.quiet {
        let were = report::were(untried, "message");
        anstream::eprintln!("{were} not tried.");
    }
    if outcome.overdue > 0 && !cli.output.quiet {
        let were = report::were(outcome.overdue, "more message");
        anstream::eprintln!(
            "{were} due by then: the receiver, or this number of connections, \
             is too slow for the rate."
        );
    }
    if outcome.unanswered > 0 {
        let were = report::were(outcome.unanswered, "message");
        let they = if outcome.unanswered == 1 {
            "it was"
        } else {
            "they were"
        };
        anstream::eprintln!(
            "Interrupted: {were} waiting for an answer; whether {they} received is not known."
        );
    }
    if cli.load.is_load() && !cli.output.quiet {
        anstream::eprint!("{}", summary::text(outcome, cli.load.rate.is_some()));
    }
    let limits = &cli.output.fail_if;
    let missed: Vec<_> = limits
        .iter()
        .filter_map(|limit| limit.missed(outcome))
        .collect();
    for limit in &missed {
        anstream::eprintln!("{ERROR}limit missed:{ERROR:#} {limit}");
    }
    let exit = exit(outcome, !missed.is_empty());
    let (accepted, total) = (tally.accepted, outcome.total);
    let last = format!("Sending complete. Successfully sent {accepted}/{total} messages.");
    let mut out = std::io::stdout().lock();
    let written = if cli.output.json {
        anstream::eprintln!("{last}");
        writeln!(out, "{}", summary::object(outcome, exit))
    } else {
        writeln!(out, "{last}")
    };
    match written {
        // A reader that has seen enough, such as head, is no error of ours.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(exit),
        written => written.map(|()| exit).context("writing to standard output"),
    }
}

fn exit(outcome: &Outcome, missed: bool) -> Exit {
    let interrupted = outcome.interrupted.then_some(Exit::Interrupted);
    let missed = missed.then_some(Exit::Threshold);
    Exit::strongest(outcome.tally.exits().chain(interrupted).chain(missed))
}
