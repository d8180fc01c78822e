use proptest::prelude::*;

use super::*;

fn n(number: i64) -> Number {
    Number::new(number).unwrap()
}

/// Receives and, where that is the outcome, stores and accepts.
fn take(receiver: &mut Receiver, number: i64) -> (&'static str, i64) {
    match receiver.receive(n(number)) {
        Incoming::Process(accepted) => {
            let stored = accepted.receiver();
            let answer = receiver.accept(accepted);
            assert_eq!(*receiver, stored, "what was stored is what holds");
            ("process", answer.get())
        }
        Incoming::Repeat(expected) => ("repeat", expected.get()),
        Incoming::Tell(expected) => ("tell", expected.get()),
        Incoming::Adopt(accepted) => ("adopt", receiver.accept(accepted).get()),
        Incoming::Refuse(expected) => ("refuse", expected.get()),
    }
}

#[test]
fn a_receiver_follows_the_numbers() {
    let mut receiver = Receiver::default();
    for (number, expected) in [
        (0, ("tell", 1)),
        (1, ("process", 2)),
        (2, ("process", 3)),
        (2, ("repeat", 3)),
        (1, ("refuse", 3)),
        (4, ("refuse", 3)),
        (0, ("tell", 3)),
        (3, ("process", 4)),
        (-1, ("adopt", -1)),
        (0, ("tell", 4)),
        (70, ("process", 71)),
        (71, ("process", 72)),
        (71, ("repeat", 72)),
        (4, ("refuse", 72)),
    ] {
        assert_eq!(take(&mut receiver, number), expected, "{number}");
    }
}

#[test]
fn nothing_is_accepted_before_it_is_stored() {
    let receiver = Receiver::default();
    for _ in 0..2 {
        // The store failed both times: the same message is still the next one.
        assert!(matches!(receiver.receive(n(1)), Incoming::Process(_)));
    }
    assert_eq!(receiver.expected(), n(1));
}

#[test]
fn after_the_largest_number_comes_one() {
    let mut receiver = Receiver::after(n(999_999_999_999_999)).unwrap();
    assert_eq!(take(&mut receiver, 1), ("process", 2));
    assert_eq!(Receiver::after(Number::RESYNCHRONISE), None);
}

#[test]
fn numbers_are_read_or_refused() {
    let read = |text: &str| Number::from_field(text.as_bytes()).map(|n| n.map(Number::get));
    assert_eq!(read("1"), Ok(Some(1)));
    assert_eq!(read("-1"), Ok(Some(-1)));
    assert_eq!(read("999999999999999"), Ok(Some(999_999_999_999_999)));
    assert_eq!(read("\"\""), Ok(None));
    for wrong in [
        "-2",
        "1.5",
        "x",
        "1000000000000000",
        "99999999999999999999999",
    ] {
        assert_eq!(read(wrong), Err(InvalidNumber), "{wrong}");
    }
}

