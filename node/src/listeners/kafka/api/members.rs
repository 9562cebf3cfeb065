//! JoinGroup (11), SyncGroup (14), Heartbeat (12), LeaveGroup (13): members of a classic group.
//!
//! What members say to each other goes through byte for byte. Only the topics that members of type
//! `consumer` subscribe to are read here, so that offsets of topics that are read are not removed.

use std::collections::BTreeSet;

use bytes::Bytes;
use state_machine::groups::classic::command::{
    Agreed, Assignments, ClassicCommand, Client, JoinInfo, Protocol,
};
use state_machine::groups::classic::reply::{ClassicReply, JoinedMember};
use state_machine::groups::command::GroupQuery;
use state_machine::groups::reply::GroupReply;
use state_machine::ids::{Generation, GroupId, InstanceId, MemberId, TopicName};
use state_machine::reply::Reply;
use wire::kafka_protocol::messages::heartbeat_request::HeartbeatRequest;
use wire::kafka_protocol::messages::heartbeat_response::HeartbeatResponse;
use wire::kafka_protocol::messages::join_group_request::{
    JoinGroupRequest, JoinGroupRequestProtocol,
};
use wire::kafka_protocol::messages::join_group_response::{
    JoinGroupResponse, JoinGroupResponseMember,
};
use wire::kafka_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use wire::kafka_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use wire::kafka_protocol::messages::sync_group_request::SyncGroupRequest;
use wire::kafka_protocol::messages::sync_group_response::SyncGroupResponse;
use wire::kafka_protocol::protocol::StrBytes;
use wire::{consumer, errors};

use super::super::errors::About;
use super::{Context, text};
use crate::limits;
use crate::service::api::{Rejection, Response};

/// The protocol type of consumers.
const CONSUMER: &str = "consumer";

/// From here on clients understand that they are given a member id first (KIP-394).
const ID_FIRST_FROM: i16 = 4;

/// From here on a member that is not understood is told so in a reply of its own.
const NULLABLE_NAME_FROM: i16 = 7;

/// From here on a static leader that comes back is told that it has nothing to share (KIP-814).
const SKIP_ASSIGNMENT_FROM: i16 = 9;

/// From here on who asks for an assignment says by which protocol.
const PROTOCOL_FROM: i16 = 5;

/// A name that a group, a member or an instance may have.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= limits::KAFKA_NAME
}

fn instance(id: Option<&StrBytes>) -> Option<InstanceId> {
    id.map(|id| InstanceId::from(id.as_str()))
}

pub(super) async fn join(cx: &Context, asked: JoinGroupRequest) -> JoinGroupResponse {
    let bounds = cx.broker.settings.session_timeout;
    let session = u32::try_from(asked.session_timeout_ms).ok();
    let session = session.filter(|ms| (bounds.min..=bounds.max).contains(ms));
    let group = &asked.group_id;
    let refused = if group.is_empty() || !is_name(group) {
        Some(errors::INVALID_GROUP_ID)
    } else if !is_name(&asked.member_id)
        || asked.group_instance_id.as_ref().is_some_and(|id| !is_name(id))
    {
        Some(errors::INVALID_REQUEST)
    } else if session.is_none() {
        Some(errors::INVALID_SESSION_TIMEOUT)
    } else if asked.protocol_type.is_empty() || asked.protocols.is_empty() {
        Some(errors::INCONSISTENT_GROUP_PROTOCOL)
    } else {
        cx.refusal(About::Group)
    };
    if let (Some(code), _) | (None, (Some(code), None)) = (refused, (None, session)) {
        return refused_join(cx, code, asked.member_id);
    }
    let response = cx.asker.command(join_command(cx, &asked, session.unwrap_or(bounds.min))).await;
    match response {
        Ok(Reply::Group(GroupReply::Classic(ClassicReply::Joined {
            generation,
            protocol,
            leader,
            member_id,
            members,
            replaced,
        }))) => {
            let replaced = replaced.filter(|_| leader == member_id);
            let told = JoinGroupResponse::default()
                .with_generation_id(generation.0)
                .with_protocol_type(protocol_type(cx, &asked.protocol_type))
                .with_protocol_name(Some(text(protocol.as_str())))
                .with_member_id(text(member_id.as_str()));
            match replaced {
                // It cannot be told to share nothing, so it is told that another one leads.
                Some(replaced) if cx.version < SKIP_ASSIGNMENT_FROM => {
                    told.with_leader(text(replaced.as_str()))
                }
                replaced => told
                    .with_leader(text(leader.as_str()))
                    .with_members(members.into_iter().map(joined_member).collect())
                    .with_skip_assignment(replaced.is_some()),
            }
        }
        Ok(Reply::Group(GroupReply::Classic(ClassicReply::IdGiven { member_id }))) => {
            refused_join(cx, errors::MEMBER_ID_REQUIRED, text(member_id.as_str()))
        }
        Ok(_) => refused_join(cx, errors::UNKNOWN_SERVER_ERROR, asked.member_id),
        Err(failure) => refused_join(cx, About::Group.code(&failure), asked.member_id),
    }
}

