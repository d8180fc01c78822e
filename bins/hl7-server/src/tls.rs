//! TLS for the listeners: certificates from files, looked at again while the server runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use hl7_mllp::tls::ServerTls;
use hl7_mllp::tls::rustls::pki_types::pem::PemObject;
use hl7_mllp::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use hl7_mllp::tls::rustls::server::WebPkiClientVerifier;
use hl7_mllp::tls::rustls::{RootCertStore, ServerConfig};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Which files a listener proves itself with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsFiles {
    /// The certificate and those between it and its authority, in PEM.
    pub(crate) cert: PathBuf,
    /// Its private key, in PEM.
    pub(crate) key: PathBuf,
    /// Who must have signed the certificates of clients; without it clients need none.
    pub(crate) client_ca: Option<PathBuf>,
}

impl TlsFiles {
    fn paths(&self) -> impl Iterator<Item = &Path> {
        let ca = self.client_ca.as_deref();
        [self.cert.as_path(), self.key.as_path()]
            .into_iter()
            .chain(ca)
    }

    /// The configuration that the files make.
    pub(crate) fn load(&self, section: &str, protocol: Option<&[u8]>) -> Result<Arc<ServerConfig>> {
        let chain = certificates(&self.cert, &format!("{section}.tls.cert"))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| {
            let path = self.key.display();
            anyhow::anyhow!("{section}.tls.key: no private key can be read from {path}: {error}")
        })?;
        let builder = ServerConfig::builder();
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let setting = format!("{section}.tls.client_ca");
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path, &setting)? {
                    roots.add(certificate).context(setting.clone())?;
                }
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
                builder.with_client_cert_verifier(verifier.build().context(setting)?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).with_context(|| {
            format!("{section}.tls: the certificate and the key do not go together")
        })?;
        config.alpn_protocols.extend(protocol.map(<[u8]>::to_vec));
        Ok(Arc::new(config))
    }

    /// When the files last changed.
    fn changed_at(&self) -> Vec<Option<SystemTime>> {
        let changed = |path: &Path| {
            std::fs::metadata(path)
                .and_then(|file| file.modified())
                .ok()
        };
        self.paths().map(changed).collect()
    }
}

fn certificates(path: &Path, setting: &str) -> Result<Vec<CertificateDer<'static>>> {
    let reading = |error| anyhow::anyhow!("{setting}: {}: {error}", path.display());
    let found = CertificateDer::pem_file_iter(path).map_err(reading)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(reading)?;
    if found.is_empty() {
        bail!("{setting}: {} holds no certificate", path.display());
    }
    Ok(found)
}

/// What a listener proves itself with, exchanged when its files change: connections that are open
/// keep what they were made with.
#[derive(Clone)]
pub(crate) struct Tls {
    http: Arc<RwLock<Arc<ServerConfig>>>,
    mllp: ServerTls,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Loads the files and, until `stop`, looks whether they change.
    pub(crate) fn start(
        files: TlsFiles,
        section: &'static str,
        protocol: Option<&'static [u8]>,
        stop: CancellationToken,
    ) -> Result<Self> {
        let config = files.load(section, protocol)?;
        let tls = Self {
            http: Arc::new(RwLock::new(Arc::clone(&config))),
            mllp: ServerTls::new(config),
        };
        let reloading = tls.clone();
        tokio::spawn(async move {
            let mut seen = files.changed_at();
            while tokio::time::timeout(LOOK_EVERY, stop.cancelled())
                .await
                .is_err()
            {
                let now = files.changed_at();
                if now == seen {
                    continue;
                }
                match files.load(section, protocol) {
                    Ok(config) => {
                        reloading.replace(config);
                        seen = now;
                        tracing::info!(section, "the certificate was loaded again");
                    }
                    // Perhaps one file of two is written so far: the next look sees both.
                    Err(error) => tracing::warn!(section, "the certificate is kept: {error:#}"),
                }
            }
        });
        Ok(tls)
    }

    fn replace(&self, config: Arc<ServerConfig>) {
        *self.http.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&config);
        self.mllp.reload(config);
    }

    /// For the next HTTP connection.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.http.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// For an MLLP server.
    pub(crate) fn mllp(&self) -> ServerTls {
        self.mllp.clone()
    }
}
