//! Makes the messages of a [`Plan`] and writes them.

use std::fmt;
use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hl7_cli::unless_gone;
use hl7_message::Message;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use medsynapse::synth::{Counts, Edit, Generated, Synth};

use crate::interrupt::Interrupted;
use crate::output::{Answers, Output};
use crate::plan::Plan;
use crate::template::Template;

/// Runs that are shorter show no progress.
const PROGRESS_FROM: u64 = 20_000;
/// Messages between two looks at the progress bar.
const PROGRESS_STEP: u64 = 4096;

/// What was made.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) counts: Counts,
    pub(crate) elapsed: Duration,
    /// Edits of which no message had the segment.
    pub(crate) unused: Vec<Edit>,
    /// The run ended before its time, behind a whole message.
    pub(crate) interrupted: bool,
}

/// Makes and writes all messages. A reader that goes away early ends the run without an error.
pub(crate) fn run(plan: &Plan, quiet: bool) -> anyhow::Result<Done> {
    let template = plan.template.as_deref().map(Template::open).transpose()?;
    let mut output = Output::open(&plan.output, plan.format)?;
    let mut answers = plan.expected.as_deref().map(Answers::open).transpose()?;
    let progress = progress(plan, quiet);
    let begin = Instant::now();
    let mut synth = Synth::new(plan.seed, &plan.start, plan.options.clone());
    let mut done = Done {
        counts: Counts::default(),
        elapsed: Duration::ZERO,
        unused: plan.edits.clone(),
        interrupted: false,
    };
    let interrupted = Interrupted::watch().context("cannot listen for Ctrl-C")?;
    let mut written = 0_u64;
    for mut generated in synth.story(plan.counts) {
        if interrupted.is_set() {
            done.interrupted = true;
            break;
        }
        if let Some(template) = &template {
            generated.bytes = template.apply(&generated, written + 1)?;
        }
        edit(&mut generated, &plan.edits, &mut done.unused)?;
        if let Some(rate) = plan.rate {
            unless_gone(output.flush()).context("cannot write")?;
            wait(begin, written, rate, &interrupted);
        }
        match output.write(&mut generated) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            Err(error) => bail!("cannot write {}: {error}", plan.output.display()),
        }
        if let Some(answers) = &mut answers {
            answers
                .write(&generated)
                .context("cannot write the expected answers")?;
        }
        let kind = generated.kind;
        done.counts = done.counts.with(kind, done.counts.of(kind) + 1);
        written += 1;
        if written.is_multiple_of(PROGRESS_STEP) {
            progress.set_position(written);
        }
    }
    unless_gone(output.flush()).context("cannot write the last messages")?;
    if let Some(answers) = &mut answers {
        unless_gone(answers.flush()).context("cannot write the expected answers")?;
    }
    progress.finish_and_clear();
    done.elapsed = begin.elapsed();
    Ok(done)
}

fn edit(generated: &mut Generated, edits: &[Edit], unused: &mut Vec<Edit>) -> anyhow::Result<()> {
    for edit in edits {
        // What is no message on purpose has no places.
        let Ok(message) = Message::parse(&generated.bytes) else {
            return Ok(());
        };
        if edit.concerns(&message) {
            unused.retain(|other| other != edit);
            generated.bytes = edit.apply(&generated.bytes)?;
        }
    }
    Ok(())
}

/// Waits until message number `written` may go, or until the run is interrupted.
fn wait(begin: Instant, written: u64, rate: f64, interrupted: &Interrupted) {
    /// How soon an interrupt is seen.
    const NAP: Duration = Duration::from_millis(100);
    #[expect(clippy::cast_precision_loss, reason = "a count of messages in seconds")]
    let due = Duration::try_from_secs_f64(written as f64 / rate).unwrap_or(Duration::MAX);
    while let Some(rest) = due.checked_sub(begin.elapsed())
        && !rest.is_zero()
        && !interrupted.is_set()
    {
        thread::sleep(rest.min(NAP));
    }
}

fn progress(plan: &Plan, quiet: bool) -> ProgressBar {
    let total = plan.counts.total();
    let bar = ProgressBar::new(total);
    if quiet || (total < PROGRESS_FROM && plan.rate.is_none()) {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let template = "{bar:30} {human_pos}/{human_len} messages, {rate}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(
            style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                // What cannot be shown is not shown.
                let _ = write!(out, "{:.0}/s", state.per_sec());
            }),
        );
    }
    bar
}
