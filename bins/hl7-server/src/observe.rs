//! What the log, the metrics and the pages hear of MLLP links.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hl7_mllp::server::{ConnectionEnd, Refusal};
use hl7_mllp::{FrameError, Observer};
use medsynapse_broker::{Broker, Clock as _, EventKind, SystemClock};
use medsynapse_http::Connections;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// Tells the log, the metrics, and whoever listens to the broker's events.
pub(crate) struct Links {
    broker: Arc<Broker>,
    connections: Connections,
    open: Gauge,
    opened: Counter,
    frames: Counter,
    frame_bytes: Counter,
    junk_bytes: Counter,
    answer: Histogram,
}

impl Links {
    /// The metrics must be installed by now.
    pub(crate) fn new(broker: Arc<Broker>, connections: Connections) -> Self {
        Self {
            broker,
            connections,
            open: gauge!("mllp_connections"),
            opened: counter!("mllp_connections_opened_total"),
            frames: counter!("mllp_frames_total"),
            frame_bytes: counter!("mllp_frame_bytes_total"),
            junk_bytes: counter!("mllp_junk_bytes_total"),
            answer: histogram!("mllp_answer_seconds"),
        }
    }
}

impl Observer for Links {
    fn connection_opened(&self, connection: u64, peer: SocketAddr) {
        tracing::debug!(connection, %peer, "connection opened");
        let now = SystemClock.now();
        self.connections.opened(connection, peer.to_string(), now);
        self.open.increment(1.0);
        self.opened.increment(1);
        self.broker.publish(EventKind::ConnectionOpened {
            peer: peer.to_string(),
        });
    }

    fn connection_closed(&self, connection: u64, peer: SocketAddr, end: &ConnectionEnd) {
        self.connections.closed(connection);
        let reason = end.reason.name();
        let (frames, errors, junk) = (end.frames, end.frame_errors, end.junk_bytes);
        if errors > 0 || junk > 0 {
            tracing::warn!(connection, %peer, reason, frames, errors, junk, "connection closed");
        } else {
            tracing::debug!(connection, %peer, reason, frames, "connection closed");
        }
        self.open.decrement(1.0);
        counter!("mllp_connections_closed_total", "reason" => reason).increment(1);
        self.broker.publish(EventKind::ConnectionClosed {
            peer: peer.to_string(),
        });
    }

    fn connection_refused(&self, peer: SocketAddr, refusal: Refusal) {
        tracing::warn!(%peer, ?refusal, "connection refused");
        let reason = match refusal {
            Refusal::TooManyConnections => "too_many_connections",
            Refusal::TooManyFromAddress => "too_many_from_address",
            Refusal::NotAllowed => "not_allowed",
            _ => "other",
        };
        counter!("mllp_connections_refused_total", "reason" => reason).increment(1);
    }

    fn accept_failed(&self, error: &std::io::Error) {
        tracing::error!(%error, "a connection could not be accepted");
    }

    fn frame_received(&self, connection: u64, bytes: usize) {
        self.connections.received(connection);
        self.frames.increment(1);
        self.frame_bytes.increment(bytes as u64);
    }

    fn junk_received(&self, _connection: u64, bytes: u64) {
        self.junk_bytes.increment(bytes);
    }

    fn frame_error(&self, _connection: u64, error: &FrameError) {
        counter!("mllp_frame_errors_total", "kind" => error.kind.name()).increment(1);
    }

    fn answer_sent(&self, _connection: u64, _bytes: usize, latency: Duration) {
        self.answer.record(latency);
    }

    fn handler_panicked(&self, connection: u64) {
        tracing::error!(
            connection,
            "the broker panicked over a message; it was answered with AE"
        );
    }
}
