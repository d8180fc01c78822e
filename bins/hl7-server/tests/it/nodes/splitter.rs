//! A balancer as small as can be: TCP, one server after the other, those that do not answer left
//! out.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Default)]
pub(super) struct Splitter {
    servers: Arc<Mutex<Vec<SocketAddr>>>,
    next: Arc<AtomicUsize>,
    cut: Arc<watch::Sender<()>>,
}

impl Splitter {
    pub(super) async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let splitter = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(splitter.clone().carry(stream));
            }
        });
        address
    }

    pub(super) fn set(&self, servers: Vec<SocketAddr>) {
        *self.servers.lock().unwrap() = servers;
    }

    /// Ends every connection, and takes none any more until servers are set again.
    pub(super) fn cut(&self) {
        self.set(Vec::new());
        self.cut.send_replace(());
    }

    async fn carry(self, mut outside: TcpStream) {
        let mut cut = self.cut.subscribe();
        let servers = self.servers.lock().unwrap().clone();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for step in 0..servers.len() {
            let server = servers[(first + step) % servers.len()];
            let connecting = TcpStream::connect(server);
            let wait = Duration::from_millis(500);
            if let Ok(Ok(mut inside)) = tokio::time::timeout(wait, connecting).await {
                tokio::select! {
                    // Ends with either of them.
                    _ = tokio::io::copy_bidirectional(&mut outside, &mut inside) => return,
                    _ = cut.changed() => return,
                }
            }
        }
    }
}
