//! A client of Kafka's wire: finds whoever is in charge, asks once, and tells how that ended.
//!
//! Owns its connections and what it knows of leaders and coordinators. It never sends an operation
//! twice on its own: only a workload knows what a second one means. It goes on by itself in two
//! cases, both without effect: who is in charge was not known, and a join was told its member id.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use ::wire::kafka_protocol::messages::{
    ApiVersionsRequest, FindCoordinatorRequest, MetadataRequest, MetadataResponse, ResponseKind,
};
use ::wire::kafka_protocol::protocol::StrBytes;
use ::wire::versions;
use serde_json::{Value, json};

use super::connection::{Connection, Unanswered};
use crate::dialects::Answer;
use crate::dialects::kafka::ask::{self, Asked, Route};
use crate::dialects::kafka::understand::{TopicNames, understand};
use crate::targets::brokers::Brokers;

/// Says that nothing was done: whoever is in charge was not found, or not reached.
const NOT_REACHED: u32 = 11;
/// Answers after which whoever is in charge is looked up again.
const MOVED: [&str; 7] = [
    "NOT_LEADER_OR_FOLLOWER",
    "LEADER_NOT_AVAILABLE",
    "FENCED_LEADER_EPOCH",
    "UNKNOWN_TOPIC_OR_PARTITION",
    "NOT_COORDINATOR",
    "COORDINATOR_NOT_AVAILABLE",
    "NOT_CONTROLLER",
];

/// An id that is not known is looked up so often.
const ID_LOOK_UPS: usize = 5;

/// How an operation ended.
#[derive(Debug)]
pub struct Done {
    /// The node that was asked, if one was.
    pub node: Option<usize>,
    /// Its fields as they were sent: with a member's id and a partition where the client chose.
    pub args: Value,
    /// `None`: nobody knows whether it took effect.
    pub answer: Option<Answer>,
}

/// What all clients of a run share.
#[derive(Debug)]
pub struct Shared {
    /// The brokers.
    pub brokers: RefCell<Brokers>,
    /// Goes before each name of a topic or a group, where a broker is not the arena's own.
    pub prefix: String,
    /// Who coordinates groups, as a client was told last.
    pub coordinator: RefCell<Option<usize>>,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Client {
    name: String,
    /// The node that it asks when it knows none better.
    home: usize,
    shared: Rc<Shared>,
    /// By node, and whether it is for the coordinator: a broker answers the requests of a connection
    /// in their order, and a join waits for its group.
    connections: RefCell<BTreeMap<(usize, bool), Rc<Connection>>>,
    leaders: RefCell<BTreeMap<(String, i32), usize>>,
    coordinators: RefCell<BTreeMap<String, usize>>,
    controller: RefCell<Option<usize>>,
    names: RefCell<TopicNames>,
    /// By group: the member id that it was given and has not joined with yet. Whoever asks for
    /// another leaves one behind that its group waits for.
    given: RefCell<BTreeMap<String, String>>,
}

/// It ended before it was sent, or after.
enum Trouble {
    NotSent(String),
    Unknown,
}

impl Client {
    /// A client without connections.
    pub fn new(name: String, home: usize, shared: Rc<Shared>) -> Self {
        Self {
            name,
            home,
            shared,
            connections: RefCell::default(),
            leaders: RefCell::default(),
            coordinators: RefCell::default(),
            controller: RefCell::default(),
            names: RefCell::default(),
            given: RefCell::default(),
        }
    }

    /// Asks once for an operation.
    pub async fn perform(&self, f: &str, mut args: Value) -> Done {
        let mut node = None;
        let ended = self.try_to(f, &mut args, &mut node).await;
        let answer = match ended {
            Ok(answer) => Some(answer),
            Err(Trouble::NotSent(error)) => {
                Some(Answer::Error { code: NOT_REACHED, error: Some(error) })
            }
            Err(Trouble::Unknown) => None,
        };
        Done { node, args, answer }
    }

    /// Whether a node answers, and knows so many brokers.
    pub async fn probe(&self, node: usize, brokers: usize) -> bool {
        match self.metadata(node).await {
            Ok(metadata) => metadata.brokers.len() >= brokers,
            Err(_) => false,
        }
    }

    /// Takes new connections, and asks who is in charge once more: somebody has hung too long.
    pub fn look_again(&self) {
        self.connections.borrow_mut().clear();
        self.leaders.borrow_mut().clear();
        self.coordinators.borrow_mut().clear();
        *self.controller.borrow_mut() = None;
    }

