//! Every route with every scope: who gets in. A route without a row here fails.

use std::collections::BTreeSet;

use medsynapse_http::{ApiKey, ApiKeys, Scope, Scopes, openapi};
use sha2::{Digest as _, Sha256};

use crate::bed::Bed;

/// What opens a route.
enum Open {
    ToAll,
    To(Scope),
}
use Open::{To, ToAll};

/// Method, route, what opens it.
const ROUTES: &[(&str, &str, Open)] = &[
    ("GET", "/", To(Scope::Read)),
    ("POST", "/api/hl7", To(Scope::Send)),
    ("GET", "/api/hl7/messages", To(Scope::Read)),
    ("GET", "/api/hl7/messages/{id}", To(Scope::Read)),
    ("POST", "/api/hl7/query", To(Scope::Read)),
    ("GET", "/api/hl7/types", To(Scope::Read)),
    ("POST", "/api/orders", To(Scope::Send)),
    ("GET", "/api/v1/audit", To(Scope::Admin)),
    ("GET", "/api/v1/connections", To(Scope::Read)),
    ("POST", "/api/v1/convert", To(Scope::Read)),
    ("GET", "/api/v1/dictionary/{segment}", To(Scope::Read)),
    (
        "GET",
        "/api/v1/dictionary/{segment}/{field}",
        To(Scope::Read),
    ),
    ("GET", "/api/v1/events", To(Scope::Read)),
    ("GET", "/api/v1/messages", To(Scope::Read)),
    ("GET", "/api/v1/messages/{id}", To(Scope::Read)),
    ("GET", "/api/v1/messages/{id}/ack", To(Scope::Read)),
    ("POST", "/api/v1/messages/{id}/resend", To(Scope::Send)),
    ("GET", "/api/v1/orders", To(Scope::Read)),
    ("GET", "/api/v1/orders/{accession}", To(Scope::Read)),
    ("PUT", "/api/v1/orders/{accession}", To(Scope::Write)),
    ("DELETE", "/api/v1/orders/{accession}", To(Scope::Write)),
    (
        "POST",
        "/api/v1/orders/{accession}/status",
        To(Scope::Write),
    ),
    ("GET", "/api/v1/outbox", To(Scope::Read)),
    ("GET", "/api/v1/outbox/lanes", To(Scope::Read)),
    ("GET", "/api/v1/outbox/{id}", To(Scope::Read)),
    ("POST", "/api/v1/outbox/{id}/{command}", To(Scope::Write)),
    ("GET", "/api/v1/patients", To(Scope::Read)),
    ("GET", "/api/v1/patients/{id}", To(Scope::Read)),
    ("GET", "/api/v1/patients/{id}/studies", To(Scope::Read)),
    ("GET", "/api/v1/reports", To(Scope::Read)),
    ("GET", "/api/v1/worklist", To(Scope::Read)),
    ("GET", "/api/v1/worklist/explain", To(Scope::Read)),
    (
        "GET",
        "/modality-scheduled-procedure-steps",
        To(Scope::Read),
    ),
    (
        "GET",
        "/modality-performed-procedure-steps/{uid}",
        To(Scope::Read),
    ),
    ("GET", "/api/v1/ws", To(Scope::Read)),
    ("GET", "/api/v1/faults", To(Scope::Admin)),
    ("PUT", "/api/v1/faults", To(Scope::Admin)),
    ("DELETE", "/api/v1/faults", To(Scope::Admin)),
    ("POST", "/api/v1/generate", To(Scope::Read)),
    ("POST", "/api/v1/parse", To(Scope::Read)),
    ("POST", "/api/v1/send", To(Scope::Send)),
    ("POST", "/api/v1/validate", To(Scope::Read)),
    ("GET", "/api/v1/health/live", ToAll),
    ("GET", "/api/v1/health/ready", ToAll),
    ("GET", "/api/v1/metrics", To(Scope::Metrics)),
];

/// What is there beside the document.
const OTHERS: &[(&str, Open)] = &[
    ("/api/v1/openapi.json", ToAll),
    ("/docs/", ToAll),
    ("/docs/swagger-ui.css", ToAll),
];

fn key(scope: Scope) -> ApiKey {
    ApiKey {
        id: scope.as_str().into(),
        digest: Sha256::digest(scope.as_str()).into(),
        scopes: Scopes::of([scope]),
        ends_at: None,
    }
}

async fn bed() -> Bed {
    Bed::with(|app| app.api_keys = ApiKeys::of(Scope::ALL.map(key))).await
}

/// What of 401 and 403 a request gets, if one of them.
async fn refused(bed: &Bed, method: &str, path: &str, key: Option<&str>) -> Option<u16> {
    let path = path
        .replace("{id}", "1")
        .replace("{accession}", "A1")
        .replace("{segment}", "PID")
        .replace("{field}", "5");
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(key.map(|key| ("x-api-key", key)));
    let reply = bed.request_head(method, &path, &headers).await;
    [401, 403].into_iter().find(|status| *status == reply)
}

#[tokio::test]
async fn every_route_with_every_scope() {
    let bed = bed().await;
    for (method, path, open) in ROUTES {
        let at = format!("{method} {path}");
        match open {
            ToAll => assert_eq!(refused(&bed, method, path, None).await, None, "{at}"),
            To(needed) => {
                assert_eq!(refused(&bed, method, path, None).await, Some(401), "{at}");
                assert_eq!(
                    refused(&bed, method, path, Some("no")).await,
                    Some(401),
                    "{at}"
                );
                for scope in Scope::ALL {
                    let opens = scope == *needed || scope == Scope::Admin;
                    let wanted = (!opens).then_some(403);
                    let got = refused(&bed, method, path, Some(scope.as_str())).await;
                    assert_eq!(got, wanted, "{at} with {}", scope.as_str());
                }
            }
        }
    }
    for (path, _) in OTHERS {
        assert_eq!(refused(&bed, "GET", path, None).await, None, "{path}");
    }
    // What is not there, and methods that are not answered, tell strangers nothing.
    for (method, path) in [
        ("GET", "/nowhere"),
        ("DELETE", "/api/hl7"),
        ("GET", "/api/v1/"),
    ] {
        assert_eq!(
            refused(&bed, method, path, None).await,
            Some(401),
            "{method} {path}"
        );
    }
}

#[test]
fn every_route_of_the_document_has_a_row() {
    let document = openapi();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            documented.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let rows = ROUTES
        .iter()
        .map(|(method, path, _)| format!("{method} {path}"));
    assert_eq!(rows.collect::<BTreeSet<_>>(), documented);
}
