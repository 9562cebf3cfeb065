//! How openraft is configured: times, sizes, and which of its own habits are off.

use std::time::Duration;

use openraft::SnapshotPolicy;

use super::Config;

/// openraft's configuration of a node that is configured so.
pub(crate) fn raft_config(config: &Config) -> openraft::Config {
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
        // `peers::quorum` sees to that, for entries too.
        quorum_loss_probe_interval: None,
        // A leader that was restarted must not go on in its old term (see ARCHITECTURE.md).
        enable_leader_restore: Some(false),
        ..openraft::Config::default()
    }
}
