//! [`App`]: what the gateway is set up with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use medsynapse_broker::{Broker, Clock, Faults, Lanes};

use tokio::sync::watch;

use crate::access::{Access, ApiKeys};
use crate::gateway::Gateway;
use crate::hosts::AllowedHosts;
use crate::metrics::MetricsPage;
use crate::operations::Connections;

/// What the gateway is set up with.
#[derive(Clone)]
pub struct App {
    /// Takes the messages.
    pub broker: Arc<Broker>,
    /// Tells where the clock on the wall is: MSH-7 carries wall time.
    pub clock: Arc<dyn Clock>,
    /// Where this gateway is reached, for instance `http://127.0.0.1:3000`.
    pub rest_url: String,
    /// Where messages are taken over MLLP, for instance `127.0.0.1:2575`.
    pub mllp_address: String,
    /// Who may ask; empty: everybody.
    pub api_keys: ApiKeys,
    /// What guards the gateway besides keys.
    pub access: Access,
    /// By which names the gateway may be called.
    pub hosts: AllowedHosts,
    /// To whom it sends messages itself.
    pub gateway: Gateway,
    /// The MLLP connections that are open.
    pub connections: Connections,
    /// What the lanes of the outbox are doing.
    pub lanes: Lanes,
    /// The faults that can be made, if any.
    pub faults: Option<Faults>,
    /// Becomes true when the server goes down: clients that listen are let go.
    pub stop: watch::Receiver<bool>,
    /// How much is taken.
    pub limits: Limits,
    /// What `/api/v1/metrics` shows; `None`: there is no such route.
    pub metrics: Option<MetricsPage>,
    /// The version of the program.
    pub version: String,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("rest_url", &self.rest_url)
            .field("mllp_address", &self.mllp_address)
            .field("api_keys", &self.api_keys)
            .field("access", &self.access)
            .field("hosts", &self.hosts)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// How much is taken, and how long it is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest message in bytes.
    pub message_bytes_max: usize,
    /// How long a request may take to arrive.
    pub body_wait: Duration,
    /// Most entries on a page of a list.
    pub page_entries_max: u32,
}

impl Default for Limits {
    /// 16 MiB, 30 seconds, 200 entries.
    fn default() -> Self {
        Self {
            message_bytes_max: 16 << 20,
            body_wait: Duration::from_secs(30),
            page_entries_max: 200,
        }
    }
}

impl Limits {
    /// The longest JSON body: the longest message in base64, and room for what stands around it.
    pub(crate) const fn json_bytes_max(&self) -> usize {
        self.message_bytes_max
            .div_ceil(3)
            .saturating_mul(4)
            .saturating_add(64 << 10)
    }
}
