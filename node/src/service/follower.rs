//! A node while another leads: it forwards its clients' requests, and again what was not answered
//! in time.

use std::time::Duration;

use runtime::Instant;
use state_machine::ids::NodeId;

use super::in_flight::Progress;
use super::requests::Requests;
use crate::peers::message::{Forward, ForwardItem, Message};
use crate::peers::rpc::Peers;
use crate::{flaws, limits};

/// Sends `leader` the requests that have not been sent, and again those that are due. A request is
/// due again after `timeout`, and after ever longer, so that a slow leader is not buried in copies.
pub(super) fn forward(
    leader: NodeId,
    requests: &mut Requests,
    peers: &Peers,
    timeout: Duration,
    now: Instant,
) {
    let due = requests.in_flight.due(now);
    let ids: Vec<_> = due.into_iter().chain(std::mem::take(&mut requests.unsent)).collect();
    let in_flight = &mut requests.in_flight;
    let (mut items, mut bytes) = (Vec::new(), 0);
    for id in ids {
        let Some(entry) = in_flight.get(id) else { continue };
        let Some(request) = entry.request.clone() else { continue };
        let attempt =
            if let Progress::Sent { attempt, .. } = entry.progress { attempt + 1 } else { 0 };
        let (after, overtaken_by) = (entry.after, flaws::overtaken_by(entry.overtaken_by));
        let more = request.approximate_bytes();
        if bytes + more > limits::FORWARD && !items.is_empty() {
            let items = std::mem::take(&mut items);
            let acknowledged = in_flight.acknowledged();
            peers.send(leader, &Message::Forward(Forward { acknowledged, items }));
            bytes = 0;
        }
        bytes += more;
        items.push(ForwardItem { id, after, attempt, overtaken_by, request });
        let due = now + timeout * (attempt + 1).min(limits::FORWARD_PATIENCE);
        in_flight.set_progress(id, Progress::Sent { due, attempt });
    }
    if !items.is_empty() {
        let acknowledged = in_flight.acknowledged();
        peers.send(leader, &Message::Forward(Forward { acknowledged, items }));
    }
}
