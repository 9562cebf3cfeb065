//! Every request in every version: there and back, and against kafka-protocol's own encoder.

use bytes::{Bytes, BytesMut};
use proptest::prelude::{any, prop, proptest};
use wire::frame::{Head, HeadError, decode, head, max_frame, request};
use wire::kafka_protocol::messages::{ApiKey, RequestKind};
use wire::versions::{self, ALL, Api};
use wire::{Malformed, samples};

/// Every request that is understood, in every version.
fn all() -> impl Iterator<Item = (&'static Api, i16)> {
    let versions = |api: &'static Api| (api.min..=api.max).map(move |version| (api, version));
    ALL.iter().flat_map(versions).filter(|(api, version)| api.serves(*version))
}

fn head_of(key: i16, version: i16, body: &[u8]) -> Head {
    let body = Bytes::copy_from_slice(body);
    Head { key, version, correlation_id: 0, client_id: None, body }
}

fn api_key(key: i16) -> ApiKey {
    ApiKey::try_from(key).expect("kafka-protocol knows every key of the table")
}

#[test]
fn the_table_agrees_with_kafka_protocol_on_headers() {
    for (api, version) in all() {
        let expected = api_key(api.key).request_header_version(version) == 2;
        assert_eq!(
            samples::is_flexible(api.key, version),
            Some(expected),
            "{} {version}",
            api.name
        );
        assert_eq!(format!("{:?}", api_key(api.key)), api.name);
    }
}

#[test]
fn bodies_made_from_the_table_are_what_kafka_protocol_writes() {
    for (api, version) in all() {
        for seed in 0..200 {
            let elements = (seed % 4) as u32;
            let sample = samples::body(api.key, version, elements, seed).expect("in the table");
            let mut with_more = sample.bytes.clone();
            with_more.extend_from_slice(b"what follows is ignored");
            let context = format!("{} version {version} seed {seed}", api.name);
            let body = decode(head_of(api.key, version, &with_more))
                .unwrap_or_else(|error| panic!("{context}: {error}"));
            let mut written = BytesMut::new();
            body.encode(&mut written, version).expect("it was decoded in this version");
            assert_eq!(written, sample.bytes, "{context}: {body:?}");
        }
    }
}

#[test]
fn a_request_comes_back_from_its_frame() {
    for (api, version) in all() {
        for client_id in [None, Some(""), Some("rdkafka")] {
            let sample = samples::body(api.key, version, 2, 0).expect("in the table");
            let body = decode(head_of(api.key, version, &sample.bytes)).expect("well-formed");
            let frame = request(api.key, version, -7, client_id, &body).expect("encodes");
            let first_four = *frame.first_chunk().expect("a length");
            let length = wire::frame::frame_len(first_four, max_frame(api.key));
            assert_eq!(length, Ok(frame.len() - 4));
            let head = head(frame.slice(4..)).expect("a header");
            assert_eq!((head.key, head.version, head.correlation_id), (api.key, version, -7));
            assert_eq!(head.client_id.as_deref(), client_id);
            assert_eq!(decode(head), Ok(body), "{} {version}", api.name);
        }
    }
}

#[test]
fn a_default_request_comes_back() {
    for (api, version) in all() {
        let sample = samples::body(api.key, version, 0, 0).expect("in the table");
        let mut bytes = Bytes::from(sample.bytes.clone());
        let direct = RequestKind::decode(api_key(api.key), &mut bytes, version);
        let walked = decode(head_of(api.key, version, &sample.bytes));
        assert_eq!(walked, Ok(direct.expect("well-formed")), "{} {version}", api.name);
    }
}

#[test]
fn every_cut_of_every_body_is_refused() {
    for (api, version) in all() {
        let sample = samples::body(api.key, version, 1, 0).expect("in the table");
        for end in 0..sample.bytes.len() {
            let cut = decode(head_of(api.key, version, &sample.bytes[..end]));
            assert!(cut.is_err(), "{} {version} cut at {end}: {cut:?}", api.name);
        }
    }
}

#[test]
fn every_cut_of_every_header_is_refused() {
    for (api, version) in all() {
        let sample = samples::body(api.key, version, 0, 0).expect("in the table");
        let body = decode(head_of(api.key, version, &sample.bytes)).expect("well-formed");
        let frame = request(api.key, version, 1, Some("me"), &body).expect("encodes").slice(4..);
        let header = frame.len() - head(frame.clone()).expect("a header").body.len();
        for end in 0..header {
            let cut = head(frame.slice(..end));
            assert!(matches!(cut, Err(HeadError::Malformed(_))), "{} {version}: {cut:?}", api.name);
        }
    }
}

