//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup, DescribeGroups, DeleteGroups.

use bytes::Bytes;
use serde_json::{Value, json};
use wire::consumer::{Assignment, Subscription, TopicPartitions};
use wire::kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use wire::kafka_protocol::messages::describe_groups_response::{
    DescribedGroup, DescribedGroupMember,
};
use wire::kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use wire::kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use wire::kafka_protocol::messages::leave_group_request::MemberIdentity;
use wire::kafka_protocol::messages::leave_group_response::MemberResponse;
use wire::kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use wire::kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, RequestKind, ResponseKind, SyncGroupRequest, SyncGroupResponse,
};
use wire::versions::{
    DELETE_GROUPS, DESCRIBE_GROUPS, HEARTBEAT, JOIN_GROUP, LEAVE_GROUP, SYNC_GROUP,
};

use super::{TopicNames, ends, over_the_wire, plain, s, told, unanswered};

fn wanted() -> Bytes {
    let owned = vec![TopicPartitions { topic: "t".to_owned(), partitions: vec![1, 2] }];
    Subscription { topics: vec!["t".to_owned()], owned, generation: 4, ..<_>::default() }.encode()
}

fn held() -> Bytes {
    let part = |partitions: &[i32]| TopicPartitions {
        topic: "t".to_owned(),
        partitions: partitions.into(),
    };
    Assignment { partitions: vec![part(&[0]), part(&[3])], ..<_>::default() }.encode()
}

fn join(version: i16, kind: &str) -> JoinGroupRequest {
    let protocol =
        JoinGroupRequestProtocol::default().with_name(s("range")).with_metadata(wanted());
    let request = JoinGroupRequest::default()
        .with_group_id(s("g").into())
        .with_session_timeout_ms(6_000)
        .with_protocol_type(s(kind))
        .with_protocols(vec![protocol]);
    let request = if version >= 1 { request.with_rebalance_timeout_ms(9_000) } else { request };
    if version >= 5 { request.with_group_instance_id(Some(s("seat"))) } else { request }
}

#[test]
fn a_join_tells_what_members_want() {
    let names = &mut TopicNames::default();
    for version in ends(JOIN_GROUP) {
        let member =
            JoinGroupResponseMember::default().with_member_id(s("m")).with_metadata(wanted());
        let reply = JoinGroupResponse::default()
            .with_generation_id(5)
            .with_protocol_name(Some(s("range")))
            .with_leader(s("m"))
            .with_member_id(s("m"))
            .with_members(vec![member]);
        let said = json!({ "topics": ["t"], "owned": { "t": [1, 2] }, "generation": 4 });
        let with = |field: &str, value: &str| {
            let mut said = said.clone();
            said[field] = json!(value);
            said
        };
        let mut args = json!({ "group": "g", "protocols": [with("name", "range")],
            "session_timeout_ms": 6_000, "rebalance_timeout_ms": 6_000 });
        if version >= 5 {
            args["instance_id"] = json!("seat");
            args["rebalance_timeout_ms"] = json!(9_000);
        }
        let request = RequestKind::JoinGroup(join(version, "consumer"));
        let at = (JOIN_GROUP, version);
        let found = told(names, at, request.clone(), ResponseKind::JoinGroup(reply));
        assert_eq!(
            plain(&found),
            [json!(["join_group", args, { "member_id": "m", "generation": 5, "protocol": "range",
                "leader": "m", "members": [with("member_id", "m")] }])]
        );
        let request = over_the_wire(JOIN_GROUP, version, &request);
        assert_eq!(unanswered(names, &request), [json!(["join_group", args])]);
    }
}

#[test]
fn a_join_is_refused_and_others_words_are_not_read() {
    let reply = JoinGroupResponse::default().with_error_code(79).with_member_id(s("m"));
    let request = RequestKind::JoinGroup(join(9, "connect"));
    let reply = ResponseKind::JoinGroup(reply);
    let found = told(&mut TopicNames::default(), (JOIN_GROUP, 9), request, reply);
    assert_eq!(found[0].args["protocols"], json!([{ "name": "range" }]));
    assert_eq!(plain(&found)[0][2], json!([22, "MEMBER_ID_REQUIRED"]));
}

