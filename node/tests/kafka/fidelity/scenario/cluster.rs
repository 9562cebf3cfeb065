//! ApiVersions, DescribeCluster, DescribeLogDirs, DescribeAcls, ListPartitionReassignments, and
//! requests that are none.

use wire::kafka_protocol::messages::api_versions_request::ApiVersionsRequest;
use wire::kafka_protocol::messages::describe_acls_request::DescribeAclsRequest;
use wire::kafka_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use wire::kafka_protocol::messages::describe_log_dirs_request::{
    DescribableLogDirTopic, DescribeLogDirsRequest,
};
use wire::kafka_protocol::messages::list_partition_reassignments_request::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};
use wire::versions::{
    API_VERSIONS, DESCRIBE_ACLS, DESCRIBE_CLUSTER, DESCRIBE_LOG_DIRS, FETCH, HEARTBEAT,
    LIST_PARTITION_REASSIGNMENTS, METADATA, PRODUCE,
};

use super::super::play::{Header, Play};
use super::requests::{all, batch, coordinated, make, metadata, produce, text};

fn client(name: &str, version: &str) -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(text(name))
        .with_client_software_version(text(version))
}

pub fn versions(play: &mut Play) {
    play.each("good", API_VERSIONS, 0..=2, |_| ApiVersionsRequest::default());
    play.each("good", API_VERSIONS, 3..=4, |_| client("fidelity", "1.0"));
    let bad =
        [("", "1"), ("a", ""), ("a b", "1"), ("-a", "1"), ("a-", "1"), ("a", "1."), ("é", "1")];
    for (name, version) in bad {
        let what = format!("of `{name}` `{version}`");
        play.each(&what, API_VERSIONS, 3..=4, |_| client(name, version));
    }
    for name in ["a", "a.b-c", "9"] {
        play.ask(&format!("of `{name}`"), API_VERSIONS, 3, client(name, "1"));
    }
    for version in [99, i16::MAX] {
        play.raw("a later one", API_VERSIONS, version, Header::Flexible, &[2, b'a', 2, b'1', 0]);
    }
    play.raw("a negative one", API_VERSIONS, -1, Header::Old, &[]);
}

pub fn no_requests(play: &mut Play) {
    coordinated(play, &["g"]);
    let old = Header::Old;
    for api in [-1, 4, 5, 6, 7, 89, 999, i16::MAX] {
        play.raw(&format!("unknown {api}"), api, 0, old, &[]);
    }
    for (api, version) in [(METADATA, 99), (METADATA, -1), (FETCH, 3), (HEARTBEAT, 5)] {
        play.raw("of another version", api, version, old, &[0; 8]);
    }
    play.raw("no body", METADATA, 1, old, &[]);
    play.raw("half a body", HEARTBEAT, 0, old, &[0, 1, b'g', 0, 0]);
    play.raw("an array longer than the frame", METADATA, 1, old, &[0, 0, 0, 9, 0, 1, b'x']);
    play.raw("an array of 2^31 - 1", METADATA, 1, old, &[0x7f, 0xff, 0xff, 0xff]);
    play.raw("an array of -2", METADATA, 1, old, &[0xff, 0xff, 0xff, 0xfe]);
    play.raw("a string longer than the frame", HEARTBEAT, 0, old, &[0x7f, 0xff, b'g']);
    play.raw("a string of -2", HEARTBEAT, 0, old, &[0xff, 0xfe, 0, 0, 0, 0, 0, 0]);
    play.raw("no string where one has to be", HEARTBEAT, 0, old, &[0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    play.raw("bytes behind the body", HEARTBEAT, 1, old, &[0, 1, b'g', 0, 0, 0, 1, 0, 0, 9, 9, 9]);
    let flexible = Header::Flexible;
    play.raw("no tags", HEARTBEAT, 4, flexible, &[2, b'g', 0, 0, 0, 1, 1, 0]);
    play.raw(
        "a tag that nobody knows",
        HEARTBEAT,
        4,
        flexible,
        &[2, b'g', 0, 0, 0, 1, 1, 0, 1, 9, 1, 7],
    );
    play.raw("a tag that is cut", HEARTBEAT, 4, flexible, &[2, b'g', 0, 0, 0, 1, 1, 0, 1, 9, 9, 7]);
    play.raw("a varint of six bytes", HEARTBEAT, 4, flexible, &[0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    play.raw("an old header", HEARTBEAT, 4, old, &[2, b'g', 0, 0, 0, 1, 1, 0, 0]);
}

pub fn cluster(play: &mut Play) {
    let ask = DescribeClusterRequest::default;
    play.each("good", DESCRIBE_CLUSTER, all(DESCRIBE_CLUSTER), |_| ask());
    play.each("with operations", DESCRIBE_CLUSTER, all(DESCRIBE_CLUSTER), |_| {
        ask().with_include_cluster_authorized_operations(true)
    });
    for kind in [0, 2, 3, -1] {
        play.ask(&format!("of kind {kind}"), DESCRIBE_CLUSTER, 1, ask().with_endpoint_type(kind));
    }
    let any = DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_resource_name_filter(None)
        .with_pattern_type_filter(1)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    play.each("good", DESCRIBE_ACLS, all(DESCRIBE_ACLS), |v| {
        any.clone().with_pattern_type_filter(if v == 0 { 3 } else { 1 })
    });
    play.ask("of an unknown kind", DESCRIBE_ACLS, 2, any.clone().with_resource_type_filter(99));
    play.ask("of kind 0", DESCRIBE_ACLS, 2, any.with_operation(0));
}

pub fn partitions(play: &mut Play) {
    make(play, "lies", 2);
    for _ in 0..3 {
        play.quietly(PRODUCE, 9, produce("lies", 0, batch(&["a", "b"])));
    }
    let of = |topics: Option<&[(&str, &[i32])]>| {
        let topic = |(name, partitions): &(&str, &[i32])| {
            DescribableLogDirTopic::default()
                .with_topic(text(name).into())
                .with_partitions(partitions.to_vec())
        };
        let topics = topics.map(|topics| topics.iter().map(topic).collect());
        DescribeLogDirsRequest::default().with_topics(topics)
    };
    let api = DESCRIBE_LOG_DIRS;
    play.each("good", api, all(api), |_| of(Some(&[("lies", &[0, 1])])));
    play.each("unknown", api, [1, 4], |_| of(Some(&[("unknown", &[0])])));
    play.each("unknown partition", api, [1, 4], |_| of(Some(&[("lies", &[1, 9, -1])])));
    play.each("no topics", api, [1, 4], |_| of(Some(&[])));
    play.each("no partitions", api, [1, 4], |_| of(Some(&[("lies", &[])])));
    let moving = |topics: Option<&[(&str, &[i32])]>| {
        let topic = |(name, partitions): &(&str, &[i32])| {
            ListPartitionReassignmentsTopics::default()
                .with_name(text(name).into())
                .with_partition_indexes(partitions.to_vec())
        };
        let topics = topics.map(|topics| topics.iter().map(topic).collect());
        ListPartitionReassignmentsRequest::default().with_topics(topics).with_timeout_ms(10_000)
    };
    let api = LIST_PARTITION_REASSIGNMENTS;
    play.ask("all", api, 0, moving(None));
    play.ask("some", api, 0, moving(Some(&[("lies", &[0, 1])])));
    play.ask("unknown", api, 0, moving(Some(&[("unknown", &[0])])));
    play.ask("none", api, 0, moving(Some(&[])));
    play.ask("and here they are", METADATA, 9, metadata(&["lies"]));
}
