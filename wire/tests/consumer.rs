//! The consumer protocol: there and back, and against kafka-protocol's own types.

use bytes::{Bytes, BytesMut};
use proptest::prelude::{any, prop, proptest};
use wire::Malformed;
use wire::consumer::{Assignment, Subscription, TopicPartitions};
use wire::kafka_protocol::messages::consumer_protocol_subscription::TopicPartition;
use wire::kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use wire::kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

fn full(version: i16) -> Subscription {
    let owned = vec![TopicPartitions { topic: "a".to_owned(), partitions: vec![0, 7, i32::MAX] }];
    Subscription {
        version,
        topics: vec!["a".to_owned(), "größer".to_owned()],
        user_data: Some(Bytes::from_static(b"\0\xff")),
        owned: if version >= 1 { owned } else { Vec::new() },
        generation: if version >= 2 { 12 } else { -1 },
        rack: (version >= 3).then(|| "r1".to_owned()),
    }
}

#[test]
fn subscriptions_come_back_and_are_kafkas() {
    for version in 0..=3 {
        let ours = full(version);
        let bytes = ours.encode();
        assert_eq!(Subscription::parse(&bytes), Ok(ours.clone()));
        let mut theirs = BytesMut::from(&version.to_be_bytes()[..]);
        ConsumerProtocolSubscription::default()
            .with_topics(ours.topics.iter().cloned().map(StrBytes::from_string).collect())
            .with_user_data(ours.user_data.clone())
            .with_owned_partitions(
                ours.owned
                    .iter()
                    .map(|owned| {
                        TopicPartition::default()
                            .with_topic(StrBytes::from_string(owned.topic.clone()).into())
                            .with_partitions(owned.partitions.clone())
                    })
                    .collect(),
            )
            .with_generation_id(ours.generation)
            .with_rack_id(ours.rack.clone().map(StrBytes::from_string))
            .encode(&mut theirs, version)
            .expect("encodes");
        assert_eq!(bytes, theirs, "version {version}");
    }
}

#[test]
fn assignments_come_back_and_are_kafkas() {
    for version in 0..=3 {
        let partitions = full(3).owned;
        let user_data = (version % 2 == 0).then(|| Bytes::from_static(b"x"));
        let ours = Assignment { version, partitions, user_data };
        let bytes = ours.encode();
        assert_eq!(Assignment::parse(&bytes), Ok(ours.clone()));
        let mut body = bytes.slice(2..);
        let theirs = ConsumerProtocolAssignment::decode(&mut body, version).expect("decodes");
        assert_eq!(theirs.assigned_partitions[0].partitions, ours.partitions[0].partitions);
        assert_eq!(theirs.user_data, ours.user_data);
    }
}

#[test]
fn newer_versions_are_read_as_the_newest_known() {
    let mut bytes = full(3).encode().to_vec();
    bytes[1] = 9;
    bytes.extend_from_slice(b"fields of the future");
    assert_eq!(Subscription::parse(&bytes), Ok(full(3)));
    bytes[0] = 0x80;
    let version = i16::MIN + 9;
    let negative = Malformed::Version { what: "subscription", version, least: 0, most: 3 };
    assert_eq!(Subscription::parse(&bytes), Err(negative));
}

#[test]
fn fields_that_a_client_left_out_have_their_defaults() {
    let mut bytes = full(0).encode().to_vec();
    bytes[1] = 2;
    assert_eq!(Subscription::parse(&bytes), Ok(Subscription { version: 2, ..full(0) }));
}

#[test]
fn cuts_and_lies_are_refused() {
    let bytes = full(3).encode();
    let whole = [full(0).encode().len(), full(1).encode().len(), full(2).encode().len()];
    for end in 0..bytes.len() {
        let cut = Subscription::parse(&bytes[..end]);
        assert_eq!(cut.is_ok(), whole.contains(&end), "cut at {end}: {cut:?}");
    }
    let count = Malformed::Count { field: "topics", count: 0x7fff_ffff, least: 2, left: 3 };
    let lie = [0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0];
    assert_eq!(Subscription::parse(&lie), Err(count));
    let lie = [0, 0, 0xff, 0xff, 0xff, 0xfe];
    let negative = Malformed::Negative { field: "topics", length: -2 };
    assert_eq!(Subscription::parse(&lie), Err(negative));
    assert!(Assignment::parse(&[]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_make_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = Subscription::parse(&bytes);
        let _ = Assignment::parse(&bytes);
    }

    #[test]
    fn changed_bytes_make_no_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = full(3).encode().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = Subscription::parse(&bytes);
        let _ = Assignment::parse(&bytes);
    }
}
