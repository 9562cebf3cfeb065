//! What members do while they wait for their group.

use super::*;

/// A cooperative member over Kafka's wire that measures pauses, with one partition of which it
/// knows where it is, and one of which it does not.
fn measuring(life: Life) -> (Classic, usize) {
    let plan = Plan {
        nodes: 1,
        slots: 6,
        rate: 1,
        pipeline: 1,
        wire: true,
        calm: true,
        member_fault: None,
    };
    let mut rng = Rng::new(1, "test");
    let mut classic = Classic::new(&plan, &mut rng);
    let mut cx = Cx { now_us: 0, rng: &mut rng, draining: false, node: 0, in_flight: 0 };
    for topic in ["t0", "t1"] {
        let args = json!({ "topic": topic, "partitions": 1 });
        let made = crate::workloads::answered("create_topic", &args, json!({}));
        classic.completed(0, &made, &mut cx);
    }
    let slot = (0..6).find(|slot| {
        classic.consumers[*slot].as_ref().is_some_and(|c| classic.cooperative(c.group))
    });
    let slot = slot.expect("a group is cooperative");
    let consumer = classic.consumers[slot].as_mut().expect("a consumer");
    (consumer.life, consumer.generation, consumer.churn_us) = (life, 3, Micros::MAX);
    let (known, unknown) = (("t0".to_owned(), 0), ("t1".to_owned(), 0));
    consumer.owned = BTreeSet::from([known.clone(), unknown.clone()]);
    consumer.positions = BTreeMap::from([(unknown, None), (known, Some(7))]);
    (classic, slot)
}

fn step(classic: &mut Classic, slot: usize, in_flight: usize) -> Step {
    let mut rng = Rng::new(2, "test");
    let cx = Cx { now_us: 1, rng: &mut rng, draining: false, node: 0, in_flight };
    classic.step(slot, &mut { cx })
}

fn invokes(step: Step) -> (&'static str, Value) {
    let Step::Invoke(request) = step else { panic!("{step:?}") };
    (request.f, request.args)
}

/// It had stopped where the next partition in turn was one that it had just got.
#[test]
fn regression_who_waits_for_the_group_reads_on_whatever_else_it_was_given() {
    for _ in 0..2 {
        let (mut classic, slot) = measuring(Life::Joining);
        let (f, args) = invokes(step(&mut classic, slot, 1));
        assert_eq!((f, &args["topic"], &args["offset"]), ("fetch", &json!("t0"), &json!(7)));
    }
}

#[test]
fn a_fetch_that_nobody_answered_does_not_end_the_reading() {
    let (mut classic, slot) = measuring(Life::Joining);
    let (f, args) = invokes(step(&mut classic, slot, 1));
    assert!(!matches!(step(&mut classic, slot, 1), Step::Invoke(request) if request.f == f));
    let mut lost = crate::workloads::answered(f, &args, Value::Null);
    (lost.outcome, lost.result) = (Outcome::Info, None);
    let mut rng = Rng::new(2, "test");
    let mut cx = Cx { now_us: 1, rng: &mut rng, draining: false, node: 0, in_flight: 1 };
    classic.completed(slot, &lost, &mut cx);
    assert_eq!(invokes(step(&mut classic, slot, 1)).0, "fetch");
}

/// The second join of a cooperative rebalance waits for all others, up to a heartbeat.
#[test]
fn regression_where_to_begin_is_looked_up_before_the_second_join() {
    let (mut classic, slot) = measuring(Life::Joining);
    assert_eq!(invokes(step(&mut classic, slot, 0)).0, "fetch_offset");
}

/// One who crashed there held up its group until its session was over.
#[test]
fn regression_nobody_goes_without_a_word_where_pauses_are_measured() {
    for life in [Life::Joining, Life::Syncing(None)] {
        let (mut classic, slot) = measuring(life);
        classic.consumers[slot].as_mut().expect("a consumer").churn_us = 0;
        assert!(matches!(step(&mut classic, slot, 0), Step::Invoke(_)));
    }
    let (mut classic, slot) = measuring(Life::Member);
    classic.consumers[slot].as_mut().expect("a consumer").churn_us = 0;
    assert_eq!(invokes(step(&mut classic, slot, 0)).0, "leave_group");
}
