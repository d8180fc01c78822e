//! [`Client`]: one frame out, its answer in; [`Link`]: the same over a connection that is made
//! anew when it must be.

mod config;
mod dial;
mod error;
mod link;
mod many;
mod phases;
mod wire;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, ToSocketAddrs},
};

pub use config::ClientConfig;
pub use dial::{Dial, TcpDialer};
pub use error::{AnswerPhase, ExchangeError, Untold};
pub use link::Link;
pub use phases::{Phase, Phases};

use crate::correlate::{Correlate, Hl7, Verdict};
use wire::Wire;

/// Which stage of HL7's enhanced mode an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// CA, CE, CR.
    Commit,
    /// AA, AE, AR.
    Application,
}

impl Stage {
    const fn of(code: &[u8]) -> Self {
        match code {
            [b'C', ..] => Self::Commit,
            _ => Self::Application,
        }
    }
}

/// What a frame says about the message with this id, or why it says nothing about it.
fn judge(
    correlate: &dyn Correlate,
    answer: &Bytes,
    id: &[u8],
) -> Result<(Stage, Verdict), ExchangeError> {
    let untold = || Untold(answer.clone());
    let ack = correlate
        .acknowledgement(answer)
        .ok_or_else(|| ExchangeError::NoMsa(untold()))?;
    let verdict =
        Verdict::from_code(ack.code).ok_or_else(|| ExchangeError::UnknownCode(untold()))?;
    let of_nobody = ack.control_id.is_empty() && verdict != Verdict::Accepted;
    if ack.control_id != id && !of_nobody {
        return Err(ExchangeError::WrongId(untold()));
    }
    Ok((Stage::of(ack.code), verdict))
}

/// A message the peer has answered: the verdict, and the answer as it came.
///
/// `Debug` shows the answer's length, never its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What MSA-1 says.
    pub verdict: Verdict,
    /// The payload of the answer.
    pub answer: Bytes,
    /// The commit answer (CA) that came before it, where one was waited past.
    pub commit: Option<Bytes>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("verdict", &self.verdict)
            .field("answer_bytes", &self.answer.len())
            .field("commit_bytes", &self.commit.as_ref().map(Bytes::len))
            .finish()
    }
}

/// One connection to a receiver, with one message outstanding at a time
/// ([`exchange_many`](Self::exchange_many) has several).
///
/// An answer counts only if it names the message sent. Once an answer is overdue, foreign or
/// broken nobody can know what comes next over the connection, so it is given up there and then:
/// every later call says [`Unusable`](ExchangeError::Unusable), and the caller connects again.
/// Dropping the future of an unfinished exchange does the same. [`Link`] does the reconnecting.
pub struct Client<S = TcpStream> {
    wire: Wire<S>,
    correlate: Arc<dyn Correlate>,
}

impl<S> fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("usable", &self.wire.is_usable())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects in the clear.
    pub async fn connect(
        address: impl ToSocketAddrs,
        config: ClientConfig,
    ) -> Result<Self, ExchangeError> {
        let stream = dial::connect_tcp(address, &config).await?;
        Ok(Self::over(stream, config))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// A client over a connection that is already there.
    pub fn over(stream: S, config: ClientConfig) -> Self {
        Self {
            wire: Wire::new(stream, config),
            correlate: Arc::new(Hl7),
        }
    }

    /// The same client with another idea of which answer belongs to which message.
    #[must_use]
    pub fn correlated_by(self, correlate: Arc<dyn Correlate>) -> Self {
        Self { correlate, ..self }
    }

    /// Whether the connection can carry another exchange, as far as is known without asking it.
    pub fn is_usable(&self) -> bool {
        self.wire.is_usable()
    }

    /// Bytes the peer has sent outside any block.
    pub fn junk_bytes(&self) -> u64 {
        self.wire.junk_bytes()
    }

    /// Sends one message and returns the answer to it, whatever its verdict.
    ///
    /// ```no_run
    /// use hl7_mllp::client::{Client, ClientConfig, ExchangeError};
    ///
    /// # async fn example() -> Result<(), ExchangeError> {
    /// let mut client = Client::connect("ris.example:2575", ClientConfig::default()).await?;
    /// let order = b"MSH|^~\\&|A|B|C|D|20240301||ORM^O01|42|P|2.3\r";
    /// let answer = client.exchange(order).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn exchange(&mut self, frame: &[u8]) -> Result<Bytes, ExchangeError> {
        Ok(self.submit(frame).await?.answer)
    }

    /// Sends one message and returns the answer to it with its verdict.
    ///
    /// A negative answer whose MSA-2 is empty comes from a receiver that could not read the
    /// header. It is taken for the answer, since exactly one message is outstanding and the
    /// connection was silent before it; a positive one never is.
    pub async fn submit(&mut self, frame: &[u8]) -> Result<Exchange, ExchangeError> {
        let correlate = Arc::clone(&self.correlate);
        let id = correlate
            .control_id(frame)
            .ok_or(ExchangeError::NoControlId)?;
        self.wire.check_silent().await?;
        self.wire.send(frame).await?;
        let mut commit = None;
        loop {
            let answer = self.wire.receive().await?;
            let (stage, verdict) = judge(&*correlate, &answer, id)?;
            let stored = stage == Stage::Commit && verdict == Verdict::Accepted;
            if !stored || !self.wire.config.await_application_answer {
                self.wire.settled();
                return Ok(Exchange {
                    verdict,
                    answer,
                    commit,
                });
            }
            if commit.is_some() {
                return Err(ExchangeError::AnsweredBefore(Untold(answer)));
            }
            commit = Some(answer);
        }
    }

    /// Sends any bytes as one frame and returns the next frame that comes, without asking whether
    /// it is an answer to it. For test tools.
    pub async fn exchange_raw(&mut self, frame: &[u8]) -> Result<Bytes, ExchangeError> {
        self.wire.check_silent().await?;
        self.wire.send(frame).await?;
        let answer = self.wire.receive().await?;
        self.wire.settled();
        Ok(answer)
    }

    /// Sends any bytes as one frame, without waiting for an answer. For test tools; pair it with
    /// [`receive`](Self::receive).
    pub async fn send(&mut self, frame: &[u8]) -> Result<(), ExchangeError> {
        self.wire.send(frame).await?;
        self.wire.settled();
        Ok(())
    }

    /// Waits for the next frame, under the waits of an answer.
    pub async fn receive(&mut self) -> Result<Bytes, ExchangeError> {
        if !self.wire.is_usable() {
            return Err(ExchangeError::Unusable);
        }
        let frame = self.wire.receive().await?;
        self.wire.settled();
        Ok(frame)
    }

    /// Closes the connection in good order.
    pub async fn close(self) {
        self.wire.close().await;
    }
}
