//! The whole cycle of the pretend modality, against a broker in this process.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use medsynapse::{AccessionNumber, OrderState, Profile};
use medsynapse_broker::{Broker, BrokerConfig, Origin, SystemClock};
use medsynapse_store::{SqliteStore, Store, Transport};
use medsynapse_worklist::MappingSettings;
use medsynapse_worklist::live::{Live, LiveDepartment, WorkflowSettings};
use medsynapse_worklist::scp::{ScpConfig, Services, serve};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::program::{Ran, run, sender};

const ORDER: &str = "MSH|^~\\&|RIS|H|PACS_APP|P|20230614131415||ORM^O01|M1|P|2.3\r\
    PID|1||P1||SMITH^JOHN||19800101|M\rPV1|1|O\rORC|NW\r\
    OBR|1|ACC1||STEP1^CT CHEST|ROUTINE||||||||||CT CHEST|||CT ROOM|RP1||CT1|||CT||||||||||||20230614132030\r\
    ZDS|1.2.840.1^^Application^DICOM\r";

/// A broker with one order, its worklist and its recorder.
struct Department {
    broker: Arc<Broker>,
    live: Arc<Live>,
    worklist: SocketAddr,
    recorder: SocketAddr,
    stop: CancellationToken,
    _runtime: Runtime,
    _directory: TempDir,
}

impl Department {
    fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let runtime = Runtime::new().unwrap();
        let _guard = runtime.enter();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.path()).unwrap());
        let config = BrokerConfig {
            profile: Profile::default(),
            ..BrokerConfig::default()
        };
        let broker = Broker::start(store, config, Arc::new(SystemClock)).unwrap();
        let workflow = WorkflowSettings::default();
        let live = Live::new(Arc::clone(&broker), MappingSettings::default(), workflow);
        let department = Arc::new(LiveDepartment(Arc::clone(&live)));
        let stop = CancellationToken::new();
        let listen = |services, title: &str| {
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
            let address = listener.local_addr().unwrap();
            let config = ScpConfig::new(title, services);
            let serving = serve(listener, Arc::clone(&department), config, stop.clone());
            runtime.spawn(serving);
            address
        };
        let worklist = listen(Services::Worklist, "MEDSYNAPSE");
        let recorder = listen(Services::Recorder, "MEDSYNAPSE_REC");
        let origin = Origin {
            transport: Transport::Mllp,
            peer: "ris".into(),
        };
        let answer = runtime.block_on(async {
            let pending = broker
                .submit(Bytes::from_static(ORDER.as_bytes()), origin)
                .await;
            pending.await
        });
        assert!(answer.unwrap().code.is_accept());
        Self {
            broker,
            live,
            worklist,
            recorder,
            stop,
            _runtime: runtime,
            _directory: directory,
        }
    }

    fn modality(&self, arguments: &[&str]) -> Ran {
        let mut command = sender();
        command.arg("modality").args(arguments);
        command.args(["--calling", "CT1", "--address", &self.worklist.to_string()]);
        run(&mut command)
    }

    fn state(&self) -> OrderState {
        let number = AccessionNumber::try_from("ACC1").unwrap();
        self.broker
            .store()
            .order(&number)
            .unwrap()
            .unwrap()
            .order
            .state
    }
}

impl Drop for Department {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[test]
fn from_the_worklist_to_the_completed_study() {
    let department = Department::start();
    department.modality(&["echo"]).exits(0);

    let shown = department
        .modality(&["worklist", "--station", "CT1"])
        .exits(0);
    for text in ["ACC1", "SMITH", "CT1"] {
        assert!(shown.out.contains(text), "no {text} in:\n{}", shown.out);
    }
    assert_eq!(shown.err, "1 item.\n");
    let listed = department
        .modality(&["worklist", "--key", "PatientName=SMITH*", "--json"])
        .exits(0);
    let line: serde_json::Value = serde_json::from_str(listed.out.trim()).unwrap();
    let item = &line["item"];
    assert_eq!(item["00080050"]["Value"][0], "ACC1");
    assert_eq!(item["0020000D"]["Value"][0], "1.2.840.1");
    department
        .modality(&["worklist", "--station", "MR1"])
        .exits(0)
        .says("0 items");

    department.modality(&["complete", "ACC1"]).exits(1);
    assert_eq!(department.state(), OrderState::Scheduled);
    department.modality(&["start", "ACC1"]).exits(0);
    assert_eq!(department.state(), OrderState::Started);
    department.modality(&["start", "ACC1"]).exits(1);

    let recorder = department.recorder.to_string();
    department
        .modality(&["store", "ACC1", "--recorder", &recorder])
        .exits(0);
    let studies = department.live.studies();
    assert_eq!(studies.len(), 1);
    assert_eq!(studies[0].accession_number, "ACC1");
    assert_eq!(
        (studies[0].objects, studies[0].calling.as_str()),
        (1, "CT1")
    );

    department.modality(&["complete", "ACC1"]).exits(0);
    assert_eq!(department.state(), OrderState::Completed);
    department
        .modality(&["worklist", "--station", "CT1", "--count"])
        .exits(0)
        .ends_with("0");
    department
        .modality(&["start", "ACC1"])
        .exits(1)
        .says("no step of accession number ACC1");
}

#[test]
fn what_is_given_up_is_off_the_worklist() {
    let department = Department::start();
    department.modality(&["start", "ACC1"]).exits(0);
    department.modality(&["discontinue", "ACC1"]).exits(0);
    assert_eq!(department.state(), OrderState::Discontinued);
    department
        .modality(&["worklist", "--count"])
        .exits(0)
        .ends_with("0");
}

#[test]
fn keys_restrict_the_worklist() {
    let department = Department::start();
    let count = |keys: &[&str]| {
        let arguments = [&["worklist", "--count"], keys].concat();
        let ran = department.modality(&arguments).exits(0);
        ran.out.trim().parse::<u32>().unwrap()
    };
    for (keys, found) in [
        (&["--date", "20230614"][..], 1),
        (&["--date", "20230601-20230630", "--time", "1300-1400"], 1),
        (&["--date", "20230614", "--time", "0800-1200"], 0),
        (&["--date", "today"], 0),
        (&["--modality", "CT", "--station", "CT1"], 1),
        (&["--modality", "MR"], 0),
    ] {
        assert_eq!(count(keys), found, "{keys:?}");
    }
}

#[test]
fn titles_and_uids_are_those_that_were_asked_for() {
    let department = Department::start();
    department
        .modality(&["echo", "--called", "NOBODY"])
        .exits(5)
        .says("called NOBODY (--called)");
    let uid = ["--uid", "1.2.826.0.1.3680043.2.7"];
    let step = |what| [&[what, "ACC1"], &uid[..]].concat();
    let started = department.modality(&step("start")).exits(0);
    assert!(started.out.contains(uid[1]), "{}", started.out);
    // The step that was started has another UID than the one that is made of titles and numbers.
    department.modality(&["complete", "ACC1"]).exits(1);
    let recorder = department.recorder.to_string();
    let store = ["store", "ACC1", "--recorder", &recorder];
    let titled = |title| [&store[..], &["--recorder-title", title]].concat();
    department.modality(&titled("NOBODY")).exits(5);
    department.modality(&titled("MEDSYNAPSE_REC")).exits(0);
    department.modality(&step("complete")).exits(0);
    assert_eq!(department.state(), OrderState::Completed);
}
