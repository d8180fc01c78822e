//! This server as its own TLS client: the gateway sends to its MLLP port, the health check asks its
//! REST port. Both trust the very certificate that the port is configured with, and no other.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use hl7_mllp::tls::rustls;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::tls::TlsFiles;

/// What trusts the certificate of a listener and proves itself with it, should it be asked to.
pub(crate) fn client(files: &TlsFiles) -> Result<ClientConfig> {
    let builder = ClientConfig::builder();
    let own = Own {
        cert: files.cert.clone(),
        provider: Arc::clone(builder.crypto_provider()),
    };
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(own));
    if files.client_ca.is_none() {
        return Ok(builder.with_no_client_auth());
    }
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .context("reading the certificate")?;
    let key = PrivateKeyDer::from_pem_file(&files.key).context("reading the key")?;
    builder
        .with_client_auth_cert(chain, key)
        .context("the certificate and the key do not go together")
}

/// Trusts one certificate: the first one in a file, as the file is now.
#[derive(Debug)]
struct Own {
    cert: PathBuf,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Own {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let own = CertificateDer::from_pem_file(&self.cert)
            .map_err(|error| Error::General(format!("{}: {error}", self.cert.display())))?;
        if own == *end_entity {
            return Ok(ServerCertVerified::assertion());
        }
        let text = "another certificate than this server's own; is another server on its port?";
        Err(Error::General(text.into()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
