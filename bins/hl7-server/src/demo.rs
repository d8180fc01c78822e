//! `--demo N`: a department's day before the first real message.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use medsynapse::synth::{Counts, Kind, Options, Synth};
use medsynapse_broker::{Broker, Clock, Origin, Pending};
use medsynapse_store::Transport;

/// How many messages are under way at a time.
const WINDOW: usize = 256;

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
