//! Three servers at fixed addresses, each with a wire to the database that can be cut, behind a
//! balancer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hl7_mllp::{Client, ClientConfig};
use medsynapse_store::testing::Cluster;
use medsynapse_store::{MessageQuery, PostgresOptions, PostgresStore, Store};
use tempfile::TempDir;

use super::place::Place;
use super::splitter::Splitter;
use crate::operations::{metrics, value};
use crate::server::{PATIENCE, Server, order};

pub(super) struct House {
    pub(super) cluster: Arc<Cluster>,
    pub(super) url: String,
    pub(super) store: PostgresStore,
    pub(super) place: Place,
    pub(super) directory: TempDir,
    pub(super) servers: [Option<Server>; 3],
    wires: [Splitter; 3],
    database: SocketAddr,
    urls: Vec<String>,
    next: AtomicU32,
    /// The control ids of what was acknowledged.
    pub(super) taken: Mutex<Vec<String>>,
}

/// Asks until it is so.
pub(super) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

impl House {
    pub(super) async fn build(cluster: Arc<Cluster>) -> Self {
        let url = cluster.fresh().unwrap();
        let database = SocketAddr::from(([127, 0, 0, 1], cluster.port()));
        let wires: [Splitter; 3] = Default::default();
        let mut urls = Vec::new();
        for wire in &wires {
            wire.set(vec![database]);
            let end = wire.listen().await;
            urls.push(url.replace(&database.to_string(), &end.to_string()));
        }
        let mut house = Self {
            store: PostgresStore::open(&PostgresOptions::new(&url, "tests")).unwrap(),
            cluster,
            url,
            place: Place::find(),
            directory: TempDir::new().unwrap(),
            servers: [const { None }; 3],
            wires,
            database,
            urls,
            next: AtomicU32::new(0),
            taken: Mutex::default(),
        };
        for number in 0..3 {
            house.up(number);
        }
        house
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn up(&mut self, number: usize) {
        let place = &self.place;
        let ports = [place.mllp, place.rest, place.dicom];
        let addresses = ports.map(|port| place.at(Some(number), port).to_string());
        let server = Server::start_on(
            &self.path(&number.to_string()),
            addresses.each_ref().map(String::as_str),
            &["--database", &self.urls[number]],
        );
        self.servers[number] = Some(server);
    }

    pub(super) fn server(&self, number: usize) -> &Server {
        self.servers[number].as_ref().unwrap()
    }

    /// Takes the database from one server, and leaves it to the others.
    pub(super) fn cut(&self, number: usize) {
        self.wires[number].cut();
    }

    pub(super) fn mend(&self, number: usize) {
        self.wires[number].set(vec![self.database]);
    }

    /// How many MLLP connections a server has now, and how many it ever had.
    pub(super) async fn connections(&self, number: usize) -> (u64, u64) {
        let page = metrics(self.server(number)).await;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count"
        )]
        let count = |name| value(&page, name) as u64;
        let opened = "mllp_connections_opened_total";
        (count("mllp_connections"), count(opened))
    }

    /// Whether a server is ready, as a balancer asks.
    pub(super) async fn ready(&self, number: usize) -> bool {
        let rest = self.place.at(Some(number), self.place.rest);
        let answer = reqwest::get(format!("http://{rest}/api/v1/health/ready")).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    pub(super) async fn client(&self) -> Option<Client> {
        let front = self.place.at(None, self.place.mllp);
        let client = Client::connect(front, ClientConfig::default());
        client.await.ok()
    }

    /// The next message, and its control id.
    pub(super) fn message(&self) -> (String, String) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (format!("M{number}"), order(number))
    }

    /// A message over a new connection through the balancer: the code of its answer.
    pub(super) async fn send(&self) -> Option<String> {
        self.say(&mut self.client().await?).await
    }

    /// The same over a connection that is there.
    pub(super) async fn say(&self, client: &mut Client) -> Option<String> {
        let (id, message) = self.message();
        let answer = client.exchange(message.as_bytes()).await.ok()?;
        let answer = String::from_utf8(answer.to_vec()).unwrap();
        let mut fields = answer.split("\rMSA|").nth(1)?.split('|');
        let (code, answered) = (fields.next()?, fields.next()?);
        assert_eq!(answered, id);
        if code == "AA" {
            self.taken.lock().unwrap().push(id);
        }
        Some(code.to_owned())
    }

    /// What was acknowledged is stored once.
    pub(super) fn nothing_is_lost(&self) {
        let query = MessageQuery {
            limit: 1_000_000,
            ..MessageQuery::default()
        };
        let stored = self.store.messages(&query).unwrap().items;
        let taken = self.taken.lock().unwrap();
        assert!(!taken.is_empty());
        for id in taken.iter() {
            let times = stored.iter().filter(|message| message.control_id == *id);
            assert_eq!(times.count(), 1, "{id}");
        }
    }

    /// So many messages, each over a new connection, are all taken; gives the longest time.
    pub(super) async fn all_are_taken(&self, count: usize, when: &str) -> Duration {
        let mut longest = Duration::ZERO;
        for number in 0..count {
            let began = Instant::now();
            let code = self.send().await;
            assert_eq!(code.as_deref(), Some("AA"), "message {number} {when}");
            longest = longest.max(began.elapsed());
        }
        longest
    }
}

/// The balancer's process, and what it says.
pub(super) struct Balancer {
    child: Child,
    log: PathBuf,
}

impl Balancer {
    pub(super) fn start(mut command: Command, log: PathBuf) -> Self {
        let file = std::fs::File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log }
    }

    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // Its workers go with it when it is asked to; what is gone already needs nothing.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &pid]).status();
        let began = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if began.elapsed() > Duration::from_secs(10) {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whether a program can be started.
pub(super) fn is_installed(program: &str, version: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(version).stdout(Stdio::null());
    command.stderr(Stdio::null()).status().is_ok()
}
