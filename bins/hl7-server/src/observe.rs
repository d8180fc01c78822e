//! What the log and the pages hear of MLLP links.

use std::net::SocketAddr;
use std::sync::Arc;

use hl7_mllp::Observer;
use hl7_mllp::server::{ConnectionEnd, Refusal};
use medsynapse_broker::{Broker, EventKind};

/// Tells the log, and whoever listens to the broker's events.
#[derive(Debug)]
pub(crate) struct Links {
    broker: Arc<Broker>,
}

impl Links {
    pub(crate) const fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }
}

impl Observer for Links {
    fn connection_opened(&self, connection: u64, peer: SocketAddr) {
        tracing::debug!(connection, %peer, "connection opened");
        self.broker.publish(EventKind::ConnectionOpened {
            peer: peer.to_string(),
        });
    }

    fn connection_closed(&self, connection: u64, peer: SocketAddr, end: &ConnectionEnd) {
        let reason = end.reason.name();
        let (frames, errors, junk) = (end.frames, end.frame_errors, end.junk_bytes);
        if errors > 0 || junk > 0 {
            tracing::warn!(connection, %peer, reason, frames, errors, junk, "connection closed");
        } else {
            tracing::debug!(connection, %peer, reason, frames, "connection closed");
        }
        self.broker.publish(EventKind::ConnectionClosed {
            peer: peer.to_string(),
        });
    }

    fn connection_refused(&self, peer: SocketAddr, refusal: Refusal) {
        tracing::warn!(%peer, ?refusal, "connection refused");
    }

    fn accept_failed(&self, error: &std::io::Error) {
        tracing::error!(%error, "a connection could not be accepted");
    }

    fn handler_panicked(&self, connection: u64) {
        tracing::error!(
            connection,
            "the broker panicked over a message; it was answered with AE"
        );
    }
}
