//! Asks a broker which topics do not keep all their records: those with `cleanup.policy` `compact`.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use wire::kafka_protocol::messages::{
    DescribeConfigsRequest, DescribeConfigsResponse, RequestKind, ResponseKind,
};
use wire::kafka_protocol::protocol::StrBytes;
use wire::versions::DESCRIBE_CONFIGS;
use wire::{errors, frame};

use super::rewrite::Address;

/// The oldest version, which every broker understands.
const VERSION: i16 = 1;
/// What a resource is: a topic.
const TOPIC: i8 = 2;
/// The setting that says what becomes of old records.
const POLICY: &str = "cleanup.policy";
/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which topics are compacted.
#[derive(Debug)]
pub(super) enum Compacted {
    /// These.
    Known(BTreeSet<String>),
    /// Any: the broker did not say, and why.
    Unknown(String),
}

impl Compacted {
    /// Whether records of a topic may have been taken away between others.
    pub(super) fn may_be(&self, topic: &str) -> bool {
        match self {
            Self::Known(topics) => topics.contains(topic),
            Self::Unknown(_) => true,
        }
    }
}

/// Asks which of these topics are compacted. One that is gone cannot be asked, and may have been.
pub(super) async fn compacted(broker: &Address, topics: BTreeSet<String>) -> Compacted {
    if topics.is_empty() {
        return Compacted::Known(topics);
    }
    match tokio::time::timeout(PATIENCE, ask(broker, &topics)).await {
        Ok(Ok(reply)) => Compacted::Known(of(reply, topics)),
        Ok(Err(error)) => Compacted::Unknown(error.to_string()),
        Err(_) => Compacted::Unknown(format!("{broker} did not answer")),
    }
}

async fn ask(broker: &Address, topics: &BTreeSet<String>) -> io::Result<DescribeConfigsResponse> {
    let resource = |topic: &String| {
        DescribeConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(StrBytes::from_string(topic.clone()))
            .with_configuration_keys(Some(vec![StrBytes::from_static_str(POLICY)]))
    };
    let request = RequestKind::DescribeConfigs(
        DescribeConfigsRequest::default().with_resources(topics.iter().map(resource).collect()),
    );
    let bytes = frame::request(DESCRIBE_CONFIGS, VERSION, 0, Some("arena"), &request);
    let bytes = bytes.map_err(io::Error::other)?;
    let mut broker = TcpStream::connect((broker.host.as_str(), broker.port)).await?;
    broker.write_all(&bytes).await?;
    let mut length = [0; 4];
    broker.read_exact(&mut length).await?;
    let length = frame::frame_len(length, frame::MAX_FRAME).map_err(io::Error::other)?;
    let mut reply = Vec::new();
    broker.take(length as u64).read_to_end(&mut reply).await?;
    match frame::reply(DESCRIBE_CONFIGS, VERSION, reply.into()).map_err(io::Error::other)? {
        (_, ResponseKind::DescribeConfigs(reply)) => Ok(reply),
        _ => Err(io::Error::other("another answer")),
    }
}

fn of(reply: DescribeConfigsResponse, mut topics: BTreeSet<String>) -> BTreeSet<String> {
    for result in reply.results.iter().filter(|result| result.error_code == errors::NONE) {
        let mut policies = result.configs.iter().filter(|config| &*config.name == POLICY);
        let policy = policies.next().and_then(|config| config.value.as_ref());
        if policy.is_some_and(|policy| !policy.contains("compact")) {
            topics.remove(&*result.resource_name);
        }
    }
    topics
}
