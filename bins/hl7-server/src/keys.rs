//! `hl7-server keys`: the keys of the REST API.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Subcommand;
use hl7_cli::print_line;
use medsynapse_http::{NewKey, Scopes};
use medsynapse_store::KeyRecord;

use crate::access;
use crate::config::Config;

const EXAMPLES: &str = "\
Examples:
  hl7-server keys add ris --scopes send,read
  hl7-server keys add dashboard --scopes read --expires 90d
  hl7-server keys revoke 1f0c9a3b
  hl7-server keys add ris --database postgres://medsynapse@db/medsynapse   for all that share it

Scopes: read (look at everything), send (hand messages over), write (change orders, act on the
outgoing queue), metrics, admin (all of it, and the audit trail and the faults). A running server
sees a change within two seconds.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Keys {
    /// Make a key and print it; it cannot be shown again.
    Add {
        /// What it is for.
        name: String,
        /// What it may: read, send, write, metrics, admin.
        #[arg(long, default_value = "read,send,write", value_name = "SCOPES")]
        scopes: Scopes,
        /// How long it opens: 12h, 90d; without it for ever.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        expires: Option<Duration>,
    },
    /// List the keys, which are kept as digests alone.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Take a key back.
    Revoke {
        /// The first column of the list.
        id: String,
    },
    /// Forget keys that expired or were taken back. With the last key the server is open again.
    Purge,
}

/// `12h`, `90d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; write 30m, 12h or 90d");
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number
        .checked_mul(seconds)
        .filter(|seconds| (1..=36_525 * 86_400).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Does what was asked.
#[expect(
    clippy::print_stdout,
    reason = "data that was asked for goes to standard output"
)]
pub(crate) fn run(command: Keys, config: &Config, now: DateTime<Utc>) -> Result<()> {
    let store = access::open(config)?;
    match command {
        Keys::Add {
            name,
            scopes,
            expires,
        } => {
            if scopes.is_empty() {
                bail!("--scopes: name at least one of read, send, write, metrics and admin");
            }
            if name.is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
                bail!("the name of a key has 1 to 100 characters and no control characters");
            }
            let mut random = [0; 32];
            getrandom::fill(&mut random).context("the system gives no random bytes")?;
            let key = NewKey::of(random);
            let expires = expires.map(|time| TimeDelta::from_std(time).map(|time| now + time));
            store.add_key(&KeyRecord {
                id: key.id.clone(),
                name: name.clone(),
                digest: key.digest,
                scopes: scopes.to_string(),
                created_at: now,
                expires_at: expires.transpose()?,
                revoked_at: None,
            })?;
            println!("{}", key.secret);
            eprintln!(
                "Key {} for {name} may {scopes}. Send it in the header x-api-key. \
                 It is not kept and cannot be shown again.",
                key.id
            );
        }
        Keys::List { json } => {
            for key in store.keys()? {
                let state = match (key.revoked_at, key.expires_at) {
                    (Some(at), _) => format!("revoked {}", shown(at)),
                    (None, Some(at)) if at <= now => format!("expired {}", shown(at)),
                    (None, Some(at)) => format!("until {}", shown(at)),
                    (None, None) => "for ever".into(),
                };
                if json {
                    let line = serde_json::json!({
                        "v": 1,
                        "id": key.id,
                        "name": key.name,
                        "scopes": key.scopes.split(' ').collect::<Vec<_>>(),
                        "createdAt": shown(key.created_at),
                        "expiresAt": key.expires_at.map(shown),
                        "revokedAt": key.revoked_at.map(shown),
                    });
                    print_line(line)?;
                } else {
                    let (id, name, scopes) = (key.id, key.name, key.scopes);
                    print_line(format_args!("{id}  {name:<24}  {scopes:<24}  {state}"))?;
                }
            }
        }
        Keys::Revoke { id } => {
            if !store.revoke_key(&id, now)? {
                bail!("no key in use has the id {id:?}; hl7-server keys list shows them");
            }
            eprintln!("Key {id} opens nothing any more.");
        }
        Keys::Purge => {
            let count = store.purge_keys(now)?;
            eprintln!("{count} keys were forgotten.");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_people() {
        for (text, seconds) in [("90d", 7_776_000), ("12h", 43_200), ("1s", 1)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in [
            "",
            "d",
            "0d",
            "-1d",
            "10",
            "10w",
            "99999999999999999999d",
            "1é",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
