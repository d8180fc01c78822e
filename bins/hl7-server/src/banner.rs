//! What a person sees when the broker starts.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use crate::config::Config;

/// The addresses that are open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) mllp: SocketAddr,
    pub(crate) rest: SocketAddr,
    pub(crate) web: SocketAddr,
}

impl Ports {
    /// One line for programs.
    pub(crate) fn json(&self) -> String {
        serde_json::json!({
            "v": 1,
            "mllp": self.mllp.to_string(),
            "rest": self.rest.to_string(),
            "web": self.web.to_string(),
        })
        .to_string()
    }
}

/// Who can reach a listener, and what protects it.
fn protection(address: SocketAddr, what: &str) -> String {
    if address.ip().is_loopback() {
        format!("this machine only, {what}")
    } else {
        format!("OTHER MACHINES TOO, {what}")
    }
}

/// The banner, for standard error.
pub(crate) fn banner(
    config: &Config,
    ports: &Ports,
    data_dir: &Path,
    messages: u64,
    orders: u64,
) -> String {
    let keys = if config.api_keys.is_empty() {
        "no key"
    } else {
        "key needed"
    };
    let preset = config.profile.preset;
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!("Medsynapse PACS Broker {version}, profile {preset}\n\n");
    let web = format!("http://{}", ports.web);
    let rest = format!("http://{}", ports.rest);
    let rows = [
        (
            "MLLP",
            ports.mllp.to_string(),
            protection(ports.mllp, "clear text"),
        ),
        ("REST", rest, protection(ports.rest, keys)),
        ("Web", web, protection(ports.web, "no login")),
        (
            "Data",
            data_dir.display().to_string(),
            format!("{messages} messages, {orders} orders"),
        ),
    ];
    for (name, address, note) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<5} {address:<26} {note}");
    }
    if !config.faults.plan.is_off() {
        let plan = config.faults.plan.summary();
        let _ = writeln!(
            text,
            "\n  FAULTS ARE ON: some MLLP answers are wrong on purpose ({plan})"
        );
    }
    text.push_str("\nStop with Ctrl-C.\n");
    text
}