    async fn try_to(
        &self,
        f: &str,
        args: &mut Value,
        asked_node: &mut Option<usize>,
    ) -> Result<Answer, Trouble> {
        if f == "send" && args["partition"].is_null() {
            self.choose_partition(args).await?;
        }
        let mut named = false;
        if f == "join_group" && args["member_id"] == "" {
            named = self.take_given(args);
        }
        loop {
            let with_prefix = prefixed(args, &self.shared.prefix);
            self.learn_names(&with_prefix).await?;
            let request = ask::request(f, &with_prefix, now_ms(), &self.names.borrow());
            let request = request.map_err(Trouble::NotSent)?;
            let node = self.in_charge(&request.route).await?;
            *asked_node = Some(node);
            let reply = self.ask(node, &request).await?;
            self.learn_ids(&reply).await?;
            let told =
                understand(&mut self.names.borrow_mut(), &request.body, &reply, request.version);
            let Some(told) = told.into_iter().find(|told| told.f == f) else {
                return Err(Trouble::Unknown);
            };
            if f == "join_group" && !is_refused_for_now(&told.answer) {
                self.given.borrow_mut().remove(group_of(args));
            }
            match told.answer {
                Answer::Error { error: Some(error), .. }
                    if error == "MEMBER_ID_REQUIRED" && !named =>
                {
                    named = true;
                    let ResponseKind::JoinGroup(reply) = &reply else {
                        return Err(Trouble::Unknown);
                    };
                    args["member_id"] = json!(reply.member_id.as_str());
                    self.keep_given(args);
                }
                Answer::Error { code, error } => {
                    if error.as_deref().is_some_and(|error| MOVED.contains(&error)) {
                        self.forget(&request.route);
                    }
                    return Ok(Answer::Error { code, error });
                }
                Answer::Ok(result) => {
                    return Ok(Answer::Ok(without_prefix(result, &self.shared.prefix)));
                }
            }
        }
    }

    /// Joins with the id that was given for this group, if one was.
    fn take_given(&self, args: &mut Value) -> bool {
        let given = self.given.borrow().get(group_of(args)).cloned();
        let is_given = given.is_some();
        given.into_iter().for_each(|id| args["member_id"] = json!(id));
        is_given
    }

    fn keep_given(&self, args: &Value) {
        let id = args["member_id"].as_str().unwrap_or_default().to_owned();
        self.given.borrow_mut().insert(group_of(args).to_owned(), id);
    }

    /// Looks up the ids of topics that a member says it owns: it may be new to this connection.
    async fn learn_names(&self, args: &Value) -> Result<(), Trouble> {
        let mut owned = args["owned"].as_object().into_iter().flat_map(|topics| topics.keys());
        if owned.any(|topic| !self.names.borrow().has_id(topic)) {
            self.refresh().await?;
        }
        Ok(())
    }

    /// Looks up the names of the topics that an answer names by their ids. An answer that cannot be
    /// read in full is none: its member would own less than the broker believes.
    async fn learn_ids(&self, reply: &ResponseKind) -> Result<(), Trouble> {
        let ResponseKind::ConsumerGroupHeartbeat(reply) = reply else { return Ok(()) };
        let topics = || reply.assignment.iter().flat_map(|told| &told.topic_partitions);
        let known = |id: [u8; 16]| self.names.borrow().knows(id);
        let all_known = || topics().all(|topic| known(topic.topic_id.into_bytes()));
        for _ in 0..ID_LOOK_UPS {
            if all_known() {
                return Ok(());
            }
            self.refresh().await.map_err(|_| Trouble::Unknown)?;
        }
        if all_known() { Ok(()) } else { Err(Trouble::Unknown) }
    }

    /// A partition for a record that names none: by its key, else any.
    async fn choose_partition(&self, args: &mut Value) -> Result<(), Trouble> {
        let topic = args["topic"].as_str().unwrap_or_default();
        let topic = format!("{}{topic}", self.shared.prefix);
        let count = |leaders: &BTreeMap<(String, i32), usize>| {
            leaders.keys().filter(|(name, _)| *name == topic).count() as u64
        };
        if count(&self.leaders.borrow()) == 0 {
            self.refresh().await?;
        }
        let partitions = count(&self.leaders.borrow());
        if partitions == 0 {
            return Err(Trouble::NotSent("UNKNOWN_TOPIC_OR_PARTITION".to_owned()));
        }
        let text = args["key"].as_str().or(args["message"].as_str()).unwrap_or_default();
        let sum: u64 = text.bytes().fold(7, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte));
        args["partition"] = json!(sum % partitions);
        Ok(())
    }

