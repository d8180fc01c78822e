//! What the RIS is told, and what it is not.

use std::sync::Arc;

use medsynapse::{AccessionNumber, OrderState, ReportFormat, ReportStatus, StudyStatus};
use medsynapse_broker::{Broker, Event};
use medsynapse_store::{
    Acted, ActionKind, ActionOutcome, Destination, FinalReport, OrderStep, OutboxCommand,
    OutboxQuery, OutboxState, Procedure, ProcedureState, Store,
};

use crate::bed::{Bed, Over, a08, a40, order, over_both};

over_both!(
    the_sequence_of_the_statement,
    completion_is_told_once_whoever_says_it,
    what_the_ris_says_is_not_told_back,
    demographics_that_changed_are_told_as_they_are_now,
    each_destination_hears_what_it_wants,
    a_final_report_needs_a_text_once,
    a_key_that_comes_again_does_nothing_again,
    states_go_where_they_can,
    persons_hold_release_cancel_and_retry,
    what_is_told_live_is_read_again_alike,
    histories_say_what_changed_by_what,
    orders_in_sets_of_east_asia_are_read_and_told_in_utf_8,
    bytes_that_a_set_does_not_have_are_refused_at_their_place,
);

fn ris() -> Destination {
    Destination::new("ris")
}

async fn step(bed: &Bed, accession_number: &str, step: OrderStep) -> Acted {
    let kind = ActionKind::Order {
        accession_number: AccessionNumber::try_from(accession_number).unwrap(),
        step,
    };
    bed.broker.act(kind, "test", None).await.unwrap()
}

fn text(text: &str) -> OrderStep {
    OrderStep::Final(Some(FinalReport {
        format: ReportFormat::Text,
        text: text.into(),
        date: String::new(),
        physician_id: Some("7".into()),
        physician_name: Some("DOE".into()),
    }))
}

/// The messages of the outbox in order, without their MSH-7 and MSH-10.
fn outbox(bed: &Bed) -> Vec<String> {
    let store = bed.broker.store();
    let mut items = store.outbox(&OutboxQuery::default()).unwrap().items;
    items.reverse();
    items
        .iter()
        .map(|item| {
            let raw = store.message(item.message_id).unwrap().unwrap().raw;
            let text = String::from_utf8(raw).unwrap();
            text.replace(&format!("|{}|", item.control_id), "|ID|")
        })
        .collect()
}

async fn registered(bed: &Bed, accession_number: &str) {
    let text = order("NW", accession_number, "P1") + "ZDS|1.2.3\r";
    bed.check("ORM^O01", &text, "AA Order registered.").await;
}

const MSH: &str =
    "MSH|^~\\&|PACS_APP|PACS_FACILITY|RIS|HOSPITAL|20230614131416||ORU^R01|ID|P|2.3\r";

async fn the_sequence_of_the_statement(over: &Over) {
    let bed = Bed::telling(over, vec![ris()]);
    registered(&bed, "A1").await;
    for what in [
        OrderStep::Completed,
        OrderStep::Read,
        text("No|finding.\nEnd"),
        OrderStep::Printed,
    ] {
        assert_eq!(step(&bed, "A1", what).await.outcome, ActionOutcome::Done);
    }
    let own = order("NW", "A1", "P1");
    let told = |obx: &str| format!("{MSH}{own}OBX|1|TX|CT123^CT CHEST||{obx}\r");
    assert_eq!(
        outbox(&bed),
        [
            told("||||||I"),
            told("||||||R"),
            told("||||||F|||20230614131416||7^DOE"),
            told("No\\F\\finding.\\X0D\\\\X0A\\End||||||F|||20230614131416||7^DOE"),
            told("||||||P"),
        ]
    );
    let record = bed.order("A1").unwrap();
    assert_eq!(record.order.state, OrderState::Completed);
    assert_eq!(record.report_status, Some(ReportStatus::Printed));
    let id = AccessionNumber::try_from("A1").unwrap();
    let report = bed.broker.store().report(&id).unwrap().unwrap();
    assert_eq!(
        (report.version, report.report.text.as_str()),
        (1, "No|finding.\nEnd")
    );
}

