//! DescribeConfigs (32), and which configurations a topic may be made with.
//!
//! There is one configuration for all topics, that of the node, so nothing here can be changed.
//! What a client asks for when it makes a topic is checked by name, and otherwise has no effect.

use wire::errors;
use wire::kafka_protocol::messages::create_topics_response::CreatableTopicConfigs;
use wire::kafka_protocol::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use wire::kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};

use super::metadata::describe as describe_topics;
use super::{Context, is_topic_name, text};
use state_machine::ids::TopicName;

/// The kinds of resources.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Where a value comes from: it is the default.
const DEFAULT: i8 = 5;
/// Where a value comes from: the node's own flags.
const STATIC_BROKER: i8 = 4;

/// The kinds of values.
const BOOLEAN: i8 = 1;
const STRING: i8 = 2;
const INT: i8 = 3;
const LONG: i8 = 5;
const DOUBLE: i8 = 6;
const LIST: i8 = 7;

/// The names of topics' configurations that Kafka has, the kind of each, and its value here.
const TOPIC_CONFIGS: &[(&str, i8, &str)] = &[
    ("cleanup.policy", LIST, "delete"),
    ("compression.gzip.level", INT, "-1"),
    ("compression.lz4.level", INT, "9"),
    ("compression.type", STRING, "producer"),
    ("compression.zstd.level", INT, "3"),
    ("delete.retention.ms", LONG, "86400000"),
    ("file.delete.delay.ms", LONG, "60000"),
    ("flush.messages", LONG, "9223372036854775807"),
    ("flush.ms", LONG, "9223372036854775807"),
    ("follower.replication.throttled.replicas", LIST, ""),
    ("index.interval.bytes", INT, "4096"),
    ("leader.replication.throttled.replicas", LIST, ""),
    ("local.retention.bytes", LONG, "-2"),
    ("local.retention.ms", LONG, "-2"),
    ("max.compaction.lag.ms", LONG, "9223372036854775807"),
    ("max.message.bytes", INT, "1048588"),
    ("message.timestamp.after.max.ms", LONG, "3600000"),
    ("message.timestamp.before.max.ms", LONG, "9223372036854775807"),
    ("message.timestamp.type", STRING, "CreateTime"),
    ("min.cleanable.dirty.ratio", DOUBLE, "0.5"),
    ("min.compaction.lag.ms", LONG, "0"),
    ("min.insync.replicas", INT, "1"),
    ("preallocate", BOOLEAN, "false"),
    ("remote.log.copy.disable", BOOLEAN, "false"),
    ("remote.log.delete.on.disable", BOOLEAN, "false"),
    ("remote.storage.enable", BOOLEAN, "false"),
    ("retention.bytes", LONG, "-1"),
    ("retention.ms", LONG, "604800000"),
    ("segment.bytes", INT, "1073741824"),
    ("segment.index.bytes", INT, "10485760"),
    ("segment.jitter.ms", LONG, "0"),
    ("segment.ms", LONG, "604800000"),
    ("unclean.leader.election.enable", BOOLEAN, "false"),
];

/// What a configuration is, as it is told.
struct Config {
    name: &'static str,
    kind: i8,
    value: String,
    source: i8,
}

/// Whether a topic may be made with this configuration.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(name: &str, value: Option<&str>) -> Result<(), String> {
    let known = TOPIC_CONFIGS.iter().find(|(known, ..)| *known == name);
    let Some((_, kind, _)) = known else {
        return Err(format!("unknown configuration `{name}`"));
    };
    let value = value.unwrap_or_default();
    let fits = match *kind {
        BOOLEAN => matches!(value, "true" | "false"),
        INT => value.parse::<i32>().is_ok(),
        LONG => value.parse::<i64>().is_ok(),
        DOUBLE => value.parse::<f64>().is_ok(),
        _ => true,
    };
    let served = match name {
        "cleanup.policy" => value.split(',').all(|policy| matches!(policy, "delete" | "compact")),
        "compression.type" => value == "producer",
        "message.timestamp.type" => value == "CreateTime",
        _ => true,
    };
    if fits && served {
        Ok(())
    } else {
        Err(format!("value {value:?} of configuration `{name}` is not served"))
    }
}

