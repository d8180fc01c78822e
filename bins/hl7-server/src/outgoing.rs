//! `[[destinations]]`: who hears of studies and reports, and how they are reached.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hl7_mllp::client::{Dial, TcpDialer};
use hl7_mllp::tls::TlsDialer;
use hl7_mllp::tls::rustls::pki_types::pem::PemObject;
use hl7_mllp::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use hl7_mllp::tls::rustls::{ClientConfig as TlsConfig, RootCertStore};
use hl7_mllp::{ClientConfig, ExchangeError};
use medsynapse::{Profile, ReportFormat, StudyStatus};
use medsynapse_broker::{Broker, Clock, LaneConfig, Outbox};
use medsynapse_store::Destination;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// One entry of `[[destinations]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DestinationSection {
    name: String,
    address: String,
    statuses: Vec<String>,
    modalities: Vec<String>,
    sending_applications: Vec<String>,
    sending_facilities: Vec<String>,
    format: Option<String>,
    receiving_application: Option<String>,
    receiving_facility: Option<String>,
    connect_timeout_secs: Option<u64>,
    answer_timeout_secs: Option<u64>,
    retry_first_secs: Option<u64>,
    retry_max_secs: Option<u64>,
    alarm_after: Option<u32>,
    one_message_per_connection: Option<bool>,
    tls: Option<TlsSection>,
}

/// How somebody is reached over TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TlsSection {
    /// Who must have signed its certificate, in PEM; without it, whom this machine trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<PathBuf>,
    /// The name that the certificate must be for; without it, the host of the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What the broker proves itself with, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    cert: Option<PathBuf>,
    /// Its private key, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<PathBuf>,
}

/// A destination, checked.
#[derive(Debug, Clone)]
pub(crate) struct DestinationSettings {
    pub(crate) destination: Destination,
    pub(crate) address: String,
    pub(crate) lane: LaneConfig,
    pub(crate) tls: Option<TlsSection>,
}

/// Reads `[[destinations]]`.
pub(crate) fn read(
    sections: Vec<DestinationSection>,
    profile: &Profile,
) -> Result<Vec<DestinationSettings>> {
    let mut names = BTreeSet::new();
    let mut all = Vec::with_capacity(sections.len());
    for (index, section) in sections.into_iter().enumerate() {
        let place = format!("destinations[{}]", index + 1);
        let settings = section.check(profile).with_context(|| place.clone())?;
        if !names.insert(settings.destination.name.clone()) {
            let name = settings.destination.name;
            bail!("{place}: name: {name:?} is there twice; each queue needs a name of its own");
        }
        all.push(settings);
    }
    Ok(all)
}

impl DestinationSection {
    fn check(self, profile: &Profile) -> Result<DestinationSettings> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(plain) {
            let name = &self.name;
            bail!("name: {name:?} is no name; write up to 64 letters, digits, - _ .");
        }
        let port = self.address.rsplit_once(':').map(|(_, port)| port);
        if !port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0)) {
            let address = &self.address;
            bail!("address: {address:?} is no address; write HOST:PORT, for instance ris:2576");
        }
        let statuses = self.statuses.iter().map(|name| {
            let found = StudyStatus::from_name(name).or_else(|| StudyStatus::from_code(name));
            found.with_context(|| {
                format!("statuses: {name:?} is not known; write completed, read, final, printed")
            })
        });
        let format = match self.format.as_deref() {
            None | Some("TX") => ReportFormat::Text,
            Some("RTF") => ReportFormat::RichText,
            Some(other) => bail!("format: {other:?} is not known; write TX or RTF"),
        };
        let mut lane = LaneConfig::new(self.name.clone());
        let seconds = |name: &str, value: Option<u64>, slot: &mut Duration| match value {
            Some(0) => bail!("{name}: 0 would never succeed; give at least 1"),
            Some(value) => {
                *slot = Duration::from_secs(value);
                Ok(())
            }
            None => Ok(()),
        };
        seconds(
            "connect_timeout_secs",
            self.connect_timeout_secs,
            &mut lane.client.connect_timeout,
        )?;
        seconds(
            "answer_timeout_secs",
            self.answer_timeout_secs,
            &mut lane.client.answer_timeout,
        )?;
        let client = &mut lane.client;
        if self.answer_timeout_secs.is_some() {
            client.first_byte_timeout = client.answer_timeout;
        }
        seconds(
            "retry_first_secs",
            self.retry_first_secs,
            &mut lane.retry.first,
        )?;
        seconds("retry_max_secs", self.retry_max_secs, &mut lane.retry.cap)?;
        if lane.retry.first > lane.retry.cap {
            bail!("retry_first_secs: the first wait is longer than the longest, retry_max_secs");
        }
        lane.alarm_after = self.alarm_after.unwrap_or(lane.alarm_after).max(1);
        lane.client.one_message_per_connection = self
            .one_message_per_connection
            .unwrap_or(profile.one_message_per_connection);
        if let Some(tls) = &self.tls {
            tls.check()?;
        }
        Ok(DestinationSettings {
            destination: Destination {
                name: self.name.clone(),
                statuses: statuses.collect::<Result<_>>()?,
                modalities: self.modalities,
                sending_facilities: self.sending_facilities,
                sending_applications: self.sending_applications,
                format,
                receiving_application: self.receiving_application,
                receiving_facility: self.receiving_facility,
            },
            address: self.address,
            lane,
            tls: self.tls,
        })
    }
}

impl DestinationSettings {
    /// A destination with a name and an address, and the defaults of everything else.
    pub(crate) fn plain(name: &str, address: SocketAddr, profile: &Profile) -> Result<Self> {
        let section = DestinationSection {
            name: name.into(),
            address: address.to_string(),
            ..DestinationSection::default()
        };
        section.check(profile)
    }

