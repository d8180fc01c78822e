//! Pretend peers, and messages to send them.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use hl7_mllp::{
    ClientConfig, Event, ExchangeError, FrameError, Handler, MllpCodec, Observer, ServerConfig,
    ServerSummary,
    client::Dial,
    server::{CloseReason, ConnectionEnd, Listen, Plain, Refusal, serve_on},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

pub(crate) fn order(id: &str) -> Vec<u8> {
    format!("MSH|^~\\&|RIS|H|PACS|H|20240301||ORM^O01|{id}|P|2.3\rPID|||7||Doe^Jane\r").into()
}

pub(crate) fn ack(code: &str, id: &str) -> Bytes {
    format!("MSH|^~\\&|PACS|H|RIS|H|20240301||ACK^O01|9{id}|P|2.3\rMSA|{code}|{id}|ok\r").into()
}

pub(crate) fn id_of(frame: &[u8]) -> String {
    use hl7_mllp::correlate::{Correlate, Hl7};
    String::from_utf8_lossy(Hl7.control_id(frame).unwrap_or(b"?")).into_owned()
}

pub(crate) fn framed(payload: &[u8]) -> Vec<u8> {
    [b"\x0b", payload, b"\x1c\r"].concat()
}

/// What an [`Observer`] heard, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Opened(u64),
    Closed(u64, CloseReason),
    Refused(Refusal),
    AcceptFailed,
    Frame(usize),
    Junk(u64),
    Error(FrameError),
    Commit(bool),
    Answer(usize),
    Unsendable,
    Panicked,
}

/// Passes on what it hears, so that a test can wait for it.
pub(crate) struct Ear(mpsc::UnboundedSender<Heard>);

pub(crate) struct Hearing(mpsc::UnboundedReceiver<Heard>);

pub(crate) fn ear() -> (Arc<Ear>, Hearing) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Arc::new(Ear(sender)), Hearing(receiver))
}

impl Hearing {
    pub(crate) async fn next(&mut self) -> Heard {
        self.0.recv().await.expect("the server still runs")
    }

    /// Waits until something satisfies `wanted`, and returns it.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Heard) -> bool) -> Heard {
        loop {
            let heard = self.next().await;
            if wanted(&heard) {
                return heard;
            }
        }
    }

    pub(crate) async fn closed(&mut self) -> CloseReason {
        match self.until(|heard| matches!(heard, Heard::Closed(..))).await {
            Heard::Closed(_, reason) => reason,
            _ => unreachable!(),
        }
    }
}

impl Ear {
    fn say(&self, heard: Heard) {
        let _ = self.0.send(heard);
    }
}

impl Observer for Ear {
    fn connection_opened(&self, connection: u64, _: SocketAddr) {
        self.say(Heard::Opened(connection));
    }
    fn connection_closed(&self, connection: u64, _: SocketAddr, end: &ConnectionEnd) {
        self.say(Heard::Closed(connection, end.reason));
    }
    fn connection_refused(&self, _: SocketAddr, refusal: Refusal) {
        self.say(Heard::Refused(refusal));
    }
    fn accept_failed(&self, _: &io::Error) {
        self.say(Heard::AcceptFailed);
    }
    fn frame_received(&self, _: u64, bytes: usize) {
        self.say(Heard::Frame(bytes));
    }
    fn junk_received(&self, _: u64, bytes: u64) {
        self.say(Heard::Junk(bytes));
    }
    fn frame_error(&self, _: u64, error: &FrameError) {
        self.say(Heard::Error(*error));
    }
    fn commit_received(&self, _: u64, stored: bool) {
        self.say(Heard::Commit(stored));
    }
    fn answer_sent(&self, _: u64, bytes: usize, _: Duration) {
        self.say(Heard::Answer(bytes));
    }
    fn answer_unsendable(&self, _: u64) {
        self.say(Heard::Unsendable);
    }
    fn handler_panicked(&self, _: u64) {
        self.say(Heard::Panicked);
    }
}

/// A server under test.
pub(crate) struct Running {
    pub(crate) shutdown: CancellationToken,
    pub(crate) heard: Hearing,
    server: JoinHandle<ServerSummary>,
}

impl Running {
    pub(crate) async fn stop(self) -> ServerSummary {
        self.shutdown.cancel();
        self.server.await.unwrap()
    }
}

/// On a real socket.
pub(crate) async fn on_tcp<H: Handler>(handler: H, config: ServerConfig) -> (SocketAddr, Running) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ear, heard) = ear();
    let shutdown = CancellationToken::new();
    let serving = hl7_mllp::serve(listener, Arc::new(handler), config, ear, shutdown.clone());
    let server = tokio::spawn(async move { serving.await.unwrap() });
    (
        address,
        Running {
            shutdown,
            heard,
            server,
        },
    )
}

