//! Sends a message from standard input over TLS, with a certificate of its own.
//!
//! ```text
//! cargo run -p medsynapse-examples --bin mllp_tls_client -- \
//!     127.0.0.1:2576 server.example client.pem client.key ca.pem < order.hl7
//! ```

#![expect(clippy::print_stdout, reason = "it prints")]

use std::io::Read;

use anyhow::{Context, Result};
use hl7_mllp::tls::TlsDialer;
use hl7_mllp::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use hl7_mllp::tls::rustls::{ClientConfig as TlsConfig, RootCertStore};
use hl7_mllp::{Client, ClientConfig};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, name, certificate, key, authority] = arguments.as_slice() else {
        anyhow::bail!("usage: mllp_tls_client HOST:PORT NAME CERTIFICATE KEY AUTHORITY < MESSAGE");
    };
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;

    // What the client demands of the server, and what it proves.
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let certificates = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let tls = TlsConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates, PrivateKeyDer::from_pem_file(key)?)
        .context("certificate and key")?;

    let dialer = TlsDialer::new(address, name.clone().try_into()?, tls);
    let mut client = Client::connect_tls(&dialer, ClientConfig::default()).await?;
    println!("{:?}", client.submit(&message).await?.verdict);
    Ok(())
}
