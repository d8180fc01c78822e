//! From options to what a run needs: messages, receiver, plan.

use std::path::Path;

use anyhow::{Context, bail};
use hl7_message::loc;
use hl7_mllp::{client::TcpDialer, tls::TlsDialer};
use medsynapse::synth::Edit;

use crate::{
    acks::AckFiles,
    broken,
    cli::{Cli, Secret},
    http,
    ids::{self, FreshIds},
    input::{self, Check, Inputs},
    link::Target,
    mllp::{self, Dialer},
    report::{Each, warn},
    schedule::{Schedule, Until},
    send::Plan,
    tls,
};

/// Reads the inputs, makes the edits, and tells a person what should be known before they go out.
pub(crate) fn inputs(cli: &Cli) -> anyhow::Result<Inputs> {
    let mut edits = cli.input.set.clone();
    if cli.input.new_control_id {
        // Room for the ids that are put in while sending.
        edits.push(Edit::new(loc!("MSH-10"), "0".repeat(ids::LEN))?);
    }
    let check = if cli.input.unchecked {
        Check::Nothing
    } else {
        Check::Whole
    };
    let inputs = input::read_all(&cli.input.input, &edits, check)?;
    if !cli.output.quiet {
        tell(cli, &inputs);
    }
    Ok(inputs)
}

fn tell(cli: &Cli, inputs: &Inputs) {
    if inputs.batch_segments > 0 {
        let count = inputs.batch_segments;
        warn(&format!(
            "{count} batch headers and trailers (FHS, BHS, BTS, FTS) are not sent"
        ));
    }
    let total = inputs.messages.len();
    for (edit, count) in cli.input.set.iter().zip(&inputs.edited) {
        if *count < total {
            let location = edit.location();
            warn(&format!(
                "--set {location}: {count} of {total} messages have this segment"
            ));
        }
    }
    let again = cli.load.repeat.is_some_and(|times| times > 1) || cli.load.duration.is_some();
    if again && !cli.input.new_control_id {
        warn(
            "messages are sent again under the same control ids, and a receiver may answer them \
             as duplicates; --new-control-id gives each its own",
        );
    }
}

pub(crate) fn plan(cli: &Cli, inputs: Inputs) -> anyhow::Result<Plan> {
    let load = &cli.load;
    let count = inputs.messages.len() as u64;
    let until = match load.duration {
        Some(time) => Until::Elapsed(time),
        None => Until::Count(count.saturating_mul(load.repeat.unwrap_or(1))),
    };
    Ok(Plan {
        schedule: Schedule {
            until,
            rate: load.rate,
        },
        messages: inputs.messages,
        concurrency: usize::from(load.concurrency),
        delay: load.delay,
        retries: load.retries,
        fail_fast: load.fail_fast,
        expect: cli.output.expect,
        fresh_ids: cli.input.new_control_id.then(FreshIds::random),
        save_acks: cli
            .output
            .save_acks
            .as_deref()
            .map(AckFiles::new)
            .transpose()?,
    })
}

pub(crate) fn target(cli: &Cli) -> anyhow::Result<Target> {
    let args = &cli.receiver;
    if args.http {
        return http(cli).map(Target::Http);
    }
    if cli.tls.has_files() && !cli.tls.tls {
        bail!("--ca, --cert and --key are for TLS; give --tls, too");
    }
    let address = mllp::address(&args.host, args.port);
    let dialer = if cli.tls.tls {
        let name = tls::server_name(&cli.tls, &args.host)?;
        Dialer::Tls(TlsDialer::new(&*address, name, tls::client(&cli.tls)?))
    } else {
        Dialer::Tcp(TcpDialer::new(&*address))
    };
    let mllp = mllp::Target::new(address, dialer, args.timeout, args.keep_alive);
    Ok(match args.broken {
        Some(how) => Target::Broken(broken::Target { mllp, how }),
        None => Target::Mllp(mllp),
    })
}

fn http(cli: &Cli) -> anyhow::Result<http::Target> {
    let args = &cli.receiver;
    let key = match &args.apikey_file {
        Some(path) => Some(read_key(path)?),
        None => args
            .apikey
            .clone()
            .map(|Secret(key)| key)
            .filter(|key| !key.is_empty()),
    };
    let tls = if cli.tls.has_files() {
        Some(tls::client(&cli.tls)?)
    } else {
        None
    };
    http::Target::new(
        &args.endpoint,
        key.as_deref(),
        tls,
        args.timeout,
        args.keep_alive,
    )
}

fn read_key(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the key file {shown}; check --apikey-file"))?;
    match text.lines().next().map(str::trim) {
        Some(key) if !key.is_empty() => Ok(key.to_owned()),
        _ => bail!("the key file {shown} has no key in its first line"),
    }
}

/// What is said about each message: under load nothing, unless more is asked for.
pub(crate) fn each(cli: &Cli) -> Each {
    if cli.load.is_load() && cli.output.verbose == 0 {
        return Each::Nothing;
    }
    match (cli.output.json, cli.output.quiet) {
        (true, _) => Each::Json,
        (false, true) => Each::Nothing,
        (false, false) => Each::Line,
    }
}
