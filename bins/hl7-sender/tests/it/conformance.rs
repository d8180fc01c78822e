//! `--conformance` against the broker of this workspace, in both presets, and against receivers
//! that get things wrong.

use std::{net::SocketAddr, sync::Arc};

use hl7_mllp::{NoObserver, ServerConfig, serve};
use medsynapse::{Preset, Profile};
use medsynapse_broker::{Broker, BrokerConfig, MllpHandler, SystemClock};
use medsynapse_store::{MessageQuery, SqliteStore, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_util::sync::CancellationToken;

use crate::{
    peer::{Act, Peer},
    program::{Ran, run, sender},
};

/// A broker in this process.
struct Bed {
    runtime: Runtime,
    broker: Arc<Broker>,
    address: SocketAddr,
    stop: CancellationToken,
    _directory: TempDir,
}

impl Bed {
    fn new(preset: Preset) -> Self {
        let directory = TempDir::new().unwrap();
        let runtime = Runtime::new().unwrap();
        let store = Arc::new(SqliteStore::open(directory.path()).unwrap());
        let config = BrokerConfig {
            profile: Profile::from(preset),
            ..BrokerConfig::default()
        };
        let broker = Broker::start(store, config, Arc::new(SystemClock)).unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = ServerConfig::default();
        if preset == Preset::MedsynapseStrict {
            server.connections_max = 1;
            server.one_message_per_connection = true;
        }
        let stop = CancellationToken::new();
        runtime.spawn(serve(
            listener,
            Arc::new(MllpHandler::new(Arc::clone(&broker))),
            server,
            Arc::new(NoObserver),
            stop.clone(),
        ));
        Self {
            runtime,
            broker,
            address,
            stop,
            _directory: directory,
        }
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.broker.store()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.stop.cancel();
        let broker = Arc::clone(&self.broker);
        self.runtime.block_on(async {
            tokio::task::spawn_blocking(move || broker.close())
                .await
                .unwrap();
        });
    }
}

fn conformance(address: &str, more: &[&str]) -> Ran {
    let mut command = sender();
    command
        .args(["--conformance", address, "--timeout", "5s"])
        .args(more);
    command.timeout(std::time::Duration::from_mins(3));
    run(&mut command)
}

fn cases(ran: &Ran) -> Vec<Value> {
    let lines = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let mut all: Vec<Value> = lines.collect();
    let summary = all.pop().unwrap();
    assert_eq!(summary["record"], "summary");
    all
}

fn with_verdict(cases: &[Value], verdict: &str) -> Vec<String> {
    let wanted = cases.iter().filter(|case| case["verdict"] == verdict);
    wanted
        .map(|case| case["number"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn our_broker_passes_every_case() {
    let bed = Bed::new(Preset::Medsynapse);
    let ran = conformance(&bed.address.to_string(), &["--json"]);
    let cases = cases(&ran);
    assert_eq!(
        with_verdict(&cases, "failed"),
        Vec::<String>::new(),
        "{}",
        ran.out
    );
    let strict = ["FRM-07", "FRM-12", "MSH-11", "ORM-10", "ORU-07", "DUP-05"];
    assert_eq!(with_verdict(&cases, "not_applicable"), strict);
    ran.exits(0);
    // Nothing of it is left on a worklist.
    assert_eq!(bed.store().order_count().unwrap(), 0);
}

#[test]
fn our_broker_passes_every_case_in_the_strict_preset() {
    let bed = Bed::new(Preset::MedsynapseStrict);
    let more = ["--json", "--preset", "medsynapse-strict"];
    let ran = conformance(&bed.address.to_string(), &more);
    let cases = cases(&ran);
    assert_eq!(
        with_verdict(&cases, "failed"),
        Vec::<String>::new(),
        "{}",
        ran.out
    );
    ran.exits(0);
    assert_eq!(bed.store().order_count().unwrap(), 0);
}

#[test]
fn a_lenient_broker_fails_the_strict_cases() {
    let bed = Bed::new(Preset::Medsynapse);
    let more = ["--json", "--preset", "medsynapse-strict"];
    let ran = conformance(&bed.address.to_string(), &more);
    let failed = with_verdict(&cases(&ran), "failed");
    let strict = ["FRM-07", "FRM-12", "MSH-11", "ORM-10", "ORU-07", "DUP-05"];
    assert_eq!(failed, strict);
    ran.exits(1);
}

#[test]
fn every_id_is_the_runs_own() {
    let bed = Bed::new(Preset::Medsynapse);
    let ran = conformance(&bed.address.to_string(), &["--json"]);
    let summary: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    let mark = summary["mark"].as_str().unwrap().to_owned();
    let query = MessageQuery {
        limit: 10_000,
        ..MessageQuery::default()
    };
    let messages = bed.store().messages(&query).unwrap().items;
    assert!(messages.len() > 100, "{}", messages.len());
    for message in messages {
        let id = &message.control_id;
        assert!(id.is_empty() || id.starts_with(&mark), "{id}");
        let accession = message.accession_number.unwrap_or_default();
        assert!(
            accession.is_empty() || accession.starts_with(&mark),
            "{accession}"
        );
        let patient = message.patient_id.unwrap_or_default();
        assert!(
            patient.is_empty() || patient.starts_with(&mark),
            "{patient}"
        );
    }
    ran.exits(0);
}

#[test]
fn the_statement_alone_can_be_asked_about() {
    let bed = Bed::new(Preset::Medsynapse);
    let more = ["--json", "--basis", "statement"];
    let ran = conformance(&bed.address.to_string(), &more);
    let cases = cases(&ran);
    let of = |basis: &str, verdict: &str| {
        let both = |case: &&Value| case["basis"] == basis && case["verdict"] == verdict;
        cases.iter().filter(both).count()
    };
    assert!(of("statement", "passed") > 40 && of("statement", "failed") == 0);
    assert_eq!(of("decision", "passed") + of("decision", "failed"), 0);
    ran.exits(0);
}

#[test]
fn a_receiver_that_accepts_everything_fails_what_must_be_refused() {
    let peer = Peer::new(&[Act::Code("AA")]);
    let directory = TempDir::new().unwrap();
    let page = directory.path().join("report.html");
    let address = format!("127.0.0.1:{}", peer.port);
    let more = ["--report", page.to_str().unwrap(), "--timeout", "2s"];
    let mut command = sender();
    command.args(["--conformance", &address]).args(more);
    command.timeout(std::time::Duration::from_mins(3));
    let ran = run(&mut command).exits(1).says("failed  ORM-12");
    assert!(
        ran.err.contains("expected  AR \"Missing PID-3\""),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("failed  FRM-01"), "{}", ran.err);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<tr id=\"ORM-12\">"), "{page}");
}

#[test]
fn where_nobody_listens_the_run_ends_at_once() {
    conformance("127.0.0.1:1", &[]).exits(3).says("refused");
    conformance("nowhere", &[]).exits(2).says("HOST:PORT");
    conformance("127.0.0.1:1", &["--listen", "0"]).exits(2);
}

/// `docs/reference/conformance-cases.md`: every case with the verdict that our broker got.
#[test]
fn the_page_of_cases_is_true() {
    let verdicts = |preset, name: &str| {
        let bed = Bed::new(preset);
        let more = ["--json", "--preset", name];
        cases(&conformance(&bed.address.to_string(), &more))
    };
    let lenient = verdicts(Preset::Medsynapse, "medsynapse");
    let strict = verdicts(Preset::MedsynapseStrict, "medsynapse-strict");
    let mut page = String::from(HEAD);
    for (one, other) in lenient.iter().zip(&strict) {
        assert_eq!(one["number"], other["number"]);
        let text = |value: &Value| value.as_str().unwrap().replace('_', " ");
        let cells = [
            &one["number"],
            &one["rule"],
            &one["basis"],
            &one["verdict"],
            &other["verdict"],
        ];
        page.extend(["| ", &cells.map(text).join(" | "), " |\n"]);
    }
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/conformance-cases.md"
    );
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    if kept != page {
        let directory = std::env::temp_dir().join("conformance-cases.md");
        std::fs::write(&directory, &page).unwrap();
        let new = directory.display();
        panic!("docs/reference/conformance-cases.md is out of date; the true page is in {new}");
    }
}

const HEAD: &str = "\
# Cases of the conformance run

`hl7-sender --conformance HOST:PORT` asks a broker about each of these rules. A rule is of the
conformance statement (or of MLLP and HL7 themselves), or a decision of this toolkit where the
statement is silent; `--basis statement` leaves the decisions out and lets answers be worded
freely. The last two columns are what `hl7-server` gets in its two presets. A test makes this page
from real runs and keeps it true.

| case | rule | basis | medsynapse | medsynapse-strict |
|---|---|---|---|---|
";
