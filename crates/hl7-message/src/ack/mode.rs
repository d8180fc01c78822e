//! [`AckMode`]: which answers a message asks for, and which it gets.

use crate::ack::AckCode;
use crate::header::Header;

/// Table 0155, the values of MSH-15 and MSH-16: when an answer is wanted.
///
/// ```
/// use hl7_message::AckWhen;
///
/// assert!(AckWhen::ErrorOrReject.wants(false) && !AckWhen::ErrorOrReject.wants(true));
/// assert_eq!(AckWhen::Success.as_str(), "SU");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AckWhen {
    /// AL: always.
    Always,
    /// NE: never.
    Never,
    /// ER: for an error or a reject only.
    ErrorOrReject,
    /// SU: for success only.
    Success,
}

impl AckWhen {
    /// The two letters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "AL",
            Self::Never => "NE",
            Self::ErrorOrReject => "ER",
            Self::Success => "SU",
        }
    }

    /// MSH-15 or MSH-16 as raw bytes; `None` where nothing is said (empty, blanks, `""`).
    ///
    /// A value outside the table is read as AL: its sender wants something, and an answer too
    /// many is better than one too few.
    ///
    /// ```
    /// use hl7_message::AckWhen;
    ///
    /// assert_eq!(AckWhen::from_field(b"ER"), Some(AckWhen::ErrorOrReject));
    /// assert_eq!(AckWhen::from_field(b""), None);
    /// ```
    pub fn from_field(bytes: &[u8]) -> Option<Self> {
        match bytes.trim_ascii() {
            b"" | b"\"\"" => None,
            b"NE" => Some(Self::Never),
            b"ER" => Some(Self::ErrorOrReject),
            b"SU" => Some(Self::Success),
            _ => Some(Self::Always),
        }
    }

    /// Whether an answer of this kind is wanted.
    ///
    /// ```
    /// use hl7_message::AckWhen;
    ///
    /// let positive = true;
    /// assert!(AckWhen::Always.wants(positive) && AckWhen::Success.wants(positive));
    /// assert!(!AckWhen::Never.wants(positive) && !AckWhen::ErrorOrReject.wants(positive));
    /// ```
    pub const fn wants(self, positive: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::ErrorOrReject => !positive,
            Self::Success => positive,
        }
    }
}

/// What became of a message at the commit stage.
///
/// ```
/// use hl7_message::{AckCode, CommitOutcome};
///
/// assert_eq!(CommitOutcome::NotStored.code(), AckCode::CommitError);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommitOutcome {
    /// It is in safe storage: the sender may forget it.
    Stored,
    /// It cannot be stored, or its sequence number is not the expected one.
    NotStored,
    /// MSH-9, MSH-11 or MSH-12 is not acceptable.
    NotAcceptable,
}

impl CommitOutcome {
    /// CA, CE or CR.
    pub const fn code(self) -> AckCode {
        match self {
            Self::Stored => AckCode::CommitAccept,
            Self::NotStored => AckCode::CommitError,
            Self::NotAcceptable => AckCode::CommitReject,
        }
    }
}

/// What became of a message in the application.
///
/// ```
/// use hl7_message::{AckCode, ApplicationOutcome};
///
/// assert_eq!(ApplicationOutcome::ContentError.code(), AckCode::ApplicationError);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApplicationOutcome {
    /// It took effect.
    Processed,
    /// Its content is wrong.
    ContentError,
    /// It could not be processed, for reasons other than its content.
    NotProcessable,
}

impl ApplicationOutcome {
    /// AA, AE or AR.
    pub const fn code(self) -> AckCode {
        match self {
            Self::Processed => AckCode::ApplicationAccept,
            Self::ContentError => AckCode::ApplicationError,
            Self::NotProcessable => AckCode::ApplicationReject,
        }
    }
}

/// What is sent for one message: up to one answer at each stage.
///
/// ```
/// use hl7_message::{AckCode, AckMode, Answers, ApplicationOutcome, CommitOutcome};
///
/// let good = AckMode::Original.answers(CommitOutcome::Stored, ApplicationOutcome::Processed);
/// assert_eq!(good.application, Some(AckCode::ApplicationAccept));
/// assert!(!good.is_none() && Answers::NONE.is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Answers {
    /// CA, CE or CR, at once.
    pub commit: Option<AckCode>,
    /// AA, AE or AR, when the application is done.
    pub application: Option<AckCode>,
}

impl Answers {
    /// No answer at all.
    pub const NONE: Self = Self {
        commit: None,
        application: None,
    };

