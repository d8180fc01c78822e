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

#[cfg(test)]
#[path = "../../reference.rs"]
mod reference;

use std::io;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser};
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
    // What needs no configuration.
    match cli.command {
        Some(Command::Openapi) => {
            println!("{:#}", medsynapse_http::openapi());
            return ExitCode::SUCCESS;
        }
        Some(Command::Completions { shell }) => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "hl7-server", &mut io::stdout());
            return ExitCode::SUCCESS;
        }
        Some(Command::Man) => {
            let page = clap_mangen::Man::new(Cli::command()).render(&mut io::stdout());
            return match page.context("printing the manual page") {
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
        Command::Healthcheck => health::check(config.rest),
        Command::Openapi | Command::Completions { .. } | Command::Man => return ExitCode::SUCCESS,
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
