//! Faults on purpose: a broker that answers badly, so that a tester sees how a sender copes.
//!
//! A fault changes what the sender is told and never what is stored: the message is received,
//! applied and kept with its true acknowledgement, and only the bytes on the wire differ. A sender
//! that was told AE and sends again gets the first, true answer.

mod handler;
mod plan;
mod stream;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub use handler::FaultyHandler;
pub use plan::{FaultPlan, InvalidFaultPlan};
pub use stream::{FaultyStream, FaultyUpgrade};

/// The switch, shared by whoever throws it and whoever obeys it. Off until a plan is set.
///
/// ```
/// use medsynapse_broker::{FaultPlan, Faults};
///
/// let faults = Faults::new(7);
/// assert!(!faults.is_on());
/// faults.set(FaultPlan { error: 0.25, ..FaultPlan::default() })?;
/// assert!(faults.is_on());
/// assert!(faults.set(FaultPlan { error: 2.0, ..FaultPlan::default() }).is_err());
/// faults.off();
/// assert!(!faults.is_on());
/// # Ok::<(), medsynapse_broker::InvalidFaultPlan>(())
/// ```
#[derive(Debug, Clone)]
pub struct Faults(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    on: AtomicBool,
    state: Mutex<State>,
    done: [AtomicU64; Fault::ALL.len()],
}

#[derive(Debug)]
struct State {
    plan: FaultPlan,
    stream: ChaCha8Rng,
}

/// What can be done to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// AE instead of the true code.
    Error,
    /// AR instead of the true code.
    Reject,
    /// No answer at all.
    NoAnswer,
    /// MSA-2 names another message.
    WrongControlId,
    /// The answer comes late.
    Delay,
    /// The connection is closed in the middle of the answer.
    CloseMidFrame,
    /// The answer comes in small pieces.
    Split,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Error,
        Self::Reject,
        Self::NoAnswer,
        Self::WrongControlId,
        Self::Delay,
        Self::CloseMidFrame,
        Self::Split,
    ];

    /// Its name in configuration, JSON and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Reject => "reject",
            Self::NoAnswer => "no_answer",
            Self::WrongControlId => "wrong_control_id",
            Self::Delay => "delay",
            Self::CloseMidFrame => "close_mid_frame",
            Self::Split => "split",
        }
    }
}

impl Faults {
    /// Switched off. The same seed makes the same choices for the same answers.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Shared {
            on: AtomicBool::new(false),
            state: Mutex::new(State {
                plan: FaultPlan::default(),
                stream: ChaCha8Rng::seed_from_u64(seed),
            }),
            done: std::array::from_fn(|_| AtomicU64::new(0)),
        }))
    }

    /// Does what `plan` says from the next answer on; a plan without faults switches off.
    ///
    /// # Errors
    ///
    /// The plan cannot be followed; the one before it stays.
    pub fn set(&self, plan: FaultPlan) -> Result<(), InvalidFaultPlan> {
        plan.check()?;
        let on = !plan.is_off();
        self.state().plan = plan;
        self.0.on.store(on, Ordering::Release);
        Ok(())
    }

    /// True answers from now on.
    pub fn off(&self) {
        self.0.on.store(false, Ordering::Release);
        self.state().plan = FaultPlan::default();
    }

    /// Whether any answer may be other than true.
    pub fn is_on(&self) -> bool {
        self.0.on.load(Ordering::Acquire)
    }

    /// What is done at present.
    pub fn plan(&self) -> FaultPlan {
        self.state().plan.clone()
    }

    /// How often each was done since the start.
    pub fn done(&self) -> impl Iterator<Item = (Fault, u64)> + '_ {
        let counts = self
            .0
            .done
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        Fault::ALL.into_iter().zip(counts)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, fault: Fault) {
        for (known, count) in Fault::ALL.iter().zip(&self.0.done) {
            if *known == fault {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What to do with the next answer, and how long to keep it back.
    fn for_answer(&self) -> (Option<Fault>, Option<Duration>) {
        let mut state = self.state();
        let (roll, late) = (state.roll(), state.roll());
        let plan = &state.plan;
        let mut from = 0.0;
        let mut chosen = None;
        for (fault, share) in [
            (Fault::Error, plan.error),
            (Fault::Reject, plan.reject),
            (Fault::NoAnswer, plan.no_answer),
            (Fault::WrongControlId, plan.wrong_control_id),
        ] {
            if chosen.is_none() && roll < from + share {
                chosen = Some(fault);
            }
            from += share;
        }
        let delay = (late < plan.delayed && !plan.delay.is_zero()).then_some(plan.delay);
        drop(state);
        if let Some(fault) = chosen {
            self.note(fault);
        }
        if delay.is_some() {
            self.note(Fault::Delay);
        }
        (chosen, delay)
    }

    /// How the next frame is written.
    fn for_frame(&self) -> Option<Fault> {
        let mut state = self.state();
        let (cut, split) = (state.roll(), state.roll());
        let fault = if cut < state.plan.close_mid_frame {
            Some(Fault::CloseMidFrame)
        } else if split < state.plan.split {
            Some(Fault::Split)
        } else {
            None
        };
        drop(state);
        if let Some(fault) = fault {
            self.note(fault);
        }
        fault
    }
}

impl State {
    /// From 0 to just below 1.
    fn roll(&mut self) -> f64 {
        f64::from(self.stream.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept_and_a_seed_repeats() {
        let plan = FaultPlan {
            error: 0.2,
            reject: 0.1,
            no_answer: 0.05,
            wrong_control_id: 0.05,
            split: 0.3,
            ..FaultPlan::default()
        };
        let run = |seed| {
            let faults = Faults::new(seed);
            faults.set(plan.clone()).unwrap();
            let answers: Vec<_> = (0..10_000).map(|_| faults.for_answer().0).collect();
            let frames: Vec<_> = (0..10_000).map(|_| faults.for_frame()).collect();
            (answers, frames, faults)
        };
        let (answers, frames, faults) = run(1);
        assert_eq!((&answers, &frames), (&run(1).0, &run(1).1));
        assert_ne!(answers, run(2).0);
        for (fault, expected) in [
            (Fault::Error, 2_000),
            (Fault::Reject, 1_000),
            (Fault::NoAnswer, 500),
            (Fault::WrongControlId, 500),
            (Fault::Split, 3_000),
            (Fault::Delay, 0),
            (Fault::CloseMidFrame, 0),
        ] {
            let found = faults.done().find(|(f, _)| *f == fault).unwrap().1;
            assert!(
                found.abs_diff(expected) <= expected / 5,
                "{fault:?} {found}"
            );
        }
    }
}
