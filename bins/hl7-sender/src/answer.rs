//! [`Answering`]: how the pretend receiver answers.

use std::{fmt, str::FromStr, time::Duration};

use bytes::Bytes;
use chrono::{Datelike, Timelike};
use hl7_message::{AckCode, Header, Message, Reply, Responder, Timestamp};
use hl7_mllp::Answer;
use std::sync::atomic::{AtomicU64, Ordering};

use hl7_cli::units;

use crate::{
    clock,
    ids::{FreshIds, with_control_id},
};

/// What happens to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// It is answered with this code.
    Code(AckCode),
    /// It is accepted, but late.
    Delay(Duration),
    /// It is accepted under another control id.
    WrongId,
    /// It gets no answer, and the connection stays open.
    Nothing,
    /// It gets no answer, and the connection is closed.
    Close,
}

impl FromStr for Behaviour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "none" => Self::Nothing,
            "close" => Self::Close,
            "wrong-id" => Self::WrongId,
            _ => match text.strip_prefix("delay=") {
                Some(wait) => Self::Delay(units::duration(wait)?),
                None => Self::Code(text.to_ascii_uppercase().parse().map_err(
                    |_| "write AA, AE, AR, CA, CE, CR, none, close, wrong-id or delay=3s",
                )?),
            },
        })
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "{code}"),
            Self::Delay(wait) => write!(f, "AA after {wait:?}"),
            Self::WrongId => f.write_str("AA with a wrong id"),
            Self::Nothing => f.write_str("none"),
            Self::Close => f.write_str("close"),
        }
    }
}

/// A list of behaviours, one for each message in turn; the last goes on for ever.
#[derive(Debug)]
pub(crate) struct Answering {
    behaviours: Vec<Behaviour>,
    ids: FreshIds,
    answers: AtomicU64,
}

impl Answering {
    pub(crate) fn new(behaviours: Vec<Behaviour>) -> Self {
        Self {
            behaviours,
            ids: FreshIds::random(),
            answers: AtomicU64::new(0),
        }
    }

    /// What happens to message `number`, from 1.
    pub(crate) fn behaviour(&self, number: u64) -> Behaviour {
        let index = usize::try_from(number)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let last = self.behaviours.last();
        let found = self.behaviours.get(index).or(last).copied();
        found.unwrap_or(Behaviour::Code(AckCode::ApplicationAccept))
    }

    pub(crate) fn longest_delay(&self) -> Duration {
        let delays = self
            .behaviours
            .iter()
            .filter_map(|behaviour| match behaviour {
                Behaviour::Delay(wait) => Some(*wait),
                _ => None,
            });
        delays.max().unwrap_or_default()
    }

    pub(crate) async fn answer(&self, behaviour: Behaviour, frame: &Bytes) -> Answer {
        let accept = AckCode::ApplicationAccept;
        match behaviour {
            Behaviour::Nothing => Answer::Nothing,
            Behaviour::Close => Answer::Close,
            Behaviour::Code(code) => Answer::Reply(self.reply(code, frame)),
            Behaviour::Delay(wait) => {
                tokio::time::sleep(wait).await;
                Answer::Reply(self.reply(accept, frame))
            }
            Behaviour::WrongId => {
                let other = with_control_id(frame, b"NOT-THE-ID-SENT");
                Answer::Reply(self.reply(accept, &other))
            }
        }
    }

    fn reply(&self, code: AckCode, frame: &[u8]) -> Bytes {
        let number = self.answers.fetch_add(1, Ordering::Relaxed) + 1;
        let id = self.ids.id(number);
        let id = String::from_utf8_lossy(&id);
        let responder = Responder {
            application: "HL7-SENDER".to_owned(),
            facility: "LISTEN".to_owned(),
            version: "2.3".to_owned(),
            sequence_number: String::new(),
            country_code: String::new(),
            padded: false,
        };
        let now = timestamp();
        // What nobody could answer for is never accepted, whatever was asked for.
        let reject = AckCode::ApplicationReject;
        let (code, text) = match Message::parse(frame) {
            Err(_) => (reject, "Not an HL7 message."),
            Ok(message) if message.header().control_id().is_empty() => {
                (reject, "MSH-10 is missing.")
            }
            Ok(_) if code.is_accept() => (code, "Received."),
            Ok(_) => (code, "Answered as told."),
        };
        let reply = match Header::salvage(frame) {
            Some(header) => Reply::to(&header, &responder, &id, &now),
            None => Reply::to_nobody(&responder, &id, &now),
        };
        reply.write(code, text, &[]).into()
    }
}

fn timestamp() -> Timestamp {
    let now = clock::now();
    let small = |number: u32| u8::try_from(number).unwrap_or_default();
    let year = u16::try_from(now.year()).unwrap_or_default();
    let date = (year, small(now.month()), small(now.day()));
    let time = (small(now.hour()), small(now.minute()), small(now.second()));
    match Timestamp::from_civil(date, time) {
        Some(timestamp) => timestamp,
        None => unreachable!("the calendar gives dates that exist"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaviours_are_read_and_said() {
        for (text, said) in [
            ("AA", "AA"),
            ("ar", "AR"),
            ("none", "none"),
            ("close", "close"),
            ("wrong-id", "AA with a wrong id"),
            ("delay=3s", "AA after 3s"),
        ] {
            assert_eq!(text.parse::<Behaviour>().unwrap().to_string(), said);
        }
        for text in ["", "XX", "delay", "delay=soon"] {
            assert!(text.parse::<Behaviour>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_last_behaviour_goes_on() {
        let answering = Answering::new(vec![Behaviour::Close, Behaviour::Nothing]);
        let found = [1, 2, 3].map(|number| answering.behaviour(number));
        assert_eq!(
            found,
            [Behaviour::Close, Behaviour::Nothing, Behaviour::Nothing]
        );
    }

    #[test]
    fn what_is_no_message_is_rejected() {
        let answering = Answering::new(Vec::new());
        let answer = answering.reply(AckCode::ApplicationAccept, b"hello");
        assert!(String::from_utf8_lossy(&answer).contains("MSA|AR||Not an HL7 message."));
    }
}
