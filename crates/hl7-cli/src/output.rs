//! Data on standard output, whose reader may have seen enough: `| head` ends nothing with an error.

use core::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Prints one line on standard output.
///
/// # Errors
///
/// Whatever hinders it, but not a reader that has gone.
pub fn print_line(line: impl Display) -> io::Result<()> {
    print_bytes(format!("{line}\n").as_bytes())
}

/// Prints these bytes on standard output.
///
/// # Errors
///
/// As [`print_line`].
pub fn print_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    unless_gone(out.write_all(bytes).and_then(|()| out.flush()))
}

/// A reader that has gone, such as `head`, is no error of ours.
///
/// ```
/// use std::io::{Error, ErrorKind};
///
/// assert!(hl7_cli::unless_gone(Err(ErrorKind::BrokenPipe.into())).is_ok());
/// assert!(hl7_cli::unless_gone(Err(ErrorKind::StorageFull.into())).is_err());
/// ```
///
/// # Errors
///
/// Every other error.
pub fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
