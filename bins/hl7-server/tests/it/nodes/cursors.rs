//! Who follows events goes on at another server, by the id of the last one it had.

use futures_util::{SinkExt as _, StreamExt as _};
use medsynapse_store::testing::Cluster;
use medsynapse_store::{PostgresOptions, PostgresStore, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::group::told;
use crate::server::{PATIENCE, Server, order};

/// The ids of events that a server tells over a WebSocket after `last`, until one of them is `end`.
async fn told_by_socket(server: &Server, last: i64, end: i64) -> Vec<i64> {
    let telling = tell_by_socket(server, last, end);
    let ids = tokio::time::timeout(PATIENCE, telling).await;
    ids.expect("events go on")
}

async fn tell_by_socket(server: &Server, last: i64, end: i64) -> Vec<i64> {
    let url = format!("{}/api/v1/ws", server.rest.replace("http", "ws"));
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let wanted = json!({"id": 1, "command": "subscribe", "lastEventId": last});
    socket.send(Frame::text(wanted.to_string())).await.unwrap();
    let (mut ids, mut subscribed) = (Vec::new(), false);
    while ids.last() < Some(&end) {
        let Frame::Text(text) = socket.next().await.unwrap().unwrap() else {
            continue;
        };
        let said: Value = serde_json::from_str(&text).unwrap();
        subscribed |= said["reply"] == 1;
        // What came before the answer is of the time before it was asked.
        if subscribed && let Some(id) = said["event"]["id"].as_i64() {
            ids.push(id);
        }
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_on_at_another_server_by_their_cursor() {
    let Some(cluster) = Cluster::or_skip("events_go_on_at_another_server") else {
        return;
    };
    let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
    let mut servers: Vec<Option<Server>> = ["a", "b", "c"]
        .map(|name| {
            let data = directory.path().join(name);
            Some(Server::start(&data, &["--database", &url]))
        })
        .into();
    let store = PostgresStore::open(&PostgresOptions::new(&url, "tests")).unwrap();
    let send = async |server: &Server, numbers: std::ops::Range<u32>| {
        let mut client = server.client().await;
        for number in numbers {
            client.exchange(order(number).as_bytes()).await.unwrap();
        }
    };
    let all = || -> Vec<i64> {
        let events = store.events_after(0, 100_000).unwrap();
        events.into_iter().filter_map(|event| event.id).collect()
    };
    // Each of them takes messages, and one of them is listened to.
    for (number, server) in (0..).zip(servers.iter().flatten()) {
        send(server, number * 20..number * 20 + 20).await;
    }
    let first = all();
    let cursor = first[first.len() / 2];
    let a = servers[0].as_ref().unwrap();
    let (before, before_by_socket) = (told(a, 0, cursor).await, told_by_socket(a, 0, cursor).await);
    // It dies; more comes to the others.
    servers[0].take().unwrap().kill();
    let [b, c] = [1, 2].map(|number: usize| servers[number].as_ref().unwrap());
    send(c, 60..80).await;
    let whole = all();
    assert!(whole.len() > first.len());
    let end = *whole.last().unwrap();
    let after = told(b, *before.last().unwrap(), end).await;
    assert_eq!([before, after].concat(), whole);
    let last = *before_by_socket.last().unwrap();
    let after = told_by_socket(c, last, end).await;
    assert_eq!([before_by_socket, after].concat(), whole);
    // What is live comes behind what was missed, without a gap.
    let (live, live_by_socket, ()) = tokio::join!(
        told(b, cursor, end + 1),
        told_by_socket(b, cursor, end + 1),
        send(c, 80..100)
    );
    let whole = all();
    let from = whole.iter().position(|id| *id > cursor).unwrap();
    for ids in [live, live_by_socket] {
        assert_eq!(ids, whole[from..from + ids.len()]);
    }
}
