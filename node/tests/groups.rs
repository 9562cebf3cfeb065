//! Consumer groups on one real node: walks of thin and classic groups from the first member to the
//! last, time-outs, static members, fencing.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Node, PATIENCE, rebalances};

const FOUR_PARTITIONS: &str = r#"
    p > create_topic {"topic": "t", "partitions": 4}
    p < create_topic_ok
    p > send {"topic": "t", "message": 0, "partition": 0}
    p < send_ok {"partition": 0, "offset": 0}
    p > send {"topic": "t", "message": 3, "partition": 3}
    p < send_ok {"partition": 3, "offset": 0}
"#;

fn ground() -> Node {
    let mut node = Node::alone();
    node.play(FOUR_PARTITIONS);
    node
}

/// Asks again and again until the reply is as wanted, with a bound. Returns it, and the time that
/// it took.
fn until(node: &mut Node, request: &str, wanted: impl Fn(&Value) -> bool) -> (Value, Duration) {
    let began = Instant::now();
    loop {
        let reply = node.call("asker", request);
        if wanted(&reply) {
            return (reply, began.elapsed());
        }
        assert!(began.elapsed() < PATIENCE, "{request}: the last reply is {reply}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_eager_group_stops_and_begins_anew() {
    ground().play(
        r#"
        a > subscribe {"group": "g", "consumer": "a", "topics": ["t"]}
        a < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}}
        b > subscribe {"group": "g", "consumer": "b", "topics": ["t"]}
        b < subscribe_ok {"generation": $_, "state": "PreparingRebalance", "assignment": {}}
        # A heartbeat tells of it and gives nothing up; only polls do.
        a > heartbeat {"group": "g", "consumer": "a"}
        a < heartbeat_ok {"generation": 1, "state": "PreparingRebalance", "assignment": {"t": [0, 1, 2, 3]}}
        b > poll {"group": "g", "consumer": "b"}
        b < poll_ok {"generation": $_, "state": "PreparingRebalance", "assignment": {}, "records": []}
        # Until then what it holds is its own to commit.
        a > commit {"group": "g", "consumer": "a", "topic": "t", "partition": 3, "offset": 0, "generation": 1}
        a < commit_ok
        # The poll that completes the rebalance reads by it already.
        a > poll {"group": "g", "consumer": "a"}
        a < poll_ok {"generation": 2, "state": "Stable", "assignment": {"t": [0, 1]}, "records": [{"topic": "t", "partition": 0, "offset": 0, "key": null, "message": 0, "timestamp": $_}]}
        b > poll {"group": "g", "consumer": "b"}
        b < poll_ok {"generation": 2, "state": "Stable", "assignment": {"t": [2, 3]}, "records": [{"topic": "t", "partition": 3, "offset": 0, "key": null, "message": 3, "timestamp": $_}]}
        # Refused: an old generation, another's partition, a stranger.
        b > commit {"group": "g", "consumer": "b", "topic": "t", "partition": 3, "offset": 1, "generation": 1}
        b < error 22 ILLEGAL_GENERATION 1, 2
        b > commit {"group": "g", "consumer": "b", "topic": "t", "partition": 0, "offset": 1, "generation": 2}
        b < error 22 REBALANCE_IN_PROGRESS t, 0, b
        b > commit_offset {"group": "g", "topic": "t", "partition": 0, "offset": 1, "member_id": "b", "generation": 2}
        b < error 22 REBALANCE_IN_PROGRESS t, 0, b
        c > commit {"group": "g", "consumer": "c", "topic": "t", "partition": 3, "offset": 1}
        c < error 22 UNKNOWN_MEMBER_ID c
        b > commit {"group": "g", "consumer": "b", "topic": "t", "partition": 3, "offset": 2, "generation": 2}
        b < error 12 INVALID_REQUEST 2, 1
        b > commit {"group": "g", "consumer": "b", "topic": "t", "partition": 3, "offset": 1, "generation": 2}
        b < commit_ok
        # With three, the first ones to poll wait for the last.
        c > subscribe {"group": "g", "consumer": "c", "topics": ["t"]}
        c < subscribe_ok {"generation": $_, "state": "PreparingRebalance", "assignment": {}}
        b > poll {"group": "g", "consumer": "b"}
        b < poll_ok {"generation": 2, "state": "PreparingRebalance", "assignment": {}, "records": []}
        b > commit {"group": "g", "consumer": "b", "topic": "t", "partition": 3, "offset": 1, "generation": 2}
        b < error 22 REBALANCE_IN_PROGRESS t, 3, b
        a > poll {"group": "g", "consumer": "a"}
        a < poll_ok {"generation": 3, "state": "Stable", "assignment": {"t": [0, 1]}, "records": [{"topic": "t", "partition": 0, "offset": 0, "key": null, "message": 0, "timestamp": $_}]}
        b > poll {"group": "g", "consumer": "b"}
        b < poll_ok {"generation": 3, "state": "Stable", "assignment": {"t": [2]}, "records": []}
        # c goes on where b had committed.
        c > poll {"group": "g", "consumer": "c"}
        c < poll_ok {"generation": 3, "state": "Stable", "assignment": {"t": [3]}, "records": []}
        # Who leaves is gone at once.
        c > unsubscribe {"group": "g", "consumer": "c"}
        c < unsubscribe_ok
        c > poll {"group": "g", "consumer": "c"}
        c < error 22 UNKNOWN_MEMBER_ID c
        a > unsubscribe {"group": "g", "consumer": "a"}
        a < unsubscribe_ok
        b > poll {"group": "g", "consumer": "b"}
        b < poll_ok {"generation": 4, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}, "records": [{"topic": "t", "partition": 0, "offset": 0, "key": null, "message": 0, "timestamp": $_}]}
        b > unsubscribe {"group": "g", "consumer": "b"}
        b < unsubscribe_ok
        # An empty group keeps its generation until it is deleted.
        a > subscribe {"group": "g", "consumer": "a", "topics": ["t"]}
        a < subscribe_ok {"generation": 5, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}}
        a > unsubscribe {"group": "g", "consumer": "a"}
        a < unsubscribe_ok
        a > delete_group {"group": "g"}
        a < delete_group_ok
        a > fetch_offset {"group": "g", "topic": "t", "partition": 3}
        a < fetch_offset_ok {"offset": 0}
        a > subscribe {"group": "g", "consumer": "a", "topics": ["t"]}
        a < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}}
        "#,
    );
}

