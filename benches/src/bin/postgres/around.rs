//! How long answers took, second by second, before and after something happened.

use std::time::{Duration, Instant};

use crate::brokers::{Answers, percentile};

/// How long senders work before seconds count: connections, plans, the first pages.
pub(crate) const WARM_UP: Duration = Duration::from_secs(5);
/// How long after it things are to be as they were.
pub(crate) const SETTLED: u64 = 5;
/// What counts as that, of the p99 before.
pub(crate) const WITHIN: f64 = 2.0;

/// The p99 of each second, in milliseconds: by when a message was sent for the first time.
#[derive(Debug)]
pub(crate) struct Around {
    before: Vec<f64>,
    after: Vec<f64>,
    /// The longest that one message took.
    slowest: Duration,
    /// The longest time after it in which nobody got an answer.
    silence: Duration,
    /// Answers a second, before and after.
    rates: [f64; 2],
}

impl Around {
    /// `window` seconds from `begin` to `moment`, and from `SETTLED` seconds after it as many more.
    pub(crate) fn of(answers: &Answers, begin: Instant, moment: Instant, window: u64) -> Self {
        let p99 = |from: Instant| {
            let until = from + Duration::from_secs(1);
            let within = answers
                .iter()
                .filter(|(sent, _)| (from..until).contains(sent));
            percentile(within.map(|(_, time)| *time).collect(), 99)
        };
        let second = Duration::from_secs;
        let end = moment + second(SETTLED + window);
        let after = answers
            .iter()
            .filter(|(sent, _)| (moment..end).contains(sent));
        let mut came: Vec<Instant> = answers.iter().map(|(sent, time)| *sent + *time).collect();
        came.sort_unstable();
        let pairs = came.iter().zip(came.iter().skip(1));
        let silences = pairs.filter(|(one, _)| (moment..end).contains(*one));
        let rate = |from: Instant, seconds: u64| {
            let until = from + second(seconds);
            let count = came.iter().filter(|at| (from..until).contains(*at)).count();
            medsynapse_benches::count(count) / Duration::from_secs(seconds).as_secs_f64()
        };
        Self {
            before: (0..window).map(|n| p99(begin + second(n))).collect(),
            after: (0..SETTLED + window)
                .map(|n| p99(moment + second(n)))
                .collect(),
            slowest: after.map(|(_, time)| *time).max().unwrap_or_default(),
            silence: silences
                .map(|(one, two)| *two - *one)
                .max()
                .unwrap_or_default(),
            rates: [rate(begin, window), rate(moment + second(SETTLED), window)],
        }
    }

    /// The median second before.
    pub(crate) fn before(&self) -> f64 {
        median(&self.before)
    }

    /// The median second of those that count as settled.
    pub(crate) fn after(&self) -> f64 {
        let settled = usize::try_from(SETTLED).unwrap_or(usize::MAX);
        median(self.after.get(settled..).unwrap_or_default())
    }

    /// What is held to be at most [`WITHIN`].
    pub(crate) fn ratio(&self) -> f64 {
        self.after() / self.before()
    }

    /// After how many seconds p99 was within the limit; none: in none of them.
    fn back(&self) -> Option<usize> {
        let limit = WITHIN * self.before();
        self.after.iter().position(|p99| *p99 <= limit)
    }

    /// All of it, for a person.
    pub(crate) fn told(&self) -> String {
        let shown = |seconds: &[f64]| {
            let each: Vec<String> = seconds.iter().map(|p99| format!("{p99:.0}")).collect();
            each.join(" ")
        };
        let [before, after] = self.rates;
        let back = self.back().map_or("in no second".to_owned(), |seconds| {
            format!("in the second that began {seconds} s after it")
        });
        format!(
            "p99 of each second, ms: {} | {}\n  within twice the median of before {back}; the \
             slowest message took {:.0} ms, nobody had an answer for {:.0} ms at most; \
             {before:.0} messages/s before, {after:.0} from {SETTLED} s after it",
            shown(&self.before),
            shown(&self.after),
            self.slowest.as_secs_f64() * 1_000.0,
            self.silence.as_secs_f64() * 1_000.0,
        )
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
