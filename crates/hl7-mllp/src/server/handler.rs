//! [`Handler`]: what a server does with a frame.

use std::{
    fmt,
    future::{Future, Ready, ready},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::FutureExt;

/// One frame as it came in. `Debug` shows its length, never its bytes.
#[derive(Clone)]
pub struct Request {
    /// The payload of the block, without its framing bytes.
    pub frame: Bytes,
    /// Who sent it.
    pub peer: SocketAddr,
    /// The connection it came over; ids are not reused while the server runs.
    pub connection: u64,
    /// Its place among the frames of that connection, 1 for the first.
    pub received_sequence: u64,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("frame_bytes", &self.frame.len())
            .field("peer", &self.peer)
            .field("connection", &self.connection)
            .field("received_sequence", &self.received_sequence)
            .finish()
    }
}

/// What goes back for one frame. `Debug` shows lengths, never bytes.
#[non_exhaustive]
pub enum Answer {
    /// One frame, and the connection stays open.
    Reply(Bytes),
    /// One frame, and then the connection is closed. Later frames of it get no answer.
    ReplyAndClose(Bytes),
    /// Nothing: the frame asks for no answer.
    Nothing,
    /// Nothing, and the connection is closed.
    Close,
    /// One frame now and another answer later, as in HL7's enhanced mode;
    /// [`commit_then`](Self::commit_then) makes one.
    CommitThen(Bytes, Later),
}

impl Answer {
    /// Sends `commit` in its turn, and what `application` comes to when it is ready.
    ///
    /// Commit answers leave in the order of their frames, and so do the later ones among
    /// themselves, each behind its own commit answer; a later answer holds up no commit answer.
    /// Until it has left, its frame is in hand: it counts for `in_flight_max`, shutdown waits for
    /// it, and a panic in it is answered by [`Handler::failure`].
    ///
    /// ```
    /// use hl7_mllp::{Answer, Request, handler_fn};
    ///
    /// # fn ack(code: &str) -> bytes::Bytes { code.to_owned().into() }
    /// # async fn store(_: &[u8]) {}
    /// # async fn process(_: &[u8]) -> &'static str { "AA" }
    /// let handler = handler_fn(|request: Request| async move {
    ///     store(&request.frame).await;
    ///     Answer::commit_then(ack("CA"), async move {
    ///         Answer::Reply(ack(process(&request.frame).await))
    ///     })
    /// });
    /// # let _ = handler;
    /// ```
    pub fn commit_then(
        commit: Bytes,
        application: impl Future<Output = Self> + Send + 'static,
    ) -> Self {
        Self::CommitThen(commit, Later(Box::pin(application)))
    }
}

/// Nobody knows yet what a later answer will be, so one with a later part equals no other.
impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Reply(one), Self::Reply(other))
            | (Self::ReplyAndClose(one), Self::ReplyAndClose(other)) => one == other,
            (Self::Nothing, Self::Nothing) | (Self::Close, Self::Close) => true,
            _ => false,
        }
    }
}

/// An answer that is not there yet.
pub struct Later(Pin<Box<dyn Future<Output = Answer> + Send>>);

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later")
    }
}

impl Future for Later {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(frame) => write!(f, "Reply({} bytes)", frame.len()),
            Self::ReplyAndClose(frame) => write!(f, "ReplyAndClose({} bytes)", frame.len()),
            Self::Nothing => f.write_str("Nothing"),
            Self::Close => f.write_str("Close"),
            Self::CommitThen(frame, _) => write!(f, "CommitThen({} bytes)", frame.len()),
        }
    }
}

/// Answers frames, in two phases so that a connection can have several in hand.
///
/// [`accept`](Self::accept) is called for every frame in order, and awaited before the next frame
/// of the same connection is accepted; while it waits the peer feels back-pressure. The future it
/// returns is the second phase: those of one connection run beside each other, and their answers
/// leave in the order of the frames. An answer may have two parts:
/// [`Answer::commit_then`].
///
/// When a connection ends early its futures are dropped. A panic in either phase closes that
/// connection alone, after [`failure`](Self::failure) had its say.
///
/// [`handler_fn`] makes one from a plain async function, answering one frame after another. One
/// that stores in the background and answers when that is done:
///
/// ```
/// use bytes::Bytes;
/// use hl7_mllp::{Answer, Handler, Request};
/// use tokio::sync::{mpsc, oneshot};
///
/// struct Storing(mpsc::Sender<(Bytes, oneshot::Sender<Answer>)>);
///
/// impl Handler for Storing {
///     type Pending = std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>;
///
///     async fn accept(&self, request: Request) -> Self::Pending {
///         let (answer, stored) = oneshot::channel();
///         // In order, and only as fast as the store takes them.
///         let _ = self.0.send((request.frame, answer)).await;
///         Box::pin(async { stored.await.unwrap_or(Answer::Close) })
///     }
/// }
/// ```
pub trait Handler: Send + Sync + 'static {
    /// The second phase: resolves to the answer.
    type Pending: Future<Output = Answer> + Send + 'static;

    /// Takes one frame on.
    fn accept(&self, request: Request) -> impl Future<Output = Self::Pending> + Send;

    /// A last, negative answer to `frame`, whose future panicked. `None`, the default, closes
    /// without one.
    fn failure(&self, frame: &Bytes) -> Option<Bytes> {
        let _ = frame;
        None
    }
}

/// A [`Handler`] that answers the frames of a connection one after another; see [`handler_fn`].
#[derive(Clone)]
pub struct HandlerFn<F>(F);

impl<F> fmt::Debug for HandlerFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerFn")
    }
}

/// Makes a [`Handler`] from an async function. The frames of one connection are answered strictly
/// one after another.
pub fn handler_fn<F, A>(answer: F) -> HandlerFn<F>
where
    F: Fn(Request) -> A + Send + Sync + 'static,
    A: Future<Output = Answer> + Send,
{
    HandlerFn(answer)
}

impl<F, A> Handler for HandlerFn<F>
where
    F: Fn(Request) -> A + Send + Sync + 'static,
    A: Future<Output = Answer> + Send,
{
    type Pending = Ready<Answer>;

    fn accept(&self, request: Request) -> impl Future<Output = Ready<Answer>> + Send {
        let answer = (self.0)(request);
        answer.map(ready)
    }
}