#[test]
fn a_cooperative_group_reads_on() {
    ground().play(
        r#"
        a > subscribe {"group": "g", "consumer": "a", "topics": ["t"], "strategy": "cooperative-sticky"}
        a < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}}
        b > subscribe {"group": "g", "consumer": "b", "topics": ["t"], "strategy": "cooperative-sticky"}
        b < subscribe_ok {"generation": 2, "state": "PreparingRebalance", "assignment": {}}
        # Nothing is free before its owner gives it up.
        b > poll {"group": "g", "consumer": "b"}
        b < poll_ok {"generation": 2, "state": "PreparingRebalance", "assignment": {}, "records": []}
        a > heartbeat {"group": "g", "consumer": "a"}
        a < heartbeat_ok {"generation": 1, "state": "PreparingRebalance", "assignment": {"t": [0, 1, 2, 3]}}
        # It reads what it keeps in the same poll.
        a > poll {"group": "g", "consumer": "a"}
        a < poll_ok {"generation": 2, "state": "PreparingRebalance", "assignment": {"t": [0, 1]}, "records": [{"topic": "t", "partition": 0, "offset": 0, "key": null, "message": 0, "timestamp": $_}]}
        a > commit {"group": "g", "consumer": "a", "topic": "t", "partition": 0, "offset": 1, "generation": 2}
        a < commit_ok
        a > commit {"group": "g", "consumer": "a", "topic": "t", "partition": 3, "offset": 1}
        a < error 22 REBALANCE_IN_PROGRESS t, 3, a
        b > poll {"group": "g", "consumer": "b"}
        b < poll_ok {"generation": 2, "state": "Stable", "assignment": {"t": [2, 3]}, "records": [{"topic": "t", "partition": 3, "offset": 0, "key": null, "message": 3, "timestamp": $_}]}
        # Who leaves gives up at once; who stays keeps and gets.
        b > unsubscribe {"group": "g", "consumer": "b"}
        b < unsubscribe_ok
        a > poll {"group": "g", "consumer": "a"}
        a < poll_ok {"generation": 3, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}, "records": [{"topic": "t", "partition": 3, "offset": 0, "key": null, "message": 3, "timestamp": $_}]}
        "#,
    );
}

