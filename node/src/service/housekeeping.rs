//! How long the log may become, what Raft is told of time, and what the node knows of the cluster.

use std::time::Duration;

use openraft::SnapshotPolicy;
use openraft_rt::watch::WatchReceiver;

use super::Service;
use crate::config::Config;

/// What is kept of a log that a snapshot covers, for followers that are a little behind: entries, bytes.
const KEPT_LOG: (usize, usize) = (1_000, 16 * 1024 * 1024);

impl Service {
    /// Keeps the log short: a snapshot when it has grown, and then away with what the snapshot covers.
    pub(super) fn keep_log_short(&mut self) {
        let Some(running) = &self.raft else { return };
        if let Err(error) = &running.raft.metrics().borrow_watched().running_state {
            self.failure = Some(error.to_string());
            return;
        }
        let applied = self.machine.applied().map_or(0, |id| id.index());
        let covered = self.machine.snapshot_index().unwrap_or(0);
        let grown = applied.saturating_sub(covered.max(self.snapshot_asked_at))
            >= self.config.snapshot_entries
            || self.log.bytes_after(covered.max(self.snapshot_asked_at)) >= self.config.snapshot_bytes;
        let keep_from = self.log.index_to_keep(kept_entries(&self.config), KEPT_LOG.1);
        let purge =
            keep_from.checked_sub(1).map(|upto| upto.min(covered)).filter(|upto| self.log.holds(*upto));
        if grown {
            self.snapshot_asked_at = applied;
        }
        if grown || purge.is_some() {
            let raft = running.raft.clone();
            let _task = runtime::spawn(async move {
                let trigger = raft.trigger();
                let asked = if grown { trigger.snapshot().await } else { Ok(()) };
                let purged = match purge {
                    Some(upto) => trigger.purge_log(upto).await,
                    None => Ok(()),
                };
                if let Err(fatal) = asked.and(purged) {
                    tracing::error!(%fatal, "raft has stopped");
                }
            });
        }
    }
}

/// How many entries are kept of a log that a snapshot covers: not more than a fifth of what makes a snapshot, so that where
/// those are wished for often, the log is short.
fn kept_entries(config: &Config) -> usize {
    KEPT_LOG.0.min(usize::try_from(config.snapshot_entries / 5).unwrap_or(usize::MAX))
}

/// The configuration of Raft.
pub(super) fn raft_config(config: &Config) -> openraft::Config {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    openraft::Config {
        cluster_name: "cohort".into(),
        heartbeat_interval: ms(config.heartbeat),
        election_timeout_min: ms(config.election_min),
        election_timeout_max: ms(config.election_max),
        install_snapshot_timeout: 5 * ms(config.snapshot_timeout),
        max_payload_entries: 1_000,
        // The service asks for snapshots and purges itself, by bytes as well as entries.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        enable_pre_vote: Some(true),
        // A leader that lost its quorum must not keep a follower that it still reaches from voting.
        quorum_loss_probe_interval: Some(2 * ms(config.election_max)),
        // A leader that was restarted must not go on in its old term (see ARCHITECTURE.md).
        enable_leader_restore: Some(false),
        ..openraft::Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::kept_entries;
    use crate::config::Config;

    #[test]
    fn what_is_kept_of_a_log_goes_by_what_makes_a_snapshot() {
        assert_eq!(kept_entries(&Config::default()), 1_000);
        assert_eq!(kept_entries(&Config { snapshot_entries: 20, ..Config::default() }), 4);
    }
}
