//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use medsynapse::Preset;

/// The Medsynapse PACS Broker: takes orders, reports and demographics over HL7 v2.3/MLLP,
/// keeps them, and shows them.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) options: Options,
}

const EXAMPLES: &str = "\
Examples:
  hl7-server                                  everything on 127.0.0.1, data in ./medsynapse-data
  hl7-server --data-dir /var/lib/medsynapse   data elsewhere
  hl7-server --mllp 0.0.0.0:2575              take messages from other machines
  hl7-server --demo 200                       start with 200 generated messages
  hl7-server check-config --config broker.toml
  hl7-server backup --data-dir /var/lib/medsynapse /backup/monday.db

Settings come from the configuration file, the environment and the command line; the later one
wins. Exit codes: 0 stopped as asked, 1 failed while running, 2 wrong usage or configuration,
130 stopped at the second signal.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the broker (this is what happens without a command).
    Serve,
    /// Read the configuration, say what is wrong with it, and stop.
    CheckConfig,
    /// Copy the database into one file, while the broker runs or not, and check the copy.
    #[command(
        after_help = "To restore: stop the broker, put the file into an empty data directory \
                            as medsynapse.db, start the broker with that directory."
    )]
    Backup {
        /// The file to make; it must not be there yet.
        file: PathBuf,
    },
    /// Copy the database of a stopped broker to an empty PostgreSQL, and compare both; a copy that
    /// broke off goes on where it was.
    #[command(
        after_help = "Keys of the REST API, the audit trail with its secret and the answers to \
                            requests with an Idempotency-Key go along."
    )]
    Copy {
        /// The data directory, as sqlite:DIR.
        #[arg(long, value_name = "sqlite:DIR")]
        from: String,
        /// The database, as postgres://USER@HOST:PORT/NAME; the password comes from
        /// `HL7_DATABASE_PASSWORD`.
        #[arg(long, value_name = "URL")]
        to: String,
    },
    /// The keys of the REST API: add, list, revoke.
    #[command(subcommand)]
    Keys(crate::keys::Keys),
    /// The audit trail: who asked for what.
    #[command(subcommand)]
    Audit(crate::audit::Audit),
    /// The encryption of the database: make keys, encrypt, rotate keys.
    #[command(subcommand)]
    Encryption(crate::encryption::EncryptionCommand),
    /// Print the `OpenAPI` document of the REST API.
    Openapi,
    /// Build orders, patients, reports and the outbox again from the log of messages, actions and
    /// deliveries, and compare every row with what is kept; exit code 1 if any differs.
    Replay {
        /// Keep the rebuilt database in this directory, which must not hold one yet.
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
    /// Ask a running broker whether it is ready; for containers and service managers.
    Healthcheck,
    #[command(flatten)]
    Page(hl7_cli::Page),
}

/// The settings that can be given on the command line.
#[derive(Debug, Clone, Default, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent flags of a command line"
)]
pub(crate) struct Options {
    /// Where the database lies; made if it is not there.
    #[arg(long, global = true, value_name = "DIR", env = "HL7_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Database that several servers share, instead of a file in the data directory: a URL
    /// `postgres://USER@HOST:PORT/NAME`.
    #[arg(long, global = true, value_name = "URL", env = "HL7_DATABASE")]
    pub(crate) database: Option<String>,
    /// Configuration file in TOML.
    #[arg(long, global = true, value_name = "FILE", env = "HL7_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Address for HL7 over MLLP; port 0 takes a free one.
    #[arg(long, global = true, value_name = "ADDR", env = "HL7_MLLP")]
    pub(crate) mllp: Option<String>,
    /// Address for the REST API.
    #[arg(long, global = true, value_name = "ADDR", env = "HL7_REST")]
    pub(crate) rest: Option<String>,
    /// Address for the web pages.
    #[arg(long, global = true, value_name = "ADDR", env = "HL7_WEB")]
    pub(crate) web: Option<String>,
    /// Address for DICOM: worklist, performed procedure steps, verification.
    #[arg(long, global = true, value_name = "ADDR", env = "HL7_DICOM")]
    pub(crate) dicom: Option<String>,
    /// How strictly messages are read.
    #[arg(long, global = true, value_name = "NAME", env = "HL7_PROFILE")]
    pub(crate) profile: Option<ProfileName>,
    /// File with the keys that the database is encrypted with; readable by its owner alone.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "HL7_ENCRYPTION_KEY_FILE"
    )]
    pub(crate) encryption_key_file: Option<PathBuf>,
    /// Fill the broker with this many generated messages before it starts.
    #[arg(long, global = true, value_name = "N")]
    pub(crate) demo: Option<u64>,
    /// Serve REST and web beyond this machine without a key.
    #[arg(long, global = true)]
    pub(crate) insecure: bool,
    /// Print the effective configuration, secrets hidden, and stop.
    #[arg(long, global = true)]
    pub(crate) print_config: bool,
    /// Print the addresses as one line of JSON on standard output, once all of them are open.
    #[arg(long, global = true)]
    pub(crate) print_ports: bool,
    /// What is logged: error, warn, info, debug, or a filter such as `hl7_mllp=debug`.
    #[arg(long, global = true, value_name = "FILTER", env = "HL7_LOG")]
    pub(crate) log: Option<String>,
    /// No banner.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// The keys that the database is encrypted with, from the environment alone: a command line
    /// can be read by others.
    #[arg(
        long,
        hide = true,
        global = true,
        env = "HL7_ENCRYPTION_KEYS",
        hide_env_values = true
    )]
    pub(crate) encryption_keys: Option<String>,
    /// Password of the database, from the environment alone: a command line can be read by
    /// others.
    #[arg(
        long,
        hide = true,
        global = true,
        env = "HL7_DATABASE_PASSWORD",
        hide_env_values = true
    )]
    pub(crate) database_password: Option<String>,
    /// Port of the REST API, as an earlier product of this kind reads it.
    #[arg(long, hide = true, global = true, env = "PORT")]
    pub(crate) port: Option<String>,
    /// Port for HL7 over MLLP, as an earlier product of this kind reads it.
    #[arg(long, hide = true, global = true, env = "MLLP_PORT")]
    pub(crate) mllp_port: Option<String>,
    /// Host for HL7 over MLLP, as an earlier product of this kind reads it.
    #[arg(long, hide = true, global = true, env = "MLLP_HOST")]
    pub(crate) mllp_host: Option<String>,
    /// Key of the REST API, from the environment alone: a command line can be read by others.
    #[arg(
        long,
        hide = true,
        global = true,
        env = "API_KEY",
        hide_env_values = true
    )]
    pub(crate) api_key: Option<String>,
}

/// The presets by the names that people type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProfileName {
    /// As the conformance statement says, without its limits on connections.
    Medsynapse,
    /// The conformance statement to the letter.
    MedsynapseStrict,
}

impl From<ProfileName> for Preset {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Medsynapse => Self::Medsynapse,
            ProfileName::MedsynapseStrict => Self::MedsynapseStrict,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_page_of_the_reference_is_the_command_line() {
        crate::reference::check(Cli::command());
    }
}
