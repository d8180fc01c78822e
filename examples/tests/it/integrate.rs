//! The programs of the guide "Three ways to integrate", in three languages, against a broker and
//! against each other.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener as Reserved};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use medsynapse_broker::{Broker, BrokerConfig, Lanes, MllpHandler, SystemClock};
use medsynapse_http::{
    Access, AllowedHosts, ApiKeys, App, Connections, Gateway, GatewaySettings, Limits, router,
};
use medsynapse_store::{AccessStore, SqliteStore};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const ORDER: &str = "\
MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20260105080000||ORM^O01|INT1|P|2.3
PID|1||PAT789||SMITH^JOHN||19800101|M
ORC|NW
OBR|1|ACC123456||CT123^CT CHEST|||||||||||CT CHEST|||CT Room 1|RP1||CT1|||CT||||||||||||20260105093000
";

/// Longest wait for anything; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// A broker with its two doors, on free ports.
struct Bed {
    mllp: SocketAddr,
    rest: String,
    directory: TempDir,
    _runtime: Runtime,
}

impl Bed {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let runtime = Runtime::new().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let (mllp, rest) = runtime.block_on(open(&data));
        std::fs::write(directory.path().join("order.hl7"), ORDER).unwrap();
        Self {
            mllp,
            rest,
            directory,
            _runtime: runtime,
        }
    }
}

