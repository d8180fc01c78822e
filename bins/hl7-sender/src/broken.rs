//! Messages sent wrong on purpose, to see what the receiver makes of them.

use bytes::Bytes;
use clap::builder::{PossibleValue, TypedValueParser};
use hl7_mllp::{broken::Break, client::Client};
use tokio::time::timeout;

use crate::{
    link::{Failure, FailureKind, Reply},
    mllp,
};

/// Reads the name of a [`Break`], and knows them all for `--help`.
#[derive(Debug, Clone)]
pub(crate) struct Breaks;

impl TypedValueParser for Breaks {
    type Value = Break;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Break, clap::Error> {
        let names = clap::builder::PossibleValuesParser::new(possible());
        let known = names.parse_ref(command, argument, value)?;
        known
            .parse()
            .map_err(|_| clap::Error::new(clap::error::ErrorKind::InvalidValue))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(possible()))
    }
}

fn possible() -> impl Iterator<Item = PossibleValue> {
    let value = |how: Break| PossibleValue::new(how.as_str()).help(how.about());
    Break::ALL.into_iter().map(value)
}

/// An MLLP receiver that is sent broken messages, each over a connection of its own.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) mllp: mllp::Target,
    pub(crate) how: Break,
}

impl Target {
    /// The answer; of several the first that is not an acceptance.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> Result<Reply, Failure> {
        let script = self.how.script(bytes);
        let failure = |error| self.mllp.failure(&error);
        let mut stream = self.mllp.dial().await.map_err(failure)?;
        let wait = self.mllp.timeout();
        match timeout(wait, script.write_to(&mut stream)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let text = format!("the connection broke while sending: {error}");
                return Err(Failure::new(FailureKind::Closed, text));
            }
            Err(_) => {
                let text = format!("the receiver read nothing for {wait:?}");
                return Err(Failure::new(FailureKind::AckTimeout, text));
            }
        }
        let mut client = Client::over(stream, self.mllp.config().clone());
        let mut replies = Vec::new();
        for id in &script.ids {
            let answer: Bytes = client.receive().await.map_err(failure)?;
            replies.push(Reply::read(answer, id)?);
        }
        let worst = replies
            .iter()
            .position(|reply| !reply.code.is_accept())
            .unwrap_or(0);
        Ok(replies.swap_remove(worst))
    }
}
