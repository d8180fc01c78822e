//! `[faults]`: what a tester wants answered badly.

use std::time::Duration;

use anyhow::{Context, Result};
use medsynapse_broker::{FaultPlan, Faults};
use serde::Deserialize;

/// The section of the configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FaultsSection {
    seed: u64,
    error: f64,
    reject: f64,
    no_answer: f64,
    wrong_control_id: f64,
    close_mid_frame: f64,
    split: f64,
    delayed: f64,
    delay_ms: u64,
}

/// Which faults the broker starts with.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultSettings {
    pub(crate) seed: u64,
    pub(crate) plan: FaultPlan,
}

impl FaultsSection {
    /// # Errors
    ///
    /// Shares that are none.
    pub(crate) fn settings(&self) -> Result<FaultSettings> {
        let plan = FaultPlan {
            error: self.error,
            reject: self.reject,
            no_answer: self.no_answer,
            wrong_control_id: self.wrong_control_id,
            close_mid_frame: self.close_mid_frame,
            split: self.split,
            delayed: self.delayed,
            delay: Duration::from_millis(self.delay_ms),
        };
        plan.check()
            .context("faults: shares are written from 0 to 1, for instance error = 0.1")?;
        Ok(FaultSettings {
            seed: self.seed,
            plan,
        })
    }
}

impl FaultSettings {
    /// The switch, thrown as configured.
    pub(crate) fn start(&self) -> Result<Faults> {
        let faults = Faults::new(self.seed);
        faults.set(self.plan.clone()).context("faults")?;
        Ok(faults)
    }

    /// As it stands in the configuration file.
    pub(crate) fn shown(&self) -> toml::Table {
        let mut table = toml::Table::new();
        let seed = i64::try_from(self.seed).unwrap_or(i64::MAX);
        table.insert("seed".into(), seed.into());
        for (name, share) in self.plan.shares() {
            table.insert(name.into(), share.into());
        }
        let millis = i64::try_from(self.plan.delay.as_millis()).unwrap_or(i64::MAX);
        table.insert("delay_ms".into(), millis.into());
        table
    }
}
