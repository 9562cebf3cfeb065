//! Each checker of traces catches the trace that it is for, and passes a lawful one that is close
//! to it.

use std::collections::{BTreeMap, BTreeSet};

use arena::checkers::Verdict;
use arena::checkers::state::trace::{
    Answer, Append, Applied, Breach, Change, Commit, Effect, Forgetting, GroupState, Heartbeat,
    Held, Leader, MemberChange, MemberState, Numbers, Raise, RecordDeletion, Replayed, Served,
    Span, TopicChange, TopicEnd, Why,
};
use arena::checkers::state::{StateTrace, all, check_all};

/// A trace that every checker can judge and finds sound.
fn sound() -> StateTrace {
    let applied = |node: &str, index, state| Applied {
        node: node.to_owned(),
        incarnation: 0,
        index,
        term: 1,
        entry: index,
        state: Some(state),
    };
    let member = |partition: i64| MemberState {
        topics: BTreeSet::from(["t".to_owned()]),
        assignment: BTreeSet::from([("t".to_owned(), partition)]),
        session_us: 1_000_000,
    };
    let change = |index, member: &str, change, clock_us| MemberChange {
        index,
        group: "g".to_owned(),
        member: member.to_owned(),
        change,
        origin: (change == Change::Joined).then(|| format!("n2/0/{index}")),
        leader: "n1".to_owned(),
        clock_us,
        session_us: 1_000_000,
    };
    StateTrace {
        applied: vec![
            applied("n1", 1, 10),
            applied("n2", 1, 10),
            applied("n1", 2, 20),
            applied("n2", 2, 20),
        ],
        effects: vec![
            Effect { index: 1, origin: "n1/0/1".to_owned() },
            Effect { index: 2, origin: "n1/0/2".to_owned() },
        ],
        breaches: Vec::new(),
        checked: 2,
        leaders: vec![Leader { node: "n1".to_owned(), term: 1, at_us: 0, clock_us: 5_000 }],
        replayed: vec![Replayed { index: 2, state: 20 }],
        groups: vec![GroupState {
            index: 4,
            group: "g".to_owned(),
            state: "Stable".to_owned(),
            generation: 3,
            cooperative: false,
            hands_out_all: true,
            members: BTreeMap::from([("a".to_owned(), member(0)), ("b".to_owned(), member(1))]),
            topics: BTreeMap::from([("t".to_owned(), 2)]),
        }],
        members: vec![
            change(1, "a", Change::Joined, 10_000),
            change(2, "b", Change::Joined, 20_000),
            change(3, "c", Change::Joined, 30_000),
            change(5, "c", Change::SessionExpired, 1_040_000),
        ],
        commits: vec![Commit {
            index: 6,
            group: "g".to_owned(),
            topic: "t".to_owned(),
            partition: 0,
            offset: 5,
            log_end: Some(5),
            member: Some("a".to_owned()),
            named: Some(3),
            generation: Some(3),
            bounded: true,
        }],
        lives: vec![
            Heartbeat {
                group: "g".into(),
                member: "c".into(),
                leader: "n1".into(),
                at_us: 30_000,
                clock_us: 35_000,
            },
            Heartbeat {
                group: "g".into(),
                member: "a".into(),
                leader: "n1".into(),
                at_us: 900_000,
                clock_us: 1,
            },
            Heartbeat {
                group: "g".into(),
                member: "b".into(),
                leader: "n1".into(),
                at_us: 900_000,
                clock_us: 1,
            },
        ],
        served: vec![Served {
            group: "g".into(),
            member: "c".into(),
            node: "n1".into(),
            applied: 4,
        }],
        answers: vec![
            Answer { node: "n1".into(), term: 1, invoke_us: 0, complete_us: 10 },
            Answer { node: "n2".into(), term: 2, invoke_us: 20, complete_us: 30 },
        ],
        end_us: 11_000_000,
        ..sound_logs()
    }
}

