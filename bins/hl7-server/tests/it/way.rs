//! The way to a shared database as it is configured: TLS, and the password from a file or from the
//! environment. What is wrong is said in words, and by `check-config` as by a start.

use std::fs;

use medsynapse_store::testing::{Cluster, ClusterOptions};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::server::{Server, command, order, run};

const PASSWORD: &str = "of the database";

/// A PostgreSQL of this test alone that asks for a password and has a certificate, which is given,
/// unless there is none here.
fn start(test: &str) -> Option<(Cluster, String)> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let options = ClusterOptions {
        tls: Some((certificate.clone(), key.serialize_pem())),
        password: Some(PASSWORD.into()),
        ..ClusterOptions::default()
    };
    let started = Cluster::start_with(options).ok();
    if started.is_none() {
        assert!(
            Cluster::or_skip(test).is_none(),
            "one of its own starts too"
        );
    }
    Some((started?, certificate))
}

#[test]
fn passwords_and_certificates_are_checked_and_what_is_wrong_is_said() {
    let Some((cluster, certificate)) = start("passwords_and_certificates") else {
        return;
    };
    let url = cluster.fresh().unwrap().replace("127.0.0.1", "localhost");
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("root.pem"), certificate).unwrap();
    fs::write(at("right"), format!("{PASSWORD}\n")).unwrap();
    fs::write(at("wrong"), "of another one\n").unwrap();
    let good = format!("{url}?sslmode=require&sslrootcert={}", at("root.pem"));
    let checked = |url: &str, file: Option<&str>, environment: Option<&str>, what: &str| {
        let password = file.map(|name| format!("password_file = \"{}\"\n", at(name)));
        let password = password.unwrap_or_default();
        let text = format!("[database]\nurl = \"{url}\"\n{password}");
        fs::write(at("broker.toml"), text).unwrap();
        let mut command = command(directory.path());
        command.args([what, "--config", &at("broker.toml")]);
        command.envs(environment.map(|password| ("HL7_DATABASE_PASSWORD", password)));
        let (code, out, error) = run(command);
        (code, out + &error)
    };
    let good_is = (Some(0), "The configuration is good.\n".to_owned());
    assert_eq!(checked(&good, Some("right"), None, "check-config"), good_is);
    assert_eq!(
        checked(&good, None, Some(PASSWORD), "check-config"),
        good_is
    );
    // The environment comes before the file.
    assert_eq!(
        checked(&good, Some("wrong"), Some(PASSWORD), "check-config"),
        good_is
    );

    let untrusted = format!("{url}?sslmode=require");
    let renamed = good.replace("localhost", "127.0.0.1");
    let file = ["database.password_file", "HL7_DATABASE_PASSWORD"];
    let authority = ["certificate", "sslrootcert"];
    for (url, password, words) in [
        (&good, Some("wrong"), [&["28P01"], &file[..]].concat()),
        (&good, None, [&["password missing"], &file[..]].concat()),
        (
            &untrusted,
            Some("right"),
            [&["UnknownIssuer"], &authority[..]].concat(),
        ),
        (
            &renamed,
            Some("right"),
            [&["not valid for"], &authority[..]].concat(),
        ),
    ] {
        for (what, expected) in [("check-config", 2), ("serve", 1)] {
            let (code, said) = checked(url, password, None, what);
            assert_eq!(code, Some(expected), "{what} {url}: {said}");
            for word in &words {
                assert!(said.contains(word), "{word}: {said}");
            }
            assert!(
                !said.contains("of another one") && !said.contains(PASSWORD),
                "{said}"
            );
        }
    }
    let (code, said) = checked(&good, Some("nowhere"), None, "check-config");
    assert_eq!(code, Some(2));
    assert!(said.contains("database.password_file: reading"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_works_over_a_protected_connection() {
    let Some((cluster, certificate)) = start("a_server_works_over_a_protected_connection") else {
        return;
    };
    let url = cluster.fresh().unwrap();
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("root.pem"), certificate).unwrap();
    fs::write(at("password"), PASSWORD).unwrap();
    let text = format!(
        "[database]\nurl = \"{}?sslrootcert={}\"\npassword_file = \"{}\"\n",
        url.replace("127.0.0.1", "localhost"),
        at("root.pem"),
        at("password"),
    );
    fs::write(at("broker.toml"), text).unwrap();
    let server = Server::start(directory.path(), &["--config", &at("broker.toml")]);
    let mut client = server.client().await;
    let answer = client.exchange(order(1).as_bytes()).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("|AA|M1|"));
    let sessions = |ssl: &str| {
        let sql = format!(
            "SELECT 1 FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
             WHERE a.application_name LIKE 'hl7-server node%' AND {ssl}"
        );
        cluster.run(&url, &sql).unwrap()
    };
    assert!(sessions("s.ssl") >= 2, "one writes, one listens");
    assert_eq!(sessions("NOT s.ssl"), 0);
    server.kill();
}
