//! The pages over a database in a temporary directory, with some messages: to look at them.
//!
//! `cargo run -p medsynapse-web --example preview -- 5000` listens on 127.0.0.1, port 5000;
//! with `empty` behind the port, nothing is in the log; with `busy`, a message comes in every
//! second; with `full`, there are 100,000.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use medsynapse_broker::{Broker, BrokerConfig, Lanes, Origin, SystemClock};
use medsynapse_http::{AllowedHosts, Connections};
use medsynapse_store::{SqliteStore, Transport};
use medsynapse_web::{WebApp, WebLimits, router};
use tokio::sync::watch;
use tokio::task::JoinSet;

const NAMES: [&str; 8] = [
    "BRANDT^ELISE",
    "OKAFOR^DANIEL^T",
    "NGUYEN^MINH",
    "SCHÄFER^JONAS",
    "ROSSI^GIULIA^^^DR",
    "HAYES^MARGARET",
    "IBRAHIM^YUSUF",
    "LINDQVIST^ASTRID",
];
const STUDIES: [(&str, &str, &str); 6] = [
    ("CT", "CT121", "CT CHEST WITH CONTRAST"),
    ("MR", "MR204", "MR BRAIN"),
    ("CR", "CR017", "CHEST PA AND LATERAL"),
    ("US", "US311", "US ABDOMEN COMPLETE"),
    ("MG", "MG100", "SCREENING MAMMOGRAM"),
    ("PT", "PT502", "PET CT WHOLE BODY"),
];

fn header(kind: &str, n: usize) -> String {
    let (hour, minute, second) = (8 + n / 3600 % 12, n / 60 % 60, n % 60);
    format!(
        "MSH|^~\\&|RIS|NORTHGATE|PACS_APP|PACS_FACILITY|20261123{hour:02}{minute:02}{second:02}||{kind}\
         |NG{n:06}|P|2.3||||||UNICODE UTF-8\r"
    )
}

fn patient(n: usize) -> String {
    let name = NAMES.get(n % NAMES.len()).copied().unwrap_or_default();
    let sex = if n.is_multiple_of(2) { "F" } else { "M" };
    let (year, month, day) = (1940 + n % 60, 1 + n % 12, 1 + n % 28);
    format!(
        "PID|1||P{:05}||{name}||{year}{month:02}{day:02}|{sex}\r",
        20_000 + n % 40
    )
}

fn order(n: usize, control: &str) -> String {
    let study = STUDIES.get(n % STUDIES.len()).copied().unwrap_or_default();
    let (modality, code, description) = study;
    format!(
        "{}{}PV1|1|O||||||44^DR. WINTER\rORC|{control}|||||||||||12^DR. STONE\r\
         OBR|1|A{n:07}||{code}^{description}|ROUTINE||||||||||{description}|||{modality}1|RP{n:05}|ROOM 2|\
         {modality}1|||{modality}|||||||R05^Cough \\T\\ fever|||BAKER||20261123140000\r",
        header("ORM^O01", n),
        patient(n)
    )
}

fn message(n: usize) -> String {
    match n % 11 {
        3 | 7 => format!(
            "{}{}OBR|1|A{:07}\rOBX|1|TX|CT121^CT CHEST||No focal consolidation.\\X0D\\\\X0A\\Heart size \
             normal. Compared with the study of 2024 \\F\\ unchanged.||||||F|||20261123150000||77^GRAY\r",
            header("ORU^R01", n),
            patient(n - 1),
            n - 1
        ),
        4 => order(n, "CA"),
        5 => order(n, "NW")
            .replace("|ROUTINE", "|ROUTINE\u{202E}")
            .replacen("|CT1|RP", "||RP", 1)
            .replace("|20261123140000", ""),
        6 => format!("{}EVN|A08|20261123\r{}", header("ADT^A08", n), patient(n)),
        8 => format!(
            "{}EVN|A40|20261123\r{}MRG|P{:05}\r",
            header("ADT^A40", n),
            patient(n),
            20_001 + n % 40
        ),
        9 => order(n, "NW") + "NTE|1||Patient uses a wheelchair.\rZXY|odd|<b>not bold</b>\r",
        10 => format!("{}PID|1\r", header("SIU^S12", n)),
        _ => order(n, "NW"),
    }
}

async fn send(broker: Arc<Broker>, n: usize, message: String) {
    let (transport, peer) = match n % 9 {
        2 => (
            Transport::Http,
            format!("10.20.0.17:{}", 52_000 + n % 10_000),
        ),
        _ => (
            Transport::Mllp,
            format!("10.20.0.4:{}", 40_000 + n % 10_000),
        ),
    };
    broker
        .receive(message.into_bytes().into(), Origin { transport, peer })
        .await;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args()
        .nth(1)
        .unwrap_or_default()
        .parse()
        .unwrap_or(5000);
    let mode = std::env::args().nth(2).unwrap_or_default();
    let directory = tempfile::tempdir()?;
    let store = Arc::new(SqliteStore::open(directory.path())?);
    let clock = Arc::new(SystemClock);
    let broker = Broker::start(store, BrokerConfig::default(), clock.clone())?;
    if mode != "empty" {
        for n in 1..=160 {
            send(Arc::clone(&broker), n, message(n)).await;
        }
        send(
            Arc::clone(&broker),
            161,
            "PID|1||P1\rthis is no message".into(),
        )
        .await;
    }
    if mode == "full" {
        for thousand in 1..=100 {
            let mut sending = JoinSet::new();
            for n in (thousand * 1_000..).take(1_000) {
                sending.spawn(send(Arc::clone(&broker), n, message(n)));
            }
            sending.join_all().await;
        }
    }
    let (_stop, stopped) = watch::channel(false);
    let app = WebApp {
        broker: Arc::clone(&broker),
        clock,
        modalities: None,
        connections: Connections::default(),
        lanes: Lanes::default(),
        faults: None,
        login: None,
        hosts: AllowedHosts::default(),
        mllp_address: "127.0.0.1:2575".into(),
        rest_url: "http://127.0.0.1:3000".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        limits: WebLimits::default(),
        stop: stopped,
    };
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    let serving = tokio::spawn(async move { axum::serve(listener, router(app)).await });
    if mode == "busy" {
        for n in 200.. {
            tokio::time::sleep(Duration::from_secs(1)).await;
            send(Arc::clone(&broker), n, message(n)).await;
        }
    }
    serving.await??;
    Ok(())
}
