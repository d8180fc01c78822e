//! [`Client::submit_by_mode`]: the answers that a message itself asks for, one stage at a time.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    client::{AnswerPhase, Client, Exchange, ExchangeError, Stage, Untold, judge},
    correlate::{Asks, Verdict, When},
};

/// What came of one stage.
#[derive(Debug)]
pub enum Phase {
    /// The message asks for no answer at this stage, or a failure before it leaves none to come.
    NotDue,
    /// Nothing came, and nothing had to: an answer was asked for error (or for success) only.
    Silent(When),
    /// The answer.
    Answered(Exchange),
    /// No usable answer. The message is stored all the same: its commit answer was positive.
    Failed(ExchangeError),
}

impl Phase {
    fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::Answered(exchange) => Some(exchange.verdict),
            // Silence under ER says that nothing went wrong, under SU that something did.
            Self::Silent(When::Error) => Some(Verdict::Accepted),
            Self::Silent(_) => Some(Verdict::Error),
            Self::NotDue | Self::Failed(_) => None,
        }
    }
}

/// What came of both stages of a message.
#[derive(Debug)]
#[must_use]
pub struct Phases {
    /// The commit stage: CA, CE, CR.
    pub commit: Phase,
    /// The application: AA, AE, AR.
    pub application: Phase,
}

impl Phases {
    /// The last word on the message: the application's, or else that of the commit stage. `None`
    /// where nobody was asked, or the application's answer failed to come.
    pub fn verdict(&self) -> Option<Verdict> {
        match &self.application {
            Phase::Failed(_) => None,
            application => application.verdict().or_else(|| self.commit.verdict()),
        }
    }

    /// Whether the receiver has taken the message over, so that the sender may forget it:
    /// accepted, stored, or sent without asking for any answer.
    pub fn may_be_forgotten(&self) -> bool {
        match (&self.commit, &self.application) {
            (Phase::NotDue, Phase::NotDue) => true,
            (commit, application) => {
                commit.verdict() == Some(Verdict::Accepted)
                    || application.verdict() == Some(Verdict::Accepted)
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Sends one message and waits for the answers that it asks for in MSH-15 and MSH-16: none,
    /// one, or first the commit answer and then the application's.
    ///
    /// Where an answer is asked for error or for success only, silence for `first_byte_timeout`
    /// means the opposite. As after any wait in vain, the connection is then given up. A receiver
    /// that answers AA at once, as if it had not been asked for a commit answer, is understood.
    ///
    /// ```no_run
    /// use hl7_mllp::{Client, ClientConfig, ExchangeError};
    ///
    /// # async fn example() -> Result<(), ExchangeError> {
    /// let mut client = Client::connect("ris.example:2575", ClientConfig::default()).await?;
    /// let order = b"MSH|^~\\&|A|B|C|D|20240301||ORM^O01|42|P|2.3|||AL|AL\r";
    /// let phases = client.submit_by_mode(order).await?;
    /// if phases.may_be_forgotten() {
    ///     println!("stored; the application says {:?}", phases.verdict());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn submit_by_mode(&mut self, frame: &[u8]) -> Result<Phases, ExchangeError> {
        let correlate = Arc::clone(&self.correlate);
        let id = correlate
            .control_id(frame)
            .ok_or(ExchangeError::NoControlId)?;
        let mut waiting = Waiting::for_answers(correlate.asks(frame));
        self.wire.check_silent().await?;
        self.wire.send(frame).await?;
        while waiting.can_come() {
            let received = match self.wire.receive().await {
                Ok(answer) => judge(&*correlate, &answer, id).map(|judged| (judged, answer)),
                Err(error) => Err(error),
            };
            let ((stage, verdict), answer) = match received {
                Ok(received) => received,
                Err(ExchangeError::AnswerTimeout {
                    phase: AnswerPhase::FirstByte,
                }) if !waiting.must_come() => return Ok(waiting.silence()),
                Err(error) => return waiting.failure(error),
            };
            let asked_back = match stage {
                Stage::Application => correlate.commit_answer(&answer),
                Stage::Commit => None,
            };
            let exchange = Exchange {
                verdict,
                answer,
                commit: None,
            };
            if let Err(error) = waiting.note(stage, exchange) {
                return waiting.failure(error);
            }
            if let Some(commit) = asked_back
                && let Err(error) = self.wire.send_within(&commit).await
            {
                // The answer is here; that the peer does not hear so is the peer's to repeat.
                tracing::debug!(error = error.name(), "commit answer not sent");
                return Ok(waiting.ended());
            }
        }
        self.wire.settled();
        Ok(waiting.ended())
    }
}

/// The answers still to come. `None` is a stage that is not over.
struct Waiting {
    asks: Asks,
    commit: Option<Phase>,
    application: Option<Phase>,
}

impl Waiting {
    fn for_answers(asks: Asks) -> Self {
        let not_due = |when| (when == When::Never).then_some(Phase::NotDue);
        Self {
            asks,
            commit: not_due(asks.commit),
            application: not_due(asks.application),
        }
    }

    fn can_come(&self) -> bool {
        self.commit.is_none() || self.application.is_none()
    }

    /// Whether an answer is missing if nothing more comes.
    fn must_come(&self) -> bool {
        let commit = self.commit.is_none().then_some(self.asks.commit);
        let application = self.application.is_none().then_some(self.asks.application);
        // What is not stored the application never sees, and under SU nobody says so.
        commit == Some(When::Always)
            || application == Some(When::Always) && commit != Some(When::Success)
    }

    /// Takes an answer.
    fn note(&mut self, stage: Stage, exchange: Exchange) -> Result<(), ExchangeError> {
        let accepted = exchange.verdict == Verdict::Accepted;
        match stage {
            Stage::Application => {
                // No commit answer follows it.
                self.commit.get_or_insert(Phase::Silent(self.asks.commit));
                self.application = Some(Phase::Answered(exchange));
            }
            Stage::Commit if matches!(self.commit, Some(Phase::Answered(_))) => {
                return Err(ExchangeError::AnsweredBefore(Untold(exchange.answer)));
            }
            Stage::Commit => {
                self.commit = Some(Phase::Answered(exchange));
                if !accepted {
                    self.application = Some(Phase::NotDue);
                }
            }
        }
        Ok(())
    }

    fn silence(mut self) -> Phases {
        let commit = self.commit.get_or_insert(Phase::Silent(self.asks.commit));
        if commit.verdict() == Some(Verdict::Error) {
            // Not stored, so the application has nothing to say.
            self.application.get_or_insert(Phase::NotDue);
        }
        self.application
            .get_or_insert(Phase::Silent(self.asks.application));
        self.ended()
    }

    /// After a positive commit answer a failure is no longer one of the whole exchange.
    fn failure(self, error: ExchangeError) -> Result<Phases, ExchangeError> {
        match &self.commit {
            Some(Phase::Answered(exchange)) if exchange.verdict == Verdict::Accepted => {
                Ok(Phases {
                    commit: self.commit.unwrap_or(Phase::NotDue),
                    application: Phase::Failed(error),
                })
            }
            _ => Err(error),
        }
    }

    fn ended(self) -> Phases {
        Phases {
            commit: self.commit.unwrap_or(Phase::NotDue),
            application: self.application.unwrap_or(Phase::NotDue),
        }
    }
}
