//! Every request of groups with its reply: form, order of keys, defaults, other names of fields,
//! nulls. Dialogues are compared text by text; see [`support`].

mod support;

use support::Node;

fn say(script: &str) {
    Node::alone().play(script);
}

#[test]
fn one_shot_groups_by_every_strategy() {
    say(r#"
        # The default is range; consumers and partitions come in any order, and each counts once.
        c1 > consumer_rebalance {"group": "g", "consumers": ["b", "a", "b"], "partitions": [4, 0, 2, 1, 3, 4]}
        c1 < consumer_rebalance_ok {"assignments": {"a": [0, 1, 2], "b": [3, 4]}}
        # Consumers are sorted as strings, partitions as numbers.
        c1 > consumer_rebalance {"group": "g", "consumers": ["c10", "c9", "c1"], "partitions": [10, 9, 8], "strategy": null}
        c1 < consumer_rebalance_ok {"assignments": {"c1": [8], "c10": [9], "c9": [10]}}
        c1 > consumer_rebalance {"group": "rr", "consumers": ["a", "b"], "partitions": [0, 1, 2, 3, 4], "strategy": "roundrobin"}
        c1 < consumer_rebalance_ok {"assignments": {"a": [0, 2, 4], "b": [1, 3]}}
        # A consumer without partitions has an empty list; no consumers, an empty object.
        c1 > consumer_rebalance {"group": "few", "consumers": ["a", "b", "c"], "partitions": [7]}
        c1 < consumer_rebalance_ok {"assignments": {"a": [7], "b": [], "c": []}}
        c1 > consumer_rebalance {"group": "none", "consumers": ["a"], "partitions": []}
        c1 < consumer_rebalance_ok {"assignments": {"a": []}}
        c1 > consumer_rebalance {"group": "few", "consumers": [], "partitions": [7]}
        c1 < consumer_rebalance_ok {"assignments": {}}
        c1 > consumer_rebalance {"group": "few", "consumers": [], "partitions": [7], "strategy": "cooperative-sticky"}
        c1 < consumer_rebalance_ok {"assignments": {}, "revoked": {}}
        c1 > list_groups
        c1 < list_groups_ok {"groups": [{"group": "few", "kind": "declared", "state": "Empty"}, {"group": "g", "kind": "declared", "state": "Stable"}, {"group": "none", "kind": "declared", "state": "Stable"}, {"group": "rr", "kind": "declared", "state": "Stable"}]}
        "#);
}

#[test]
fn sticky_one_shot_groups_remember() {
    say(r#"
        c1 > consumer_rebalance {"group": "s", "consumers": ["a", "b", "c"], "partitions": [0, 1, 2, 3, 4, 5], "strategy": "sticky"}
        c1 < consumer_rebalance_ok {"assignments": {"a": [0, 3], "b": [1, 4], "c": [2, 5]}}
        # Who goes gives up its own; who stays keeps all that it had.
        c1 > consumer_rebalance {"group": "s", "consumers": ["a", "c"], "partitions": [0, 1, 2, 3, 4, 5], "strategy": "sticky"}
        c1 < consumer_rebalance_ok {"assignments": {"a": [0, 1, 3], "c": [2, 4, 5]}}
        c1 > consumer_rebalance {"group": "s", "consumers": ["a", "c", "d"], "partitions": [0, 1, 2, 3, 4, 5], "strategy": "cooperative-sticky"}
        c1 < consumer_rebalance_ok {"assignments": {"a": [0, 1], "c": [2, 4], "d": [3, 5]}, "revoked": {"a": [3], "c": [5]}}
        # Another group of the same consumers knows nothing of it.
        c1 > consumer_rebalance {"group_id": "t", "consumers": ["a", "c"], "partitions": [0, 1, 2, 3, 4, 5], "strategy": "sticky"}
        c1 < consumer_rebalance_ok {"assignments": {"a": [0, 2, 4], "c": [1, 3, 5]}}
        "#);
}

#[test]
fn a_declared_group_is_described() {
    say(r#"
        c1 > create_topic {"topic": "default", "partitions": 3}
        c1 < create_topic_ok
        c1 > consumer_rebalance {"group": "g", "consumers": ["b", "a"], "partitions": [0, 1, 2]}
        c1 < consumer_rebalance_ok {"assignments": {"a": [0, 1], "b": [2]}}
        c1 > describe_group {"group": "g"}
        c1 < describe_group_ok {"group": "g", "kind": "declared", "state": "Stable", "strategy": "range", "generation": 1, "leader": null, "coordinator": "n1", "rebalances": 1, "rebalances_last_hour": 1, "members": [{"member_id": "a", "instance_id": null, "topics": ["default"], "assignment": {"default": [0, 1]}}, {"member_id": "b", "instance_id": null, "topics": ["default"], "assignment": {"default": [2]}}], "offsets": [{"topic": "default", "partition": 0, "committed": null, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": null, "member_id": "a"}, {"topic": "default", "partition": 1, "committed": null, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": null, "member_id": "a"}, {"topic": "default", "partition": 2, "committed": null, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": null, "member_id": "b"}]}
        # Declared consumers are not members.
        c1 > delete_group {"group": "g"}
        c1 < delete_group_ok
        c1 > list_groups
        c1 < list_groups_ok {"groups": []}
        "#);
}

#[test]
fn a_simple_group_is_described_with_its_lag() {
    say(r#"
        c1 > create_topic {"topic": "t", "partitions": 3}
        c1 < create_topic_ok
        c1 > send {"topic": "t", "message": 1, "partition": 0}
        c1 < send_ok {"partition": 0, "offset": 0}
        c1 > send {"topic": "t", "message": 1, "partition": 0}
        c1 < send_ok {"partition": 0, "offset": 1}
        c1 > send {"topic": "t", "message": 1, "partition": 0}
        c1 < send_ok {"partition": 0, "offset": 2}
        c1 > commit_offset {"group": "g", "topic": "t", "partition": 1, "offset": 7, "metadata": "m"}
        c1 < commit_offset_ok
        c1 > commit_offset {"group": "g", "topic": "t", "partition": 0, "offset": 2}
        c1 < commit_offset_ok
        c1 > commit_offset {"group": "g", "topic": "a", "partition": 10, "offset": 0}
        c1 < commit_offset_ok
        c1 > commit_offset {"group": "g", "topic": "a", "partition": 9, "offset": 0}
        c1 < commit_offset_ok
        # Sorted, by number; a third of three is not rounded; beyond the end is no lag below 0; no topic is an empty log.
        c1 > describe_group {"group_id": "g"}
        c1 < describe_group_ok {"group": "g", "kind": "simple", "state": "Empty", "strategy": null, "generation": $gen, "leader": null, "coordinator": "n1", "rebalances": 0, "rebalances_last_hour": 0, "members": [], "offsets": [{"topic": "a", "partition": 9, "committed": 0, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": $_, "member_id": null}, {"topic": "a", "partition": 10, "committed": 0, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": $_, "member_id": null}, {"topic": "t", "partition": 0, "committed": 2, "position": null, "log_end_offset": 3, "lag": 1, "lag_percent": 33.33333333333333, "metadata": null, "timestamp": $_, "member_id": null}, {"topic": "t", "partition": 1, "committed": 7, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": "m", "timestamp": $_, "member_id": null}]}
        c1 > delete_offsets {"group": "g", "topic": "a", "partitions": [9, 3]}
        c1 < delete_offsets_ok
        c1 > delete_offsets {"group": "g", "topic": "t"}
        c1 < delete_offsets_ok
        c1 > fetch_offset {"group": "g", "topic": "t", "partition": 0}
        c1 < fetch_offset_ok {"offset": 0}
        c1 > describe_group {"group": "g"}
        c1 < describe_group_ok {"group": "g", "kind": "simple", "state": "Empty", "strategy": null, "generation": $gen, "leader": null, "coordinator": "n1", "rebalances": 0, "rebalances_last_hour": 0, "members": [], "offsets": [{"topic": "a", "partition": 10, "committed": 0, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": $_, "member_id": null}]}
        "#);
}

#[test]
fn a_thin_group_is_described_in_full() {
    say(r#"
        p > create_topic {"topic": "t", "partitions": 2}
        p < create_topic_ok
        p > send {"topic": "t", "message": "x", "partition": 0}
        p < send_ok {"partition": 0, "offset": 0}
        p > send {"topic": "t", "message": "y", "partition": 0}
        p < send_ok {"partition": 0, "offset": 1}
        p > send {"topic": "t", "message": "y", "partition": 0}
        p < send_ok {"partition": 0, "offset": 2}
        p > send {"topic": "t", "message": "y", "partition": 0}
        p < send_ok {"partition": 0, "offset": 3}
        b > subscribe {"group": "g", "consumer": "b", "topics": ["t"]}
        b < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {"t": [0, 1]}}
        a > subscribe {"group": "g", "consumer": "a", "topics": ["t", "later", "t"], "instance_id": "i"}
        a < subscribe_ok {"generation": $_, "state": "PreparingRebalance", "assignment": {}}
        b > poll {"group": "g", "consumer": "b"}
        b < poll_ok {"generation": 2, "state": "Stable", "assignment": {"t": [1]}, "records": []}
        a > poll {"group": "g", "consumer": "a", "max_messages": 2}
        a < poll_ok {"generation": 2, "state": "Stable", "assignment": {"t": [0]}, "records": [{"topic": "t", "partition": 0, "offset": 0, "key": null, "message": "x", "timestamp": $_}, {"topic": "t", "partition": 0, "offset": 1, "key": null, "message": "y", "timestamp": $_}]}
        a > commit {"group": "g", "consumer": "a", "topic": "t", "partition": 0, "offset": 1, "metadata": "at 1", "generation": 2}
        a < commit_ok
        c > describe_group {"group": "g"}
        c < describe_group_ok {"group": "g", "kind": "thin", "state": "Stable", "strategy": "range", "generation": 2, "leader": null, "coordinator": "n1", "rebalances": 2, "rebalances_last_hour": 2, "members": [{"member_id": "a", "instance_id": "i", "topics": ["later", "t"], "assignment": {"t": [0]}}, {"member_id": "b", "instance_id": null, "topics": ["t"], "assignment": {"t": [1]}}], "offsets": [{"topic": "t", "partition": 0, "committed": 1, "position": 2, "log_end_offset": 4, "lag": 3, "lag_percent": 75.0, "metadata": "at 1", "timestamp": $_, "member_id": "a"}, {"topic": "t", "partition": 1, "committed": null, "position": 0, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": null, "member_id": "b"}]}
        c > list_groups
        c < list_groups_ok {"groups": [{"group": "g", "kind": "thin", "state": "Stable"}]}
        "#);
}

#[test]
fn thin_requests_have_defaults_and_other_names() {
    say(r#"
        # No topic yet: no partitions until there is one.
        a > subscribe {"group": "g", "consumer": "a", "topics": null, "strategy": null, "instance_id": null, "session_timeout_ms": null, "rebalance_timeout_ms": null}
        a < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {}}
        a > poll {"group": "g", "consumer": "a"}
        a < poll_ok {"generation": 1, "state": "Stable", "assignment": {}, "records": []}
        p > create_topic {"topic": "default", "partitions": 1}
        p < create_topic_ok
        a > poll {"group_id": "g", "consumer_id": "a", "max_messages": null}
        a < poll_ok {"generation": 2, "state": "Stable", "assignment": {"default": [0]}, "records": []}
        a > heartbeat {"group_id": "g", "consumer_id": "a"}
        a < heartbeat_ok {"generation": 2, "state": "Stable", "assignment": {"default": [0]}}
        a > heartbeat {"group": "g", "consumer": "a", "member_id": null}
        a < heartbeat_ok {"generation": 2, "state": "Stable", "assignment": {"default": [0]}}
        a > commit {"group_id": "g", "consumer_id": "a", "partition": 0, "offset": 0}
        a < commit_ok
        # Without a consumer it is a commit by whoever administers the group.
        a > commit {"group": "g", "partition": 0, "offset": 77}
        a < commit_ok
        a > fetch_offset {"group": "g", "topic": "default", "partition": 0}
        a < fetch_offset_ok {"offset": 77}
        a > unsubscribe {"group_id": "g", "consumer_id": "a", "permanent": null}
        a < unsubscribe_ok
        a > list_groups
        a < list_groups_ok {"groups": [{"group": "g", "kind": "thin", "state": "Empty"}]}
        a > delete_group {"group_id": "g"}
        a < delete_group_ok
        "#);
}

#[test]
fn a_thin_poll_gives_ten_messages_by_default() {
    let mut node = Node::alone();
    node.play(
        r#"
        p > create_topic {"topic": "default", "partitions": 1}
        p < create_topic_ok
        "#,
    );
    for i in 0..25 {
        node.call("p", &format!(r#"send {{"message": {i}}}"#));
    }
    node.call("a", r#"subscribe {"group": "g", "consumer": "a"}"#);
    let mut next = 0;
    for (request, count) in [
        (r#"poll {"group": "g", "consumer": "a"}"#, 10),
        (r#"poll {"group": "g", "consumer": "a", "max_messages": 3}"#, 3),
        (r#"poll {"group": "g", "consumer": "a"}"#, 10),
        (r#"poll {"group": "g", "consumer": "a"}"#, 2),
        (r#"poll {"group": "g", "consumer": "a"}"#, 0),
    ] {
        let reply = node.call("a", request);
        let records = reply["records"].as_array().expect("records");
        assert_eq!(records.len(), count, "{request}: {reply}");
        for record in records {
            assert_eq!((&record["offset"], &record["message"]), (&next.into(), &next.into()));
            next += 1;
        }
    }
}

#[test]
fn the_classic_protocol_of_one_member() {
    say(r#"
        p > create_topic {"topic": "t", "partitions": 2}
        p < create_topic_ok
        a > join_group {"group": "g", "member_id": "", "session_timeout_ms": 45000, "rebalance_timeout_ms": 300000, "protocols": [{"name": "range", "topics": ["t"]}, {"name": "mine", "topics": ["t"]}]}
        a < join_group_ok {"generation": 1, "protocol": "range", "leader": "$a", "member_id": "$a", "members": [{"member_id": "$a", "instance_id": null, "topics": ["t"], "owned": {}, "generation": null}]}
        p > describe_group {"group": "g"}
        p < describe_group_ok {"group": "g", "kind": "classic", "state": "CompletingRebalance", "strategy": "range", "generation": 1, "leader": "$a", "coordinator": "n1", "rebalances": 0, "rebalances_last_hour": 0, "members": [{"member_id": "$a", "instance_id": null, "topics": ["t"], "assignment": {}}], "offsets": [{"topic": "t", "partition": 0, "committed": null, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": null, "member_id": null}, {"topic": "t", "partition": 1, "committed": null, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": null, "member_id": null}]}
        a > sync_group {"group_id": "g", "member_id": "$a", "generation": 1}
        a < sync_group_ok {"assignment": {"t": [0, 1]}}
        a > heartbeat {"group": "g", "member_id": "$a", "generation": 1}
        a < heartbeat_ok
        a > heartbeat {"group": "g", "member_id": "$a", "generation": 1, "instance_id": null, "consumer": null}
        a < heartbeat_ok
        a > commit_offset {"group": "g", "topic": "t", "partition": 0, "offset": 3, "member_id": "$a", "generation": 1}
        a < commit_offset_ok
        p > describe_group {"group": "g"}
        p < describe_group_ok {"group": "g", "kind": "classic", "state": "Stable", "strategy": "range", "generation": 1, "leader": "$a", "coordinator": "n1", "rebalances": 1, "rebalances_last_hour": 1, "members": [{"member_id": "$a", "instance_id": null, "topics": ["t"], "assignment": {"t": [0, 1]}}], "offsets": [{"topic": "t", "partition": 0, "committed": 3, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": $_, "member_id": "$a"}, {"topic": "t", "partition": 1, "committed": null, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": null, "member_id": "$a"}]}
        # What it owns, and since when, is told to the leader, who may also bring the assignments.
        a > join_group {"group": "g", "member_id": "$a", "session_timeout_ms": 45000, "rebalance_timeout_ms": 300000, "protocols": [{"name": "mine", "topics": ["t"], "owned": {"t": [1, 0]}, "generation": 1}]}
        a < join_group_ok {"generation": 2, "protocol": "mine", "leader": "$a", "member_id": "$a", "members": [{"member_id": "$a", "instance_id": null, "topics": ["t"], "owned": {"t": [0, 1]}, "generation": 1}]}
        a > sync_group {"group": "g", "member_id": "$a", "generation": 2, "assignments": {"$a": {"t": [1]}}}
        a < sync_group_ok {"assignment": {"t": [1]}}
        a > leave_group {"group": "g", "member_id": "$a"}
        a < leave_group_ok
        p > list_groups
        p < list_groups_ok {"groups": [{"group": "g", "kind": "classic", "state": "Empty"}]}
        "#);
}

#[test]
fn groups_are_listed_in_order() {
    say(r#"
        c1 > list_groups
        c1 < list_groups_ok {"groups": []}
        c1 > commit_offset {"group": "b", "topic": "t", "partition": 0, "offset": 1}
        c1 < commit_offset_ok
        c1 > consumer_rebalance {"group": "c", "consumers": ["x"], "partitions": [0]}
        c1 < consumer_rebalance_ok {"assignments": {"x": [0]}}
        c1 > subscribe {"group": "a", "consumer": "x"}
        c1 < subscribe_ok {"generation": 1, "state": "Stable", "assignment": {}}
        c1 > join_group {"group": "B", "member_id": "", "session_timeout_ms": 1000, "rebalance_timeout_ms": 1000, "protocols": [{"name": "range", "topics": []}]}
        c1 < join_group_ok {"generation": 1, "protocol": "range", "leader": "$x", "member_id": "$x", "members": [{"member_id": "$x", "instance_id": null, "topics": [], "owned": {}, "generation": null}]}
        c1 > list_groups
        c1 < list_groups_ok {"groups": [{"group": "B", "kind": "classic", "state": "CompletingRebalance"}, {"group": "a", "kind": "thin", "state": "Stable"}, {"group": "b", "kind": "simple", "state": "Empty"}, {"group": "c", "kind": "declared", "state": "Stable"}]}
        "#);
}

/// The generation goes on from kind to kind, and begins anew with a new group.
#[test]
fn a_group_of_another_kind_is_taken_over() {
    say(r#"
        c1 > commit_offset {"group": "g", "topic": "t", "partition": 0, "offset": 1}
        c1 < commit_offset_ok
        c1 > consumer_rebalance {"group": "g", "consumers": ["x"], "partitions": [0]}
        c1 < consumer_rebalance_ok {"assignments": {"x": [0]}}
        c1 > consumer_rebalance {"group": "g", "consumers": ["x"], "partitions": [0]}
        c1 < consumer_rebalance_ok {"assignments": {"x": [0]}}
        c1 > subscribe {"group": "g", "consumer": "x", "topics": ["t"]}
        c1 < subscribe_ok {"generation": 3, "state": "Stable", "assignment": {}}
        c1 > unsubscribe {"group": "g", "consumer": "x"}
        c1 < unsubscribe_ok
        c1 > describe_group {"group": "g"}
        c1 < describe_group_ok {"group": "g", "kind": "thin", "state": "Empty", "strategy": "range", "generation": 3, "leader": null, "coordinator": "n1", "rebalances": 3, "rebalances_last_hour": 3, "members": [], "offsets": [{"topic": "t", "partition": 0, "committed": 1, "position": null, "log_end_offset": 0, "lag": 0, "lag_percent": 0.0, "metadata": null, "timestamp": $_, "member_id": null}]}
        "#);
}
