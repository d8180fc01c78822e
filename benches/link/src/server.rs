//! A server that stores nothing and says AA, beside an echo of the same bytes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use hl7_message::{AckCode, Message, Reply, Responder, Timestamp};
use hl7_mllp::correlate::{Correlate, Hl7};
use hl7_mllp::{Answer, NoObserver, Request, ServerConfig, handler_fn, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::load::{CONNECTIONS, rate};

/// How often every server gets its turn; the best turn of each counts.
const ROUNDS: usize = 5;

/// A server on one thread of its own. It ends with the program.
struct Server {
    name: &'static str,
    address: SocketAddr,
    /// Where the system counts its thread's time on a processor.
    schedule: PathBuf,
    /// The best of all turns: answers a second, and processor time for one.
    rate: f64,
    nanos: f64,
}

impl Server {
    fn start<F: Future<Output = ()>>(
        name: &'static str,
        serve: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> Self {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let address = listener.local_addr().expect("an address");
                let thread = std::fs::read_link("/proc/thread-self").expect("Linux");
                let schedule = PathBuf::from("/proc").join(thread).join("schedstat");
                sender.send((address, schedule)).expect("main waits");
                serve(listener).await;
            });
        });
        let (address, schedule) = receiver.recv().expect("the server starts");
        Self {
            name,
            address,
            schedule,
            rate: 0.0,
            nanos: f64::MAX,
        }
    }

    fn processor_nanos(&self) -> Result<f64> {
        let text = std::fs::read_to_string(&self.schedule)?;
        Ok(text.split_whitespace().next().unwrap_or_default().parse()?)
    }

    fn turn(&mut self, time: Duration) -> Result<()> {
        let before = self.processor_nanos()?;
        let (rate, answers) = rate(self.address, time)?;
        self.rate = self.rate.max(rate);
        self.nanos = self
            .nanos
            .min((self.processor_nanos()? - before) / answers as f64);
        Ok(())
    }
}

async fn echo(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let mut room = vec![0; 16 * 1024];
            while let Ok(read @ 1..) = stream.read(&mut room).await {
                if stream.write_all(&room[..read]).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// The least an acknowledgement can be.
fn short(request: &Request) -> Bytes {
    let id = Hl7.control_id(&request.frame).unwrap_or_default();
    [b"MSH|^~\\&|B||A||1||ACK|1|P|2.3\rMSA|AA|", id, b"|\r"]
        .concat()
        .into()
}

/// One as `hl7-message` writes it, for a message that was parsed.
fn whole(request: &Request, responder: &Responder, now: &Timestamp) -> Bytes {
    let Ok(message) = Message::parse(&request.frame) else {
        return Bytes::new();
    };
    let reply = Reply::to(&message.header(), responder, "1", now);
    reply
        .write(AckCode::ApplicationAccept, "Order registered.", &[])
        .into()
}

async fn acknowledge(
    listener: TcpListener,
    answer: impl Fn(&Request) -> Bytes + Send + Sync + 'static,
) {
    let handler = handler_fn(move |request: Request| {
        let answer = Answer::Reply(answer(&request));
        async { answer }
    });
    let config = ServerConfig::default();
    let _ = serve(
        listener,
        Arc::new(handler),
        config,
        Arc::new(NoObserver),
        Default::default(),
    )
    .await;
}

/// Serves until somebody ends the program.
pub(crate) fn run(address: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        acknowledge(TcpListener::bind(address).await?, short).await;
        Ok(())
    })
}

pub(crate) fn print() -> Result<()> {
    let responder = Responder {
        application: "PACS".into(),
        facility: "R".into(),
        version: "2.3".into(),
        sequence_number: String::new(),
        country_code: String::new(),
        padded: false,
    };
    let now = Timestamp::from_civil((2024, 3, 1), (12, 0, 0)).expect("a moment");
    let mut servers = [
        Server::start("tokio echo of the same bytes", echo),
        Server::start("hl7-mllp, MSA alone", |listener| {
            acknowledge(listener, short)
        }),
        Server::start(
            "hl7-mllp, message parsed and ACK written by hl7-message",
            move |listener| acknowledge(listener, move |request| whole(request, &responder, &now)),
        ),
    ];
    for _ in 0..ROUNDS {
        for server in &mut servers {
            server.turn(Duration::from_millis(500))?;
        }
    }
    println!(
        "\n### Server that only acknowledges, {CONNECTIONS} connections, one message each on its way\n"
    );
    println!(
        "| server | answers a second | ÷ echo | processor time for one | echo ÷ |\n|---|---|---|---|---|"
    );
    let [echo, ..] = &servers;
    for server in &servers {
        println!(
            "| {} | {:.0} | {:.2} | {:.2} µs | {:.2} |",
            server.name,
            server.rate,
            server.rate / echo.rate,
            server.nanos / 1e3,
            echo.nanos / server.nanos,
        );
    }
    println!(
        "\nServer and senders have one thread each; the best of {ROUNDS} turns counts. Processor time"
    );
    println!("is that of the server's thread, the kernel's work for it included.");
    Ok(())
}
