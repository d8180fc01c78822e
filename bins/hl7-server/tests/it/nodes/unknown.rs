//! The connection to the database breaks in a COMMIT: nobody knows what became of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use medsynapse_store::testing::Cluster;
use medsynapse_store::{MessageQuery, PostgresOptions, PostgresStore, Store};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{Server, order};

const WHOLE: u8 = 0;
/// The next COMMIT arrives, and its answer does not.
const AFTER: u8 = 1;
/// The next COMMIT does not arrive.
const BEFORE: u8 = 2;

/// A wire to the database that breaks once in a COMMIT.
async fn wire(database: SocketAddr, breaks: Arc<AtomicU8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((server, _)) = listener.accept().await {
            if let Ok(database) = TcpStream::connect(database).await {
                tokio::spawn(carry(server, database, Arc::clone(&breaks)));
            }
        }
    });
    address
}

/// Both the statement and the word that it is done.
fn commits_in(bytes: &[u8]) -> bool {
    bytes.windows(7).any(|part| part == b"COMMIT\0")
}

/// Ends with either of them, or where it breaks.
async fn carry(mut server: TcpStream, mut database: TcpStream, breaks: Arc<AtomicU8>) {
    let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            read = server.read(&mut up) => {
                let Ok(read @ 1..) = read else { return };
                let asked = &up[..read];
                let how = if commits_in(asked) { breaks.swap(WHOLE, Ordering::SeqCst) } else { WHOLE };
                if how == BEFORE || database.write_all(asked).await.is_err() {
                    return;
                }
                if how == AFTER {
                    // It says so when it has committed; what it said of statements comes before.
                    let mut said = Vec::new();
                    while !commits_in(&said) {
                        assert_ne!(database.read_buf(&mut said).await.unwrap(), 0);
                    }
                    return;
                }
            }
            read = database.read(&mut down) => {
                let Ok(read @ 1..) = read else { return };
                if server.write_all(&down[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_outcome_of_a_commit_is_never_acknowledged() {
    let Some(cluster) = Cluster::or_skip("an_unknown_outcome_of_a_commit") else {
        return;
    };
    let (url, directory) = (cluster.fresh().unwrap(), TempDir::new().unwrap());
    let database = SocketAddr::from(([127, 0, 0, 1], cluster.port()));
    let breaks = Arc::new(AtomicU8::new(WHOLE));
    let end = wire(database, Arc::clone(&breaks)).await;
    let through = url.replace(&database.to_string(), &end.to_string());
    let server = Server::start(directory.path(), &["--database", &through]);
    let store = PostgresStore::open(&PostgresOptions::new(&url, "tests")).unwrap();
    let stored = |number: u32| {
        let query = MessageQuery {
            limit: 100,
            ..MessageQuery::default()
        };
        let messages = store.messages(&query).unwrap().items;
        let id = format!("M{number}");
        let of_it = messages.iter().filter(|message| message.control_id == id);
        of_it.count()
    };
    let mut client = server.client().await;
    let mut send = async |number: u32| {
        let answer = client.exchange(order(number).as_bytes()).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let code = answer.split("\rMSA|").nth(1).unwrap();
        assert!(code.contains(&format!("|M{number}|")), "{answer}");
        code[..2].to_owned()
    };
    assert_eq!(send(1).await, "AA");
    for (number, how, times) in [(2, AFTER, 1), (3, BEFORE, 0), (4, AFTER, 1), (5, BEFORE, 0)] {
        breaks.store(how, Ordering::SeqCst);
        assert_eq!(send(number).await, "AE", "message {number}");
        assert_eq!(breaks.load(Ordering::SeqCst), WHOLE, "it broke");
        assert_eq!(stored(number), times, "message {number}");
        // Its sender tries again: it is answered as what it is now.
        assert_eq!(send(number).await, "AA", "message {number} again");
        assert_eq!(stored(number), 1, "message {number}");
    }
    assert_eq!(store.order_count().unwrap(), 5);
}
