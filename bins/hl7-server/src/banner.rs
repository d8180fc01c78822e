//! What a person sees when the broker starts.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use medsynapse::Mapping;

use crate::config::Config;
use crate::tls::TlsFiles;

/// The addresses that are open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) mllp: SocketAddr,
    pub(crate) rest: SocketAddr,
    pub(crate) web: SocketAddr,
    pub(crate) dicom: Option<SocketAddr>,
    pub(crate) recorder: Option<SocketAddr>,
}

impl Ports {
    /// One line for programs.
    pub(crate) fn json(&self) -> String {
        let mut ports = serde_json::json!({
            "v": 1,
            "mllp": self.mllp.to_string(),
            "rest": self.rest.to_string(),
            "web": self.web.to_string(),
        });
        for (name, address) in [("dicom", self.dicom), ("recorder", self.recorder)] {
            if let (Some(address), Some(ports)) = (address, ports.as_object_mut()) {
                ports.insert(name.into(), address.to_string().into());
            }
        }
        ports.to_string()
    }
}

/// Who can reach a listener, and what protects it.
fn protection(address: SocketAddr, what: &str) -> String {
    if address.ip().is_loopback() {
        format!("this machine only, {what}")
    } else {
        format!("OTHER MACHINES TOO, {what}")
    }
}

/// The banner, for standard error.
pub(crate) fn banner(
    config: &Config,
    ports: &Ports,
    data_dir: &Path,
    keys: bool,
    messages: u64,
    orders: u64,
) -> String {
    let guarding = &config.guarding;
    let key = if keys || guarding.jwt.is_some() {
        "key needed"
    } else {
        "no key"
    };
    let login = if keys { "key needed" } else { "no login" };
    let http = |tls: &Option<TlsFiles>| if tls.is_some() { "https" } else { "http" };
    let clear = match &guarding.mllp_tls {
        None => "clear text",
        Some(tls) if tls.client_ca.is_some() => "mutual TLS",
        Some(_) => "TLS",
    };
    let preset = config.profile.preset;
    let version = env!("CARGO_PKG_VERSION");
    let mapping = match config.profile.mapping {
        Mapping::Medsynapse => String::new(),
        other @ Mapping::IheRad4 => format!(", mapping {other}"),
    };
    let mut text = format!("Medsynapse PACS Broker {version}, profile {preset}{mapping}\n\n");
    let web = format!("{}://{}", http(&guarding.web_tls), ports.web);
    let rest = format!("{}://{}", http(&guarding.rest_tls), ports.rest);
    let dicom = |address: Option<SocketAddr>, title: &str| {
        let Some(address) = address else {
            return ("off".to_owned(), "no modality is answered".to_owned());
        };
        let how = match &config.dicom.tls {
            None => "clear text",
            Some(tls) if tls.client_ca.is_some() => "mutual TLS",
            Some(_) => "TLS",
        };
        let callers = match config.dicom.scp.access.allowed_calling.len() {
            0 => "any caller".to_owned(),
            1 => "one caller".to_owned(),
            many => format!("{many} callers"),
        };
        let what = format!("{how}, AE title {title}, {callers}");
        (address.to_string(), protection(address, &what))
    };
    let worklist = dicom(ports.dicom, &config.dicom.scp.access.ae_title);
    let recorder = ports
        .recorder
        .map(|address| dicom(Some(address), &config.dicom.recorder_ae_title));
    let mut rows = vec![
        (
            "MLLP",
            ports.mllp.to_string(),
            protection(ports.mllp, clear),
        ),
        ("REST", rest, protection(ports.rest, key)),
        ("Web", web, protection(ports.web, login)),
        ("DICOM", worklist.0, worklist.1),
    ];
    rows.extend(recorder.map(|(address, note)| ("Store", address, note)));
    rows.push((
        "Data",
        data_dir.display().to_string(),
        format!("{messages} messages, {orders} orders"),
    ));
    for (name, address, note) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<5} {address:<26} {note}");
    }
    for settings in &config.destinations {
        let (name, note) = (&settings.destination.name, settings.protection());
        let _ = writeln!(
            text,
            "  {:<5} {:<26} {note}, as {name}",
            "To", settings.address
        );
    }
    if !config.faults.plan.is_off() {
        let plan = config.faults.plan.summary();
        let _ = writeln!(
            text,
            "\n  FAULTS ARE ON: some MLLP answers are wrong on purpose ({plan})"
        );
    }
    text.push_str("\nStop with Ctrl-C.\n");
    text
}
