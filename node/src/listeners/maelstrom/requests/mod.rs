//! From a body's fields to a request: names, types, ranges, defaults. Everything that is wrong with
//! a request on its own is found here, and named.
//!
//! [`decode`] is the table of all requests. Each domain reads its own in a file of its own, with
//! the fields' reader (`body`).

mod body;
mod computed;
mod groups;
mod keyed_logs;
mod offsets;
mod registers;
mod topics;

use state_machine::command::{Command, Query};
use state_machine::groups::command::GroupQuery;
use state_machine::ids::PartitionId;
use state_machine::producers::command::ProducerCommand;
use state_machine::topics::command::TopicQuery;

use self::body::{Body, shown};
use super::envelope::Fields;
use super::errors::BadRequest;
use super::json;
use super::records::Encoder;
use crate::config::Config;
use crate::service::api::Request;

/// How the reply to a request is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyShape {
    /// The reply's type.
    pub ok: &'static str,
    /// The partition that the request names, where the reply repeats it.
    pub partition: Option<PartitionId>,
}

impl ReplyShape {
    /// Whether it is the reply to a commit in Maelstrom's logs.
    pub fn is_log_commit(self) -> bool {
        self.ok == LOG_COMMIT_OK
    }
}

/// The reply to a commit in Maelstrom's logs.
const LOG_COMMIT_OK: &str = "commit_offsets_ok";

/// What a body asks for.
#[derive(Debug)]
pub enum Decoded {
    /// Its own text back.
    Echo(String),
    /// Nothing.
    Topology,
    /// What this node knows.
    Status,
    /// Something that has been computed already: a type and the reply's fields.
    Computed(&'static str, String),
    /// The service.
    Service(Request, ReplyShape),
}

type Result<T> = std::result::Result<T, BadRequest>;

fn invalid<T>(text: String) -> Result<T> {
    Err(BadRequest::Invalid(text))
}

fn shape(ok: &'static str) -> ReplyShape {
    ReplyShape { ok, partition: None }
}

fn command(ok: &'static str, command: impl Into<Command>) -> Result<Decoded> {
    Ok(Decoded::Service(Request::Command(command.into()), shape(ok)))
}

fn query(ok: &'static str, query: impl Into<Query>) -> Result<Decoded> {
    Ok(Decoded::Service(Request::Query(query.into()), shape(ok)))
}

/// Reads the body of a request of type `kind`; its records are made by `encoder`.
///
/// # Errors
/// What is wrong with it, by field, value and what was expected.
pub fn decode(
    kind: &str,
    fields: &Fields<'_>,
    config: &Config,
    encoder: &mut Encoder,
) -> Result<Decoded> {
    let body = &Body(fields);
    match kind {
        "echo" => Ok(Decoded::Echo(json::one_line(body.any("echo")?).into_owned())),
        "topology" => Ok(Decoded::Topology),
        "cluster_status" => Ok(Decoded::Status),
        "send" => topics::send(body, config, encoder),
        "poll" => groups::poll(body),
        "subscribe" => command("subscribe_ok", groups::subscribe(body, config)?),
        "heartbeat" => groups::heartbeat(body),
        "join_group" => command("join_group_ok", groups::join_group(body, config)?),
        "commit_offsets" => keyed_logs::commit_offsets(body),
        "list_committed_offsets" => keyed_logs::list_committed_offsets(body),
        "create_topic" => topics::create_topic(body),
        "create_partitions" => topics::create_partitions(body),
        "delete_topic" => topics::delete_topic(body),
        "delete_records" => topics::delete_records(body),
        "init_producer" => command("init_producer_ok", ProducerCommand::Make),
        "list_topics" => query("list_topics_ok", TopicQuery::List),
        "fetch" => topics::fetch(body),
        "commit_offset" => offsets::commit_offset(body),
        "fetch_offset" => offsets::fetch_offset(body),
        "commit" => offsets::commit(body),
        "delete_offsets" => offsets::delete_offsets(body),
        "consumer_rebalance" => groups::consumer_rebalance(body),
        "unsubscribe" => groups::unsubscribe(body),
        "sync_group" => groups::sync_group(body),
        "leave_group" => groups::leave_group(body),
        "list_groups" => query("list_groups_ok", GroupQuery::List),
        "describe_group" => groups::describe_group(body),
        "delete_group" => groups::delete_group(body),
        "read" => registers::read(body),
        "write" => registers::write(body),
        "cas" => registers::cas(body),
        "calculate_session_timeout" => computed::calculate_session_timeout(body),
        "estimate_consumer_throughput" => computed::estimate_consumer_throughput(body),
        unknown => Err(BadRequest::UnknownType(shown(unknown))),
    }
}
