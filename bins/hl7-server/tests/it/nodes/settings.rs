//! `docs/deploy/postgresql.conf`, taken by PostgreSQL, with a server on it.

use std::path::Path;

use medsynapse_store::testing::{Cluster, ClusterOptions};
use tempfile::TempDir;

use crate::server::{Server, order};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_takes_the_settings_that_the_guide_gives() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/deploy/postgresql.conf");
    let text = std::fs::read_to_string(file).unwrap();
    // As much memory as any machine has.
    let small = "shared_buffers = 64MB";
    assert!(text.contains("shared_buffers = 4GB"));
    let text = text.replace("shared_buffers = 4GB", small);
    if let Err(reason) = Cluster::shared() {
        assert!(reason.contains("PostgreSQL"), "{reason}");
        assert!(Cluster::or_skip("postgresql_takes_the_settings").is_none());
        return;
    }
    let cluster = Cluster::start_with(ClusterOptions {
        settings: text.clone(),
        ..ClusterOptions::default()
    })
    .unwrap();
    let url = cluster.fresh().unwrap();
    let names = text.lines().filter(|line| !line.starts_with('#'));
    let names = names.filter_map(|line| line.split_once(" = "));
    let mut count = 0;
    for (name, _) in names {
        let taken = format!(
            "SELECT 1 FROM pg_file_settings WHERE sourcefile LIKE '%/more.conf' \
             AND name = '{name}' AND error IS NULL"
        );
        assert_eq!(cluster.run(&url, &taken).unwrap(), 1, "{name}");
        count += 1;
    }
    assert!(count > 8, "{count}");
    let directory = TempDir::new().unwrap();
    let server = Server::start(directory.path(), &["--database", &url]);
    let answer = server.client().await.exchange(order(1).as_bytes()).await;
    assert!(String::from_utf8_lossy(&answer.unwrap()).contains("|AA|M1|"));
}
