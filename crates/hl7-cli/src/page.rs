//! [`Page`]: what a program prints about itself.

use std::io;

use clap::Subcommand;
use clap_complete::Shell;

use crate::output::print_bytes;

/// The subcommands `completions` and `man`, for an enum of subcommands to flatten.
///
/// ```
/// use clap::{CommandFactory, Parser, Subcommand};
/// use hl7_cli::Page;
///
/// #[derive(Parser)]
/// #[command(name = "program")]
/// struct Cli {
///     #[command(subcommand)]
///     command: Command,
/// }
///
/// #[derive(Subcommand)]
/// enum Command {
///     #[command(flatten)]
///     Page(Page),
/// }
///
/// let cli = Cli::parse_from(["program", "man"]);
/// let Command::Page(page) = cli.command;
/// let text = String::from_utf8(page.text(Cli::command())?).unwrap();
/// assert!(text.contains(".TH program 1"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Subcommand)]
pub enum Page {
    /// Print the completion script of a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Print the manual page.
    Man,
}

impl Page {
    /// The page of a program.
    ///
    /// # Errors
    ///
    /// None: the text is made in memory.
    pub fn text(&self, mut program: clap::Command) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        match self {
            Self::Completions { shell } => {
                let name = program.get_name().to_owned();
                clap_complete::generate(*shell, &mut program, name, &mut text);
            }
            Self::Man => clap_mangen::Man::new(program).render(&mut text)?,
        }
        Ok(text)
    }

    /// Prints the page of a program on standard output.
    ///
    /// # Errors
    ///
    /// Whatever hinders it, but not a reader that has gone.
    pub fn print(&self, program: clap::Command) -> io::Result<()> {
        print_bytes(&self.text(program)?)
    }
}
