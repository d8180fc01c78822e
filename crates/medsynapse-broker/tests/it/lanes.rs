//! The lane of a destination against a RIS with every fault, on a paused clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use medsynapse_broker::{Clock, LaneConfig, LanePhase, LaneStatus, Outbox};
use medsynapse_store::testing::{Call, Failing};
use medsynapse_store::{
    ActionKind, OutboxCommand, OutboxItem, OutboxQuery, OutboxState, Paging, Store, StoreError,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bed::{Bed, Over, Place, order, over_both};
use crate::pretend::{Behaviour, Direct, JumpingClock, Ris, ToRis, TokioClock};

over_both!(
    a_ris_that_is_away,
    a_ris_that_never_answers,
    a_ris_that_answers_for_another_message,
    a_ris_that_answers_late,
    a_ris_that_closes,
    a_ris_that_gives_half_an_answer_and_goes,
    a_ris_that_gives_half_an_answer_and_stays,
    a_ris_that_does_not_speak_mllp,
    a_ris_whose_answer_has_no_msa,
    what_is_refused_leaves_the_queue_with_its_reason_and_can_be_sent_again,
    the_waits_double_to_five_minutes_and_a_person_can_cut_them_short,
    a_clock_that_jumps_changes_neither_the_waits_nor_the_order,
    a_new_message_does_not_cut_the_wait_short_and_a_held_one_is_passed_over,
    stopping_ends_the_exchange_in_hand_and_a_restart_goes_on,
    a_store_that_fails_at_its_nth_call_marks_nothing_falsely_and_loses_nothing,
    a_ris_that_is_away_for_a_day,
);

/// A store with one order, A1, made by a broker and left by it.
pub(crate) async fn stored(over: &Over) -> (Place, Arc<dyn Store>) {
    let place = over.place();
    let store = place.open();
    let bed = Bed::over(
        Arc::clone(&store),
        medsynapse::Profile::default(),
        TempDir::new().unwrap(),
    );
    bed.check("ORM^O01", &order("NW", "A1", "P1"), "AA Order registered.")
        .await;
    let broker = Arc::clone(&bed.broker);
    tokio::task::spawn_blocking(move || broker.close())
        .await
        .unwrap();
    (place, store)
}

struct Running {
    outbox: Outbox,
    stop: CancellationToken,
    status: watch::Receiver<LaneStatus>,
}

fn start(direct: &Arc<Direct>, ris: &Arc<Ris>) -> Running {
    start_with(direct, ris, Arc::new(TokioClock(Instant::now())))
}

fn start_with(direct: &Arc<Direct>, ris: &Arc<Ris>, clock: Arc<dyn Clock>) -> Running {
    let mut outbox = Outbox::new();
    let stop = CancellationToken::new();
    outbox.start(
        Arc::clone(direct),
        ToRis(Arc::clone(ris)),
        LaneConfig::new("ris"),
        clock,
        stop.clone(),
    );
    let status = outbox.watch().remove(0);
    Running {
        outbox,
        stop,
        status,
    }
}

impl Running {
    async fn idle(&mut self) {
        // What was queued before is seen first.
        tokio::task::yield_now().await;
        let idle = |status: &LaneStatus| status.phase == LanePhase::Idle;
        self.status.wait_for(idle).await.unwrap();
    }

    async fn stopped(self) {
        self.stop.cancel();
        self.outbox.ended().await;
    }
}

fn items(store: &dyn Store) -> Vec<OutboxItem> {
    let query = OutboxQuery {
        paging: Paging {
            cursor: None,
            limit: 1_000,
        },
        ..OutboxQuery::default()
    };
    let mut items = store.outbox(&query).unwrap().items;
    items.reverse();
    items
}

/// Three messages; the first one meets `fault`, then all goes well.
async fn meets(over: &Over, fault: Behaviour, reason: &str) {
    let (_place, store) = stored(over).await;
    let direct = Direct::new(store.clone());
    for number in 0..3 {
        direct.tell("A1", number);
    }
    let ris = Ris::new([fault.clone()]);
    tokio::time::pause();
    let began = Instant::now();
    let mut running = start(&direct, &ris);
    running.status.changed().await.unwrap();
    running.idle().await;
    assert!(
        began.elapsed() >= Duration::from_millis(500),
        "a pause comes first"
    );
    running.stopped().await;
    let items = items(&*store);
    let sent = |item: &OutboxItem| item.state == OutboxState::Sent;
    assert!(items.iter().all(sent), "{fault:?} {items:?}");
    assert_eq!(
        items.iter().map(|item| item.tries).collect::<Vec<_>>(),
        [2, 1, 1],
        "{fault:?}"
    );
    let first = store.outbox_entry(items[0].message_id).unwrap().unwrap();
    assert_eq!(first.tries[1].reason, reason, "{fault:?}");
    assert_eq!(first.tries[0].reason, "AA Said so");
    assert!(first.tries[0].answer.is_some());
    let came = ris.came.lock().unwrap();
    let ids: Vec<&str> = came.iter().map(|(id, _)| id.as_str()).collect();
    if fault == Behaviour::Away {
        assert_eq!(ids, ["M0", "M1", "M2"]);
    } else {
        // The same bytes and control id again, on a new connection.
        assert_eq!(ids, ["M0", "M0", "M1", "M2"], "{fault:?}");
        assert_eq!(came[0].1, came[1].1);
        assert_eq!(*ris.connections.lock().unwrap(), 2, "{fault:?}");
    }
    let kept = store.message(items[0].message_id).unwrap().unwrap();
    assert_eq!(
        (
            kept.summary.ack_code.as_str(),
            kept.summary.ack_text.as_str()
        ),
        ("AA", "Said so")
    );
}

async fn a_ris_that_is_away(over: &Over) {
    meets(over, Behaviour::Away, "refused").await;
}

async fn a_ris_that_never_answers(over: &Over) {
    meets(over, Behaviour::Silent, "answer_timeout").await;
}

async fn a_ris_that_answers_for_another_message(over: &Over) {
    meets(over, Behaviour::Foreign, "wrong_id").await;
}

async fn a_ris_that_answers_late(over: &Over) {
    meets(
        over,
        Behaviour::Late(Duration::from_mins(2)),
        "answer_timeout",
    )
    .await;
}

async fn a_ris_that_closes(over: &Over) {
    meets(over, Behaviour::Close, "closed").await;
}

async fn a_ris_that_gives_half_an_answer_and_goes(over: &Over) {
    meets(over, Behaviour::Half, "truncated").await;
}

async fn a_ris_that_gives_half_an_answer_and_stays(over: &Over) {
    meets(over, Behaviour::HalfSilent, "answer_timeout").await;
}

async fn a_ris_that_does_not_speak_mllp(over: &Over) {
    meets(over, Behaviour::Unframed, "unframed").await;
}

async fn a_ris_whose_answer_has_no_msa(over: &Over) {
    meets(over, Behaviour::NoMsa, "no_msa").await;
}

async fn what_is_refused_leaves_the_queue_with_its_reason_and_can_be_sent_again(over: &Over) {
    let (_place, store) = stored(over).await;
    let direct = Direct::new(store.clone());
    for number in 0..3 {
        direct.tell("A1", number);
    }
    let ris = Ris::new([Behaviour::Answer("AE"), Behaviour::Answer("AR")]);
    tokio::time::pause();
    let mut running = start(&direct, &ris);
    running.status.changed().await.unwrap();
    running.idle().await;
    let found = items(&*store);
    let states: Vec<OutboxState> = found.iter().map(|item| item.state).collect();
    assert_eq!(
        states,
        [
            OutboxState::Refused,
            OutboxState::Refused,
            OutboxState::Sent
        ]
    );
    assert_eq!(found[0].last_reason.as_deref(), Some("AE Said so"));
    assert_eq!(found[1].last_reason.as_deref(), Some("AR Said so"));
    let message_id = found[0].message_id;
    let command = OutboxCommand::Retry;
    direct.act(
        ActionKind::Outbox {
            message_id,
            command,
        },
        9,
    );
    running.status.changed().await.unwrap();
    running.idle().await;
    running.stopped().await;
    assert_eq!(items(&*store)[0].state, OutboxState::Sent);
    assert_eq!(*ris.took.lock().unwrap(), ["M2", "M0"]);
}

async fn the_waits_double_to_five_minutes_and_a_person_can_cut_them_short(over: &Over) {
    let (_place, store) = stored(over).await;
    let direct = Direct::new(store.clone());
    let message_id = direct.tell("A1", 0);
    let ris = Ris::new([]);
    tokio::time::pause();
    ris.away_for(Duration::from_hours(24));
    let mut running = start(&direct, &ris);
    tokio::time::sleep(Duration::from_hours(12)).await;
    let status = running.status.borrow().clone();
    assert!(
        status.alarm && status.last_failure.as_deref() == Some("refused"),
        "{status:?}"
    );
    let entry = store.outbox_entry(message_id).unwrap().unwrap();
    let mut times: Vec<_> = entry.tries.iter().map(|t| t.at).collect();
    times.reverse();
    for (n, pair) in times.windows(2).enumerate() {
        let waited = (pair[1] - pair[0]).as_seconds_f64();
        let whole = f64::from(1_u32 << n.min(20)).min(300.0);
        assert!(
            waited >= whole / 2.0 - 0.01 && waited <= whole + 0.01,
            "{n}: {waited}"
        );
    }
    // 12 hours in waits of two and a half to five minutes.
    assert!((144..=300).contains(&times.len()), "{}", times.len());

    ris.away_for(Duration::ZERO);
    let before = Instant::now();
    let command = OutboxCommand::Retry;
    direct.act(
        ActionKind::Outbox {
            message_id,
            command,
        },
        1,
    );
    running.idle().await;
    assert!(before.elapsed() < Duration::from_secs(1), "tried at once");
    running.stopped().await;
    assert_eq!(items(&*store)[0].state, OutboxState::Sent);
}

async fn a_clock_that_jumps_changes_neither_the_waits_nor_the_order(over: &Over) {
    let (_place, store) = stored(over).await;
    let direct = Direct::new(store.clone());
    for number in 0..20 {
        direct.tell("A1", number);
    }
    let ris = Ris::new([]);
    tokio::time::pause();
    ris.away_for(Duration::from_mins(10));
    let began = Instant::now();
    let mut running = start_with(&direct, &ris, Arc::new(JumpingClock::default()));
    // Waits of at most five minutes: the RIS is found again soon after it is back.
    running.idle().await;
    assert!((10..=16).contains(&(began.elapsed().as_secs() / 60)));
    running.stopped().await;
    let expected: Vec<String> = (0..20).map(|n| format!("M{n}")).collect();
    assert_eq!(*ris.took.lock().unwrap(), expected);
    let tries = items(&*store)[0].tries;
    assert!((8..=16).contains(&tries), "{tries}");
}

async fn a_new_message_does_not_cut_the_wait_short_and_a_held_one_is_passed_over(over: &Over) {
    let (_place, store) = stored(over).await;
    let direct = Direct::new(store.clone());
    let first = direct.tell("A1", 0);
    let ris = Ris::new([]);
    tokio::time::pause();
    ris.away_for(Duration::from_mins(10));
    let mut running = start(&direct, &ris);
    tokio::time::sleep(Duration::from_mins(5)).await;
    let tries = store.outbox_entry(first).unwrap().unwrap().item.tries;
    for number in 1..100 {
        direct.tell("A1", number);
        tokio::task::yield_now().await;
    }
    let now = store.outbox_entry(first).unwrap().unwrap().item.tries;
    assert_eq!(tries, now);
    let command = OutboxCommand::Hold;
    direct.act(
        ActionKind::Outbox {
            message_id: first,
            command,
        },
        200,
    );
    running.idle().await;
    running.stopped().await;
    let took = ris.took.lock().unwrap();
    let expected: Vec<String> = (1..100).map(|n| format!("M{n}")).collect();
    assert_eq!(*took, expected);
    assert_eq!(items(&*store)[0].state, OutboxState::Held);
}

async fn stopping_ends_the_exchange_in_hand_and_a_restart_goes_on(over: &Over) {
    use OutboxState::{Queued, Sent};
    let (_place, store) = stored(over).await;
    let direct = Direct::new(store.clone());
    for number in 0..3 {
        direct.tell("A1", number);
    }
    let second = Duration::from_secs(1);
    let ris = Ris::new([Behaviour::Late(second), Behaviour::Late(second * 10)]);
    tokio::time::pause();
    let running = start(&direct, &ris);
    tokio::time::sleep(second / 2).await;
    running.stopped().await;
    let states = |store: &dyn Store| items(store).iter().map(|i| i.state).collect::<Vec<_>>();
    assert_eq!(
        states(&*store),
        [Sent, Queued, Queued],
        "the one in hand was answered"
    );

    // An exchange that takes too long is given up: its outcome is not known, it goes out again.
    let running = start(&direct, &ris);
    tokio::time::sleep(second / 2).await;
    let before = Instant::now();
    running.stopped().await;
    assert!(before.elapsed() <= second * 4);
    assert_eq!(states(&*store), [Sent, Queued, Queued]);

    let mut running = start(&direct, &ris);
    running.status.changed().await.unwrap();
    running.idle().await;
    running.stopped().await;
    assert_eq!(states(&*store), [Sent, Sent, Sent]);
    let came = ris.came.lock().unwrap();
    let ids: Vec<&str> = came.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["M0", "M1", "M1", "M2"]);
}

