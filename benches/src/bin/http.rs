//! The REST gateway beside its references, in one run: `cargo run --release -p medsynapse-benches
//! --bin http`. Messages over HTTP beside MLLP and beside a bare axum handler that takes the same
//! body; pages of the message log over HTTP with many messages in it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use clap::Parser;
use hl7_mllp::{Client, ClientConfig, NoObserver, ServerConfig};
use medsynapse_broker::{
    Broker, BrokerConfig, Clock as _, Lanes, MllpHandler, Origin, Pending, SystemClock,
};
use medsynapse_http::{
    Access, AllowedHosts, ApiKeys, App, Connections, Gateway, GatewaySettings, Limits, Trail,
    router,
};
use medsynapse_store::{AccessStore, SqliteStore, TrailKey, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Parser)]
struct Options {
    /// Connections at a time.
    #[arg(long, default_value_t = 64)]
    connections: u64,
    /// How long each part runs.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How many messages the log holds when its pages are asked for.
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
}

/// An order that nobody sent before.
fn order(part: &str, connection: u64, number: u64) -> String {
    format!(
        "MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20230614131415||ORM^O01|{part}{connection}X{number}|P|2.3\r\
         PID|1||P{number}||SMITH^JOHN||19800101|M\rPV1|1|O\rORC|NW\r\
         OBR|1|{part}{connection}X{number}||CT123^CT CHEST|ROUTINE||||||||||CT CHEST|||CT1|RP1||CT1|||CT\
         ||||||||||||20230614132030\r"
    )
}

/// A client that keeps its connection.
struct Http(TcpStream, Vec<u8>);

impl Http {
    async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream, Vec::new()))
    }

    /// Sends a request and reads its answer; gives the length of the body.
    async fn ask(&mut self, head: &str, body: &str) -> Result<usize> {
        let length = body.len();
        let request = format!("{head}Host: localhost\r\nContent-Length: {length}\r\n\r\n{body}");
        self.0.write_all(request.as_bytes()).await?;
        self.1.clear();
        loop {
            if self.0.read_buf(&mut self.1).await? == 0 {
                bail!("the connection was closed");
            }
            let Some(end) = self.1.windows(4).position(|four| four == b"\r\n\r\n") else {
                continue;
            };
            let head =
                String::from_utf8_lossy(self.1.get(..end).unwrap_or_default()).to_lowercase();
            if !head.starts_with("http/1.1 200") {
                bail!("answered {head:.40}");
            }
            let length = head
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.lines().next());
            let length: usize = length.context("no length")?.trim().parse()?;
            while self.1.len() < end + 4 + length {
                if self.0.read_buf(&mut self.1).await? == 0 {
                    bail!("the answer was cut off");
                }
            }
            return Ok(length);
        }
    }
}

