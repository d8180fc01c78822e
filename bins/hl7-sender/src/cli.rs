//! [`Cli`]: the options, and the text of `--help`.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use crate::{
    answer::Behaviour,
    broken::Breaks,
    conformance::{Address, Preset, Scope},
    expect::Expect,
    fail_if::FailIf,
};
use clap::{
    ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, parser::ValueSource,
};
use hl7_cli::{Color, Page, units};
use medsynapse::synth::Edit;

const EXAMPLES: &str = "\
Examples:
  Send a file to the broker on this machine, one connection a message:
    hl7-sender --input sample_messages.txt
  Send over one connection that stays open, to another host:
    hl7-sender --input *.hl7 --host broker.example --port 2575 --keep-alive
  Send by HTTP; the key comes from a file, not from the command line:
    hl7-sender --input orders.txt --http --apikey-file key.txt
  See that bad messages are refused:
    hl7-sender --input bad.txt --expect AR
  Measure: 20 connections, 2000 messages a second for a minute, and fail when it is slow:
    hl7-sender --input orders.txt --keep-alive --concurrency 20 --rate 2000/s \\
      --duration 60s --new-control-id --fail-if 'p99>50ms' --fail-if 'errors>0'
  Play the RIS: receive what a broker sends, refuse the first message, accept the rest:
    hl7-sender --listen 2576 --answer AR,AA --save received
  Ask a broker about every rule of the conformance statement:
    hl7-sender --conformance localhost:2575 --report conformance.html
  Play the modality that asks for its worklist and does the study:
    hl7-sender modality worklist --station CT1
    hl7-sender modality start ACC1
    hl7-sender modality complete ACC1

Exit codes:
  0 all accepted            1 some message not accepted   2 wrong options or input
  3 no connection           4 no acknowledgement in time  5 TLS or API key
  6 no valid acknowledgement, or one of another message   7 a --fail-if limit was missed
  130 interrupted           When several apply: 130 2 5 3 4 6 7 1.";

/// Sends HL7 v2 messages by MLLP or HTTP and prints each acknowledgement.
///
/// Reads messages from files, sends them in order, and waits for the acknowledgement of each
/// before the next. A message counts as sent when it was accepted (AA or CA) and the answer names
/// its control id (MSA-2 equals MSH-10).
#[derive(Debug, Parser)]
#[command(name = "hl7-sender", version, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) receiver: ReceiverArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    #[command(flatten)]
    pub(crate) conformance: ConformanceArgs,
}

/// What is sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputArgs {
    /// Files with messages, or directories of them; `-` is standard input.
    ///
    /// Messages apart by a blank line with segments one a line, in any line ends; CR-terminated
    /// messages; batches; a capture of MLLP frames; or one JSON object a line with the message
    /// in `message`. Several files are sent one after another, and nothing is sent where one of
    /// them is wrong. Standard input or another pipe alone is sent as it comes, and ends where
    /// something in it is wrong; with --repeat, --duration or --dry-run it is read to its end
    /// first.
    #[arg(long, short = 'i', value_name = "FILE", num_args = 1..)]
    pub(crate) input: Vec<PathBuf>,

    /// Put a value into every message that has the segment; may be given several times.
    ///
    /// `PID-5.1=DOE` writes data and escapes it; `PID-5=DOE^JANE` writes a whole field as it is.
    #[arg(long, value_name = "PLACE=VALUE")]
    pub(crate) set: Vec<Edit>,

    /// Give each message that is sent a control id (MSH-10) of its own.
    #[arg(long)]
    pub(crate) new_control_id: bool,

    /// Send what does not parse, too, and messages without a control id: to test the receiver.
    #[arg(long, conflicts_with_all = ["set", "new_control_id"])]
    pub(crate) unchecked: bool,

    /// Read and check the messages, say what would be sent, send nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Where it goes, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Receiver")]
