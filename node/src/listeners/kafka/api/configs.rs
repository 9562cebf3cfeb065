//! DescribeConfigs (32), AlterConfigs (33), IncrementalAlterConfigs (44).
//!
//! Which configurations topics have is the state machine's to say, and so is what may be set. This
//! module tells them with what the node says where a topic does not. The node's own configuration
//! does not change while it runs.

use std::sync::Arc;

use state_machine::ids::TopicName;
use state_machine::topics::command::TopicCommand;
use state_machine::topics::config::{Change, KNOWN, Kind, Known, TopicConfig};
use wire::errors;
use wire::kafka_protocol::messages::alter_configs_request::AlterConfigsRequest;
use wire::kafka_protocol::messages::alter_configs_response::{
    AlterConfigsResourceResponse, AlterConfigsResponse,
};
use wire::kafka_protocol::messages::create_topics_request::CreatableTopicConfig;
use wire::kafka_protocol::messages::create_topics_response::CreatableTopicConfigs;
use wire::kafka_protocol::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use wire::kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use wire::kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use wire::kafka_protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse as IncrementalResponse, IncrementalAlterConfigsResponse,
};
use wire::kafka_protocol::protocol::StrBytes;

use super::super::errors::{About, of_rejection};
use super::cluster::LOG_DIR;
use super::metadata::describe as describe_topics;
use super::{Context, config_names, is_topic_name, once, text};

/// The kinds of resources.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Where a value comes from: the topic's own.
const TOPICS_OWN: i8 = 1;
/// Where a value comes from: the node's own flags.
const STATIC_BROKER: i8 = 4;
/// Where a value comes from: it is the default.
const DEFAULT: i8 = 5;

/// The kinds of values.
const BOOLEAN: i8 = 1;
const STRING: i8 = 2;
const INT: i8 = 3;
const LONG: i8 = 5;
const DOUBLE: i8 = 6;
const LIST: i8 = 7;

/// Why something is refused: a code, and what there is to say.
type Refused = (i16, String);

/// What a configuration is, as it is told.
struct Config {
    name: &'static str,
    kind: i8,
    value: String,
    source: i8,
    /// No request changes it.
    is_read_only: bool,
    /// Where it comes from, and what it would be without that: names, values, sources.
    synonyms: Vec<(&'static str, String, i8)>,
}

/// What a topic is to have of its own when it is made.
///
/// # Errors
/// What is wrong with it, and its code.
pub(super) fn of_request(asked: &[CreatableTopicConfig]) -> Result<TopicConfig, Refused> {
    let mut config = TopicConfig::default();
    for CreatableTopicConfig { name, value, .. } in asked {
        let Some(value) = value else {
            let problem = format!("configuration `{}` has no value", name.as_str());
            return Err((errors::INVALID_CONFIG, problem));
        };
        config
            .change(name, &Change::Set(value.as_str().into()))
            .map_err(|rejection| (of_rejection(&rejection), rejection.to_string()))?;
    }
    Ok(config)
}

fn wire_kind(kind: &Kind) -> i8 {
    match kind {
        Kind::Boolean | Kind::False => BOOLEAN,
        Kind::OneOf(_) => STRING,
        Kind::Int(_) => INT,
        Kind::Long(_) => LONG,
        Kind::Ratio => DOUBLE,
        Kind::SomeOf(_) | Kind::Texts => LIST,
    }
}

/// What the node's configuration says of all topics, where it says anything.
fn of_node(cx: &Context, name: &str) -> Option<String> {
    let settings = &cx.broker.settings;
    let limit = |limit: Option<u64>| limit.map_or("-1".to_owned(), |most| most.to_string());
    match name {
        "max.message.bytes" => Some(settings.max_batch.to_string()),
        "retention.ms" => Some(limit(settings.retention_ms)),
        "retention.bytes" => Some(limit(settings.retention_bytes)),
        "segment.bytes" => Some(settings.segment_bytes.to_string()),
        _ => None,
    }
}

fn of_topic(cx: &Context, topic: &TopicConfig) -> Vec<Config> {
    let config = |known: &'static Known| {
        let name = known.name;
        let own = topic.get(name).map(|value| (name, value.to_owned(), TOPICS_OWN));
        let of_node = of_node(cx, name).filter(|value| value != known.default);
        let (value, source) = match (&own, &of_node) {
            (Some((_, value, source)), _) => (value.clone(), *source),
            (None, Some(value)) => (value.clone(), STATIC_BROKER),
            (None, None) => (known.default.to_owned(), DEFAULT),
        };
        let default = config_names::default_of_brokers(name, known.default, of_node.is_some());
        let of_node =
            of_node.and_then(|value| Some((config_names::of_brokers(name)?, value, STATIC_BROKER)));
        let default = default.map(|(name, value)| (name, value.to_owned(), DEFAULT));
        let synonyms = [own, of_node, default].into_iter().flatten().collect();
        Config { name, kind: wire_kind(&known.kind), value, source, is_read_only: false, synonyms }
    };
    KNOWN.iter().map(config).collect()
}

