//! [`FaultyHandler`]: faults in what is answered.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hl7_message::{AckCode, Edit, Message, loc};
use hl7_mllp::{Answer, Handler, Request};

use super::{Fault, Faults};

/// MSA-3 of an answer that is not true.
const TEXT: &str = "Fault on purpose: the broker is set up to answer like this (faults).";
/// Longest MSA-2, HL7 2.3 chapter 2: the length of MSH-10.
const CONTROL_ID_MAX: usize = 20;

/// Hands every message on, and changes some of the answers on their way back.
#[derive(Debug, Clone)]
pub struct FaultyHandler<H> {
    inner: H,
    faults: Faults,
}

impl<H> FaultyHandler<H> {
    /// A handler that answers as `inner` does, but for what `faults` says.
    pub const fn new(inner: H, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

impl<H> Handler for FaultyHandler<H>
where
    H: Handler,
    H::Pending: Unpin,
{
    type Pending = Faulted<H::Pending>;

    async fn accept(&self, request: Request) -> Self::Pending {
        let pending = self.inner.accept(request).await;
        if !self.faults.is_on() {
            return Faulted(Inner::True(pending));
        }
        let (fault, delay) = self.faults.for_answer();
        Faulted(Inner::Changed(Box::pin(async move {
            // True first: what the sender is told never decides what is stored.
            let answer = pending.await;
            if let Some(delay) = delay {
                tokio::time::sleep(delay).await;
            }
            match (fault, answer) {
                (Some(fault), Answer::Reply(ack)) => changed(fault, &ack),
                (_, answer) => answer,
            }
        })))
    }

    fn failure(&self, frame: &Bytes) -> Option<Bytes> {
        self.inner.failure(frame)
    }
}

/// An answer, true or changed.
pub struct Faulted<P>(Inner<P>);

enum Inner<P> {
    True(P),
    Changed(Pin<Box<dyn Future<Output = Answer> + Send>>),
}

impl<P> std::fmt::Debug for Faulted<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Inner::True(_) => "Faulted(true)",
            Inner::Changed(_) => "Faulted(changed)",
        })
    }
}

impl<P: Future<Output = Answer> + Unpin> Future for Faulted<P> {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        match &mut self.0 {
            Inner::True(pending) => Pin::new(pending).poll(cx),
            Inner::Changed(pending) => pending.as_mut().poll(cx),
        }
    }
}

fn changed(fault: Fault, ack: &Bytes) -> Answer {
    let edited = match fault {
        Fault::NoAnswer => return Answer::Nothing,
        Fault::Error => with_code(ack, AckCode::ApplicationError),
        Fault::Reject => with_code(ack, AckCode::ApplicationReject),
        Fault::WrongControlId => with_other_id(ack),
        // The stream's business, and the delay is over.
        Fault::Delay | Fault::CloseMidFrame | Fault::Split => None,
    };
    // An acknowledgement that cannot be edited stays true.
    Answer::Reply(edited.map_or_else(|| ack.clone(), Bytes::from))
}

fn with_code(ack: &[u8], code: AckCode) -> Option<Vec<u8>> {
    let message = Message::parse(ack).ok()?;
    let mut edit = Edit::new(&message);
    edit.set(loc!("MSA-1"), code.as_str()).ok()?;
    edit.set(loc!("MSA-3"), TEXT).ok()?;
    Some(edit.apply())
}

fn with_other_id(ack: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(ack).ok()?;
    let mut id = b"X".to_vec();
    id.extend_from_slice(message.raw(loc!("MSA-2"))?);
    // A cut in the middle of an escape would be no text: such an id is replaced.
    if id.len() > CONTROL_ID_MAX || id.contains(&b'\\') {
        id = b"X".to_vec();
    }
    let mut edit = Edit::new(&message);
    edit.set_raw(loc!("MSA-2"), &id).ok()?;
    Some(edit.apply())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACK: &[u8] =
        b"MSH|^~\\&|A|B|C|D|20230614||ACK^O01|1|P|2.3\rMSA|AA|M1|Order registered.|||\r";

    #[track_caller]
    fn check(fault: Fault, expected: &str) {
        let Answer::Reply(ack) = changed(fault, &Bytes::from_static(ACK)) else {
            panic!("no answer");
        };
        let text = String::from_utf8(ack.to_vec()).unwrap();
        assert!(text.contains(expected), "{text}");
        assert!(text.starts_with("MSH|^~\\&|A|B|C|D|20230614||ACK^O01|1|P|2.3\r"));
    }

    #[test]
    fn an_answer_is_changed_where_the_fault_says() {
        check(Fault::Error, "\rMSA|AE|M1|Fault on purpose");
        check(Fault::Reject, "\rMSA|AR|M1|Fault on purpose");
        check(Fault::WrongControlId, "\rMSA|AA|XM1|Order registered.|");
        assert_eq!(
            changed(Fault::NoAnswer, &Bytes::from_static(ACK)),
            Answer::Nothing
        );
    }

    #[test]
    fn a_long_control_id_is_replaced_whole() {
        let ack = b"MSH|^~\\&|\rMSA|AA|12345678901234567890|x\r";
        let other = with_other_id(ack).unwrap();
        assert_eq!(other, b"MSH|^~\\&|\rMSA|AA|X|x\r");
    }
}
