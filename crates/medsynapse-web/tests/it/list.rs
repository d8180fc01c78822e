//! `GET /`.

use crate::bed::{Bed, order};

#[tokio::test]
async fn an_empty_list_says_how_to_send() {
    let bed = Bed::new().await;
    let page = bed.get("/").await;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(text.contains("No messages yet"), "{text}");
    assert!(text.contains(&bed.mllp_address) && text.contains("http://127.0.0.1:3000/api/hl7"));
}

#[tokio::test]
async fn messages_newest_first_in_pages() {
    let bed = Bed::new().await;
    for n in 1..=120 {
        bed.send(&order(n)).await;
    }
    let page = bed.get("/").await;
    assert_eq!(page.body.matches("<tr data-id=").count(), 50);
    assert!(page.body.find("MSG120").unwrap() < page.body.find("MSG119").unwrap());
    let text = page.text();
    assert!(text.contains("1–50 of 120"), "{text}");
    assert!(text.contains("New order ORM^O01 MSG120 SMITH, JOHN PAT0 ACC120 MLLP 127.0.0.1:50000 AA accepted Order registered."), "{text}");
    assert!(page.body.contains("href=\"/?page=2\""));
    let last = bed.get("/?page=3").await;
    assert_eq!(last.body.matches("<tr data-id=").count(), 20);
    assert!(last.text().contains("101–120 of 120"));
    assert!(
        bed.get("/?page=9")
            .await
            .text()
            .contains("Nothing on this page")
    );
}

#[tokio::test]
async fn searches() {
    let bed = Bed::new().await;
    for n in 1..=25 {
        bed.send(&order(n)).await;
    }
    bed.send(b"MSH|^~\\&|RIS|H|P|F|20230614131415||ORM^O01|ACC7|P|2.3\rORC|NW\r")
        .await;
    bed.send(b"nothing").await;
    for (address, rows, said) in [
        ("/?q=ACC7", 1, "Messages whose accession number is ACC7"),
        ("/?q=ACC7", 1, "It is a control ID too: 1 more."),
        ("/?q=id:ACC7", 1, "Messages whose control ID is id:ACC7"),
        ("/?q=PID%3APAT3", 3, "1–3 of 3"),
        ("/?q=PAT3", 3, "Messages whose patient ID is PAT3"),
        ("/?type=ORM&ack=AR", 1, "Missing"),
        ("/?type=&q=", 1, "Unreadable"),
        ("/?ack=AA", 25, "1–25 of 25"),
        ("/?type=all&ack=xx&page=x", 27, "1–27 of 27"),
        ("/?q=NOWHERE", 0, "No message matches"),
        ("/?q=%27+OR+1%3D1--", 0, "No message matches"),
        ("/?q=a&q=b", 27, "1–27 of 27"),
    ] {
        let page = bed.get(address).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.body.matches("<tr data-id=").count(), rows, "{address}");
        assert!(page.text().contains(said), "{address}: {}", page.text());
    }
    // The state of the page is in its address, and its links keep it.
    let page = bed.get("/?q=PAT3&ack=AA").await;
    assert!(
        page.body
            .contains("href=\"/?q=PAT3&#38;type=ORM&#38;ack=AA\""),
        "{}",
        page.body
    );
    assert!(page.body.contains("value=\"PAT3\""));
}

#[tokio::test]
async fn types_are_counted() {
    let bed = Bed::new().await;
    for n in 1..=3 {
        bed.send(&order(n)).await;
    }
    bed.send(b"nothing").await;
    let text = bed.get("/").await.text();
    assert!(text.contains("All 4 Orders ORM 3 Unreadable 1"), "{text}");
}

#[tokio::test]
async fn the_same_as_json() {
    let bed = Bed::new().await;
    bed.send(&order(1)).await;
    assert!(
        bed.get("/api/messages")
            .await
            .body
            .contains("\"totalCount\":1")
    );
    assert!(
        bed.get("/api/messages/1")
            .await
            .body
            .contains("\"hl7v2-raw/1\"")
    );
    assert_eq!(bed.get("/api/message-types").await.body, "{\"ORM\":1}");
    assert_eq!(bed.get("/api/messages/x").await.status, 400);
}

