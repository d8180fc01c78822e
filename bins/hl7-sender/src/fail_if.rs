//! [`FailIf`]: a limit that a run must keep, `p99>50ms`.

use std::{fmt, str::FromStr, time::Duration};

use hl7_cli::units;

use crate::{send::Outcome, summary::per_second};

/// A condition that makes the run fail.
#[derive(Debug, Clone)]
pub(crate) struct FailIf {
    text: String,
    measure: Measure,
    above: bool,
    limit: f64,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Measure {
    /// A quantile of the latency, in seconds.
    Quantile(f64),
    /// The mean latency, in seconds.
    Mean,
    /// Messages that were not accepted.
    Errors,
    /// Their share of those tried, from 0 to 1.
    ErrorShare,
    /// Messages a second.
    Rate,
}

const EXAMPLES: &str = "write a limit such as p99>50ms, max>1s, mean>20ms, errors>0, errors>1% \
                        or rate<1000/s";

impl FromStr for FailIf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = text.find(['<', '>']).ok_or(EXAMPLES)?;
        let above = text.get(at..=at) == Some(">");
        let (name, value) = (
            text.get(..at).unwrap_or_default(),
            text.get(at + 1..).unwrap_or_default(),
        );
        let (name, value) = (name.trim(), value.trim());
        let (measure, limit) = match name {
            "errors" => match value.strip_suffix('%') {
                Some(percent) => (Measure::ErrorShare, number(percent)? / 100.0),
                None => (Measure::Errors, number(value)?),
            },
            "rate" => (Measure::Rate, units::rate(value)?),
            "mean" => (Measure::Mean, latency(value)?),
            "max" => (Measure::Quantile(1.0), latency(value)?),
            _ => {
                let percent = name.strip_prefix('p').ok_or(EXAMPLES)?;
                let quantile = number(percent)? / 100.0;
                if !(0.0..=1.0).contains(&quantile) {
                    return Err("a percentile is from p0 to p100".to_owned());
                }
                (Measure::Quantile(quantile), latency(value)?)
            }
        };
        Ok(Self {
            text: text.trim().to_owned(),
            measure,
            above,
            limit,
        })
    }
}

impl FailIf {
    /// What was found, if it is beyond the limit. A latency that nobody could measure is beyond
    /// every limit.
    pub(crate) fn missed(&self, outcome: &Outcome) -> Option<String> {
        let tally = &outcome.tally;
        let errors = tally.rejected() + tally.failed();
        let found = match self.measure {
            Measure::Quantile(_) | Measure::Mean if tally.latencies.is_empty() => {
                return Some(format!("{self}: there was no answer to measure"));
            }
            Measure::Quantile(at) => seconds(tally.latencies.value_at_quantile(at)),
            Measure::Mean => tally.latencies.mean() / 1e6,
            Measure::Errors => per_second(errors, 1.0),
            Measure::ErrorShare => per_second(errors, 1.0) / per_second(tally.tried.max(1), 1.0),
            Measure::Rate => per_second(tally.tried, outcome.elapsed.as_secs_f64()),
        };
        let beyond = if self.above {
            found > self.limit
        } else {
            found < self.limit
        };
        beyond.then(|| format!("{self}: it was {}", self.shown(found)))
    }

    fn shown(&self, found: f64) -> String {
        match self.measure {
            Measure::Quantile(_) | Measure::Mean => format!("{:.3} ms", found * 1000.0),
            Measure::Errors => format!("{found}"),
            Measure::ErrorShare => format!("{:.3} %", found * 100.0),
            Measure::Rate => format!("{found:.1}/s"),
        }
    }
}

impl fmt::Display for FailIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn number(text: &str) -> Result<f64, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite() && *value >= 0.0)
        .ok_or_else(|| EXAMPLES.to_owned())
}

/// A latency needs its unit: 50 could be either.
fn latency(text: &str) -> Result<f64, String> {
    if !text.ends_with(|c: char| c.is_ascii_alphabetic()) {
        return Err("a latency needs its unit, such as 50ms".to_owned());
    }
    units::duration(text).map(|limit| limit.as_secs_f64())
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hl7_message::AckCode;

    use super::*;
    use crate::{
        link::{Failure, FailureKind, Reply},
        tally::Tally,
    };

    /// 98 answers within 10 ms, one refusal after 100 ms, one failure.
    fn outcome() -> Outcome {
        let mut tally = Tally::new();
        let reply = |code| {
            Ok(Reply {
                code,
                answer: Bytes::new(),
            })
        };
        for _ in 0..98 {
            let wait = Duration::from_millis(10);
            tally.add(&reply(AckCode::ApplicationAccept), true, 1, wait, 1);
        }
        let wait = Duration::from_millis(100);
        tally.add(&reply(AckCode::ApplicationReject), false, 1, wait, 1);
        tally.add(
            &Err(Failure::new(FailureKind::Closed, "")),
            false,
            1,
            wait,
            1,
        );
        Outcome {
            tally,
            elapsed: Duration::from_secs(2),
            ..Outcome::nothing()
        }
    }

    #[track_caller]
    fn check(text: &str, found: Option<&str>) {
        let limit: FailIf = text.parse().unwrap();
        assert_eq!(limit.missed(&outcome()).as_deref(), found);
    }

    #[test]
    fn limits_are_held_against_what_was_found() {
        check("p50>50ms", None);
        check("p50>5ms", Some("p50>5ms: it was 10.007 ms"));
        check("max > 50ms", Some("max > 50ms: it was 100.031 ms"));
        check("mean>0.02s", None);
        check("errors>1", Some("errors>1: it was 2"));
        check("errors>2", None);
        check("errors>1.5%", Some("errors>1.5%: it was 2.000 %"));
        check("rate<100/s", Some("rate<100/s: it was 50.0/s"));
        check("rate<40/s", None);
    }

    #[test]
    fn what_could_not_be_measured_is_missed() {
        let limit: FailIf = "p99>1h".parse().unwrap();
        assert!(limit.missed(&Outcome::nothing()).is_some());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "p99",
            "p99>50",
            "p101>1ms",
            "px>1ms",
            "errors>x",
            "rate<0",
            "latency>1s",
            "p99=1s",
        ] {
            assert!(text.parse::<FailIf>().is_err(), "{text}");
        }
    }
}