/// What a node says of itself, and what it says of all topics, by name.
fn of_broker(cx: &Context) -> Vec<Config> {
    let settings = &cx.broker.settings;
    let own = |name, kind, value: String| {
        let synonyms = vec![(name, value.clone(), STATIC_BROKER)];
        Config { name, kind, value, source: STATIC_BROKER, is_read_only: true, synonyms }
    };
    let mut configs = vec![
        own("auto.create.topics.enable", BOOLEAN, settings.auto_create_topics.to_string()),
        own("broker.id", INT, settings.node.to_string()),
        // Every node has every record.
        own("default.replication.factor", INT, settings.directory.members().len().to_string()),
        own("delete.topic.enable", BOOLEAN, "true".to_owned()),
        own("group.max.session.timeout.ms", INT, settings.session_timeout.max.to_string()),
        own("group.min.session.timeout.ms", INT, settings.session_timeout.min.to_string()),
        own("log.dirs", STRING, LOG_DIR.to_owned()),
        own("node.id", INT, settings.node.to_string()),
        own("num.partitions", INT, settings.partitions.to_string()),
    ];
    if let Some(endpoint) = cx.broker.endpoint(settings.node) {
        let listener = format!("PLAINTEXT://{}:{}", endpoint.host, endpoint.port);
        configs.push(own("advertised.listeners", STRING, listener));
    }
    let of_topics = of_topic(cx, &TopicConfig::default()).into_iter();
    configs.extend(of_topics.filter_map(|config| {
        let name = config_names::of_brokers(config.name)?;
        Some(Config { name, is_read_only: true, ..config })
    }));
    configs.sort_by_key(|config| config.name);
    configs
}

/// The configuration of a topic that was made just now.
pub(super) fn of_new_topic(cx: &Context, topic: &TopicConfig) -> Vec<CreatableTopicConfigs> {
    let told = |config: Config| {
        CreatableTopicConfigs::default()
            .with_name(text(config.name))
            .with_value(Some(text(&config.value)))
            .with_config_source(config.source)
    };
    of_topic(cx, topic).into_iter().map(told).collect()
}

pub(super) async fn describe(
    cx: &Context,
    mut asked: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    once::configs(&mut asked.resources);
    let mut results = Vec::with_capacity(asked.resources.len());
    for resource in &asked.resources {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        results.push(match of_resource(cx, resource).await {
            Ok(configs) => result.with_configs(
                configs
                    .into_iter()
                    .filter(|config| is_wanted(resource, config.name))
                    .map(|config| told(config, asked.include_synonyms, cx.version))
                    .collect(),
            ),
            Err((code, problem)) => {
                result.with_error_code(code).with_error_message(Some(text(&problem)))
            }
        });
    }
    DescribeConfigsResponse::default().with_results(results)
}

