//! `[gateway]`: to whom the gateway sends messages itself, and under which names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hl7_mllp::tls::TlsDialer;
use hl7_mllp::tls::rustls::pki_types::ServerName;
use medsynapse::domain::Station;
use medsynapse_http::GatewaySettings;
use serde::{Deserialize, Serialize};

use crate::outgoing::TlsSection;
use crate::tls::TlsFiles;
use crate::tls_own;

/// `[gateway]`
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct GatewaySection {
    /// `host:port` of the broker; without it this one.
    broker: Option<String>,
    sending_application: Option<String>,
    sending_facility: Option<String>,
    receiving_application: Option<String>,
    receiving_facility: Option<String>,
    answer_wait_secs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsSection>,
    stations: BTreeMap<String, StationSection>,
}

/// `[gateway.stations.CT]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StationSection {
    ae_title: String,
    name: Option<String>,
}

impl GatewaySection {
    /// Says what is wrong with it.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(tls) = &self.tls {
            tls.check().context("gateway")?;
        }
        if let Some(broker) = &self.broker
            && !broker
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        {
            bail!("gateway.broker: {broker:?} is not an address; write pacs.example.org:2575");
        }
        if self.answer_wait_secs == Some(0) {
            bail!("gateway.answer_wait_secs: 0 would give up at once; give at least 1");
        }
        for (modality, station) in &self.stations {
            if station.ae_title.is_empty() || station.ae_title.len() > 16 {
                bail!("gateway.stations.{modality}.ae_title: an AE title has 1 to 16 characters");
            }
        }
        Ok(())
    }

    /// MSH-3 and MSH-4 of what the gateway sends.
    pub(crate) fn sender(&self) -> (String, String) {
        let default = GatewaySettings::default();
        let or = |given: &Option<String>, default| given.clone().unwrap_or(default);
        (
            or(&self.sending_application, default.sending_application),
            or(&self.sending_facility, default.sending_facility),
        )
    }

    /// How the broker is reached over TLS, if it is: as configured, and this broker by its own
    /// certificate.
    pub(crate) fn dialer(
        &self,
        settings: &GatewaySettings,
        own: Option<&TlsFiles>,
    ) -> Result<Option<TlsDialer>> {
        match (&self.tls, own) {
            (Some(tls), _) => tls.dialer(&settings.broker).map(Some).context("gateway"),
            (None, Some(files)) if self.broker.is_none() => {
                let address: SocketAddr = settings.broker.parse().context("gateway.broker")?;
                let config = tls_own::client(files).context("mllp.tls")?;
                let name = ServerName::from(address.ip());
                Ok(Some(TlsDialer::new(&*settings.broker, name, config)))
            }
            (None, _) => Ok(None),
        }
    }

    /// The settings, with this broker's own address where no other is named.
    pub(crate) fn settings(&self, mut own: SocketAddr) -> GatewaySettings {
        if own.ip().is_unspecified() {
            own.set_ip(if own.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        let default = GatewaySettings::default();
        let or = |given: &Option<String>, default: String| given.clone().unwrap_or(default);
        let station = |(modality, station): (&String, &StationSection)| {
            let (ae_title, name) = (station.ae_title.clone(), station.name.clone());
            (modality.to_ascii_uppercase(), Station { ae_title, name })
        };
        GatewaySettings {
            broker: or(&self.broker, own.to_string()),
            sending_application: or(&self.sending_application, default.sending_application),
            sending_facility: or(&self.sending_facility, default.sending_facility),
            receiving_application: or(&self.receiving_application, default.receiving_application),
            receiving_facility: or(&self.receiving_facility, default.receiving_facility),
            stations: self.stations.iter().map(station).collect(),
            answer_wait: self
                .answer_wait_secs
                .map_or(default.answer_wait, Duration::from_secs),
        }
    }
}
