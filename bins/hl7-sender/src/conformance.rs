//! `--conformance`: asks a receiver about every rule of the statement, and reports.

mod case;
mod cases;
mod html;
mod judge;
mod report;
mod sheet;
mod wire;

use anyhow::Context;
use hl7_cli::{ERROR, print_line};
use hl7_mllp::{client::TcpDialer, tls::TlsDialer};
use tokio_util::sync::CancellationToken;

pub(crate) use case::Preset;
pub(crate) use judge::Scope;

use crate::{
    cli::{Cli, ConformanceArgs},
    clock,
    exit::Exit,
    ids::FreshIds,
    interrupt,
    link::{Failure, Target as Receiver},
    mllp::{self, Dialer},
    tls,
};
use case::{Case, Step, Want};
use judge::Judge;
use report::{Line, Report, Verdict};
use sheet::Maker;
use wire::Wire;

/// A receiver, as `HOST:PORT` or a port of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

impl std::str::FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ADVICE: &str = "write HOST:PORT, for instance localhost:2575";
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port),
            None => ("localhost", text),
        };
        let port = port.parse().map_err(|_| ADVICE)?;
        if host.is_empty() || port == 0 {
            return Err(ADVICE);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

/// Runs all cases against `address`.
pub(crate) async fn run(
    cli: &Cli,
    args: &ConformanceArgs,
    address: &Address,
) -> anyhow::Result<Exit> {
    let abort = CancellationToken::new();
    let watch = interrupt::cancel(abort.clone()).context("listening for signals")?;
    let target = target(cli, address)?;
    let outcome = Run::new(cli, args, &target).finish(&abort).await;
    watch.abort();
    let report = match outcome {
        Ok(report) => report,
        Err(failure) => {
            let exit = failure.kind.exit();
            let advice = Receiver::Mllp(target).advice(failure.kind);
            anstream::eprintln!("{ERROR}error:{ERROR:#} {}; {advice}", failure.text);
            return Ok(exit);
        }
    };
    if let Some(path) = &args.report {
        let shown = path.display();
        std::fs::write(path, html::page(&report))
            .with_context(|| format!("cannot write {shown}; check --report"))?;
    }
    if cli.output.json {
        for object in report.objects() {
            print_line(object).context("writing to standard output")?;
        }
        anstream::eprintln!("{}", report.last_words());
    } else {
        print_line(report.last_words()).context("writing to standard output")?;
    }
    let (_, failed, _) = report.counts();
    Ok(match (report.interrupted, failed) {
        (true, _) => Exit::Interrupted,
        (false, 0) => Exit::Accepted,
        (false, _) => Exit::NotAccepted,
    })
}

fn target(cli: &Cli, address: &Address) -> anyhow::Result<mllp::Target> {
    if cli.tls.has_files() && !cli.tls.tls {
        anyhow::bail!("--ca, --cert and --key are for TLS; give --tls, too");
    }
    let Address { host, port } = address;
    let shown = mllp::address(host, *port);
    let dialer = if cli.tls.tls {
        let name = tls::server_name(&cli.tls, host)?;
        Dialer::Tls(TlsDialer::new(&*shown, name, tls::client(&cli.tls)?))
    } else {
        Dialer::Tcp(TcpDialer::new(&*shown))
    };
    let wait = cli.receiver.timeout;
    Ok(mllp::Target::new(shown, dialer, wait, false))
}

struct Run<'r> {
    wire: Wire<'r>,
    scope: Scope,
    maker: Maker,
    judge: Judge,
    report: Report,
    /// Whether every verdict is printed, or failures alone.
    every: bool,
    silent: bool,
}

impl<'r> Run<'r> {
    fn new(cli: &Cli, args: &ConformanceArgs, target: &'r mllp::Target) -> Self {
        let now = clock::now();
        let run = FreshIds::random().id(0);
        let mark: String = run.iter().take(6).map(|byte| char::from(*byte)).collect();
        Self {
            wire: Wire {
                target,
                preset: args.preset,
            },
            scope: args.basis,
            maker: Maker::new(&mark, &now.format("%Y%m%d%H%M%S").to_string()),
            judge: Judge::new(args.basis),
            report: Report {
                receiver: target.address().to_owned(),
                preset: args.preset,
                scope: args.basis,
                mark,
                at: now.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
                lines: Vec::new(),
                interrupted: false,
            },
            every: !cli.output.quiet && !cli.output.json,
            silent: cli.output.json,
        }
    }

