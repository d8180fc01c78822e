//! [`listen`]: the other end, which receives what a broker sends and answers as told.

use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use bytes::Bytes;
use hl7_message::{Header, Message};
use hl7_mllp::{
    Answer, FrameError, Observer, Request, ServerConfig, handler_fn, serve,
    server::{CloseReason, ConnectionEnd},
    tls::{ServerTls, serve_tls},
};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    acks::file_name,
    answer::{Answering, Behaviour},
    cli::Cli,
    exit::Exit,
    interrupt,
    outgoing::printable,
    report::{BAD, DIM, warn},
    tls,
};

/// As many as a load test can open.
const CONNECTIONS_MAX: usize = 4096;

/// Receives until Ctrl-C, or until as many messages have come as were asked for.
pub(crate) async fn listen(cli: &Cli, address: SocketAddr) -> anyhow::Result<Exit> {
    let args = &cli.listen;
    let tls = cli.tls.tls.then(|| tls::server(&cli.tls)).transpose()?;
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) => {
            anstream::eprintln!(
                "{BAD}error:{BAD:#} cannot listen on {address}: {error}; free the port, or give \
                 another with --listen"
            );
            return Ok(Exit::Connection);
        }
    };
    let address = listener.local_addr().context("asking for the port")?;
    if let Some(directory) = &args.save {
        std::fs::create_dir_all(directory).with_context(|| {
            format!(
                "cannot make the directory {}; check --save",
                directory.display()
            )
        })?;
    }
    let shutdown = CancellationToken::new();
    let ris = Arc::new(Ris {
        answering: Answering::new(args.answer.clone()),
        save: args.save.clone(),
        count: args.count,
        json: cli.output.json,
        quiet: cli.output.quiet,
        received: AtomicU64::new(0),
        unsaved: Mutex::new(None),
        shutdown: shutdown.clone(),
    });
    let watch = interrupt::cancel(shutdown.clone()).context("listening for signals")?;
    let handler = {
        let ris = Arc::clone(&ris);
        handler_fn(move |request| {
            let ris = Arc::clone(&ris);
            async move { ris.receive(request).await }
        })
    };
    let config = ServerConfig {
        answer_deadline: ris.answering.longest_delay() + Duration::from_secs(30),
        drain_deadline: ris.answering.longest_delay() + Duration::from_secs(1),
        connections_max: CONNECTIONS_MAX,
        connections_per_address_max: CONNECTIONS_MAX,
        ..ServerConfig::default()
    };
    let observer = Arc::new(Troubles {
        quiet: cli.output.quiet,
    });
    if tls.is_none() && !address.ip().is_loopback() {
        warn("messages travel in the clear beyond this machine; --tls --cert --key protects them");
    }
    let (handler, over) = (
        Arc::new(handler),
        if tls.is_some() { " over TLS" } else { "" },
    );
    anstream::eprintln!("Listening on {address}{over}. Ctrl-C ends.");
    if let Some(tls) = tls {
        let tls = ServerTls::new(tls);
        serve_tls(listener, tls, handler, config, observer, shutdown).await;
    } else {
        let served = serve(listener, handler, config, observer, shutdown).await;
        served.context("listening")?;
    }
    watch.abort();
    let received = ris.received.load(Ordering::Relaxed);
    anstream::eprintln!("Received {received} messages.");
    if let Some(error) = ris
        .unsaved
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
    {
        return Err(error);
    }
    Ok(match args.count {
        Some(count) if received < count => Exit::Interrupted,
        Some(_) | None => Exit::Accepted,
    })
}

/// The pretend receiver.
#[derive(Debug)]
struct Ris {
    answering: Answering,
    save: Option<PathBuf>,
    count: Option<u64>,
    json: bool,
    quiet: bool,
    received: AtomicU64,
    unsaved: Mutex<Option<anyhow::Error>>,
    shutdown: CancellationToken,
}

