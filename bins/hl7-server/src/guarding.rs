//! What guards the listeners, as it is configured: addresses, TLS, tokens, rates, origins.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use medsynapse_http::{
    Access, ApiKey, ApiKeys, Fetch, Rate, Rates, TokenSettings, Tokens, Trail, Unkept,
};
use medsynapse_store::AccessStore;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::access;
use crate::config::Config;
use crate::tls::TlsFiles;

/// No key set of a token issuer is longer.
const KEY_SET_BYTES_MAX: usize = 1 << 20;
/// How long an issuer may take to give its key set.
const KEY_SET_WAIT: Duration = Duration::from_secs(10);
/// How often it is looked whether keys were added or taken back.
const KEYS_EVERY: Duration = Duration::from_secs(1);

/// `[rest.jwt]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JwtSection {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// A file or an `https` address.
    pub(crate) jwks: String,
    pub(crate) algorithms: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) scope_prefix: String,
}

/// `rest.requests_…` and `rest.failed_logins_…`
#[derive(Debug, Clone, Copy)]
pub(crate) struct RateSettings {
    pub(crate) requests: Option<Rate>,
    pub(crate) failed_logins: Rate,
}

/// Everything that guards the listeners.
#[derive(Debug, Clone)]
pub(crate) struct Guarding {
    pub(crate) rest_allow: Vec<IpNet>,
    pub(crate) web_allow: Vec<IpNet>,
    pub(crate) mllp_tls: Option<TlsFiles>,
    pub(crate) rest_tls: Option<TlsFiles>,
    pub(crate) web_tls: Option<TlsFiles>,
    pub(crate) origins: Vec<String>,
    pub(crate) jwt: Option<JwtSection>,
    pub(crate) rates: RateSettings,
}

/// Address ranges of a setting.
pub(crate) fn ranges(setting: &str, texts: &[String]) -> Result<Vec<IpNet>> {
    let range = |text: &String| {
        let address = || {
            text.parse()
                .ok()
                .map(|address: std::net::IpAddr| address.into())
        };
        text.parse().ok().or_else(address).with_context(|| {
            format!("{setting}: {text:?} is not an address range; write 10.0.0.0/8")
        })
    };
    texts.iter().map(range).collect()
}

/// Origins of a setting, as browsers write them.
pub(crate) fn origins(texts: Vec<String>) -> Result<Vec<String>> {
    for text in &texts {
        let host = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let lower = *text == text.to_ascii_lowercase();
        if !lower || host.is_none_or(|host| host.is_empty() || host.contains(['/', '*', '?', '#']))
        {
            bail!("rest.origins: {text:?} is not an origin; write https://ris.example.org");
        }
    }
    Ok(texts)
}

/// A rate of a setting; 0 is none.
pub(crate) fn rate(
    per_minute: Option<u32>,
    burst: Option<u32>,
    default: Option<(u32, u32)>,
) -> Option<Rate> {
    let (per_minute_default, burst_default) = default.unzip();
    let per_minute = NonZeroU32::new(per_minute.or(per_minute_default)?)?;
    let burst = burst
        .or(burst_default)
        .and_then(NonZeroU32::new)
        .unwrap_or(per_minute);
    Some(Rate { burst, per_minute })
}

impl Guarding {
    /// What guards the gateway, with keys and trail from where they are kept.
    pub(crate) fn access(&self, config: &Config) -> Result<Access> {
        let store = access::open(config)?;
        access::check_left_behind(config, &store)?;
        let key = access::trail_key(config, &store)?;
        let store = Arc::new(store);
        let trail = Trail::start(Arc::clone(&store), key);
        Ok(Access {
            tokens: self.tokens()?,
            rates: Arc::new(Rates::new(self.rates.requests, self.rates.failed_logins)),
            trail: Some(trail.context("starting the audit trail")?),
            answers: Some(store),
            unkept: Unkept::default(),
            origins: self.origins.clone(),
            basic: false,
            closed: false,
        })
    }

