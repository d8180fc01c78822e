//! Addresses of this machine alone, one for each machine of `docs/deploy`: all of 127/8 is loopback.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A network of this test's own: the balancer is its `.10`, servers are `.11` and on.
pub(super) struct Place {
    network: String,
    pub(super) mllp: u16,
    pub(super) rest: u16,
    pub(super) dicom: u16,
}

impl Place {
    pub(super) fn find() -> Self {
        let number = std::process::id() * 8 + NUMBER.fetch_add(1, Ordering::Relaxed);
        let (high, low) = (number / 250 % 120 + 100, number % 250 + 1);
        let network = format!("127.{high}.{low}.");
        // All are held until all are found, so that they differ.
        let (mut held, mut ports) = (Vec::new(), Vec::new());
        while ports.len() < 3 {
            let first = TcpListener::bind(format!("{network}10:0")).unwrap();
            let port = first.local_addr().unwrap().port();
            let others = (11..14).map(|host| TcpListener::bind(format!("{network}{host}:{port}")));
            if let Ok(others) = others.collect::<Result<Vec<_>, _>>() {
                held.push((first, others));
                ports.push(port);
            }
        }
        Self {
            network,
            mllp: ports[0],
            rest: ports[1],
            dicom: ports[2],
        }
    }

    /// A server's address, or with `None` the balancer's.
    pub(super) fn at(&self, server: Option<usize>, port: u16) -> SocketAddr {
        let host = server.map_or(10, |number| 11 + number);
        format!("{}{host}:{port}", self.network).parse().unwrap()
    }

    /// A file of `docs/deploy` with the addresses and ports of this place; all else is as it is.
    pub(super) fn file(&self, name: &str) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/deploy");
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let listen = format!("{}10:", self.network);
        let changes = match name {
            "haproxy.cfg" => vec![
                ("10.0.0.", self.network.clone()),
                ("bind :", format!("bind {listen}")),
                (":2575", format!(":{}", self.mllp)),
                (":11112", format!(":{}", self.dicom)),
                ("port 3000", format!("port {}", self.rest)),
            ],
            _ => vec![
                ("10.0.0.", self.network.clone()),
                ("listen 2575", format!("listen {listen}2575")),
                ("listen 11112", format!("listen {listen}11112")),
                (":2575", format!(":{}", self.mllp)),
                (":11112", format!(":{}", self.dicom)),
            ],
        };
        changes.into_iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{name} has {from}");
            text.replace(from, &to)
        })
    }
}