impl Ris {
    async fn receive(&self, request: Request) -> Answer {
        let number = self.received.fetch_add(1, Ordering::Relaxed) + 1;
        let behaviour = self.answering.behaviour(number);
        let kept = self.keep(number, &request, behaviour);
        if let Err(error) = kept {
            self.unsaved
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(error);
            self.shutdown.cancel();
            return Answer::Close;
        }
        if self.count.is_some_and(|count| number >= count) {
            // What has been read is still answered.
            self.shutdown.cancel();
        }
        self.answering.answer(behaviour, &request.frame).await
    }

    /// Prints and saves a message before it is answered.
    fn keep(&self, number: u64, request: &Request, behaviour: Behaviour) -> anyhow::Result<()> {
        let frame = &request.frame;
        let header = Header::salvage(frame);
        let field = |bytes: Option<&[u8]>| printable(bytes.unwrap_or_default());
        let id = header.map(|header| header.control_id().as_bytes());
        let kind = field(header.map(|header| header.message_type().as_bytes()));
        if let Some(directory) = &self.save {
            save(directory, number, id.unwrap_or(b"no-id"), frame)?;
        }
        let mut out = std::io::stdout().lock();
        let printed = if self.json {
            let object = json!({
                "v": 1,
                "record": "received",
                "number": number,
                "peer": request.peer.to_string(),
                "connection": request.connection,
                "type": kind,
                "controlId": field(id),
                "answer": behaviour.to_string(),
                "message": String::from_utf8_lossy(frame),
            });
            writeln!(out, "{object}")
        } else {
            out.write_all(&as_text(frame))
        };
        printed
            .and_then(|()| out.flush())
            .context("writing to standard output")?;
        if !self.quiet {
            let (peer, bytes) = (request.peer, frame.len());
            anstream::eprintln!(
                "{number}  {kind}  {}  from {peer} {DIM}({bytes} bytes){DIM:#}  answer: {behaviour}",
                field(id)
            );
        }
        Ok(())
    }
}

/// A message as a text file holds it, with a blank line behind it: what can be sent again.
fn as_text(frame: &Bytes) -> Vec<u8> {
    let mut out = Vec::with_capacity(frame.len() + 2);
    match Message::parse(frame) {
        Ok(message) => {
            for segment in message.segments() {
                out.extend_from_slice(segment.as_bytes());
                out.push(b'\n');
            }
        }
        Err(_) => out.extend_from_slice(frame),
    }
    out.push(b'\n');
    out
}

fn save(directory: &Path, number: u64, id: &[u8], frame: &Bytes) -> anyhow::Result<()> {
    let path = directory.join(format!("{number:06}-{}.hl7", file_name(id)));
    std::fs::write(&path, frame)
        .with_context(|| format!("cannot write {}; check --save", path.display()))
}

/// Tells a person what went wrong below the messages.
#[derive(Debug)]
struct Troubles {
    quiet: bool,
}

impl Troubles {
    fn tell(&self, peer: &dyn std::fmt::Display, what: &dyn std::fmt::Display) {
        if !self.quiet {
            anstream::eprintln!("{BAD}{peer}: {what}{BAD:#}");
        }
    }
}

impl Observer for Troubles {
    fn connection_closed(&self, _connection: u64, peer: SocketAddr, end: &ConnectionEnd) {
        match end.reason {
            CloseReason::PeerClosed
            | CloseReason::Shutdown
            | CloseReason::Handler
            | CloseReason::Handshake => {}
            reason => self.tell(&peer, &format_args!("connection closed: {}", reason.name())),
        }
    }

    fn junk_received(&self, connection: u64, bytes: u64) {
        let what = format_args!("{bytes} bytes outside any MLLP block");
        self.tell(&format_args!("connection {connection}"), &what);
    }

    fn handshake_failed(&self, connection: u64, error: &std::io::Error) {
        let what = format_args!("TLS handshake failed: {error}");
        self.tell(&format_args!("connection {connection}"), &what);
    }

    fn frame_error(&self, connection: u64, error: &FrameError) {
        self.tell(&format_args!("connection {connection}"), error);
    }
}