pub(crate) struct ReceiverArgs {
    /// MLLP host.
    #[arg(
        long,
        value_name = "HOST",
        default_value = "localhost",
        env = "HL7_SERVER_HOST"
    )]
    pub(crate) host: String,

    /// MLLP port.
    #[arg(
        long,
        short = 'p',
        value_name = "PORT",
        default_value_t = 2575,
        value_parser = port,
        env = "HL7_SERVER_PORT"
    )]
    pub(crate) port: u16,

    /// How long to wait for the connection, and then for the acknowledgement.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::nonzero_duration)]
    pub(crate) timeout: Duration,

    /// Keep the connection open and send all messages over it.
    #[arg(long)]
    pub(crate) keep_alive: bool,

    /// Send wrong on purpose, to test the receiver; see --expect for what should come of it.
    #[arg(
        long = "break",
        value_name = "HOW",
        value_parser = Breaks,
        conflicts_with = "http"
    )]
    pub(crate) broken: Option<hl7_mllp::broken::Break>,

    /// Send by HTTP instead of MLLP.
    #[arg(long)]
    pub(crate) http: bool,

    /// Where HTTP goes.
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://localhost:3000/api/hl7",
        env = "HL7_API_ENDPOINT"
    )]
    pub(crate) endpoint: String,

    /// API key for HTTP, sent as `x-api-key`. On the command line other users of this machine
    /// can see it: prefer `--apikey-file` or the environment.
    #[arg(long, value_name = "KEY", env = "HL7_API_KEY", hide_env_values = true)]
    pub(crate) apikey: Option<Secret>,

    /// A file whose first line is the API key.
    #[arg(long, value_name = "FILE")]
    pub(crate) apikey_file: Option<PathBuf>,

    /// Whether the key came from the command line; found out after parsing.
    #[arg(skip)]
    pub(crate) apikey_is_visible: bool,
}

/// A text that is never shown.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Who is trusted, and who we are.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsArgs {
    /// MLLP over TLS. HTTP has it by itself where the endpoint begins with https.
    #[arg(long)]
    pub(crate) tls: bool,

    /// Certificates to trust (PEM), instead of those of this machine. With --listen: demand a
    /// certificate that one of these has signed.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// Our certificate and what leads to its authority (PEM).
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,

    /// The private key of our certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,

    /// The name that the receiver's certificate must be for, instead of the host.
    #[arg(long, value_name = "NAME", requires = "tls")]
    pub(crate) sni: Option<String>,
}

impl TlsArgs {
    /// Whether anything here was said but `--tls` itself.
    pub(crate) fn has_files(&self) -> bool {
        self.ca.is_some() || self.cert.is_some()
    }
}

/// How often, how fast, how many at once.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sending")]
pub(crate) struct LoadArgs {
    /// Pause after each message.
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = units::duration)]
    pub(crate) delay: Duration,

    /// Connections that send at the same time; the order of messages is kept on each alone.
    #[arg(
        long,
        short = 'c',
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=4096)
    )]
    pub(crate) concurrency: u16,

    /// Send everything N times.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) repeat: Option<u64>,

    /// Send everything again and again for this long.
    #[arg(
        long,
        value_name = "TIME",
        conflicts_with = "repeat",
        value_parser = units::nonzero_duration
    )]
    pub(crate) duration: Option<Duration>,

    /// Messages a second (500/s, 30/m), whatever the receiver can do: a message that has to wait
    /// for a free connection counts its wait as latency.
    #[arg(long, value_name = "RATE", value_parser = units::rate)]
    pub(crate) rate: Option<f64>,

    /// Send a message whose outcome is unknown (no connection, no answer) up to N times more:
    /// the same bytes, after 1 s, 2 s, 4 s … shortened by chance.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retries: u32,

    /// Stop at the first message that is not accepted.
    #[arg(long)]
    pub(crate) fail_fast: bool,
}

impl LoadArgs {
    /// Whether this is a measurement rather than a delivery.
    pub(crate) fn is_load(&self) -> bool {
        self.concurrency > 1 || self.repeat.is_some() || self.duration.is_some()
    }
}

/// What is printed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// What counts as success instead of AA or CA: AA, AE, AR, CA, CE, CR, or none for no
    /// acknowledgement at all.
    #[arg(
        long,
        value_name = "CODE",
        default_value = "accept",
        hide_default_value = true
    )]
    pub(crate) expect: Expect,

    /// Exit with 7 when a limit is missed: p99>50ms, max>1s, errors>0, errors>1%, rate<1000/s;
    /// may be given several times.
    #[arg(long, value_name = "LIMIT")]
    pub(crate) fail_if: Vec<FailIf>,

    /// Write each answer to a file in this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) save_acks: Option<PathBuf>,

    /// One JSON object a line on standard output, one for each message and one at the end.
    #[arg(long)]
    pub(crate) json: bool,

    /// Only the last line and errors of the program itself.
    #[arg(long, short = 'q', conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more: the whole of each answer; under load, a line for each message (-v) and its
    /// answer (-vv).
    #[arg(long, short = 'v', action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Colours; `auto` follows the terminal and `NO_COLOR`.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

