//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, and CreateTopics with configurations.

use wire::kafka_protocol::messages::IncrementalAlterConfigsRequest;
use wire::kafka_protocol::messages::alter_configs_request::{
    AlterConfigsRequest, AlterConfigsResource, AlterableConfig,
};
use wire::kafka_protocol::messages::create_topics_request::CreatableTopicConfig;
use wire::kafka_protocol::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use wire::kafka_protocol::messages::incremental_alter_configs_request as incremental;

use wire::versions::{ALTER_CONFIGS, CREATE_TOPICS, DESCRIBE_CONFIGS, INCREMENTAL_ALTER_CONFIGS};

use super::super::play::Play;
use super::requests::{all, create, make, settle, text, topic};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Settings that are good and bad, whoever sets them.
const SETTINGS: &[(&str, &str, Option<&str>)] = &[
    ("retention", "retention.ms", Some("60000")),
    ("retention without end", "retention.ms", Some("-1")),
    ("a retention of -2", "retention.ms", Some("-2")),
    ("a retention in letters", "retention.ms", Some("a")),
    ("a retention with blanks", "retention.ms", Some(" 7 ")),
    ("an empty retention", "retention.ms", Some("")),
    ("no retention", "retention.ms", None),
    ("retention in bytes", "retention.bytes", Some("1048576")),
    ("compaction", "cleanup.policy", Some("compact")),
    ("both policies", "cleanup.policy", Some("compact,delete")),
    ("a blank between policies", "cleanup.policy", Some("compact, delete")),
    ("no policy", "cleanup.policy", Some("")),
    ("an unknown policy", "cleanup.policy", Some("burn")),
    ("large messages", "max.message.bytes", Some("2000000")),
    ("negative messages", "max.message.bytes", Some("-1")),
    ("gzip", "compression.type", Some("gzip")),
    ("an unknown compression", "compression.type", Some("zip")),
    ("append time", "message.timestamp.type", Some("LogAppendTime")),
    ("an unknown time", "message.timestamp.type", Some("Never")),
    ("two in sync", "min.insync.replicas", Some("2")),
    ("none in sync", "min.insync.replicas", Some("0")),
    ("small segments", "segment.bytes", Some("1048576")),
    ("tiny segments", "segment.bytes", Some("13")),
    ("a boolean", "preallocate", Some("true")),
    ("a boolean in capitals", "preallocate", Some("TRUE")),
    ("no boolean", "preallocate", Some("yes")),
    ("a ratio", "min.cleanable.dirty.ratio", Some("0.1")),
    ("a ratio beyond 1", "min.cleanable.dirty.ratio", Some("1.1")),
    ("an unknown name", "no.such.thing", Some("1")),
    ("an empty name", "", Some("1")),
    ("a setting of brokers", "num.partitions", Some("3")),
];

pub fn created(play: &mut Play) {
    let with = |name: &str, configs: &[(&str, Option<&str>)]| {
        let config = |(name, value): &(&str, Option<&str>)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(value.map(text))
        };
        create(vec![topic(name, 1, 1).with_configs(configs.iter().map(config).collect())])
    };
    play.each("plain", CREATE_TOPICS, 5..=7, |v| with(&format!("plain-{v}"), &[]));
    play.each("good", CREATE_TOPICS, all(CREATE_TOPICS), |v| {
        with(&format!("short-{v}"), &[("retention.ms", Some("60000"))])
    });
    for (at, (what, name, value)) in SETTINGS.iter().enumerate() {
        play.ask(what, CREATE_TOPICS, 7, with(&format!("set-{at}"), &[(name, *value)]));
    }
    let twice = [("retention.ms", Some("1")), ("retention.ms", Some("2"))];
    play.ask("twice", CREATE_TOPICS, 7, with("twice", &twice));
    let two = [("retention.ms", Some("1")), ("no.such.thing", Some("2"))];
    play.ask("good and bad", CREATE_TOPICS, 7, with("half", &two));
    let checked = with("only-checked", &[("retention.ms", Some("5"))]).with_validate_only(true);
    play.ask("only checked", CREATE_TOPICS, 7, checked);
}

