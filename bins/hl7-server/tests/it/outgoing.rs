//! What a running broker sends: through its configuration, its process and real sockets.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use hl7_mllp::MllpCodec;
use hl7_mllp::correlate::{Correlate, Hl7};
use medsynapse::AccessionNumber;
use medsynapse_broker::{Broker, BrokerConfig, Origin, SystemClock};
use medsynapse_store::{
    ActionKind, Destination, OrderStep, OutboxQuery, OutboxState, Paging, SqliteStore, Store,
    Transport,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::codec::Encoder;

use crate::operations::{metrics, value};
use crate::server::{PATIENCE, Server, command, order, run};

/// A RIS that keeps what comes and says AA, AE for every tenth message.
#[derive(Default)]
struct Ris {
    came: Mutex<Vec<String>>,
}

impl Ris {
    async fn listen(self: Arc<Self>) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let ris = Arc::clone(&self);
                tokio::spawn(async move {
                    let (mut codec, mut unread) = (MllpCodec::new(), BytesMut::new());
                    while let Ok(1..) = stream.read_buf(&mut unread).await {
                        while let Some(frame) = codec.decode(&mut unread).unwrap() {
                            let answer = ris.answer(&frame);
                            let mut out = BytesMut::new();
                            codec.encode(Bytes::from(answer), &mut out).unwrap();
                            if stream.write_all(&out).await.is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
        address
    }

    fn answer(&self, frame: &[u8]) -> String {
        let id = String::from_utf8(Hl7.control_id(frame).unwrap().to_vec()).unwrap();
        let mut came = self.came.lock().unwrap();
        came.push(id.clone());
        let code = if came.len().is_multiple_of(10) {
            "AE"
        } else {
            "AA"
        };
        format!("MSH|^~\\&|RIS|H|||2023||ACK|X|P|2.3\rMSA|{code}|{id}|As told\r")
    }
}

/// A data directory in which so many messages wait for `ris`.
async fn waiting(directory: &Path, count: u32) {
    let store = Arc::new(SqliteStore::open(directory).unwrap());
    let config = BrokerConfig {
        destinations: vec![Destination::new("ris")],
        ..BrokerConfig::default()
    };
    let broker = Broker::start(store, config, Arc::new(SystemClock)).unwrap();
    let origin = Origin {
        transport: Transport::Mllp,
        peer: "test".into(),
    };
    let bytes = order(0).into_bytes();
    let answer = broker.receive(bytes.into(), origin).await.unwrap();
    assert_eq!(answer.code.as_str(), "AA", "{}", answer.text);
    let accession_number = {
        let query = medsynapse_store::OrderQuery::default();
        let found = broker.store().orders(&query).unwrap().items.remove(0);
        AccessionNumber::try_from(found.order.accession_number.as_str()).unwrap()
    };
    let mut acts = Vec::new();
    for _ in 0..count {
        let (broker, accession_number) = (Arc::clone(&broker), accession_number.clone());
        acts.push(tokio::spawn(async move {
            let step = OrderStep::Read;
            let kind = ActionKind::Order {
                accession_number,
                step,
            };
            broker.act(kind, "test", None).await.unwrap()
        }));
    }
    for act in acts {
        act.await.unwrap();
    }
    tokio::task::spawn_blocking(move || broker.close())
        .await
        .unwrap();
}

fn states(directory: &Path) -> (BTreeMap<&'static str, u32>, Vec<String>) {
    let store = SqliteStore::open(directory).unwrap();
    let query = OutboxQuery {
        paging: Paging {
            cursor: None,
            limit: 100_000,
        },
        ..OutboxQuery::default()
    };
    let mut items = store.outbox(&query).unwrap().items;
    items.reverse();
    let mut states = BTreeMap::new();
    for item in &items {
        *states.entry(item.state.as_str()).or_default() += 1;
    }
    let settled = items
        .iter()
        .filter(|item| item.state != OutboxState::Queued);
    (
        states,
        settled.map(|item| item.control_id.clone()).collect(),
    )
}

#[cfg(unix)]
#[tokio::test]
async fn what_waits_is_sent_in_order_across_a_stop_and_a_kill() {
    const COUNT: u32 = 600;
    let directory = TempDir::new().unwrap();
    waiting(directory.path(), COUNT).await;
    let ris = Arc::new(Ris::default());
    let address = Arc::clone(&ris).listen().await;
    let config = directory.path().join("broker.toml");
    let text = format!(
        "[[destinations]]\nname = \"ris\"\naddress = \"{address}\"\nretry_first_secs = 1\n"
    );
    std::fs::write(&config, text).unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let came = || ris.came.lock().unwrap().len();
    let until = async |count: usize| {
        let start = Instant::now();
        while came() < count {
            assert!(start.elapsed() < PATIENCE, "{} of {count}", came());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };

    let server = Server::start(directory.path(), &arguments);
    until(100).await;
    server.signal("TERM");
    let status = tokio::task::spawn_blocking(|| server.ended())
        .await
        .unwrap();
    assert!(status.success());
    // The exchange in hand was ended: all that came is settled.
    let (_, settled) = states(directory.path());
    assert_eq!(settled, *ris.came.lock().unwrap());

    let server = Server::start(directory.path(), &arguments);
    until(300).await;
    server.kill();

    let server = Server::start(directory.path(), &arguments);
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < PATIENCE, "{}", came());
        tokio::time::sleep(Duration::from_millis(20)).await;
        if came() >= COUNT as usize {
            break;
        }
    }
    let rate = 300.0 / start.elapsed().as_secs_f64();
    println!("{rate:.0} messages a second");
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.signal("TERM");
    let status = tokio::task::spawn_blocking(|| server.ended())
        .await
        .unwrap();
    assert!(status.success());

    let (counts, settled) = states(directory.path());
    assert_eq!(counts.values().sum::<u32>(), COUNT);
    assert!(!counts.contains_key("queued"), "{counts:?}");
    assert!(counts["refused"] >= COUNT / 10 - 1, "{counts:?}");
    let mut came = ris.came.lock().unwrap().clone();
    // The one in hand at the kill may have come twice, one right after the other.
    came.dedup();
    assert_eq!(came, settled, "in order, none lost");
}

/// A destination where nobody listens: what waits for it is counted, and how long.
#[tokio::test]
async fn the_metrics_tell_how_much_waits_for_whom() {
    let directory = TempDir::new().unwrap();
    waiting(directory.path(), 3).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let config = directory.path().join("broker.toml");
    let text = format!("[[destinations]]\nname = \"ris\"\naddress = \"{address}\"\n");
    std::fs::write(&config, text).unwrap();
    let server = Server::start(directory.path(), &["--config", config.to_str().unwrap()]);
    let items = server.get("/api/v1/outbox").await;
    let id = items["items"][0]["id"]
        .as_i64()
        .unwrap_or_else(|| panic!("{items}"));
    let held = reqwest::Client::new()
        .post(format!("{}/api/v1/outbox/{id}/hold", server.rest))
        .send()
        .await
        .unwrap();
    assert!(held.status().is_success());
    let page = metrics(&server).await;
    for (state, count) in [("queued", 2_u64), ("held", 1), ("refused", 0)] {
        let name = format!("hl7_outbox_messages{{destination=\"ris\",state=\"{state}\"}}");
        assert_eq!(
            value(&page, &name).to_string(),
            count.to_string(),
            "{state}"
        );
    }
    let oldest = value(&page, "hl7_outbox_oldest_seconds{destination=\"ris\"}");
    assert!(oldest > 0.0, "{oldest}");
}

#[test]
fn destinations_are_checked_and_shown() {
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("broker.toml");
    let check = |text: &str| {
        std::fs::write(&config, text).unwrap();
        let mut asked = command(directory.path());
        asked.arg("--config").arg(&config).arg("--print-config");
        run(asked)
    };
    let good = "[[destinations]]\nname = \"ris\"\naddress = \"ris.test:2576\"\nformat = \"RTF\"\n\
                statuses = [\"final\", \"I\"]\n[destinations.tls]\nca = \"/ca.pem\"\n";
    let (code, out, err) = check(good);
    assert_eq!(code, Some(0), "{err}");
    for shown in [
        "[[destinations]]",
        "name = \"ris\"",
        "format = \"RTF\"",
        "retry_max_secs = 300",
    ] {
        assert!(out.contains(shown), "{out}");
    }
    let wrong = [
        ("name = \"\"\naddress = \"a:1\"", "name"),
        ("name = \"r\"\naddress = \"nowhere\"", "address"),
        (
            "name = \"r\"\naddress = \"a:1\"\nformat = \"PDF\"",
            "format",
        ),
        (
            "name = \"r\"\naddress = \"a:1\"\nstatuses = [\"seen\"]",
            "statuses",
        ),
        (
            "name = \"r\"\naddress = \"a:1\"\nanswer_timeout_secs = 0",
            "answer_timeout_secs",
        ),
        (
            "name = \"r\"\naddress = \"a:1\"\nretry_first_secs = 900",
            "retry_first_secs",
        ),
        ("name = \"r\"\naddress = \"a:1\"\naddr = \"x\"", "addr"),
        (
            "name = \"r\"\naddress = \"a:1\"\n[[destinations]]\nname = \"r\"\naddress = \"b:1\"",
            "destinations[2]",
        ),
    ];
    for (text, names) in wrong {
        let (code, _, err) = check(&format!("[[destinations]]\n{text}\n"));
        assert_eq!(code, Some(2), "{text}");
        assert!(err.contains(names), "{text}: {err}");
    }
}