fn is_wanted(resource: &DescribeConfigsResource, name: &str) -> bool {
    let keys = resource.configuration_keys.as_ref();
    keys.is_none_or(|keys| keys.is_empty() || keys.iter().any(|key| key.as_str() == name))
}

async fn of_resource(
    cx: &Context,
    resource: &DescribeConfigsResource,
) -> Result<Vec<Config>, Refused> {
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC => Ok(of_topic(cx, &existing(cx, name).await?)),
        BROKER if name.is_empty() => Ok(Vec::new()),
        BROKER if name == cx.broker.settings.node.to_string() => Ok(of_broker(cx)),
        BROKER => {
            let own = cx.broker.settings.node;
            Err((errors::INVALID_REQUEST, format!("broker {name:?}, expected {own} or none")))
        }
        kind => Err((errors::INVALID_REQUEST, format!("resources of type {kind} are not served"))),
    }
}

/// What a topic has of its own.
async fn existing(cx: &Context, name: &str) -> Result<TopicConfig, Refused> {
    if !is_topic_name(name) {
        let problem = format!("{name:?} is no topic's name");
        return Err((errors::INVALID_TOPIC_EXCEPTION, problem));
    }
    let found = describe_topics(cx, Some(vec![TopicName::from(name)])).await;
    let found = found.map_err(|code| (code, String::new()))?.pop();
    match found {
        Some((_, Some(found))) => Ok(found.config),
        _ => {
            let problem = format!("topic `{name}` does not exist");
            Err((errors::UNKNOWN_TOPIC_OR_PARTITION, problem))
        }
    }
}

fn told(config: Config, with_synonyms: bool, version: i16) -> DescribeConfigsResourceResult {
    let result = DescribeConfigsResourceResult::default()
        .with_name(text(config.name))
        .with_value(Some(text(&config.value)))
        .with_config_source(config.source)
        .with_read_only(config.is_read_only)
        .with_documentation((version < 3).then(StrBytes::default));
    let result = if with_synonyms {
        let synonym = |(name, value, source): (&str, String, i8)| {
            DescribeConfigsSynonym::default()
                .with_name(text(name))
                .with_value(Some(text(&value)))
                .with_source(source)
        };
        result.with_synonyms(config.synonyms.into_iter().map(synonym).collect())
    } else {
        result
    };
    if version >= 3 { result.with_config_type(config.kind) } else { result }
}

/// Each topic has what is asked for, and nothing else of its own.
pub(super) async fn replace(cx: &Context, asked: AlterConfigsRequest) -> AlterConfigsResponse {
    let named: Vec<_> =
        asked.resources.iter().map(|it| (it.resource_type, it.resource_name.clone())).collect();
    let mut responses = Vec::with_capacity(asked.resources.len());
    for resource in asked.resources {
        let times =
            |it: &&(i8, _)| it.0 == resource.resource_type && it.1 == resource.resource_name;
        let is_twice = named.iter().filter(times).count() > 1;
        let sets = resource.configs.iter().map(|config| {
            let value = config.value.as_ref().map(|value| Change::Set(value.as_str().into()));
            (config.name.as_str(), value)
        });
        let change = Alteration {
            kind: resource.resource_type,
            name: &resource.resource_name,
            changes: sets.map(|(name, change)| named_change(name, change)).collect(),
            replace: true,
            only: asked.validate_only,
        };
        let (code, problem) = altered(cx, change, is_twice).await;
        responses.push(
            AlterConfigsResourceResponse::default()
                .with_error_code(code)
                .with_error_message(problem.as_deref().map(text))
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name),
        );
    }
    AlterConfigsResponse::default().with_responses(responses)
}

