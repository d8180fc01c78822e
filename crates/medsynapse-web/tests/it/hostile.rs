//! Values that want to be markup, and what the browser is told.

use crate::bed::Bed;

const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' autofocus onfocus='alert(1)",
    "</title></textarea></pre><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}<!--",
];

/// The tags of a page, each with its attributes, read as a browser reads them.
fn tags(body: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut tags = Vec::new();
    let mut rest = body.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = rest.find(|c: char| c.is_whitespace() || c == '>').unwrap();
        let (name, after) = rest.split_at(end);
        rest = after;
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break;
            }
            let end = rest
                .find(|c: char| c.is_whitespace() || "=>".contains(c))
                .unwrap();
            let attribute = rest[..end].to_owned();
            rest = &rest[end..];
            let mut value = "";
            if let Some(after) = rest.strip_prefix("=\"") {
                let end = after.find('"').unwrap();
                value = &after[..end];
                rest = &after[end + 1..];
            } else {
                assert!(
                    !rest.starts_with('='),
                    "a value without quotes: {attribute}"
                );
            }
            attributes.push((attribute, value.to_owned()));
        }
        tags.push((name.to_ascii_lowercase(), attributes));
    }
    tags
}

/// No value has become markup: only tags and attributes that the templates have.
#[track_caller]
fn only_text(body: &str) {
    const ATTRIBUTES: &str = " lang charset name content rel href type src class id aria-hidden \
        focusable viewBox d cx cy r x y width height rx alt tabindex hidden title aria-label role \
        action method for maxlength autocomplete spellcheck placeholder value aria-keyshortcuts \
        selected aria-pressed aria-describedby inputmode required autofocus min max step aria-current aria-labelledby data-last data-first-page data-id \
        data-path data-copy data-live data-check aria-live label wrap rows datetime scope open ";
    for (name, attributes) in tags(body) {
        let script = name == "script";
        for (attribute, value) in attributes {
            let known = attribute.trim_end_matches('/');
            if known.is_empty() {
                continue; // The end of an empty element.
            }
            assert!(
                ATTRIBUTES.contains(&format!(" {known} ")),
                "<{name} {attribute}>"
            );
            if matches!(known, "href" | "src" | "action") {
                let own = ["/", "#", "http://127.0.0.1:3000"]
                    .iter()
                    .any(|s| value.starts_with(s));
                assert!(own && !value.starts_with("//"), "{known}={value}");
                assert!(!script || value.starts_with("/assets/"));
            }
        }
    }
    let images = tags(body).iter().filter(|(name, _)| name == "img").count();
    assert_eq!(images, 1, "the brand's alone");
    assert!(!body.contains(">49<"));
}

#[tokio::test]
async fn values_are_only_ever_text() {
    let bed = Bed::new().await;
    for (n, value) in HOSTILE.iter().enumerate() {
        let value = value.replace('&', "\\T\\").replace('^', "\\S\\");
        let message = format!(
            "MSH|^~\\&|{value}|{value}|{value}|{value}|{value}||ORM^O01|{value}{n}|P|2.3\r\
             PID|1|{value}|{value}|{value}|{value}^{value}^{value}~{value}||{value}|{value}\r\
             ORC|NW|{value}\r\
             OBR|1|{value}||{value}^{value}&{value}|{value}\r\
             {value}|{value}\r"
        );
        bed.send(message.as_bytes()).await;
        bed.send(format!("MSH|^~\\&|A|B|C|D|E||{value}^{value}|{n}|P|{value}\r").as_bytes())
            .await;
        bed.send(format!("{value}\r{value}").as_bytes()).await;
    }
    let list = bed.get("/").await;
    only_text(&list.body);
    assert!(
        list.body
            .contains("&#60;script&#62;alert(1)&#60;/script&#62;")
    );
    for id in 1..=HOSTILE.len() * 3 {
        let page = bed
            .get(&format!("/messages/{id}?with={}", id % 4 + 1))
            .await;
        assert_eq!(page.status, 200);
        only_text(&page.body);
    }
    let query = "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E";
    only_text(
        &bed.get(&format!(
            "/?q={query}&type={query}&ack={query}&page={query}"
        ))
        .await
        .body,
    );
    only_text(&bed.get(&format!("/?q=type:{query}+{query}")).await.body);
    only_text(&bed.get(&format!("/messages/1?with={query}")).await.body);
    let asked = format!("/worklist?aet={query}&modality={query}&from={query}&order={query}");
    only_text(&bed.get(&asked).await.body);
    bed.connections
        .opened(1, HOSTILE[0].into(), chrono::DateTime::UNIX_EPOCH);
    only_text(&bed.get("/connections").await.body);
    only_text(&bed.get(&format!("/send?template={query}")).await.body);
    only_text(&bed.get(&format!("/docs/{query}")).await.body);
    let form = format!("message={query}&via=mllp&break={query}");
    let kind = "application/x-www-form-urlencoded";
    only_text(&bed.post("/send", kind, &form, "").await.body);
    only_text(&bed.get(&format!("/{query}")).await.body);
    only_text(&bed.get(&format!("/orders/{query}")).await.body);
    only_text(&bed.get(&format!("/messages/{query}")).await.body);
}

#[tokio::test]
async fn every_answer_is_told_to_be_strict() {
    let bed = Bed::new().await;
    for path in [
        "/",
        "/messages/1",
        "/nowhere",
        "/assets/style.css",
        "/api/messages",
    ] {
        let head = bed.get(path).await.head;
        for line in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; \
             connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; \
             frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: same-origin",
        ] {
            assert!(head.contains(line), "{path}: {head}");
        }
    }
    assert!(bed.get("/").await.head.contains("cache-control: no-store"));
}

#[tokio::test]
async fn names_of_others_are_not_answered() {
    let bed = Bed::new().await;
    assert_eq!(bed.get_with("/", "Host: evil.test\r\n").await.status, 421);
    assert_eq!(
        bed.get_with("/events", "Host: evil.test\r\n").await.status,
        421
    );
    assert_eq!(bed.get_with("/", "Host: [::1]:5000\r\n").await.status, 200);
}

#[tokio::test]
async fn pages_hold_no_script_of_their_own_and_nothing_from_elsewhere() {
    let bed = Bed::new().await;
    let page = bed.get("/").await.body;
    for tag in page.split("<script").skip(1) {
        assert!(
            tag.contains("src=\"/assets/") && tag.contains("></script>"),
            "{tag}"
        );
    }
    for asset in [
        "style.css",
        "list.js",
        "detail.js",
        "keys.js",
        "rows.js",
        "theme.js",
        "icon.svg",
    ] {
        let file = bed.get(&format!("/assets/{asset}")).await;
        assert_eq!(file.status, 200, "{asset}");
        let foreign = file.body.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !foreign.contains("http") && !foreign.contains("innerHTML"),
            "{asset}"
        );
        let tag = file
            .head
            .lines()
            .find_map(|line| line.strip_prefix("etag: "))
            .unwrap();
        let known = format!("If-None-Match: {tag}\r\n");
        let again = bed.get_with(&format!("/assets/{asset}"), &known).await;
        assert_eq!(again.status, 304);
    }
}
