//! A gateway on a free port over a database in a temporary directory, and a client for it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use medsynapse_broker::{Broker, BrokerConfig, Lanes, ManualClock};
use medsynapse_http::{
    Access, AllowedHosts, ApiKeys, App, Connections, Gateway, GatewaySettings, Limits, router,
};
use medsynapse_store::{SqliteStore, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Bed {
    pub(crate) address: SocketAddr,
    _directory: Option<TempDir>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2023-06-14T13:14:16Z")
        .unwrap()
        .to_utc()
}

impl Bed {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut App)) -> Self {
        let directory = TempDir::new().unwrap();
        let store = Arc::new(SqliteStore::open(directory.path()).unwrap());
        Self {
            _directory: Some(directory),
            ..Self::over(store, change).await
        }
    }

    pub(crate) async fn over(store: Arc<dyn Store>, change: impl FnOnce(&mut App)) -> Self {
        let clock = Arc::new(ManualClock::at(now()));
        let broker = Broker::start(store, BrokerConfig::default(), clock.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut app = App {
            broker,
            clock,
            rest_url: format!("http://{address}"),
            mllp_address: "127.0.0.1:2575".into(),
            api_keys: ApiKeys::default(),
            access: Access::default(),
            hosts: AllowedHosts::new(["pacs.example.org"]),
            gateway: Gateway::new(GatewaySettings::default(), now()),
            connections: Connections::default(),
            lanes: Lanes::default(),
            faults: None,
            stop: tokio::sync::watch::channel(false).1,
            limits: Limits::default(),
            metrics: Some(medsynapse_http::MetricsPage::new(|| {
                "hl7_storing 1\n".into()
            })),
            version: "1.2.3".into(),
        };
        change(&mut app);
        let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self {
            address,
            _directory: None,
        }
    }

    /// Sends a request as it is and reads the answer.
    pub(crate) async fn raw(&self, request: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let cut = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(answer[..cut].to_vec())
            .unwrap()
            .to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply {
            status,
            head,
            body: answer[cut + 4..].to_vec(),
        }
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            let _ = write!(request, "Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            let _ = write!(request, "{name}: {value}\r\n");
        }
        let _ = write!(request, "Content-Length: {}\r\n\r\n", body.len());
        self.raw(&[request.as_bytes(), body].concat()).await
    }

    /// The status of an answer whose body may never end.
    pub(crate) async fn request_head(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> u16 {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nConnection: close\r\nHost: {}\r\nContent-Length: 0\r\n",
            self.address
        );
        for (name, value) in headers {
            let _ = write!(request, "{name}: {value}\r\n");
        }
        request.push_str("\r\n");
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut line = [0; 12];
        stream.read_exact(&mut line).await.unwrap();
        core::str::from_utf8(&line[9..]).unwrap().parse().unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.request("GET", path, &[], b"").await
    }

    pub(crate) async fn post(&self, path: &str, kind: &str, body: &[u8]) -> Reply {
        self.request("POST", path, &[("Content-Type", kind)], body)
            .await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Reply {
        self.post(path, "application/json", body.to_string().as_bytes())
            .await
    }

    /// Sends a message as JSON.
    pub(crate) async fn send(&self, message: &[u8]) -> Reply {
        self.post_json("/api/hl7", &json!({ "message": STANDARD.encode(message) }))
            .await
    }
}

impl Reply {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert!(
            self.head.contains("json\r\n") || self.head.ends_with("json"),
            "{}",
            self.head
        );
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The status and the text of an error.
    #[track_caller]
    pub(crate) fn error(&self) -> (u16, String) {
        assert!(
            self.head.contains("content-type: application/problem+json"),
            "{}",
            self.head
        );
        let json = self.json();
        assert_eq!(json["status"], self.status);
        (self.status, json["error"].as_str().unwrap().to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .next()
    }
}

/// A new order that is accepted.
pub(crate) fn order(control_id: &str, accession: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20230614131415||ORM^O01|{control_id}|P|2.3\r\
         PID|1||PAT789||SMITH^JOHN||19800101|M\r\
         PV1|1|O\r\
         ORC|NW\r\
         OBR|1|{accession}||CT123^CT CHEST|ROUTINE||||||||||CT CHEST|||CT1|RP1||CT1|||CT|||||||||||\
         |20230614132030\r"
    )
    .into_bytes()
}

/// A report on it.
pub(crate) fn report(control_id: &str, accession: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20230614151617||ORU^R01|{control_id}|P|2.3\r\
         PID|1||PAT789||SMITH^JOHN||19800101|M\r\
         OBR|1|{accession}\r\
         OBX|1|TX|CT123^CT CHEST||Normal.\\X0D\\\\X0A\\Lungs clear.||||||F|||20230614150000||77^GRAY\r"
    )
    .into_bytes()
}
