//! From options to what a run needs: messages, receiver, plan.

use std::{ops::ControlFlow, path::Path};

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
    input::{Check, Found, Reading},
    link::Target,
    mllp::{self, Dialer},
    report::{Each, warn},
    schedule::{Schedule, Until},
    send::Plan,
    supply::{Stream, Supply},
    tls,
};

/// The inputs, and what is done with each of their messages.
pub(crate) fn reading(cli: &Cli) -> anyhow::Result<Reading> {
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
    Reading::new(&cli.input.input, edits, check)
}

/// Tells a person what should be known of the inputs.
pub(crate) fn tell(cli: &Cli, found: &Found) {
    if cli.output.quiet {
        return;
    }
    if found.batch_segments > 0 {
        let count = found.batch_segments;
        warn(&format!(
            "{count} batch headers and trailers (FHS, BHS, BTS, FTS) are not sent"
        ));
    }
    let total = found.messages;
    for (edit, &count) in cli.input.set.iter().zip(&found.edited) {
        if (count as u64) < total {
            let location = edit.location();
            warn(&format!(
                "--set {location}: {count} of {total} messages have this segment"
            ));
        }
    }
}

/// Takes the messages from where they are: from memory; from files that are too large for it, when
/// all of them were read and found good; or from standard input, as they come.
fn supply(cli: &Cli, reading: Reading) -> anyhow::Result<(Supply, Until)> {
    let load = &cli.load;
    let again = load.repeat.is_some_and(|times| times > 1) || load.duration.is_some();
    if again && !cli.input.new_control_id && !cli.output.quiet {
        warn(
            "messages are sent again under the same control ids, and a receiver may answer them \
             as duplicates; --new-control-id gives each its own",
        );
    }
    if reading.is_pipe() && !again {
        return Ok((
            Supply::Stream(Stream::start(reading, Some(1))),
            Until::InputEnds,
        ));
    }
    let times = load.repeat.unwrap_or(1);
    let until = |count: u64| match load.duration {
        Some(time) => Until::Elapsed(time),
        None => Until::Count(count.saturating_mul(times)),
    };
    if reading.is_large() {
        let found = reading.each(|_| ControlFlow::Continue(()), || ())?;
        tell(cli, &found);
        let times = load.duration.is_none().then_some(times);
        return Ok((
            Supply::Stream(Stream::start(reading, times)),
            until(found.messages),
        ));
    }
    let (messages, found) = reading.all()?;
    tell(cli, &found);
    Ok((Supply::Held(messages), until(found.messages)))
}

pub(crate) fn plan(cli: &Cli, reading: Reading) -> anyhow::Result<Plan> {
    let load = &cli.load;
    let (supply, until) = supply(cli, reading)?;
    Ok(Plan {
        schedule: Schedule {
            until,
            rate: load.rate,
        },
        supply,
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tempfile::TempDir;

    use super::*;

    /// Two files, read under these options where no more than so many bytes are held.
    fn supplied(
        last: &str,
        held_max: u64,
        options: &[&str],
    ) -> anyhow::Result<(Vec<Vec<u8>>, Until)> {
        let directory = TempDir::new()?;
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("1.hl7"), "MSH|^~\\&|A|||||||1\r\nPID|1\r\n")?;
        std::fs::write(path("2.hl7"), format!("MSH|^~\\&|A|||||||2\n\n{last}\n"))?;
        let (one, two) = (path("1.hl7"), path("2.hl7"));
        let arguments = [&["hl7-sender", "--quiet", "--input", &one, &two], options].concat();
        let cli = Cli::try_parse_from(arguments)?;
        let (supply, until) = supply(&cli, reading(&cli)?.holding(held_max))?;
        let mut found = Vec::new();
        match supply {
            Supply::Held(messages) => found.extend(messages.iter().map(|m| m.bytes.to_vec())),
            Supply::Stream(stream) => {
                let next = async {
                    // Without an end in sight, a few rounds will do.
                    while found.len() < 12
                        && let Some((_, message)) = stream.next(|| 0).await
                    {
                        found.push(message.bytes.to_vec());
                    }
                };
                tokio::runtime::Builder::new_current_thread()
                    .build()?
                    .block_on(next);
            }
        }
        Ok((found, until))
    }

    #[test]
    fn what_is_not_held_is_read_again_for_each_round() {
        let last = "MSH|^~\\&|B|||||||3\nPID|3";
        let (held, until) = supplied(last, 1 << 20, &["--repeat", "2"]).unwrap();
        assert_eq!(held.len(), 3);
        assert!(matches!(until, Until::Count(6)));
        let (streamed, until) = supplied(last, 10, &["--repeat", "2"]).unwrap();
        assert_eq!(streamed, [held.clone(), held.clone()].concat());
        assert!(matches!(until, Until::Count(6)));
        let (streamed, until) = supplied(last, 10, &["--duration", "1h"]).unwrap();
        assert_eq!(streamed, vec![held; 4].concat());
        assert!(matches!(until, Until::Elapsed(_)));
    }

    #[test]
    fn files_are_checked_to_their_end_first_whether_they_are_held_or_not() {
        for held_max in [10, 1 << 20] {
            let error = supplied("MSH|^~\\&|B", held_max, &[])
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("2.hl7") && error.contains("MSH-10"),
                "{error}"
            );
        }
        let error = supplied("", 10, &["--set", "OBR-2=1"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("no message has this OBR segment"), "{error}");
    }
}
