//! Steps on the wire: what is written, and what really came back.

use std::time::Duration;

use bytes::Bytes;
use hl7_mllp::client::{Client, ClientConfig, ExchangeError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

use super::case::{Preset, Step, Want};
use crate::{
    link::Failure,
    mllp::{Io, Target},
};

/// Pause between pieces of a frame, so that they are read one by one.
const PAUSE: Duration = Duration::from_millis(5);
/// How long nothing must come for silence.
const SILENCE: Duration = Duration::from_secs(1);
/// How long a receiver may take to close.
const CLOSING: Duration = Duration::from_secs(2);
/// Further tries where a receiver that serves one connection may still be busy with the last.
const TRIES: u32 = 5;

/// What came back for one [`Want`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) want: Want,
    /// What was sent, without its frame.
    pub(super) sent: Vec<u8>,
    pub(super) got: Got,
}

/// What a receiver did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Got {
    Frame(Bytes),
    /// Neither a byte nor a close.
    Silence,
    /// The connection ended without an answer.
    Closed,
    /// Something else; said in words.
    Other(String),
    /// As wanted after the answer.
    AnswerThenClosed(Bytes),
    /// An answer, and the connection stayed open though it had to be closed.
    AnswerThenOpen(Bytes),
}

/// A receiver under test.
#[derive(Debug)]
pub(super) struct Wire<'t> {
    pub(super) target: &'t Target,
    pub(super) preset: Preset,
}

type Connection = Client<Box<dyn Io>>;

impl Wire<'_> {
    /// Does one step; `last` is the frame that [`Step::Again`] repeats.
    pub(super) async fn run(
        &self,
        step: &Step,
        last: Option<&(Vec<u8>, Want)>,
    ) -> Result<Vec<Seen>, Failure> {
        let mut tries = 1;
        loop {
            let seen = self.once(step, last).await?;
            // A receiver that serves one connection may not have let go of the last one yet.
            let turned_away = seen
                .iter()
                .any(|seen| seen.got == Got::Closed && seen.want.is_answer());
            let strict = self.preset == Preset::MedsynapseStrict;
            if !(strict && turned_away && tries < TRIES) {
                return Ok(seen);
            }
            tries += 1;
            sleep(SILENCE / 10).await;
        }
    }

    async fn once(
        &self,
        step: &Step,
        last: Option<&(Vec<u8>, Want)>,
    ) -> Result<Vec<Seen>, Failure> {
        match step {
            Step::Wire {
                pieces,
                wants,
                hang_up,
            } => self.pieces(pieces, wants, *hang_up).await,
            Step::Talk(frames) => self.talk(frames).await,
            Step::Again => match last {
                Some(frame) => self.talk(std::slice::from_ref(frame)).await,
                None => Ok(Vec::new()),
            },
            Step::Beside { first, second } => {
                let mut waiting = self.connect().await?;
                let mut seen = self.talk(std::slice::from_ref(second)).await?;
                seen.push(exchange(&mut waiting, first).await);
                waiting.close().await;
                Ok(seen)
            }
            Step::ThenClosed(bytes, want) => {
                let mut stream = self.dial().await?;
                let frame = super::case::framed(bytes);
                let written = stream.write_all(&frame).await;
                if written.is_err() {
                    return Ok(vec![seen(want, bytes, Got::Closed)]);
                }
                Ok(vec![seen(want, bytes, answer_then_close(stream).await)])
            }
        }
    }

    async fn dial(&self) -> Result<Box<dyn Io>, Failure> {
        let dialled = self.target.dial().await;
        dialled.map_err(|error| self.target.failure(&error))
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        Ok(Client::over(
            self.dial().await?,
            self.target.config().clone(),
        ))
    }

    async fn talk(&self, frames: &[(Vec<u8>, Want)]) -> Result<Vec<Seen>, Failure> {
        let mut client = self
            .connect_for(frames.iter().map(|(_, want)| want))
            .await?;
        let mut all = Vec::with_capacity(frames.len());
        for frame in frames {
            all.push(exchange(&mut client, frame).await);
        }
        client.close().await;
        Ok(all)
    }

    async fn pieces(
        &self,
        pieces: &[Vec<u8>],
        wants: &[Want],
        hang_up: bool,
    ) -> Result<Vec<Seen>, Failure> {
        let mut stream = self.dial().await?;
        for piece in pieces {
            // A receiver may close in the middle of what is wrong.
            if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
                break;
            }
            if pieces.len() > 1 {
                sleep(PAUSE).await;
            }
        }
        if hang_up {
            // It may be closed already.
            let _ = stream.shutdown().await;
        }
        let sent = pieces.concat();
        let mut client = Client::over(stream, self.config(wants.iter()));
        let mut all = Vec::with_capacity(wants.len());
        for want in wants {
            all.push(seen(want, &sent, got(client.receive().await)));
        }
        client.close().await;
        Ok(all)
    }

    async fn connect_for(&self, wants: impl Iterator<Item = &Want>) -> Result<Connection, Failure> {
        Ok(Client::over(self.dial().await?, self.config(wants)))
    }

    /// Silence is not waited for as long as an answer.
    fn config<'w>(&self, mut wants: impl Iterator<Item = &'w Want>) -> ClientConfig {
        let mut config = self.target.config().clone();
        if wants.any(|want| !want.is_answer()) {
            config.first_byte_timeout = SILENCE;
        }
        config
    }
}

async fn exchange(client: &mut Connection, (bytes, want): &(Vec<u8>, Want)) -> Seen {
    let answered = match client.send(bytes).await {
        Ok(()) => client.receive().await,
        Err(error) => Err(error),
    };
    seen(want, bytes, got(answered))
}

fn seen(want: &Want, sent: &[u8], got: Got) -> Seen {
    Seen {
        want: want.clone(),
        sent: sent.to_vec(),
        got,
    }
}

fn got(answered: Result<Bytes, ExchangeError>) -> Got {
    match answered {
        Ok(frame) => Got::Frame(frame),
        Err(ExchangeError::AnswerTimeout { .. }) => Got::Silence,
        Err(
            ExchangeError::Closed
            | ExchangeError::Stale
            | ExchangeError::Unusable
            | ExchangeError::Reset
            | ExchangeError::Io(_),
        ) => Got::Closed,
        Err(error) => Got::Other(error.to_string()),
    }
}

/// Reads until the end of the connection: an answer in its frame, and nothing more.
async fn answer_then_close(mut stream: Box<dyn Io>) -> Got {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let closed = loop {
        match timeout(CLOSING, stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(count)) => bytes.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(_) => break false,
        }
    };
    let frame = bytes
        .strip_prefix(b"\x0B")
        .and_then(|rest| rest.strip_suffix(b"\x1C\r"));
    match frame {
        None if bytes.is_empty() && closed => Got::Closed,
        None if bytes.is_empty() => Got::Silence,
        None => Got::Other(format!("{} bytes that are no frame", bytes.len())),
        Some(frame) if closed => Got::AnswerThenClosed(Bytes::copy_from_slice(frame)),
        Some(frame) => Got::AnswerThenOpen(Bytes::copy_from_slice(frame)),
    }
}
