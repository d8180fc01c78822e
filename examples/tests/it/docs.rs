//! The documentation held to itself: links lead somewhere, blocks are what they say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hl7_message::Message;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every page: README, CHANGELOG, `docs/`, the READMEs of crates, benchmarks' figures.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !name.starts_with('.') && name != "target" && name != "corpus" {
                folders.push(entry.path());
            } else if kind.is_file() && Path::new(&name).extension().is_some_and(|end| end == "md")
            {
                pages.push(entry.path());
            }
        }
    }
    pages.sort();
    assert!(pages.len() > 15, "{pages:?}");
    pages
}

/// A page without its code blocks, and the blocks with their language.
fn parts(page: &Path) -> (String, Vec<(String, String)>) {
    let (mut text, mut blocks) = (String::new(), Vec::new());
    let mut open: Option<(String, String)> = None;
    for line in std::fs::read_to_string(page).unwrap().lines() {
        let line = line.strip_prefix("> ").unwrap_or(line);
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.trim().to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    assert!(open.is_none(), "{}: a block is not closed", page.display());
    (text, blocks)
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.trim_matches(['<', '>']).to_owned())
        .collect()
}

/// The anchor that a heading gets: lower case, blanks as hyphens, most marks left out.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_')
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn anchors(page: &Path) -> BTreeSet<String> {
    let (text, _) = parts(page);
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(anchor)
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for page in pages() {
        let (text, _) = parts(&page);
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, fragment) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            // rustdoc resolves names of items in the pages of crates by itself.
            let item = file.contains("::") || !file.contains(['.', '/']);
            if !target.exists() && !item {
                wrong.push(format!("{}: {link}", page.display()));
            } else if !fragment.is_empty()
                && target.extension().is_some_and(|end| end == "md")
                && !anchors(&target).contains(fragment)
            {
                wrong.push(format!("{}: {link} (no such heading)", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The tests that docs/TESTING.md names are there.
#[test]
fn tests_that_are_named_exist() {
    fn sources(directory: &Path, all: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                sources(&path, all);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                all.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut all = String::new();
    for part in ["crates", "bins"] {
        sources(&root().join(part), &mut all);
    }
    let page = std::fs::read_to_string(root().join("docs/TESTING.md")).unwrap();
    let (_, part) = page.split_once("and the test that shows it").unwrap();
    let (part, _) = part.split_once("\n## ").unwrap();
    let mut named = 0;
    for line in part.lines().filter(|line| line.starts_with("| ")) {
        let shown = line.rsplit("| ").next().unwrap();
        for name in shown.split('`').skip(1).step_by(2) {
            if name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            {
                named += 1;
                assert!(all.contains(&format!("fn {name}(")), "{name} is no test");
            }
        }
    }
    assert!(named >= 25, "{named}");
}

#[test]
fn every_page_of_the_docs_is_in_the_summary() {
    let summary = root().join("docs/SUMMARY.md");
    let (text, _) = parts(&summary);
    let listed: BTreeSet<PathBuf> = links(&text)
        .iter()
        .map(|link| root().join("docs").join(link).canonicalize().unwrap())
        .collect();
    let docs = root().join("docs").canonicalize().unwrap();
    for page in pages() {
        let page = page.canonicalize().unwrap();
        if page.starts_with(&docs) && !page.ends_with("SUMMARY.md") {
            assert!(
                listed.contains(&page),
                "{} is not in docs/SUMMARY.md",
                page.display()
            );
        }
    }
}

#[test]
fn blocks_are_what_they_say() {
    for page in pages() {
        let (_, blocks) = parts(&page);
        for (language, block) in blocks {
            let shown = page.display();
            match language.as_str() {
                "hl7" => {
                    let bytes = block.replace('\n', "\r");
                    let parsed = Message::parse(bytes.as_bytes());
                    assert!(parsed.is_ok(), "{shown}: {parsed:?}\n{block}");
                }
                "json" => {
                    let parsed = serde_json::from_str::<serde_json::Value>(&block);
                    let parsed = parsed.map(|_| ()).map_err(|error| error.to_string());
                    assert_eq!(parsed, Ok(()), "{shown}:\n{block}");
                }
                _ => {}
            }
        }
    }
}

/// A block of code in the guide stands under a link to the file that it is, which is run by tests.
/// With `UPDATE_DOCS` in the environment the blocks are written again.
#[test]
fn code_in_the_guide_is_the_text_of_files_that_are_run() {
    let mut shown = BTreeSet::new();
    let docs = root().join("docs");
    for page in pages().into_iter().filter(|page| page.starts_with(&docs)) {
        let text = std::fs::read_to_string(&page).unwrap();
        let (mut wanted, mut inside) = (String::new(), false);
        let mut file: Option<PathBuf> = None;
        for line in text.lines() {
            match line.strip_prefix("```") {
                Some("rust" | "javascript" | "python") => {
                    let file = file.take().unwrap_or_else(|| {
                        panic!("{}: no link to a file above {line}", page.display())
                    });
                    wanted.push_str(line);
                    wanted.push('\n');
                    wanted.push_str(&std::fs::read_to_string(&file).unwrap());
                    shown.insert(file.file_name().unwrap().to_owned());
                    inside = true;
                }
                Some(_) if inside => {
                    wanted.push_str("```\n");
                    inside = false;
                }
                _ if inside => {}
                _ => {
                    wanted.push_str(line);
                    wanted.push('\n');
                    if let [link] = links(line).as_slice()
                        && link.contains("/examples/")
                    {
                        file = Some(page.parent().unwrap().join(link));
                    } else if !line.is_empty() {
                        file = None;
                    }
                }
            }
        }
        if std::env::var_os("UPDATE_DOCS").is_some() && text != wanted {
            std::fs::write(&page, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&page).unwrap();
        assert!(
            found == wanted,
            "{}: a block is not the text of its file: run this test with UPDATE_DOCS=1",
            page.display()
        );
    }
    assert!(shown.len() >= 9, "{shown:?}");
}

#[test]
fn every_event_is_on_the_page_of_events() {
    let page = std::fs::read_to_string(root().join("docs/guide/integrate-events.md")).unwrap();
    let source = root().join("crates/medsynapse-store/src/event.rs");
    let source = std::fs::read_to_string(source).unwrap();
    // Names are the only texts with a full stop inside and nothing but letters around it.
    let names: BTreeSet<&str> = source
        .split(['"', '`'])
        .filter(|text| {
            let plain =
                |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
            text.split_once('.')
                .is_some_and(|(one, two)| plain(one) && plain(two))
        })
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(
            page.contains(&format!("`{name}`")),
            "{name} is not on the page"
        );
    }
}

#[test]
fn anchors_are_as_readers_make_them() {
    assert_eq!(anchor("## Getting the programs"), "getting-the-programs");
    assert_eq!(anchor("# MLLP: where it begins"), "mllp-where-it-begins");
}