#[test]
fn a_poll_goes_on_from_the_members_position() {
    let mut node = ground();
    node.play(
        r#"
        a > subscribe {"group": "g", "consumer": "a", "topics": ["t"]}
        a < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}}
        a > poll {"group": "g", "consumer": "a", "max_messages": 1}
        a < poll_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}, "records": [{"topic": "t", "partition": 0, "offset": 0, "key": null, "message": 0, "timestamp": $_}]}
        a > poll {"group": "g", "consumer": "a", "max_messages": 1}
        a < poll_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}, "records": [{"topic": "t", "partition": 3, "offset": 0, "key": null, "message": 3, "timestamp": $_}]}
        a > poll {"group": "g", "consumer": "a"}
        a < poll_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}, "records": []}
        a > commit {"group": "g", "consumer": "a", "topic": "t", "partition": 0, "offset": 1}
        a < commit_ok
        # Who subscribes again begins at what is committed, and rebalances nothing.
        a > subscribe {"group": "g", "consumer": "a", "topics": ["t"]}
        a < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}}
        a > poll {"group": "g", "consumer": "a"}
        a < poll_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}, "records": [{"topic": "t", "partition": 3, "offset": 0, "key": null, "message": 3, "timestamp": $_}]}
        "#,
    );
    assert_eq!(rebalances(&mut node, "g"), 1);
}

#[test]
fn topics_that_change_set_off_a_rebalance() {
    Node::alone().play(
        r#"
        a > subscribe {"group": "g", "consumer": "a", "topics": ["t", "u"]}
        a < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {}}
        p > create_topic {"topic": "t", "partitions": 1}
        p < create_topic_ok
        a > poll {"group": "g", "consumer": "a"}
        a < poll_ok {"generation": 2, "state": "Stable", "assignment": {"t": [0]}, "records": []}
        p > create_partitions {"topic": "t", "partitions": 2}
        p < create_partitions_ok
        a > poll {"group": "g", "consumer": "a"}
        a < poll_ok {"generation": 3, "state": "Stable", "assignment": {"t": [0, 1]}, "records": []}
        # `send` makes topics too.
        p > send {"topic": "u", "message": 1, "partition": 0}
        p < send_ok {"partition": 0, "offset": 0}
        a > poll {"group": "g", "consumer": "a"}
        a < poll_ok {"generation": 4, "state": "Stable", "assignment": {"t": [0, 1], "u": [0, 1, 2, 3, 4, 5]}, "records": [{"topic": "u", "partition": 0, "offset": 0, "key": null, "message": 1, "timestamp": $_}]}
        p > delete_topic {"topic": "u"}
        p < delete_topic_ok
        a > poll {"group": "g", "consumer": "a"}
        a < poll_ok {"generation": 5, "state": "Stable", "assignment": {"t": [0, 1]}, "records": []}
        # A member that wants other topics.
        a > subscribe {"group": "g", "consumer": "a", "topics": ["u"]}
        a < subscribe_ok {"generation": 6, "state": "Stable", "assignment": {}}
        p > delete_offsets {"group": "g", "topic": "t"}
        p < delete_offsets_ok
        p > delete_offsets {"group": "g", "topic": "u"}
        p < error 22 GROUP_SUBSCRIBED_TO_TOPIC g, u
        p > delete_group {"group": "g"}
        p < error 22 NON_EMPTY_GROUP g
        "#,
    );
}

