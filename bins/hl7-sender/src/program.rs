//! The program from its options to its exit code.

use std::{io::Write, path::Path};

use anyhow::{Context, bail};
use clap::CommandFactory;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{Cli, Color, Command, ReceiverArgs},
    exit::Exit,
    http,
    input::{self, Inputs},
    link::Target,
    mllp,
    report::{self, BAD, Each, Reporter},
    send::{Outcome, Plan, Run, Until},
    summary,
};

/// Runs the program; an error is one of usage or input.
pub(crate) fn run(cli: &Cli) -> anyhow::Result<Exit> {
    match cli.output.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    match &cli.command {
        Some(command) => print(command).map(|()| Exit::Accepted),
        None => send(cli),
    }
}

fn print(command: &Command) -> anyhow::Result<()> {
    let mut definition = Cli::command();
    let mut out = Vec::new();
    match command {
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut definition, "hl7-sender", &mut out);
        }
        Command::Man => clap_mangen::Man::new(definition).render(&mut out)?,
    }
    std::io::stdout()
        .lock()
        .write_all(&out)
        .context("writing to standard output")
}

fn send(cli: &Cli) -> anyhow::Result<Exit> {
    if cli.input.input.is_empty() {
        bail!("nothing to send; give --input FILE, or --input - for standard input");
    }
    if cli.receiver.apikey_is_visible {
        warn(
            "--apikey shows the key to every user of this machine; \
              use HL7_API_KEY or --apikey-file",
        );
    }
    let inputs = input::read_all(&cli.input.input)?;
    if inputs.batch_segments > 0 && !cli.output.quiet {
        let count = inputs.batch_segments;
        warn(&format!(
            "{count} batch headers and trailers (FHS, BHS, BTS, FTS) are not sent"
        ));
    }
    if cli.input.dry_run {
        return dry_run(cli, &inputs);
    }
    let target = target(&cli.receiver)?;
    let reporter = Reporter {
        each: each(cli),
        inputs: cli.input.input.clone(),
    };
    let plan = plan(cli, inputs);
    let total = plan.total();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let (outcome, target) = runtime.block_on(async {
        let abort = CancellationToken::new();
        let watch = tokio::spawn(cancel_when_asked(abort.clone()));
        let ended = Run::new(plan, target, reporter, abort).finish().await;
        watch.abort();
        ended
    });
    finish(cli, &outcome, &target, total)
}

fn plan(cli: &Cli, inputs: Inputs) -> Plan {
    Plan {
        until: Until::Count(inputs.messages.len() as u64),
        messages: inputs.messages,
        concurrency: 1,
        delay: cli.load.delay,
        rate: None,
        retries: 0,
        fail_fast: false,
        expect: cli.output.expect,
    }
}

fn target(args: &ReceiverArgs) -> anyhow::Result<Target> {
    if !args.http {
        let target = mllp::Target::new(&args.host, args.port, args.timeout, args.keep_alive);
        return Ok(Target::Mllp(target));
    }
    let key = match &args.apikey_file {
        Some(path) => Some(read_key(path)?),
        None => args.apikey.clone().filter(|key| !key.is_empty()),
    };
    let target = http::Target::new(
        &args.endpoint,
        key.as_deref(),
        args.timeout,
        args.keep_alive,
    )?;
    Ok(Target::Http(target))
}

fn read_key(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!(
            "cannot read the key file {}; check --apikey-file",
            path.display()
        )
    })?;
    match text.lines().next().map(str::trim) {
        Some(key) if !key.is_empty() => Ok(key.to_owned()),
        _ => bail!(
            "the key file {} has no key in its first line",
            path.display()
        ),
    }
}

const fn each(cli: &Cli) -> Each {
    if cli.output.json {
        Each::Json
    } else if cli.output.quiet {
        Each::Nothing
    } else {
        Each::Line
    }
}

/// Lists what would be sent.
fn dry_run(cli: &Cli, inputs: &Inputs) -> anyhow::Result<Exit> {
    let address = target(&cli.receiver)?.address();
    let each = each(cli);
    let total = inputs.messages.len();
    for (number, message) in (1..).zip(&inputs.messages) {
        report::ready(each, number, total, message, &cli.input.input);
    }
    anstream::eprintln!("Dry run: {total} messages are ready for {address}; nothing was sent.");
    Ok(Exit::Accepted)
}

async fn cancel_when_asked(abort: CancellationToken) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            abort.cancel();
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_ok() {
        abort.cancel();
    }
}

/// The last words and the exit code.
fn finish(
    cli: &Cli,
    outcome: &Outcome,
    target: &Target,
    total: Option<u64>,
) -> anyhow::Result<Exit> {
    let tally = &outcome.tally;
    let total = total.unwrap_or(tally.tried);
    if let Some(failure) = &outcome.unreachable {
        let advice = target.advice(failure.kind);
        anstream::eprintln!("{BAD}error:{BAD:#} {}; {advice}", failure.text);
    }
    let untried = total.saturating_sub(tally.tried + outcome.unanswered);
    if untried > 0 && !cli.output.quiet {
        anstream::eprintln!("{untried} messages were not tried.");
    }
    if outcome.unanswered > 0 {
        let count = outcome.unanswered;
        anstream::eprintln!(
            "Interrupted: {count} messages were waiting for their answer; whether they were \
             received is not known."
        );
    }
    let exit = exit(outcome);
    let last = format!(
        "Sending complete. Successfully sent {}/{total} messages.",
        tally.accepted
    );
    let mut out = std::io::stdout().lock();
    if cli.output.json {
        anstream::eprintln!("{last}");
        writeln!(out, "{}", summary::object(outcome, total, exit))
    } else {
        writeln!(out, "{last}")
    }
    .context("writing to standard output")?;
    Ok(exit)
}

fn exit(outcome: &Outcome) -> Exit {
    let interrupted = outcome.interrupted.then_some(Exit::Interrupted);
    Exit::strongest(outcome.tally.exits().chain(interrupted))
}

fn warn(text: &str) {
    anstream::eprintln!("warning: {text}");
}
