//! The page of all configuration keys, held to what the program reads.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/configuration.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once("```toml\n").unwrap();
    rest.split_once("\n```").unwrap().0.to_owned()
}

/// What `check-config` says of a file.
fn checked(toml: &str) -> (bool, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("broker.toml");
    std::fs::write(&path, toml).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hl7-server"))
        .env_clear()
        .args(["check-config", "--config"])
        .arg(&path)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// A line of the page without the mark of what is not set.
fn plain(line: &str) -> &str {
    let rest = line.strip_prefix("# ").unwrap_or(line);
    let is_toml = rest.starts_with('[')
        || rest.split_once(" = ").is_some_and(|(key, _)| {
            key.bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_uppercase())
        });
    if is_toml { rest } else { line }
}

/// The keys of each section of the page; the header as it stands.
fn sections() -> BTreeMap<String, Vec<String>> {
    let mut sections = BTreeMap::from([(String::new(), Vec::new())]);
    let mut header = String::new();
    for line in page().lines().map(plain) {
        if line.starts_with('[') {
            line.split(" #")
                .next()
                .unwrap()
                .trim()
                .clone_into(&mut header);
            sections.entry(header.clone()).or_default();
        } else if let Some((key, _)) = line.split_once(" = ") {
            sections
                .entry(header.clone())
                .or_default()
                .push(key.to_owned());
        }
    }
    sections
}

#[test]
fn the_whole_block_is_accepted_and_says_the_defaults() {
    let (good, said) = checked(&page());
    assert!(good, "{said}");
    let print = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_hl7-server"))
            .env_clear()
            .arg("--print-config")
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("broker.toml");
    std::fs::write(&path, page()).unwrap();
    assert_eq!(print(&["--config", path.to_str().unwrap()]), print(&[]));
}

#[test]
fn what_is_not_set_can_be_set() {
    let text: Vec<_> = page().lines().map(|line| plain(line).to_owned()).collect();
    // AE titles of orders belong to the other mapping.
    let text = text
        .join("\n")
        .replace("mapping = \"medsynapse\"", "mapping = \"ihe-rad4\"");
    // A database would have to be there.
    let (before, rest) = text.split_once("[database]").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let text = format!("{before}\n{after}");
    // The keys are looked at: this file has some.
    let folder = TempDir::new().unwrap();
    let key = folder.path().join("data.key");
    let made = Command::new(env!("CARGO_BIN_EXE_hl7-server"))
        .args(["encryption", "new-key"])
        .arg(&key)
        .status();
    assert!(made.unwrap().success());
    let named = "/etc/medsynapse/data.key";
    assert!(text.contains(named));
    let (good, said) = checked(&text.replace(named, key.to_str().unwrap()));
    assert!(good, "{said}");
}

#[test]
fn every_key_that_the_program_knows_is_on_the_page() {
    let sections = sections();
    let headers: Vec<&String> = sections.keys().collect();
    for (header, keys) in &sections {
        // Names of modalities are free.
        if header.ends_with("ae_titles]") {
            continue;
        }
        // What stands in a list of tables needs its list, and a name and address around it.
        let before = if header == "[destinations.tls]" {
            "[[destinations]]\nname = 'a'\naddress = 'a:1'\n"
        } else {
            ""
        };
        let (good, said) = checked(&format!("{before}{header}\nno_such_key = 1\n"));
        assert!(
            !good && said.contains("unknown field `no_such_key`"),
            "{header}: {said}"
        );
        let (_, known) = said.rsplit_once("expected").unwrap();
        for name in known.split('`').skip(1).step_by(2) {
            let path = header.trim_matches(['[', ']']);
            let below = match path {
                "" => name.to_owned(),
                path => format!("{path}.{name}"),
            };
            let is_section = headers.iter().any(|other| {
                let other = other.trim_matches(['[', ']']);
                other == below || other.starts_with(&format!("{below}."))
            });
            assert!(
                is_section || keys.iter().any(|key| key == name),
                "docs/reference/configuration.md lacks {name} in {header:?}"
            );
        }
    }
}