async fn completion_is_told_once_whoever_says_it(over: &Over) {
    let bed = Bed::telling(over, vec![ris()]);
    registered(&bed, "A1").await;
    let procedure = |create, state| {
        ActionKind::Procedure(Procedure {
            sop_instance_uid: "1.2".into(),
            create,
            state,
            station_ae_title: "CT1".into(),
            study_instance_uid: None,
            accession_numbers: if create {
                vec![AccessionNumber::try_from("A1").unwrap()]
            } else {
                Vec::new()
            },
            dataset: b"data".to_vec(),
            reschedule_discontinued: false,
        })
    };
    let act = async |kind| bed.broker.act(kind, "CT1", None).await.unwrap().outcome;
    assert_eq!(
        act(procedure(false, ProcedureState::Completed)).await,
        ActionOutcome::UnknownInstance
    );
    assert_eq!(
        act(procedure(true, ProcedureState::InProgress)).await,
        ActionOutcome::Done
    );
    assert_eq!(bed.order("A1").unwrap().order.state, OrderState::Started);
    assert!(outbox(&bed).is_empty(), "there is no code for it");
    assert_eq!(
        act(procedure(true, ProcedureState::InProgress)).await,
        ActionOutcome::DuplicateInstance
    );
    assert_eq!(
        act(procedure(false, ProcedureState::Completed)).await,
        ActionOutcome::Done
    );
    assert_eq!(
        act(procedure(false, ProcedureState::Discontinued)).await,
        ActionOutcome::FinalInstance
    );
    assert_eq!(
        step(&bed, "A1", OrderStep::StudyArrived).await.outcome,
        ActionOutcome::Unchanged
    );
    assert_eq!(
        step(&bed, "A1", OrderStep::Completed).await.outcome,
        ActionOutcome::Unchanged
    );
    assert_eq!(outbox(&bed).len(), 1);
    let kept = bed.broker.store().procedure("1.2").unwrap().unwrap();
    assert_eq!(kept.state, ProcedureState::Completed);
    assert_eq!(kept.accession_numbers, ["A1"]);
}

async fn what_the_ris_says_is_not_told_back(over: &Over) {
    let bed = Bed::telling(over, vec![ris()]);
    registered(&bed, "A1").await;
    bed.check("ORM^O01", "ORC|CM\rOBR|1|A1\r", "AA Order completed.")
        .await;
    bed.check(
        "ORU^R01",
        &crate::bed::report("A1", "x"),
        "AA Report registered.",
    )
    .await;
    assert!(outbox(&bed).is_empty());
    let status = bed.order("A1").unwrap().report_status;
    assert_eq!(status, Some(ReportStatus::Final));
}

async fn demographics_that_changed_are_told_as_they_are_now(over: &Over) {
    let bed = Bed::telling(over, vec![ris()]);
    registered(&bed, "A1").await;
    let change = a08("PID|1||P1||DOE^JANE|||F||||||||||ADM2");
    bed.check(
        "ADT^A08",
        &change,
        "AA Patient information updated in 1 orders.",
    )
    .await;
    let merge = a40("PID|1||NEW", "P1");
    bed.check("ADT^A40", &merge, "AA Patient merged, 1 orders moved.")
        .await;
    step(&bed, "A1", OrderStep::Read).await;
    let now = order("NW", "A1", "NEW")
        .replace("SMITH^JOHN||19800101|M", "DOE^JANE||19800101|F")
        .replace("ADM1", "ADM2");
    assert_eq!(
        outbox(&bed),
        [format!("{MSH}{now}OBX|1|TX|CT123^CT CHEST||||||||R\r")]
    );
}

async fn each_destination_hears_what_it_wants(over: &Over) {
    let research = Destination {
        statuses: vec![StudyStatus::Final],
        format: ReportFormat::RichText,
        receiving_application: Some("RES".into()),
        receiving_facility: Some("LAB".into()),
        ..Destination::new("research")
    };
    let elsewhere = Destination {
        modalities: vec!["MR".into()],
        ..Destination::new("elsewhere")
    };
    let other_house = Destination {
        sending_facilities: vec!["CLINIC".into()],
        ..Destination::new("other-house")
    };
    let bed = Bed::telling(over, vec![ris(), research, elsewhere, other_house]);
    registered(&bed, "A1").await;
    step(&bed, "A1", OrderStep::Read).await;
    let told = step(&bed, "A1", text("{fine}")).await;
    assert_eq!(told.queued.len(), 4);
    let all = outbox(&bed);
    assert_eq!(all.len(), 5);
    assert!(all[4].starts_with(&MSH.replace("RIS|HOSPITAL", "RES|LAB")));
    assert!(
        all[4].contains("OBX|1|RTF|CT123^CT CHEST||{\\E\\rtf1"),
        "{}",
        all[4]
    );
    assert!(all[4].contains("\\E\\{fine\\E\\}"));
}

