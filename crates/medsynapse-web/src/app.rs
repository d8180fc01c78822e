//! [`WebApp`]: what the pages are set up with.

use std::fmt;
use std::sync::Arc;

use medsynapse_broker::{Broker, Clock, Faults, Lanes};
use medsynapse_http::{AllowedHosts, Connections, Login};
use medsynapse_worklist::live::Live;
use medsynapse_worklist::scp::ScpConfig;
use tokio::sync::{Semaphore, watch};

use crate::tempo::Tempo;

/// What the pages are set up with.
#[derive(Clone)]
pub struct WebApp {
    /// Whose messages are shown.
    pub broker: Arc<Broker>,
    /// Tells the time on the wall, in which pages show times.
    pub clock: Arc<dyn Clock>,
    /// What modalities are shown; `None`: nobody serves them.
    pub modalities: Option<Modalities>,
    /// The MLLP connections that are open.
    pub connections: Connections,
    /// What the lanes of the outbox are doing.
    pub lanes: Lanes,
    /// The faults that can be made; `None`: none can.
    pub faults: Option<Faults>,
    /// Logs browsers in while there are keys; `None`: everybody is let in, or nobody by a form.
    pub login: Option<Login>,
    /// By which names the pages may be called.
    pub hosts: AllowedHosts,
    /// Where messages are taken over MLLP, for instance `127.0.0.1:2575`.
    pub mllp_address: String,
    /// Where the REST gateway is reached, for instance `http://127.0.0.1:3000`.
    pub rest_url: String,
    /// The version of the program.
    pub version: String,
    /// How much is shown, and to how many.
    pub limits: WebLimits,
    /// Becomes true when the server goes down: pages that listen are let go.
    pub stop: watch::Receiver<bool>,
}

impl fmt::Debug for WebApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebApp")
            .field("hosts", &self.hosts)
            .field("mllp_address", &self.mllp_address)
            .field("rest_url", &self.rest_url)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What modalities are shown.
#[derive(Clone)]
pub struct Modalities {
    /// The worklist.
    pub live: Arc<Live>,
    /// How it is served: who is let in, and what single AE titles are shown.
    pub service: Arc<ScpConfig>,
    /// Where it is served, for instance `127.0.0.1:11112`; `None`: nowhere.
    pub address: Option<String>,
}

impl fmt::Debug for Modalities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Modalities")
            .field("service", &self.service)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// How much is shown, and to how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebLimits {
    /// Rows on a page of the message list.
    pub page_rows: u32,
    /// Most pages that listen for events at a time.
    pub listeners_max: usize,
    /// Most entries that a list of the JSON API gives at a time.
    pub api_entries_max: u32,
}

impl Default for WebLimits {
    /// 50 rows, 64 listeners, 200 entries.
    fn default() -> Self {
        Self {
            page_rows: 50,
            listeners_max: 64,
            api_entries_max: 200,
        }
    }
}

/// What the routes share.
pub(crate) struct Shared {
    pub(crate) app: WebApp,
    pub(crate) listeners: Arc<Semaphore>,
    pub(crate) tempo: Tempo,
}

/// What every page shows around its content.
pub(crate) struct Frame {
    pub(crate) mllp_address: String,
    pub(crate) rest_url: String,
    pub(crate) version: String,
    /// Whether one can log out.
    pub(crate) login: bool,
}

impl Frame {
    pub(crate) fn of(app: &WebApp) -> Self {
        Self {
            mllp_address: app.mllp_address.clone(),
            rest_url: app.rest_url.trim_end_matches('/').to_owned(),
            version: app.version.clone(),
            login: app.login.as_ref().is_some_and(Login::is_wanted),
        }
    }

    /// How `hl7-sender` is told where messages are taken; empty where it knows by itself.
    pub(crate) fn sender_options(&self) -> String {
        match self.mllp_address.rsplit_once(':') {
            Some(("127.0.0.1" | "localhost", "2575")) | None => String::new(),
            Some((host, port)) => {
                let host = host.trim_matches(|c| c == '[' || c == ']');
                format!(" --host {host} --port {port}")
            }
        }
    }
}
