//! What Prometheus is told, in the text form of OpenMetrics.
//!
//! Series that begin with `kafka_` have the names and labels of kafka_exporter
//! (<https://github.com/danielqsj/kafka_exporter>), so that its dashboards work. Those of topics
//! and groups come from the leader alone: of several nodes that are scraped, one has them.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use runtime::durations::Measured;
use state_machine::groups::reply::Description;

use super::look::{self, Topic};
use super::{Admin, Failure};
use crate::connections::Connections;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfBroker {
    id: u64,
    address: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTopic {
    topic: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPartition {
    topic: String,
    partition: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfGroup {
    consumergroup: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfGroupTopic {
    consumergroup: String,
    topic: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfGroupPartition {
    consumergroup: String,
    topic: String,
    partition: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfApi {
    api: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfError {
    api: &'static str,
    error: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReason {
    reason: &'static str,
}

/// How long something took, in seconds: one histogram, or one for each set of labels.
#[derive(Debug)]
struct Histograms<L> {
    name: &'static str,
    help: &'static str,
    all: Vec<(Option<L>, Measured)>,
}

impl<L: EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static> Collector for Histograms<L> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let (unit, kind) = (Some(&Unit::Seconds), MetricType::Histogram);
        let mut family = encoder.encode_descriptor(self.name, self.help, unit, kind)?;
        for (labels, measured) in &self.all {
            // What has no bound has the greatest, which is told as infinite.
            let bounded = |(bound, count): &(Option<std::time::Duration>, u64)| {
                (bound.map_or(f64::MAX, |bound| bound.as_secs_f64()), *count)
            };
            let buckets: Vec<(f64, u64)> = measured.buckets.iter().map(bounded).collect();
            let (sum, count) = (measured.sum.as_secs_f64(), measured.count());
            match labels {
                Some(labels) => family
                    .encode_family(labels)?
                    .encode_histogram::<OfReason>(sum, count, &buckets, None)?,
                None => family.encode_histogram::<OfReason>(sum, count, &buckets, None)?,
            }
        }
        Ok(())
    }
}

/// Series that are told once: the registry is made for each answer.
struct Series(Registry);

impl Series {
    fn one(&mut self, name: &str, help: &str, value: u64) {
        let gauge = Gauge::<i64>::default();
        gauge.set(signed(value));
        self.0.register(name, help, gauge);
    }

    fn many<L>(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (L, u64)>)
    where
        L: EncodeLabelSet + Clone + Eq + std::hash::Hash + std::fmt::Debug + Send + Sync + 'static,
    {
        let family = Family::<L, Gauge>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(signed(value));
        }
        self.0.register(name, help, family);
    }

    /// Numbers that only grow. Their names end with `_total` besides.
    fn counts<L>(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (L, u64)>)
    where
        L: EncodeLabelSet + Clone + Eq + std::hash::Hash + std::fmt::Debug + Send + Sync + 'static,
    {
        let family = Family::<L, Counter>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }

    fn count(&mut self, name: &str, help: &str, value: u64) {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        self.0.register(name, help, counter);
    }

    /// How long something took. Their names end with `_seconds` besides.
    fn took<L>(
        &mut self,
        name: &'static str,
        help: &'static str,
        all: impl IntoIterator<Item = (Option<L>, Measured)>,
    ) where
        L: EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
    {
        let all = all.into_iter().collect();
        self.0.register_collector(Box::new(Histograms { name, help, all }));
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Everything that this node tells.
pub(super) async fn text(admin: &Admin) -> Result<String, Failure> {
    let mut series = Series(Registry::default());
    node(&mut series, admin);
    clients(&mut series, admin);
    measured(&mut series, admin);
    if admin.leader() == Some(admin.settings.node) {
        let found = look::topics(&admin.handle).await?;
        topics(&mut series, admin, &found);
        groups(&mut series, &look::groups(&admin.handle).await?);
    }
    let mut told = String::new();
    text::encode(&mut told, &series.0).expect("a string takes text");
    Ok(told)
}

fn node(series: &mut Series, admin: &Admin) {
    let up = admin.settings.directory.up().borrow().clone();
    series.one("kafka_brokers", "Nodes that are up", up.len() as u64);
    let brokers = up.into_iter().map(|(id, endpoint)| {
        let address = format!("{}:{}", endpoint.host, endpoint.port);
        (OfBroker { id, address }, 1)
    });
    series.many("kafka_broker_info", "A node that is up", brokers);
    let status = admin.handle.status();
    let leads = status.leader == Some(admin.settings.node);
    series.one("cohort_raft_leader", "Whether this node leads", leads.into());
    series.one("cohort_raft_term", "Raft's term", status.term);
    let index = |index: Option<u64>| index.unwrap_or_default();
    series.one("cohort_raft_log_index", "The log's last entry", index(status.last_log_index));
    series.one("cohort_raft_commit_index", "The last committed entry", index(status.commit_index));
    series.one("cohort_raft_applied_index", "The last applied entry", index(status.applied_index));
    let bytes = admin.handle.in_flight_bytes() as u64;
    series.one("cohort_requests_in_flight_bytes", "What requests under way take", bytes);
    let owed = admin.owed.count() as u64;
    series.one("cohort_kafka_answers_owed", "Requests of Kafka's clients under way", owed);
}

/// What Kafka's clients do at this node.
fn clients(series: &mut Series, admin: &Admin) {
    let counters = &admin.counters;
    connections(series, "kafka", "Connections of Kafka's clients", counters.connections());
    connections(series, "admin", "Connections to the admin port", &admin.connections);
    if let Some(peers) = &admin.peers {
        connections(series, "peer", "Connections to the peers' port", peers);
    }
    let requests = counters.requests().into_iter().map(|(api, count)| (OfApi { api }, count));
    series.counts("cohort_kafka_requests", "Requests that have come", requests);
    let errors = counters.errors().into_iter();
    let errors = errors.map(|(api, error, count)| (OfError { api, error }, count));
    series.counts("cohort_kafka_errors", "Errors that were told in answers", errors);
}

/// Those of a port, and what they are.
fn connections(series: &mut Series, port: &str, what: &str, connections: &Connections) {
    let name = format!("cohort_{port}_connections");
    series.one(&name, what, connections.open() as u64);
    series.count(&format!("{name}_taken"), &format!("{what} that were taken"), connections.taken());
    let refused = connections.refused();
    series.count(&format!("{name}_refused"), &format!("{what} beyond what is allowed"), refused);
}

/// What takes time at this node. Of several nodes each tells of the rebalances that it saw while it
/// led.
fn measured(series: &mut Series, admin: &Admin) {
    let syncs = admin.handle.syncs().map(|took| (None::<OfReason>, took));
    series.took("cohort_log_sync", "Syncs of the log to its disk", syncs);
    let rebalances = admin.handle.rebalances();
    let labels = |reason| OfReason { reason };
    let begun = rebalances.iter().map(|seen| (labels(seen.reason), seen.begun));
    series.counts("cohort_rebalances_begun", "Rebalances that have begun", begun);
    let took = rebalances.into_iter().map(|seen| (Some(labels(seen.reason)), seen.took));
    series.took("cohort_rebalance", "From the first reason until the group was stable", took);
}

fn topics(series: &mut Series, admin: &Admin, topics: &[Topic]) {
    let (replicas, up) = {
        let up = admin.settings.directory.up();
        let up = up.borrow().len() as u64;
        (admin.settings.directory.members().len() as u64, up)
    };
    let name = |topic: &Topic| topic.name.as_str().to_owned();
    let counts = topics.iter().map(|t| (OfTopic { topic: name(t) }, t.partitions.len() as u64));
    series.many("kafka_topic_partitions", "Partitions of a topic", counts);
    let mut of_partitions =
        |series_name: &str, help: &str, value: &dyn Fn(usize, &Topic) -> u64| {
            let all = topics.iter().flat_map(|topic| {
                (0..topic.partitions.len()).map(move |at| {
                    let partition = u32::try_from(at).unwrap_or(u32::MAX);
                    (OfPartition { topic: name(topic), partition }, value(at, topic))
                })
            });
            series.many(series_name, help, all);
        };
    of_partitions("kafka_topic_partition_current_offset", "The next offset", &|at, topic| {
        topic.partitions[at].end
    });
    of_partitions("kafka_topic_partition_oldest_offset", "The first offset", &|at, topic| {
        topic.partitions[at].start
    });
    let me = admin.settings.node;
    of_partitions("kafka_topic_partition_leader", "The node that leads it", &|_, _| me);
    of_partitions("kafka_topic_partition_leader_is_preferred", "Always", &|_, _| 1);
    of_partitions("kafka_topic_partition_replicas", "Nodes that have it", &|_, _| replicas);
    of_partitions("kafka_topic_partition_in_sync_replica", "Those that are up", &|_, _| up);
    of_partitions(
        "kafka_topic_partition_under_replicated_partition",
        "Whether a node that has it is down",
        &|_, _| (up < replicas).into(),
    );
    of_partitions("cohort_topic_partition_bytes", "Bytes of its records", &|at, topic| {
        topic.partitions[at].bytes
    });
}

fn groups(series: &mut Series, groups: &[Description]) {
    let name = |group: &Description| group.group.as_str().to_owned();
    let of_group = |value: fn(&Description) -> u64| {
        let labels = move |group| (OfGroup { consumergroup: name(group) }, value(group));
        groups.iter().map(labels)
    };
    let members = of_group(|group| group.members.len() as u64);
    series.many("kafka_consumergroup_members", "Members of a group", members);
    let rebalances = of_group(|group| group.rebalances);
    series.many("cohort_group_rebalances", "Rebalances that a group has completed", rebalances);
    // What nobody has committed has neither an offset nor a lag, as in kafka_exporter.
    let committed: Vec<_> = groups
        .iter()
        .flat_map(|group| group.offsets.iter().map(move |offset| (name(group), offset)))
        .filter_map(|(group, offset)| Some((group, offset, offset.reached()?)))
        .collect();
    let labels = |group: &str, topic: &str, partition: u32| OfGroupPartition {
        consumergroup: group.to_owned(),
        topic: topic.to_owned(),
        partition,
    };
    let sum_labels = |group: &str, topic: &str| OfGroupTopic {
        consumergroup: group.to_owned(),
        topic: topic.to_owned(),
    };
    let offsets = committed.iter().map(|(group, offset, committed)| {
        let at = &offset.partition;
        (labels(group, at.topic.as_str(), at.partition), *committed)
    });
    series.many("kafka_consumergroup_current_offset", "Committed offsets", offsets);
    let lags = committed.iter().map(|(group, offset, _)| {
        let at = &offset.partition;
        (labels(group, at.topic.as_str(), at.partition), offset.lag())
    });
    series.many("kafka_consumergroup_lag", "Records behind the committed offset", lags);
    let sums = committed.iter().map(|(group, offset, committed)| {
        (sum_labels(group, offset.partition.topic.as_str()), *committed)
    });
    series.many("kafka_consumergroup_current_offset_sum", "Committed offsets of a topic", sums);
    let sums = committed.iter().map(|(group, offset, _)| {
        (sum_labels(group, offset.partition.topic.as_str()), offset.lag())
    });
    series.many("kafka_consumergroup_lag_sum", "Records behind, of a topic", sums);
}