#[test]
fn a_static_thin_member_keeps_its_seat() {
    let mut node = ground();
    node.play(
        r#"
        a > subscribe {"group": "g", "consumer": "a", "topics": ["t"], "instance_id": "i"}
        a < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}}
        a > unsubscribe {"group": "g", "consumer": "a"}
        a < unsubscribe_ok
        # Away, it is no member; its seat is there.
        a > poll {"group": "g", "consumer": "a"}
        a < error 22 UNKNOWN_MEMBER_ID a
        p > delete_group {"group": "g"}
        p < error 22 NON_EMPTY_GROUP g
        # The same instance under a new name takes it over, without a rebalance.
        b > subscribe {"group": "g", "consumer": "b", "topics": ["t"], "instance_id": "i"}
        b < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}}
        # Also from one who is there; the old name is fenced.
        c > subscribe {"group": "g", "consumer": "c", "topics": ["t"], "instance_id": "i"}
        c < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}}
        b > poll {"group": "g", "consumer": "b"}
        b < error 22 FENCED_INSTANCE_ID i, b
        b > heartbeat {"group": "g", "consumer": "b"}
        b < error 22 FENCED_INSTANCE_ID i, b
        b > commit {"group": "g", "consumer": "b", "topic": "t", "partition": 0, "offset": 0}
        b < error 22 FENCED_INSTANCE_ID i, b
        c > poll {"group": "g", "consumer": "c", "max_messages": 1}
        c < poll_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}, "records": [{"topic": "t", "partition": 0, "offset": 0, "key": null, "message": 0, "timestamp": $_}]}
        "#,
    );
    assert_eq!(rebalances(&mut node, "g"), 1);
    node.play(
        r#"
        c > unsubscribe {"group": "g", "consumer": "c", "permanent": true}
        c < unsubscribe_ok
        p > delete_group {"group": "g"}
        p < delete_group_ok
        "#,
    );
}

#[test]
fn a_silent_thin_member_loses_its_session() {
    let mut node = ground();
    let began = Instant::now();
    node.play(
        r#"
        a > subscribe {"group": "g", "consumer": "a", "topics": ["t"]}
        a < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}}
        b > subscribe {"group": "g", "consumer": "b", "topics": ["t"], "session_timeout_ms": 400}
        b < subscribe_ok {"generation": $_, "state": "PreparingRebalance", "assignment": {}}
        a > poll {"group": "g", "consumer": "a", "max_messages": 1}
        "#,
    );
    assert_eq!(node.reply("a")["assignment"], json!({"t": [0, 1]}));
    let (_, _) = until(&mut node, r#"poll {"group": "g", "consumer": "a"}"#, |reply| {
        reply["assignment"] == json!({"t": [0, 1, 2, 3]}) && reply["state"] == "Stable"
    });
    assert!(began.elapsed() >= Duration::from_millis(400), "gone after {:?}", began.elapsed());
    node.play("b > poll {\"group\": \"g\", \"consumer\": \"b\"}\nb < error 22 UNKNOWN_MEMBER_ID b");
}

