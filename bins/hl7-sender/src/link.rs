//! [`Link`]: one message out, its answer in, whatever carries it; [`Failure`] where there is none.

use std::fmt;

use bytes::Bytes;
use hl7_message::{AckCode, Message};
use hl7_mllp::correlate::{Correlate, Hl7};

use crate::{broken, exit::Exit, http, mllp, outgoing::Outgoing};

/// An answer that names the message sent. `Debug` shows its length, never its bytes.
pub(crate) struct Reply {
    /// MSA-1.
    pub(crate) code: AckCode,
    /// The whole answer as it came.
    pub(crate) answer: Bytes,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.code, self.answer.len())
    }
}

impl Reply {
    /// Reads an answer to the message with the control id `sent`.
    pub(crate) fn read(answer: Bytes, sent: &[u8]) -> Result<Self, Failure> {
        let no_ack = |what: &str| Failure::new(FailureKind::NoAck, what);
        let message =
            Message::parse(&answer).map_err(|_| no_ack("the answer is not an HL7 message"))?;
        let ack = Hl7
            .acknowledgement(&answer)
            .ok_or_else(|| no_ack("the answer has no MSA segment"))?;
        let code = std::str::from_utf8(ack.code).ok();
        let code: AckCode = code
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| no_ack("the answer has an unknown code (MSA-1)"))?;
        // A receiver that could not read the header refuses the message without naming it.
        let nameless = ack.control_id.is_empty() && !code.is_accept();
        if ack.control_id != sent && !nameless {
            let text = "the answer names another message (MSA-2)";
            return Err(Failure::new(FailureKind::WrongId, text));
        }
        drop(message);
        Ok(Self { code, answer })
    }
}

/// Why there is no such answer.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// One line for people, without content of the message.
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }
}

/// The kinds of failures, as they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FailureKind {
    /// Nothing listens there.
    Refused,
    /// The host's name is not known.
    NameNotFound,
    /// The connection was not made in time.
    ConnectTimeout,
    /// The connection could not be made for another reason.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The API key was refused.
    Unauthorized,
    /// The connection ended or broke before the answer.
    Closed,
    /// No acknowledgement in time.
    AckTimeout,
    /// The answer is no acknowledgement.
    NoAck,
    /// The answer names another message.
    WrongId,
    /// The receiver refused the request without an acknowledgement.
    RequestRefused,
    /// The message cannot travel; nothing was sent.
    Unsendable,
}

impl FailureKind {
    /// A short, stable name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NameNotFound => "name_not_found",
            Self::ConnectTimeout => "connect_timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Unauthorized => "unauthorized",
            Self::Closed => "closed",
            Self::AckTimeout => "ack_timeout",
            Self::NoAck => "no_ack",
            Self::WrongId => "wrong_id",
            Self::RequestRefused => "request_refused",
            Self::Unsendable => "unsendable",
        }
    }

    /// What it means for the exit code.
    pub(crate) const fn exit(self) -> Exit {
        match self {
            Self::Refused
            | Self::NameNotFound
            | Self::ConnectTimeout
            | Self::Connect
            | Self::Closed => Exit::Connection,
            Self::Tls | Self::Unauthorized => Exit::Authentication,
            Self::AckTimeout => Exit::Timeout,
            Self::NoAck | Self::WrongId => Exit::Malformed,
            Self::RequestRefused => Exit::NotAccepted,
            Self::Unsendable => Exit::Usage,
        }
    }

    /// Whether the same bytes may be sent again: the outcome is unknown, or nothing was sent.
    pub(crate) const fn is_worth_a_retry(self) -> bool {
        match self {
            Self::Refused
            | Self::ConnectTimeout
            | Self::Connect
            | Self::Closed
            | Self::AckTimeout => true,
            Self::NameNotFound
            | Self::Tls
            | Self::Unauthorized
            | Self::NoAck
            | Self::WrongId
            | Self::RequestRefused
            | Self::Unsendable => false,
        }
    }

    /// Whether nothing at all can get through, so that as the first outcome of a run it ends the
    /// run: every other message would only repeat it.
    pub(crate) const fn is_about_the_receiver(self) -> bool {
        match self {
            Self::Refused
            | Self::NameNotFound
            | Self::ConnectTimeout
            | Self::Connect
            | Self::Tls
            | Self::Unauthorized => true,
            Self::Closed
            | Self::AckTimeout
            | Self::NoAck
            | Self::WrongId
            | Self::RequestRefused
            | Self::Unsendable => false,
        }
    }
}

/// Where messages go; every worker takes its own [`Link`] from it.
#[derive(Debug)]
pub(crate) enum Target {
    Mllp(mllp::Target),
    Broken(broken::Target),
    Http(http::Target),
}

impl Target {
    pub(crate) fn link(&self) -> Link<'_> {
        match self {
            Self::Mllp(target) => Link::Mllp(Box::new(mllp::Link::new(target))),
            Self::Broken(target) => Link::Broken(target),
            Self::Http(target) => Link::Http(target),
        }
    }

    /// How it is called in a text for people.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Mllp(target) => target.address().to_owned(),
            Self::Broken(target) => target.mllp.address().to_owned(),
            Self::Http(target) => target.address(),
        }
    }

    /// What to do about a failure that is about the receiver.
    pub(crate) fn advice(&self, kind: FailureKind) -> &'static str {
        match (self, kind) {
            (_, FailureKind::Unauthorized) => {
                "give a valid API key in HL7_API_KEY or with --apikey-file"
            }
            (_, FailureKind::Tls) => "check --tls, --ca, --cert, --key and --sni",
            (Self::Mllp(_) | Self::Broken(_), FailureKind::NameNotFound) => {
                "check the spelling of --host"
            }
            (Self::Mllp(_) | Self::Broken(_), FailureKind::Refused) => {
                "start the receiver there (hl7-server), or name another with --host and --port"
            }
            (Self::Mllp(_) | Self::Broken(_), _) => {
                "check --host and --port, the network and the firewall between; --timeout waits longer"
            }
            (Self::Http(_), FailureKind::Refused) => {
                "start the receiver there (hl7-server), or name another with --endpoint"
            }
            (Self::Http(_), _) => "check --endpoint, the network and the firewall between",
        }
    }
}

/// One worker's way to the receiver.
#[derive(Debug)]
pub(crate) enum Link<'t> {
    Mllp(Box<mllp::Link<'t>>),
    Broken(&'t broken::Target),
    Http(&'t http::Target),
}

impl Link<'_> {
    /// Sends `bytes`, which are `message` or an edition of it with the control id `id`, and waits
    /// for the answer.
    pub(crate) async fn exchange(
        &mut self,
        message: &Outgoing,
        bytes: &[u8],
        id: &[u8],
    ) -> Result<Reply, Failure> {
        match self {
            Self::Mllp(link) => link.exchange(bytes, id).await,
            Self::Broken(target) => target.exchange(bytes).await,
            Self::Http(target) => target.exchange(message, bytes, id).await,
        }
    }

    /// Closes what is open in good order.
    pub(crate) async fn close(self) {
        match self {
            Self::Mllp(link) => link.close().await,
            Self::Broken(_) | Self::Http(_) => {}
        }
    }
}