/// The part of it that tells of topics, their records and producers.
fn sound_logs() -> StateTrace {
    StateTrace {
        // Two batches of an epoch, and one of the next, of which only the last is left.
        appends: vec![append(1, 0, (0, 0, 1)), append(2, 2, (0, 2, 3)), append(3, 4, (1, 0, 1))],
        spans: vec![span(1, 0, 0), span(4, 2, 6), span(5, 4, 6)],
        raises: vec![raise(4, (0, 2), Why::Asked(2)), raise(5, (2, 4), RETENTION)],
        record_deletions: vec![RecordDeletion {
            index: 4,
            topic: "t".to_owned(),
            partition: 0,
            before: 2,
            start: 2,
        }],
        forgettings: Vec::new(),
        topic_ends: vec![TopicEnd {
            index: 1,
            topic: "t".to_owned(),
            asked: false,
            ended: false,
            exists: true,
            committed: Vec::new(),
            owned: Vec::new(),
        }],
        held: vec![Held {
            node: "n1".to_owned(),
            incarnation: 0,
            index: 5,
            topic: "t".to_owned(),
            partition: 0,
            start: 4,
            end: 6,
            first: Some(4),
        }],
        ..StateTrace::default()
    }
}

/// A batch is to go when it is older than 1 ms, or when there are 50 bytes behind it.
const RETENTION: Why = Why::Retention { ms: Some(1), bytes: Some(50) };

/// Two records of a producer, of 50 bytes, which the state had at the entry's index in ms.
fn append(index: u64, offset: u64, (epoch, first, last): (u16, u32, u32)) -> Append {
    Append {
        index,
        topic: "t".to_owned(),
        partition: 0,
        log: 7,
        offset,
        count: 2,
        bytes: 50,
        newest_ms: index,
        now_ms: index,
        numbers: Some(Numbers { producer: 1, epoch, first, last }),
    }
}

fn span(index: u64, start: u64, end: u64) -> Span {
    Span { index, topic: "t".to_owned(), partition: 0, start, end }
}

fn raise(index: u64, (from, to): (u64, u64), why: Why) -> Raise {
    let topic = "t".to_owned();
    Raise { index, topic, partition: 0, log: 7, from, to, now_ms: index, why }
}

/// Breaks the sound trace in one way, which that checker alone must catch.
#[track_caller]
fn catches(name: &str, names: &str, break_it: impl FnOnce(&mut StateTrace)) {
    let mut trace = sound();
    break_it(&mut trace);
    for (checker, verdict) in check_all(&trace) {
        match verdict {
            Verdict::Violated(violations) if checker == name => {
                assert!(
                    violations[0].account.contains(names),
                    "{names:?} is not in {:?}",
                    violations[0].account
                );
            }
            Verdict::Violated(violations) => {
                panic!("{checker} is not to catch this: {violations:?}")
            }
            verdict => assert!(checker != name, "{name} must catch this, but says {verdict:?}"),
        }
    }
}

#[test]
fn a_sound_trace_passes_every_checker() {
    for (name, verdict) in check_all(&sound()) {
        assert!(verdict.is_valid(), "{name}: {verdict:?}");
    }
}

#[test]
fn an_empty_trace_is_left_open_by_every_checker() {
    for checker in all() {
        let verdict = checker.check(&StateTrace::default());
        assert!(matches!(verdict, Verdict::NotJudged(_)), "{}: {verdict:?}", checker.name());
    }
}

#[test]
fn two_leaders_of_a_term() {
    catches("state/one-leader-per-term", "n1 and n2", |trace| {
        trace.leaders.push(Leader { node: "n2".into(), term: 1, at_us: 50, clock_us: 50 });
    });
}

#[test]
fn two_entries_at_an_index() {
    // The same log id with another payload: log matching alone would not see it.
    catches("state/one-entry-per-index", "index 2", |trace| trace.applied[3].entry = 99);
    catches("state/one-entry-per-index", "after index 2", |trace| {
        let again = trace.applied[2].clone();
        trace.applied.push(again);
    });
}

#[test]
fn a_restart_applies_again() {
    let mut trace = sound();
    let again = Applied { incarnation: 1, ..trace.applied[2].clone() };
    trace.applied.push(again);
    assert!(check_all(&trace).iter().all(|(_, verdict)| verdict.is_valid()));
}

#[test]
fn g1_double_ownership() {
    catches("state/double-ownership", "t-0 is owned by a and b", |trace| {
        let b = trace.groups[0].members.get_mut("b").expect("b");
        b.assignment.insert(("t".to_owned(), 0));
    });
}

#[test]
fn g4_generation_reuse() {
    catches("state/generation-reuse", "generation 2 after generation 3", |trace| {
        let older = GroupState { index: 7, generation: 2, ..trace.groups[0].clone() };
        trace.groups.push(older);
    });
    let swap = |trace: &mut StateTrace| {
        let mut other = GroupState { index: 7, ..trace.groups[0].clone() };
        other.topics.insert("t".to_owned(), 3);
        other.members.get_mut("b").expect("b").assignment.insert(("t".to_owned(), 2));
        trace.groups.push(other);
    };
    catches("state/generation-reuse", "another assignment", swap);
}

