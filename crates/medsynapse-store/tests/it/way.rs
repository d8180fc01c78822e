//! The way to PostgreSQL: protected, to the right one, with the right password.

use std::fs;

use medsynapse_store::testing::{Cluster, ClusterOptions};
use medsynapse_store::{PostgresOptions, PostgresStore, Store, StoreError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority, as the PEM of its certificate, and a certificate of it for this machine with its
/// key.
fn authority(name: &str) -> (String, (String, String)) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    (issuer.pem(), (certificate.pem(), key.serialize_pem()))
}

/// A PostgreSQL of this test alone, unless there is none here.
fn start(test: &str, options: ClusterOptions) -> Option<Cluster> {
    let started = Cluster::start_with(options).ok();
    if started.is_none() {
        assert!(
            Cluster::or_skip(test).is_none(),
            "one of its own starts too"
        );
    }
    started
}

#[test]
fn a_protected_connection_is_to_whom_the_certificate_names() {
    let (root, tls) = authority("ours");
    let options = ClusterOptions {
        tls: Some(tls),
        password: Some("of the database".into()),
        ..ClusterOptions::default()
    };
    let Some(cluster) = start("a_protected_connection", options) else {
        return;
    };
    let directory = TempDir::new().unwrap();
    let (trusted, other) = (
        directory.path().join("root"),
        directory.path().join("other"),
    );
    fs::write(&trusted, root).unwrap();
    fs::write(&other, authority("another").0).unwrap();
    let plain = cluster.fresh().unwrap();
    let to = |host: &str, more: &str| {
        let url = plain.replace("127.0.0.1", host);
        let mut options = PostgresOptions::new(format!("{url}?{more}"), "one");
        options.password = Some("of the database".into());
        options
    };
    let root = |path: &std::path::Path| format!("sslmode=require&sslrootcert={}", path.display());

    let options = to("localhost", &root(&trusted));
    options.check().unwrap();
    let store = PostgresStore::open(&options).unwrap();
    assert_eq!(store.order_count().unwrap(), 0);
    let sessions = |ssl: &str| {
        let sql = format!(
            "SELECT 1 FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
             WHERE a.application_name LIKE 'hl7-server one%' AND {ssl}"
        );
        cluster.run(&plain, &sql).unwrap()
    };
    assert!(sessions("s.ssl") > 0 && sessions("NOT s.ssl") == 0);
    drop(store);

    let refused = |options: &PostgresOptions, word: &str| {
        for result in [options.check(), PostgresStore::open(options).map(drop)] {
            let error = result.unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, StoreError::Unreachable(_)), "{text}");
            assert!(
                text.contains("certificate") && text.contains(word),
                "{text}"
            );
        }
    };
    // By an authority that is not ours; by no authority that this machine knows.
    refused(&to("localhost", &root(&other)), "UnknownIssuer");
    refused(&to("localhost", "sslmode=require"), "UnknownIssuer");
    // Whoever answers under another name.
    refused(&to("127.0.0.1", &root(&trusted)), "not valid for");
    // Where both ends could, nothing falls back to the clear.
    refused(&to("localhost", "sslmode=prefer"), "UnknownIssuer");
}

#[test]
fn the_password_is_asked_for_and_never_said() {
    let options = ClusterOptions {
        password: Some("of the database".into()),
        ..ClusterOptions::default()
    };
    let Some(cluster) = start("the_password_is_asked_for", options) else {
        return;
    };
    let with = |password: Option<&str>| {
        let mut options = PostgresOptions::new(cluster.url("postgres"), "one");
        options.password = password.map(str::to_owned);
        options.check()
    };
    with(Some("of the database")).unwrap();
    let text = with(Some("of another one")).unwrap_err().to_string();
    assert!(
        text.contains("28P01") && !text.contains("another"),
        "{text}"
    );
    let text = with(None).unwrap_err().to_string();
    assert!(text.contains("password missing"), "{text}");
}
