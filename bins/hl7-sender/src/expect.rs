//! [`Expect`]: which outcome of a message is the wanted one.

use std::str::FromStr;

use hl7_message::AckCode;

use crate::link::{Failure, FailureKind, Reply};

/// The wanted outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// AA or CA.
    Accept,
    /// This code and no other.
    Code(AckCode),
    /// No acknowledgement: silence, or the end of the connection.
    Nothing,
}

impl Expect {
    pub(crate) fn is_met(self, outcome: &Result<Reply, Failure>) -> bool {
        match (self, outcome) {
            (Self::Accept, Ok(reply)) => reply.code.is_accept(),
            (Self::Code(code), Ok(reply)) => reply.code == code,
            (Self::Nothing, Err(failure)) => {
                matches!(failure.kind, FailureKind::AckTimeout | FailureKind::Closed)
            }
            (Self::Accept | Self::Code(_), Err(_)) | (Self::Nothing, Ok(_)) => false,
        }
    }
}

impl FromStr for Expect {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "accept" => Ok(Self::Accept),
            "none" => Ok(Self::Nothing),
            code => match code.to_ascii_uppercase().parse() {
                Ok(code) => Ok(Self::Code(code)),
                Err(_) => Err("write AA, AE, AR, CA, CE, CR or none"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn each_expectation_is_met_by_its_own_outcomes() {
        let reply = |code: &str| {
            Ok::<_, Failure>(Reply {
                code: code.parse().unwrap(),
                answer: Bytes::new(),
            })
        };
        let failure = |kind| Err::<Reply, _>(Failure::new(kind, ""));
        let outcomes = [
            reply("AA"),
            reply("CA"),
            reply("AR"),
            failure(FailureKind::AckTimeout),
            failure(FailureKind::Closed),
            failure(FailureKind::Refused),
            failure(FailureKind::WrongId),
        ];
        for (text, met) in [
            ("accept", [true, true, false, false, false, false, false]),
            ("AA", [true, false, false, false, false, false, false]),
            ("ar", [false, false, true, false, false, false, false]),
            ("none", [false, false, false, true, true, false, false]),
        ] {
            let expect: Expect = text.parse().unwrap();
            assert_eq!(
                outcomes.each_ref().map(|outcome| expect.is_met(outcome)),
                met,
                "{text}"
            );
        }
        assert!("XX".parse::<Expect>().is_err());
    }
}
