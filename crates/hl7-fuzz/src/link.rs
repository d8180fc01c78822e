//! What fuzzing checks of a link: a whole exchange with a peer that says anything, and the answer
//! to a message that holds anything.

use bytes::Bytes;
use hl7_message::{
    Ack, AckCode, Header, Location, Message, Reply, Responder, SegmentId, Situation, Timestamp, loc,
};
use hl7_mllp::correlate::{Correlate, Hl7, Verdict};
use hl7_mllp::{Client, ClientConfig, Exchange, ExchangeError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;

use crate::Target;

/// All of them.
pub const TARGETS: [Target; 2] = [("exchange", exchange), ("acknowledge", acknowledge)];

const ORDER: &[u8] = b"MSH|^~\\&|A|B|C|D|1||ORM^O01|42|P|2.3|||AL|AL\r";

/// A client against a peer that says these bytes, cut as the first of them says, and then closes
/// or falls silent. An answer is taken only if it names the message; whatever went wrong, the
/// connection is not used again.
pub fn exchange(data: &[u8]) {
    let Some((&settings, said)) = data.split_first() else {
        return;
    };
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets");
    let (step, closes) = (usize::from(settings >> 1).max(1), settings & 1 == 1);
    let said = said.to_vec();
    runtime.block_on(async move {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let peer = async move {
            // The message has to be there before there can be an answer to it.
            let mut message = vec![0; ORDER.len() + 3];
            theirs.read_exact(&mut message).await.expect("the message");
            for piece in said.chunks(step) {
                if theirs.write_all(piece).await.is_err() {
                    break;
                }
            }
            if !closes {
                // Keeps the connection until the client is tired of it.
                let _ = theirs.read_to_end(&mut Vec::new()).await;
            }
        };
        let peer = tokio::spawn(peer);
        let mut client = Client::over(ours, ClientConfig::default());
        let outcome = client.submit(ORDER).await;
        if let Ok(exchange) = &outcome {
            answers(exchange);
        } else {
            assert!(!client.is_usable());
            let again = client.submit(ORDER).await;
            assert!(matches!(again, Err(ExchangeError::Unusable)));
        }
        drop(client);
        peer.await.expect("the peer only talks");
    });
}

fn answers(exchange: &Exchange) {
    let ack = Hl7.acknowledgement(&exchange.answer).expect("an answer");
    assert_eq!(Verdict::from_code(ack.code), Some(exchange.verdict));
    let of_nobody = ack.control_id.is_empty() && exchange.verdict != Verdict::Accepted;
    assert!(ack.control_id == b"42" || of_nobody);
    assert!(
        !exchange
            .answer
            .iter()
            .any(|byte| matches!(byte, 0x0B | 0x1C))
    );
}

/// The answer to any bytes is a message of MSH and MSA, and ERR where one is due; it fits into a
/// frame, names the message it answers, and is never itself answered.
pub fn acknowledge(data: &[u8]) {
    let responder = Responder {
        application: "A|B".into(),
        facility: "C\rD".into(),
        version: "2.3".into(),
        sequence_number: String::new(),
        country_code: String::new(),
        padded: data.len() % 2 == 1,
    };
    let now = Timestamp::from_civil((2024, 3, 1), (12, 0, 0)).expect("a moment");
    let header = Header::salvage(data);
    let reply = match &header {
        Some(header) => Reply::to(header, &responder, "1", &now),
        None => Reply::to_nobody(&responder, "1", &now),
    };
    let text = String::from_utf8_lossy(data);
    let errors: Vec<(Location, _)> = Situation::ALL
        .into_iter()
        .filter_map(|situation| {
            Some((
                situation.place().unwrap_or(loc!("PID-3")),
                situation.error()?,
            ))
        })
        .take(data.len() % 4)
        .collect();
    let bytes = reply.write(AckCode::ApplicationReject, &text, &errors);
    let message = Message::parse(&bytes).expect("an acknowledgement is a message");
    assert_eq!(message.segment_count(), 2 + usize::from(!errors.is_empty()));
    let ack = Ack::parse(&message).expect("it acknowledges");
    assert_eq!(ack.code, AckCode::ApplicationReject);
    assert!(ack.text.len() <= 80);
    assert!(hl7_message::is_acknowledgement(&message));
    assert!(message.segment(SegmentId::MSA).is_some());
    if let (Some(header), Ok(_)) = (&header, Message::parse(data)) {
        let sent = header.control_id().as_bytes();
        if !sent.iter().any(|byte| matches!(byte, b'\n' | 0x0B | 0x1C)) {
            assert_eq!(ack.control_id, sent, "to the byte");
        }
    }
    let mut frame = bytes::BytesMut::new();
    hl7_mllp::MllpCodec::new()
        .encode_frame(&Bytes::from(bytes), &mut frame)
        .expect("no framing byte inside");
}
