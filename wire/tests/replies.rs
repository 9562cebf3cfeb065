//! The frames of replies, and the lengths of frames.

use bytes::Bytes;
use wire::errors::UNSUPPORTED_VERSION;
use wire::frame::{BadLength, EncodeError, MAX_FRAME, encode, frame_len, reply};
use wire::kafka_protocol::messages::api_versions_response::ApiVersion;
use wire::kafka_protocol::messages::{ApiKey, ApiVersionsResponse, HeartbeatResponse};
use wire::kafka_protocol::messages::{MetadataResponse, ResponseKind};
use wire::versions::{ALL, API_VERSIONS, HEARTBEAT, METADATA};

/// A default reply to every request that is understood.
fn replies() -> Vec<(i16, ResponseKind)> {
    macro_rules! replies {
        ($($name:ident),* $(,)?) => {
            vec![$((
                ApiKey::$name as i16,
                ResponseKind::$name(Default::default()),
            )),*]
        };
    }
    replies![
        Produce,
        Fetch,
        ListOffsets,
        Metadata,
        OffsetCommit,
        OffsetFetch,
        FindCoordinator,
        JoinGroup,
        Heartbeat,
        LeaveGroup,
        SyncGroup,
        DescribeGroups,
        ListGroups,
        ApiVersions,
        CreateTopics,
        DeleteTopics,
        DeleteRecords,
        InitProducerId,
        OffsetForLeaderEpoch,
        DescribeAcls,
        DescribeConfigs,
        AlterConfigs,
        DescribeLogDirs,
        CreatePartitions,
        DeleteGroups,
        IncrementalAlterConfigs,
        ListPartitionReassignments,
        OffsetDelete,
        DescribeCluster,
    ]
}

#[test]
fn every_reply_in_every_version_comes_back() {
    let replies = replies();
    assert_eq!(replies.iter().map(|(key, _)| *key).collect::<Vec<_>>(), keys());
    for (key, body) in replies {
        let api = wire::versions::find(key).expect("in the table");
        for version in (api.min..=api.max).filter(|version| api.serves(*version)) {
            let frame = encode(key, version, -5, &body).expect("a reply of defaults");
            let (length, frame) = frame.split_first_chunk::<4>().expect("a length");
            assert_eq!(i32::from_be_bytes(*length) as usize, frame.len(), "{} {version}", api.name);
            let back = reply(key, version, Bytes::copy_from_slice(frame)).expect("decodes");
            assert_eq!(back.0, -5);
            let again = encode(key, version, -5, &back.1).expect("it was decoded");
            assert_eq!(again[4..], *frame, "{} {version}", api.name);
        }
    }
}

fn keys() -> Vec<i16> {
    ALL.iter().map(|api| api.key).collect()
}

#[test]
fn api_versions_has_the_old_header_in_every_version() {
    let entry = ApiVersion::default().with_api_key(18).with_min_version(0).with_max_version(4);
    let body = ApiVersionsResponse::default()
        .with_error_code(UNSUPPORTED_VERSION)
        .with_api_keys(vec![entry]);
    let body = ResponseKind::ApiVersions(body);
    let old = encode(API_VERSIONS, 0, 7, &body).expect("encodes");
    let expected = [0, 0, 0, 16, 0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4];
    assert_eq!(old[..], expected);
    let new = encode(API_VERSIONS, 3, 7, &body).expect("encodes");
    let expected = [0, 0, 0, 19, 0, 0, 0, 7, 0, 35, 2, 0, 18, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0];
    assert_eq!(new[..], expected);
}

#[test]
fn newer_replies_have_tags_in_the_header() {
    let body = ResponseKind::Heartbeat(HeartbeatResponse::default().with_error_code(27));
    let old = encode(HEARTBEAT, 3, 1, &body).expect("encodes");
    assert_eq!(old[..], [0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 27]);
    let new = encode(HEARTBEAT, 4, 1, &body).expect("encodes");
    assert_eq!(new[..], [0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 27, 0]);
}

#[test]
fn what_cannot_be_said_is_an_error() {
    let heartbeat = ResponseKind::Heartbeat(HeartbeatResponse::default());
    let unknown = EncodeError::Unknown { key: HEARTBEAT, version: 5 };
    assert_eq!(encode(HEARTBEAT, 5, 1, &heartbeat), Err(unknown));
    let wrong = EncodeError::WrongBody { key: METADATA, body: Some(HEARTBEAT) };
    assert_eq!(encode(METADATA, 5, 1, &heartbeat), Err(wrong));
    let operations = MetadataResponse::default().with_cluster_authorized_operations(1);
    let unsaid = encode(METADATA, 1, 1, &ResponseKind::Metadata(operations));
    let expected = "the reply to request 3 cannot be said in version 1: ";
    let text = unsaid.expect_err("version 1 has no operations").to_string();
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn lengths_that_are_none_say_what_they_look_like() {
    let len = |bytes| frame_len(bytes, MAX_FRAME);
    assert_eq!(len([0, 0, 0, 8]), Ok(8));
    assert_eq!(len([6, 64, 0, 0]), Ok(MAX_FRAME));
    assert_eq!(
        len([6, 64, 0, 1]),
        Err(BadLength::TooLong { length: MAX_FRAME + 1, limit: MAX_FRAME })
    );
    assert_eq!(len([0, 0, 0, 0]), Err(BadLength::TooShort(0)));
    assert_eq!(len([0, 0, 0, 7]), Err(BadLength::TooShort(7)));
    assert_eq!(len([0xff; 4]), Err(BadLength::Negative(-1)));
    assert_eq!(len([0x16, 3, 1, 2]), Err(BadLength::Tls));
    for method in [b"GET ", b"POST", b"PUT ", b"HEAD", b"PRI "] {
        assert_eq!(len(*method), Err(BadLength::Http));
    }
    assert_eq!(frame_len(*b"GET ", usize::MAX), Ok(1_195_725_856));
}
