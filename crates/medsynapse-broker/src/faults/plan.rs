//! [`FaultPlan`]: which faults, how often.

use std::time::Duration;

/// The longest that an answer is kept back.
const DELAY_MAX: Duration = Duration::from_mins(1);

/// Which faults are made, each as a share of all answers from 0 to 1. The default makes none.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultPlan {
    /// Answered AE, whatever became of the message.
    pub error: f64,
    /// Answered AR, whatever became of the message.
    pub reject: f64,
    /// Not answered; the connection stays open.
    pub no_answer: f64,
    /// Answered for another control id.
    pub wrong_control_id: f64,
    /// Closed in the middle of the answer.
    pub close_mid_frame: f64,
    /// Written in small pieces with pauses between them.
    pub split: f64,
    /// Kept back for [`delay`](Self::delay).
    pub delayed: f64,
    /// For how long, at most a minute.
    pub delay: Duration,
}

impl Default for FaultPlan {
    fn default() -> Self {
        Self {
            error: 0.0,
            reject: 0.0,
            no_answer: 0.0,
            wrong_control_id: 0.0,
            close_mid_frame: 0.0,
            split: 0.0,
            delayed: 0.0,
            delay: Duration::ZERO,
        }
    }
}

/// Why a plan cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidFaultPlan {
    /// A share is not a share.
    #[error("{0} is not between 0 and 1")]
    Share(&'static str),
    /// An answer has one code at most.
    #[error("error, reject, no_answer and wrong_control_id together are more than 1")]
    Sum,
    /// Answers would be kept back for too long.
    #[error("delay is longer than 60 seconds")]
    Delay,
}

impl FaultPlan {
    /// The shares with the names they have in configuration and JSON.
    pub const fn shares(&self) -> [(&'static str, f64); 7] {
        [
            ("error", self.error),
            ("reject", self.reject),
            ("no_answer", self.no_answer),
            ("wrong_control_id", self.wrong_control_id),
            ("close_mid_frame", self.close_mid_frame),
            ("split", self.split),
            ("delayed", self.delayed),
        ]
    }

    /// Whether every answer stays true and in time.
    pub fn is_off(&self) -> bool {
        let quiet =
            |(name, share): (&str, f64)| share <= 0.0 || name == "delayed" && self.delay.is_zero();
        self.shares().into_iter().all(quiet)
    }

    /// Says what is wrong with it.
    ///
    /// # Errors
    ///
    /// A share outside 0 to 1, shares that add up to more than all answers, a delay of more than
    /// a minute.
    pub fn check(&self) -> Result<(), InvalidFaultPlan> {
        for (name, share) in self.shares() {
            if !(0.0..=1.0).contains(&share) {
                return Err(InvalidFaultPlan::Share(name));
            }
        }
        // Shares as people write them, 0.1 and 0.7 and 0.2, add up to a little more than 1.
        let sum = self.error + self.reject + self.no_answer + self.wrong_control_id;
        if sum > 1.0 + 1e-9 {
            return Err(InvalidFaultPlan::Sum);
        }
        if self.delay > DELAY_MAX {
            return Err(InvalidFaultPlan::Delay);
        }
        Ok(())
    }

    /// In words, for the banner: `AE 25 %, delay 500 ms for 10 %`.
    pub fn summary(&self) -> String {
        let words = [
            ("AE", self.error),
            ("AR", self.reject),
            ("no answer", self.no_answer),
            ("wrong MSA-2", self.wrong_control_id),
            ("closed mid-frame", self.close_mid_frame),
            ("split writes", self.split),
        ];
        let percent = |share: f64| format!("{} %", (share * 1_000.0).round() / 10.0);
        let mut parts: Vec<String> = words
            .into_iter()
            .filter(|(_, share)| *share > 0.0)
            .map(|(word, share)| format!("{word} {}", percent(share)))
            .collect();
        if self.delayed > 0.0 && !self.delay.is_zero() {
            let millis = self.delay.as_millis();
            parts.push(format!("delay {millis} ms for {}", percent(self.delayed)));
        }
        if parts.is_empty() {
            return "none".into();
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(plan: &FaultPlan, expected: &InvalidFaultPlan) {
        assert_eq!(plan.check().as_ref(), Err(expected));
    }

    #[test]
    fn plans_that_cannot_be_followed_are_refused() {
        let none = FaultPlan::default();
        for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let plan = FaultPlan {
                split: share,
                ..none.clone()
            };
            refused(&plan, &InvalidFaultPlan::Share("split"));
        }
        let plan = FaultPlan {
            error: 0.6,
            reject: 0.6,
            ..none.clone()
        };
        refused(&plan, &InvalidFaultPlan::Sum);
        let plan = FaultPlan {
            delay: Duration::from_secs(61),
            ..none.clone()
        };
        refused(&plan, &InvalidFaultPlan::Delay);
        let plan = FaultPlan {
            error: 0.1,
            reject: 0.7,
            no_answer: 0.2,
            ..none
        };
        assert_eq!(plan.check(), Ok(()));
    }

    #[test]
    fn a_plan_reads_as_a_sentence() {
        let plan = FaultPlan {
            error: 0.25,
            delayed: 0.1,
            delay: Duration::from_millis(500),
            ..FaultPlan::default()
        };
        assert_eq!(plan.summary(), "AE 25 %, delay 500 ms for 10 %");
        assert_eq!(FaultPlan::default().summary(), "none");
        assert!(
            FaultPlan {
                delayed: 1.0,
                ..FaultPlan::default()
            }
            .is_off()
        );
    }
}
