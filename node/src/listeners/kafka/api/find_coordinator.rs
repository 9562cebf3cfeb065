//! FindCoordinator (10): the leader coordinates every group. While nobody leads, the answer waits.

use wire::errors;
use wire::kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use wire::kafka_protocol::messages::find_coordinator_response::{
    Coordinator, FindCoordinatorResponse,
};
use wire::kafka_protocol::protocol::StrBytes;

use super::{Context, node_id, text};

/// The types of keys: of groups, and of transactional ids.
const KEY_TYPES: std::ops::RangeInclusive<i8> = 0..=1;

pub(super) async fn answer(cx: &Context, asked: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let leadership = cx.broker.leadership_in_time().await;
    let leader = leadership.leader.and_then(|node| Some((node, cx.broker.endpoint(node)?)));
    let (code, problem) = if !KEY_TYPES.contains(&asked.key_type) {
        let expected = "0 (a group) or 1 (a transactional id)";
        let problem = format!("key type {}, expected {expected}", asked.key_type);
        (errors::INVALID_REQUEST, problem)
    } else if leader.is_none() {
        (errors::COORDINATOR_NOT_AVAILABLE, "nobody leads at the moment".to_owned())
    } else {
        // What Kafka says of a success before version 4, and kafkajs expects.
        let success = if cx.version < 4 { "NONE" } else { "" };
        (errors::NONE, success.to_owned())
    };
    let problem = Some(text(&problem));
    let (node, host, port) = match leader.filter(|_| code == errors::NONE) {
        Some((node, endpoint)) => (node_id(node), text(&endpoint.host), endpoint.port.into()),
        None => ((-1).into(), StrBytes::default(), -1),
    };
    let reply = FindCoordinatorResponse::default();
    if cx.version < 4 {
        let reply = reply.with_error_code(code).with_error_message(problem);
        return reply.with_node_id(node).with_host(host).with_port(port);
    }
    let coordinator = |key: StrBytes| {
        Coordinator::default()
            .with_key(key)
            .with_error_code(code)
            .with_error_message(problem.clone())
            .with_node_id(node)
            .with_host(host.clone())
            .with_port(port)
    };
    reply.with_coordinators(asked.coordinator_keys.into_iter().map(coordinator).collect())
}
