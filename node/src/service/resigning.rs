//! A leader that ends hands its leadership to the follower that has the most of its log.

use std::time::Duration;

use openraft_rt::watch::WatchReceiver;
use raft_store::Raft;
use state_machine::ids::NodeId;

/// A follower that has just been sent entries may not have them on its disk yet, and refuses. Then
/// it is asked again after this.
const AGAIN: Duration = Duration::from_millis(50);

/// After so many refusals an election has to do.
const ATTEMPTS: u32 = 20;

/// Hands the leadership over. Ends when this node does not lead any more, or cannot get rid of it.
pub(super) async fn resign(raft: Raft, me: NodeId) {
    for _ in 0..ATTEMPTS {
        let metrics = raft.metrics().borrow_watched().clone();
        if metrics.current_leader != Some(me) {
            return;
        }
        let followers = metrics.replication.iter().flatten().filter(|(node, _)| **node != me);
        let Some((heir, _)) = followers.max_by_key(|(_, has)| **has) else { return };
        tracing::info!(heir, "leadership is handed over");
        if raft.trigger().transfer_leader(*heir).await.is_err() {
            return;
        }
        runtime::sleep(AGAIN).await;
    }
}