    /// As it stands in a configuration file.
    pub(crate) fn shown(&self) -> toml::Value {
        let mut table = toml::Table::new();
        let mut set = |key: &str, value: toml::Value| table.insert(key.into(), value);
        let to = &self.destination;
        let list = |texts: &[String]| toml::Value::from(texts.to_vec());
        set("name", to.name.clone().into());
        set("address", self.address.clone().into());
        let statuses: Vec<String> = to.statuses.iter().map(|s| s.as_str().into()).collect();
        set("statuses", list(&statuses));
        set("modalities", list(&to.modalities));
        set("sending_applications", list(&to.sending_applications));
        set("sending_facilities", list(&to.sending_facilities));
        set("format", to.format.as_str().into());
        for (key, text) in [
            ("receiving_application", &to.receiving_application),
            ("receiving_facility", &to.receiving_facility),
        ] {
            if let Some(text) = text {
                set(key, text.clone().into());
            }
        }
        let seconds = |value: Duration| i64::try_from(value.as_secs()).unwrap_or(i64::MAX);
        let client = &self.lane.client;
        set(
            "connect_timeout_secs",
            seconds(client.connect_timeout).into(),
        );
        set("answer_timeout_secs", seconds(client.answer_timeout).into());
        set("retry_first_secs", seconds(self.lane.retry.first).into());
        set("retry_max_secs", seconds(self.lane.retry.cap).into());
        set("alarm_after", i64::from(self.lane.alarm_after).into());
        let one = client.one_message_per_connection;
        set("one_message_per_connection", one.into());
        if let Some(tls) = &self.tls {
            let mut section = toml::Table::new();
            for (key, path) in [("ca", &tls.ca), ("cert", &tls.cert), ("key", &tls.key)] {
                if let Some(path) = path {
                    section.insert(key.into(), path.to_string_lossy().as_ref().into());
                }
            }
            if let Some(name) = &tls.name {
                section.insert("name".into(), name.clone().into());
            }
            set("tls", section.into());
        }
        table.into()
    }

    /// How it is reached, for the banner.
    pub(crate) fn protection(&self) -> &'static str {
        match &self.tls {
            None => "clear text",
            Some(tls) if tls.cert.is_some() => "mutual TLS",
            Some(_) => "TLS",
        }
    }

    fn dialer(&self) -> Result<RisDialer> {
        let Some(tls) = &self.tls else {
            return Ok(RisDialer::Clear(TcpDialer::new(self.address.clone())));
        };
        Ok(RisDialer::Tls(tls.dialer(&self.address)?))
    }
}

impl TlsSection {
    /// Says what is wrong with it.
    pub(crate) fn check(&self) -> Result<()> {
        if self.cert.is_some() != self.key.is_some() {
            bail!("tls: cert and key go together; give both or neither");
        }
        Ok(())
    }

    /// What reaches `host:port` so.
    pub(crate) fn dialer(&self, address: &str) -> Result<TlsDialer> {
        let host = address.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_matches(['[', ']']);
        let name = self.name.clone().unwrap_or_else(|| host.into());
        let name = ServerName::try_from(name.clone())
            .with_context(|| format!("tls.name: {name:?} is no host name"))?;
        Ok(TlsDialer::new(address, name, self.client_config()?))
    }

    fn client_config(&self) -> Result<TlsConfig> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca {
            for certificate in certificates(path, "tls.ca")? {
                roots.add(certificate).context("tls.ca")?;
            }
        } else {
            for certificate in rustls_native_certs::load_native_certs().certs {
                // One that cannot be read signs nothing.
                let _ = roots.add(certificate);
            }
        }
        let builder = TlsConfig::builder().with_root_certificates(roots);
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(cert, "tls.cert")?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
            let path = key.display();
            anyhow::anyhow!("tls.key: no private key can be read from {path}: {error}")
        })?;
        builder
            .with_client_auth_cert(chain, key)
            .context("tls: the certificate and the key do not go together")
    }
}

fn certificates(path: &PathBuf, setting: &str) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable = |error: &dyn std::fmt::Display| {
        let path = path.display();
        anyhow::anyhow!("{setting}: no certificates can be read from {path}: {error}")
    };
    let read = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))?;
    let chain: Vec<_> = read
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(&error))?;
    if chain.is_empty() {
        bail!("{setting}: {} holds no certificate", path.display());
    }
    Ok(chain)
}

/// Starts a lane for each destination.
pub(crate) fn start(
    destinations: &[DestinationSettings],
    broker: &Arc<Broker>,
    clock: &Arc<dyn Clock>,
    stop: &CancellationToken,
) -> Result<Outbox> {
    let mut outbox = Outbox::new();
    let now = clock.now().timestamp_micros().cast_unsigned();
    for (settings, seed) in destinations.iter().zip(now..) {
        let name = &settings.destination.name;
        let dialer = settings
            .dialer()
            .with_context(|| format!("destination {name}"))?;
        let lane = LaneConfig {
            seed,
            ..settings.lane.clone()
        };
        outbox.start(
            Arc::clone(broker),
            dialer,
            lane,
            Arc::clone(clock),
            stop.clone(),
        );
    }
    Ok(outbox)
}

/// A connection of either kind.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

#[derive(Debug)]
enum RisDialer {
    Clear(TcpDialer),
    Tls(TlsDialer),
}

impl Dial for RisDialer {
    type Io = Box<dyn Connection>;

    async fn dial(&self, config: &ClientConfig) -> Result<Self::Io, ExchangeError> {
        Ok(match self {
            Self::Clear(dialer) => Box::new(dialer.dial(config).await?),
            Self::Tls(dialer) => Box::new(dialer.dial(config).await?),
        })
    }
}
