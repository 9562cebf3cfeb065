//! What the listener counts, for who looks at it from outside.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wire::kafka_protocol::messages::ResponseKind;
use wire::{errors, versions};

use crate::connections::Connections;

/// Keys of requests are below.
const KEYS: usize = 128;

/// See the [module](self). Clones are the same numbers.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connections: Connections,
    requests: [AtomicU64; KEYS],
    /// By the request's key and the code.
    errors: Mutex<BTreeMap<(i16, i16), u64>>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            connections: Connections::default(),
            requests: [const { AtomicU64::new(0) }; KEYS],
            errors: Mutex::default(),
        }
    }
}

impl Counters {
    /// Connections of clients.
    pub fn connections(&self) -> &Connections {
        &self.0.connections
    }

    /// How many requests of each API have come, by its name, where any have.
    pub fn requests(&self) -> Vec<(&'static str, u64)> {
        let counts = (0_i16..).zip(&self.0.requests);
        let counts = counts.map(|(key, count)| (api(key), count.load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// How often each error was told in answers to requests of an API: the API's name, Kafka's name
    /// of the error, how often. An answer may tell several.
    pub fn errors(&self) -> Vec<(&'static str, String, u64)> {
        let counts = self.0.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |(&(key, code), &count): (&(i16, i16), &u64)| {
            let name = errors::name(code).map_or_else(|| code.to_string(), str::to_owned);
            (api(key), name, count)
        };
        counts.iter().map(told).collect()
    }

    /// A request has come.
    pub(super) fn request(&self, key: i16) {
        if let Some(count) = usize::try_from(key).ok().and_then(|key| self.0.requests.get(key)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request is answered.
    pub(super) fn answer(&self, key: i16, reply: &ResponseKind) {
        codes(reply, &mut |code| {
            if code != errors::NONE {
                self.error(key, code);
            }
        });
    }

    /// An answer tells an error.
    pub(super) fn error(&self, key: i16, code: i16) {
        let mut errors = self.0.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry((key, code)).or_default() += 1;
    }
}

fn api(key: i16) -> &'static str {
    versions::find(key).map_or("?", |api| api.name)
}

/// All error codes that an answer has.
fn codes(reply: &ResponseKind, tell: &mut impl FnMut(i16)) {
    /// The codes of a list, and of lists within it.
    macro_rules! each {
        ($list:expr) => {
            $list.iter().for_each(|it| tell(it.error_code))
        };
        ($list:expr, $inner:ident) => {
            $list.iter().for_each(|it| each!(it.$inner))
        };
    }
    match reply {
        ResponseKind::Produce(it) => each!(it.responses, partition_responses),
        ResponseKind::Fetch(it) => {
            tell(it.error_code);
            each!(it.responses, partitions);
        }
        ResponseKind::ListOffsets(it) => each!(it.topics, partitions),
        ResponseKind::Metadata(it) => {
            each!(it.topics);
            each!(it.topics, partitions);
        }
        ResponseKind::OffsetCommit(it) => each!(it.topics, partitions),
        ResponseKind::OffsetFetch(it) => {
            tell(it.error_code);
            each!(it.topics, partitions);
            each!(it.groups);
            it.groups.iter().for_each(|group| each!(group.topics, partitions));
        }
        ResponseKind::FindCoordinator(it) => {
            tell(it.error_code);
            each!(it.coordinators);
        }
        ResponseKind::LeaveGroup(it) => {
            tell(it.error_code);
            each!(it.members);
        }
        ResponseKind::OffsetDelete(it) => {
            tell(it.error_code);
            each!(it.topics, partitions);
        }
        ResponseKind::OffsetForLeaderEpoch(it) => each!(it.topics, partitions),
        ResponseKind::DeleteRecords(it) => each!(it.topics, partitions),
        ResponseKind::DescribeLogDirs(it) => {
            tell(it.error_code);
            each!(it.results);
        }
        ResponseKind::DescribeGroups(it) => each!(it.groups),
        ResponseKind::DeleteGroups(it) => each!(it.results),
        ResponseKind::CreateTopics(it) => each!(it.topics),
        ResponseKind::DeleteTopics(it) => each!(it.responses),
        ResponseKind::CreatePartitions(it) => each!(it.results),
        ResponseKind::DescribeConfigs(it) => each!(it.results),
        ResponseKind::AlterConfigs(it) => each!(it.responses),
        ResponseKind::IncrementalAlterConfigs(it) => each!(it.responses),
        ResponseKind::ApiVersions(it) => tell(it.error_code),
        ResponseKind::JoinGroup(it) => tell(it.error_code),
        ResponseKind::SyncGroup(it) => tell(it.error_code),
        ResponseKind::Heartbeat(it) => tell(it.error_code),
        ResponseKind::ListGroups(it) => tell(it.error_code),
        ResponseKind::InitProducerId(it) => tell(it.error_code),
        ResponseKind::DescribeCluster(it) => tell(it.error_code),
        ResponseKind::ListPartitionReassignments(it) => tell(it.error_code),
        ResponseKind::DescribeAcls(it) => tell(it.error_code),
        // Not served.
        _ => {}
    }
}