    /// The node that a request is for.
    async fn in_charge(&self, route: &Route) -> Result<usize, Trouble> {
        if let Some(node) = self.known(route) {
            return Ok(node);
        }
        match route {
            Route::Any => Ok(self.home),
            Route::Leader(..) => {
                self.refresh().await?;
                let known = self.known(route);
                known.ok_or_else(|| Trouble::NotSent("LEADER_NOT_AVAILABLE".to_owned()))
            }
            Route::Controller => {
                self.refresh().await?;
                let known = self.known(route);
                known.ok_or_else(|| Trouble::NotSent("NOT_CONTROLLER".to_owned()))
            }
            Route::Coordinator(group) => self.find_coordinator(group).await,
        }
    }

    fn known(&self, route: &Route) -> Option<usize> {
        match route {
            Route::Leader(topic, partition) => {
                self.leaders.borrow().get(&(topic.clone(), *partition)).copied()
            }
            Route::Coordinator(group) => self.coordinators.borrow().get(group).copied(),
            Route::Controller => *self.controller.borrow(),
            Route::Any => None,
        }
    }

    fn forget(&self, route: &Route) {
        match route {
            Route::Leader(..) => self.leaders.borrow_mut().clear(),
            Route::Coordinator(group) => {
                self.coordinators.borrow_mut().remove(group);
            }
            Route::Controller => *self.controller.borrow_mut() = None,
            Route::Any => {}
        }
    }

    /// The node at home first, then the others: one of them answers, or nobody does.
    fn homes(&self) -> impl Iterator<Item = usize> {
        let count = self.shared.brokers.borrow().count();
        let home = self.home;
        (0..count).map(move |at| (home + at) % count.max(1))
    }

    async fn refresh(&self) -> Result<(), Trouble> {
        for node in self.homes() {
            let Ok(metadata) = self.metadata(node).await else { continue };
            self.learn(&metadata);
            return Ok(());
        }
        Err(Trouble::NotSent("BROKER_NOT_AVAILABLE".to_owned()))
    }

    async fn metadata(&self, node: usize) -> Result<MetadataResponse, Trouble> {
        let body = MetadataRequest::default().with_topics(None);
        let request =
            Asked { route: Route::Any, key: versions::METADATA, version: 12, body: body.into() };
        let reply = self.ask(node, &request).await?;
        // From version 10 on it tells the ids of topics.
        self.names.borrow_mut().learn(&reply);
        match reply {
            ResponseKind::Metadata(metadata) => Ok(metadata),
            _ => Err(Trouble::Unknown),
        }
    }

    fn learn(&self, metadata: &MetadataResponse) {
        let brokers = self.shared.brokers.borrow();
        let node_of = |id: i32| {
            let broker = metadata.brokers.iter().find(|broker| broker.node_id.0 == id)?;
            brokers.node_at(&broker.host, broker.port)
        };
        let mut leaders = self.leaders.borrow_mut();
        leaders.clear();
        for topic in &metadata.topics {
            let Some(name) = &topic.name else { continue };
            for partition in &topic.partitions {
                if let Some(node) = node_of(partition.leader_id.0) {
                    leaders.insert((name.to_string(), partition.partition_index), node);
                }
            }
        }
        *self.controller.borrow_mut() = node_of(metadata.controller_id.0);
    }

    async fn find_coordinator(&self, group: &str) -> Result<usize, Trouble> {
        let body =
            FindCoordinatorRequest::default().with_key(StrBytes::from_string(group.to_owned()));
        let (key, version) = (versions::FIND_COORDINATOR, 3);
        let request = Asked { route: Route::Any, key, version, body: body.into() };
        let mut last = "BROKER_NOT_AVAILABLE".to_owned();
        for node in self.homes() {
            let Ok(ResponseKind::FindCoordinator(reply)) = self.ask(node, &request).await else {
                continue;
            };
            let found = self.shared.brokers.borrow().node_at(&reply.host, reply.port);
            if let (0, Some(found)) = (reply.error_code, found) {
                self.coordinators.borrow_mut().insert(group.to_owned(), found);
                *self.shared.coordinator.borrow_mut() = Some(found);
                return Ok(found);
            }
            last = ::wire::errors::name(reply.error_code).unwrap_or("UNKNOWN").to_owned();
        }
        Err(Trouble::NotSent(last))
    }