#[test]
fn what_is_not_understood_is_told_apart() {
    let frame = |key: i16, version: i16| {
        let mut frame = [key.to_be_bytes(), version.to_be_bytes()].concat();
        frame.extend_from_slice(&[0, 0, 0, 5]);
        frame.extend_from_slice(&[0xff, 0xff, 0]);
        head(Bytes::from(frame))
    };
    let unknown = |key, version| Err(HeadError::Unknown { key, version, correlation_id: 5 });
    for (key, version) in [(999, 0), (-1, 0), (3, 99), (3, -1), (0, 0), (0, 2), (0, 12), (1, 3)] {
        assert_eq!(frame(key, version), unknown(key, version));
    }
    for version in [-1, 5, 99, i16::MAX] {
        let expected = Err(HeadError::UnsupportedApiVersions { correlation_id: 5 });
        assert_eq!(frame(versions::API_VERSIONS, version), expected);
    }
    assert!(frame(versions::API_VERSIONS, 4).is_ok());
}

#[test]
fn a_body_longer_than_its_kind_may_be_is_refused() {
    let limit = max_frame(versions::HEARTBEAT);
    let refused = decode(head_of(versions::HEARTBEAT, 0, &vec![0; limit + 1]));
    let key = versions::HEARTBEAT;
    assert_eq!(refused, Err(Malformed::TooLong { key, length: limit + 1, limit }));
}

#[test]
fn known_tags_have_the_size_and_the_version_that_they_should() {
    // Fetch 12: cluster id is tag 0 and replica state, from version 15 on, tag 1.
    let sample = samples::body(versions::FETCH, 12, 0, 0).expect("in the table");
    let at = sample.bytes.len() - 1 - 5;
    let tags = |tags: &[u8]| {
        let fixed = 4 + 4 + 4 + 4 + 1 + 4 + 4 + 1 + 1;
        let rack = 1 + usize::from(sample.bytes[fixed] - 1);
        let body = [&sample.bytes[..fixed + rack], tags].concat();
        decode(head_of(versions::FETCH, 12, &body))
    };
    assert!(at > 0);
    assert!(tags(&[1, 0, 2, 2, b'x']).is_ok());
    let field = "cluster_id";
    let expected = Err(Malformed::TagSize { field, used: 2, size: 3 });
    assert_eq!(tags(&[1, 0, 3, 2, b'x', b'y']), expected);
    let expected = Err(Malformed::Short { field, needed: 2, left: 1 });
    assert_eq!(tags(&[1, 0, 2, 3, b'x', b'y']), expected);
    let expected = Err(Malformed::TagVersion { field: "replica_state", version: 12 });
    assert_eq!(tags(&[1, 1, 1, 0]), expected);
    let field = "tagged fields";
    let expected = Err(Malformed::Count { field, count: 127, least: 2, left: 2 });
    assert_eq!(tags(&[127, 0, 0]), expected);
}

#[test]
fn strings_are_utf8_and_only_nullable_fields_are_null() {
    let refused = decode(head_of(versions::FIND_COORDINATOR, 0, &[0, 2, b'x', 0xff]));
    assert_eq!(refused, Err(Malformed::Utf8 { field: "key", valid_up_to: 1 }));
    let refused = decode(head_of(versions::FIND_COORDINATOR, 0, &[0xff, 0xff]));
    assert_eq!(refused, Err(Malformed::Null { field: "key" }));
    let refused = decode(head_of(versions::FIND_COORDINATOR, 0, &[0xff, 0xfe]));
    assert_eq!(refused, Err(Malformed::Negative { field: "key", length: -2 }));
    let refused = decode(head_of(versions::METADATA, 0, &[0xff; 4]));
    assert_eq!(refused, Err(Malformed::Null { field: "topics" }));
    assert!(decode(head_of(versions::METADATA, 1, &[0xff; 4])).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_make_no_panic(
        at in any::<prop::sample::Index>(),
        body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let all: Vec<_> = all().collect();
        let (api, version) = *at.get(&all);
        let _ = decode(head_of(api.key, version, &body));
        let _ = head(Bytes::from(body));
    }

    #[test]
    fn changed_bytes_make_no_panic(
        at in any::<prop::sample::Index>(),
        seed in any::<u64>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let all: Vec<_> = all().collect();
        let (api, version) = *at.get(&all);
        let mut bytes = samples::body(api.key, version, 2, seed).expect("in the table").bytes;
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let _ = decode(head_of(api.key, version, &bytes));
    }

    #[test]
    fn any_header_makes_no_panic(
        at in any::<prop::sample::Index>(),
        rest in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let all: Vec<_> = all().collect();
        let (api, version) = *at.get(&all);
        let mut frame = [api.key.to_be_bytes(), version.to_be_bytes()].concat();
        frame.extend_from_slice(&rest);
        if let Ok(head) = head(Bytes::from(frame)) {
            let _ = decode(head);
        }
    }
}
