//! The documentation inside of the pages.

use crate::bed::Bed;

#[tokio::test]
async fn the_documentation_is_read_without_the_internet() {
    let bed = Bed::new().await;
    let index = bed.get("/docs").await;
    assert_eq!(index.status, 200);
    for link in [
        "href=\"/docs/guide/hl7-from-zero\"",
        "href=\"/docs/conformance\"",
        "href=\"/docs/reference/rest\"",
        "href=\"http://127.0.0.1:3000/docs\"",
    ] {
        assert!(index.body.contains(link), "{link}");
    }
    let page = bed.get("/docs/guide/web").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<h1 id=\"the-pages\">"), "{}", page.body);
    assert!(
        page.body
            .contains("<img src=\"/docs/images/web-messages.png\"")
    );
    assert!(page.body.contains("href=\"/docs/guide/hl7-from-zero\""));
    assert!(!page.body.contains(" style="));
    let picture = bed.get("/docs/images/web-messages.png").await;
    assert!(
        picture.head.contains("content-type: image/png"),
        "{}",
        picture.head
    );
    let moved = bed.get("/docs/guide/web.md").await;
    assert_eq!(moved.status, 308);
    assert!(
        moved.head.contains("location: /docs/guide/web\r\n"),
        "{}",
        moved.head
    );
    for nothing in [
        "/docs/nothing",
        "/docs/../Cargo",
        "/docs/%2e%2e/Cargo.toml",
        "/docs/guide",
    ] {
        assert_eq!(bed.get(nothing).await.status, 404, "{nothing}");
    }
    assert_eq!(bed.get("/docs/README").await.status, 200);
    assert_eq!(bed.get("/docs/benches/BASELINE").await.status, 200);
}

#[tokio::test]
async fn the_conformance_page_says_how_this_broker_is_configured() {
    let bed = Bed::new().await;
    let page = bed.get("/docs/conformance").await;
    let text = page.text();
    for said in [
        "conformance statement 3.0.0.6",
        "This broker listens at 127.0.0.1:",
        "Accession NumberOBR-2yes16(0008,0050) AccessionNumber",
        "Scheduled Station AE TitleOBR-21yes16(0040,0001) ScheduledStationAETitle",
        "Profile medsynapse",
        "Order control XO an update of the order",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let list = bed.get("/").await;
    assert!(list.body.contains("href=\"/docs/conformance\""));
}
