//! [`Config`]: everything that can be set, from file, environment and command line, checked once.

mod show;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hl7_message::Charset;
use medsynapse::{Mapping, Preset, Profile};
use serde::Deserialize;

use crate::cli::{Options, ProfileName};
use crate::database::{DatabaseSection, DatabaseSettings};
use crate::dicom::{DicomSection, DicomSettings};
use crate::encryption::{EncryptionSection, EncryptionSettings};
use crate::faults::{FaultSettings, FaultsSection};
use crate::gateway::GatewaySection;
use crate::guarding::{self, Guarding, JwtSection, RateSettings};
use crate::outgoing::{self, DestinationSection, DestinationSettings};
use crate::retention::RetentionSection;
use crate::tls::TlsFiles;

/// Where the data lies when nobody says.
const DATA_DIR: &str = "medsynapse-data";
/// What is logged when nobody says; the migrations are told of by the store itself.
const LOG: &str = "info,refinery_core=warn";

/// The effective configuration.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    pub(crate) database: Option<DatabaseSettings>,
    pub(crate) mllp: SocketAddr,
    pub(crate) rest: SocketAddr,
    pub(crate) web: SocketAddr,
    pub(crate) insecure: bool,
    pub(crate) api_keys: Vec<String>,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) guarding: Guarding,
    pub(crate) gateway: GatewaySection,
    pub(crate) profile: Profile,
    pub(crate) mllp_server: hl7_mllp::ServerConfig,
    /// `mllp.allow`, as it was written.
    mllp_allow: Vec<String>,
    pub(crate) faults: FaultSettings,
    pub(crate) retention_days: Option<u32>,
    pub(crate) encryption: EncryptionSettings,
    pub(crate) destinations: Vec<DestinationSettings>,
    pub(crate) dicom: DicomSettings,
    pub(crate) log: String,
    pub(crate) log_json: bool,
}

