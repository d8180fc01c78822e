//! `GET /messages/{id}`.

use crate::bed::{Bed, order};

#[tokio::test]
async fn everything_that_is_known_of_a_message() {
    let bed = Bed::new().await;
    for n in 1..=3 {
        bed.send(&order(n)).await;
    }
    let page = bed.get("/messages/2").await;
    assert_eq!(page.status, 200);
    let text = page.text();
    for said in [
        "New order ORM^O01",
        "AA accepted Order registered.",
        "Patient SMITH, JOHN",
        "Accession number ACC2",
        "Sender RIS · HOSPITAL",
        "Came in by MLLP from 127.0.0.1:50000",
        "OBR-21 Filler Field 2 ST CT1 Scheduled Station AE Title → DICOM (0040,0001)",
        "Control IDMSH-10 MSG2MSA-2 MSG2same",
        "What it did Registered the order ACC2",
        "&#34;accessionNumber&#34;: &#34;ACC2&#34;",
        "PID-5.2 Given Name ST JOHN",
        "Sex IS M Male",
        "MSA|AA|MSG2|Order registered.",
        "&#34;format&#34;: &#34;hl7v2-raw/1&#34;",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(
        page.body.contains("href=\"/messages/3\"") && page.body.contains("href=\"/messages/1\"")
    );
    assert!(page.body.contains("href=\"/orders/ACC2\""));
    assert!(
        page.body
            .contains("<span data-path=\"PID-5\" title=\"PID-5 Patient Name\"><span data-path=\"PID-5.1\">SMITH</span><span class=\"sep\">^</span>")
    );
    let first = bed.get("/messages/1").await;
    assert!(first.body.contains("<span class=\"off\">Older</span>"));
}

#[tokio::test]
async fn what_a_message_did_is_told() {
    let bed = Bed::new().await;
    bed.send(&order(1)).await;
    let changed = String::from_utf8(order(1)).unwrap();
    let changed = changed
        .replace("MSG1", "MSG2")
        .replace("SMITH^JOHN", "SMITH^JANE");
    bed.send(changed.as_bytes()).await;
    let update = "MSH|^~\\&|RIS|HOSPITAL|PACS|R|20230614131415||ADT^A08|MSG3|P|2.3\r\
                  EVN|A08|20230614131415\rPID|1||PAT1||JONES^JANE||19800101|F\r";
    bed.send(update.as_bytes()).await;
    let merge = "MSH|^~\\&|RIS|HOSPITAL|PACS|R|20230614131415||ADT^A40|MSG4|P|2.3\r\
                 EVN|A40|20230614131415\rPID|1||PAT9||JONES^JANE\rMRG|PAT1\r";
    bed.send(merge.as_bytes()).await;
    bed.send(b"MSH|^~\\&|RIS|H|P|R|20230614||ORM^O01|MSG5|P|2.3\rORC|CA\rOBR|1|ACC1\r")
        .await;
    for (id, said) in [
        (
            2,
            "Changed the order ACC1 patient name SMITH, JOHN → SMITH, JANE",
        ),
        (
            3,
            "Changed the patient PAT1 name SMITH, JANE → JONES, JANE sex M → F",
        ),
        (4, "PAT9"),
        (5, "Cancelled the order ACC1"),
    ] {
        let text = bed.get(&format!("/messages/{id}")).await.text();
        let did = text.split_once("What it did").unwrap().1;
        let did = did.split_once("JSON").unwrap().0;
        assert!(did.contains(said), "{id}: {did}");
    }
}

#[tokio::test]
async fn findings_stand_at_their_place() {
    let bed = Bed::new().await;
    let message = String::from_utf8(order(1)).unwrap();
    bed.send(
        message
            .replace("|CT1|RP1|", "||RP1|")
            .replace("PV1|1|O\r", "ZXY|1\r")
            .as_bytes(),
    )
    .await;
    let page = bed.get("/messages/1").await;
    let text = page.text();
    assert!(text.contains("AR rejected Missing OBR-18"), "{text}");
    assert!(
        page.body.contains("<a class=\"path\" href=\"#at-OBR-18\">"),
        "{}",
        page.body
    );
    assert!(page.body.contains("<tr id=\"at-OBR-18\""));
    assert!(text.contains("not sent"));
    assert!(text.contains("Warning: "), "{text}");
}

#[tokio::test]
async fn what_is_no_message_is_shown_as_it_is() {
    let bed = Bed::new().await;
    bed.send(b"PID|1\rfree\x00text\xFF").await;
    let page = bed.get("/messages/1").await;
    let text = page.text();
    assert!(
        text.contains("Unreadable") && text.contains("PID|1"),
        "{text}"
    );
    assert!(
        page.body
            .contains("free<span class=\"np\">0x00</span>text<span class=\"np\">0xFF</span>")
    );
    assert!(!text.contains("Fields"));
}

#[tokio::test]
async fn large_messages_are_cut() {
    let bed = Bed::new().await;
    let mut message = order(1);
    for n in 0..3_000 {
        message.extend_from_slice(format!("NTE|{n}||{}\r", "x".repeat(300)).as_bytes());
    }
    bed.send(&message).await;
    let page = bed.get("/messages/1").await;
    assert!(page.body.len() < 2_000_000, "{}", page.body.len());
    assert!(page.text().contains("2505 more segments"));
}

#[tokio::test]
async fn two_messages_are_compared() {
    let bed = Bed::new().await;
    bed.send(&order(1)).await;
    bed.send(&order(2)).await;
    let text = bed.get("/messages/1?with=2").await.text();
    assert!(text.contains("Compared with message 2"), "{text}");
    assert!(text.contains("MSH-10Message Control IDMSG1MSG2"), "{text}");
    assert!(
        text.contains("PID-3Patient ID (Internal ID)PAT1PAT2"),
        "{text}"
    );
    let text = bed.get("/messages/1?with=1").await.text();
    assert!(text.contains("values are the same."), "{text}");
    let text = bed.get("/messages/1?with=99").await.text();
    assert!(text.contains("has no message 99"), "{text}");
}

#[tokio::test]
async fn a_message_is_sent_again_under_a_new_control_id() {
    let bed = Bed::new().await;
    bed.send(&order(1)).await;
    let page = bed.get("/messages/1").await;
    assert!(page.body.contains("href=\"/send?from=1&amp;fresh=true\""));
    let text = bed.get("/send?from=1&fresh=true").await.body;
    assert!(text.contains("|ORM^O01|RE"), "{text}");
    assert!(!text.contains("|MSG1|"));
}
