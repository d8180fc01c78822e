//! The files of `docs/deploy`, held to the habits that keep an installation safe. What needs other
//! programs is tried in `.ci/deploy`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The instructions of the Dockerfile, each on one line.
fn instructions() -> Vec<String> {
    read("docs/deploy/Dockerfile")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
        .replace("\\\n", " ")
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn the_image_is_built_in_stages_and_runs_without_rights() {
    let all = instructions();
    let images: Vec<_> = all
        .iter()
        .filter_map(|line| line.strip_prefix("FROM "))
        .collect();
    assert_eq!(images.len(), 2, "{images:?}");
    for image in &images {
        let name = image.split(' ').next().unwrap();
        assert!(
            name.contains(':') && !name.ends_with(":latest"),
            "{name} is not pinned"
        );
    }
    let last = all
        .iter()
        .rposition(|line| line.starts_with("FROM "))
        .unwrap();
    let place = |word: &str| {
        let found = all.iter().rposition(|line| line.starts_with(word));
        found
            .filter(|at| *at > last)
            .unwrap_or_else(|| panic!("no {word} in the last stage"))
    };
    assert!(!all[place("USER ")].contains("root"));
    assert!(place("USER ") < place("ENTRYPOINT "));
    assert!(place("COPY --from=build") < place("USER "));
    assert!(all[place("HEALTHCHECK ")].contains("hl7-server\", \"healthcheck"));
    assert_eq!(all[place("EXPOSE ")], "EXPOSE 2575 3000 5000 11112");
    // As a list, the program itself gets the signals.
    assert!(all[place("ENTRYPOINT ")].starts_with("ENTRYPOINT [\""));
    assert!(all[place("CMD ")].starts_with("CMD [\""));
}

#[test]
fn the_image_has_no_key_and_no_leftovers() {
    for line in instructions() {
        assert!(!line.starts_with("ADD "), "{line}");
        assert!(
            !line.contains("API_KEY") && !line.contains("PASSWORD"),
            "{line}"
        );
        if line.contains("apt-get install") {
            assert!(line.contains("apt-get update"), "{line}");
            assert!(line.contains("--no-install-recommends"), "{line}");
            assert!(line.contains("rm -rf /var/lib/apt/lists/*"), "{line}");
        }
        if line.contains("cargo build") {
            assert!(line.contains("--locked"), "{line}");
        }
    }
    let ignored = read("docs/deploy/Dockerfile.dockerignore");
    for name in [".git", "target", "medsynapse-data"] {
        assert!(ignored.lines().any(|line| line == name), "{name}");
    }
}

#[test]
fn the_compiler_of_the_image_is_the_one_that_the_workspace_asks_for() {
    let manifest = read("Cargo.toml");
    let version = manifest.split("rust-version = \"").nth(1).unwrap();
    let version = version.split('"').next().unwrap();
    assert!(instructions()[0].starts_with(&format!("FROM rust:{version}-")));
    for page in ["README.md", "docs/guide/contributing.md"] {
        assert!(read(page).contains(&format!("Rust {version}")), "{page}");
    }
}

#[test]
fn compose_opens_the_proxy_alone() {
    let compose = read("docs/deploy/compose.yaml");
    let ports: Vec<_> = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- \""))
        .map(|port| port.trim_end_matches('"'))
        .collect();
    let wanted = [
        "127.0.0.1:2575:2575",
        "127.0.0.1:3000:3000",
        "127.0.0.1:5000:5000",
        "127.0.0.1:11112:11112",
        "443:443",
    ];
    assert_eq!(ports, wanted);
    for line in [
        "API_KEY: ${API_KEY:?",
        "read_only: true",
        "cap_drop: [ALL]",
        "no-new-privileges:true",
        "condition: service_healthy",
    ] {
        assert!(compose.contains(line), "{line}");
    }
    for line in compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- ./"))
    {
        let file = line.split(':').next().unwrap();
        // The certificates are the operator's.
        if file != "certificates" {
            read(&format!("docs/deploy/{file}"));
        }
    }
}

#[test]
fn the_names_of_proxy_and_configurations_agree() {
    let nginx = read("docs/deploy/nginx.conf");
    let name = nginx
        .split("server_name ")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    for file in ["broker.toml", "container.toml"] {
        let text = read(&format!("docs/deploy/{file}"));
        assert!(
            text.contains(&format!("allowed_hosts = [\"{name}\"]")),
            "{file}"
        );
    }
    for line in [
        "proxy_buffering off;",
        "proxy_set_header Host $host;",
        "proxy_set_header Upgrade $http_upgrade;",
        "ssl_protocols TLSv1.2 TLSv1.3;",
    ] {
        assert!(nginx.contains(line), "{line}");
    }
}

#[test]
fn the_unit_shuts_what_the_broker_does_not_need() {
    let unit = read("docs/deploy/medsynapse-broker.service");
    for line in [
        "User=medsynapse",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "MemoryDenyWriteExecute=yes",
        "CapabilityBoundingSet=",
        "SystemCallFilter=@system-service",
        "UMask=0077",
        "Restart=on-failure",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
    assert!(!unit.contains("API_KEY"), "a unit can be read by everybody");
}

/// Names of metrics in a text.
fn metrics(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("hl7_") || word.starts_with("mllp_"))
        .filter(|word| !word.starts_with("hl7_message") || word.ends_with("_total"))
        .map(|word| {
            let word = word.strip_suffix("_bucket").unwrap_or(word);
            let word = word.strip_suffix("_count").unwrap_or(word);
            word.strip_suffix("_sum").unwrap_or(word)
        })
        .collect()
}

#[test]
fn dashboard_and_alerts_ask_for_metrics_that_there_are() {
    let page = read("docs/reference/metrics.md");
    let known = metrics(&page);
    let dashboard: Value = serde_json::from_str(&read("docs/deploy/grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut asked = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_i64().unwrap()), "{panel}");
        assert!(!panel["title"].as_str().unwrap().is_empty());
        for target in panel["targets"].as_array().unwrap() {
            let expr = target["expr"].as_str().unwrap();
            let names = metrics(expr);
            assert!(!names.is_empty(), "{expr}");
            asked.extend(names.into_iter().map(str::to_owned));
        }
    }
    let alerts = read("docs/deploy/alerts.yaml");
    let expressions: String = alerts
        .lines()
        .filter(|line| line.trim_start().starts_with("expr:"))
        .collect();
    asked.extend(metrics(&expressions).into_iter().map(str::to_owned));
    for name in &asked {
        assert!(
            known.contains(name.as_str()),
            "{name} is not in docs/reference/metrics.md"
        );
    }
    assert!(asked.len() > 12, "{asked:?}");
}
