//! What a rolling restart of ten members costs: rebalances, and polls without partitions.

mod support;

use serde_json::json;
use support::{Node, rebalances};

/// What happened while ten members were restarted one after another.
#[derive(Debug, PartialEq)]
struct Cost {
    rebalances: u64,
    /// Polls (heartbeats, in a classic group) of members that were not restarted, refused or
    /// without partitions.
    paused: usize,
}

const TEN: std::ops::Range<usize> = 0..10;

/// Each stops with `unsubscribe`, all others poll, it comes back, all others poll.
fn restart_thin(is_static: bool) -> Cost {
    let mut node = Node::alone();
    node.play("p > create_topic {\"topic\": \"t\", \"partitions\": 20}\np < create_topic_ok");
    let subscribe = |i: usize| {
        let instance = if is_static { format!(r#","instance_id":"i{i}""#) } else { String::new() };
        format!(r#"subscribe {{"group":"g","consumer":"m{i}","topics":["t"]{instance}}}"#)
    };
    let poll = |node: &mut Node, i: usize| {
        let reply = node.call("c", &format!(r#"poll {{"group":"g","consumer":"m{i}"}}"#));
        reply["type"] == "error" || reply["assignment"] == json!({})
    };
    for i in TEN {
        assert_eq!(node.call("c", &subscribe(i))["type"], "subscribe_ok");
    }
    // Twice, so that everyone gives up what it held, and gets what it shall have.
    for i in TEN.chain(TEN) {
        poll(&mut node, i);
    }
    let before = rebalances(&mut node, "g");
    let mut paused = 0;
    for stopped in TEN {
        let left =
            node.call("c", &format!(r#"unsubscribe {{"group":"g","consumer":"m{stopped}"}}"#));
        assert_eq!(left["type"], "unsubscribe_ok", "{left}");
        paused += TEN.chain(TEN).filter(|i| *i != stopped && poll(&mut node, *i)).count();
        assert_eq!(node.call("c", &subscribe(stopped))["type"], "subscribe_ok");
        paused += TEN.chain(TEN).filter(|i| *i != stopped && poll(&mut node, *i)).count();
        // The one that came back has its partitions.
        assert!(!poll(&mut node, stopped) || !is_static);
    }
    Cost { rebalances: rebalances(&mut node, "g") - before, paused }
}

#[test]
fn a_rolling_restart_of_ten_thin_members() {
    assert_eq!(restart_thin(true), Cost { rebalances: 0, paused: 0 });
    let dynamic = restart_thin(false);
    assert_eq!(dynamic.rebalances, 20, "one for each that goes, one for each that comes");
    assert!((160..=200).contains(&dynamic.paused), "{dynamic:?}: each stops all others");
}

/// Joins everyone that has to, until the group is Stable.
fn settle(node: &mut Node, ids: &mut [Option<String>], is_static: bool) {
    let join = |i: usize, id: &str| {
        let instance = if is_static { format!(r#","instance_id":"i{i}""#) } else { String::new() };
        format!(
            r#"join_group {{"group":"g","member_id":"{id}"{instance},"session_timeout_ms":45000,"rebalance_timeout_ms":60000,"protocols":[{{"name":"range","topics":["t"]}}]}}"#
        )
    };
    let mut present: Vec<usize> = TEN.filter(|i| ids[*i].is_some()).collect();
    // Who is new begins a rebalance, which the others then join.
    present.sort_by_key(|i| ids[*i].as_deref() != Some(""));
    for i in &present {
        let id = ids[*i].clone().unwrap_or_default();
        node.ask(&format!("c{i}"), &join(*i, &id));
    }
    let mut leader = None;
    for i in &present {
        let reply = node.reply(&format!("c{i}"));
        assert_eq!(reply["type"], "join_group_ok", "{reply}");
        ids[*i] = reply["member_id"].as_str().map(str::to_owned);
        if reply["leader"] == reply["member_id"] {
            leader = Some(*i);
        }
    }
    let generation = generation(node);
    let first = leader.unwrap_or_else(|| panic!("somebody leads {present:?}"));
    for i in std::iter::once(first).chain(present.into_iter().filter(|i| *i != first)) {
        let id = ids[i].as_deref().unwrap_or_default();
        let sync =
            format!(r#"sync_group {{"group":"g","member_id":"{id}","generation":{generation}}}"#);
        assert_eq!(node.call(&format!("c{i}"), &sync)["type"], "sync_group_ok");
    }
}

fn generation(node: &mut Node) -> i64 {
    node.call("asker", r#"describe_group {"group":"g"}"#)["generation"]
        .as_i64()
        .expect("a generation")
}

/// Heartbeats of all that are there; how many are refused.
fn refused(node: &mut Node, ids: &[Option<String>], generation: i64) -> usize {
    let beat = |id: &String| {
        let heartbeat =
            format!(r#"heartbeat {{"group":"g","member_id":"{id}","generation":{generation}}}"#);
        node.call("h", &heartbeat)["type"] == "error"
    };
    ids.iter().flatten().map(beat).filter(|refused| *refused).count()
}

/// Each stops with `leave_group`; who hears of a rebalance joins again.
fn restart_classic(is_static: bool) -> Cost {
    let mut node = Node::alone();
    node.play("p > create_topic {\"topic\": \"t\", \"partitions\": 20}\np < create_topic_ok");
    let mut ids: Vec<Option<String>> = vec![None; TEN.len()];
    for i in TEN {
        ids[i] = Some(String::new());
        settle(&mut node, &mut ids, is_static);
    }
    let before = rebalances(&mut node, "g");
    let mut paused = 0;
    for stopped in TEN {
        let id = ids[stopped].take().expect("it was there");
        let current = generation(&mut node);
        let left = node.call("c", &format!(r#"leave_group {{"group":"g","member_id":"{id}"}}"#));
        assert_eq!(left["type"], "leave_group_ok", "{left}");
        let heard = refused(&mut node, &ids, current);
        paused += heard;
        if heard > 0 {
            settle(&mut node, &mut ids, is_static);
        }
        let current = generation(&mut node);
        let instance =
            if is_static { format!(r#","instance_id":"i{stopped}""#) } else { String::new() };
        let join = format!(
            r#"join_group {{"group":"g","member_id":""{instance},"session_timeout_ms":45000,"rebalance_timeout_ms":60000,"protocols":[{{"name":"range","topics":["t"]}}]}}"#
        );
        let client = format!("c{stopped}");
        node.ask(&client, &join);
        let heard = refused(&mut node, &ids, current);
        paused += heard;
        if heard > 0 {
            settle(&mut node, &mut ids, is_static);
        }
        let joined = node.reply(&client);
        assert_eq!(joined["type"], "join_group_ok", "{joined}");
        ids[stopped] = joined["member_id"].as_str().map(str::to_owned);
        let (id, current) = (&joined["member_id"], generation(&mut node));
        let sync = format!(r#"sync_group {{"group":"g","member_id":{id},"generation":{current}}}"#);
        let synced = node.call(&client, &sync);
        assert_eq!(synced["assignment"]["t"].as_array().map(Vec::len), Some(2), "{synced}");
    }
    Cost { rebalances: rebalances(&mut node, "g") - before, paused }
}

#[test]
fn a_rolling_restart_of_ten_classic_members() {
    assert_eq!(restart_classic(true), Cost { rebalances: 0, paused: 0 });
    // All nine others learn of each that goes and of each that comes.
    assert_eq!(restart_classic(false), Cost { rebalances: 20, paused: 180 });
}
