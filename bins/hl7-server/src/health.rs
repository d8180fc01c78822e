//! `hl7-server healthcheck`: is the broker on this machine ready?

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hl7_mllp::tls::rustls::pki_types::ServerName;
use hl7_mllp::tls::rustls::{ClientConnection, StreamOwned};

use crate::tls::TlsFiles;
use crate::tls_own;

const WAIT: Duration = Duration::from_secs(3);

/// Asks the REST port, over TLS where it has a certificate; an error says why it is not ready.
pub(crate) fn check(mut address: SocketAddr, tls: Option<&TlsFiles>) -> Result<()> {
    if address.ip().is_unspecified() {
        address.set_ip([127, 0, 0, 1].into());
    }
    let asking = || format!("asking {address}");
    let stream = TcpStream::connect_timeout(&address, WAIT).with_context(asking)?;
    for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        set(&stream, Some(WAIT)).with_context(asking)?;
    }
    let line = match tls {
        None => ask(stream, address),
        Some(files) => {
            let config = Arc::new(tls_own::client(files).context("rest.tls")?);
            let name = ServerName::from(address.ip());
            let session = ClientConnection::new(config, name).with_context(asking)?;
            ask(StreamOwned::new(session, stream), address)
        }
    };
    let line = line.with_context(asking)?;
    if line.starts_with("HTTP/1.1 200") {
        return Ok(());
    }
    bail!("the broker at {address} is not ready: {line}")
}

/// Sends the request; gives the status line, which is all that counts.
fn ask(mut stream: impl Read + Write, address: SocketAddr) -> std::io::Result<String> {
    let request = format!(
        "GET /api/v1/health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') && answer.len() < 4_096 {
        let mut some = [0; 512];
        match stream.read(&mut some)? {
            0 => break,
            read => answer.extend_from_slice(some.get(..read).unwrap_or_default()),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or("no answer").into())
}
