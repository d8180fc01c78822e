//! The pages on a free port over a database in a temporary directory, and a client for them.

use std::net::SocketAddr;
use std::sync::Arc;

use chrono::DateTime;
use hl7_mllp::client::TcpDialer;
use medsynapse_broker::{
    Broker, BrokerConfig, Faults, LaneConfig, Lanes, ManualClock, MllpHandler, Origin, Outbox,
};
use medsynapse_http::{AllowedHosts, Connections};
use medsynapse_store::{Destination, SqliteStore, Transport};
use medsynapse_web::{Modalities, WebApp, WebLimits, router};
use medsynapse_worklist::live::{Live, WorkflowSettings};
use medsynapse_worklist::scp::{ScpConfig, Services};
use medsynapse_worklist::{MappingSettings, View};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) struct Bed {
    pub(crate) address: SocketAddr,
    pub(crate) mllp_address: String,
    pub(crate) broker: Arc<Broker>,
    pub(crate) connections: Connections,
    pub(crate) faults: Faults,
    pub(crate) live: Arc<Live>,
    pub(crate) lanes: Lanes,
    pub(crate) stop: watch::Sender<bool>,
    _directory: TempDir,
}

/// A worklist; CT2 may see MR alone.
fn modalities(broker: &Arc<Broker>) -> Modalities {
    let mut service = ScpConfig::new("MEDSYNAPSE", Services::Worklist);
    let view = View {
        modalities: Some(vec!["MR".into()]),
        ..View::default()
    };
    service.views.insert("CT2".into(), view);
    Modalities {
        live: Live::new(
            Arc::clone(broker),
            MappingSettings::default(),
            WorkflowSettings::default(),
        ),
        service: Arc::new(service),
        address: Some("127.0.0.1:11112".into()),
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Bed {
    pub(crate) async fn new() -> Self {
        Self::with(WebLimits::default()).await
    }

    pub(crate) async fn with(limits: WebLimits) -> Self {
        Self::over(limits, None).await
    }

    /// Sends what waits for the RIS to an address.
    pub(crate) async fn with_ris(address: SocketAddr) -> Self {
        Self::over(WebLimits::default(), Some(address)).await
    }

    async fn over(limits: WebLimits, ris: Option<SocketAddr>) -> Self {
        let directory = TempDir::new().unwrap();
        let store = Arc::new(SqliteStore::open(directory.path()).unwrap());
        let now = DateTime::parse_from_rfc3339("2023-06-14T13:14:16Z")
            .unwrap()
            .to_utc();
        let clock = Arc::new(ManualClock::at(now));
        let config = BrokerConfig {
            destinations: vec![Destination::new("ris")],
            ..BrokerConfig::default()
        };
        let broker = Broker::start(store, config, clock.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let mllp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mllp_address = mllp.local_addr().unwrap().to_string();
        tokio::spawn(hl7_mllp::serve(
            mllp,
            Arc::new(MllpHandler::new(Arc::clone(&broker))),
            hl7_mllp::ServerConfig::default(),
            Arc::new(hl7_mllp::NoObserver),
            CancellationToken::new(),
        ));
        let mut outbox = Outbox::new();
        if let Some(ris) = ris {
            outbox.start(
                Arc::clone(&broker),
                TcpDialer::new(ris.to_string()),
                LaneConfig::new("ris"),
                clock.clone(),
                CancellationToken::new(),
            );
        }
        let lanes = outbox.lanes();
        let modalities = modalities(&broker);
        let live = Arc::clone(&modalities.live);
        let connections = Connections::default();
        let faults = Faults::new(1);
        let app = WebApp {
            broker: Arc::clone(&broker),
            clock,
            modalities: Some(modalities),
            connections: connections.clone(),
            lanes: lanes.clone(),
            faults: Some(faults.clone()),
            login: None,
            hosts: AllowedHosts::default(),
            mllp_address: mllp_address.clone(),
            rest_url: "http://127.0.0.1:3000/".into(),
            version: "1.2.3".into(),
            limits,
            stop: stopped,
        };
        tokio::spawn(async move { axum::serve(listener, router(app)).await.unwrap() });
        Self {
            address,
            mllp_address,
            broker,
            connections,
            faults,
            live,
            lanes,
            stop,
            _directory: directory,
        }
    }

    pub(crate) async fn open(&self, path: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let host = if headers.contains("Host:") {
            ""
        } else {
            "Host: localhost\r\n"
        };
        let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{host}{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &str) -> Reply {
        let mut answer = Vec::new();
        self.open(path, headers)
            .await
            .read_to_end(&mut answer)
            .await
            .unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply {
            status,
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    /// A form or a document, posted.
    pub(crate) async fn post(&self, path: &str, kind: &str, body: &str, headers: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\n\
             Content-Type: {kind}\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply {
            status,
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.get_with(path, "").await
    }

    pub(crate) async fn send(&self, message: &[u8]) {
        let origin = Origin {
            transport: Transport::Mllp,
            peer: "127.0.0.1:50000".into(),
        };
        self.broker
            .receive(message.to_vec().into(), origin)
            .await
            .unwrap();
    }
}

impl Reply {
    /// The text of the page without its markup.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut inside = false;
        for c in self.body.chars() {
            match c {
                '<' => inside = true,
                '>' => inside = false,
                _ if !inside => text.push(c),
                _ => {}
            }
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

pub(crate) fn order(n: u32) -> Vec<u8> {
    format!(
        "MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20230614131415||ORM^O01|MSG{n}|P|2.3\r\
         PID|1||PAT{}||SMITH^JOHN||19800101|M\r\
         PV1|1|O\r\
         ORC|NW\r\
         OBR|1|ACC{n}||CT123^CT CHEST|ROUTINE||||||||||CT CHEST|||CT1|RP1||CT1|||CT|||||||||||\
         |20230614132030\r",
        n % 10
    )
    .into_bytes()
}

/// A report on order `n`, whose text is `text`.
pub(crate) fn report(n: u32, text: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20230614151617||ORU^R01|REP{n}|P|2.3\r\
         PID|1||PAT{}||SMITH^JOHN||19800101|M\r\
         OBR|1|ACC{n}\r\
         OBX|1|TX|CT123^CT CHEST||{text}||||||F|||20230614150000||77^GRAY\r",
        n % 10
    )
    .into_bytes()
}