async fn open(data: &Path) -> (SocketAddr, String) {
    let store = Arc::new(SqliteStore::open(data).unwrap());
    let clock = Arc::new(SystemClock);
    let broker = Broker::start(store, BrokerConfig::default(), clock.clone()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mllp = listener.local_addr().unwrap();
    tokio::spawn(hl7_mllp::serve(
        listener,
        Arc::new(MllpHandler::new(broker.clone())),
        hl7_mllp::ServerConfig::default(),
        Arc::new(hl7_mllp::NoObserver),
        tokio_util::sync::CancellationToken::new(),
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rest = format!("http://{}", listener.local_addr().unwrap());
    let now = chrono::DateTime::UNIX_EPOCH;
    let settings = GatewaySettings {
        broker: mllp.to_string(),
        ..GatewaySettings::default()
    };
    let app = App {
        broker,
        clock,
        rest_url: rest.clone(),
        mllp_address: mllp.to_string(),
        api_keys: ApiKeys::default(),
        access: Access {
            answers: Some(Arc::new(AccessStore::open(data).unwrap())),
            ..Access::default()
        },
        hosts: AllowedHosts::default(),
        gateway: Gateway::new(settings, now),
        connections: Connections::default(),
        faults: None,
        lanes: Lanes::default(),
        stop: tokio::sync::watch::channel(false).1,
        limits: Limits::default(),
        metrics: None,
        version: "1.2.3".into(),
    };
    let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    (mllp, rest)
}

/// One of the three languages.
#[derive(Debug, Clone, Copy)]
enum Language {
    Rust,
    JavaScript,
    Python,
}

impl Language {
    /// Those that are here; says which are not.
    fn all() -> Vec<Self> {
        [Self::Rust, Self::JavaScript, Self::Python]
            .into_iter()
            .filter(|language| language.is_here())
            .collect()
    }

    fn is_here(self) -> bool {
        let program = match self {
            Self::Rust => return true,
            Self::JavaScript => "node",
            Self::Python => "python3",
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let here = std::env::split_paths(&path).any(|folder| folder.join(program).exists());
        if !here {
            println!("skipped: {program} is not installed");
        }
        here
    }

    fn command(self, name: &str, folder: &Path) -> Command {
        let file = |end: &str| -> PathBuf {
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("integrate")
                .join(format!("{name}.{end}"))
        };
        let mut command = match self {
            Self::Rust => Command::new(match name {
                "mllp" => env!("CARGO_BIN_EXE_integrate_mllp"),
                "orders" => env!("CARGO_BIN_EXE_integrate_orders"),
                _ => env!("CARGO_BIN_EXE_integrate_events"),
            }),
            Self::JavaScript => Command::new("node"),
            Self::Python => Command::new("python3"),
        };
        match self {
            Self::Rust => {}
            Self::JavaScript => _ = command.arg(file("mjs")),
            Self::Python => _ = command.arg(file("py")),
        }
        command
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// Waits for the end of a program.
fn end(mut child: Child) -> Output {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

#[track_caller]
fn said(mut command: Command) -> String {
    let output = end(command.spawn().unwrap());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, error) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{}: {out}\n{error}", output.status);
    out
}

#[test]
fn an_order_by_mllp_is_registered_once_whoever_sends_it() {
    let bed = Bed::new();
    for language in Language::all() {
        let mut command = language.command("mllp", bed.directory.path());
        command.args(["send", &bed.mllp.to_string(), "order.hl7"]);
        // The same bytes under the same control id: the first answer again.
        assert_eq!(said(command), "AA Order registered.\n", "{language:?}");
    }
}

#[test]
fn a_refusal_is_told_and_ends_with_an_error() {
    let bed = Bed::new();
    let wrong = ORDER.replace("|CT1|", "||");
    std::fs::write(bed.directory.path().join("wrong.hl7"), wrong).unwrap();
    for language in Language::all() {
        let mut command = language.command("mllp", bed.directory.path());
        command.args(["send", &bed.mllp.to_string(), "wrong.hl7"]);
        let output = end(command.spawn().unwrap());
        let out = String::from_utf8(output.stdout).unwrap();
        assert_eq!(out, "AR Missing OBR-21\n", "{language:?}");
        assert_eq!(output.status.code(), Some(1), "{language:?}");
    }
}

/// Every sender to every receiver: what was sent is kept, and answered with AA.
#[test]
fn receivers_keep_what_senders_send() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("order.hl7"), ORDER).unwrap();
    for receiver in Language::all() {
        let senders = Language::all();
        // A port that was free a moment ago.
        let reserved = Reserved::bind("127.0.0.1:0").unwrap();
        let address = reserved.local_addr().unwrap().to_string();
        drop(reserved);
        let count = senders.len().to_string();
        let mut command = receiver.command("mllp", folder.path());
        command.args(["listen", &address, "received.hl7", &count]);
        let listening = command.spawn().unwrap();
        for sender in senders {
            let mut command = sender.command("mllp", folder.path());
            // It tries again until the receiver listens.
            command.args(["send", &address, "order.hl7"]);
            assert_eq!(said(command), "AA Received.\n", "{sender:?}, {receiver:?}");
        }
        let output = end(listening);
        assert!(output.status.success(), "{receiver:?}: {output:?}");
    }
    let kept = std::fs::read_to_string(folder.path().join("received.hl7")).unwrap();
    let all = Language::all().len();
    assert_eq!(kept, format!("{ORDER}\n").repeat(all * all));
}

#[test]
fn an_order_by_json_is_made_looked_up_and_reported() {
    let bed = Bed::new();
    for language in Language::all() {
        let mut command = language.command("orders", bed.directory.path());
        command.env("BROKER", &bed.rest);
        let out = said(command);
        let lines: Vec<_> = out.lines().collect();
        let (number, _) = lines[0].split_once(' ').unwrap();
        let wanted = [
            format!("{number} AA Order registered."),
            format!("{number} SCHEDULED CT"),
            format!("{number} done FINAL"),
        ];
        assert_eq!(lines, wanted, "{language:?}");
    }
}

#[test]
fn events_are_told_once_whether_or_not_somebody_listens() {
    for language in Language::all() {
        let bed = Bed::new();
        let order = || {
            let mut command = Language::Rust.command("orders", bed.directory.path());
            command.env("BROKER", &bed.rest);
            let out = said(command);
            out.split_once(' ').unwrap().0.to_owned()
        };
        let follow = |count: &str| {
            let mut command = language.command("events", bed.directory.path());
            command.args(["last.txt", count]).env("BROKER", &bed.rest);
            command
        };
        let mut numbers = vec![order()];
        let mut listening = follow("6").spawn().unwrap();
        let mut heard = BufReader::new(listening.stdout.take().unwrap()).lines();
        let mut lines: Vec<String> = Vec::new();
        let mut hear = || lines.extend((0..3).map(|_| heard.next().unwrap().unwrap()));
        // What was there before comes from the log; then it listens, and hears what happens.
        hear();
        numbers.push(order());
        hear();
        assert!(end(listening).status.success(), "{language:?}");
        // While nobody listens:
        numbers.push(order());
        lines.extend(said(follow("3")).lines().map(str::to_owned));
        let wanted: Vec<String> = numbers
            .iter()
            .flat_map(|number| {
                ["order.created", "report.stored", "report.final"]
                    .map(|name| format!("{name} {number}"))
            })
            .collect();
        assert_eq!(lines, wanted, "{language:?}");
    }
}