async fn a_final_report_needs_a_text_once(over: &Over) {
    let bed = Bed::telling(over, vec![ris()]);
    registered(&bed, "A1").await;
    let none = step(&bed, "A1", OrderStep::Final(None)).await;
    assert_eq!(none.outcome, ActionOutcome::NoReportText);
    assert!(outbox(&bed).is_empty());
    step(&bed, "A1", text("one")).await;
    let again = step(&bed, "A1", OrderStep::Final(None)).await;
    assert_eq!(
        (again.outcome, again.queued.len()),
        (ActionOutcome::Done, 2)
    );
    let unknown = step(&bed, "A9", OrderStep::Read).await;
    assert_eq!(unknown.outcome, ActionOutcome::UnknownOrder);
}

async fn a_key_that_comes_again_does_nothing_again(over: &Over) {
    let bed = Bed::telling(over, vec![ris()]);
    registered(&bed, "A1").await;
    let kind = |step| ActionKind::Order {
        accession_number: AccessionNumber::try_from("A1").unwrap(),
        step,
    };
    let act = async |what| {
        let key = Some("key-1".to_owned());
        bed.broker.act(kind(what), "test", key).await.unwrap()
    };
    let first = act(text("one")).await;
    let again = act(text("one")).await;
    assert!(again.duplicate && !first.duplicate);
    assert_eq!(
        (again.entry_id, &again.outcome, &again.queued),
        (first.entry_id, &first.outcome, &first.queued)
    );
    assert_eq!(act(text("two")).await.outcome, ActionOutcome::KeyReused);
    assert_eq!(outbox(&bed).len(), 2);
    let bed = bed.restart().await;
    let after = bed
        .broker
        .act(kind(text("one")), "test", Some("key-1".into()));
    assert!(after.await.unwrap().duplicate);
}

async fn states_go_where_they_can(over: &Over) {
    let bed = Bed::telling(over, vec![ris()]);
    registered(&bed, "A1").await;
    let expected = [
        (OrderStep::Arrived, ActionOutcome::Done),
        (OrderStep::Arrived, ActionOutcome::Unchanged),
        (OrderStep::Ready, ActionOutcome::Done),
        (OrderStep::Started, ActionOutcome::Done),
        (
            OrderStep::Arrived,
            ActionOutcome::NotPossible(OrderState::Started),
        ),
        (OrderStep::Discontinued, ActionOutcome::Done),
        (OrderStep::Rescheduled, ActionOutcome::Done),
        (OrderStep::StudyArriving, ActionOutcome::Done),
        (OrderStep::StudyArriving, ActionOutcome::Unchanged),
        (OrderStep::Completed, ActionOutcome::Done),
        (
            OrderStep::Rescheduled,
            ActionOutcome::NotPossible(OrderState::Completed),
        ),
        (
            OrderStep::Started,
            ActionOutcome::NotPossible(OrderState::Completed),
        ),
    ];
    for (what, outcome) in expected {
        assert_eq!(
            step(&bed, "A1", what.clone()).await.outcome,
            outcome,
            "{what:?}"
        );
    }
}

async fn command(bed: &Bed, message_id: i64, command: OutboxCommand) -> ActionOutcome {
    let kind = ActionKind::Outbox {
        message_id,
        command,
    };
    bed.broker.act(kind, "test", None).await.unwrap().outcome
}

async fn persons_hold_release_cancel_and_retry(over: &Over) {
    let bed = Bed::telling(over, vec![ris()]);
    registered(&bed, "A1").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.extend(step(&bed, "A1", OrderStep::Read).await.queued);
    }
    let next = || {
        bed.broker
            .store()
            .next_outgoing("ris")
            .unwrap()
            .map(|n| n.message_id)
    };
    assert_eq!(next(), Some(ids[0]));
    assert_eq!(
        command(&bed, ids[0], OutboxCommand::Hold).await,
        ActionOutcome::Done
    );
    assert_eq!(next(), Some(ids[1]));
    assert_eq!(
        command(&bed, ids[1], OutboxCommand::Cancel).await,
        ActionOutcome::Done
    );
    assert_eq!(next(), Some(ids[2]));
    // Released, it has its own place again; what was cancelled goes to the end.
    assert_eq!(
        command(&bed, ids[0], OutboxCommand::Retry).await,
        ActionOutcome::Done
    );
    assert_eq!(
        command(&bed, ids[1], OutboxCommand::Retry).await,
        ActionOutcome::Done
    );
    assert_eq!(next(), Some(ids[0]));
    for id in [ids[0], ids[2]] {
        assert_eq!(
            command(&bed, id, OutboxCommand::Cancel).await,
            ActionOutcome::Done
        );
    }
    assert_eq!(next(), Some(ids[1]));
    assert_eq!(
        command(&bed, ids[2], OutboxCommand::Hold).await,
        ActionOutcome::NotInState(OutboxState::Cancelled)
    );
    assert_eq!(
        command(&bed, 1, OutboxCommand::Hold).await,
        ActionOutcome::UnknownMessage
    );
}