    fn tokens(&self) -> Result<Option<Arc<Tokens>>> {
        let Some(jwt) = &self.jwt else {
            return Ok(None);
        };
        let fetch: Arc<Fetch> = if jwt.jwks.starts_with("https://") {
            from_address(jwt.jwks.clone())?
        } else if jwt.jwks.contains("://") {
            bail!(
                "rest.jwt.jwks: {:?} is neither a file nor an https address",
                jwt.jwks
            );
        } else {
            from_file(PathBuf::from(&jwt.jwks))
        };
        let mut settings = TokenSettings {
            issuer: jwt.issuer.clone(),
            audience: jwt.audience.clone(),
            scope_prefix: jwt.scope_prefix.clone(),
            ..TokenSettings::default()
        };
        if let Some(algorithms) = &jwt.algorithms {
            settings.algorithms.clone_from(algorithms);
        }
        Ok(Some(Arc::new(
            Tokens::new(settings, fetch).context("rest.jwt")?,
        )))
    }
}

fn from_file(path: PathBuf) -> Arc<Fetch> {
    Arc::new(move || {
        let path = path.clone();
        Box::pin(async move {
            let reading = tokio::task::spawn_blocking(move || std::fs::read(path));
            match reading.await {
                Ok(read) => read.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
    })
}

fn from_address(address: String) -> Result<Arc<Fetch>> {
    let client = reqwest::Client::builder()
        .timeout(KEY_SET_WAIT)
        .https_only(true)
        .build()?;
    Ok(Arc::new(
        move || -> Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>> {
            let asking = client.get(&address).send();
            Box::pin(async move {
                let mut answer = asking
                    .await
                    .and_then(reqwest::Response::error_for_status)
                    .map_err(|error| error.to_string())?;
                let mut bytes = Vec::new();
                while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
                    bytes.extend_from_slice(&chunk);
                    if bytes.len() > KEY_SET_BYTES_MAX {
                        return Err(format!("longer than {KEY_SET_BYTES_MAX} bytes"));
                    }
                }
                Ok(bytes)
            })
        },
    ))
}

/// The keys of the configuration and those that are kept.
fn all_keys(configured: &[String], store: &AccessStore) -> Result<Vec<ApiKey>> {
    let mut keys = ApiKeys::of_configuration(configured);
    keys.extend(store.keys()?.into_iter().map(ApiKey::from));
    Ok(keys)
}

/// The keys, kept up with what `hl7-server keys` does until `stop`.
pub(crate) fn keys(
    configured: &[String],
    store: &Arc<AccessStore>,
    stop: CancellationToken,
) -> Result<ApiKeys> {
    // The number before the keys: what changes in between is seen next time.
    let version = store.version()?;
    let keys = ApiKeys::of(all_keys(configured, store)?);
    let (current, configured, store) = (keys.clone(), configured.to_vec(), Arc::clone(store));
    let mut seen = version;
    let mut readable = true;
    tokio::spawn(async move {
        while tokio::time::timeout(KEYS_EVERY, stop.cancelled())
            .await
            .is_err()
        {
            let (store, configured) = (Arc::clone(&store), configured.clone());
            let looking = tokio::task::spawn_blocking(move || {
                let version = store.version()?;
                if version == seen {
                    return Ok((version, None));
                }
                Ok::<_, anyhow::Error>((version, Some(all_keys(&configured, &store)?)))
            });
            match looking.await {
                Ok(Ok((version, keys))) => {
                    seen = version;
                    if !std::mem::replace(&mut readable, true) {
                        tracing::info!("the keys can be read again");
                    }
                    if let Some(keys) = keys {
                        current.replace(keys);
                    }
                }
                // Those that are known go on to open: metrics can be asked for what is wrong.
                Ok(Err(error)) if std::mem::replace(&mut readable, false) => {
                    tracing::error!("the keys cannot be read, the last ones hold: {error:#}");
                }
                Ok(Err(_)) => {}
                Err(error) => tracing::error!(%error, "the keys cannot be read"),
            }
        }
    });
    Ok(keys)
}

/// Whether there are keys besides those of the configuration.
pub(crate) fn has_keys(config: &Config) -> Result<bool> {
    let store = access::open_existing(config)?;
    Ok(store.map_or(Ok(false), |store| store.keys().map(|keys| !keys.is_empty()))?)
}