fn joined_member(member: JoinedMember) -> JoinGroupResponseMember {
    JoinGroupResponseMember::default()
        .with_member_id(text(member.member_id.as_str()))
        .with_group_instance_id(member.instance_id.map(|id| text(id.as_str())))
        .with_metadata(member.metadata)
}

/// Told from version 7 on.
fn protocol_type(cx: &Context, name: &StrBytes) -> Option<StrBytes> {
    (cx.version >= NULLABLE_NAME_FROM).then(|| name.clone())
}

fn refused_join(cx: &Context, code: i16, member: StrBytes) -> JoinGroupResponse {
    let name = (cx.version < NULLABLE_NAME_FROM).then(StrBytes::default);
    JoinGroupResponse::default()
        .with_error_code(code)
        .with_generation_id(-1)
        .with_protocol_name(name)
        .with_member_id(member)
}

fn join_command(cx: &Context, asked: &JoinGroupRequest, session_timeout_ms: u32) -> ClassicCommand {
    // Version 0 has none.
    let rebalance = u32::try_from(asked.rebalance_timeout_ms).unwrap_or(session_timeout_ms);
    let is_consumer = asked.protocol_type.as_str() == CONSUMER;
    let protocol = |offered: &JoinGroupRequestProtocol| Protocol {
        name: offered.name.as_str().into(),
        topics: if is_consumer { topics(&offered.metadata) } else { Vec::new() },
        owned: Vec::new(),
        generation: None,
        metadata: offered.metadata.clone(),
    };
    let member = Some(asked.member_id.as_str()).filter(|id| !id.is_empty());
    ClassicCommand::Join {
        group: GroupId::from(asked.group_id.as_str()),
        member: member.map(MemberId::from),
        id_first: cx.version >= ID_FIRST_FROM,
        info: JoinInfo {
            instance_id: instance(asked.group_instance_id.as_ref()),
            session_timeout_ms,
            rebalance_timeout_ms: rebalance,
            protocols: asked.protocols.iter().map(protocol).collect(),
            client: Some(Client {
                protocol_type: asked.protocol_type.as_str().into(),
                client_id: cx.client_id.clone(),
                host: cx.host.clone(),
            }),
        },
    }
}

/// What a consumer subscribes to; nothing where that cannot be read.
fn topics(metadata: &Bytes) -> Vec<TopicName> {
    let Ok(subscription) = consumer::Subscription::parse(metadata) else { return Vec::new() };
    let topics: BTreeSet<_> =
        subscription.topics.iter().map(|topic| TopicName::from(topic.as_str())).collect();
    topics.into_iter().collect()
}

