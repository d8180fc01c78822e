//! `--demo N`: a department's day before the first real message, and a RIS to be told of studies.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hl7_message::{AckCode, Message, Reply, Responder, Timestamp, loc};
use hl7_mllp::{Answer, NoObserver, Request, ServerConfig, handler_fn, serve};
use medsynapse::Profile;
use medsynapse::synth::{Counts, Kind, Options, Synth};
use medsynapse_broker::{Broker, Clock, Origin, Pending};
use medsynapse_store::Transport;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::outgoing::DestinationSettings;

/// How many messages are under way at a time.
const WINDOW: usize = 256;

/// The name of the RIS that comes with a demo.
const RIS: &str = "demo-ris";

/// The configuration, and in a demo without destinations a RIS of our own to be told of studies.
pub(crate) async fn with_ris(
    config: &Config,
    demo: bool,
    stop: &CancellationToken,
) -> Result<Config> {
    let mut config = config.clone();
    if demo && config.destinations.is_empty() {
        config.destinations.push(ris(&config.profile, stop).await?);
    }
    Ok(config)
}

/// A RIS that takes every message.
async fn ris(profile: &Profile, stop: &CancellationToken) -> Result<DestinationSettings> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.context("--demo: listening as the RIS")?;
    let settings = DestinationSettings::plain(RIS, listener.local_addr()?, profile)?;
    let handler = handler_fn(|request: Request| async move {
        accepted(&request.frame).map_or(Answer::Nothing, |answer| Answer::Reply(answer.into()))
    });
    let (handler, stop) = (Arc::new(handler), stop.clone());
    // It needs no waiting for: it keeps nothing.
    tokio::spawn(serve(
        listener,
        handler,
        ServerConfig::default(),
        Arc::new(NoObserver),
        stop,
    ));
    Ok(settings)
}

/// AA to a message of the broker.
fn accepted(message: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(message).ok()?;
    let responder = Responder {
        application: "RIS".into(),
        facility: "DEMO".into(),
        version: "2.3".into(),
        sequence_number: String::new(),
        country_code: String::new(),
        padded: false,
    };
    let header = message.header();
    // The moment and the number are the message's own: this RIS has no clock and no counter.
    let now = Timestamp::parse(message.raw(loc!("MSH-7"))?).ok()?;
    let id = String::from_utf8_lossy(message.raw(loc!("MSH-10"))?);
    let reply = Reply::to(&header, &responder, &id, &now);
    Some(reply.write(AckCode::ApplicationAccept, "Taken by the demo RIS.", &[]))
}

/// Takes `count` generated messages in. The same day gives the same messages, so a second start
/// on that day adds nothing.
pub(crate) async fn fill(broker: &Arc<Broker>, count: u64, clock: &dyn Clock) -> Result<()> {
    let now = clock.now();
    let today = now.with_timezone(&clock.offset(now)).date_naive();
    let seed = u64::try_from(
        today
            .signed_duration_since(chrono::NaiveDate::default())
            .num_days(),
    )
    .unwrap_or_default();
    let start = today.format("%Y%m%d070000").to_string();
    let start = start.parse().context("the date of today")?;
    let mut synth = Synth::new(seed, &start, Options::default());
    let mut waiting: std::collections::VecDeque<Pending> = std::collections::VecDeque::new();
    for generated in synth.story(Counts::of_a_day(&Kind::MESSAGES, count)) {
        if waiting.len() == WINDOW {
            settle(waiting.pop_front()).await?;
        }
        let origin = Origin {
            transport: Transport::Mllp,
            peer: "demo".into(),
        };
        waiting.push_back(broker.submit(generated.bytes.into(), origin).await);
    }
    while !waiting.is_empty() {
        settle(waiting.pop_front()).await?;
    }
    Ok(())
}

async fn settle(pending: Option<Pending>) -> Result<()> {
    let Some(pending) = pending else {
        return Ok(());
    };
    if let Some(answer) = pending.await
        && !answer.code.is_accept()
    {
        bail!(
            "--demo: a generated message was answered {} {}",
            answer.code,
            answer.text
        );
    }
    Ok(())
}
