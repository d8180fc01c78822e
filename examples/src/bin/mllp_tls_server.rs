//! Answers AA over TLS to whoever has a certificate from the same authority.
//!
//! ```text
//! cargo run -p medsynapse-examples --bin mllp_tls_server -- 127.0.0.1:2576 server.pem server.key ca.pem
//! ```

#![expect(clippy::print_stdout, reason = "it prints")]

use std::sync::Arc;

use anyhow::{Context, Result};
use hl7_mllp::correlate::{Correlate, Hl7};
use hl7_mllp::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use hl7_mllp::tls::rustls::{self, RootCertStore, server::WebPkiClientVerifier};
use hl7_mllp::tls::{ServerTls, serve_tls};
use hl7_mllp::{Answer, NoObserver, Request, ServerConfig, handler_fn};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, certificate, key, authority] = arguments.as_slice() else {
        anyhow::bail!("usage: mllp_tls_server HOST:PORT CERTIFICATE KEY AUTHORITY");
    };
    // What the server proves, and what it demands of its clients.
    let certificates = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build()?;
    let tls = rustls::ServerConfig::builder()
        .with_client_cert_verifier(clients)
        .with_single_cert(certificates, key)
        .context("certificate and key")?;

    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let handler = handler_fn(|request: Request| async move {
        let id = String::from_utf8_lossy(Hl7.control_id(&request.frame).unwrap_or_default());
        let ack = format!("MSH|^~\\&|B||A||1||ACK|{id}|P|2.3\rMSA|AA|{id}|\r");
        Answer::Reply(ack.into())
    });
    let (config, stop) = (ServerConfig::default(), CancellationToken::new());
    let (tls, handler, observer) = (ServerTls::new(tls), Arc::new(handler), Arc::new(NoObserver));
    println!(
        "{}",
        serve_tls(listener, tls, handler, config, observer, stop).await
    );
    Ok(())
}
