//! Looks at everything there is, by the same queries as clients.

use runtime::Instant;
use state_machine::command::{Command, Query};
use state_machine::groups::command::GroupQuery;
use state_machine::groups::reply::{Description, GroupReply};
use state_machine::ids::TopicName;
use state_machine::reply::Reply;
use state_machine::topics::command::{OffsetAt, TopicQuery};
use state_machine::topics::reply::{OffsetsFound, TopicReply};

use crate::service::api::{Completion, Failure, Rejection, Request, Response, ServiceError};
use crate::service::handle::Handle;

/// A topic.
pub(super) struct Topic {
    pub(super) name: TopicName,
    /// In the order of their numbers.
    pub(super) partitions: Vec<OffsetsFound>,
}

/// All topics, in the order of their names.
pub(super) async fn topics(handle: &Handle) -> Result<Vec<Topic>, Failure> {
    let found = match ask(handle, TopicQuery::Describe { topics: None }).await? {
        Reply::Topic(TopicReply::Described(found)) => found,
        _ => Vec::new(),
    };
    let mut topics = Vec::with_capacity(found.len());
    for (name, description) in found {
        let Some(description) = description else { continue };
        let at = |partition| OffsetAt { topic: name.clone(), partition, since: None };
        let partitions = (0..description.partitions).map(at).collect();
        if let Reply::Topic(TopicReply::Offsets(found)) =
            ask(handle, TopicQuery::Offsets { partitions }).await?
        {
            // A topic that was removed meanwhile has none any more.
            let partitions = found.into_iter().filter_map(Result::ok).collect();
            topics.push(Topic { name, partitions });
        }
    }
    Ok(topics)
}

/// All groups, in the order of their names.
pub(super) async fn groups(handle: &Handle) -> Result<Vec<Description>, Failure> {
    let listed = match ask(handle, GroupQuery::List).await? {
        Reply::Group(GroupReply::Listed(listed)) => listed,
        _ => Vec::new(),
    };
    let mut groups = Vec::with_capacity(listed.len());
    for (group, ..) in listed {
        match ask(handle, GroupQuery::Describe { group }).await {
            Ok(Reply::Group(GroupReply::Described(description))) => groups.push(*description),
            // It was removed meanwhile.
            Ok(_) | Err(Failure::Rejected(Rejection::GroupNotFound(_))) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(groups)
}

/// Asks, as a client does.
pub(super) async fn ask(handle: &Handle, query: impl Into<Query>) -> Response {
    submit(handle, Request::Query(query.into())).await
}

/// Has something done, as a client does.
pub(super) async fn command(handle: &Handle, command: impl Into<Command>) -> Response {
    submit(handle, Request::Command(command.into())).await
}

async fn submit(handle: &Handle, request: Request) -> Response {
    let connection = handle.connect();
    connection.submit(0, 1, request, Instant::now());
    let response = loop {
        connection.replied().await;
        if let Some(replied) = connection.take_replies().pop() {
            break match replied.completion {
                Completion::Done(response) => response,
                // None of these waits for its group.
                Completion::Delayed => Err(ServiceError::Closed.into()),
            };
        }
    };
    connection.close();
    response
}
