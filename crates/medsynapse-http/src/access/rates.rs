//! [`Rates`]: how often one address may ask.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// So many at once, and then so many a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// So many at once.
    pub burst: NonZeroU32,
    /// So many a minute.
    pub per_minute: NonZeroU32,
}

/// Addresses are forgotten again after so many checks.
const TIDY_AFTER: u32 = 1_024;

struct Limiter {
    limiter: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>,
    checks: AtomicU32,
}

impl Limiter {
    fn new(rate: Rate) -> Self {
        let quota = Quota::per_minute(rate.per_minute).allow_burst(rate.burst);
        Self {
            limiter: RateLimiter::hashmap(quota),
            checks: AtomicU32::new(0),
        }
    }

    /// Takes one; an error says how long to wait.
    fn take(&self, address: IpAddr) -> Result<(), Duration> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % TIDY_AFTER == TIDY_AFTER - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.limiter.check_key(&network(address)).map_err(|later| {
            let wait = later.wait_time_from(DefaultClock::default().now());
            // Waiting a little less than needed would be refused again.
            Duration::from_secs(wait.as_secs().saturating_add(1))
        })
    }
}

/// The address, or for IPv6 its network: one host has all of a /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(network.into())
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// How often one address may ask, and may ask with a wrong key.
pub struct Rates {
    requests: Option<Limiter>,
    failed_logins: Limiter,
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rates")
            .field("requests", &self.requests.is_some())
            .finish_non_exhaustive()
    }
}

impl Default for Rates {
    /// Any number of requests, and 100 wrong keys at once and then 60 a minute.
    fn default() -> Self {
        let rate = Rate {
            burst: NonZeroU32::MIN.saturating_add(99),
            per_minute: NonZeroU32::MIN.saturating_add(59),
        };
        Self::new(None, rate)
    }
}

impl Rates {
    /// With these limits.
    pub fn new(requests: Option<Rate>, failed_logins: Rate) -> Self {
        Self {
            requests: requests.map(Limiter::new),
            failed_logins: Limiter::new(failed_logins),
        }
    }

    /// Counts a request; an error says how long to wait.
    pub(crate) fn request(&self, address: IpAddr) -> Result<(), Duration> {
        self.requests
            .as_ref()
            .map_or(Ok(()), |limiter| limiter.take(address))
    }

    /// Counts a wrong key; an error says how long to wait.
    pub(crate) fn failed_login(&self, address: IpAddr) -> Result<(), Duration> {
        self.failed_logins.take(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_with_many_addresses_is_one() {
        let check = |text: &str, wanted: &str| {
            assert_eq!(
                network(text.parse().unwrap()),
                wanted.parse::<IpAddr>().unwrap()
            );
        };
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
        check("::ffff:10.1.2.3", "10.1.2.3");
        check("10.1.2.3", "10.1.2.3");
    }

    #[test]
    fn past_the_burst_a_wait_is_told() {
        let one = Rate {
            burst: NonZeroU32::MIN,
            per_minute: NonZeroU32::MIN,
        };
        let rates = Rates::new(Some(one), one);
        let address: IpAddr = [10, 0, 0, 1].into();
        assert!(rates.request(address).is_ok());
        let wait = rates.request(address).unwrap_err();
        assert!((1..=61).contains(&wait.as_secs()), "{wait:?}");
        assert!(rates.request([10, 0, 0, 2].into()).is_ok());
        assert!(rates.failed_login(address).is_ok());
    }
}