fn started(queue: &[&'static str], expected: i64) -> (Sender<&'static str>, Step) {
    let mut sender = Sender::new(10).keeping(2);
    for message in queue {
        sender.push(*message).unwrap();
    }
    assert_eq!(sender.next(), Some((Number::START, None)));
    let step = sender.answered(true, Some(n(expected)));
    (sender, step)
}

#[test]
fn a_sender_sends_its_queue_and_bounds_it() {
    let (mut sender, step) = started(&["a", "b"], 1);
    assert_eq!(step, Step::Continue);
    assert_eq!(sender.next(), Some((n(1), Some(&"a"))));
    assert_eq!(sender.answered(true, Some(n(2))), Step::Continue);
    assert_eq!(sender.next(), Some((n(2), Some(&"b"))));
    assert_eq!(sender.answered(true, None), Step::Continue);
    assert_eq!(sender.next(), None);
    let mut full = Sender::new(1);
    full.push("a").unwrap();
    assert_eq!(full.push("b"), Err(QueueFull));
}

#[test]
fn what_was_accepted_without_an_answer_is_not_sent_again() {
    let (sender, step) = started(&["a", "b", "c"], 3);
    assert_eq!(
        (step, sender.next()),
        (Step::Continue, Some((n(3), Some(&"c"))))
    );
}

#[test]
fn what_the_receiver_lost_is_sent_again_as_far_as_it_is_kept() {
    let (mut sender, _) = started(&["a", "b", "c"], 1);
    for next in 2..=3 {
        assert_eq!(sender.answered(true, Some(n(next))), Step::Continue);
    }
    assert_eq!(sender.answered(false, Some(n(1))), Step::Resend(n(1)));
    assert_eq!(sender.next(), Some((n(1), Some(&"a"))));
    for next in 2..=4 {
        assert_eq!(sender.answered(true, Some(n(next))), Step::Continue);
    }
    sender.restart();
    let gone = Frozen::Gone { expected: n(1) };
    assert_eq!(sender.answered(true, Some(n(1))), Step::Frozen(gone));
    assert_eq!((sender.next(), sender.frozen()), (None, Some(gone)));
}

#[test]
fn a_message_that_is_expected_and_refused_waits_for_a_person() {
    let (mut sender, _) = started(&["a", "b"], 1);
    let refused = Frozen::Refused { number: n(1) };
    assert_eq!(sender.answered(false, Some(n(1))), Step::Frozen(refused));
    sender.restart();
    assert_eq!(sender.next(), None, "a new connection does not thaw it");
    assert_eq!(sender.drop_first(), Some("a"));
    assert_eq!(sender.next(), Some((Number::RESYNCHRONISE, None)));
    let step = sender.answered(true, Some(Number::RESYNCHRONISE));
    assert_eq!(
        (step, sender.next()),
        (Step::Continue, Some((n(2), Some(&"b"))))
    );
}

#[test]
fn a_receiver_ahead_of_everything_sent_waits_for_a_person() {
    let (mut sender, step) = started(&["a"], 9);
    assert_eq!(step, Step::Frozen(Frozen::Ahead { expected: n(9) }));
    sender.resynchronise();
    assert_eq!(sender.next(), Some((Number::RESYNCHRONISE, None)));
    let (mut empty, step) = started(&[], 9);
    assert_eq!((step, empty.push("a")), (Step::Continue, Ok(n(9))));
}

#[test]
fn an_answer_without_a_number_waits_for_a_person() {
    let mut sender = Sender::new(10);
    sender.push("a").unwrap();
    assert_eq!(sender.answered(true, None), Step::Frozen(Frozen::NoNumber));
}

proptest! {
    /// Messages, answers and connections get lost at random; every message is processed once and
    /// in order.
    #[test]
    fn every_message_is_processed_once_and_in_order(losses in proptest::collection::vec(0_u8..4, 0..60)) {
        let (mut sender, mut receiver, mut processed) = (Sender::new(20), Receiver::default(), Vec::new());
        for message in 0..20 {
            sender.push(message).unwrap();
        }
        let mut losses = losses.into_iter();
        while let Some((number, message)) = sender.next() {
            let loss = losses.next().unwrap_or(0);
            if loss == 1 {
                sender.restart(); // the message was lost
                continue;
            }
            let (positive, answer) = match receiver.receive(number) {
                Incoming::Process(accepted) => {
                    processed.push(*message.unwrap());
                    (true, receiver.accept(accepted))
                }
                Incoming::Adopt(accepted) => (true, receiver.accept(accepted)),
                Incoming::Repeat(expected) | Incoming::Tell(expected) => (true, expected),
                Incoming::Refuse(expected) => (false, expected),
            };
            if loss == 2 {
                sender.restart(); // the answer was lost
                continue;
            }
            prop_assert_eq!(sender.answered(positive, Some(answer)), Step::Continue);
        }
        prop_assert_eq!(processed, (0..20).collect::<Vec<_>>());
    }
}
