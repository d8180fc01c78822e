//! Sends HL7 v2 messages by MLLP or HTTP and prints each acknowledgement.

mod acks;
mod answer;
mod broken;
mod cli;
mod clock;
mod conformance;
mod exit;
mod expect;
mod fail_if;
mod ids;
mod input;
mod interrupt;
mod link;
mod listen;
mod modality;
mod outgoing;
mod prepare;
mod program;
mod report;
mod schedule;
mod send;
mod summary;
mod supply;
mod tally;
mod tls;

mod http;
mod mllp;

#[cfg(test)]
#[path = "../../reference.rs"]
mod reference;

use std::process::ExitCode;

use hl7_cli::ERROR;

use crate::{cli::Cli, exit::Exit};

fn main() -> ExitCode {
    match program::run(&Cli::read()) {
        Ok(exit) => exit.code(),
        Err(error) => {
            anstream::eprintln!("{ERROR}error:{ERROR:#} {error:#}");
            Exit::Usage.code()
        }
    }
}
