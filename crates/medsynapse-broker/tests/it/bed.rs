//! A broker over a database of its own, in a file or in PostgreSQL, with a clock that stands still.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use medsynapse::{AccessionNumber, Attribute, Preset, Profile};
use medsynapse_broker::{Answer, Broker, BrokerConfig, ManualClock, Origin};
use medsynapse_store::testing::Cluster;
use medsynapse_store::{
    Destination, Keys, OrderRecord, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore,
    Store, StoreError, StoredMessage, Transport,
};
use tempfile::TempDir;

thread_local! {
    static ENCRYPTED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// What is opened on this thread from now on is encrypted.
pub(crate) fn encrypted() {
    ENCRYPTED.set(true);
}

/// The keys of what is opened on this thread; with `HL7_TEST_ENCRYPTED` set everything has some.
pub(crate) fn keys() -> Option<Keys> {
    let all = std::env::var_os("HL7_TEST_ENCRYPTED").is_some();
    let secret = std::array::from_fn(|n| u8::try_from(n).unwrap() ^ 0x5a);
    (all || ENCRYPTED.get()).then(|| Keys::line("test", &secret).unwrap().parse().unwrap())
}

/// The settings of a store, encrypted or not.
pub(crate) fn options() -> SqliteOptions {
    let mut options = SqliteOptions::default();
    options.keys = keys();
    options
}

pub(crate) fn open(directory: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open_with(directory, &options())
}

/// Over which store a test runs.
#[derive(Debug, Clone)]
pub(crate) enum Over {
    /// The file of one server.
    File,
    /// A database that several servers may have, in the PostgreSQL of this process.
    Postgres(Arc<Cluster>),
}

impl Over {
    /// PostgreSQL; where there is none it says so, and the test that asks is to end.
    pub(crate) fn postgres(test: &str) -> Option<Self> {
        Cluster::or_skip(test).map(Self::Postgres)
    }

    /// A place with nothing in it.
    pub(crate) fn place(&self) -> Place {
        self.place_in(&std::env::temp_dir())
    }

    /// The same; a file lies in this directory.
    pub(crate) fn place_in(&self, directory: &Path) -> Place {
        match self {
            Self::File => Place::File(TempDir::new_in(directory).unwrap()),
            Self::Postgres(cluster) => Place::Postgres {
                url: cluster.fresh().unwrap(),
                cluster: Arc::clone(cluster),
            },
        }
    }
}

/// Where the data of one test lies.
#[derive(Debug)]
pub(crate) enum Place {
    File(TempDir),
    Postgres { url: String, cluster: Arc<Cluster> },
}

impl From<TempDir> for Place {
    fn from(directory: TempDir) -> Self {
        Self::File(directory)
    }
}

impl Place {
    pub(crate) fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::File(directory) => Arc::new(open(directory.path()).unwrap()),
            Self::Postgres { url, .. } => {
                let options = PostgresOptions::new(url, "bed");
                Arc::new(PostgresStore::open(&options).unwrap())
            }
        }
    }

    /// Changes what is kept behind the back of the store; gives how many rows.
    pub(crate) fn tamper(&self, sqlite: &str, postgres: &str) -> u64 {
        match self {
            Self::File(directory) => {
                let path = directory.path().join("medsynapse.db");
                let database = rusqlite::Connection::open(path).unwrap();
                database.execute(sqlite, []).unwrap() as u64
            }
            Self::Postgres { url, cluster } => {
                let changed = format!("{postgres} RETURNING 1");
                cluster.run(url, &changed).unwrap()
            }
        }
    }
}

/// Each of these functions is a test over each store.
macro_rules! over_both {
    ($($case:ident),* $(,)?) => {
        mod file {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&crate::bed::Over::File).await;
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $case() {
                let name = concat!(module_path!(), "::", stringify!($case));
                if let Some(over) = crate::bed::Over::postgres(name) {
                    super::$case(&over).await;
                }
            })*
        }
    };
}
pub(crate) use over_both;

pub(crate) struct Bed {
    pub(crate) broker: Arc<Broker>,
    pub(crate) place: Place,
    next: std::cell::Cell<u32>,
}

pub(crate) fn origin() -> Origin {
    Origin {
        transport: Transport::Mllp,
        peer: "127.0.0.1:50000".into(),
    }
}

pub(crate) fn start_of_time() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2023-06-14T13:14:16Z")
        .unwrap()
        .to_utc()
}