/// Kafka's `max.poll.interval.ms`.
#[test]
fn a_thin_member_that_does_not_poll_is_removed_though_it_lives() {
    let mut node = ground();
    let began = Instant::now();
    node.call(
        "a",
        r#"subscribe {"group": "g", "consumer": "a", "topics": ["t"], "rebalance_timeout_ms": 500}"#,
    );
    let (_, _) = until(&mut node, r#"heartbeat {"group": "g", "consumer": "a"}"#, |reply| {
        reply["error"] == "UNKNOWN_MEMBER_ID"
    });
    assert!(began.elapsed() >= Duration::from_millis(500), "gone after {:?}", began.elapsed());
    // One who polls stays for as long as it likes.
    node.call(
        "a",
        r#"subscribe {"group": "g", "consumer": "a", "topics": ["t"], "rebalance_timeout_ms": 500}"#,
    );
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1_200) {
        let reply = node.call("a", r#"poll {"group": "g", "consumer": "a"}"#);
        assert_eq!(reply["type"], "poll_ok", "{reply}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A laggard holds an eager rebalance up no longer than the rebalance time-out.
#[test]
fn a_laggard_is_removed_at_the_rebalance_time_out() {
    let mut node = ground();
    node.call(
        "a",
        r#"subscribe {"group": "g", "consumer": "a", "topics": ["t"], "rebalance_timeout_ms": 600}"#,
    );
    node.call(
        "b",
        r#"subscribe {"group": "g", "consumer": "b", "topics": ["t"], "rebalance_timeout_ms": 600}"#,
    );
    // `a` never polls.
    let (reply, _) = until(&mut node, r#"poll {"group": "g", "consumer": "b"}"#, |reply| {
        reply["state"] == "Stable"
    });
    assert_eq!(reply["assignment"], json!({"t": [0, 1, 2, 3]}), "{reply}");
    node.play("a > poll {\"group\": \"g\", \"consumer\": \"a\"}\na < error 22 UNKNOWN_MEMBER_ID a");
}

#[test]
fn a_classic_group_of_three() {
    let join = |topics: &str| {
        format!(
            r#""session_timeout_ms": 45000, "rebalance_timeout_ms": 60000, "protocols": [{{"name": "range", "topics": {topics}}}, {{"name": "roundrobin", "topics": {topics}}}]"#
        )
    };
    let join = join(r#"["t"]"#);
    let member = |id: &str| {
        format!(
            r#"{{"member_id": "{id}", "instance_id": null, "topics": ["t"], "owned": {{}}, "generation": null}}"#
        )
    };
    let (a, b, c) = (member("$a"), member("$b"), member("$c"));
    let mut node = ground();
    node.play(&format!(
        r#"
        a > join_group {{"group": "g", "member_id": "", {join}}}
        a < join_group_ok {{"generation": 1, "protocol": "range", "leader": "$a", "member_id": "$a", "members": [{a}]}}
        a > sync_group {{"group": "g", "member_id": "$a", "generation": 1, "assignments": {{"$a": {{"t": [0, 1, 2, 3]}}}}}}
        a < sync_group_ok {{"assignment": {{"t": [0, 1, 2, 3]}}}}
        # A second member comes; a heartbeat tells the first.
        b > join_group {{"group": "g", "member_id": "", {join}}}
        a > heartbeat {{"group": "g", "member_id": "$a", "generation": 1}}
        a < error 22 REBALANCE_IN_PROGRESS g
        # What it read may still be committed.
        a > commit_offset {{"group": "g", "topic": "t", "partition": 0, "offset": 1, "member_id": "$a", "generation": 1}}
        a < commit_offset_ok
        a > join_group {{"group": "g", "member_id": "$a", {join}}}
        b < join_group_ok {{"generation": 2, "protocol": "range", "leader": "$a", "member_id": "$b", "members": []}}
        a < join_group_ok {{"generation": 2, "protocol": "range", "leader": "$a", "member_id": "$a", "members": [{a}, {b}]}}
        # Everyone waits for the leader's assignment; no commit meanwhile.
        b > sync_group {{"group": "g", "member_id": "$b", "generation": 2}}
        b2 > commit_offset {{"group": "g", "topic": "t", "partition": 0, "offset": 1, "member_id": "$b", "generation": 2}}
        b2 < error 22 REBALANCE_IN_PROGRESS g
        a > heartbeat {{"group": "g", "member_id": "$a", "generation": 2}}
        a < heartbeat_ok
        a > sync_group {{"group": "g", "member_id": "$a", "generation": 2, "assignments": {{"$a": {{"t": [3]}}, "$b": {{"t": [0, 1, 2]}}}}}}
        a < sync_group_ok {{"assignment": {{"t": [3]}}}}
        b < sync_group_ok {{"assignment": {{"t": [0, 1, 2]}}}}
        # Refused: an old generation, a stranger, another's partition.
        a > commit_offset {{"group": "g", "topic": "t", "partition": 3, "offset": 1, "member_id": "$a", "generation": 1}}
        a < error 22 ILLEGAL_GENERATION 1, 2
        a > commit_offset {{"group": "g", "topic": "t", "partition": 3, "offset": 1, "member_id": "ghost", "generation": 2}}
        a < error 22 UNKNOWN_MEMBER_ID ghost
        a > commit_offset {{"group": "g", "topic": "t", "partition": 0, "offset": 2, "member_id": "$a", "generation": 2}}
        a < error 22 REBALANCE_IN_PROGRESS t, 0, $a
        a > commit_offset {{"group": "g", "topic": "t", "partition": 3, "offset": 1, "member_id": "$a", "generation": 2}}
        a < commit_offset_ok
        # A third; this time the coordinator runs the elected strategy.
        c > join_group {{"group": "g", "member_id": "", {join}}}
        a > heartbeat {{"group": "g", "member_id": "$a", "generation": 2}}
        a < error 22 REBALANCE_IN_PROGRESS g
        b > heartbeat {{"group": "g", "member_id": "$b", "generation": 2}}
        b < error 22 REBALANCE_IN_PROGRESS g
        b > sync_group {{"group": "g", "member_id": "$b", "generation": 2}}
        b < error 22 REBALANCE_IN_PROGRESS g
        a > join_group {{"group": "g", "member_id": "$a", {join}}}
        b > join_group {{"group": "g", "member_id": "$b", {join}}}
        c < join_group_ok {{"generation": 3, "protocol": "range", "leader": "$a", "member_id": "$c", "members": []}}
        b < join_group_ok {{"generation": 3, "protocol": "range", "leader": "$a", "member_id": "$b", "members": []}}
        a < join_group_ok {{"generation": 3, "protocol": "range", "leader": "$a", "member_id": "$a", "members": [{a}, {b}, {c}]}}
        a > sync_group {{"group": "g", "member_id": "$a", "generation": 3}}
        a < sync_group_ok {{"assignment": {{"t": [0, 1]}}}}
        b > sync_group {{"group": "g", "member_id": "$b", "generation": 3}}
        b < sync_group_ok {{"assignment": {{"t": [2]}}}}
        c > sync_group {{"group": "g", "member_id": "$c", "generation": 3}}
        c < sync_group_ok {{"assignment": {{"t": [3]}}}}
        # The leader goes; another one leads.
        a > leave_group {{"group": "g", "member_id": "$a"}}
        a < leave_group_ok
        b > heartbeat {{"group": "g", "member_id": "$b", "generation": 3}}
        b < error 22 REBALANCE_IN_PROGRESS g
        b > join_group {{"group": "g", "member_id": "$b", {join}}}
        c > join_group {{"group": "g", "member_id": "$c", {join}}}
        b < join_group_ok {{"generation": 4, "protocol": "range", "leader": "$b", "member_id": "$b", "members": [{b}, {c}]}}
        c < join_group_ok {{"generation": 4, "protocol": "range", "leader": "$b", "member_id": "$c", "members": []}}
        c > heartbeat {{"group": "g", "member_id": "$c", "generation": 3}}
        c < error 22 ILLEGAL_GENERATION 3, 4
        "#
    ));
    assert_eq!(rebalances(&mut node, "g"), 3);
}

#[test]
fn a_silent_classic_member_loses_its_session() {
    let join =
        r#""rebalance_timeout_ms": 60000, "protocols": [{"name": "range", "topics": ["t"]}]"#;
    let mut node = ground();
    let one = node.call(
        "a",
        &format!(
            r#"join_group {{"group": "g", "member_id": "", "session_timeout_ms": 45000, {join}}}"#
        ),
    );
    let a = one["member_id"].as_str().expect("an id").to_owned();
    node.ask(
        "b",
        &format!(
            r#"join_group {{"group": "g", "member_id": "", "session_timeout_ms": 500, {join}}}"#
        ),
    );
    node.ask(
        "a",
        &format!(r#"join_group {{"group": "g", "member_id": "{a}", "session_timeout_ms": 45000, {join}}}"#),
    );
    let (b, _) = (node.reply("b"), node.reply("a"));
    let began = Instant::now();
    node.call("a", &format!(r#"sync_group {{"group": "g", "member_id": "{a}", "generation": 2}}"#));
    node.call(
        "b",
        &format!(
            r#"sync_group {{"group": "g", "member_id": {}, "generation": 2}}"#,
            b["member_id"]
        ),
    );
    let heartbeat = format!(r#"heartbeat {{"group": "g", "member_id": "{a}", "generation": 2}}"#);
    let (_, _) = until(&mut node, &heartbeat, |reply| reply["error"] == "REBALANCE_IN_PROGRESS");
    assert!(began.elapsed() >= Duration::from_millis(490), "gone after {:?}", began.elapsed());
    let again = node.call(
        "a",
        &format!(r#"join_group {{"group": "g", "member_id": "{a}", "session_timeout_ms": 45000, {join}}}"#),
    );
    assert_eq!(
        (&again["generation"], again["members"].as_array().map(Vec::len)),
        (&json!(3), Some(1)),
        "{again}"
    );
}

#[test]
fn a_static_classic_member_is_replaced_and_fenced() {
    let join = r#""instance_id": "i", "session_timeout_ms": 45000, "rebalance_timeout_ms": 60000, "protocols": [{"name": "range", "topics": ["t"]}]"#;
    let mut node = ground();
    node.play(&format!(
        r#"
        a > join_group {{"group": "g", "member_id": "", {join}}}
        a < join_group_ok {{"generation": 1, "protocol": "range", "leader": "$a", "member_id": "$a", "members": [{{"member_id": "$a", "instance_id": "i", "topics": ["t"], "owned": {{}}, "generation": null}}]}}
        a > sync_group {{"group": "g", "member_id": "$a", "generation": 1, "instance_id": "i"}}
        a < sync_group_ok {{"assignment": {{"t": [0, 1, 2, 3]}}}}
        b > join_group {{"group": "g", "member_id": "", {join}}}
        "#
    ));
    let reply = node.reply("b");
    assert_eq!(reply["generation"], 1, "no rebalance: {reply}");
    let b = reply["member_id"].as_str().expect("an id").to_owned();
    assert_ne!(b, node.known("a"));
    node.play(&format!(
        r#"
        b > sync_group {{"group": "g", "member_id": "{b}", "generation": 1, "instance_id": "i"}}
        b < sync_group_ok {{"assignment": {{"t": [0, 1, 2, 3]}}}}
        a > heartbeat {{"group": "g", "member_id": "$a", "generation": 1, "instance_id": "i"}}
        a < error 22 FENCED_INSTANCE_ID i, $a
        a > sync_group {{"group": "g", "member_id": "$a", "generation": 1, "instance_id": "i"}}
        a < error 22 FENCED_INSTANCE_ID i, $a
        a > join_group {{"group": "g", "member_id": "$a", {join}}}
        a < error 22 FENCED_INSTANCE_ID i, $a
        a > leave_group {{"group": "g", "member_id": "$a", "instance_id": "i"}}
        a < error 22 FENCED_INSTANCE_ID i, $a
        # Without its instance id it is unknown.
        a > heartbeat {{"group": "g", "member_id": "$a", "generation": 1}}
        a < error 22 UNKNOWN_MEMBER_ID $a
        # A seat is kept, unless it is left for good.
        b > leave_group {{"group": "g", "member_id": "{b}", "instance_id": "i"}}
        b < leave_group_ok
        p > delete_group {{"group": "g"}}
        p < error 22 NON_EMPTY_GROUP g
        b > leave_group {{"group": "g", "member_id": "{b}", "instance_id": "i", "permanent": true}}
        b < leave_group_ok
        p > delete_group {{"group": "g"}}
        p < delete_group_ok
        "#
    ));
}

#[test]
fn a_kept_seat_ends_with_its_session() {
    let mut node = ground();
    let began = Instant::now();
    node.call(
        "a",
        r#"subscribe {"group":"g","consumer":"a","topics":["t"],"instance_id":"i","session_timeout_ms":400}"#,
    );
    node.call("a", r#"unsubscribe {"group":"g","consumer":"a"}"#);
    let (_, _) = until(&mut node, r#"delete_group {"group": "g"}"#, |reply| {
        reply["type"] == "delete_group_ok"
    });
    assert!(began.elapsed() >= Duration::from_millis(400), "gone after {:?}", began.elapsed());
}

/// A static laggard loses what it holds, and keeps its seat.
#[test]
fn a_static_laggard_keeps_its_seat() {
    let mut node = ground();
    let subscribe = r#"subscribe {"group":"g","consumer":"a","topics":["t"],"instance_id":"i","rebalance_timeout_ms":500}"#;
    node.call("a", subscribe);
    node.call(
        "b",
        r#"subscribe {"group":"g","consumer":"b","topics":["t"],"rebalance_timeout_ms":500}"#,
    );
    let poll = r#"poll {"group": "g", "consumer": "b"}"#;
    let (reply, _) = until(&mut node, poll, |reply| reply["state"] == "Stable");
    assert_eq!(reply["assignment"], json!({"t": [2, 3]}), "the other half is the seat's: {reply}");
    let before = rebalances(&mut node, "g");
    assert_eq!(node.call("a", subscribe)["assignment"], json!({"t": [0, 1]}));
    assert_eq!(rebalances(&mut node, "g"), before);
}

/// With `--group-initial-rebalance-delay` the first generation has everyone who came in time.
#[test]
fn an_empty_classic_group_waits_for_more_members_where_it_is_told_to() {
    let join = r#"join_group {"group":"g","member_id":"","session_timeout_ms":45000,"rebalance_timeout_ms":60000,"protocols":[{"name":"range","topics":["t"]}]}"#;
    let mut node = Node::alone_with(&["--group-initial-rebalance-delay", "400"]);
    let began = Instant::now();
    node.ask("a", join);
    node.ask("b", join);
    let replies = [node.reply("a"), node.reply("b")];
    assert!(began.elapsed() >= Duration::from_millis(400), "after {:?}", began.elapsed());
    assert!(replies.iter().all(|reply| reply["generation"] == 1), "{replies:?}");
    let told: usize =
        replies.iter().filter_map(|reply| reply["members"].as_array()).map(Vec::len).sum();
    assert_eq!(told, 2, "the leader is told of both: {replies:?}");
}

/// Two strategies do not mix; a lone member may change its own.
#[test]
fn a_lone_member_may_change_the_strategy() {
    ground().play(
        r#"
        a > subscribe {"group": "g", "consumer": "a", "topics": ["t"]}
        a < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}}
        a > subscribe {"group": "g", "consumer": "a", "topics": ["t"], "strategy": "cooperative-sticky"}
        a < subscribe_ok {"generation": 2, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}}
        b > subscribe {"group": "g", "consumer": "b", "topics": ["t"]}
        b < error 22 INCONSISTENT_GROUP_PROTOCOL g, cooperative-sticky, range
        a > unsubscribe {"group": "g", "consumer": "a"}
        a < unsubscribe_ok
        b > subscribe {"group": "g", "consumer": "b", "topics": ["t"], "strategy": "roundrobin"}
        b < subscribe_ok {"generation": 3, "state": "Stable", "assignment": {"t": [0, 1, 2, 3]}}
        "#,
    );
}