fn sync(version: i16, kind: &str) -> SyncGroupRequest {
    let given =
        SyncGroupRequestAssignment::default().with_member_id(s("m")).with_assignment(held());
    let request = SyncGroupRequest::default()
        .with_group_id(s("g").into())
        .with_generation_id(5)
        .with_member_id(s("m"))
        .with_assignments(vec![given]);
    match version {
        5.. => request.with_protocol_type(Some(s(kind))).with_protocol_name(Some(s("range"))),
        _ => request,
    }
}

#[test]
fn a_sync_tells_assignments() {
    let names = &mut TopicNames::default();
    for version in ends(SYNC_GROUP) {
        let at = (SYNC_GROUP, version);
        let request = RequestKind::SyncGroup(sync(version, "consumer"));
        let reply = SyncGroupResponse::default().with_assignment(held());
        let found = told(names, at, request.clone(), ResponseKind::SyncGroup(reply));
        let assignment = json!({ "t": [0, 3] });
        let args = json!({ "group": "g", "member_id": "m", "generation": 5,
            "assignments": { "m": assignment } });
        let expected = json!(["sync_group", args, { "assignment": assignment }]);
        assert_eq!(plain(&found), [expected]);
        let refused = SyncGroupResponse::default().with_error_code(27);
        let found = told(names, at, request, ResponseKind::SyncGroup(refused));
        assert_eq!(plain(&found)[0][2], json!([0, "REBALANCE_IN_PROGRESS"]));
    }
}

#[test]
fn a_sync_of_another_type_tells_none() {
    let reply = || SyncGroupResponse::default().with_assignment(Bytes::from_static(b"\0\x01\xff"));
    let names = &mut TopicNames::default();
    for (version, kind, assignments) in
        [(5, "connect", Value::Null), (0, "", json!({ "m": { "t": [0, 3] } }))]
    {
        let request = RequestKind::SyncGroup(sync(version, kind));
        let found = told(names, (SYNC_GROUP, version), request, ResponseKind::SyncGroup(reply()));
        assert_eq!(found[0].args["assignments"], assignments);
        assert_eq!(plain(&found)[0][2], json!({}));
    }
    let nothing = ResponseKind::SyncGroup(SyncGroupResponse::default());
    let found = told(names, (SYNC_GROUP, 0), RequestKind::SyncGroup(sync(0, "")), nothing);
    assert_eq!(plain(&found)[0][2], json!({ "assignment": {} }));
}

#[test]
fn a_heartbeat_names_its_member() {
    for version in ends(HEARTBEAT) {
        let seat = (version >= 3).then(|| s("seat"));
        let request = HeartbeatRequest::default()
            .with_group_id(s("g").into())
            .with_generation_id(5)
            .with_member_id(s("m"))
            .with_group_instance_id(seat.clone());
        let reply = HeartbeatResponse::default().with_error_code(27);
        let found = told(
            &mut TopicNames::default(),
            (HEARTBEAT, version),
            RequestKind::Heartbeat(request),
            ResponseKind::Heartbeat(reply),
        );
        let mut args = json!({ "group": "g", "member_id": "m", "generation": 5 });
        if seat.is_some() {
            args["instance_id"] = json!("seat");
        }
        assert_eq!(plain(&found), [json!(["heartbeat", args, [22, "REBALANCE_IN_PROGRESS"]])]);
    }
}

