//! `[dicom]` of the configuration file.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use medsynapse::Profile;
use medsynapse_worklist::live::WorkflowSettings;
use medsynapse_worklist::scp::{ScpConfig, Services};
use medsynapse_worklist::{MAX_RESULTS, MappingSettings, OverLimit, ResponseCharset, View};
use serde::Deserialize;

use crate::tls::TlsFiles;

/// The AE title when nobody says.
const AE_TITLE: &str = "MEDSYNAPSE";
/// That of the recorder.
const RECORDER_AE_TITLE: &str = "MEDSYNAPSE_REC";

/// As it is written in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of a configuration file"
)]
pub(crate) struct DicomSection {
    pub(crate) enabled: Option<bool>,
    pub(crate) listen: Option<String>,
    ae_title: Option<String>,
    any_called_ae_title: bool,
    allow: Vec<String>,
    own_steps: bool,
    max_results: Option<usize>,
    over_limit: Option<OverLimitName>,
    charset: Option<String>,
    fuzzy_names: bool,
    step_keys_at_root: bool,
    associations_max: Option<usize>,
    associations_per_address_max: Option<usize>,
    idle_timeout_secs: Option<u64>,
    complete_on: Option<Vec<CompleteOn>>,
    study_idle_secs: Option<u64>,
    reschedule_discontinued: bool,
    site_offset: Option<String>,
    default_coding_scheme: Option<String>,
    pub(crate) recorder: Option<RecorderSection>,
    tls: Option<TlsFiles>,
    ae: Vec<AeSection>,
}

/// `[dicom.recorder]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RecorderSection {
    pub(crate) listen: Option<String>,
    ae_title: Option<String>,
}