#[tokio::test]
async fn pages_that_are_not_there() {
    let bed = Bed::new().await;
    for path in [
        "/nowhere",
        "/messages/1",
        "/messages/0",
        "/messages/x",
        "/messages/%FF",
    ] {
        let page = bed.get(path).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(page.text().contains("No such"));
    }
    for path in [
        "/assets/nothing.css",
        "/assets/..%2Fsrc%2Flib.rs",
        "/assets/lib.rs",
    ] {
        assert_eq!(bed.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn words_of_a_search_say_what_they_are() {
    let bed = Bed::new().await;
    for n in 1..=3 {
        bed.send(&order(n)).await;
    }
    bed.send(&order(1)[..60]).await;
    bed.send(&crate::bed::report(2, "No fracture.")).await;
    let rows = async |search: &str| {
        let search = search
            .replace(' ', "+")
            .replace(':', "%3A")
            .replace('^', "%5E");
        let body = bed.get(&format!("/?q={search}")).await.body;
        body.matches("<tr data-id").count()
    };
    for (search, count) in [
        ("type:ORM ack:AA", 3),
        ("type:oru^r01 acc:ACC2", 1),
        ("type:ORU fracture", 1),
        ("type:ORU tumour", 0),
        ("ack:AR dir:in", 1),
        ("dir:out", 0),
        ("after:2023-06-14 type:ORM", 3),
        ("before:2023-06-14", 0),
        ("peer:127.0.0.1 id:MSG1", 1),
    ] {
        assert_eq!(rows(search).await, count, "{search}");
    }
    let text = bed.get("/?q=after%3Asoon").await.text();
    assert!(text.contains("Write after: with a day or a time"), "{text}");
}

#[tokio::test]
async fn filtered_messages_go_on_page_by_page() {
    let limits = medsynapse_web::WebLimits {
        page_rows: 2,
        ..medsynapse_web::WebLimits::default()
    };
    let bed = Bed::with(limits).await;
    for n in 1..=5 {
        bed.send(&order(n)).await;
    }
    let mut path = "/?q=type%3AORM".to_owned();
    let mut seen = Vec::new();
    loop {
        let body = bed.get(&path).await.body;
        let ids = body.split("<tr data-id=\"").skip(1);
        seen.extend(ids.map(|row| row.split('"').next().unwrap().to_owned()));
        let Some(older) = body.split("rel=\"next\" href=\"").nth(1) else {
            break;
        };
        path = older.split('"').next().unwrap().replace("&#38;", "&");
    }
    assert_eq!(seen, ["5", "4", "3", "2", "1"]);
}

#[tokio::test]
async fn an_empty_list_shows_the_first_steps() {
    let bed = Bed::new().await;
    let page = bed.get("/").await;
    for link in [
        "/generate?type=all&amp;count=3",
        "/worklist",
        "/orders",
        "/outbox",
        "/docs/guide/web",
    ] {
        assert!(page.body.contains(&format!("href=\"{link}\"")), "{link}");
    }
    assert!(!page.body.contains("class=\"spark\""));
}

#[tokio::test]
async fn messages_a_minute_are_drawn_and_said() {
    let bed = Bed::new().await;
    for n in 1..=3 {
        bed.send(&order(n)).await;
    }
    let page = bed.get("/").await;
    let said =
        "aria-label=\"Messages a minute: 3 in this one, 3 in the last hour, most at 13:14: 3\"";
    assert!(page.body.contains(said), "{}", page.body);
    bed.send(&order(4)).await;
    let page = bed.get("/").await;
    assert!(
        page.body
            .contains("Messages a minute: 4 in this one, 4 in the last hour")
    );
}
