//! [`Link`]: exchanges over a connection that is made anew when it must be.

use std::{fmt, sync::Arc};

use tokio::time::sleep;

use crate::{
    RetryPolicy,
    client::{Client, ClientConfig, Dial, Exchange, ExchangeError, Phases, TcpDialer, Untold},
    correlate::{Correlate, Hl7},
};

/// A receiver, connected to when there is something to send. The connection is kept between
/// messages as long as nothing casts doubt on it.
///
/// ```
/// use hl7_mllp::{ClientConfig, Link, RetryPolicy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), hl7_mllp::ExchangeError> {
/// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
/// # let address = listener.local_addr().unwrap().to_string();
/// # tokio::spawn(hl7_mllp::serve(
/// #     listener,
/// #     std::sync::Arc::new(hl7_mllp::handler_fn(|_| async {
/// #         hl7_mllp::Answer::Reply("MSH|^~\\&|P||R||1||ACK|1|P|2.3\rMSA|AA|42|\r".into())
/// #     })),
/// #     Default::default(),
/// #     std::sync::Arc::new(hl7_mllp::NoObserver),
/// #     Default::default(),
/// # ));
/// let mut link = Link::new(address, ClientConfig::default());
/// let report = b"MSH|^~\\&|PACS||RIS||1||ORU^R01|42|P|2.3\rOBR|1\r";
/// let mut random = 1_u64; // take it from a real source
/// let exchange = link
///     .deliver(
///         report,
///         &RetryPolicy::default(),
///         || { random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1); random },
///         |failures, error| eprintln!("failure {failures} in a row: {error}"),
///     )
///     .await?;
/// assert_eq!(exchange.verdict, hl7_mllp::correlate::Verdict::Accepted);
/// # Ok(())
/// # }
/// ```
pub struct Link<D: Dial = TcpDialer> {
    dialer: D,
    config: ClientConfig,
    correlate: Arc<dyn Correlate>,
    client: Option<Client<D::Io>>,
}

impl<D: Dial> fmt::Debug for Link<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

impl Link {
    /// To `host:port`, in the clear. Nothing is connected yet.
    pub fn new(address: impl Into<String>, config: ClientConfig) -> Self {
        Self::through(TcpDialer::new(address), config)
    }
}

impl<D: Dial> Link<D> {
    /// Over the connections that `dialer` makes.
    pub fn through(dialer: D, config: ClientConfig) -> Self {
        Self {
            dialer,
            config,
            correlate: Arc::new(Hl7),
            client: None,
        }
    }

    /// The same link with another idea of which answer belongs to which message.
    #[must_use]
    pub fn correlated_by(self, correlate: Arc<dyn Correlate>) -> Self {
        Self {
            correlate,
            client: None,
            ..self
        }
    }

    /// Whether a connection is being kept.
    pub fn is_connected(&self) -> bool {
        self.client.as_ref().is_some_and(Client::is_usable)
    }

    /// Sends one message once and returns its answer, connecting first if need be. A kept
    /// connection that turns out to be closed is replaced, since nothing was sent over it.
    pub async fn submit(&mut self, frame: &[u8]) -> Result<Exchange, ExchangeError> {
        if let Some(mut kept) = self.client.take().filter(Client::is_usable) {
            match kept.submit(frame).await {
                Err(ExchangeError::Stale | ExchangeError::Unexpected) => {}
                ended => return self.keep(kept, ended).await,
            }
        }
        let mut client = self.dial().await?;
        let ended = client.submit(frame).await;
        self.keep(client, ended).await
    }

    /// [`Client::submit_by_mode`], connecting first if need be.
    pub async fn submit_by_mode(&mut self, frame: &[u8]) -> Result<Phases, ExchangeError> {
        if let Some(mut kept) = self.client.take().filter(Client::is_usable) {
            match kept.submit_by_mode(frame).await {
                Err(ExchangeError::Stale | ExchangeError::Unexpected) => {}
                ended => return self.keep(kept, ended).await,
            }
        }
        let mut client = self.dial().await?;
        let ended = client.submit_by_mode(frame).await;
        self.keep(client, ended).await
    }

    async fn dial(&mut self) -> Result<Client<D::Io>, ExchangeError> {
        let stream = self.dialer.dial(&self.config).await?;
        let client = Client::over(stream, self.config.clone());
        Ok(client.correlated_by(Arc::clone(&self.correlate)))
    }

    /// Sends one message until the receiver has answered it: the same bytes, after the waits of
    /// `policy`, each time no answer came. Any verdict ends it, and so does an error that
    /// [is permanent](ExchangeError::is_permanent).
    ///
    /// `random` picks each wait's place within the policy's bounds. `failed` hears of every
    /// failure and how many there were in a row, to raise an alarm.
    ///
    /// Dropping the future gives up; the outcome is then unknown.
    pub async fn deliver(
        &mut self,
        frame: &[u8],
        policy: &RetryPolicy,
        random: impl FnMut() -> u64,
        failed: impl FnMut(u32, &ExchangeError),
    ) -> Result<Exchange, ExchangeError> {
        self.deliver_until(frame, policy, random, failed, |_| true)
            .await
    }

    /// [`deliver`](Self::deliver) that takes an answer for the last word only if `settles` says
    /// so. One that does not settle it is a failure like silence:
    /// [`Postponed`](ExchangeError::Postponed).
    ///
    /// By the standard's reading of AR with 206 or 207 in ERR-1 the same bytes may be accepted
    /// later; with `hl7-message` that is
    /// `|exchange| !Message::parse(&exchange.answer).is_ok_and(|answer| Ack::asks_to_resend(&answer))`.
    pub async fn deliver_until(
        &mut self,
        frame: &[u8],
        policy: &RetryPolicy,
        mut random: impl FnMut() -> u64,
        mut failed: impl FnMut(u32, &ExchangeError),
        mut settles: impl FnMut(&Exchange) -> bool,
    ) -> Result<Exchange, ExchangeError> {
        let mut failures = 0;
        loop {
            let error = match self.submit(frame).await {
                Ok(exchange) if settles(&exchange) => return Ok(exchange),
                Ok(exchange) => ExchangeError::Postponed(Untold(exchange.answer)),
                Err(error) => error,
            };
            failures += 1;
            failed(failures, &error);
            if error.is_permanent() || policy.attempts_max.is_some_and(|max| failures >= max) {
                return Err(error);
            }
            sleep(policy.delay(failures, random())).await;
        }
    }

    /// Closes the connection, if one is kept, in good order. The link can be used again.
    pub async fn close(&mut self) {
        if let Some(client) = self.client.take() {
            client.close().await;
        }
    }

    async fn keep<T>(
        &mut self,
        client: Client<D::Io>,
        ended: Result<T, ExchangeError>,
    ) -> Result<T, ExchangeError> {
        if self.config.one_message_per_connection {
            client.close().await;
        } else if client.is_usable() {
            self.client = Some(client);
        }
        ended
    }
}
