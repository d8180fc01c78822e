//! What is done to a database that several servers have: it is purged, and verified.

use std::time::{Duration, Instant};

use medsynapse_store::testing::Cluster;
use tempfile::TempDir;

use crate::server::{PATIENCE, Server, order};

/// Six messages about four orders, of which two are completed, ten days old.
async fn old(cluster: &Cluster, url: &str) {
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &["--database", url]);
    let mut client = server.client().await;
    for number in 0..4 {
        client.exchange(order(number).as_bytes()).await.unwrap();
    }
    for number in 0..2 {
        let done = order(number).replace("|NW", "|CM").replace("|M", "|D");
        client.exchange(done.as_bytes()).await.unwrap();
    }
    server.kill();
    for change in [
        "UPDATE messages SET received_at = received_at - 864000000000",
        "UPDATE orders SET updated_at = updated_at - 864000000000",
        "UPDATE patients SET updated_at = updated_at - 864000000000",
    ] {
        cluster.run(url, &format!("{change} RETURNING 1")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_old_goes_from_a_shared_database_while_servers_use_it() {
    let Some(cluster) = Cluster::or_skip("what_is_old_goes_from_a_shared_database") else {
        return;
    };
    let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
    old(&cluster, &url).await;
    let file = directory.path().join("broker.toml");
    for (days, left) in [(11, 6), (9, 2)] {
        std::fs::write(&file, format!("[retention]\ndays = {days}\n")).unwrap();
        let start = |name| {
            let arguments = ["--config", file.to_str().unwrap(), "--database", &url];
            Server::start(&directory.path().join(name), &arguments)
        };
        let servers = [start("one"), start("two")];
        let began = Instant::now();
        loop {
            let messages = servers[0].get("/api/hl7/messages").await;
            let count = messages["totalCount"].as_u64().unwrap();
            let gone = "SELECT 1 FROM lanes WHERE destination = '(retention)' AND owner = ''";
            if count == left && cluster.run(&url, gone).unwrap() == 1 {
                break;
            }
            assert!(count >= left && began.elapsed() < PATIENCE, "{count}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for server in servers {
            let began = Instant::now();
            server.signal("TERM");
            assert!(server.ended().success());
            assert!(began.elapsed() < Duration::from_secs(5));
        }
    }
    let kept = "SELECT 1 FROM orders";
    assert_eq!(cluster.run(&url, kept).unwrap(), 2);
}
