//! The Medsynapse PACS Broker.

mod audit;
mod backup;
mod banner;
mod cli;
mod config;
mod demo;
mod dicom;
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
mod signals;
mod tls;

use std::process::ExitCode;

use clap::Parser;
use medsynapse_broker::{Clock as _, SystemClock};

use crate::cli::{Cli, Command};
use crate::config::Config;

/// Wrong usage or configuration.
const USAGE: u8 = 2;
/// Failed while running.
const FAILED: u8 = 1;

#[expect(
    clippy::print_stdout,
    reason = "data that was asked for goes to standard output"
)]
fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Command::Openapi) = cli.command {
        println!("{:#}", medsynapse_http::openapi());
        return ExitCode::SUCCESS;
    }
    let config = match Config::load(&cli.options) {
        Ok(config) => config,
        Err(error) => return complain(&error, USAGE),
    };
    if cli.options.print_config {
        print!("{}", config.shown());
        return ExitCode::SUCCESS;
    }
    let result = match cli.command.unwrap_or(Command::Serve) {
        Command::CheckConfig => {
            println!("The configuration is good.");
            return ExitCode::SUCCESS;
        }
        Command::Backup { file } => backup::backup(&config.data_dir, &file),
        Command::Replay { into } => match replay::run(&config, into.as_deref()) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::from(FAILED),
            Err(error) => Err(error),
        },
        Command::Keys(command) => keys::run(command, &config.data_dir, SystemClock.now()),
        Command::Audit(command) => audit::run(&command, &config.data_dir),
        Command::Openapi => return ExitCode::SUCCESS,
        Command::Healthcheck => health::check(config.rest),
        Command::Serve => run::run(&config, &cli.options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, FAILED),
    }
}

/// One line on standard error that says what is wrong.
fn complain(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("hl7-server: {error:#}");
    ExitCode::from(code)
}