#[test]
fn g5_not_covering_and_g7_starved() {
    catches("state/not-covering", "t-2 belongs to nobody", |trace| {
        trace.groups[0].topics.insert("t".to_owned(), 3);
    });
    catches("state/not-covering", "b owns nothing", |trace| {
        let group = &mut trace.groups[0];
        group.members.get_mut("b").expect("b").assignment.clear();
        group.members.get_mut("a").expect("a").assignment.insert(("t".to_owned(), 1));
    });
}

#[test]
fn g6_outside_subscription() {
    catches("state/outside-subscription", "b owns t-5, which does not exist", |trace| {
        trace.groups[0].members.get_mut("b").expect("b").assignment.insert(("t".to_owned(), 5));
    });
}

#[test]
fn g9_rebalance_storm() {
    let later = |trace: &mut StateTrace, index, generation| {
        let later = GroupState { index, generation, ..trace.groups[0].clone() };
        trace.groups.push(later);
    };
    catches("state/rebalance-storm", "generation 5 after 3", |trace| {
        later(trace, 7, 4);
        later(trace, 8, 5);
        trace.topics.push(TopicChange { index: 8, topic: "u".into() });
    });
    // One rise may answer a cause that came before; a second one has a cause of its own here.
    let mut trace = sound();
    later(&mut trace, 7, 4);
    let joined = MemberChange {
        index: 8,
        change: Change::Left,
        member: "d".into(),
        ..trace.members[0].clone()
    };
    trace.members.push(joined);
    later(&mut trace, 8, 5);
    // Deleted and made again by one entry: a topic of the group's, and one of nobody's.
    trace.topics.push(TopicChange { index: 9, topic: "t".into() });
    later(&mut trace, 9, 7);
    assert!(
        check_all(&trace).iter().all(|(_, verdict)| !verdict.is_violated()),
        "{:?}",
        check_all(&trace)
    );
}

#[test]
fn g12_commit_beyond_end() {
    catches("state/commit-beyond-end", "log ends at 5", |trace| trace.commits[0].offset = 6);
    catches("state/commit-beyond-end", "a committed -1", |trace| trace.commits[0].offset = -1);
}

#[test]
fn g13_fenced_commit() {
    catches("state/fenced-commit", "generation 3, not 2", |trace| trace.commits[0].named = Some(2));
    catches("state/fenced-commit", "not a member", |trace| trace.commits[0].generation = None);
}

#[test]
fn g14_accepted_after_removal() {
    catches("state/accepted-after-removal", "served c at index 5", |trace| {
        trace.served[0].applied = 5
    });
}

#[test]
fn g15_early_eviction() {
    catches("state/early-eviction", "heard of it", |trace| trace.lives[0].clock_us = 500_000);
    // A new leader owes a full session.
    catches("state/early-eviction", "become leader", |trace| trace.leaders[0].clock_us = 900_000);
}

#[test]
fn g16_dead_member_kept() {
    catches("state/dead-member-kept", "a is still a member", |trace| trace.end_us = 12_000_000);
}

#[test]
fn g17_stale_leader() {
    catches("state/stale-leader", "term 1", |trace| {
        trace.answers.push(Answer { node: "n1".into(), term: 1, invoke_us: 40, complete_us: 50 });
    });
}

#[test]
fn g20_lost_member() {
    catches("state/lost-member", "members a (index 1) and b (index 2)", |trace| {
        trace.members[1].origin = trace.members[0].origin.clone();
    });
}

#[test]
fn g21_and_g22_replicas() {
    catches("state/replica-divergence", "index 2", |trace| trace.applied[3].state = Some(21));
    catches("state/nondeterministic-apply", "a replay gives", |trace| trace.replayed[0].state = 21);
}

#[test]
fn g23_twice_applied() {
    catches("state/twice-applied", "at index 1 and at index 2", |trace| {
        trace.effects[1].origin = trace.effects[0].origin.clone();
    });
    // The copy may be in the very batch of the original.
    catches("state/twice-applied", "at index 2 and at index 2", |trace| {
        let again = trace.effects[1].clone();
        trace.effects.push(again);
    });
    // Different requests may change the state in one entry.
    let mut trace = sound();
    trace.effects.push(Effect { index: 2, origin: "n1/0/3".to_owned() });
    assert!(check_all(&trace).iter().all(|(_, verdict)| verdict.is_valid()));
}

