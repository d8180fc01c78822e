//! What is done to a database that several servers have: it is purged, and verified.

use std::time::{Duration, Instant};

use medsynapse_store::testing::Cluster;
use tempfile::TempDir;

use crate::server::{PATIENCE, Server, command, order, run};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_database_is_held_to_its_log_while_a_server_uses_it() {
    let Some(cluster) = Cluster::or_skip("a_shared_database_is_held_to_its_log") else {
        return;
    };
    let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
    let replay = |more: &[&str]| {
        let mut command = command(directory.path());
        command.args(["--database", &url, "replay"]).args(more);
        run(command)
    };
    let (code, _, error) = replay(&[]);
    assert_eq!(code, Some(1));
    assert!(error.contains("no server has used it"), "{error}");
    let server = Server::start(directory.path(), &["--database", &url]);
    let mut client = server.client().await;
    for number in 0..4 {
        client.exchange(order(number).as_bytes()).await.unwrap();
    }
    let (code, out, error) = replay(&[]);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{error}");
    assert!(error.contains("4 entries lead to what is kept"), "{error}");
    // What is made is a database of one server.
    let made = directory.path().join("made");
    let (code, _, error) = replay(&["--into", made.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{error}");
    server.kill();
    let server = Server::start(&made, &[]);
    let messages = server.get("/api/hl7/messages").await;
    assert_eq!(messages["totalCount"], 4);
    server.kill();
    let change = "UPDATE orders SET modality = 'XX' WHERE accession_number = 'A2' RETURNING 1";
    assert_eq!(cluster.run(&url, change).unwrap(), 1);
    let (code, out, error) = replay(&[]);
    let told = "orders A2: kept otherwise than the log leads to it: modality\n";
    assert_eq!((code, out.as_str()), (Some(1), told), "{error}");
}
