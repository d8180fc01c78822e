//! The `OpenAPI` document: it and the routes are one, and the page of the reference is made of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use medsynapse_http::openapi;
use serde_json::Value;

use crate::bed::Bed;

/// The methods of each path of the document.
fn documented() -> BTreeMap<String, Vec<String>> {
    let document = openapi();
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &Value| {
        let mut methods: Vec<_> = item
            .as_object()
            .unwrap()
            .keys()
            .map(|name| name.to_uppercase())
            .collect();
        methods.sort();
        methods
    };
    paths
        .iter()
        .map(|(path, item)| (path.clone(), methods(item)))
        .collect()
}

#[tokio::test]
async fn each_path_answers_the_methods_of_the_document_and_no_others() {
    let bed = Bed::new().await;
    for (path, methods) in documented() {
        let asked = path
            .replace("{id}", "1")
            .replace("{accession}", "A1")
            .replace("{segment}", "PID")
            .replace("{field}", "5")
            .replace("{command}", "retry");
        let reply = bed.request("PATCH", &asked, &[], b"").await;
        assert_eq!(reply.status, 405, "{path}");
        let allow = reply.header("allow").unwrap().to_uppercase();
        let mut allowed: Vec<_> = allow
            .split(',')
            .filter(|method| *method != "HEAD")
            .map(str::to_owned)
            .collect();
        allowed.sort();
        assert_eq!(allowed, methods, "{path}");
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_served_without_the_network() {
    let bed = Bed::new().await;
    assert_eq!(bed.get("/api/v1/openapi.json").await.json(), openapi());
    let page = bed.get("/docs/").await;
    let text = String::from_utf8(page.body).unwrap();
    assert!(page.status == 200 && text.contains("swagger"), "{text}");
    assert!(!text.contains("https://"), "{text}");
    for file in [
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "swagger-initializer.js",
    ] {
        assert_eq!(
            bed.get(&format!("/docs/{file}")).await.status,
            200,
            "{file}"
        );
    }
}

/// The text of a cell.
fn cell(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_default()
        .replace('\n', " ")
        .replace('|', "\\|")
}

fn page() -> String {
    let document = openapi();
    let mut page = String::from(
        "# REST API\n\nMade from the OpenAPI document of the routes (`hl7-server openapi`); a test \
         keeps them equal. The scope is what a key or a token needs; `admin` opens all of them. \
         Errors are `application/problem+json` with `code`, `error` and `hl7`.\n",
    );
    let mut tags: BTreeMap<String, Vec<(String, String, Value)>> = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let tag = operation["tags"][0].as_str().unwrap().to_owned();
            let entry = (path.clone(), method.to_uppercase(), operation.clone());
            tags.entry(tag).or_default().push(entry);
        }
    }
    for (tag, mut operations) in tags {
        operations.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        write!(page, "\n## {tag}\n").unwrap();
        for (path, method, operation) in operations {
            let scope = operation["security"][0]["apiKey"][0]
                .as_str()
                .unwrap_or("none");
            write!(
                page,
                "\n### `{method} {path}`\n\n{}",
                cell(&operation["summary"])
            )
            .unwrap();
            if operation["description"].is_string() {
                write!(page, " {}", cell(&operation["description"])).unwrap();
            }
            write!(page, "\n\nScope: `{scope}`.\n").unwrap();
            if let Some(parameters) = operation["parameters"].as_array() {
                page.push_str("\n| parameter | in | what |\n|---|---|---|\n");
                for parameter in parameters {
                    let (name, place) = (cell(&parameter["name"]), cell(&parameter["in"]));
                    writeln!(
                        page,
                        "| `{name}` | {place} | {} |",
                        cell(&parameter["description"])
                    )
                    .unwrap();
                }
            }
        }
    }
    page
}

#[test]
fn the_page_of_the_reference_is_what_the_routes_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/rest.md");
    let wanted = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/reference/rest.md is not up to date: run this test with UPDATE_DOCS=1"
    );
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = openapi();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 40);
    for reference in found {
        let place = document.pointer(reference.trim_start_matches('#'));
        assert!(place.is_some(), "{reference}");
    }
}