    /// Whether nothing is sent.
    pub const fn is_none(self) -> bool {
        self.commit.is_none() && self.application.is_none()
    }
}

/// Which answers a message asks for, by its MSH-15 and MSH-16 (HL7 2.3 chapter 2, 2.12).
///
/// ```
/// use hl7_message::{AckCode, AckMode, ApplicationOutcome, CommitOutcome, Message};
///
/// let order = b"MSH|^~\\&|RIS|H|PACS|R|||ORM^O01|MSG1|P|2.3|||AL|ER\r";
/// let mode = AckMode::of(&Message::parse(order)?.header());
/// let answers = mode.answers(CommitOutcome::Stored, ApplicationOutcome::Processed);
/// assert_eq!(answers.commit, Some(AckCode::CommitAccept));
/// assert_eq!(answers.application, None, "ER: of success nothing is said");
/// # Ok::<(), hl7_message::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AckMode {
    /// One answer, when the application is done.
    Original,
    /// An answer when the message is stored, another one from the application, each as asked for.
    Enhanced {
        /// MSH-15: when the commit stage answers.
        accept: AckWhen,
        /// MSH-16: when the application answers.
        application: AckWhen,
    },
}

impl AckMode {
    /// The mode that a message asks for.
    ///
    /// ```
    /// use hl7_message::{AckMode, Message};
    ///
    /// let order = b"MSH|^~\\&|RIS|H|PACS|R|||ORM^O01|MSG1|P|2.3\r";
    /// assert_eq!(AckMode::of(&Message::parse(order)?.header()), AckMode::Original);
    /// # Ok::<(), hl7_message::ParseError>(())
    /// ```
    pub fn of(header: &Header<'_>) -> Self {
        Self::from_fields(
            header.accept_acknowledgement().as_bytes(),
            header.application_acknowledgement().as_bytes(),
        )
    }

    /// The mode by the raw bytes of MSH-15 and MSH-16: original where neither is valued.
    ///
    /// Never for MSH-15 and always for MSH-16 is what original mode does, so it is original mode:
    /// a message refused at the door is refused with AR, not with silence. One of the two left
    /// empty while the other is valued means never.
    ///
    /// ```
    /// use hl7_message::{AckMode, AckWhen};
    ///
    /// assert_eq!(AckMode::from_fields(b"", b""), AckMode::Original);
    /// assert_eq!(AckMode::from_fields(b"NE", b"AL"), AckMode::Original);
    /// let accept = AckWhen::Always;
    /// let application = AckWhen::Never;
    /// assert_eq!(AckMode::from_fields(b"AL", b""), AckMode::Enhanced { accept, application });
    /// ```
    pub fn from_fields(accept: &[u8], application: &[u8]) -> Self {
        match (
            AckWhen::from_field(accept),
            AckWhen::from_field(application),
        ) {
            (None, None) | (None | Some(AckWhen::Never), Some(AckWhen::Always)) => Self::Original,
            (accept, application) => Self::Enhanced {
                accept: accept.unwrap_or(AckWhen::Never),
                application: application.unwrap_or(AckWhen::Never),
            },
        }
    }