#[test]
fn each_member_of_a_leave_is_one() {
    let names = &mut TopicNames::default();
    let alone = LeaveGroupRequest::default().with_group_id(s("g").into()).with_member_id(s("m"));
    let reply = ResponseKind::LeaveGroup(LeaveGroupResponse::default().with_error_code(25));
    let found = told(names, (LEAVE_GROUP, 0), RequestKind::LeaveGroup(alone), reply);
    let args = json!({ "group": "g", "member_id": "m" });
    assert_eq!(plain(&found), [json!(["leave_group", args, [22, "UNKNOWN_MEMBER_ID"]])]);

    let a = MemberIdentity::default().with_member_id(s("m"));
    let b = MemberIdentity::default().with_group_instance_id(Some(s("seat")));
    let both = LeaveGroupRequest::default().with_group_id(s("g").into()).with_members(vec![a, b]);
    let both = RequestKind::LeaveGroup(both);
    let of_a = MemberResponse::default().with_member_id(s("m"));
    let of_b = MemberResponse::default()
        .with_member_id(s("m2"))
        .with_group_instance_id(Some(s("seat")))
        .with_error_code(25);
    let reply = LeaveGroupResponse::default().with_members(vec![of_b, of_a]);
    let found = told(names, (LEAVE_GROUP, 5), both.clone(), ResponseKind::LeaveGroup(reply));
    let seat = json!({ "group": "g", "instance_id": "seat" });
    assert_eq!(
        plain(&found),
        [json!(["leave_group", args, {}]), json!(["leave_group", seat, [22, "UNKNOWN_MEMBER_ID"]]),]
    );
    let refused = ResponseKind::LeaveGroup(LeaveGroupResponse::default().with_error_code(15));
    let found = told(names, (LEAVE_GROUP, 5), both, refused);
    let answers: Vec<_> = plain(&found).into_iter().map(|told| told[2].clone()).collect();
    assert_eq!(answers, vec![json!([0, "COORDINATOR_NOT_AVAILABLE"]); 2]);
}

#[test]
fn each_group_of_a_describe_is_one() {
    let names = &mut TopicNames::default();
    for version in ends(DESCRIBE_GROUPS) {
        let member = DescribedGroupMember::default()
            .with_member_id(s("m"))
            .with_member_metadata(wanted())
            .with_member_assignment(held());
        let group = |name: &str, state: &str| {
            DescribedGroup::default()
                .with_group_id(s(name).into())
                .with_group_state(s(state))
                .with_protocol_type(s("consumer"))
                .with_members(vec![member.clone()])
        };
        let refused = DescribedGroup::default().with_group_id(s("c").into()).with_error_code(16);
        let request = DescribeGroupsRequest::default().with_groups(vec![
            s("a").into(),
            s("b").into(),
            s("c").into(),
        ]);
        let all = vec![group("b", "PreparingRebalance"), group("a", "Stable"), refused];
        let found = told(
            names,
            (DESCRIBE_GROUPS, version),
            RequestKind::DescribeGroups(request),
            ResponseKind::DescribeGroups(DescribeGroupsResponse::default().with_groups(all)),
        );
        assert_eq!(
            plain(&found),
            [
                json!(["describe_group", { "group": "a" }, { "state": "Stable", "members": [
                    { "member_id": "m", "topics": ["t"], "assignment": { "t": [0, 3] } }] }]),
                json!(["describe_group", { "group": "b" },
                    { "state": "PreparingRebalance", "members": [{ "member_id": "m" }] }]),
                json!(["describe_group", { "group": "c" }, [11, "NOT_COORDINATOR"]]),
            ]
        );
    }
}

#[test]
fn each_group_of_a_delete_is_one() {
    let answer = |name: &str, code| {
        DeletableGroupResult::default().with_group_id(s(name).into()).with_error_code(code)
    };
    for version in ends(DELETE_GROUPS) {
        let request =
            DeleteGroupsRequest::default().with_groups_names(vec![s("a").into(), s("b").into()]);
        let reply =
            DeleteGroupsResponse::default().with_results(vec![answer("b", 68), answer("a", 0)]);
        let found = told(
            &mut TopicNames::default(),
            (DELETE_GROUPS, version),
            RequestKind::DeleteGroups(request),
            ResponseKind::DeleteGroups(reply),
        );
        assert_eq!(
            plain(&found),
            [
                json!(["delete_group", { "group": "a" }, {}]),
                json!(["delete_group", { "group": "b" }, [22, "NON_EMPTY_GROUP"]]),
            ]
        );
    }
}