/// Connections without sockets: they come in when the test makes them.
pub(crate) struct Pipes(mpsc::UnboundedReceiver<io::Result<DuplexStream>>);

#[derive(Clone)]
pub(crate) struct Plug(mpsc::UnboundedSender<io::Result<DuplexStream>>);

impl Plug {
    /// A new connection; the server's side buffers `bytes`.
    pub(crate) fn connect(&self, bytes: usize) -> DuplexStream {
        let (ours, theirs) = duplex(bytes);
        self.0.send(Ok(theirs)).expect("the server still runs");
        ours
    }

    pub(crate) fn fail(&self, error: io::Error) {
        self.0.send(Err(error)).expect("the server still runs");
    }
}

impl Listen for Pipes {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
        match self.0.recv().await {
            Some(accepted) => Ok((accepted?, SocketAddr::from(([127, 0, 0, 1], 9)))),
            None => std::future::pending().await,
        }
    }
}

/// Without sockets, so that the clock may be paused.
pub(crate) fn on_pipes<H: Handler>(handler: H, config: ServerConfig) -> (Plug, Running) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (ear, heard) = ear();
    let shutdown = CancellationToken::new();
    let serving = serve_on(
        Pipes(receiver),
        Plain,
        Arc::new(handler),
        config,
        ear,
        shutdown.clone(),
    );
    (
        Plug(sender),
        Running {
            shutdown,
            heard,
            server: tokio::spawn(serving),
        },
    )
}

/// A receiver that follows a script: one step for each frame that comes in, over all connections.
pub(crate) struct Script {
    steps: Mutex<VecDeque<Act>>,
    /// Frames that came in, and over which connection.
    pub(crate) got: Mutex<Vec<(usize, Vec<u8>)>>,
    connections: Mutex<usize>,
}

/// What a scripted receiver does with one frame.
pub(crate) enum Act {
    /// Sends these bytes as they are.
    Say(Vec<u8>),
    /// Sends these bytes, and those some time later.
    SayThen(Vec<u8>, Duration, Vec<u8>),
    /// Sends these bytes and closes.
    SayAndClose(Vec<u8>),
    /// Nothing at all, for ever.
    Silence,
    /// Refuses the next connection. Needs no frame.
    Refuse,
}

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Arc::new(Self {
            steps: Mutex::new(steps.into_iter().collect()),
            got: Mutex::default(),
            connections: Mutex::default(),
        })
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    pub(crate) fn frames(&self) -> Vec<Vec<u8>> {
        self.got
            .lock()
            .unwrap()
            .iter()
            .map(|(_, frame)| frame.clone())
            .collect()
    }

    async fn play(self: Arc<Self>, mut stream: DuplexStream, connection: usize) {
        let (mut codec, mut unread) = (MllpCodec::new(), BytesMut::new());
        loop {
            while let Some(Event::Frame(frame)) = codec.decode_event(&mut unread).unwrap() {
                self.got.lock().unwrap().push((connection, frame.to_vec()));
                let act = self.steps.lock().unwrap().pop_front();
                match act.unwrap_or(Act::Silence) {
                    Act::Say(bytes) => stream.write_all(&bytes).await.unwrap(),
                    Act::SayThen(first, pause, second) => {
                        stream.write_all(&first).await.unwrap();
                        tokio::time::sleep(pause).await;
                        stream.write_all(&second).await.unwrap();
                    }
                    Act::SayAndClose(bytes) => {
                        return stream.write_all(&bytes).await.unwrap();
                    }
                    Act::Silence | Act::Refuse => {}
                }
            }
            if !matches!(stream.read_buf(&mut unread).await, Ok(1..)) {
                return;
            }
        }
    }
}

/// Connects to a script.
pub(crate) struct ToScript(pub(crate) Arc<Script>);

impl Dial for ToScript {
    type Io = DuplexStream;

    fn dial(
        &self,
        _: &ClientConfig,
    ) -> impl Future<Output = Result<DuplexStream, ExchangeError>> + Send {
        let script = Arc::clone(&self.0);
        async move {
            {
                let mut steps = script.steps.lock().unwrap();
                if matches!(steps.front(), Some(Act::Refuse)) {
                    steps.pop_front();
                    return Err(ExchangeError::Refused);
                }
            }
            let connection = {
                let mut connections = script.connections.lock().unwrap();
                *connections += 1;
                *connections
            };
            let (ours, theirs) = duplex(64 * 1024);
            tokio::spawn(script.play(theirs, connection));
            Ok(ours)
        }
    }
}

/// Reads one frame from the other end of a connection.
pub(crate) async fn read_frame(
    stream: &mut (impl AsyncReadExt + Unpin),
    unread: &mut BytesMut,
) -> Option<Bytes> {
    let mut codec = MllpCodec::new();
    loop {
        if let Some(frame) = codec.decode(unread).unwrap() {
            return Some(frame);
        }
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
}