/// Each topic changes in what is named (KIP-339).
pub(super) async fn change(
    cx: &Context,
    asked: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let is_same = |a: &AlterConfigsResource, b: &AlterConfigsResource| {
        a.resource_type == b.resource_type && a.resource_name == b.resource_name
    };
    let mut responses = Vec::with_capacity(asked.resources.len());
    for resource in &asked.resources {
        let is_twice = asked.resources.iter().filter(|other| is_same(other, resource)).count() > 1;
        let change = Alteration {
            kind: resource.resource_type,
            name: &resource.resource_name,
            changes: resource.configs.iter().map(incremental).collect(),
            replace: false,
            only: asked.validate_only,
        };
        let (code, problem) = altered(cx, change, is_twice).await;
        responses.push(
            IncrementalResponse::default()
                .with_error_code(code)
                .with_error_message(problem.as_deref().map(text))
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone()),
        );
    }
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

/// What is asked of one resource.
struct Alteration<'a> {
    kind: i8,
    name: &'a str,
    changes: Result<Vec<(Arc<str>, Change)>, Refused>,
    replace: bool,
    /// Only whether it could be done.
    only: bool,
}

/// A change that has what it needs.
fn named_change(name: &str, change: Option<Change>) -> Result<(Arc<str>, Change), Refused> {
    let missing = || (errors::INVALID_REQUEST, format!("configuration `{name}` has no value"));
    Ok((name.into(), change.ok_or_else(missing)?))
}

/// Operations of Kafka's `AlterConfigOp`.
fn incremental(config: &AlterableConfig) -> Result<(Arc<str>, Change), Refused> {
    let name = config.name.as_str();
    let value = config.value.as_ref().map(|value| Arc::from(value.as_str()));
    let change = match config.config_operation {
        0 => value.map(Change::Set),
        1 => Some(Change::Unset),
        2 => value.map(Change::Add),
        3 => value.map(Change::Remove),
        other => {
            let problem = format!("operation {other} on `{name}`, expected 0 to 3");
            return Err((errors::INVALID_REQUEST, problem));
        }
    };
    named_change(name, change)
}

async fn altered(cx: &Context, asked: Alteration<'_>, is_twice: bool) -> (i16, Option<String>) {
    let done = if is_twice {
        let problem = "the request has the resource more than once".to_owned();
        Err((errors::INVALID_REQUEST, problem))
    } else {
        alter(cx, asked).await
    };
    match done {
        Ok(()) => (errors::NONE, None),
        Err((code, problem)) => (code, Some(problem)),
    }
}

async fn alter(cx: &Context, asked: Alteration<'_>) -> Result<(), Refused> {
    let kind = match asked.kind {
        TOPIC if asked.name.is_empty() && asked.replace => {
            Some("a topic without a name".to_owned())
        }
        TOPIC => None,
        BROKER => Some("a broker (it has what it was started with)".to_owned()),
        kind => Some(format!("a resource of type {kind}")),
    };
    if let Some(kind) = kind {
        let problem = format!("the configuration of {kind} cannot be changed");
        return Err((errors::INVALID_REQUEST, problem));
    }
    let changes = asked.changes?;
    let is_named_before = |(at, (name, _)): (usize, &(Arc<str>, Change))| {
        changes[..at].iter().any(|(other, _)| other == name)
    };
    if changes.iter().enumerate().any(is_named_before) {
        let problem = "the request has a configuration more than once".to_owned();
        return Err((errors::INVALID_REQUEST, problem));
    }
    let current = existing(cx, asked.name).await?;
    if asked.only {
        let mut config = if asked.replace { TopicConfig::default() } else { current };
        return changes.iter().try_for_each(|(name, change)| {
            let refused = |refused| (of_rejection(&refused), refused.to_string());
            config.change(name, change).map_err(refused)
        });
    }
    let topic = TopicName::from(asked.name);
    let command = TopicCommand::Configure { topic, changes, replace: asked.replace };
    match cx.asker.command(command).await {
        Ok(_) => Ok(()),
        Err(failure) => Err((About::Partition.code(&failure), failure.to_string())),
    }
}