pub(super) async fn sync(cx: &Context, asked: SyncGroupRequest) -> SyncGroupResponse {
    let assignments = asked
        .assignments
        .iter()
        .map(|given| (MemberId::from(given.member_id.as_str()), given.assignment.clone()))
        .collect();
    let command = ClassicCommand::Sync {
        group: GroupId::from(asked.group_id.as_str()),
        member: MemberId::from(asked.member_id.as_str()),
        instance_id: instance(asked.group_instance_id.as_ref()),
        generation: Generation(asked.generation_id),
        agreed: Agreed {
            protocol_type: asked.protocol_type.as_deref().map(Into::into),
            protocol: asked.protocol_name.as_deref().map(Into::into),
        },
        assignments: Some(Assignments::Opaque(assignments)),
    };
    let says_nothing = asked.protocol_type.is_none() || asked.protocol_name.is_none();
    let refused = if cx.version >= PROTOCOL_FROM && says_nothing {
        Some(errors::INCONSISTENT_GROUP_PROTOCOL)
    } else if asked.group_id.is_empty() {
        Some(errors::INVALID_GROUP_ID)
    } else {
        cx.refusal(About::Group)
    };
    if let Some(code) = refused {
        return SyncGroupResponse::default().with_error_code(code);
    }
    match cx.asker.command(command).await {
        Ok(Reply::Group(GroupReply::Classic(ClassicReply::Synced { given, .. }))) => {
            SyncGroupResponse::default()
                .with_protocol_type(asked.protocol_type)
                .with_protocol_name(asked.protocol_name)
                .with_assignment(given)
        }
        Ok(_) => SyncGroupResponse::default().with_error_code(errors::UNKNOWN_SERVER_ERROR),
        Err(failure) => SyncGroupResponse::default().with_error_code(About::Group.code(&failure)),
    }
}

pub(super) async fn heartbeat(cx: &Context, asked: HeartbeatRequest) -> HeartbeatResponse {
    let code = match cx.refusal(About::Group) {
        _ if asked.group_id.is_empty() => errors::INVALID_GROUP_ID,
        Some(code) => code,
        None => {
            let query = GroupQuery::ClassicHeartbeat {
                group: GroupId::from(asked.group_id.as_str()),
                member: MemberId::from(asked.member_id.as_str()),
                instance_id: instance(asked.group_instance_id.as_ref()),
                generation: Generation(asked.generation_id),
            };
            code_of(&cx.asker.query(query).await)
        }
    };
    HeartbeatResponse::default().with_error_code(code)
}

/// The code of a request that has nothing else to tell.
pub(super) fn code_of(response: &Response) -> i16 {
    response.as_ref().map_or_else(|failure| About::Group.code(failure), |_| errors::NONE)
}

pub(super) async fn leave(cx: &Context, asked: LeaveGroupRequest) -> LeaveGroupResponse {
    let reply = LeaveGroupResponse::default();
    if let Some(code) = cx.refusal(About::Group) {
        return reply.with_error_code(code);
    }
    if asked.group_id.is_empty() {
        return reply.with_error_code(errors::INVALID_GROUP_ID);
    }
    let group = GroupId::from(asked.group_id.as_str());
    if cx.version < 3 {
        let alone = MemberIdentity::default().with_member_id(asked.member_id);
        return reply.with_error_code(leave_one(cx, &group, &alone).await);
    }
    let mut members = Vec::with_capacity(asked.members.len());
    for member in asked.members {
        let code = leave_one(cx, &group, &member).await;
        members.push(
            MemberResponse::default()
                .with_member_id(member.member_id)
                .with_group_instance_id(member.group_instance_id)
                .with_error_code(code),
        );
    }
    reply.with_members(members)
}

async fn leave_one(cx: &Context, group: &GroupId, member: &MemberIdentity) -> i16 {
    let instance_id = instance(member.group_instance_id.as_ref());
    let id = match (&instance_id, member.member_id.is_empty()) {
        // Whoever administers the group names the seat alone.
        (Some(instance_id), true) => match seat(cx, group, instance_id).await {
            Ok(id) => id,
            Err(code) => return code,
        },
        _ => MemberId::from(member.member_id.as_str()),
    };
    let command =
        ClassicCommand::Leave { group: group.clone(), member: id, instance_id, permanent: true };
    code_of(&cx.asker.command(command).await)
}

/// Who has a seat.
async fn seat(cx: &Context, group: &GroupId, instance_id: &InstanceId) -> Result<MemberId, i16> {
    let query = GroupQuery::Describe { group: group.clone() };
    match cx.asker.query(query).await {
        Ok(Reply::Group(GroupReply::Described(found))) => {
            let mut members = found.members.into_iter();
            let seated = members.find(|member| member.instance_id.as_ref() == Some(instance_id));
            seated.map(|member| member.member_id).ok_or(errors::UNKNOWN_MEMBER_ID)
        }
        Ok(_) => Err(errors::UNKNOWN_SERVER_ERROR),
        Err(crate::service::api::Failure::Rejected(Rejection::GroupNotFound(_))) => {
            Err(errors::UNKNOWN_MEMBER_ID)
        }
        Err(failure) => Err(About::Group.code(&failure)),
    }
}
