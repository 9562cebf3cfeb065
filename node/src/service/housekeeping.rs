//! Keeps the Raft log short. What to do is the [policy](raft_store::compaction)'s decision; this
//! module asks for it and passes it on to openraft. It also lets go of snapshots that do not come
//! to their end.

use std::sync::TryLockError;

use openraft_rt::watch::WatchReceiver;
use raft_store::compaction::{Policy, Position};
use runtime::PacedInstant;

use super::Service;
use crate::limits;

impl Service {
    /// Whether the log has to be looked at before its time.
    pub(super) fn log_has_grown(&self) -> bool {
        self.log.bytes() > self.log_seen + limits::LOG_GROWTH
    }

    /// The policy: the log makes a snapshot when it is as large as what the snapshot costs, within
    /// bounds. So a small state keeps a short log, and a large one is not copied all the time.
    fn compaction(&self) -> Policy {
        let cost = self.machine.checkpoint_cost();
        let bytes = cost.max(limits::LEAST_LOG).min(self.config.snapshot_bytes);
        let policy = Policy::new(self.config.snapshot_entries, bytes);
        // Without peers there are no followers that could be behind.
        if self.alone() { Policy { kept_entries: 0, ..policy } } else { policy }
    }

    /// Lets go of what came of a snapshot whose sender has given up.
    pub(super) fn forget_silent_snapshot(&self) {
        let mut incoming = match self.incoming_snapshot.try_lock() {
            Ok(incoming) => incoming,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // A chunk is being taken in.
            Err(TryLockError::WouldBlock) => return,
        };
        incoming.forget_silent(self.config.snapshot_timeout, PacedInstant::now());
    }

    /// Looks at the log, and has a snapshot taken or entries dropped where the policy says so.
    pub(super) fn keep_log_short(&mut self) {
        let bytes = self.log.bytes();
        if bytes == std::mem::replace(&mut self.log_seen, bytes) {
            self.log.seal();
        }
        if let Some(problem) = self.log.failure() {
            self.failure = Some(problem.to_owned());
            return;
        }
        match self.log.free() {
            Some(Ok(free)) => self.requests.disk_has(free),
            Some(Err(error)) => {
                self.failure = Some(format!("how much room the disk has is not known: {error}"));
                return;
            }
            None => {}
        }
        let Some(running) = &self.raft else { return };
        if let Err(error) = &running.raft.metrics().borrow_watched().running_state {
            self.failure = Some(error.to_string());
            return;
        }
        if running.ended {
            // It would have said why, had it not panicked.
            self.failure = Some("its task has panicked".to_owned());
            return;
        }
        if self.stands_from.is_some_and(|from| from <= PacedInstant::now()) {
            running.raft.runtime_config().elect(true);
            self.stands_from = None;
        }
        let position = Position {
            applied: self.machine.applied().map_or(0, |id| id.index()),
            snapshot: self.machine.snapshot_index(),
            asked_at: self.snapshot_asked_at,
            needs_room: self.requests.lacks_room() && self.machine.has_unneeded_files(),
        };
        let decided = self.log.compact(&self.compaction(), position);
        if decided.is_nothing() {
            return;
        }
        if decided.snapshot {
            self.snapshot_asked_at = position.applied;
        }
        let raft = running.raft.clone();
        let _task = runtime::spawn(async move {
            let trigger = raft.trigger();
            let asked = if decided.snapshot { trigger.snapshot().await } else { Ok(()) };
            let purged = match decided.purge_up_to {
                Some(index) => trigger.purge_log(index).await,
                None => Ok(()),
            };
            if let Err(fatal) = asked.and(purged) {
                tracing::error!(%fatal, "raft has stopped");
            }
        });
    }
}
