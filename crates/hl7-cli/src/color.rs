//! [`Color`]: `--color`, and the styles of the words that every program says.

use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style};

/// Of the word `error`.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Of the word `warning`.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// When to print colours: the value of `--color`.
///
/// ```
/// use clap::ValueEnum;
/// use hl7_cli::Color;
///
/// assert_eq!(Color::from_str("never", true), Ok(Color::Never));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Makes it so for all that this program prints by `anstream`.
    pub fn apply(self) {
        match self {
            Self::Auto => {}
            Self::Always => anstream::ColorChoice::Always.write_global(),
            Self::Never => anstream::ColorChoice::Never.write_global(),
        }
    }
}
