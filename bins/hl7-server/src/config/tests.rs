//! What is read from file, environment and command line, and what is refused.

use super::*;

fn load(toml: &str, options: Options) -> Result<Config> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broker.toml");
    std::fs::write(&path, toml).unwrap();
    let config = Config::load(&Options {
        config: Some(path),
        ..options
    })?;
    config.protected()?;
    Ok(config)
}

#[track_caller]
fn refused(toml: &str, options: Options, wanted: &str) {
    let error = format!("{:#}", load(toml, options).unwrap_err());
    assert!(error.contains(wanted), "{error}");
}

#[test]
fn the_command_line_wins_over_the_file_and_the_file_over_defaults() {
    let toml = "[mllp]\nlisten = '127.0.0.1:1000'\n[rest]\nlisten = '127.0.0.1:1001'\n";
    let options = Options {
        mllp: Some("127.0.0.1:9".into()),
        ..Options::default()
    };
    let config = load(toml, options).unwrap();
    assert_eq!(config.mllp.port(), 9);
    assert_eq!(config.rest.port(), 1001);
    assert_eq!(config.web.port(), 5000);
}

#[test]
fn names_of_the_earlier_product_work() {
    let options = Options {
        port: Some("1".into()),
        mllp_port: Some("2".into()),
        mllp_host: Some("0.0.0.0".into()),
        api_key: Some("long enough".into()),
        ..Options::default()
    };
    let config = load("", options).unwrap();
    assert_eq!(config.rest.to_string(), "127.0.0.1:1");
    assert_eq!(config.mllp.to_string(), "0.0.0.0:2");
    assert_eq!(config.api_keys, ["long enough"]);
}

#[test]
fn mistakes_name_their_key() {
    refused("[mlpp]\n", Options::default(), "unknown field `mlpp`");
    refused(
        "[rest]\nlisten = 'here'\n",
        Options::default(),
        "rest.listen: \"here\"",
    );
    refused(
        "[mllp]\nframe_bytes_max = 3\n",
        Options::default(),
        "mllp.frame_bytes_max",
    );
    refused(
        "[mllp]\nallow = ['x']\n",
        Options::default(),
        "mllp.allow: \"x\"",
    );
    refused(
        "[broker]\ndefault_charset = 'K'\n",
        Options::default(),
        "broker.default_charset",
    );
    refused(
        "[broker]\nmapping = 'ihe'\n",
        Options::default(),
        "broker.mapping: \"ihe\": no such mapping; write medsynapse or ihe-rad4",
    );
    refused(
        "[broker.ae_titles]\nCT = 'CT1'\n",
        Options::default(),
        "broker.ae_titles: the mapping medsynapse",
    );
    refused(
        "[broker]\nmapping = 'ihe-rad4'\n[broker.ae_titles]\nCT = 'A TITLE THAT IS TOO LONG'\n",
        Options::default(),
        "broker.ae_titles.CT",
    );
    refused(
        "[rest]\nallow = ['10.0.0.0/99']\n",
        Options::default(),
        "rest.allow: \"10.0.0.0/99\"",
    );
    refused(
        "[rest]\norigins = ['*']\n",
        Options::default(),
        "rest.origins: \"*\"",
    );
    refused(
        "[rest]\nfailed_logins_per_minute = 0\n",
        Options::default(),
        "rest.failed_logins_per_minute",
    );
    refused(
        "[rest.tls]\ncert = 'c.pem'\n",
        Options::default(),
        "missing field `key`",
    );
    refused(
        "[rest]\napi_keys = ['short']\n",
        Options::default(),
        "rest.api_keys",
    );
    refused(
        "[retention]\ndays = 0\n",
        Options::default(),
        "retention.days: 0",
    );
    refused(
        "[faults]\nerror = 2\n",
        Options::default(),
        "error is not between 0 and 1",
    );
    let gone = Options {
        config: Some("/nowhere.toml".into()),
        ..Options::default()
    };
    assert!(format!("{:#}", Config::load(&gone).unwrap_err()).contains("/nowhere.toml"));
}

#[test]
fn what_others_can_reach_needs_a_key() {
    let open = "[rest]\nlisten = '0.0.0.0:3000'\n";
    refused(open, Options::default(), "--insecure");
    assert!(
        load(
            open,
            Options {
                insecure: true,
                ..Options::default()
            }
        )
        .is_ok()
    );
    let keyed = "[rest]\nlisten = '0.0.0.0:3000'\napi_keys = ['0123456789']\n";
    assert!(load(keyed, Options::default()).is_ok());
    let directory = tempfile::tempdir().unwrap();
    let options = |directory: &Path| Options {
        data_dir: Some(directory.to_owned()),
        ..Options::default()
    };
    refused(open, options(directory.path()), "keys add");
    let add = crate::keys::Keys::Add {
        name: "ris".into(),
        scopes: medsynapse_http::Scopes::ALL,
        expires: None,
    };
    // It may be made with the configuration that wants it.
    let path = directory.path().join("broker.toml");
    std::fs::write(&path, open).unwrap();
    let unprotected = Config::load(&Options {
        config: Some(path),
        ..options(directory.path())
    });
    crate::keys::run(add, &unprotected.unwrap(), chrono::DateTime::UNIX_EPOCH).unwrap();
    assert!(load(open, options(directory.path())).is_ok());
    refused(
        "[web]\nlisten = '0.0.0.0:5000'\n",
        Options::default(),
        "--insecure",
    );
}

#[test]
fn the_strict_profile_sets_its_limits_and_single_switches_win() {
    let config = load("profile = 'medsynapse-strict'\n", Options::default()).unwrap();
    assert_eq!(config.mllp_server.connections_max, 1);
    assert!(config.mllp_server.one_message_per_connection);
    let toml = "profile = 'medsynapse-strict'\n[broker]\naccept_change_order = true\n";
    assert!(
        load(toml, Options::default())
            .unwrap()
            .profile
            .accept_change_order
    );
}

#[test]
fn what_is_shown_can_be_read_again_and_hides_keys() {
    let toml = "[rest]\napi_keys = ['0123456789']\norigins = ['https://ris.example.org']\n\
                requests_per_minute = 600\nallow = ['10.0.0.0/8', '::1']\n\
                [rest.tls]\ncert = 'c.pem'\nkey = 'k.pem'\n\
                [rest.jwt]\nissuer = 'i'\naudience = 'a'\njwks = 'keys.json'\n\
                [gateway]\nbroker = 'pacs:2575'\n[gateway.stations.CT]\nae_title = 'CT9'\n\
                [broker]\nmapping = 'ihe-rad4'\n[broker.ae_titles]\nCT = 'CT9'\n\
                [mllp]\nidle_timeout_secs = 9\n";
    let shown = load(toml, Options::default()).unwrap().shown();
    assert!(!shown.contains("0123456789"));
    assert!(shown.contains("mapping = \"ihe-rad4\""), "{shown}");
    assert_eq!(load(&shown, Options::default()).unwrap().shown(), shown);
}