fn of_topics(cx: &Context) -> Vec<Config> {
    let settings = &cx.broker.settings;
    let own = |name: &str| match name {
        "max.message.bytes" => Some(settings.max_batch.to_string()),
        "retention.ms" => Some(settings.retention_ms.map_or("-1".to_owned(), |ms| ms.to_string())),
        "retention.bytes" => {
            Some(settings.retention_bytes.map_or("-1".to_owned(), |bytes| bytes.to_string()))
        }
        "segment.bytes" => Some(settings.segment_bytes.to_string()),
        _ => None,
    };
    let config = |(name, kind, default): &(&'static str, i8, &str)| {
        let own = own(name);
        let source =
            if own.as_deref().is_none_or(|own| own == *default) { DEFAULT } else { STATIC_BROKER };
        let value = own.unwrap_or_else(|| (*default).to_owned());
        Config { name, kind: *kind, value, source }
    };
    TOPIC_CONFIGS.iter().map(config).collect()
}

fn of_broker(cx: &Context) -> Vec<Config> {
    let settings = &cx.broker.settings;
    let config = |name, kind, value: String| Config { name, kind, value, source: STATIC_BROKER };
    vec![
        config("auto.create.topics.enable", BOOLEAN, settings.auto_create_topics.to_string()),
        config("delete.topic.enable", BOOLEAN, "true".to_owned()),
        config("group.max.session.timeout.ms", INT, settings.session_timeout.max.to_string()),
        config("group.min.session.timeout.ms", INT, settings.session_timeout.min.to_string()),
        config("message.max.bytes", INT, settings.max_batch.to_string()),
        config("num.partitions", INT, settings.partitions.to_string()),
    ]
}

/// The configuration of a topic that was made just now.
pub(super) fn of_new_topic(cx: &Context) -> Vec<CreatableTopicConfigs> {
    let told = |config: Config| {
        CreatableTopicConfigs::default()
            .with_name(text(config.name))
            .with_value(Some(text(&config.value)))
            .with_config_source(config.source)
    };
    of_topics(cx).into_iter().map(told).collect()
}

pub(super) async fn describe(
    cx: &Context,
    asked: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
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
    keys.is_none_or(|keys| keys.iter().any(|key| key.as_str() == name))
}

async fn of_resource(
    cx: &Context,
    resource: &DescribeConfigsResource,
) -> Result<Vec<Config>, (i16, String)> {
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC if !is_topic_name(name) => {
            Err((errors::INVALID_TOPIC_EXCEPTION, format!("{name:?} is no topic's name")))
        }
        TOPIC => {
            let found = describe_topics(cx, Some(vec![TopicName::from(name)])).await;
            match found.map_err(|code| (code, String::new()))?.first() {
                Some((_, Some(_))) => Ok(of_topics(cx)),
                _ => {
                    let problem = format!("topic `{name}` does not exist");
                    Err((errors::UNKNOWN_TOPIC_OR_PARTITION, problem))
                }
            }
        }
        BROKER if name.is_empty() => Ok(Vec::new()),
        BROKER if name == cx.broker.settings.node.to_string() => Ok(of_broker(cx)),
        BROKER => {
            let own = cx.broker.settings.node;
            Err((errors::INVALID_REQUEST, format!("broker {name:?}, expected {own} or none")))
        }
        kind => Err((errors::INVALID_REQUEST, format!("resources of type {kind} are not served"))),
    }
}

fn told(config: Config, with_synonyms: bool, version: i16) -> DescribeConfigsResourceResult {
    let value = Some(text(&config.value));
    let result = DescribeConfigsResourceResult::default()
        .with_name(text(config.name))
        .with_value(value.clone())
        .with_config_source(config.source);
    let result = if with_synonyms {
        let synonym = DescribeConfigsSynonym::default()
            .with_name(text(config.name))
            .with_value(value)
            .with_source(config.source);
        result.with_synonyms(vec![synonym])
    } else {
        result
    };
    if version >= 3 { result.with_config_type(config.kind) } else { result }
}