/// So many events that are told, and that there are no more. Over a store that several servers have
/// they come a little later than the answers.
async fn drain(events: &mut tokio::sync::broadcast::Receiver<Event>, count: usize) -> Vec<Event> {
    let mut told = Vec::new();
    while told.len() < count {
        told.push(events.recv().await.unwrap());
    }
    assert!(events.try_recv().is_err());
    told
}

fn replayed(broker: &Broker, after: i64, page: u32) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    loop {
        let from = all.last().and_then(|e| e.id).unwrap_or(after);
        let events = broker.store().events_after(from, page).unwrap();
        if events.is_empty() {
            return all;
        }
        all.extend(events);
    }
}

async fn what_is_told_live_is_read_again_alike(over: &Over) {
    let bed = Bed::telling(over, vec![ris()]);
    let mut live = bed.broker.subscribe();
    registered(&bed, "A1").await;
    bed.check("ORM^O01", &order("NW", "A1", "P1"), "AA Order updated.")
        .await;
    bed.check(
        "ORM^O01",
        "ORC|CA\rOBR|1|A9\r",
        "AR No order has accession number A9.",
    )
    .await;
    for what in [
        OrderStep::Arrived,
        OrderStep::Started,
        OrderStep::StudyArriving,
        text("x"),
    ] {
        step(&bed, "A1", what).await;
    }
    step(&bed, "A1", OrderStep::Arrived).await;
    step(&bed, "A1", OrderStep::StudyArrived).await;
    bed.check(
        "ADT^A40",
        &a40("PID|1||NEW", "P1"),
        "AA Patient merged, 1 orders moved.",
    )
    .await;
    bed.check("ORM^O01", "ORC|CA\rOBR|1|A1\r", "AA Order cancelled.")
        .await;
    let told = drain(&mut live, 19).await;
    for page in [1, 2, 3, 1_000] {
        assert_eq!(replayed(&bed.broker, 0, page), told);
    }
    assert!(told.is_sorted_by(|a, b| a.id < b.id));
    let names: Vec<&str> = told.iter().map(|event| event.kind.name()).collect();
    assert_eq!(
        names,
        [
            "message.received",
            "order.created",
            "message.received",
            "order.updated",
            "message.received",
            "order.updated",
            "order.started",
            "study.arriving",
            "report.stored",
            "report.final",
            "report.queued",
            "report.queued",
            "study.arrived",
            "order.completed",
            "report.queued",
            "message.received",
            "patient.merged",
            "message.received",
            "order.cancelled",
        ]
    );
    let middle = told[4].id.unwrap();
    assert_eq!(replayed(&bed.broker, middle, 100), told[5..]);
    let last = bed.broker.store().last_event().unwrap();
    assert!(last >= told.last().unwrap().id.unwrap());
    assert!(replayed(&bed.broker, last, 100).is_empty());
    registered(&bed, "A2").await;
    assert_eq!(replayed(&bed.broker, last, 100).len(), 2);
}