    /// All cases, then the rules about answers, then the orders are taken away again.
    async fn finish(mut self, abort: &CancellationToken) -> Result<Report, Failure> {
        for case in cases::all() {
            let verdict = tokio::select! {
                verdict = self.verdict(case) => verdict?,
                () = abort.cancelled() => {
                    self.report.interrupted = true;
                    break;
                }
            };
            self.add(Line {
                number: case.number,
                rule: case.rule,
                basis: case.basis,
                verdict,
            });
        }
        let answers = self.judge.answers();
        let rules: Vec<Line> = self
            .judge
            .rules()
            .filter(|(rule, _)| self.scope.has(rule.basis))
            .map(|(rule, failure)| Line {
                number: rule.number,
                rule: rule.rule,
                basis: rule.basis,
                verdict: match failure {
                    Some(failure) => Verdict::Failed(failure.clone()),
                    None if answers == 0 => Verdict::NotApplicable("no answer came".into()),
                    None => Verdict::Passed,
                },
            })
            .collect();
        for line in rules {
            self.add(line);
        }
        self.clean_up(abort).await;
        Ok(self.report)
    }

    fn add(&mut self, line: Line) {
        let failed = matches!(line.verdict, Verdict::Failed(_));
        if self.every || (failed && !self.silent) {
            anstream::eprint!("{}", report::text(&line));
        }
        self.report.lines.push(line);
    }

    async fn verdict(&mut self, case: &Case) -> Result<Verdict, Failure> {
        if let Some(preset) = case.preset.filter(|preset| *preset != self.wire.preset) {
            let why = format!("{} only", preset.name());
            return Ok(Verdict::NotApplicable(why));
        }
        if !self.scope.has(case.basis) {
            let why = "the statement does not say so";
            return Ok(Verdict::NotApplicable(why.into()));
        }
        let steps = (case.steps)(&mut self.maker);
        let mut last = None;
        for step in &steps {
            let seen = match self.wire.run(step, last.as_ref()).await {
                Ok(seen) => seen,
                // Nothing has come through at all: there is no receiver.
                Err(failure) if self.judge.answers() == 0 => return Err(failure),
                Err(failure) => return Ok(Verdict::Failed(unreached(&failure, step))),
            };
            for seen in &seen {
                let again = *step == Step::Again;
                if let Err(failure) = self.judge.compare(seen, again) {
                    return Ok(Verdict::Failed(failure));
                }
            }
            if let Step::Talk(frames) = step {
                last = frames.last().cloned();
            }
        }
        Ok(Verdict::Passed)
    }

    /// Cancels the orders of this run; one that is gone already, or never came to be, is refused,
    /// which is as good.
    async fn clean_up(&mut self, abort: &CancellationToken) {
        let orders = self.maker.orders().to_vec();
        let asked = orders.len();
        for accession in orders {
            let sheet = self.maker.control("CA", &accession);
            let frame = (sheet.bytes(), Want::Silence);
            let step = Step::Talk(vec![frame]);
            tokio::select! {
                sent = self.wire.run(&step, None) => {
                    if sent.is_err() {
                        break;
                    }
                }
                () = abort.cancelled(), if !self.report.interrupted => break,
            }
        }
        if self.every {
            let mark = self.maker.mark();
            anstream::eprintln!(
                "Cancelled the orders of this run again ({asked} accession numbers); its reports, \
                 patients and messages stay, under ids that begin with {mark}."
            );
        }
    }
}

/// The failure of a step whose connection could not be made.
fn unreached(failure: &Failure, step: &Step) -> judge::Failure {
    let sent = match step {
        Step::Talk(frames) => frames.first().map(|(bytes, _)| bytes.clone()),
        Step::Wire { pieces, .. } => Some(pieces.concat()),
        Step::Beside { second, .. } => Some(second.0.clone()),
        Step::ThenClosed(bytes, _) => Some(bytes.clone()),
        Step::Again => None,
    };
    judge::Failure {
        expected: "a connection".into(),
        got: failure.text.clone(),
        sent: sent.unwrap_or_default(),
        received: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let address = |text: &str| text.parse::<Address>().map(|a| (a.host, a.port));
        assert_eq!(
            address("ris.example:2575"),
            Ok(("ris.example".into(), 2575))
        );
        assert_eq!(address("2575"), Ok(("localhost".into(), 2575)));
        assert_eq!(address("[::1]:2575"), Ok(("[::1]".into(), 2575)));
        for text in ["", "host", "host:", ":2575", "host:0", "host:99999"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
