//! [`Exit`]: what the program says to the shell.

use std::process::ExitCode;

/// The exit codes, the strongest first: when a run meets several, the first in this order is
/// the one that the shell sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Exit {
    /// 130: Ctrl-C or a termination signal.
    Interrupted,
    /// 2: wrong options, or an input that cannot be read as messages.
    Usage,
    /// 5: TLS, or an API key that was refused.
    Authentication,
    /// 3: no connection, or one that broke before the answer.
    Connection,
    /// 4: no acknowledgement in time.
    Timeout,
    /// 6: an answer that is no acknowledgement, or one of another message.
    Malformed,
    /// 7: a `--fail-if` threshold was missed.
    Threshold,
    /// 1: some message was answered but not as expected.
    NotAccepted,
    /// 0: every message was accepted.
    Accepted,
}

impl Exit {
    /// The number.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::NotAccepted => 1,
            Self::Usage => 2,
            Self::Connection => 3,
            Self::Timeout => 4,
            Self::Authentication => 5,
            Self::Malformed => 6,
            Self::Threshold => 7,
            Self::Interrupted => 130,
        }
    }

    /// The number, as `main` returns it.
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(self.number())
    }

    /// The one that speaks for all of these; [`Exit::Accepted`] where there is none.
    pub(crate) fn strongest(exits: impl IntoIterator<Item = Self>) -> Self {
        exits.into_iter().min().unwrap_or(Self::Accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_strength_is_the_documented_one() {
        let documented = [130, 2, 5, 3, 4, 6, 7, 1, 0];
        let mut all = [
            Exit::Accepted,
            Exit::NotAccepted,
            Exit::Usage,
            Exit::Connection,
            Exit::Timeout,
            Exit::Authentication,
            Exit::Malformed,
            Exit::Threshold,
            Exit::Interrupted,
        ];
        all.sort();
        assert_eq!(all.map(Exit::number), documented);
        assert_eq!(Exit::strongest(all), Exit::Interrupted);
        assert_eq!(Exit::strongest([]), Exit::Accepted);
    }
}