async fn histories_say_what_changed_by_what(over: &Over) {
    let bed = Bed::telling(over, vec![ris()]);
    registered(&bed, "A1").await;
    let change = a08("PID|1||P1||DOE^JANE|||F");
    bed.check(
        "ADT^A08",
        &change,
        "AA Patient information updated in 1 orders.",
    )
    .await;
    bed.check(
        "ADT^A40",
        &a40("PID|1||NEW", "P1"),
        "AA Patient merged, 1 orders moved.",
    )
    .await;
    step(&bed, "A1", OrderStep::Read).await;
    bed.check("ORM^O01", "ORC|CA\rOBR|1|A1\r", "AA Order cancelled.")
        .await;
    let store: &Arc<dyn Store> = bed.broker.store();
    let id = AccessionNumber::try_from("A1").unwrap();
    let history = store.order_history(&id).unwrap().unwrap();
    assert_eq!(history.order, None);
    assert_eq!(history.messages.len(), 3, "registered, sent, cancelled");
    assert_eq!(history.actions.len(), 1);
    assert_eq!(history.outbox.len(), 1);
    let cancelled = history.cancelled.unwrap();
    assert_eq!(
        (
            cancelled.study_instance_uid.as_str(),
            cancelled.cancelled_by
        ),
        ("1.2.3", 6)
    );
    let fields: Vec<(i64, Vec<&str>)> = history
        .changes
        .iter()
        .map(|c| (c.entry_id, c.fields.iter().map(|f| f.0.as_str()).collect()))
        .collect();
    assert_eq!(
        fields,
        [
            (2, vec!["patient_name", "patient_sex"]),
            (3, vec!["patient_id"]),
            (4, vec!["report_status"]),
        ]
    );
    let patient = |id: &str| {
        let id = medsynapse::PatientId::try_from(id).unwrap();
        store.patient(&id).unwrap().unwrap()
    };
    let old = patient("P1");
    assert_eq!(old.patient.merged_into.as_deref(), Some("NEW"));
    assert_eq!(old.changes.len(), 2, "the A08 and the A40");
    let new = patient("NEW");
    assert_eq!(new.patient.name.as_deref(), Some("DOE^JANE"));
    assert_eq!(new.merged[0].as_str(), "P1");
    // The order comes again, and is the same study.
    bed.check("ORM^O01", &order("NW", "A1", "P1"), "AA Order registered.")
        .await;
    let uid = bed.attribute("A1", medsynapse::Attribute::StudyInstanceUid);
    assert_eq!(uid.as_deref(), Some("1.2.3"));
}

/// In these sets half of a character can be the number of a delimiter: 能 ends in 5C in Shift JIS,
/// ポ in 7C.
async fn orders_in_sets_of_east_asia_are_read_and_told_in_utf_8(over: &Over) {
    for (number, set) in ["SHIFT_JIS", "ISO IR87", "GB 18030-2000", "~ISO IR87"]
        .into_iter()
        .enumerate()
    {
        let bed = Bed::telling(over, vec![ris()]);
        let charset = hl7_message::Charset::from_msh18(set.trim_start_matches('~').as_bytes());
        let text = crate::bed::message("ORM^O01", &format!("C{number}"), &order("NW", "A1", "P1"))
            .replace("|P|2.3\r", &format!("|P|2.3||||||{set}\r"))
            .replace("SMITH^JOHN", "ソポ^能");
        let bytes = charset.unwrap().encode(&text).unwrap().into_owned();
        let answer = bed.send_bytes(&bytes).await;
        assert_eq!(answer.code.as_str(), "AA", "{set}: {}", answer.text);
        let name = bed.attribute("A1", medsynapse::Attribute::PatientName);
        assert_eq!(name.as_deref(), Some("ソポ^能"), "{set}");
        let stored = bed.stored(1);
        assert_eq!(stored.raw, bytes, "as it came");
        assert_eq!(stored.summary.patient_name.as_deref(), Some("ソポ^能"));
        step(&bed, "A1", OrderStep::Completed).await;
        let [told] = outbox(&bed).try_into().unwrap();
        let header = told.split('\r').next().unwrap();
        assert!(header.ends_with("|P|2.3||||||UNICODE UTF-8"), "{header}");
        assert!(told.contains("|ソポ^能|"), "{told}");
    }
}

async fn bytes_that_a_set_does_not_have_are_refused_at_their_place(over: &Over) {
    let bed = Bed::new(over);
    let text = crate::bed::message("ORM^O01", "C1", &order("NW", "A1", "P1"))
        .replace("|P|2.3\r", "|P|2.3||||||SHIFT_JIS\r");
    let mut bytes = text.into_bytes();
    let at = bytes.windows(5).position(|w| w == b"SMITH").unwrap();
    bytes[at] = 0xFF;
    let answer = bed.send_bytes(&bytes).await;
    let said = "AR PID-5 has bytes that are not SHIFT_JIS; set MSH-18.";
    assert_eq!(format!("{} {}", answer.code, answer.text), said);
    assert_eq!(bed.stored(1).findings[0].offset, Some(at));
    assert!(bed.order("A1").is_none());
}
