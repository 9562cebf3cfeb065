//! OffsetCommit, OffsetFetch, OffsetDelete.

use serde_json::json;
use wire::kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use wire::kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use wire::kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use wire::kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use wire::kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use wire::kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use wire::kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
    OffsetFetchRequest, OffsetFetchResponse, RequestKind, ResponseKind,
};
use wire::versions::{OFFSET_COMMIT, OFFSET_DELETE, OFFSET_FETCH};

use super::{TopicNames, ends, over_the_wire, plain, s, told, unanswered};

fn commit(member: &str, generation: i32, seat: bool) -> OffsetCommitRequest {
    let partition = |partition, offset, text: &str| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(s(text)))
    };
    let topic = OffsetCommitRequestTopic::default().with_name(s("t").into()).with_partitions(vec![
        partition(0, 5, "note"),
        partition(1, 6, ""),
        partition(2, 7, ""),
    ]);
    OffsetCommitRequest::default()
        .with_group_id(s("g").into())
        .with_member_id(s(member))
        .with_generation_id_or_member_epoch(generation)
        .with_group_instance_id(seat.then(|| s("seat")))
        .with_topics(vec![topic])
}

fn committed(codes: &[(i32, i16)]) -> ResponseKind {
    let partition = |(partition, code): &(i32, i16)| {
        OffsetCommitResponsePartition::default()
            .with_partition_index(*partition)
            .with_error_code(*code)
    };
    let topic = OffsetCommitResponseTopic::default()
        .with_name(s("t").into())
        .with_partitions(codes.iter().map(partition).collect());
    ResponseKind::OffsetCommit(OffsetCommitResponse::default().with_topics(vec![topic]))
}

#[test]
fn each_partition_of_a_commit_is_one() {
    let names = &mut TopicNames::default();
    for version in ends(OFFSET_COMMIT) {
        let seat = version >= 7;
        let request = RequestKind::OffsetCommit(commit("m", 3, seat));
        let reply = committed(&[(1, 22), (0, 0), (2, 16)]);
        let found = told(names, (OFFSET_COMMIT, version), request.clone(), reply);
        let args = |partition: i32, offset: i64, metadata: &str| {
            let mut args = json!({ "group": "g", "member_id": "m", "generation": 3, "topic": "t",
                "partition": partition, "offset": offset, "metadata": metadata });
            if seat {
                args["instance_id"] = json!("seat");
            }
            args
        };
        assert_eq!(
            plain(&found),
            [
                json!(["commit_offset", args(0, 5, "note"), {}]),
                json!(["commit_offset", args(1, 6, ""), [22, "ILLEGAL_GENERATION"]]),
                json!(["commit_offset", args(2, 7, ""), [0, "NOT_COORDINATOR"]]),
            ]
        );
        let request = over_the_wire(OFFSET_COMMIT, version, &request);
        assert_eq!(unanswered(names, &request)[1], json!(["commit_offset", args(1, 6, "")]));
    }
}

#[test]
fn a_commit_of_nobody_names_no_member() {
    let request = RequestKind::OffsetCommit(commit("", -1, false));
    let reply = committed(&[(0, 0), (1, 0), (2, 0)]);
    let found = told(&mut TopicNames::default(), (OFFSET_COMMIT, 8), request, reply);
    assert_eq!(
        plain(&found)[0],
        json!(["commit_offset",
            { "group": "g", "topic": "t", "partition": 0, "offset": 5, "metadata": "note" }, {}])
    );
}

/// Asks a group, in the shape of that version, for these partitions of `t` or for all.
fn fetch(version: i16, partitions: Option<Vec<i32>>) -> RequestKind {
    let request = if version >= 8 {
        let topic = |partitions| {
            OffsetFetchRequestTopics::default()
                .with_name(s("t").into())
                .with_partition_indexes(partitions)
        };
        OffsetFetchRequest::default().with_groups(vec![
            OffsetFetchRequestGroup::default()
                .with_group_id(s("g").into())
                .with_topics(partitions.map(|partitions| vec![topic(partitions)])),
        ])
    } else {
        let topic = |partitions| {
            OffsetFetchRequestTopic::default()
                .with_name(s("t").into())
                .with_partition_indexes(partitions)
        };
        OffsetFetchRequest::default()
            .with_group_id(s("g").into())
            .with_topics(partitions.map(|partitions| vec![topic(partitions)]))
    };
    RequestKind::OffsetFetch(request)
}

