//! [`Badge`]: the answer to a message as text and icon.

/// MSA-1 in words.
pub(crate) struct Badge {
    pub(crate) code: String,
    /// `ok`, `bad`, `warn`: names both the colour and the icon.
    pub(crate) tone: &'static str,
    pub(crate) words: &'static str,
}

impl Badge {
    pub(crate) fn of(code: &str) -> Self {
        let (tone, words) = match code {
            "AA" | "CA" => ("ok", "accepted"),
            "AR" | "CR" => ("bad", "rejected"),
            "AE" | "CE" => ("warn", "not processed"),
            _ => ("warn", "no answer"),
        };
        Self {
            code: code.to_owned(),
            tone,
            words,
        }
    }
}