#[test]
fn a_start_or_an_end_that_goes_back() {
    catches("state/start-goes-back", "begins at 1 and ends at 6, after 2 and 6", |trace| {
        trace.spans[2].start = 1;
    });
    catches("state/start-goes-back", "ends at 5", |trace| trace.spans[2].end = 5);
    // A topic that was deleted begins anew.
    let mut trace = sound();
    trace.topic_ends.push(TopicEnd { index: 6, asked: true, ..trace.topic_ends[0].clone() });
    trace.spans.push(span(6, 0, 0));
    assert!(check_all(&trace).iter().all(|(_, verdict)| !verdict.is_violated()));
}

#[test]
fn records_that_stay_though_they_were_deleted() {
    catches("state/records-not-deleted", "before 3 were to go", |trace| {
        trace.record_deletions[0].before = 3;
    });
}

#[test]
fn records_that_go_though_they_had_to_stay() {
    let of = |name: &str, break_it: fn(&mut StateTrace)| {
        catches("state/records-removed-early", name, break_it);
    };
    of("before 1 were to go", |trace| trace.raises[0].why = Why::Asked(1));
    of("nobody had asked", |trace| trace.raises[0].why = Why::None);
    // Neither old nor too much.
    of("was 3 ms old, with 50 bytes behind it", |trace| {
        trace.raises[1].why = Why::Retention { ms: Some(3), bytes: Some(51) };
    });
    of("50 bytes behind it", |trace| {
        trace.raises[1].why = Why::Retention { ms: None, bytes: Some(51) };
    });
    // One of both is enough.
    for why in
        [Why::Retention { ms: Some(2), bytes: None }, Why::Retention { ms: None, bytes: Some(50) }]
    {
        let mut trace = sound();
        trace.raises[1].why = why;
        assert!(check_all(&trace).iter().all(|(_, verdict)| !verdict.is_violated()), "{why:?}");
    }
}

#[test]
fn records_that_a_node_does_not_have() {
    catches("state/records-missing", "it from 5 on", |trace| trace.held[0].first = Some(5));
    catches("state/records-missing", "has nothing", |trace| trace.held[0].first = None);
}

#[test]
fn what_outlives_its_topic() {
    let of = |name: &str, break_it: fn(&mut TopicEnd)| {
        catches("state/topic-outlived", name, |trace| {
            let mut end = TopicEnd { asked: true, ended: true, ..trace.topic_ends[0].clone() };
            (end.index, end.exists) = (7, false);
            break_it(&mut end);
            trace.topic_ends.push(end);
        });
    };
    of("nobody made it", |end| end.exists = true);
    of("offsets of g are from before", |end| end.committed.push("g".to_owned()));
    of("members of g own", |end| end.owned.push("g".to_owned()));
    // It comes again.
    of("offsets of g are from before", |end| {
        (end.asked, end.ended, end.exists) = (false, false, true);
        end.committed.push("g".to_owned());
    });
}

#[test]
fn p1_and_p2_and_epochs_of_idempotent_producers() {
    catches("state/idempotent-duplicate", "offset 2 and again at 6", |trace| {
        trace.appends.insert(2, append(3, 6, (0, 2, 3)));
    });
    catches("state/idempotent-gap", "number 5 of producer 1 (epoch 0)", |trace| {
        trace.appends.insert(2, append(3, 6, (0, 5, 5)));
    });
    catches("state/idempotent-gap", "where 0 had to come", |trace| {
        trace.appends[2] = append(3, 4, (1, 1, 1));
    });
    catches("state/producer-epoch", "in epoch 0 was appended", |trace| {
        trace.appends.push(append(6, 6, (0, 4, 4)));
    });
    // Of a producer that was silent for so long nothing is known.
    let mut trace = sound();
    trace.forgettings.push(Forgetting { index: 5, silent_ms: 1, now_ms: 5 });
    trace.appends.push(append(6, 6, (0, 2, 3)));
    assert!(check_all(&trace).iter().all(|(_, verdict)| !verdict.is_violated()));
    trace.forgettings[0].silent_ms = 2;
    assert!(check_all(&trace).iter().any(|(_, verdict)| verdict.is_violated()), "not so long");
}

#[test]
fn an_invariant_that_does_not_hold() {
    catches("state/invariants", "index 2: the end of t-0 fell", |trace| {
        trace.breaches.push(Breach { index: 2, account: "the end of t-0 fell".to_owned() });
    });
}
