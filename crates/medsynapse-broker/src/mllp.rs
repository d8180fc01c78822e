//! [`MllpHandler`]: the broker behind an MLLP server.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use hl7_mllp::{Answer, Handler, Request};
use medsynapse_store::Transport;

use crate::broker::{Broker, Origin};

/// Hands frames to a [`Broker`] in order, many of a connection at a time, and its
/// acknowledgements back.
#[derive(Debug, Clone)]
pub struct MllpHandler {
    broker: Arc<Broker>,
}

impl MllpHandler {
    /// A handler for this broker.
    pub const fn new(broker: Arc<Broker>) -> Self {
        Self { broker }
    }
}

impl Handler for MllpHandler {
    type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

    async fn accept(&self, request: Request) -> Self::Pending {
        let origin = Origin {
            transport: Transport::Mllp,
            peer: request.peer.to_string(),
        };
        let pending = self.broker.submit(request.frame, origin).await;
        Box::pin(async move {
            match pending.await {
                Some(answer) => Answer::Reply(answer.ack),
                None => Answer::Nothing,
            }
        })
    }

    fn failure(&self, frame: &Bytes) -> Option<Bytes> {
        Some(self.broker.failure(frame))
    }
}
