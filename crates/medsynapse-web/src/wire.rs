//! [`Exchange`]: a message sent, what came back, and when.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hl7_mllp::broken::{Break, Script};
use hl7_mllp::{Client, ClientConfig};
use medsynapse_broker::Origin;
use medsynapse_store::Transport;
use tokio::net::TcpStream;

use crate::app::Shared;

/// How long the broker may take to answer one message.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// The same for a message that is broken on the wire: mostly nothing comes.
const BROKEN_WAIT: Duration = Duration::from_secs(3);

/// A message sent, what came back, and when.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    pub(crate) steps: Vec<Step>,
    pub(crate) answers: Vec<Bytes>,
    /// Why there is no answer, or no further one.
    pub(crate) failure: Option<String>,
    pub(crate) message_id: Option<i64>,
}

/// Something that happened, so long after the beginning.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) at: Duration,
    pub(crate) what: String,
}

impl Exchange {
    fn step(&mut self, began: Instant, what: impl Into<String>) {
        let (at, what) = (began.elapsed(), what.into());
        self.steps.push(Step { at, what });
    }

    fn failed(&mut self, began: Instant, failure: &impl ToString) {
        let failure = failure.to_string();
        self.step(began, failure.clone());
        self.failure = Some(failure);
    }

    /// How long it took.
    pub(crate) fn took(&self) -> Duration {
        self.steps.last().map(|step| step.at).unwrap_or_default()
    }

    /// The steps as a line of time; it holds no text of a message.
    pub(crate) fn picture(&self) -> String {
        const WIDTH: f64 = 600.0;
        let whole = self.took().as_secs_f64().max(0.000_001);
        let x = |at: Duration| 8.0 + at.as_secs_f64() / whole * (WIDTH - 16.0);
        let mut marks = format!("<path d=\"M8 10H{}\"/>", WIDTH - 8.0);
        for step in &self.steps {
            let _ = write!(
                marks,
                "<circle cx=\"{:.1}\" cy=\"10\" r=\"4.5\"/>",
                x(step.at)
            );
        }
        format!(
            "<svg class=\"beats\" viewBox=\"0 0 {WIDTH} 20\" \
             aria-hidden=\"true\">{marks}</svg>"
        )
    }
}

/// Over MLLP, on the connection that is open, if any.
pub(crate) async fn over_mllp(
    shared: &Shared,
    open: &mut Option<Client>,
    message: &[u8],
) -> Exchange {
    let mut exchange = Exchange::default();
    let began = Instant::now();
    let mut client = match open.take() {
        Some(client) => {
            exchange.step(began, "on the connection of the message before");
            client
        }
        None => {
            match Client::connect(shared.app.mllp_address.as_str(), config(ANSWER_WAIT)).await {
                Ok(client) => {
                    exchange.step(began, format!("connected to {}", shared.app.mllp_address));
                    client
                }
                Err(error) => {
                    exchange.failed(began, &error);
                    return exchange;
                }
            }
        }
    };
    match client.send(message).await {
        Ok(()) => exchange.step(
            began,
            format!("{} bytes sent in a block", message.len() + 3),
        ),
        Err(error) => {
            exchange.failed(began, &error);
            return exchange;
        }
    }
    // Any answer is shown: a message that cannot be read is answered, too.
    match client.receive().await {
        Ok(answer) => {
            exchange.step(began, format!("{} bytes of answer", answer.len()));
            exchange.answers.push(answer);
        }
        Err(error) => exchange.failed(began, &error),
    }
    if client.is_usable() {
        *open = Some(client);
    }
    exchange
}

/// Over MLLP, broken on the wire, on a connection of its own.
pub(crate) async fn broken(shared: &Shared, how: Break, message: &[u8]) -> Exchange {
    let mut exchange = Exchange::default();
    let began = Instant::now();
    let script = how.script(message);
    let opening = TcpStream::connect(shared.app.mllp_address.as_str());
    let mut stream = match tokio::time::timeout(BROKEN_WAIT, opening).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            exchange.failed(began, &error);
            return exchange;
        }
        Err(_) => {
            exchange.failed(began, &"no connection in time");
            return exchange;
        }
    };
    exchange.step(began, format!("connected to {}", shared.app.mllp_address));
    match tokio::time::timeout(BROKEN_WAIT, script.write_to(&mut stream)).await {
        Ok(Ok(())) => exchange.step(began, written(&script)),
        Ok(Err(error)) => {
            exchange.failed(began, &error);
            return exchange;
        }
        Err(_) => {
            exchange.failed(began, &"the broker did not read it in time");
            return exchange;
        }
    }
    let mut client = Client::over(stream, config(BROKEN_WAIT));
    for _ in &script.ids {
        match client.receive().await {
            Ok(answer) => {
                exchange.step(began, format!("{} bytes of answer", answer.len()));
                exchange.answers.push(answer);
            }
            Err(error) => {
                exchange.failed(began, &error);
                break;
            }
        }
    }
    exchange
}

fn written(script: &Script) -> String {
    let bytes: usize = script.pieces.iter().map(Vec::len).sum();
    let pieces = match script.pieces.len() {
        1 => "one piece".to_owned(),
        many => format!("{many} pieces"),
    };
    let end = if script.hang_up { ", and hung up" } else { "" };
    format!("{bytes} bytes sent in {pieces}{end}")
}

/// As the REST gateway takes it.
pub(crate) async fn in_process(shared: &Shared, message: &[u8]) -> Exchange {
    let mut exchange = Exchange::default();
    let began = Instant::now();
    let origin = Origin {
        transport: Transport::Http,
        peer: "web page".into(),
    };
    exchange.step(began, "handed to the broker");
    let frame = Bytes::copy_from_slice(message);
    match shared.app.broker.receive(frame, origin).await {
        Some(answer) => {
            exchange.step(began, format!("{} bytes of answer", answer.ack.len()));
            exchange.answers.push(answer.ack);
            exchange.message_id = answer.message_id;
        }
        None => exchange.failed(began, &"an acknowledgement is not answered"),
    }
    exchange
}

fn config(wait: Duration) -> ClientConfig {
    ClientConfig {
        connect_timeout: wait,
        first_byte_timeout: wait,
        answer_timeout: wait,
        ..ClientConfig::default()
    }
}
