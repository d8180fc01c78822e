//! Certificates and keys from PEM files into TLS settings.

use std::{path::Path, sync::Arc};

use anyhow::{Context, anyhow, bail};
use hl7_mllp::tls::rustls::{
    self, ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};

use crate::cli::TlsArgs;

/// What this program trusts and shows when it connects.
pub(crate) fn client(args: &TlsArgs) -> anyhow::Result<Arc<ClientConfig>> {
    let roots = match &args.ca {
        Some(path) => roots(path)?,
        None => roots_of_system()?,
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match identity(args)? {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .context("--cert and --key do not belong together")?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// What this program shows, and demands if there is a `--ca`, when it is connected to.
pub(crate) fn server(args: &TlsArgs) -> anyhow::Result<ServerConfig> {
    let Some((chain, key)) = identity(args)? else {
        bail!("--listen with --tls needs --cert and --key");
    };
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match &args.ca {
        Some(path) => {
            let roots = Arc::new(roots(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            builder.with_client_cert_verifier(verifier.build()?)
        }
        None => builder.with_no_client_auth(),
    };
    builder
        .with_single_cert(chain, key)
        .context("--cert and --key do not belong together")
}

/// The name that the receiver's certificate must be for: `--sni`, or the host.
pub(crate) fn server_name(args: &TlsArgs, host: &str) -> anyhow::Result<ServerName<'static>> {
    let name = args.sni.as_deref().unwrap_or(host);
    let name = name
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    ServerName::try_from(name.clone())
        .map_err(|_| anyhow!("{name} is no name a certificate can have; check --sni"))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn roots(path: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "--ca")? {
        roots.add(certificate).with_context(|| {
            format!(
                "{} holds a certificate that cannot be trusted; check --ca",
                path.display()
            )
        })?;
    }
    Ok(roots)
}

fn roots_of_system() -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        bail!("this machine has no trusted certificates; name the authority with --ca FILE");
    }
    Ok(roots)
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(args: &TlsArgs) -> anyhow::Result<Option<Identity>> {
    let (Some(cert), Some(key)) = (&args.cert, &args.key) else {
        return Ok(None);
    };
    let chain = certificates(cert, "--cert")?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        anyhow!(
            "{} holds no private key in PEM: {error}; check --key",
            key.display()
        )
    })?;
    Ok(Some((chain, key)))
}

fn certificates(path: &Path, option: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let shown = path.display();
    let certificates: Result<Vec<_>, rustls::pki_types::pem::Error> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let certificates = certificates
        .map_err(|error| anyhow!("cannot read {shown} as PEM: {error}; check {option}"))?;
    if certificates.is_empty() {
        bail!("{shown} holds no certificate in PEM; check {option}");
    }
    Ok(certificates)
}
