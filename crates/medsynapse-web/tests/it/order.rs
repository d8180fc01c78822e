//! `GET /orders/{accession number}`.

use crate::bed::{Bed, order, report};

#[tokio::test]
async fn an_order_with_its_report_and_its_messages() {
    let bed = Bed::new().await;
    bed.send(&order(1)).await;
    bed.send(&order(2)).await;
    bed.send(&report(1, "Normal <b>study</b>.\\X0D\\\\X0A\\Lungs clear."))
        .await;
    let page = bed.get("/orders/ACC1").await;
    assert_eq!(page.status, 200);
    let text = page.text();
    for said in [
        "Order ACC1",
        "Scheduled SMITH, JOHN",
        "Modality OBR-24.1 CT",
        "Scheduled Station AE Title OBR-21.1 CT1",
        "Registered 2023-06-14 13:14:16.000 +00:00 by message 1",
        "Final · GRAY · 77 · version 1",
        "Normal &#60;b&#62;study&#60;/b&#62;. Lungs clear.",
        "New report ORU^R01 REP1",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert_eq!(page.body.matches("<tr data-id=").count(), 2);
}

#[tokio::test]
async fn a_cancelled_order_keeps_its_messages() {
    let bed = Bed::new().await;
    bed.send(&order(1)).await;
    let cancel = String::from_utf8(order(1))
        .unwrap()
        .replace("ORC|NW", "ORC|CA");
    bed.send(cancel.replace("|MSG1|", "|MSG9|").as_bytes())
        .await;
    let page = bed.get("/orders/ACC1").await;
    assert!(
        page.text().contains("it was cancelled or never accepted"),
        "{}",
        page.text()
    );
    assert_eq!(page.body.matches("<tr data-id=").count(), 2);
}

#[tokio::test]
async fn orders_that_are_not_there() {
    let bed = Bed::new().await;
    for path in [
        "/orders/NONE",
        "/orders/%20",
        "/orders/%FF",
        "/orders/a%0Db",
    ] {
        let page = bed.get(path).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(page.text().contains("No such order"));
    }
}
