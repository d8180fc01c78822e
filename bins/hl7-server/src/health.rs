//! `hl7-server healthcheck`: is the broker on this machine ready?

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const WAIT: Duration = Duration::from_secs(3);

/// Asks the REST port; an error says why it is not ready.
pub(crate) fn check(mut address: SocketAddr) -> Result<()> {
    if address.ip().is_unspecified() {
        address.set_ip([127, 0, 0, 1].into());
    }
    let asking = || format!("asking {address}");
    let mut stream = TcpStream::connect_timeout(&address, WAIT).with_context(asking)?;
    stream.set_read_timeout(Some(WAIT)).with_context(asking)?;
    let request = format!(
        "GET /api/v1/health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).with_context(asking)?;
    let mut answer = String::new();
    // The status line is all that counts.
    stream
        .take(4_096)
        .read_to_string(&mut answer)
        .with_context(asking)?;
    if answer.starts_with("HTTP/1.1 200") {
        return Ok(());
    }
    let line = answer.lines().next().unwrap_or("no answer");
    bail!("the broker at {address} is not ready: {line}")
}