fn resource(kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResource {
    DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(keys.map(|keys| keys.iter().map(|key| text(key)).collect()))
}

fn describe(resources: Vec<DescribeConfigsResource>) -> DescribeConfigsRequest {
    DescribeConfigsRequest::default().with_resources(resources)
}

pub fn described(play: &mut Play) {
    make(play, "told", 1);
    let api = DESCRIBE_CONFIGS;
    play.each("good", api, all(api), |_| describe(vec![resource(TOPIC, "told", None)]));
    play.each("with synonyms", api, [1, 4], |_| {
        describe(vec![resource(TOPIC, "told", None)]).with_include_synonyms(true)
    });
    let keys: &[&str] = &["retention.ms", "no.such.thing", "retention.ms"];
    play.each("some", api, all(api), |_| describe(vec![resource(TOPIC, "told", Some(keys))]));
    play.ask("none of them", api, 4, describe(vec![resource(TOPIC, "told", Some(&[]))]));
    play.ask("unknown", api, 4, describe(vec![resource(TOPIC, "unknown", None)]));
    play.ask("a bad name", api, 4, describe(vec![resource(TOPIC, "a b", None)]));
    play.ask("no name", api, 4, describe(vec![resource(TOPIC, "", None)]));
    let some: &[&str] = &["num.partitions", "message.max.bytes", "auto.create.topics.enable"];
    for name in ["", "0", "1", "77", "x"] {
        let request = describe(vec![resource(BROKER, name, Some(some))]);
        play.ask(&format!("of broker `{name}`"), api, 4, request);
    }
    for kind in [0, 1, 3, 8, 16, 32, 99] {
        let request = describe(vec![resource(kind, "told", None)]);
        play.ask(&format!("of kind {kind}"), api, 4, request);
    }
    let few: Option<&[&str]> = Some(&["retention.ms"]);
    let two = vec![resource(TOPIC, "told", few), resource(TOPIC, "unknown", few)];
    play.ask("two", api, 4, describe(two));
    let twice = vec![resource(TOPIC, "told", few), resource(TOPIC, "told", few)];
    play.ask("twice", api, 4, describe(twice));
    play.ask("none", api, 4, describe(Vec::new()));
}

pub fn replaced(play: &mut Play) {
    make(play, "replaced", 1);
    let of = |kind: i8, name: &str, configs: &[(&str, Option<&str>)]| {
        let config = |(name, value): &(&str, Option<&str>)| {
            AlterableConfig::default().with_name(text(name)).with_value(value.map(text))
        };
        AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configs(configs.iter().map(config).collect())
    };
    let set = |resources| AlterConfigsRequest::default().with_resources(resources);
    let api = ALTER_CONFIGS;
    let own: Option<&[&str]> = Some(&["retention.ms", "segment.bytes", "cleanup.policy"]);
    let look = |play: &mut Play, when: &str| {
        settle(play, "replaced", 1);
        let request = describe(vec![resource(TOPIC, "replaced", own)]);
        play.ask(when, DESCRIBE_CONFIGS, 4, request);
    };
    for version in all(api) {
        let value = format!("{}0000", version + 5);
        let request = set(vec![of(TOPIC, "replaced", &[("retention.ms", Some(&value))])]);
        play.ask("good", api, version, request);
    }
    let value = [("segment.bytes", Some("1048576"))];
    play.ask("another", api, 2, set(vec![of(TOPIC, "replaced", &value)]));
    look(play, "after another");
    let value = [("segment.bytes", Some("2097152"))];
    let checked = set(vec![of(TOPIC, "replaced", &value)]).with_validate_only(true);
    play.ask("only checked", api, 2, checked);
    look(play, "after a check");
    play.ask("nothing", api, 2, set(vec![of(TOPIC, "replaced", &[])]));
    look(play, "after nothing");
    for (what, name, value) in SETTINGS {
        play.ask(what, api, 2, set(vec![of(TOPIC, "replaced", &[(name, *value)])]));
    }
    let good = [("retention.ms", Some("9"))];
    play.ask("unknown", api, 2, set(vec![of(TOPIC, "unknown", &good)]));
    play.ask("a bad name", api, 2, set(vec![of(TOPIC, "a b", &good)]));
    play.ask("no name", api, 2, set(vec![of(TOPIC, "", &good)]));
    for kind in [0, 1, 3, 99] {
        play.ask(&format!("of kind {kind}"), api, 2, set(vec![of(kind, "replaced", &good)]));
    }
    play.ask("of an unknown broker", api, 2, set(vec![of(BROKER, "77", &good)]));
    play.ask("none", api, 2, set(Vec::new()));
    let two = vec![of(TOPIC, "replaced", &good), of(TOPIC, "unknown", &good)];
    play.ask("good and unknown", api, 2, set(two));
    // A topic twice is not asked for: Kafka 4.4 never answers that.
    look(play, "at last");
}

pub fn changed(play: &mut Play) {
    make(play, "changed", 1);
    let of = |kind: i8, name: &str, configs: &[(&str, i8, Option<&str>)]| {
        let config = |(name, operation, value): &(&str, i8, Option<&str>)| {
            incremental::AlterableConfig::default()
                .with_name(text(name))
                .with_config_operation(*operation)
                .with_value(value.map(text))
        };
        incremental::AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configs(configs.iter().map(config).collect())
    };
    let set = |resources| IncrementalAlterConfigsRequest::default().with_resources(resources);
    let api = INCREMENTAL_ALTER_CONFIGS;
    let own: Option<&[&str]> = Some(&["retention.ms", "segment.bytes", "cleanup.policy"]);
    let look = |play: &mut Play, when: &str| {
        settle(play, "changed", 1);
        let request = describe(vec![resource(TOPIC, "changed", own)]);
        play.ask(when, DESCRIBE_CONFIGS, 4, request);
    };
    let (put, unset, append, subtract) = (0, 1, 2, 3);
    for version in all(api) {
        let value = format!("{}0000", version + 5);
        let request = set(vec![of(TOPIC, "changed", &[("retention.ms", put, Some(&value))])]);
        play.ask("good", api, version, request);
    }
    let one = |name: &str, operation: i8, value| {
        set(vec![of(TOPIC, "changed", &[(name, operation, value)])])
    };
    play.ask("another", api, 1, one("segment.bytes", put, Some("1048576")));
    look(play, "after another");
    play.ask("takes one away", api, 1, one("retention.ms", unset, None));
    play.ask("takes one away again", api, 1, one("retention.ms", unset, Some("x")));
    play.ask("takes an unknown one away", api, 1, one("no.such.thing", unset, None));
    look(play, "after one was taken away");
    play.ask("appends", api, 1, one("cleanup.policy", append, Some("compact")));
    look(play, "after an append");
    play.ask("appends again", api, 1, one("cleanup.policy", append, Some("compact")));
    play.ask("subtracts", api, 1, one("cleanup.policy", subtract, Some("delete")));
    play.ask("subtracts what is not there", api, 1, one("cleanup.policy", subtract, Some("burn")));
    look(play, "after a subtraction");
    play.ask("appends to a number", api, 1, one("retention.ms", append, Some("1")));
    play.ask("appends nothing", api, 1, one("cleanup.policy", append, None));
    play.ask("operation 9", api, 1, one("retention.ms", 9, Some("1")));
    for (what, name, value) in SETTINGS {
        play.ask(what, api, 1, one(name, put, *value));
    }
    let checked = one("retention.ms", put, Some("77")).with_validate_only(true);
    play.ask("only checked", api, 1, checked);
    let good = [("retention.ms", put, Some("9"))];
    play.ask("unknown", api, 1, set(vec![of(TOPIC, "unknown", &good)]));
    play.ask("a bad name", api, 1, set(vec![of(TOPIC, "a b", &good)]));
    for kind in [0, 1, 3, 99] {
        play.ask(&format!("of kind {kind}"), api, 1, set(vec![of(kind, "changed", &good)]));
    }
    play.ask("none", api, 1, set(Vec::new()));
    play.ask("nothing", api, 1, set(vec![of(TOPIC, "changed", &[])]));
    let two = vec![of(TOPIC, "changed", &good), of(TOPIC, "unknown", &good)];
    play.ask("good and unknown", api, 1, set(two));
    let twice = set(vec![of(
        TOPIC,
        "changed",
        &[("retention.ms", put, Some("1")), ("retention.ms", put, Some("2"))],
    )]);
    play.ask("a name twice", api, 1, twice);
    play.ask(
        "a topic twice",
        api,
        1,
        set(vec![of(TOPIC, "changed", &good), of(TOPIC, "changed", &good)]),
    );
    look(play, "at last");
}
