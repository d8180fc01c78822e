//! The Medsynapse PACS Broker.

mod access;
mod audit;
mod backup;
mod banner;
mod cli;
mod config;
mod database;
mod demo;
mod dicom;
mod encryption;
mod faults;
mod gateway;
mod guarding;
mod health;
mod http;
mod keys;
mod log;
mod metrics;
mod observe;
mod outgoing;
mod replay;
mod retention;
mod run;
mod tls;
mod tls_own;

#[cfg(test)]
#[path = "../../reference.rs"]
mod reference;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use hl7_cli::{print_bytes, print_line};
use medsynapse_broker::{Clock as _, SystemClock};

use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::database::DatabaseSettings;
use crate::encryption::EncryptionCommand;

/// What one thread takes another one gives back, all day long: messages go from connections to the
/// writer. The system's allocator makes them wait for each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Wrong usage or configuration.
const USAGE: u8 = 2;
/// Failed while running.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::Page(page)) => return printed(page.print(Cli::command())),
        Some(Command::Openapi) => {
            return printed(print_line(format_args!("{:#}", medsynapse_http::openapi())));
        }
        // The configuration may name the file that is to be made.
        Some(Command::Encryption(EncryptionCommand::NewKey { file, name, first })) => {
            return match encryption::new_key(file, name.as_deref(), *first, SystemClock.now()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => complain(&error, FAILED),
            };
        }
        _ => {}
    }
    let config = match Config::load(&cli.options) {
        Ok(config) => config,
        Err(error) => return complain(&error, USAGE),
    };
    let shown = cli.options.print_config;
    let command = cli.command.unwrap_or(Command::Serve);
    if let Err(error) = check(&config, &command, shown) {
        return complain(&error, USAGE);
    }
    if shown {
        return printed(print_bytes(config.shown().as_bytes()));
    }
    let result = match command {
        Command::CheckConfig => return printed(print_line("The configuration is good.")),
        Command::Backup { .. } | Command::Encryption(_) if config.database.is_some() => {
            Err(anyhow::anyhow!(
                "this command is for the file in the data directory; a shared database has the \
                 tools of PostgreSQL: pg_dump, or a base backup with archived WAL"
            ))
        }
        Command::Backup { file } => backup::backup(&config, &file),
        Command::Replay { into } => match replay::run(&config, into.as_deref()) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::from(FAILED),
            Err(error) => Err(error),
        },
        Command::Copy { from, to } => database::copy(&config, &cli.options, &from, &to),
        Command::Keys(command) => keys::run(command, &config, SystemClock.now()),
        Command::Audit(command) => audit::run(&command, &config),
        Command::Encryption(command) => encryption::run(&command, &config, SystemClock.now()),
        Command::Openapi | Command::Page(_) => return ExitCode::SUCCESS,
        Command::Healthcheck => health::check(config.rest, config.guarding.rest_tls.as_ref()),
        Command::Serve => run::run(&config, &cli.options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, FAILED),
    }
}

/// Whether a server may run as it is configured, for the commands that ask that.
fn check(config: &Config, command: &Command, shown: bool) -> anyhow::Result<()> {
    match (command, &config.database) {
        // What is shown needs no database that answers.
        (Command::Serve | Command::CheckConfig, Some(_)) if shown => Ok(()),
        (Command::Serve, _) => config.protected(),
        (Command::CheckConfig, database) => {
            database.as_ref().map_or(Ok(()), DatabaseSettings::check)?;
            config.protected()
        }
        // The others open nothing to anybody; the first key is made by one of them.
        _ => Ok(()),
    }
}

/// What came of printing what was asked for.
fn printed(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(
            &anyhow::Error::new(error).context("cannot write to standard output"),
            FAILED,
        ),
    }
}

/// One line on standard error that says what is wrong.
fn complain(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("hl7-server: {error:#}");
    ExitCode::from(code)
}
