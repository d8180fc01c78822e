//! [`Target`]: where the database is, and how sessions with it begin.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::plain;
use crate::error::StoreError;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// How long the other end may leave bytes unacknowledged.
const SILENCE: Duration = Duration::from_secs(10);

/// How every session begins. What is acknowledged is on the disk of PostgreSQL, whatever its
/// configuration says; a setting that asks for more, such as `remote_apply`, stays.
const SESSION: &str = "SELECT set_config('synchronous_commit', 'on', FALSE) \
    WHERE current_setting('synchronous_commit') = 'off'; \
    SET default_transaction_isolation = 'read committed'; SET jit = off; \
    SET idle_in_transaction_session_timeout = '2s'";
/// The writer besides: who waits for the lock of the log longer than this is better told so. The
/// statements find rows by their keys alone, and tables that were empty when they were planned
/// must not make them search all of them.
const WRITER: &str = "SET lock_timeout = '5s'; SET statement_timeout = '10s'; \
    SET plan_cache_mode = 'force_generic_plan'; SET enable_seqscan = off";
/// A reader besides.
const READER: &str = "SET lock_timeout = '5s'; SET statement_timeout = '30s'; \
    SET idle_in_transaction_session_timeout = '60s'";

/// Where the database is.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").finish_non_exhaustive()
    }
}

fn wrong(text: impl std::fmt::Display) -> StoreError {
    StoreError::Settings(text.to_string())
}

impl Target {
    /// Reads `postgres://user@host:port/database?…`.
    pub(super) fn read(url: &str, password: Option<&str>, node: &str) -> Result<Self, StoreError> {
        let (url, root) = without_root_certificate(url);
        let mut config = Config::from_str(&url.replace("sslmode=verify-full", "sslmode=require"))
            .map_err(|error| wrong(plain(&error)))?;
        if config.get_dbname().is_none() {
            return Err(wrong(
                "the name of the database is missing: postgres://host/NAME",
            ));
        }
        if config.get_user().is_none() {
            return Err(wrong("the user is missing: postgres://USER@host/name"));
        }
        if let Some(password) = password {
            config.password(password);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        config.tcp_user_timeout(SILENCE);
        config.keepalives_idle(SILENCE);
        config.keepalives_interval(Duration::from_secs(3));
        config.keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name(format!("hl7-server {node}"));
        }
        // What travels beyond this machine is protected, unless somebody says otherwise.
        let beyond = config.get_hosts().iter().any(|host| match host {
            Host::Tcp(name) => !is_this_machine(name),
            #[cfg(unix)]
            Host::Unix(_) => false,
        });
        if beyond && !url.contains("sslmode=") {
            config.ssl_mode(SslMode::Require);
        }
        Ok(Self {
            tls: tls(root.as_deref())?,
            config,
        })
    }

    /// What a person may read of it.
    pub(super) fn shown(&self) -> String {
        let hosts: Vec<String> = self
            .config
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                #[cfg(unix)]
                Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        let ports: Vec<String> = self.config.get_ports().iter().map(u16::to_string).collect();
        format!(
            "{}:{}/{}",
            hosts.join(","),
            ports.first().map_or("5432", String::as_str),
            self.config.get_dbname().unwrap_or_default()
        )
    }

    async fn connect(&self, more: &str) -> Result<Client, StoreError> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        // Ends with the client, or with the connection: whoever asks then is told.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = plain(&error), "a connection to the database ended");
            }
        });
        client.batch_execute(&format!("{SESSION}; {more}")).await?;
        Ok(client)
    }

    pub(super) async fn connect_writer(&self) -> Result<Client, StoreError> {
        self.connect(WRITER).await
    }

    pub(super) async fn connect_reader(&self) -> Result<Client, StoreError> {
        self.connect(READER).await
    }
}

/// The first statements of a reader of the pool.
pub(super) fn reader_session() -> String {
    format!("{SESSION}; {READER}")
}

fn is_this_machine(name: &str) -> bool {
    name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// `sslrootcert` is read here: the library does not know it.
fn without_root_certificate(url: &str) -> (String, Option<PathBuf>) {
    let Some((front, query)) = url.split_once('?') else {
        return (url.into(), None);
    };
    let mut root = None;
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| match pair.strip_prefix("sslrootcert=") {
            Some(path) => {
                root = Some(PathBuf::from(path));
                false
            }
            None => !pair.is_empty(),
        })
        .collect();
    let url = if kept.is_empty() {
        front.to_owned()
    } else {
        format!("{front}?{}", kept.join("&"))
    };
    (url, root)
}

/// Certificates are always checked, the name of the host included.
fn tls(root: Option<&Path>) -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = root {
        let file = |error: &dyn std::fmt::Display| StoreError::File {
            path: path.display().to_string(),
            message: error.to_string(),
        };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| file(&error))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| file(&error))?;
            roots.add(certificate).map_err(|error| file(&error))?;
        }
        if roots.is_empty() {
            return Err(file(&"it holds no certificate"));
        }
    } else {
        // Read once: it takes some milliseconds.
        static NATIVE: LazyLock<RootCertStore> = LazyLock::new(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        });
        roots.clone_from(&NATIVE);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Target, StoreError> {
        Target::read(url, None, "node")
    }

    #[test]
    fn beyond_this_machine_the_connection_is_protected() {
        let mode = |url: &str| read(url).unwrap().config.get_ssl_mode();
        assert_eq!(mode("postgres://u@db.example/m"), SslMode::Require);
        assert_eq!(
            mode("postgres://u@192.0.2.7/m?sslmode=disable"),
            SslMode::Disable
        );
        assert_eq!(mode("postgres://u@localhost/m"), SslMode::Prefer);
        assert_eq!(mode("postgres://u@127.0.0.1/m"), SslMode::Prefer);
        assert_eq!(
            mode("postgres://u@h/m?sslmode=verify-full"),
            SslMode::Require
        );
    }

    #[test]
    fn what_is_missing_is_said() {
        let text = |url| read(url).unwrap_err().to_string();
        assert!(text("postgres://u@localhost").contains("name of the database"));
        assert!(text("postgres://localhost/m").contains("user"));
        assert!(text("postgres://u@h/m?sslrootcert=/no/such/file").contains("/no/such/file"));
    }

    #[test]
    fn the_password_is_not_shown() {
        let target = read("postgres://u:secret@localhost:5433/m").unwrap();
        assert_eq!(target.shown(), "localhost:5433/m");
        assert!(!format!("{target:?}").contains("secret"));
    }
}
