//! A balancer as small as can be: TCP, one server after the other, those that do not answer left
//! out.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Default)]
pub(super) struct Splitter {
    servers: Arc<Mutex<Vec<SocketAddr>>>,
    next: Arc<AtomicUsize>,
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

    async fn carry(self, mut outside: TcpStream) {
        let servers = self.servers.lock().unwrap().clone();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for step in 0..servers.len() {
            let server = servers[(first + step) % servers.len()];
            let connecting = TcpStream::connect(server);
            let wait = Duration::from_millis(500);
            if let Ok(Ok(mut inside)) = tokio::time::timeout(wait, connecting).await {
                // Ends with either of them.
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                return;
            }
        }
    }
}
