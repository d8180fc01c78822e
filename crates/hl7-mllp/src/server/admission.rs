//! Who may connect, and how many at once.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::server::{Refusal, ServerConfig};

/// An address or a network, for an allow-list: `10.1.2.3`, `10.1.0.0/16`, `fd00::/8`.
///
/// ```
/// use hl7_mllp::server::AddressRange;
///
/// let ward: AddressRange = "10.1.0.0/16".parse().unwrap();
/// assert!(ward.contains("10.1.200.7".parse().unwrap()));
/// assert!(!ward.contains("10.2.0.1".parse().unwrap()));
/// assert!("10.1.0.0/33".parse::<AddressRange>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressRange {
    address: IpAddr,
    prefix: u8,
}

impl AddressRange {
    /// Whether `address` lies in the range. An IPv4 address mapped into IPv6 counts as itself.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

impl From<IpAddr> for AddressRange {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            prefix: bits(address),
        }
    }
}

impl FromStr for AddressRange {
    type Err = InvalidAddressRange;

    fn from_str(text: &str) -> Result<Self, InvalidAddressRange> {
        let Some((address, prefix)) = text.split_once('/') else {
            return text
                .parse::<IpAddr>()
                .map(Self::from)
                .map_err(|_| InvalidAddressRange);
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidAddressRange)?;
        let prefix: u8 = prefix.parse().map_err(|_| InvalidAddressRange)?;
        if prefix > bits(address) {
            return Err(InvalidAddressRange);
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The text is neither an IP address nor `address/prefix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an IP address or a network such as 10.1.0.0/16")]
pub struct InvalidAddressRange;

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Counts open connections, in all and by address.
#[derive(Debug, Default)]
pub(super) struct Admission {
    open: Mutex<Open>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place among the open connections, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    admission: Arc<Admission>,
    /// `None` while a balancer has not said on whose behalf it connects.
    address: Option<IpAddr>,
}

impl Admission {
    /// Takes a place, or says why there is none.
    pub(super) fn admit(
        self: &Arc<Self>,
        peer: SocketAddr,
        config: &ServerConfig,
    ) -> Result<Place, Refusal> {
        let address = peer.ip().to_canonical();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if is_proxy(address, config) {
            open.check_total(config)?;
            open.total += 1;
            return Ok(Place {
                admission: Arc::clone(self),
                address: None,
            });
        }
        check_allowed(address, config)?;
        open.check_total(config)?;
        open.count_address(address, config)?;
        open.total += 1;
        Ok(Place {
            admission: Arc::clone(self),
            address: Some(address),
        })
    }
}

impl Admission {
    /// [`admit`](Self::admit), waiting up to `grace` for a place to be given back.
    pub(super) async fn wait(
        self: &Arc<Self>,
        peer: SocketAddr,
        config: &ServerConfig,
        grace: Duration,
    ) -> Result<Place, Refusal> {
        let deadline = Instant::now() + grace;
        loop {
            let freed = self.freed.notified();
            let ended = self.admit(peer, config);
            if ended.is_ok() || timeout_at(deadline, freed).await.is_err() {
                return ended;
            }
        }
    }
}

/// Whether connections from here are made on behalf of others.
#[cfg(feature = "proxy")]
fn is_proxy(address: IpAddr, config: &ServerConfig) -> bool {
    config.proxies.iter().any(|range| range.contains(address))
}

#[cfg(not(feature = "proxy"))]
const fn is_proxy(_: IpAddr, _: &ServerConfig) -> bool {
    false
}

fn check_allowed(address: IpAddr, config: &ServerConfig) -> Result<(), Refusal> {
    if config.allow.is_empty() || config.allow.iter().any(|range| range.contains(address)) {
        Ok(())
    } else {
        Err(Refusal::NotAllowed)
    }
}

impl Open {
    const fn check_total(&self, config: &ServerConfig) -> Result<(), Refusal> {
        if self.total >= config.connections_max {
            return Err(Refusal::TooManyConnections);
        }
        Ok(())
    }

    fn count_address(&mut self, address: IpAddr, config: &ServerConfig) -> Result<(), Refusal> {
        let count = self.by_address.get(&address).copied().unwrap_or(0);
        if count >= config.connections_per_address_max {
            return Err(Refusal::TooManyFromAddress);
        }
        self.by_address.insert(address, count + 1);
        Ok(())
    }
}

#[cfg(feature = "proxy")]
impl Place {
    /// Whether a balancer still has to say on whose behalf it connects.
    pub(super) const fn is_of_proxy(&self) -> bool {
        self.address.is_none()
    }

    /// The place is for somebody behind a balancer.
    pub(super) fn give_to(
        &mut self,
        source: SocketAddr,
        config: &ServerConfig,
    ) -> Result<(), Refusal> {
        let address = source.ip().to_canonical();
        check_allowed(address, config)?;
        let mut open = self
            .admission
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.count_address(address, config)?;
        drop(open);
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self
            .admission
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        if let Some(address) = self.address
            && let Some(count) = open.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&address);
            }
        }
        drop(open);
        self.admission.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: &str, address: &str, expected: bool) {
        let range: AddressRange = range.parse().unwrap();
        assert_eq!(range.contains(address.parse().unwrap()), expected);
    }

    #[test]
    fn ranges_contain_their_addresses() {
        check("10.1.2.3", "10.1.2.3", true);
        check("10.1.2.3", "10.1.2.4", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("10.0.0.0/8", "::ffff:10.9.9.9", true);
        check("fd00::/8", "fd12::1", true);
        check("fd00::/8", "fe80::1", false);
        check("::/0", "10.1.2.3", false);
    }

    #[test]
    fn a_place_is_given_back() {
        let config = ServerConfig {
            connections_max: 3,
            connections_per_address_max: 2,
            ..ServerConfig::default()
        };
        let admission = Arc::new(Admission::default());
        let peer = |text: &str| text.parse::<SocketAddr>().unwrap();
        let first = admission.admit(peer("10.0.0.1:1"), &config).unwrap();
        let _second = admission.admit(peer("10.0.0.1:2"), &config).unwrap();
        let refused = admission.admit(peer("10.0.0.1:3"), &config);
        assert_eq!(refused.unwrap_err(), Refusal::TooManyFromAddress);
        let _third = admission.admit(peer("10.0.0.2:1"), &config).unwrap();
        let refused = admission.admit(peer("10.0.0.3:1"), &config);
        assert_eq!(refused.unwrap_err(), Refusal::TooManyConnections);
        drop(first);
        assert!(admission.admit(peer("10.0.0.3:1"), &config).is_ok());
    }

    #[test]
    fn only_the_allow_list_may_connect() {
        let config = ServerConfig {
            allow: vec!["10.1.0.0/16".parse().unwrap()],
            ..ServerConfig::default()
        };
        let admission = Arc::new(Admission::default());
        assert!(
            admission
                .admit("10.1.9.9:5".parse().unwrap(), &config)
                .is_ok()
        );
        let refused = admission.admit("10.2.9.9:5".parse().unwrap(), &config);
        assert_eq!(refused.unwrap_err(), Refusal::NotAllowed);
    }
}