/// `[[dicom.ae]]`: what one calling AE title is shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AeSection {
    title: String,
    own_steps: Option<bool>,
    stations: Option<Vec<String>>,
    modalities: Option<Vec<String>>,
    max_results: Option<usize>,
    over_limit: Option<OverLimitName>,
    charset: Option<String>,
    fuzzy_names: Option<bool>,
    step_keys_at_root: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OverLimitName {
    Refuse,
    Truncate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CompleteOn {
    Mpps,
    Study,
}

impl From<OverLimitName> for OverLimit {
    fn from(name: OverLimitName) -> Self {
        match name {
            OverLimitName::Refuse => Self::Refuse,
            OverLimitName::Truncate => Self::Truncate,
        }
    }
}

/// The settings, checked.
#[derive(Debug, Clone)]
pub(crate) struct DicomSettings {
    /// `None`: nothing listens.
    pub(crate) worklist: Option<SocketAddr>,
    pub(crate) recorder: Option<SocketAddr>,
    pub(crate) recorder_ae_title: String,
    pub(crate) scp: ScpConfig,
    pub(crate) mapping: MappingSettings,
    pub(crate) workflow: WorkflowSettings,
    pub(crate) tls: Option<TlsFiles>,
}

impl DicomSection {
    /// Checks the section; the addresses are read by the caller, who knows the flags.
    ///
    /// # Errors
    ///
    /// What is wrong, with the key.
    pub(crate) fn settings(
        self,
        worklist: SocketAddr,
        recorder: Option<SocketAddr>,
        profile: &Profile,
    ) -> Result<DicomSettings> {
        let title = ae_title(
            "dicom.ae_title",
            self.ae_title.as_deref().unwrap_or(AE_TITLE),
        )?;
        let mut scp = ScpConfig::new(&title, Services::Worklist);
        scp.access.any_called = self.any_called_ae_title;
        for calling in &self.allow {
            scp.access
                .allowed_calling
                .push(ae_title("dicom.allow", calling)?);
        }
        scp.own_steps = self.own_steps;
        scp.view = View {
            max_results: self.max_results.unwrap_or(MAX_RESULTS),
            over_limit: self.over_limit.map(Into::into).unwrap_or_default(),
            charset: charset("dicom.charset", self.charset.as_deref())?.unwrap_or_default(),
            ..View::default()
        };
        scp.view.options.fuzzy_names = self.fuzzy_names;
        scp.view.options.step_keys_at_root = self.step_keys_at_root;
        scp.views = views(&self.ae, &scp)?;
        if let Some(max) = self.associations_max {
            scp.limits.associations_max = at_least_one("dicom.associations_max", max)?;
        }
        if let Some(max) = self.associations_per_address_max {
            let key = "dicom.associations_per_address_max";
            scp.limits.per_address_max = at_least_one(key, max)?;
        }
        if let Some(secs) = self.idle_timeout_secs {
            if secs == 0 {
                bail!("dicom.idle_timeout_secs: 0 would end every association at once");
            }
            scp.deadlines.idle = Duration::from_secs(secs);
        }
        let complete_on = self
            .complete_on
            .unwrap_or(vec![CompleteOn::Mpps, CompleteOn::Study]);
        if !complete_on.contains(&CompleteOn::Mpps) {
            bail!("dicom.complete_on: write [\"mpps\"] or [\"mpps\", \"study\"]");
        }
        let offset = self.site_offset.as_deref().map(offset).transpose()?;
        let recorder_title = self
            .recorder
            .as_ref()
            .and_then(|one| one.ae_title.as_deref());
        Ok(DicomSettings {
            worklist: self.enabled.unwrap_or(true).then_some(worklist),
            recorder: recorder.filter(|_| self.enabled.unwrap_or(true)),
            recorder_ae_title: ae_title(
                "dicom.recorder.ae_title",
                recorder_title.unwrap_or(RECORDER_AE_TITLE),
            )?,
            scp,
            mapping: MappingSettings {
                mapping: profile.mapping,
                default_charset: profile.default_charset,
                default_coding_scheme: self.default_coding_scheme.filter(|one| !one.is_empty()),
                site_offset_minutes: offset,
                ..MappingSettings::default()
            },
            workflow: WorkflowSettings {
                complete_on_study: complete_on.contains(&CompleteOn::Study),
                study_idle: Duration::from_secs(self.study_idle_secs.unwrap_or(60)),
                reschedule_discontinued: self.reschedule_discontinued,
            },
            tls: self.tls,
        })
    }
}

fn views(sections: &[AeSection], scp: &ScpConfig) -> Result<HashMap<String, View>> {
    let mut views = HashMap::new();
    for section in sections {
        let title = ae_title("dicom.ae.title", &section.title)?;
        let mut view = scp.view.clone();
        if let Some(charset) = charset("dicom.ae.charset", section.charset.as_deref())? {
            view.charset = charset;
        }
        if section.own_steps.unwrap_or(scp.own_steps) {
            view.stations = Some(vec![title.clone()]);
        }
        if let Some(stations) = &section.stations {
            view.stations = Some(stations.clone());
        }
        view.modalities.clone_from(&section.modalities);
        view.max_results = section.max_results.unwrap_or(view.max_results);
        view.over_limit = section.over_limit.map_or(view.over_limit, Into::into);
        let options = &mut view.options;
        options.fuzzy_names = section.fuzzy_names.unwrap_or(options.fuzzy_names);
        options.step_keys_at_root = section
            .step_keys_at_root
            .unwrap_or(options.step_keys_at_root);
        if views.insert(title.clone(), view).is_some() {
            bail!("dicom.ae: {title} stands there twice");
        }
    }
    Ok(views)
}

/// An AE title: VR AE, at most 16 characters.
pub(crate) fn ae_title(key: &str, text: &str) -> Result<String> {
    let text = text.trim();
    let good = |c: char| c.is_ascii() && !c.is_ascii_control() && c != '\\';
    if text.is_empty() || text.len() > 16 || !text.chars().all(good) {
        bail!("{key}: {text:?} is no AE title; it has 1 to 16 ASCII characters, no backslash");
    }
    Ok(text.to_owned())
}

fn charset(key: &str, name: Option<&str>) -> Result<Option<ResponseCharset>> {
    let Some(name) = name else { return Ok(None) };
    let charset = ResponseCharset::from_name(name).with_context(|| {
        let names: Vec<&str> = ResponseCharset::names().collect();
        format!(
            "{key}: {name:?} is not known; write one of {}",
            names.join(", ")
        )
    })?;
    Ok(Some(charset))
}

fn at_least_one(key: &str, number: usize) -> Result<usize> {
    if number == 0 {
        bail!("{key}: give at least 1");
    }
    Ok(number)
}

/// `+0100` or `+01:00` in minutes.
fn offset(text: &str) -> Result<i16> {
    let wrong = || format!("dicom.site_offset: {text:?} is no offset; write for instance +0100");
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => bail!(wrong()),
    };
    let digits = rest.replace(':', "");
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        bail!(wrong());
    }
    let number: i16 = digits.parse().with_context(wrong)?;
    let (hours, minutes) = (number / 100, number % 100);
    if hours > 14 || minutes > 59 {
        bail!(wrong());
    }
    Ok(sign * (hours * 60 + minutes))
}

