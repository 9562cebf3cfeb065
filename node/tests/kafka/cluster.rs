//! Three nodes over TCP, as a Kafka client meets them, while they die and come back.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wire::batch::{self, Record};
use wire::errors;
use wire::kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use wire::kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use wire::kafka_protocol::messages::find_coordinator_response::Coordinator;
use wire::kafka_protocol::messages::join_group_request::{
    JoinGroupRequest, JoinGroupRequestProtocol,
};
use wire::kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use wire::kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use wire::kafka_protocol::messages::metadata_response::MetadataResponse;
use wire::kafka_protocol::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use wire::kafka_protocol::messages::{TopicName, produce_response::ProduceResponse};
use wire::kafka_protocol::protocol::StrBytes;

use super::broker::{Broker, Client, Folder, ask, received};

/// Longer than any election takes.
const LONG: Duration = Duration::from_secs(30);

/// Three processes with data folders.
struct Cluster {
    folder: Folder,
    members: String,
    nodes: Vec<Option<Broker>>,
}

/// A port that nobody listens at, of those that the system gives nobody.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 16_000).expect("of 16 bits");
    loop {
        let port = 12_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 18_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn members(count: u16) -> String {
    let member = |node: u16| format!("n{node}=127.0.0.1:{}", free_port());
    (1..=count).map(member).collect::<Vec<_>>().join(",")
}

fn node(number: usize, members: &str, folder: &Path) -> Command {
    let mut command = super::broker::command();
    command.args(["--node-id", &number.to_string(), "--cluster", members, "--free-floor", "0"]);
    command.arg("--data-dir").arg(folder.join(format!("n{number}")));
    // A first rebalance waits longer than any test.
    command.args(["--log", "warn", "--group.initial.rebalance.delay.ms", "60000"]);
    command
}

impl Cluster {
    fn start() -> Self {
        let (folder, members) = (Folder::new(), members(3));
        let commands = (1..=3).map(|number| node(number, &members, &folder.0));
        let nodes = Broker::run_all(commands.collect()).into_iter().map(Some).collect();
        Self { folder, members, nodes }
    }

    fn connect(&self, number: usize) -> Client {
        self.nodes[number - 1].as_ref().expect("it runs").connect()
    }

    /// Asks a node who leads, until it names one other than `not`.
    fn leader(&self, asked: usize, not: Option<usize>) -> usize {
        let begin = Instant::now();
        loop {
            let told = coordinator(&mut self.connect(asked));
            let leader = usize::try_from(told.node_id.0).unwrap_or_default();
            if told.error_code == errors::NONE && Some(leader) != not {
                return leader;
            }
            assert!(begin.elapsed() < LONG, "nobody else leads");
        }
    }

    fn signal(&self, number: usize, signal: &str) {
        let id = self.nodes[number - 1].as_ref().expect("it runs").child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("a signal");
        assert!(sent.success());
    }
}

fn name(name: &'static str) -> TopicName {
    StrBytes::from_static_str(name).into()
}

fn coordinator(client: &mut Client) -> Coordinator {
    let keys = vec![StrBytes::from_static_str("g")];
    let request = FindCoordinatorRequest::default().with_coordinator_keys(keys);
    ask!(client, FindCoordinator FIND_COORDINATOR 4, request).coordinators.remove(0)
}

fn metadata(client: &mut Client) -> MetadataResponse {
    let topic = MetadataRequestTopic::default().with_name(Some(name("t")));
    let request = MetadataRequest::default().with_topics(Some(vec![topic]));
    let request = request.with_allow_auto_topic_creation(false);
    ask!(client, Metadata METADATA 12, request)
}

fn create(client: &mut Client) {
    let topic = CreatableTopic::default().with_name(name("t")).with_num_partitions(1);
    let topic = topic.with_replication_factor(-1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(9_000);
    let reply = ask!(client, CreateTopics CREATE_TOPICS 5, request);
    assert_eq!(reply.topics[0].error_code, errors::NONE, "any node makes topics");
}

fn produce(client: &mut Client, text: &str) -> ProduceResponse {
    let value = Some(Bytes::copy_from_slice(text.as_bytes()));
    let record = Record { offset_delta: 0, timestamp: 1, key: None, value, headers: Vec::new() };
    let records = batch::build(&[record], 1, None);
    let data = PartitionProduceData::default().with_records(Some(records));
    let topic = TopicProduceData::default().with_name(name("t")).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(9_000);
    ask!(client, Produce PRODUCE 11, request.with_topic_data(vec![topic]))
}

fn offset(reply: &ProduceResponse) -> i64 {
    let part = &reply.responses[0].partition_responses[0];
    assert_eq!(part.error_code, errors::NONE);
    part.base_offset
}

fn fetch(offset: i64, wait: Duration) -> FetchRequest {
    let partition = FetchPartition::default().with_fetch_offset(offset);
    let partition = partition.with_partition_max_bytes(1 << 20).with_current_leader_epoch(-1);
    let topic = FetchTopic::default().with_topic(name("t")).with_partitions(vec![partition]);
    let wait = i32::try_from(wait.as_millis()).expect("not for ever");
    let request = FetchRequest::default().with_max_wait_ms(wait).with_min_bytes(1);
    request.with_max_bytes(1 << 20).with_topics(vec![topic])
}

/// All texts in the topic.
fn texts(client: &mut Client) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        let from = i64::try_from(texts.len()).expect("few");
        let reply = ask!(client, Fetch FETCH 12, fetch(from, Duration::ZERO));
        let part = &reply.responses[0].partitions[0];
        assert_eq!(part.error_code, errors::NONE);
        let mut bytes = part.records.clone().expect("records");
        if bytes.is_empty() {
            return texts;
        }
        while !bytes.is_empty() {
            let len = 12 + u32::from_be_bytes(bytes[8..12].try_into().expect("four")) as usize;
            let records = batch::records(&bytes.split_to(len), &batch::Limits::default());
            for record in records.expect("a batch") {
                let value = record.value.expect("a text");
                texts.push(String::from_utf8(value.to_vec()).expect("a text"));
            }
        }
    }
}

