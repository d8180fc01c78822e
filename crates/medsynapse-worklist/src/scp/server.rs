//! The listener: who is let in, and how many at a time.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::association::{self, Desk};
use super::department::{Department, Occurrence};
use super::negotiate::{Access, Refusal, Services};
use super::wire::Deadlines;
use crate::view::View;

/// How much at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScpLimits {
    /// Most associations.
    pub associations_max: usize,
    /// Most associations from one address.
    pub per_address_max: usize,
}

impl Default for ScpLimits {
    fn default() -> Self {
        Self {
            associations_max: 64,
            per_address_max: 32,
        }
    }
}

/// How the service is set up.
#[derive(Debug, Clone)]
pub struct ScpConfig {
    /// Who is let in, and under which AE title.
    pub access: Access,
    /// What is spoken.
    pub services: Services,
    /// What modalities are shown, unless their AE title has its own.
    pub view: View,
    /// What single AE titles are shown.
    pub views: HashMap<String, View>,
    /// An AE title without a view of its own is shown the steps that are scheduled for it alone.
    pub own_steps: bool,
    /// How much at a time.
    pub limits: ScpLimits,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// How long what is in hand may take once the service stops.
    pub drain: Duration,
    /// TLS, where it is asked for.
    pub tls: Option<Arc<ServerConfig>>,
}

impl ScpConfig {
    /// A service of that AE title with everything else as usual.
    pub fn new(ae_title: &str, services: Services) -> Self {
        Self {
            access: Access {
                ae_title: ae_title.into(),
                any_called: false,
                allowed_calling: Vec::new(),
            },
            services,
            view: View::default(),
            views: HashMap::new(),
            own_steps: false,
            limits: ScpLimits::default(),
            deadlines: Deadlines::default(),
            drain: Duration::from_secs(4),
            tls: None,
        }
    }

    /// What an AE title is shown.
    pub fn view(&self, calling: &str) -> View {
        if let Some(view) = self.views.get(calling) {
            return view.clone();
        }
        let mut view = self.view.clone();
        if self.own_steps {
            view.stations = Some(vec![calling.to_owned()]);
        }
        view
    }
}

/// What was done, once it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScpSummary {
    /// Connections that were served.
    pub served: u64,
    /// Connections that were refused for their number.
    pub refused: u64,
}

/// Serves a listener until it is told to stop, then ends what is in hand.
///
/// Beyond the limit a peer is told so (A-ASSOCIATE-RJ, transient, local limit exceeded); where
/// even that becomes too much, its connection is closed.
///
/// # Errors
///
/// The listener has no address.
pub async fn serve<D: Department>(
    listener: TcpListener,
    department: Arc<D>,
    config: ScpConfig,
    stop: CancellationToken,
) -> io::Result<ScpSummary> {
    listener.local_addr()?;
    let config = Arc::new(config);
    let tls = config.tls.clone().map(TlsAcceptor::from);
    let places = Arc::new(Semaphore::new(config.limits.associations_max));
    let refusals = Arc::new(Semaphore::new(config.limits.associations_max.max(16)));
    let addresses = Addresses::default();
    let mut tasks = JoinSet::new();
    let mut summary = ScpSummary::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                tell(ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a DICOM connection could not be accepted");
                // Out of descriptors, most likely: it gets no better by asking at once.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let place = Arc::clone(&places).try_acquire_owned().ok();
        let seat = place.and_then(|place| {
            let guest = addresses.enter(peer.ip(), config.limits.per_address_max)?;
            Some(Seat::Served(place, guest))
        });
        let (seat, refuse) = if let Some(seat) = seat {
            summary.served += 1;
            (seat, None)
        } else {
            summary.refused += 1;
            let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() else {
                continue;
            };
            (Seat::Refused(permit), Some(Refusal::TooMany))
        };
        let desk = Desk {
            department: Arc::clone(&department),
            config: Arc::clone(&config),
            access: config.access.clone(),
            services: config.services,
            peer,
            stop: stop.clone(),
            refuse,
        };
        tasks.spawn(connection(stream, tls.clone(), desk, seat));
    }
    drop(listener);
    let drained = tokio::time::timeout(config.drain, async {
        while let Some(ended) = tasks.join_next().await {
            tell(ended);
        }
    });
    if drained.await.is_err() {
        tracing::warn!(left = tasks.len(), "DICOM associations cut off");
        tasks.shutdown().await;
    }
    Ok(summary)
}

fn tell(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a DICOM association panicked; the others go on");
    }
}

/// A place at the table; given back when it is dropped.
enum Seat {
    Served(
        #[expect(dead_code, reason = "held")] OwnedSemaphorePermit,
        #[expect(dead_code, reason = "held")] Guest,
    ),
    Refused(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit),
}

async fn connection<D: Department>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    desk: Desk<D>,
    _seat: Seat,
) {
    let Some(acceptor) = tls else {
        return association::serve(stream, desk).await;
    };
    let within = desk.config.deadlines.request;
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(within, acceptor.accept(stream)) => shaken,
        () = desk.stop.cancelled() => return,
    };
    let what = match shaken {
        Ok(Ok(stream)) => return association::serve(stream, desk).await,
        Ok(Err(error)) => format!("TLS handshake failed: {error}"),
        Err(_) => "TLS handshake took too long".into(),
    };
    desk.department.heard(Occurrence::Garbage {
        peer: desk.peer,
        what,
    });
}

/// How many come from each address.
#[derive(Debug, Clone, Default)]
struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

#[derive(Debug)]
struct Guest {
    address: IpAddr,
    of: Addresses,
}

impl Addresses {
    fn enter(&self, address: IpAddr, max: usize) -> Option<Guest> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Guest {
            address,
            of: self.clone(),
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}
