//! Parts of the effective configuration, as `--print-config` writes them.

use std::path::Path;

use medsynapse::Profile;

use crate::guarding::Guarding;

pub(super) fn mapping(profile: &Profile, set: &mut impl FnMut(&str, &str, toml::Value)) {
    set("broker", "mapping", profile.mapping.as_str().into());
    let titles = profile.ae_titles.iter();
    let titles: toml::Table = titles
        .map(|(modality, title)| (modality.clone(), title.as_str().into()))
        .collect();
    set("broker", "ae_titles", titles.into());
}

pub(super) fn guarding(guarding: &Guarding, set: &mut impl FnMut(&str, &str, toml::Value)) {
    let list = |texts: Vec<String>| toml::Value::from(texts);
    let ranges = |ranges: &[ipnet::IpNet]| list(ranges.iter().map(ToString::to_string).collect());
    set("rest", "allow", ranges(&guarding.rest_allow));
    set("web", "allow", ranges(&guarding.web_allow));
    set("rest", "origins", list(guarding.origins.clone()));
    for (section, tls) in [
        ("mllp", &guarding.mllp_tls),
        ("rest", &guarding.rest_tls),
        ("web", &guarding.web_tls),
    ] {
        if let Some(tls) = tls {
            let path = |path: &Path| toml::Value::from(path.to_string_lossy().as_ref());
            let mut table = toml::Table::new();
            table.insert("cert".into(), path(&tls.cert));
            table.insert("key".into(), path(&tls.key));
            if let Some(ca) = &tls.client_ca {
                table.insert("client_ca".into(), path(ca));
            }
            set(section, "tls", table.into());
        }
    }
    if let Some(jwt) = &guarding.jwt {
        let mut table = toml::Table::new();
        table.insert("issuer".into(), jwt.issuer.as_str().into());
        table.insert("audience".into(), jwt.audience.as_str().into());
        table.insert("jwks".into(), jwt.jwks.as_str().into());
        if let Some(algorithms) = &jwt.algorithms {
            table.insert("algorithms".into(), list(algorithms.clone()));
        }
        table.insert("scope_prefix".into(), jwt.scope_prefix.as_str().into());
        set("rest", "jwt", table.into());
    }
    let rates = [
        (
            "requests_per_minute",
            "requests_burst",
            guarding.rates.requests,
        ),
        (
            "failed_logins_per_minute",
            "failed_logins_burst",
            Some(guarding.rates.failed_logins),
        ),
    ];
    for (per_minute, burst, rate) in rates {
        if let Some(rate) = rate {
            set("rest", per_minute, i64::from(rate.per_minute.get()).into());
            set("rest", burst, i64::from(rate.burst.get()).into());
        }
    }
}
