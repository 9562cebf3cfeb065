//! Hands on time, for tests (only with `--dev`): what a test would have to sleep for is asked for.
//!
//! Each page is a POST whose query says what is to be done. What concerns groups and the clock is a
//! command like any other: it is replicated, and in order with what clients ask. Faults are kept by
//! the process ([`Faults`]). Wrong input is 400, what is not there 404, what cannot be done now
//! 409, what did not come in time 408; the body says why.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use state_machine::command::Command;
use state_machine::groups::command::{Expiring, GroupCommand, GroupQuery};
use state_machine::groups::group::GroupState;
use state_machine::groups::reply::{Description, GroupReply};
use state_machine::ids::{GroupId, NodeId, PartitionId, TopicName, TopicPartition};
use state_machine::rejection::Rejection;
use state_machine::reply::Reply;
use state_machine::topics::command::TopicQuery;
use state_machine::topics::reply::TopicReply;
use wire::{errors, versions};

use super::super::kafka::{self, Failing, Faults};
use super::{Admin, json, look, pages};
use crate::limits;
use crate::service::api::Failure;
use crate::service::handle::Handle;

/// What tests may do to the nodes of this process.
#[derive(Debug, Default)]
pub struct Dev {
    /// Those that its listeners put in.
    pub faults: Arc<Faults>,
    nodes: Mutex<Vec<(NodeId, Handle)>>,
}

impl Dev {
    /// A node of this process has started.
    pub fn add(&self, node: NodeId, handle: Handle) {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).push((node, handle));
    }

    fn handle_of(&self, node: NodeId) -> Option<Handle> {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.iter().find(|(id, _)| *id == node).map(|(_, handle)| handle.clone())
    }
}

/// The pages.
pub(super) fn pages() -> Router<Arc<Admin>> {
    Router::new()
        .route("/expire-member", post(expire_member))
        .route("/end-rebalance", post(end_rebalance))
        .route("/wait-for-group", post(wait_for_group))
        .route("/move-leadership", post(move_leadership))
        .route("/advance-clock", post(advance_clock))
        .route("/fail", post(fail))
        .route("/hold", post(hold))
        .route("/release", post(release))
}

/// Why something was not done.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, format!("{}\n", self.1)).into_response()
    }
}