fn fetched(version: i16, code: i16, told: &[(i32, i64, i16)]) -> ResponseKind {
    let reply = if version >= 8 {
        let partition = |(partition, offset, code): &(i32, i64, i16)| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
                .with_error_code(*code)
        };
        let topic = OffsetFetchResponseTopics::default()
            .with_name(s("t").into())
            .with_partitions(told.iter().map(partition).collect());
        OffsetFetchResponse::default().with_groups(vec![
            OffsetFetchResponseGroup::default()
                .with_group_id(s("g").into())
                .with_error_code(code)
                .with_topics(vec![topic]),
        ])
    } else {
        let partition = |(partition, offset, code): &(i32, i64, i16)| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
                .with_error_code(*code)
        };
        let topic = OffsetFetchResponseTopic::default()
            .with_name(s("t").into())
            .with_partitions(told.iter().map(partition).collect());
        OffsetFetchResponse::default().with_error_code(code).with_topics(vec![topic])
    };
    ResponseKind::OffsetFetch(reply)
}

#[test]
fn each_partition_of_an_offset_fetch_is_one_in_both_shapes() {
    let args = |partition: i32| json!({ "group": "g", "topic": "t", "partition": partition });
    let names = &mut TopicNames::default();
    for version in ends(OFFSET_FETCH).into_iter().chain([7, 8]) {
        let at = (OFFSET_FETCH, version);
        let told_of = [(1, -1, 0), (0, 8, 0), (2, -1, 3)];
        let all = fetch(version, Some(vec![0, 1, 2]));
        let found = told(names, at, all.clone(), fetched(version, 0, &told_of));
        assert_eq!(
            plain(&found),
            [
                json!(["fetch_offset", args(0), { "offset": 8 }]),
                json!(["fetch_offset", args(1), { "offset": null }]),
                json!(["fetch_offset", args(2), [20, "UNKNOWN_TOPIC_OR_PARTITION"]]),
            ],
            "version {version}"
        );
        let request = over_the_wire(OFFSET_FETCH, version, &all);
        assert_eq!(unanswered(names, &request)[1], json!(["fetch_offset", args(1)]));
        if version >= 2 {
            let found = told(names, at, fetch(version, None), fetched(version, 0, &told_of[..2]));
            assert_eq!(
                plain(&found),
                [
                    json!(["fetch_offset", args(0), { "offset": 8 }]),
                    json!(["fetch_offset", args(1), { "offset": null }]),
                ]
            );
            assert!(unanswered(names, &fetch(version, None)).is_empty());
            let refused = fetched(version, 16, &[]);
            let found = told(names, at, fetch(version, Some(vec![0])), refused);
            let expected = json!(["fetch_offset", args(0), [11, "NOT_COORDINATOR"]]);
            assert_eq!(plain(&found), [expected]);
        }
    }
}

#[test]
fn partitions_whose_deletion_ended_alike_are_one() {
    let partition =
        |partition| OffsetDeleteRequestPartition::default().with_partition_index(partition);
    let topic = OffsetDeleteRequestTopic::default().with_name(s("t").into()).with_partitions(vec![
        partition(0),
        partition(1),
        partition(2),
    ]);
    let request = RequestKind::OffsetDelete(
        OffsetDeleteRequest::default().with_group_id(s("g").into()).with_topics(vec![topic]),
    );
    let answer = |partition, code| {
        OffsetDeleteResponsePartition::default()
            .with_partition_index(partition)
            .with_error_code(code)
    };
    let topic = OffsetDeleteResponseTopic::default()
        .with_name(s("t").into())
        .with_partitions(vec![answer(0, 0), answer(1, 86), answer(2, 0)]);
    let reply = OffsetDeleteResponse::default().with_topics(vec![topic]);
    let names = &mut TopicNames::default();
    let args = |partitions: &[i32]| json!({ "group": "g", "topic": "t", "partitions": partitions });
    let at = (OFFSET_DELETE, 0);
    let found = told(names, at, request.clone(), ResponseKind::OffsetDelete(reply));
    assert_eq!(
        plain(&found),
        [
            json!(["delete_offsets", args(&[0, 2]), {}]),
            json!(["delete_offsets", args(&[1]), [22, "GROUP_SUBSCRIBED_TO_TOPIC"]]),
        ]
    );
    let refused = OffsetDeleteResponse::default().with_error_code(69);
    let found = told(names, at, request.clone(), ResponseKind::OffsetDelete(refused));
    let expected = json!(["delete_offsets", args(&[0, 1, 2]), [20, "GROUP_ID_NOT_FOUND"]]);
    assert_eq!(plain(&found), [expected]);
    assert_eq!(unanswered(names, &request), [json!(["delete_offsets", args(&[0, 1, 2])])]);
}
