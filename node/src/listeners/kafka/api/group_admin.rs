//! ListGroups (16), DescribeGroups (15), DeleteGroups (42): groups as tools see them.

use state_machine::groups::command::{GroupCommand, GroupQuery};
use state_machine::groups::group::{GroupKind, GroupState};
use state_machine::groups::reply::{DescribedMember, Description, GroupReply};
use state_machine::ids::{Generation, GroupId};
use state_machine::reply::Reply;
use wire::errors;
use wire::kafka_protocol::messages as kafka;
use wire::kafka_protocol::messages::delete_groups_request::DeleteGroupsRequest;
use wire::kafka_protocol::messages::delete_groups_response::{
    DeletableGroupResult, DeleteGroupsResponse,
};
use wire::kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use wire::kafka_protocol::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use wire::kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use wire::kafka_protocol::messages::list_groups_response::{ListGroupsResponse, ListedGroup};
use wire::kafka_protocol::protocol::StrBytes;

use super::super::errors::About;
use super::members::code_of;
use super::{Context, once, text};
use crate::service::api::{Failure, Rejection};

/// Every group here is of Kafka's classic type.
const TYPE: &str = "classic";
/// The protocol type of groups whose members have one.
const CONSUMER: &str = "consumer";
/// Read, delete, describe, and both of configurations (Kafka's codes of `AclOperation` as bits).
const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;

/// Whether a filter lets a name through; none lets all through.
fn passes(filter: &[StrBytes], name: &str) -> bool {
    filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
}

pub(super) async fn list(cx: &Context, asked: ListGroupsRequest) -> ListGroupsResponse {
    let reply = ListGroupsResponse::default();
    // Clients ask every node and put the answers together.
    match cx.broker.leadership().leader {
        Some(leader) if leader == cx.broker.settings.node => {}
        Some(_) => return reply,
        // There may be groups, and nobody says which.
        None => return reply.with_error_code(errors::COORDINATOR_NOT_AVAILABLE),
    }
    let groups = match cx.asker.query(GroupQuery::List).await {
        Ok(Reply::Group(GroupReply::Listed(groups))) => groups,
        Ok(_) => return reply.with_error_code(errors::UNKNOWN_SERVER_ERROR),
        Err(failure) => return reply.with_error_code(About::Group.code(&failure)),
    };
    let wanted = |(_, _, state): &(GroupId, GroupKind, GroupState)| {
        passes(&asked.states_filter, state.name()) && passes(&asked.types_filter, TYPE)
    };
    let groups = groups.into_iter().filter(wanted).map(|(id, kind, state)| async move {
        let own_type = own_type(cx, &id, kind).await;
        let group = ListedGroup::default()
            .with_group_id(text(id.as_str()).into())
            .with_protocol_type(own_type);
        let group =
            if cx.version >= 4 { group.with_group_state(text(state.name())) } else { group };
        if cx.version >= 5 { group.with_group_type(text(TYPE)) } else { group }
    });
    reply.with_groups(futures::future::join_all(groups).await)
}

/// The protocol type of a group: what its members say, if it has any. A group that was removed
/// meanwhile has none.
async fn own_type(cx: &Context, id: &GroupId, kind: GroupKind) -> StrBytes {
    match kind {
        GroupKind::Classic => describe_one(cx, &text(id.as_str()).into()).await.protocol_type,
        GroupKind::Polling | GroupKind::Simple | GroupKind::Declared => text(protocol_type(kind)),
    }
}

/// Groups that only have offsets have none.
fn protocol_type(kind: GroupKind) -> &'static str {
    match kind {
        GroupKind::Classic | GroupKind::Polling => CONSUMER,
        GroupKind::Simple | GroupKind::Declared => "",
    }
}

pub(super) async fn describe(
    cx: &Context,
    mut asked: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    once::by_key(&mut asked.groups, Clone::clone);
    let refusal = cx.refusal(About::Group);
    let operations = if asked.include_authorized_operations { GROUP_OPERATIONS } else { i32::MIN };
    let mut groups = Vec::with_capacity(asked.groups.len());
    for id in asked.groups {
        let described = match refusal {
            Some(code) => DescribedGroup::default().with_error_code(code),
            None => describe_one(cx, &id).await,
        };
        groups.push(described.with_group_id(id).with_authorized_operations(operations));
    }
    DescribeGroupsResponse::default().with_groups(groups)
}

async fn describe_one(cx: &Context, id: &kafka::GroupId) -> DescribedGroup {
    let group = DescribedGroup::default();
    match cx.asker.query(GroupQuery::Describe { group: GroupId::from(id.as_str()) }).await {
        Ok(Reply::Group(GroupReply::Described(found))) => described(&found),
        Ok(_) => group.with_error_code(errors::UNKNOWN_SERVER_ERROR),
        Err(Failure::Rejected(Rejection::GroupNotFound(_))) => {
            group.with_group_state(text(GroupState::Dead.name()))
        }
        Err(failure) => group.with_error_code(About::Group.code(&failure)),
    }
}

fn described(found: &Description) -> DescribedGroup {
    // What members say is told once they agree on a protocol, and have shared. What they were given
    // is told until they share anew.
    let is_stable = found.state == GroupState::Stable;
    let told = |described: &DescribedMember| member(described, is_stable);
    let members = found.members.iter().filter_map(told).collect::<Vec<_>>();
    let own_type = found.members.iter().find_map(|member| member.client.as_ref());
    let own_type = own_type.map(|described| &*described.client.protocol_type);
    // Nobody has joined a group of that kind yet: somebody was given an id, and has said no more.
    let is_begun = found.kind != GroupKind::Classic || found.generation > Generation(0);
    let kinds_type = if is_begun { protocol_type(found.kind) } else { "" };
    let protocol = found.strategy.as_ref().filter(|_| is_stable);
    DescribedGroup::default()
        .with_group_state(text(found.state.name()))
        .with_protocol_type(text(own_type.unwrap_or(kinds_type)))
        .with_protocol_data(text(protocol.map_or("", |protocol| protocol.as_str())))
        .with_members(members)
}

/// A member of Kafka's own protocol; others cannot be told of.
fn member(member: &DescribedMember, is_stable: bool) -> Option<DescribedGroupMember> {
    let own = member.client.as_ref()?;
    let told = DescribedGroupMember::default()
        .with_member_id(text(member.member_id.as_str()))
        .with_group_instance_id(member.instance_id.as_ref().map(|id| text(id.as_str())))
        .with_client_id(text(&own.client.client_id))
        .with_client_host(text(&own.client.host))
        .with_member_assignment(own.given.clone());
    Some(if is_stable { told.with_member_metadata(own.metadata.clone()) } else { told })
}

pub(super) async fn delete(cx: &Context, mut asked: DeleteGroupsRequest) -> DeleteGroupsResponse {
    once::by_key(&mut asked.groups_names, Clone::clone);
    let refusal = cx.refusal(About::Group);
    let mut results = Vec::with_capacity(asked.groups_names.len());
    for id in asked.groups_names {
        let code = match refusal {
            Some(code) => code,
            None => {
                let group = GroupId::from(id.as_str());
                code_of(&cx.asker.command(GroupCommand::Delete { group }).await)
            }
        };
        results.push(DeletableGroupResult::default().with_group_id(id).with_error_code(code));
    }
    DeleteGroupsResponse::default().with_results(results)
}