impl Bed {
    pub(crate) fn new(over: &Over) -> Self {
        Self::with(over, Preset::Medsynapse.into())
    }

    pub(crate) fn strict(over: &Over) -> Self {
        Self::with(over, Preset::MedsynapseStrict.into())
    }

    pub(crate) fn with(over: &Over, profile: Profile) -> Self {
        let place = over.place();
        Self::over(place.open(), profile, place)
    }

    /// One that tells these destinations.
    pub(crate) fn telling(over: &Over, destinations: Vec<Destination>) -> Self {
        let place = over.place();
        Self::complete(place.open(), Profile::default(), destinations, place)
    }

    pub(crate) fn over(store: Arc<dyn Store>, profile: Profile, place: impl Into<Place>) -> Self {
        Self::complete(store, profile, Vec::new(), place.into())
    }

    fn complete(
        store: Arc<dyn Store>,
        profile: Profile,
        destinations: Vec<Destination>,
        place: Place,
    ) -> Self {
        let config = BrokerConfig {
            profile,
            destinations,
            ..BrokerConfig::default()
        };
        let clock = Arc::new(ManualClock::at(start_of_time()));
        let broker = Broker::start(store, config, clock).unwrap();
        Self {
            broker,
            place,
            next: std::cell::Cell::new(1),
        }
    }

    /// Stops the broker and starts another one over the same data.
    pub(crate) async fn restart(self) -> Self {
        let profile = self.broker.profile().clone();
        let destinations = self.broker.destinations().to_vec();
        let broker = self.broker;
        tokio::task::spawn_blocking(move || broker.close())
            .await
            .unwrap();
        let next = Self::complete(self.place.open(), profile, destinations, self.place);
        next.next.set(self.next.get());
        next
    }

    pub(crate) async fn send_bytes(&self, bytes: &[u8]) -> Answer {
        self.broker
            .receive(bytes.to_vec().into(), origin())
            .await
            .expect("an answer")
    }

    /// Sends a message of this type with a control id of its own.
    pub(crate) async fn send(&self, kind: &str, rest: &str) -> Answer {
        let number = self.next.get();
        self.next.set(number + 1);
        self.send_bytes(message(kind, &format!("C{number}"), rest).as_bytes())
            .await
    }

    /// Sends and checks what MSA says.
    pub(crate) async fn check(&self, kind: &str, rest: &str, expected: &str) {
        let answer = self.send(kind, rest).await;
        assert_eq!(format!("{} {}", answer.code, answer.text), expected);
    }

    pub(crate) fn order(&self, accession_number: &str) -> Option<OrderRecord> {
        let id = AccessionNumber::try_from(accession_number).unwrap();
        self.broker.store().order(&id).unwrap()
    }

    pub(crate) fn attribute(&self, accession_number: &str, attribute: Attribute) -> Option<String> {
        let record = self.order(accession_number).unwrap();
        record.order.attributes.get(attribute).map(str::to_owned)
    }

    pub(crate) fn stored(&self, id: i64) -> StoredMessage {
        self.broker.store().message(id).unwrap().unwrap()
    }
}

pub(crate) fn message(kind: &str, control_id: &str, rest: &str) -> String {
    format!(
        "MSH|^~\\&|RIS|HOSPITAL|PACS_APP|PACS_FACILITY|20230614131415||{kind}|{control_id}|P|2.3\r{rest}"
    )
}

pub(crate) fn order(control: &str, accession_number: &str, patient: &str) -> String {
    format!(
        "PID|1||{patient}||SMITH^JOHN||19800101|M||||||||||ADM1\rPV1|1|O\rORC|{control}\r\
         OBR|1|{accession_number}||CT123^CT CHEST|ROUTINE||||||||||CT CHEST|||CT1|RP1||CT1|||CT\
         ||||||||||||20230614132030\r"
    )
}

pub(crate) fn report(accession_number: &str, text: &str) -> String {
    format!(
        "PID|1||P1||SMITH^JOHN||19800101|M\rOBR|1|{accession_number}\r\
         OBX|1|TX|CT123^CT CHEST||{text}||||||F|||20230614140000||7^DOE\r"
    )
}

pub(crate) fn a08(pid: &str) -> String {
    format!("EVN|A08|20230614\r{pid}\r")
}

pub(crate) fn a40(pid: &str, old: &str) -> String {
    format!("EVN|A40|20230614\r{pid}\rMRG|{old}\r")
}