/// The pretend receiver.
#[derive(Debug, Args)]
#[command(next_help_heading = "Receiving instead of sending")]
pub(crate) struct ListenArgs {
    /// Receive by MLLP instead of sending: an address, a port, or both (127.0.0.1:2576).
    ///
    /// Each message is printed on standard output, segments one a line and a blank line behind,
    /// which --input reads again.
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    #[arg(conflicts_with_all = ["input", "http", "dry_run"])]
    pub(crate) listen: Option<SocketAddr>,

    /// How to answer: AA, AE, AR, none, close, wrong-id, delay=3s; several in turn, apart by
    /// commas, and the last for ever.
    #[arg(long, value_name = "HOW", value_delimiter = ',', default_value = "AA")]
    #[arg(requires = "listen")]
    pub(crate) answer: Vec<Behaviour>,

    /// Write each message to a file in this directory, byte for byte.
    #[arg(long, value_name = "DIR", requires = "listen")]
    pub(crate) save: Option<PathBuf>,

    /// Stop after N messages.
    #[arg(long, value_name = "N", requires = "listen")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

/// Asking a receiver about every rule.
#[derive(Debug, Args)]
#[command(next_help_heading = "Testing a broker against the conformance statement")]
pub(crate) struct ConformanceArgs {
    /// Ask the broker at HOST:PORT about every rule of the Medsynapse conformance statement.
    ///
    /// Sends messages of its own making, right and wrong ones, under ids that no other run uses,
    /// and cancels its orders at the end. Reports, patients and the message log keep traces of it.
    #[arg(long, value_name = "HOST:PORT")]
    #[arg(conflicts_with_all = ["input", "http", "dry_run", "listen", "broken"])]
    pub(crate) conformance: Option<Address>,

    /// Which preset the broker follows.
    #[arg(long, value_enum, default_value_t = Preset::Medsynapse, requires = "conformance")]
    pub(crate) preset: Preset,

    /// What is asked: everything, or what the statement itself says, whatever the wording of
    /// answers.
    #[arg(long, value_enum, default_value_t = Scope::All, requires = "conformance")]
    pub(crate) basis: Scope,

    /// Write the report as a web page, too.
    #[arg(long, value_name = "FILE", requires = "conformance")]
    pub(crate) report: Option<PathBuf>,
}

/// What the program does besides sending.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play a modality: ask a worklist over DICOM, start and end what it shows.
    Modality(Box<crate::modality::ModalityArgs>),
    #[command(flatten)]
    Page(Page),
}

impl Cli {
    /// Reads the command line and the environment; wrong options end the program with exit
    /// code 2 and a text that says what to write instead.
    pub(crate) fn read() -> Self {
        let matches = Self::command().get_matches();
        let mut cli = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        cli.receiver.apikey_is_visible =
            matches.value_source("apikey") == Some(ValueSource::CommandLine);
        cli
    }
}

fn port(text: &str) -> Result<u16, &'static str> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write a port from 1 to 65535, here or in HL7_SERVER_PORT"),
        Ok(port) => Ok(port),
    }
}

/// A port alone is one of this machine, unreachable from others.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let named = text.replacen("localhost:", "127.0.0.1:", 1);
    named
        .parse()
        .map_err(|_| "write 127.0.0.1:2576, [::1]:2576 or a port".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_reference_is_the_command_line() {
        crate::reference::check(Cli::command());
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_port_alone_listens_on_this_machine() {
        assert_eq!(
            listen_address("2576").unwrap().to_string(),
            "127.0.0.1:2576"
        );
        assert_eq!(listen_address(":0").unwrap().to_string(), "127.0.0.1:0");
        assert_eq!(
            listen_address("localhost:1").unwrap().to_string(),
            "127.0.0.1:1"
        );
        assert_eq!(listen_address("[::1]:1").unwrap().to_string(), "[::1]:1");
        assert!(listen_address("here").is_err());
    }
}