/// Runs `work` on each connection until the time is up; gives exchanges a second.
async fn rate<W: Future<Output = Result<u64>> + Send + 'static>(
    options: &Options,
    work: impl Fn(u64, Instant) -> W,
) -> Result<f64> {
    let start = Instant::now();
    let end = start + Duration::from_secs(options.seconds);
    let running: Vec<_> = (0..options.connections)
        .map(|n| tokio::spawn(work(n, end)))
        .collect();
    let mut count = 0;
    for one in running {
        count += one.await??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

async fn over_http(address: SocketAddr, part: &'static str, n: u64, end: Instant) -> Result<u64> {
    let mut client = Http::connect(address).await?;
    let mut count = 0;
    while Instant::now() < end {
        let head = "POST /api/hl7 HTTP/1.1\r\nContent-Type: application/hl7-v2\r\n";
        client.ask(head, &order(part, n, count)).await?;
        count += 1;
    }
    Ok(count)
}

async fn over_mllp(address: SocketAddr, n: u64, end: Instant) -> Result<u64> {
    let mut client = Client::connect(address, ClientConfig::default()).await?;
    let mut count = 0;
    while Instant::now() < end {
        client.exchange(order("M", n, count).as_bytes()).await?;
        count += 1;
    }
    Ok(count)
}

async fn listen(router: Router) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    Ok(address)
}

/// Median and 99th percentile of 200 requests.
#[expect(clippy::print_stdout, reason = "figures are what it is for")]
async fn page(address: SocketAddr, name: &str, path: &str) -> Result<()> {
    let mut client = Http::connect(address).await?;
    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..200 {
        let start = Instant::now();
        bytes = client.ask(&format!("GET {path} HTTP/1.1\r\n"), "").await?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let at = |n: usize| times.get(n).copied().unwrap_or_default();
    println!(
        "{name:<44} p50 {:>9.3?}  p99 {:>9.3?}  {bytes} bytes",
        at(100),
        at(198)
    );
    Ok(())
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "figures are what it is for")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let directory = tempfile::tempdir()?;
    let store = Arc::new(SqliteStore::open(directory.path())?);
    let clock = Arc::new(SystemClock);
    let broker = Broker::start(store, BrokerConfig::default(), clock.clone())?;
    let access = Arc::new(AccessStore::open(directory.path())?);
    let trail = Trail::start(Arc::clone(&access), TrailKey::new([1; 32]))?;
    let app = App {
        broker: Arc::clone(&broker),
        clock: clock.clone(),
        rest_url: String::new(),
        mllp_address: String::new(),
        api_keys: ApiKeys::default(),
        access: Access {
            trail: Some(trail),
            ..Access::default()
        },
        hosts: AllowedHosts::default(),
        gateway: Gateway::new(GatewaySettings::default(), clock.now()),
        connections: Connections::default(),
        lanes: Lanes::default(),
        faults: None,
        stop: tokio::sync::watch::channel(false).1,
        limits: Limits::default(),
        metrics: None,
        version: String::new(),
    };
    let rest = listen(router(app)).await?;
    let bare =
        listen(Router::new().route("/api/hl7", post(|body: Bytes| async move { body }))).await?;
    let mllp = TcpListener::bind("127.0.0.1:0").await?;
    let mllp_address = mllp.local_addr()?;
    let handler = Arc::new(MllpHandler::new(Arc::clone(&broker)));
    let (settings, stop) = (ServerConfig::default(), CancellationToken::new());
    tokio::spawn(hl7_mllp::serve(
        mllp,
        handler,
        settings,
        Arc::new(NoObserver),
        stop,
    ));

    let connections = options.connections;
    let bare = rate(&options, |n, end| over_http(bare, "B", n, end)).await?;
    println!("bare axum handler, {connections} connections: {bare:.0} requests/s");
    let by_mllp = rate(&options, |n, end| over_mllp(mllp_address, n, end)).await?;
    println!("MLLP, stored durably, {connections} connections: {by_mllp:.0} messages/s");
    let by_http = rate(&options, |n, end| over_http(rest, "H", n, end)).await?;
    println!("POST /api/hl7, stored durably, {connections} connections: {by_http:.0} messages/s");
    println!(
        "HTTP / MLLP {:.2} (goal 0.50), HTTP / bare handler {:.2}",
        by_http / by_mllp,
        by_http / bare
    );

    pages(&broker, rest, options.messages).await
}

/// Puts many messages in and asks for pages of them.
#[expect(clippy::print_stdout, reason = "figures are what it is for")]
async fn pages(broker: &Broker, rest: SocketAddr, messages: u64) -> Result<()> {
    let start = Instant::now();
    let mut waiting: std::collections::VecDeque<Pending> = std::collections::VecDeque::new();
    for number in 0..messages {
        if waiting.len() == 1_024
            && let Some(pending) = waiting.pop_front()
        {
            pending.await;
        }
        let origin = Origin {
            transport: Transport::Mllp,
            peer: "127.0.0.1:1".into(),
        };
        waiting.push_back(broker.submit(order("F", 0, number).into(), origin).await);
    }
    for pending in waiting {
        pending.await;
    }
    println!("{messages} messages put in, {:.0?}", start.elapsed());
    let middle = messages / 2;
    for (name, path) in [
        ("first page", "/api/hl7/messages".to_owned()),
        (
            "a page in the middle",
            format!("/api/hl7/messages?page={}", middle / 10),
        ),
        (
            "the latest page of /api/v1",
            "/api/v1/messages?limit=50".to_owned(),
        ),
        (
            "a page of /api/v1 in the middle",
            format!("/api/v1/messages?limit=50&cursor={middle}"),
        ),
        (
            "by accession number",
            format!("/api/hl7/messages?accession=F0X{middle}"),
        ),
        (
            "by accession number, /api/v1",
            format!("/api/v1/messages?accession=F0X{middle}"),
        ),
        ("one message", format!("/api/hl7/messages/{middle}")),
    ] {
        page(rest, name, &path).await?;
    }
    Ok(())
}
