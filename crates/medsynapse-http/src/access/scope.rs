//! [`Scope`]: what a key or a token may.

use std::fmt;
use std::str::FromStr;

/// What a key or a token may. Each stands for itself alone, but `admin`, which may everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Look at messages, orders, patients, reports, the worklist and events.
    Read,
    /// Hand messages over, as a radiology system does: `POST /api/hl7`.
    Send,
    /// Change orders and act on the outgoing queue.
    Write,
    /// Read metrics, which hold no patient data: for a monitoring system.
    Metrics,
    /// All of it, and the audit trail and the faults.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Read,
        Self::Send,
        Self::Write,
        Self::Metrics,
        Self::Admin,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Write => "write",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A name that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope; there are read, send, write, metrics and admin")]
pub struct UnknownScope(pub String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

/// Several scopes.
///
/// ```
/// use medsynapse_http::{Scope, Scopes};
///
/// let scopes: Scopes = "read send".parse()?;
/// assert!(scopes.allow(Scope::Read) && !scopes.allow(Scope::Write));
/// assert!("admin".parse::<Scopes>()?.allow(Scope::Write));
/// assert_eq!(scopes.to_string(), "read send");
/// # Ok::<(), medsynapse_http::UnknownScope>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Everything.
    pub const ALL: Self = Self(Scope::Admin.bit());

    /// These.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }

    /// Those of `names` that are scopes, for tokens: other names there belong to others.
    pub fn known<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        Self::of(names.into_iter().filter_map(|name| name.parse().ok()))
    }

    /// Whether `scope` is among them, or `admin` is.
    pub const fn allow(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;

    /// Names with spaces or commas between.
    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let names = text.split([' ', ',']).filter(|name| !name.is_empty());
        Ok(Self::of(
            names.map(Scope::from_str).collect::<Result<Vec<_>, _>>()?,
        ))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for scope in Scope::ALL
            .into_iter()
            .filter(|scope| self.0 & scope.bit() != 0)
        {
            write!(f, "{between}{}", scope.as_str())?;
            between = " ";
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}
