//! A leader hands its leadership to another node: when it ends, to the follower that has most of
//! its log.

use std::time::Duration;

use openraft_rt::watch::WatchReceiver;
use raft_store::Raft;
use state_machine::ids::NodeId;

use super::handle::Heir;

/// A follower that has just been sent entries may not have them on its disk yet, and refuses. Then
/// it is asked again after this.
const AGAIN: Duration = Duration::from_millis(50);

/// After so many refusals an election has to do.
const ATTEMPTS: u32 = 20;

/// Hands the leadership over. Ends when this node does not lead any more, or cannot get rid of it.
pub(super) async fn resign(raft: Raft, me: NodeId, to: Heir) {
    for _ in 0..ATTEMPTS {
        let metrics = raft.metrics().borrow_watched().clone();
        if metrics.current_leader != Some(me) {
            return;
        }
        let followers = metrics.replication.iter().flatten().filter(|(node, _)| **node != me);
        let most = followers.max_by_key(|(_, has)| **has).map(|(node, _)| *node);
        let Some(heir) = (match to {
            Heir::Any => most,
            Heir::Node(node) => Some(node),
        }) else {
            return;
        };
        tracing::info!(heir, "leadership is handed over");
        if raft.trigger().transfer_leader(heir).await.is_err() {
            return;
        }
        runtime::sleep(AGAIN).await;
    }
}