/// The configuration file. A key that is not here is an error.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    profile: Option<ProfileName>,
    insecure: bool,
    database: DatabaseSection,
    mllp: MllpSection,
    rest: RestSection,
    gateway: GatewaySection,
    web: WebSection,
    broker: BrokerSection,
    faults: FaultsSection,
    retention: RetentionSection,
    encryption: EncryptionSection,
    destinations: Vec<DestinationSection>,
    dicom: DicomSection,
    log: LogSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MllpSection {
    listen: Option<String>,
    frame_bytes_max: Option<usize>,
    connections_max: Option<usize>,
    connections_per_address_max: Option<usize>,
    frame_deadline_secs: Option<u64>,
    idle_timeout_secs: Option<u64>,
    allow: Vec<String>,
    tls: Option<TlsFiles>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RestSection {
    listen: Option<String>,
    api_keys: Vec<String>,
    allowed_hosts: Vec<String>,
    allow: Vec<String>,
    origins: Vec<String>,
    tls: Option<TlsFiles>,
    jwt: Option<JwtSection>,
    requests_per_minute: Option<u32>,
    requests_burst: Option<u32>,
    failed_logins_per_minute: Option<u32>,
    failed_logins_burst: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WebSection {
    listen: Option<String>,
    allow: Vec<String>,
    tls: Option<TlsFiles>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct BrokerSection {
    application: Option<String>,
    facility: Option<String>,
    sequence_number: Option<String>,
    country_code: Option<String>,
    mapping: Option<String>,
    ae_titles: BTreeMap<String, String>,
    default_charset: Option<String>,
    send_err: Option<bool>,
    check_lengths: Option<bool>,
    accept_other_versions: Option<bool>,
    accept_rich_text: Option<bool>,
    accept_change_order: Option<bool>,
    accept_reused_control_id: Option<bool>,
    one_message_per_connection: Option<bool>,
    one_connection: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LogSection {
    filter: Option<String>,
    json: bool,
}

impl Config {
    /// Puts the configuration together from the file that `options` name and from themselves.
    ///
    /// # Errors
    ///
    /// What is wrong, with the file and the key.
    pub(crate) fn load(options: &Options) -> Result<Self> {
        let file = match &options.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        let mut profile = profile(options, &file.broker, file.profile)?;
        profile.own_sender = Some(file.gateway.sender());
        if options.demo.is_some() && profile.mapping != Mapping::Medsynapse {
            bail!(
                "--demo: generated messages have the fields of the mapping medsynapse, and \
                 broker.mapping is {}; leave one of them out",
                profile.mapping
            );
        }
        let guarding = guarding(&file)?;
        let dicom = dicom(options, file.dicom, &profile)?;
        let mut config = Self {
            data_dir: options
                .data_dir
                .clone()
                .or(file.data_dir)
                .unwrap_or_else(|| PathBuf::from(DATA_DIR)),
            database: file.database.settings(options)?,
            mllp: mllp_address(options, file.mllp.listen.as_deref())?,
            rest: rest_address(options, file.rest.listen.as_deref())?,
            web: address(
                "--web",
                options.web.as_deref(),
                "web",
                file.web.listen.as_deref(),
                5000,
            )?,
            insecure: options.insecure || file.insecure,
            api_keys: file.rest.api_keys,
            guarding,
            gateway: file.gateway,
            allowed_hosts: file.rest.allowed_hosts,
            destinations: outgoing::read(file.destinations, &profile)?,
            mllp_server: mllp_server(&file.mllp, &profile)?,
            mllp_allow: file.mllp.allow,
            profile,
            faults: file.faults.settings()?,
            dicom,
            retention_days: file.retention.days()?,
            encryption: file.encryption.settings(options)?,
            log: options
                .log
                .clone()
                .or(file.log.filter)
                .unwrap_or_else(|| LOG.into()),
            log_json: file.log.json,
        };
        config
            .api_keys
            .extend(options.api_key.clone().filter(|key| !key.is_empty()));
        config.check()?;
        Ok(config)
    }

    /// Refuses what would be dangerous.
    fn check(&self) -> Result<()> {
        tracing_subscriber::EnvFilter::try_new(&self.log).with_context(|| {
            format!(
                "--log or log.filter: {:?} is not a filter; write info or hl7_mllp=debug",
                self.log
            )
        })?;
        let responder = &self.profile.responder;
        for (key, text) in [
            ("application", &responder.application),
            ("facility", &responder.facility),
            ("sequence_number", &responder.sequence_number),
            ("country_code", &responder.country_code),
        ] {
            if text.chars().any(|c| c.is_control() || "|^~\\&".contains(c)) {
                bail!("broker.{key}: {text:?} holds an HL7 delimiter or a control character");
            }
        }
        if self.api_keys.iter().any(|key| key.len() < 8) {
            bail!("rest.api_keys: a key has fewer than 8 characters; choose a longer one");
        }
        self.gateway.check()?;
        if self.database.is_some() && self.encryption.keys.is_some() {
            bail!(
                "encryption.key_file: a shared database is not encrypted by the broker yet; leave \
                 it out, and have PostgreSQL on an encrypted disk"
            );
        }
        Ok(())
    }

    /// Refuses listeners that others can reach without a key. This may ask the database.
    ///
    /// # Errors
    ///
    /// There is one.
    pub(crate) fn protected(&self) -> Result<()> {
        if self.insecure || [self.rest, self.web].iter().all(|at| at.ip().is_loopback()) {
            return Ok(());
        }
        let keys = !self.api_keys.is_empty() || guarding::has_keys(self)?;
        for (name, flag, address) in [("REST", "--rest", self.rest), ("web", "--web", self.web)] {
            // Browsers at the pages show keys alone.
            let protected = keys || (name == "REST" && self.guarding.jwt.is_some());
            if !address.ip().is_loopback() && !protected {
                bail!(
                    "{name}: {address} can be reached from other machines without a key. Keep it \
                     on 127.0.0.1 ({flag}), make a key with `hl7-server keys add NAME`, set \
                     API_KEY or rest.api_keys, or accept the risk with --insecure"
                );
            }
        }
        Ok(())
    }

    /// The effective configuration as TOML, secrets hidden.
    pub(crate) fn shown(&self) -> String {
        let profile = &self.profile;
        let server = &self.mllp_server;
        let number = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        let seconds = |value: Duration| i64::try_from(value.as_secs()).unwrap_or(i64::MAX);
        let keys = vec!["(hidden)".to_owned(); self.api_keys.len()];
        let mut table = toml::toml! { [mllp] [rest] [web] [broker] [log] };
        let mut set = |section: &str, key: &str, value: toml::Value| {
            let place = if section.is_empty() {
                Some(&mut table)
            } else {
                table.get_mut(section).and_then(toml::Value::as_table_mut)
            };
            if let Some(place) = place {
                place.insert(key.into(), value);
            }
        };
        set(
            "",
            "data_dir",
            self.data_dir.to_string_lossy().as_ref().into(),
        );
        set("", "profile", profile.preset.as_str().into());
        set("", "insecure", self.insecure.into());
        set("mllp", "listen", self.mllp.to_string().into());
        set(
            "mllp",
            "frame_bytes_max",
            number(server.limits.frame_bytes_max).into(),
        );
        set(
            "mllp",
            "connections_max",
            number(server.connections_max).into(),
        );
        let per_address = number(server.connections_per_address_max);
        set("mllp", "connections_per_address_max", per_address.into());
        set(
            "mllp",
            "frame_deadline_secs",
            seconds(server.frame_deadline).into(),
        );
        if let Some(idle) = server.idle_timeout {
            set("mllp", "idle_timeout_secs", seconds(idle).into());
        }
        set("mllp", "allow", self.mllp_allow.clone().into());
        set("rest", "listen", self.rest.to_string().into());
        set("rest", "api_keys", keys.into());
        set("rest", "allowed_hosts", self.allowed_hosts.clone().into());
        set("web", "listen", self.web.to_string().into());
        show::guarding(&self.guarding, &mut set);
        // Names, numbers and texts are always TOML.
        let gateway = toml::Value::try_from(&self.gateway);
        set(
            "",
            "gateway",
            gateway.unwrap_or(toml::Value::Table(toml::Table::new())),
        );
        for (key, text) in [
            ("application", &profile.responder.application),
            ("facility", &profile.responder.facility),
            ("sequence_number", &profile.responder.sequence_number),
            ("country_code", &profile.responder.country_code),
        ] {
            set("broker", key, text.as_str().into());
        }
        show::mapping(profile, &mut set);
        set(
            "broker",
            "default_charset",
            profile.default_charset.name().into(),
        );
        for (key, switch) in [
            ("send_err", profile.send_err),
            ("check_lengths", profile.check_lengths),
            ("accept_other_versions", profile.accept_other_versions),
            ("accept_rich_text", profile.accept_rich_text),
            ("accept_change_order", profile.accept_change_order),
            ("accept_reused_control_id", profile.accept_reused_control_id),
            (
                "one_message_per_connection",
                profile.one_message_per_connection,
            ),
            ("one_connection", profile.one_connection),
        ] {
            set("broker", key, switch.into());
        }
        set("log", "filter", self.log.as_str().into());
        set("log", "json", self.log_json.into());
        let database = self.database.iter().map(DatabaseSettings::table);
        table.extend(database.map(|database| ("database".to_owned(), database.into())));
        table.insert("faults".into(), self.faults.shown().into());
        if let Some(days) = self.retention_days {
            let days = toml::Table::from_iter([("days".to_owned(), i64::from(days).into())]);
            table.insert("retention".into(), days.into());
        }
        self.show_rest(&mut table);
        table.to_string()
    }

    /// What is there only if it is set, and the modalities.
    fn show_rest(&self, table: &mut toml::Table) {
        if let Some(shown) = self.encryption.shown() {
            table.insert("encryption".into(), shown.into());
        }
        if !self.destinations.is_empty() {
            let shown = self.destinations.iter().map(DestinationSettings::shown);
            table.insert("destinations".into(), toml::Value::Array(shown.collect()));
        }
        table.insert("dicom".into(), self.dicom.shown().into());
    }
}

/// What modalities meet.
fn dicom(options: &Options, section: DicomSection, profile: &Profile) -> Result<DicomSettings> {
    let listen = section.listen.as_deref();
    let worklist = address("--dicom", options.dicom.as_deref(), "dicom", listen, 11112)?;
    let recorder = section.recorder.as_ref().map(|recorder| {
        let listen = recorder.listen.as_deref();
        address("", None, "dicom.recorder", listen, 11113)
    });
    section.settings(worklist, recorder.transpose()?, profile)
}

/// What guards the listeners.
fn guarding(file: &File) -> Result<Guarding> {
    let rest = &file.rest;
    let failed_logins = guarding::rate(
        rest.failed_logins_per_minute,
        rest.failed_logins_burst,
        Some((60, 100)),
    );
    let Some(failed_logins) = failed_logins else {
        bail!("rest.failed_logins_per_minute: 0 would let keys be guessed; give at least 1");
    };
    Ok(Guarding {
        rest_allow: guarding::ranges("rest.allow", &rest.allow)?,
        web_allow: guarding::ranges("web.allow", &file.web.allow)?,
        mllp_tls: file.mllp.tls.clone(),
        rest_tls: rest.tls.clone(),
        web_tls: file.web.tls.clone(),
        origins: guarding::origins(rest.origins.clone())?,
        jwt: rest.jwt.clone(),
        rates: RateSettings {
            requests: guarding::rate(rest.requests_per_minute, rest.requests_burst, None),
            failed_logins,
        },
    })
}

fn read(path: &Path) -> Result<File> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("in the configuration file {}", path.display()))
}

fn mllp_address(options: &Options, listen: Option<&str>) -> Result<SocketAddr> {
    let mut found = address("--mllp", options.mllp.as_deref(), "mllp", listen, 2575)?;
    if options.mllp.is_none() {
        if let Some(host) = &options.mllp_host {
            let with_port = format!("{host}:{}", found.port());
            found = parse("MLLP_HOST", &with_port.replace("localhost:", "127.0.0.1:"))?;
        }
        if let Some(port) = &options.mllp_port {
            found.set_port(port_of("MLLP_PORT", port)?);
        }
    }
    Ok(found)
}

fn rest_address(options: &Options, listen: Option<&str>) -> Result<SocketAddr> {
    let mut found = address("--rest", options.rest.as_deref(), "rest", listen, 3000)?;
    if let (None, Some(port)) = (&options.rest, &options.port) {
        found.set_port(port_of("PORT", port)?);
    }
    Ok(found)
}

fn port_of(name: &str, text: &str) -> Result<u16> {
    text.trim()
        .parse()
        .ok()
        .with_context(|| format!("{name}: {text:?} is not a port; write 0 to 65535"))
}

fn address(
    flag: &str,
    given: Option<&str>,
    section: &str,
    listen: Option<&str>,
    port: u16,
) -> Result<SocketAddr> {
    match (given, listen) {
        (Some(text), _) => parse(flag, text),
        (None, Some(text)) => parse(&format!("{section}.listen"), text),
        (None, None) => Ok(SocketAddr::from(([127, 0, 0, 1], port))),
    }
}

fn parse(name: &str, text: &str) -> Result<SocketAddr> {
    text.replace("localhost:", "127.0.0.1:")
        .parse()
        .ok()
        .with_context(|| {
            format!(
                "{name}: {text:?} is not an address; write IP:PORT, for instance 127.0.0.1:2575"
            )
        })
}

fn profile(
    options: &Options,
    section: &BrokerSection,
    name: Option<ProfileName>,
) -> Result<Profile> {
    let preset = options
        .profile
        .or(name)
        .map_or(Preset::default(), Preset::from);
    let mut profile = Profile::from(preset);
    let responder = &mut profile.responder;
    for (slot, value) in [
        (&mut responder.application, &section.application),
        (&mut responder.facility, &section.facility),
        (&mut responder.sequence_number, &section.sequence_number),
        (&mut responder.country_code, &section.country_code),
    ] {
        if let Some(value) = value {
            slot.clone_from(value);
        }
    }
    for (slot, value) in [
        (&mut profile.send_err, section.send_err),
        (&mut profile.check_lengths, section.check_lengths),
        (
            &mut profile.accept_other_versions,
            section.accept_other_versions,
        ),
        (&mut profile.accept_rich_text, section.accept_rich_text),
        (
            &mut profile.accept_change_order,
            section.accept_change_order,
        ),
        (
            &mut profile.accept_reused_control_id,
            section.accept_reused_control_id,
        ),
        (
            &mut profile.one_message_per_connection,
            section.one_message_per_connection,
        ),
        (&mut profile.one_connection, section.one_connection),
    ] {
        *slot = value.unwrap_or(*slot);
    }
    if let Some(name) = &section.mapping {
        profile.mapping = name
            .parse()
            .with_context(|| format!("broker.mapping: {name:?}"))?;
    }
    profile.ae_titles = ae_titles(&section.ae_titles, profile.mapping)?;
    if let Some(name) = &section.default_charset {
        profile.default_charset = Charset::from_msh18(name.as_bytes())
            .ok()
            .filter(Charset::is_ascii_superset)
            .with_context(|| {
                format!(
                    "broker.default_charset: {name:?} is not known; write UNICODE UTF-8 or 8859/1"
                )
            })?;
    }
    Ok(profile)
}

/// The AE titles of orders that name none, by modality in upper case.
fn ae_titles(
    section: &BTreeMap<String, String>,
    mapping: Mapping,
) -> Result<BTreeMap<String, String>> {
    if !section.is_empty() && mapping != Mapping::IheRad4 {
        bail!(
            "broker.ae_titles: the mapping {mapping} has AE titles in OBR-21 and refuses orders \
             without one; set broker.mapping = \"ihe-rad4\", or leave them out"
        );
    }
    let mut titles = BTreeMap::new();
    for (modality, title) in section {
        let key = format!("broker.ae_titles.{modality}");
        let title = crate::dicom::ae_title(&key, title)?;
        titles.insert(modality.to_ascii_uppercase(), title);
    }
    Ok(titles)
}

fn mllp_server(section: &MllpSection, profile: &Profile) -> Result<hl7_mllp::ServerConfig> {
    let mut config = hl7_mllp::ServerConfig::default();
    if let Some(max) = section.frame_bytes_max {
        if !(1_024..=(64 << 20)).contains(&max) {
            bail!("mllp.frame_bytes_max: {max} is not between 1024 and 67108864");
        }
        config.limits.frame_bytes_max = max;
    }
    config.connections_max = section.connections_max.unwrap_or(config.connections_max);
    config.connections_per_address_max = section
        .connections_per_address_max
        .unwrap_or(config.connections_per_address_max);
    if let Some(seconds) = section.frame_deadline_secs {
        if seconds == 0 {
            bail!("mllp.frame_deadline_secs: 0 would cut off every frame; give at least 1");
        }
        config.frame_deadline = Duration::from_secs(seconds);
    }
    config.idle_timeout = section.idle_timeout_secs.map(Duration::from_secs);
    for range in &section.allow {
        config.allow.push(range.parse().ok().with_context(|| {
            format!("mllp.allow: {range:?} is not an address range; write 10.0.0.0/8")
        })?);
    }
    // A broken frame ends its link: its sender then knows that it was not taken.
    config.frame_errors_max = 0;
    config.one_message_per_connection = profile.one_message_per_connection;
    if profile.one_connection {
        config.connections_max = 1;
    }
    Ok(config)
}