    /// What is sent. In enhanced mode the application has a say only if the message was stored;
    /// in original mode what was not is AR.
    ///
    /// ```
    /// use hl7_message::{AckCode, AckMode, ApplicationOutcome, CommitOutcome};
    ///
    /// let enhanced = AckMode::from_fields(b"AL", b"AL");
    /// let refused = enhanced.answers(CommitOutcome::NotStored, ApplicationOutcome::NotProcessable);
    /// assert_eq!((refused.commit, refused.application), (Some(AckCode::CommitError), None));
    /// ```
    pub const fn answers(self, commit: CommitOutcome, application: ApplicationOutcome) -> Answers {
        let stored = matches!(commit, CommitOutcome::Stored);
        match self {
            Self::Original if stored => Answers {
                commit: None,
                application: Some(application.code()),
            },
            Self::Original => Answers {
                commit: None,
                application: Some(AckCode::ApplicationReject),
            },
            Self::Enhanced {
                accept,
                application: when,
            } => {
                let processed = matches!(application, ApplicationOutcome::Processed);
                Answers {
                    commit: if accept.wants(stored) {
                        Some(commit.code())
                    } else {
                        None
                    },
                    application: if stored && when.wants(processed) {
                        Some(application.code())
                    } else {
                        None
                    },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ApplicationOutcome::{ContentError, NotProcessable, Processed};
    use super::CommitOutcome::{NotAcceptable, NotStored, Stored};
    use super::*;

    const COMMITS: [CommitOutcome; 3] = [Stored, NotStored, NotAcceptable];
    const APPLICATIONS: [ApplicationOutcome; 3] = [Processed, ContentError, NotProcessable];

    /// MSH-15 against stored, not stored, not acceptable; `--` is nothing. Only one of the rows
    /// with MSH-16 empty and MSH-15 empty is original mode; these are the enhanced ones.
    const COMMIT_TABLE: [(&str, &str, [&str; 3]); 6] = [
        ("AL", "", ["CA", "CE", "CR"]),
        ("AL", "AL", ["CA", "CE", "CR"]),
        ("ER", "", ["--", "CE", "CR"]),
        ("SU", "", ["CA", "--", "--"]),
        ("NE", "", ["--", "--", "--"]),
        ("", "NE", ["--", "--", "--"]),
    ];

    /// MSH-16 against processed, content error, not processable, for a message that was stored.
    const APPLICATION_TABLE: [(&str, &str, [&str; 3]); 8] = [
        ("AL", "AL", ["AA", "AE", "AR"]),
        ("NE", "AL", ["AA", "AE", "AR"]),
        ("", "AL", ["AA", "AE", "AR"]),
        ("AL", "", ["--", "--", "--"]),
        ("AL", "ER", ["--", "AE", "AR"]),
        ("", "ER", ["--", "AE", "AR"]),
        ("AL", "SU", ["AA", "--", "--"]),
        ("AL", "NE", ["--", "--", "--"]),
    ];

    fn letters(code: Option<AckCode>) -> &'static str {
        code.map_or("--", AckCode::as_str)
    }

    #[test]
    fn every_row_of_the_commit_table() {
        for (accept, application, row) in COMMIT_TABLE {
            let mode = AckMode::from_fields(accept.as_bytes(), application.as_bytes());
            for (outcome, expected) in COMMITS.into_iter().zip(row) {
                for processed in APPLICATIONS {
                    let answers = mode.answers(outcome, processed);
                    assert_eq!(letters(answers.commit), expected, "{accept} {outcome:?}");
                }
            }
        }
    }

    #[test]
    fn every_row_of_the_application_table() {
        for (accept, application, row) in APPLICATION_TABLE {
            let mode = AckMode::from_fields(accept.as_bytes(), application.as_bytes());
            for (outcome, expected) in APPLICATIONS.into_iter().zip(row) {
                let answers = mode.answers(Stored, outcome);
                assert_eq!(
                    letters(answers.application),
                    expected,
                    "{application} {outcome:?}"
                );
            }
        }
    }

    #[test]
    fn the_application_is_silent_where_the_commit_stage_failed() {
        for accept in ["AL", "ER", "SU", "NE"] {
            for application in ["AL", "ER", "SU", "NE", ""] {
                let mode = AckMode::from_fields(accept.as_bytes(), application.as_bytes());
                if mode == AckMode::Original {
                    continue;
                }
                for commit in [NotStored, NotAcceptable] {
                    for outcome in APPLICATIONS {
                        assert_eq!(mode.answers(commit, outcome).application, None);
                    }
                }
            }
        }
    }

    #[test]
    fn original_mode_is_one_answer_always() {
        for (accept, application) in [("", ""), ("NE", "AL"), ("", "AL"), ("\"\"", " ")] {
            let mode = AckMode::from_fields(accept.as_bytes(), application.as_bytes());
            assert_eq!(mode, AckMode::Original, "{accept}/{application}");
        }
        let sent = |commit, application| {
            let answers = AckMode::Original.answers(commit, application);
            assert_eq!(answers.commit, None);
            letters(answers.application)
        };
        assert_eq!(sent(Stored, Processed), "AA");
        assert_eq!(sent(Stored, ContentError), "AE");
        assert_eq!(sent(Stored, NotProcessable), "AR");
        for commit in [NotStored, NotAcceptable] {
            assert_eq!(sent(commit, Processed), "AR", "never a positive answer");
        }
    }

    #[test]
    fn an_unknown_value_asks_for_an_answer() {
        let mode = AckMode::from_fields(b"XX", b"");
        assert_eq!(
            mode.answers(Stored, Processed).commit,
            Some(AckCode::CommitAccept)
        );
        for when in [
            AckWhen::Always,
            AckWhen::Never,
            AckWhen::ErrorOrReject,
            AckWhen::Success,
        ] {
            assert_eq!(AckWhen::from_field(when.as_str().as_bytes()), Some(when));
        }
    }
}