/// Enters a group, in version 3 without being given an id first.
fn join() -> JoinGroupRequest {
    let text = StrBytes::from_static_str;
    let protocol = JoinGroupRequestProtocol::default().with_name(text("p"));
    JoinGroupRequest::default()
        .with_group_id(text("g").into())
        .with_session_timeout_ms(60_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(text("connect"))
        .with_protocols(vec![protocol])
}

#[test]
fn nodes_that_do_not_lead_say_who_does() {
    let broker = Broker::dev(&["--nodes", "3"]);
    let addresses: Vec<String> = broker.address.split(',').map(str::to_owned).collect();
    assert_eq!(addresses.len(), 3);
    let mut clients: Vec<Client> = addresses.iter().map(|address| Client::to(address)).collect();
    create(&mut clients[2]);
    let found: Vec<MetadataResponse> = clients.iter_mut().map(metadata).collect();
    let leader = found[0].topics[0].partitions[0].leader_id;
    for metadata in &found {
        assert_eq!(metadata.cluster_id, found[0].cluster_id);
        assert_eq!(metadata.controller_id, leader);
        let told: Vec<String> =
            metadata.brokers.iter().map(|b| format!("{}:{}", b.host, b.port)).collect();
        assert_eq!(told, addresses, "all nodes, in their order");
        let partition = &metadata.topics[0].partitions[0];
        assert_eq!(partition.leader_id, leader);
        assert_eq!((partition.replica_nodes.len(), partition.isr_nodes.len()), (3, 3));
        assert_eq!(partition.replica_nodes[0], leader, "the preferred one");
    }
    for (node, client) in (1..).zip(&mut clients) {
        let reply = produce(client, "x");
        let part = &reply.responses[0].partition_responses[0];
        let fetched = ask!(client, Fetch FETCH 12, fetch(0, Duration::ZERO));
        let fetched = &fetched.responses[0].partitions[0];
        let joined = ask!(client, JoinGroup JOIN_GROUP 3, join());
        assert_eq!(coordinator(client).node_id, leader);
        if node == leader.0 {
            assert_eq!((part.error_code, fetched.error_code), (errors::NONE, errors::NONE));
            assert_eq!(joined.error_code, errors::NONE);
            continue;
        }
        assert_eq!(part.error_code, errors::NOT_LEADER_OR_FOLLOWER);
        assert_eq!(part.current_leader.leader_id, leader);
        let there = &reply.node_endpoints[0];
        let at = format!("{}:{}", there.host, there.port);
        assert_eq!((there.node_id, at), (leader, addresses[leader.0 as usize - 1].clone()));
        assert_eq!(fetched.error_code, errors::NOT_LEADER_OR_FOLLOWER);
        assert_eq!(fetched.current_leader.leader_id, leader);
        assert_eq!(joined.error_code, errors::NOT_COORDINATOR);
    }
}

#[test]
fn what_was_acknowledged_outlives_every_leader() {
    let mut cluster = Cluster::start();
    let mut leader = cluster.leader(1, None);
    create(&mut cluster.connect(leader));
    let mut sent = Vec::new();
    for round in 0..3 {
        let mut client = cluster.connect(leader);
        for i in 0..20 {
            let text = format!("{round}-{i}");
            assert_eq!(offset(&produce(&mut client, &text)), sent.len() as i64);
            sent.push(text);
        }
        let (killed, other) = (leader, leader % 3 + 1);
        // SIGKILL.
        cluster.nodes[killed - 1] = None;
        leader = cluster.leader(other, Some(killed));
        assert_eq!(texts(&mut cluster.connect(leader)), sent, "after round {round}");
        let up = metadata(&mut cluster.connect(leader));
        assert!(up.brokers.iter().all(|broker| broker.node_id.0 as usize != killed));
        assert_eq!(up.topics[0].partitions[0].offline_replicas.len(), 1);
        let again = node(killed, &cluster.members, &cluster.folder.0);
        cluster.nodes[killed - 1] = Some(Broker::run(again));
        assert_eq!(cluster.leader(killed, Some(killed)), leader, "it knows who leads");
    }
}

#[test]
fn a_deposed_leader_answers_at_once_what_waited_there() {
    let cluster = Cluster::start();
    let leader = cluster.leader(1, None);
    create(&mut cluster.connect(leader));
    let (mut first, mut second) = (cluster.connect(leader), cluster.connect(leader));
    let joining = first.send(wire::versions::JOIN_GROUP, 3, join());
    let fetching = second.send(wire::versions::FETCH, 12, fetch(0, LONG * 4));
    // Both wait there: a request behind them on another connection was answered.
    metadata(&mut cluster.connect(leader));
    cluster.signal(leader, "-STOP");
    let next = cluster.leader(leader % 3 + 1, Some(leader));
    cluster.signal(leader, "-CONT");
    let joined = received!(first, JoinGroup JOIN_GROUP 3, joining);
    assert_eq!(joined.error_code, errors::NOT_COORDINATOR);
    let fetched = received!(second, Fetch FETCH 12, fetching);
    let part = &fetched.responses[0].partitions[0];
    assert_eq!(part.error_code, errors::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(part.current_leader.leader_id.0 as usize, next);
}

/// What a node says on standard error until a text comes.
fn says(command: &mut Command, expected: &str) -> Broker {
    let child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut broker = Broker { child, address: String::new(), admin: None };
    let stderr = broker.child.stderr.take().expect("piped");
    let mut said = Vec::new();
    for line in std::io::BufRead::lines(std::io::BufReader::new(stderr)) {
        let line = line.expect("text");
        if line.contains(expected) {
            return broker;
        }
        said.push(line);
    }
    panic!("`{expected}` was not said: {said:?}");
}

#[test]
fn another_cluster_is_refused_and_both_sides_say_so() {
    let (folder, members) = (Folder::new(), members(2));
    let cluster = |number, name| {
        let mut command = node(number, &members, &folder.0);
        command.args(["--cluster-id", name]);
        command
    };
    std::thread::scope(|both| {
        let refused = "this is n2 of cluster blue, and n1 is of cluster red";
        let (mut red, mut blue) = (cluster(1, "red"), cluster(2, "blue"));
        let first = both.spawn(move || says(&mut red, refused));
        let second = both.spawn(move || says(&mut blue, refused));
        let (_red, _blue) = (first.join().expect("red"), second.join().expect("blue"));
    });
}

/// A file with a secret that only its owner may read.
fn secret(folder: &Path, name: &str, secret: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(folder).expect("made");
    let path = folder.join(name);
    std::fs::write(&path, secret).expect("kept");
    let only_its_owner = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, only_its_owner).expect("set");
    path
}

#[test]
fn three_nodes_with_a_secret_serve_and_a_leader_can_die() {
    let (folder, members) = (Folder::new(), members(3));
    let secret = secret(&folder.0, "secret", "what three nodes know\n");
    let with_secret = |number| {
        let mut command = node(number, &members, &folder.0);
        command.arg("--cluster-secret-file").arg(&secret);
        command
    };
    let nodes = Broker::run_all((1..=3).map(with_secret).collect());
    let nodes = nodes.into_iter().map(Some).collect();
    let mut cluster = Cluster { folder, members: members.clone(), nodes };
    let leader = cluster.leader(1, None);
    create(&mut cluster.connect(leader));
    // Larger than what goes with small messages.
    let large = "x".repeat(200_000);
    assert_eq!(offset(&produce(&mut cluster.connect(leader), &large)), 0);
    cluster.nodes[leader - 1] = None;
    let next = cluster.leader(leader % 3 + 1, Some(leader));
    assert_eq!(offset(&produce(&mut cluster.connect(next), "small")), 1);
    assert_eq!(texts(&mut cluster.connect(next)), [large, "small".to_owned()]);
    let mut back = node(leader, &members, &cluster.folder.0);
    back.arg("--cluster-secret-file").arg(cluster.folder.0.join("secret"));
    cluster.nodes[leader - 1] = Some(Broker::run(back));
    assert_eq!(cluster.leader(leader, Some(leader)), next, "it is heard again");
}

#[test]
fn without_the_same_secret_nodes_refuse_each_other_and_both_say_so() {
    let folder = Folder::new();
    let one = secret(&folder.0, "one", "a secret of this cluster");
    let two = secret(&folder.0, "two", "a secret of another one");
    for (second, [says_1, says_2]) in [
        (
            Some(&two),
            [
                "this is n1, and n2 has another cluster secret",
                "this is n2, and n1 has another cluster secret",
            ],
        ),
        (None, ["this is n1, which has a cluster secret, and n2 has none"; 2]),
        (None, ["this is n2, which has no cluster secret, and n1 has one"; 2]),
    ] {
        let (elsewhere, members) = (Folder::new(), members(2));
        let with_secret = |number, secret: Option<&PathBuf>| {
            let mut command = node(number, &members, &elsewhere.0);
            secret.iter().for_each(|file| _ = command.arg("--cluster-secret-file").arg(file));
            command
        };
        std::thread::scope(|both| {
            let (mut first, mut second) = (with_secret(1, Some(&one)), with_secret(2, second));
            let first = both.spawn(move || says(&mut first, says_1));
            let second = both.spawn(move || says(&mut second, says_2));
            let (_first, _second) = (first.join().expect("n1"), second.join().expect("n2"));
        });
    }
}

#[test]
fn a_second_node_of_one_number_is_refused_and_says_so() {
    let cluster = Cluster::start();
    let elsewhere = Folder::new();
    // Its own peers' port is another, and it has another memory.
    let mut second = node(2, &cluster.members, &elsewhere.0);
    second.args(["--peers", "127.0.0.1:0"]);
    let _second = says(&mut second, "heard n2 before, and this n2 does not have its memory");
    let leader = cluster.leader(1, None);
    create(&mut cluster.connect(leader));
    assert_eq!(offset(&produce(&mut cluster.connect(leader), "x")), 0, "the others go on");
}

#[test]
fn regression_a_node_that_has_lost_its_folder_ends_and_holds_no_clients() {
    let mut cluster = Cluster::start();
    let leader = cluster.leader(1, None);
    let lost = (1..=3).find(|number| *number != leader).expect("two follow");
    cluster.nodes[lost - 1] = None;
    std::fs::remove_dir_all(cluster.folder.0.join(format!("n{lost}"))).expect("a folder");
    // It said that it was ready, and clients that asked it waited for ever.
    for time in ["at first", "started again"] {
        let mut without = node(lost, &cluster.members, &cluster.folder.0);
        let ended = without.stderr(Stdio::piped()).output().expect("it ran");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{time}: {said}");
        let expected = format!("n{lost} does not have its memory; it needs the one that it had");
        assert!(said.contains(&expected), "{time}: {said}");
    }
    create(&mut cluster.connect(leader));
    assert_eq!(offset(&produce(&mut cluster.connect(leader), "x")), 0, "the others go on");
}

#[test]
fn a_leader_that_is_told_to_end_hands_over_and_answers_what_it_took() {
    let mut cluster = Cluster::start();
    let leader = cluster.leader(1, None);
    create(&mut cluster.connect(leader));
    let (mut waiting, mut fetches) = (cluster.connect(leader), cluster.connect(leader));
    let joining = waiting.send(wire::versions::JOIN_GROUP, 3, join());
    let mut client = cluster.connect(leader);
    let sent: Vec<String> = (0..10).map(|text| text.to_string()).collect();
    for text in &sent {
        offset(&produce(&mut client, text));
    }
    let fetching = fetches.send(wire::versions::FETCH, 12, fetch(10, LONG * 4));
    // Both wait there: a request of another connection was answered.
    metadata(&mut client);
    cluster.signal(leader, "-TERM");
    let joined = received!(waiting, JoinGroup JOIN_GROUP 3, joining);
    assert_eq!(joined.error_code, errors::NOT_COORDINATOR);
    let fetched = received!(fetches, Fetch FETCH 12, fetching);
    let code = fetched.responses[0].partitions[0].error_code;
    assert_eq!(code, errors::NOT_LEADER_OR_FOLLOWER);
    let mut ended = cluster.nodes[leader - 1].take().expect("it runs");
    assert_eq!(ended.child.wait().expect("it ends").code(), Some(0));
    let next = cluster.leader(leader % 3 + 1, Some(leader));
    assert_eq!(texts(&mut cluster.connect(next)), sent);
}

#[test]
fn regression_a_node_without_a_leader_does_not_say_that_there_are_no_groups() {
    let mut cluster = Cluster::start();
    let leader = cluster.leader(1, None);
    let (dead, left) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    let mut client = cluster.connect(left);
    for node in [dead, leader] {
        cluster.nodes[node - 1] = None;
    }
    // As long as it still takes the dead leader for one, it may say that it has no groups itself.
    let deadline = Instant::now() + LONG;
    loop {
        let listed = ask!(client, ListGroups LIST_GROUPS 4, ListGroupsRequest::default());
        if listed.error_code == errors::COORDINATOR_NOT_AVAILABLE {
            break;
        }
        assert_eq!((listed.error_code, listed.groups.len()), (errors::NONE, 0));
        assert!(Instant::now() < deadline, "it has no leader, and says that there are no groups");
    }
}