impl From<QueryRejection> for Refused {
    fn from(rejection: QueryRejection) -> Self {
        Self(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let status = match &failure {
            Failure::Rejected(
                Rejection::GroupNotFound(_)
                | Rejection::UnknownMember { .. }
                | Rejection::UnknownTopic(_)
                | Rejection::UnknownPartition { .. },
            ) => StatusCode::NOT_FOUND,
            Failure::Rejected(_) => StatusCode::CONFLICT,
            Failure::Service(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, failure.to_string())
    }
}

fn wrong(problem: String) -> Refused {
    Refused(StatusCode::BAD_REQUEST, problem)
}

/// The answer to what was done, or why it was not.
type Answer = Result<Response, Refused>;

/// The query of a page, which may not be one.
type Asked<T> = Result<Query<T>, QueryRejection>;

type Cx = State<Arc<Admin>>;

fn done() -> Response {
    json(serde_json::json!({ "done": true }))
}

async fn command(admin: &Admin, command: impl Into<Command>) -> Answer {
    look::command(&admin.handle, command).await?;
    Ok(done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    group: String,
    /// Its member id, or its instance id.
    member: String,
}

async fn expire_member(State(admin): Cx, asked: Asked<Member>) -> Answer {
    let Query(Member { group, member }) = asked?;
    let what = Expiring::Session(member.as_str().into());
    command(&admin, GroupCommand::ExpireNow { group: group.as_str().into(), what }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    group: String,
}

async fn end_rebalance(State(admin): Cx, asked: Asked<Group>) -> Answer {
    let Query(Group { group }) = asked?;
    let what = Expiring::Rebalance;
    command(&admin, GroupCommand::ExpireNow { group: group.as_str().into(), what }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    ms: u32,
}

async fn advance_clock(State(admin): Cx, asked: Asked<Clock>) -> Answer {
    let Query(Clock { ms }) = asked?;
    command(&admin, Command::AdvanceClock { ms }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WaitFor {
    group: String,
    members: usize,
    #[serde(default = "default_wait")]
    timeout_ms: u32,
}

fn default_wait() -> u32 {
    30_000
}

/// Waits until a group is stable and has so many members; 0: until it has none.
async fn wait_for_group(State(admin): Cx, asked: Asked<WaitFor>) -> Answer {
    let Query(WaitFor { group, members, timeout_ms }) = asked?;
    let group = GroupId::from(group.as_str());
    let is_there = |found: &Option<Description>| match found {
        None => members == 0,
        Some(found) => {
            let settled = [GroupState::Stable, GroupState::Empty].contains(&found.state);
            settled && found.members.len() == members
        }
    };
    let mut last = None;
    let reached = async {
        loop {
            // Before the look, so that nothing comes between.
            let changed = admin.handle.group_changed();
            let found = describe(&admin, &group).await?;
            if is_there(&found) {
                return Ok::<_, Failure>(found);
            }
            last = found;
            // A node that follows hears of no changes, and looks again.
            tokio::select! {
                () = changed.happened() => {}
                () = runtime::sleep(limits::GROUP_LOOK) => {}
            }
        }
    };
    let reached = tokio::select! {
        biased;
        found = reached => Some(found),
        () = runtime::sleep(Duration::from_millis(timeout_ms.into())) => None,
    };
    match reached {
        Some(found) => Ok(json(found?.as_ref().map_or(serde_json::Value::Null, pages::group))),
        None => {
            let now = last.map_or("it does not exist".to_owned(), |found| {
                format!("it has {} and is {}", found.members.len(), found.state.name())
            });
            let problem =
                format!("group `{group}` has not {members} members after {timeout_ms} ms: {now}");
            Err(Refused(StatusCode::REQUEST_TIMEOUT, problem))
        }
    }
}

async fn describe(admin: &Admin, group: &GroupId) -> Result<Option<Description>, Failure> {
    match look::ask(&admin.handle, GroupQuery::Describe { group: group.clone() }).await {
        Ok(Reply::Group(GroupReply::Described(description))) => Ok(Some(*description)),
        Ok(_) | Err(Failure::Rejected(Rejection::GroupNotFound(_))) => Ok(None),
        Err(failure) => Err(failure),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leader {
    node: NodeId,
}

async fn move_leadership(State(admin): Cx, asked: Asked<Leader>) -> Answer {
    let Query(Leader { node }) = asked?;
    let members = admin.settings.directory.members();
    if !members.contains(&node) {
        return Err(wrong(format!("node {node}, expected one of {members:?}")));
    }
    let conflict = |problem: String| Refused(StatusCode::CONFLICT, problem);
    let leader = admin.leader().ok_or_else(|| conflict("nobody leads".to_owned()))?;
    if leader == node {
        return Ok(done());
    }
    let dev = admin.dev.as_ref();
    let handle = dev.and_then(|dev| dev.handle_of(leader));
    let elsewhere = || conflict(format!("n{leader} leads, in another process: ask it"));
    handle.ok_or_else(elsewhere)?.hand_over(node);
    let mut leadership = admin.handle.leadership();
    tokio::select! {
        biased;
        led = leadership.wait_for(|now| now.leader == Some(node)) => match led {
            Ok(_) => {}
            Err(_) => return Err(conflict("the node has ended".to_owned())),
        },
        () = runtime::sleep(limits::HAND_OVER) => {
            let most = limits::HAND_OVER.as_secs();
            return Err(conflict(format!("n{node} does not lead after {most} s")));
        }
    }
    Ok(done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fail {
    api: String,
    /// By Kafka's name, or its number.
    error: String,
    client: Option<String>,
    #[serde(default = "once")]
    times: u32,
}

fn once() -> u32 {
    1
}

async fn fail(State(admin): Cx, asked: Asked<Fail>) -> Answer {
    let Query(Fail { api, error, client, times }) = asked?;
    let can_fail = |known: &&versions::Api| kafka::can_be_made_fail(known.key);
    let found = versions::ALL.iter().filter(can_fail).find(|known| known.name == api);
    let Some(found) = found else {
        let names: Vec<_> = versions::ALL.iter().filter(can_fail).map(|it| it.name).collect();
        return Err(wrong(format!("api {api:?}, expected one of {}", names.join(", "))));
    };
    let code = error.parse().ok().or_else(|| errors::by_name(&error)).filter(|code| *code != 0);
    let Some(code) = code else {
        let problem = format!("error {error:?}, expected a name of Kafka's or its code");
        return Err(wrong(problem));
    };
    if times == 0 {
        return Err(wrong("times 0, expected 1 or more".to_owned()));
    }
    faults(&admin)?.fail(Failing { client, api: found.key, code, times });
    Ok(done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Partition {
    topic: String,
    partition: PartitionId,
}

async fn hold(State(admin): Cx, asked: Asked<Partition>) -> Answer {
    let Query(Partition { topic, partition }) = asked?;
    let topic = TopicName::from(topic.as_str());
    let query = TopicQuery::Describe { topics: Some(vec![topic.clone()]) };
    let found = match look::ask(&admin.handle, query).await? {
        Reply::Topic(TopicReply::Described(mut found)) => found.pop().and_then(|it| it.1),
        _ => None,
    };
    let partitions = found.map_or(0, |found| found.partitions);
    if partition >= partitions {
        let problem = format!("topic `{topic}` has {partitions} partitions, not {partition}");
        return Err(Refused(StatusCode::NOT_FOUND, problem));
    }
    faults(&admin)?.hold(TopicPartition { topic, partition }, true);
    Ok(done())
}

async fn release(State(admin): Cx, asked: Asked<Partition>) -> Answer {
    let Query(Partition { topic, partition }) = asked?;
    let at = TopicPartition { topic: topic.as_str().into(), partition };
    let problem = format!("{at} is not held");
    if faults(&admin)?.hold(at, false) {
        Ok(done())
    } else {
        Err(Refused(StatusCode::NOT_FOUND, problem))
    }
}

fn faults(admin: &Admin) -> Result<&Faults, Refused> {
    let dev = admin.dev.as_ref();
    dev.map(|dev| &*dev.faults)
        .ok_or_else(|| Refused(StatusCode::NOT_FOUND, "only with --dev".to_owned()))
}