    /// The first of these requests, by key, that a node does not advertise.
    pub async fn lacks(&self, node: usize, keys: &[i16]) -> Option<i16> {
        let body = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("arena"))
            .with_client_software_version(StrBytes::from_static_str("1"));
        let (key, version) = (versions::API_VERSIONS, 3);
        let request = Asked { route: Route::Any, key, version, body: body.into() };
        let Ok(ResponseKind::ApiVersions(reply)) = self.ask(node, &request).await else {
            return keys.first().copied();
        };
        let serves = |key: &i16| reply.api_keys.iter().any(|api| api.api_key == *key);
        keys.iter().copied().find(|key| !serves(key))
    }

    async fn ask(&self, node: usize, request: &Asked) -> Result<ResponseKind, Trouble> {
        let to = (node, matches!(request.route, Route::Coordinator(_)));
        let connection = self.connection(to).await.map_err(|_| {
            self.forget(&request.route);
            Trouble::NotSent("BROKER_NOT_AVAILABLE".to_owned())
        })?;
        let answer = connection.ask(request.key, request.version, &request.body).await;
        answer.map_err(|unanswered| {
            self.connections.borrow_mut().remove(&to);
            self.forget(&request.route);
            match unanswered {
                Unanswered::Unwritable(why) => Trouble::NotSent(why),
                Unanswered::Broken | Unanswered::Unreadable(_) => Trouble::Unknown,
            }
        })
    }

    async fn connection(&self, to: (usize, bool)) -> std::io::Result<Rc<Connection>> {
        let open = self.connections.borrow().get(&to).cloned();
        if let Some(open) = open.filter(|open| !open.has_ended()) {
            return Ok(open);
        }
        let address = self.shared.brokers.borrow().reached_at(to.0);
        let opened = Rc::new(Connection::open(address, &self.name).await?);
        self.connections.borrow_mut().insert(to, Rc::clone(&opened));
        Ok(opened)
    }
}

fn group_of(args: &Value) -> &str {
    args["group"].as_str().unwrap_or_default()
}

/// Whether the same is to be asked once more, and nothing was decided.
fn is_refused_for_now(answer: &Answer) -> bool {
    let error = if let Answer::Error { error, .. } = answer { error.as_deref() } else { None };
    error.is_some_and(|error| MOVED.contains(&error))
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(0)
}

/// Names of topics and groups with a prefix.
fn prefixed(args: &Value, prefix: &str) -> Value {
    let mut args = args.clone();
    if prefix.is_empty() {
        return args;
    }
    for field in ["topic", "group"] {
        if let Some(name) = args[field].as_str() {
            args[field] = json!(format!("{prefix}{name}"));
        }
    }
    let rename = |by_topic: &mut Value| {
        if let Value::Object(topics) = by_topic {
            let named = std::mem::take(topics).into_iter();
            *topics = named.map(|(topic, value)| (format!("{prefix}{topic}"), value)).collect();
        }
    };
    for topic in args["topics"].as_array_mut().into_iter().flatten() {
        *topic = json!(format!("{prefix}{}", topic.as_str().unwrap_or_default()));
    }
    rename(&mut args["owned"]);
    for protocol in args["protocols"].as_array_mut().into_iter().flatten() {
        for topic in protocol["topics"].as_array_mut().into_iter().flatten() {
            *topic = json!(format!("{prefix}{}", topic.as_str().unwrap_or_default()));
        }
        rename(&mut protocol["owned"]);
    }
    for assignment in
        args["assignments"].as_object_mut().into_iter().flat_map(|map| map.values_mut())
    {
        rename(assignment);
    }
    args
}

/// The same taken back, wherever a name stands. No message of the arena begins with the prefix.
pub(super) fn without_prefix(value: Value, prefix: &str) -> Value {
    let bare = |text: String| match text.strip_prefix(prefix) {
        Some(bare) => bare.to_owned(),
        None => text,
    };
    if prefix.is_empty() {
        return value;
    }
    match value {
        Value::String(text) => Value::String(bare(text)),
        Value::Array(items) => items.into_iter().map(|item| without_prefix(item, prefix)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, field)| (bare(name), without_prefix(field, prefix)))
            .collect(),
        other => other,
    }
}
