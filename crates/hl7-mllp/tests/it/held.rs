//! A handler that waits for the test.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use hl7_mllp::{Answer, Handler, Request};
use tokio::sync::oneshot;

use crate::peers::{ack, id_of};

/// Answers AA at once.
pub(crate) fn acknowledging() -> impl Handler {
    hl7_mllp::handler_fn(|request: Request| async move {
        Answer::Reply(ack("AA", &id_of(&request.frame)))
    })
}

/// Accepts at once; answers when the test says so.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<Vec<Option<oneshot::Sender<Answer>>>>>);

impl Held {
    pub(crate) fn answer(&self, place: usize, answer: Answer) {
        let sender = self.0.lock().unwrap()[place].take().unwrap();
        let _ = sender.send(answer);
    }

    pub(crate) fn accepted(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Handler for Held {
    type Pending = Pin<Box<dyn Future<Output = Answer> + Send>>;

    async fn accept(&self, _: Request) -> Self::Pending {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap().push(Some(sender));
        Box::pin(async { receiver.await.unwrap_or(Answer::Close) })
    }
}