async fn a_store_that_fails_at_its_nth_call_marks_nothing_falsely_and_loses_nothing(over: &Over) {
    for fails_at in 0..8 {
        let (_place, store) = stored(over).await;
        let direct = Direct::new(store.clone());
        for number in 0..3 {
            direct.tell("A1", number);
        }
        let calls = AtomicU32::new(0);
        let failing = Failing::new(store.clone(), move |call| {
            let fails = calls.fetch_add(1, Ordering::SeqCst) == fails_at;
            assert!(call == Call::Apply || call == Call::Read("next_outgoing"));
            fails.then_some(StoreError::Full)
        });
        let direct = Direct::new(Arc::new(failing));
        let ris = Ris::new([Behaviour::Accept, Behaviour::Close]);
        tokio::time::pause();
        let mut running = start(&direct, &ris);
        running.status.changed().await.unwrap();
        running.idle().await;
        running.stopped().await;
        let sent = |item: &OutboxItem| item.state == OutboxState::Sent;
        assert!(items(&*store).iter().all(sent), "{fails_at}");
        assert_eq!(
            *ris.took.lock().unwrap(),
            ["M0", "M1", "M2"],
            "{fails_at}: each once"
        );
        tokio::time::resume();
    }
}

/// Resident memory in KiB, where the system tells.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A RIS that is away for a day while so many messages gather: order, memory, speed.
async fn away_for_a_day(over: &Over, count: u64) {
    let (_place, store) = stored(over).await;
    let direct = Direct::new(store.clone());
    let read = || ActionKind::Order {
        accession_number: medsynapse::AccessionNumber::try_from("A1").unwrap(),
        step: medsynapse_store::OrderStep::Read,
    };
    let ris = Ris::new([]);
    tokio::time::pause();
    ris.away_for(Duration::from_hours(24));
    let mut running = start(&direct, &ris);
    let before = resident_kib();
    for first in (0..count).step_by(256) {
        let numbers = first..count.min(first + 256);
        let works: Vec<_> = numbers
            .map(|number| crate::pretend::action(read(), number).into())
            .collect();
        assert!(store.apply(&works).iter().all(Result::is_ok));
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
    direct.tell("A1", count);
    let depth = store.queue_depths().unwrap().remove(0);
    assert_eq!(depth.queued, count + 1);
    let gathered = resident_kib();
    let status = running.status.borrow().clone();
    assert!(status.alarm, "{status:?}");
    let began = std::time::Instant::now();
    tokio::time::sleep(Duration::from_hours(25)).await;
    running.idle().await;
    let (took_time, drained) = (began.elapsed(), resident_kib());
    running.stopped().await;
    let took = ris.took.lock().unwrap();
    let expected: Vec<String> = (0..=count).map(|n| format!("M{n}")).collect();
    assert!(*took == expected, "all of them, in order, each once");
    assert!(store.queue_depths().unwrap().is_empty());
    let rate = f64::from(u32::try_from(count).unwrap()) / took_time.as_secs_f64();
    println!("{count} messages: {rate:.0}/s; RSS in KiB {before:?}, {gathered:?}, {drained:?}");
    if let (Some(before), Some(gathered)) = (before, gathered) {
        // The writer's page cache has its own bound of 32 MiB, which any load fills.
        assert!(gathered < before + (32 + 20) * 1024, "{before} {gathered}");
    }
}

async fn a_ris_that_is_away_for_a_day(over: &Over) {
    away_for_a_day(over, 1_000).await;
}

#[tokio::test]
#[ignore = "takes minutes: 100,000 messages on a disk that syncs"]
async fn a_ris_that_is_away_for_a_day_of_100_000_messages() {
    away_for_a_day(&Over::File, 100_000).await;
}
