//! ListGroups, DescribeGroups, DeleteGroups, FindCoordinator: groups as tools see them.

use wire::kafka_protocol::messages::delete_groups_request::DeleteGroupsRequest;
use wire::kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use wire::kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use wire::kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use wire::versions::{
    DELETE_GROUPS, DESCRIBE_GROUPS, FIND_COORDINATOR, LEAVE_GROUP, LIST_GROUPS, OFFSET_COMMIT,
    SYNC_GROUP,
};

use super::super::play::Play;
use super::members::{commit, join, leave, sync};
use super::requests::{all, coordinated, make, text};

pub fn describe(groups: &[&str]) -> DescribeGroupsRequest {
    let groups = groups.iter().map(|group| text(group).into()).collect();
    DescribeGroupsRequest::default().with_groups(groups)
}

pub fn delete_groups(groups: &[&str]) -> DeleteGroupsRequest {
    let groups = groups.iter().map(|group| text(group).into()).collect();
    DeleteGroupsRequest::default().with_groups_names(groups)
}

/// The first story with groups: there are no others yet.
pub fn lists(play: &mut Play) {
    make(play, "listed-by-groups", 1);
    coordinated(play, &["l-live", "l-empty", "l-typed", "l-joining", "l-only"]);
    let none = ListGroupsRequest::default();
    play.each("none yet", LIST_GROUPS, all(LIST_GROUPS), |_| none.clone());
    play.quietly(OFFSET_COMMIT, 7, commit("l-only", "", -1, ("listed-by-groups", 0, 1)));
    for (group, kind) in [
        ("l-live", "consumer"),
        ("l-typed", "connect"),
        ("l-empty", "consumer"),
        ("l-joining", "consumer"),
    ] {
        let joins = join(group, "").with_protocol_type(text(kind));
        let joined = play.enter("main", &format!("{group} joins"), 5, joins);
        let member = joined.text("/member_id");
        if group == "l-joining" {
            continue;
        }
        let given = sync(group, &member, 1, &[(&member, b"\x01")]);
        play.ask(&format!("{group} shares"), SYNC_GROUP, 3, given);
        if group == "l-empty" {
            play.ask("l-empty leaves", LEAVE_GROUP, 3, leave(3, group, &[(&member, "")]));
        }
    }
    play.each("good", LIST_GROUPS, all(LIST_GROUPS), |_| none.clone());
    let states: &[&[&str]] = &[
        &["Stable"],
        &["stable", "EMPTY"],
        &["CompletingRebalance"],
        &["PreparingRebalance"],
        &["Dead"],
        &["nonsense"],
        &[""],
    ];
    for states in states {
        let request =
            none.clone().with_states_filter(states.iter().map(|state| text(state)).collect());
        play.each(&format!("in state {states:?}"), LIST_GROUPS, [4, 5], |_| request.clone());
    }
    for types in [&["classic"][..], &["Classic"], &["consumer"], &["share"], &["nonsense"], &[""]] {
        let request = none.clone().with_types_filter(types.iter().map(|kind| text(kind)).collect());
        play.ask(&format!("of type {types:?}"), LIST_GROUPS, 5, request);
    }
    let groups = ["l-live", "l-empty", "l-typed", "l-joining", "l-only", "l-none"];
    play.each("each of them", DESCRIBE_GROUPS, all(DESCRIBE_GROUPS), |_| describe(&groups));
    play.each("none", DESCRIBE_GROUPS, [0, 5], |_| describe(&[]));
    play.each("no group", DESCRIBE_GROUPS, [0, 5], |_| describe(&[""]));
    play.ask("a group twice", DESCRIBE_GROUPS, 5, describe(&["l-live", "l-live"]));
    play.each("with operations", DESCRIBE_GROUPS, [3, 5], |_| {
        describe(&["l-live", "l-none"]).with_include_authorized_operations(true)
    });
    play.each("none", DELETE_GROUPS, [0, 2], |_| delete_groups(&[]));
    play.each("no group", DELETE_GROUPS, [0, 2], |_| delete_groups(&[""]));
    play.each("unknown", DELETE_GROUPS, all(DELETE_GROUPS), |_| delete_groups(&["l-none"]));
    play.each("live", DELETE_GROUPS, all(DELETE_GROUPS), |_| {
        delete_groups(&["l-live", "l-joining"])
    });
    play.ask("good", DELETE_GROUPS, 0, delete_groups(&["l-empty"]));
    play.ask("good", DELETE_GROUPS, 1, delete_groups(&["l-empty", "l-only"]));
    play.quietly(OFFSET_COMMIT, 7, commit("l-only", "", -1, ("listed-by-groups", 0, 1)));
    play.ask("good, twice", DELETE_GROUPS, 2, delete_groups(&["l-only", "l-only"]));
    play.ask("good and live", DELETE_GROUPS, 2, delete_groups(&["l-live", "l-none"]));
    play.ask("what is left", LIST_GROUPS, 5, none);
}

pub fn coordinators(play: &mut Play) {
    let find = |v: i16, keys: &[&str], kind: i8| {
        let request = FindCoordinatorRequest::default();
        let request = if v >= 4 {
            request.with_coordinator_keys(keys.iter().map(|key| text(key)).collect())
        } else {
            request.with_key(text(keys[0]))
        };
        if v >= 1 { request.with_key_type(kind) } else { request }
    };
    let api = FIND_COORDINATOR;
    play.each("good", api, all(api), |v| find(v, &["a group"], 0));
    play.each("no name", api, all(api), |v| find(v, &[""], 0));
    play.each("three", api, 4..=6, |v| find(v, &["a", "b", "a"], 0));
    play.each("none", api, 4..=6, |v| find(v, &[], 0));
    for kind in [2, 3, -1, 99] {
        play.each(&format!("of kind {kind}"), api, [1, 2, 3, 4, 5, 6], |v| find(v, &["x"], kind));
    }
    // Kafka makes a topic for transactions first.
    let is_there = |answer: &super::super::play::Answer| answer.code() == 0;
    play.until("of a transaction", api, 2, || find(2, &["t"], 1), is_there);
    play.each("of a transaction too", api, [1, 3, 4, 6], |v| find(v, &["t"], 1));
}