impl DicomSettings {
    /// The settings as TOML.
    pub(crate) fn shown(&self) -> toml::Table {
        let number = |value: usize| toml::Value::from(i64::try_from(value).unwrap_or(i64::MAX));
        let seconds =
            |value: Duration| toml::Value::from(i64::try_from(value.as_secs()).unwrap_or(i64::MAX));
        let mut table = toml::Table::new();
        let mut set = |key: &str, value: toml::Value| drop(table.insert(key.into(), value));
        set("enabled", self.worklist.is_some().into());
        if let Some(address) = self.worklist {
            set("listen", address.to_string().into());
        }
        let scp = &self.scp;
        set("ae_title", scp.access.ae_title.clone().into());
        set("any_called_ae_title", scp.access.any_called.into());
        set("allow", scp.access.allowed_calling.clone().into());
        set("own_steps", scp.own_steps.into());
        set("associations_max", number(scp.limits.associations_max));
        set(
            "associations_per_address_max",
            number(scp.limits.per_address_max),
        );
        set("idle_timeout_secs", seconds(scp.deadlines.idle));
        let mut on = vec!["mpps"];
        on.extend(self.workflow.complete_on_study.then_some("study"));
        set("complete_on", on.into());
        set("study_idle_secs", seconds(self.workflow.study_idle));
        set(
            "reschedule_discontinued",
            self.workflow.reschedule_discontinued.into(),
        );
        if let Some(scheme) = &self.mapping.default_coding_scheme {
            set("default_coding_scheme", scheme.clone().into());
        }
        if let Some(minutes) = self.mapping.site_offset_minutes {
            let (sign, minutes) = (if minutes < 0 { '-' } else { '+' }, minutes.unsigned_abs());
            let text = format!("{sign}{:02}{:02}", minutes / 60, minutes % 60);
            set("site_offset", text.into());
        }
        for (key, value) in shown_view(&scp.view) {
            set(&key, value);
        }
        if let Some(address) = self.recorder {
            let mut recorder = toml::Table::new();
            recorder.insert("listen".into(), address.to_string().into());
            recorder.insert("ae_title".into(), self.recorder_ae_title.clone().into());
            set("recorder", recorder.into());
        }
        if let Some(tls) = &self.tls {
            let path = |path: &std::path::Path| toml::Value::from(path.to_string_lossy().as_ref());
            let mut files = toml::Table::new();
            files.insert("cert".into(), path(&tls.cert));
            files.insert("key".into(), path(&tls.key));
            if let Some(ca) = &tls.client_ca {
                files.insert("client_ca".into(), path(ca));
            }
            set("tls", files.into());
        }
        let mut titles: Vec<_> = scp.views.iter().collect();
        titles.sort_by_key(|(title, _)| *title);
        let each = titles.into_iter().map(|(title, view)| {
            let mut one = shown_view(view);
            one.insert("title".into(), title.clone().into());
            toml::Value::from(one)
        });
        let each: Vec<_> = each.collect();
        if !each.is_empty() {
            set("ae", each.into());
        }
        table
    }
}

fn shown_view(view: &View) -> toml::Table {
    let mut table = toml::Table::new();
    let mut set = |key: &str, value: toml::Value| drop(table.insert(key.into(), value));
    let max = i64::try_from(view.max_results).unwrap_or(i64::MAX);
    set("max_results", max.into());
    let over = match view.over_limit {
        OverLimit::Refuse => "refuse",
        OverLimit::Truncate => "truncate",
    };
    set("over_limit", over.into());
    set("charset", view.charset.name().into());
    set("fuzzy_names", view.options.fuzzy_names.into());
    set("step_keys_at_root", view.options.step_keys_at_root.into());
    if let Some(stations) = &view.stations {
        set("stations", stations.clone().into());
    }
    if let Some(modalities) = &view.modalities {
        set("modalities", modalities.clone().into());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<DicomSettings> {
        let section: DicomSection = toml::from_str(text)?;
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        section.settings(address, None, &Profile::default())
    }

    #[test]
    fn each_ae_title_may_have_its_own() {
        let settings = read(
            "max_results = 50\ncharset = 'ISO_IR 100'\n\
             [[ae]]\ntitle = 'CT1'\nown_steps = true\nmax_results = 7\n",
        )
        .unwrap();
        let view = settings.scp.view("CT1");
        assert_eq!((view.max_results, view.charset.name()), (7, "ISO_IR 100"));
        assert_eq!(view.stations, Some(vec!["CT1".to_owned()]));
        assert_eq!(settings.scp.view("MR1").max_results, 50);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        for (text, key) in [
            ("ae_title = 'A TITLE THAT IS TOO LONG'", "dicom.ae_title"),
            ("allow = ['']", "dicom.allow"),
            ("charset = 'ISO_IR 148'", "dicom.charset"),
            ("complete_on = ['study']", "dicom.complete_on"),
            ("site_offset = 'CET'", "dicom.site_offset"),
            ("site_offset = '\u{fc}100'", "dicom.site_offset"),
            ("associations_max = 0", "dicom.associations_max"),
            ("[[ae]]\ntitle = 'A'\n[[ae]]\ntitle = 'A'", "dicom.ae"),
        ] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(key), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        let text = "site_offset = '-0330'\nown_steps = true\n[[ae]]\ntitle = 'CT1'\n";
        let settings = read(text).unwrap();
        let again = read(&settings.shown().to_string()).unwrap();
        assert_eq!(again.shown(), settings.shown());
        assert_eq!(again.mapping.site_offset_minutes, Some(-210));
    }
}
