//! Faults that a test puts in: requests that are answered with an error, and partitions of which
//! fetches get nothing.
//!
//! They are kept in memory by the process, and never outlive it. Nothing else knows them: what is
//! refused here was not submitted, so it did not happen.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use state_machine::ids::TopicPartition;
use tokio::sync::watch;

/// The next requests of a kind, of one client or of all, are answered with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// The client's id (Kafka's `client.id`); `None`: whoever asks.
    pub client: Option<String>,
    /// The kind of request, by its key.
    pub api: i16,
    /// Kafka's error code.
    pub code: i16,
    /// So many requests.
    pub times: u32,
}

/// What tests put in: see the head of this file.
#[derive(Debug, Default)]
pub struct Faults {
    failing: Mutex<Vec<Failing>>,
    held: watch::Sender<BTreeSet<TopicPartition>>,
}

impl Faults {
    fn failing(&self) -> MutexGuard<'_, Vec<Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on requests fail. What was asked for before comes first.
    pub fn fail(&self, failing: Failing) {
        if failing.times > 0 {
            self.failing().push(failing);
        }
    }

    /// The code that a request is answered with, if it is to fail. It counts as one.
    pub(super) fn take(&self, client: &str, api: i16) -> Option<i16> {
        let mut all = self.failing();
        let concerns = |failing: &Failing| {
            failing.api == api && failing.client.as_deref().is_none_or(|name| name == client)
        };
        let at = all.iter().position(concerns)?;
        let code = all[at].code;
        all[at].times -= 1;
        if all[at].times == 0 {
            all.remove(at);
        }
        Some(code)
    }

    /// From now on fetches get nothing of a partition, or again what there is; whether that is new.
    pub fn hold(&self, at: TopicPartition, is_held: bool) -> bool {
        self.held.send_if_modified(|held| if is_held { held.insert(at) } else { held.remove(&at) })
    }

    /// The partitions that are held. The receiver is told of every change.
    pub(super) fn held(&self) -> watch::Receiver<BTreeSet<TopicPartition>> {
        self.held.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::{Failing, Faults};

    #[test]
    fn as_many_requests_fail_as_were_asked_for_in_that_order() {
        let faults = Faults::default();
        let failing = |client: Option<&str>, code, times| Failing {
            client: client.map(str::to_owned),
            api: 8,
            code,
            times,
        };
        faults.fail(failing(Some("a"), 15, 1));
        faults.fail(failing(None, 16, 2));
        faults.fail(failing(None, 17, 0));
        assert_eq!(faults.take("b", 9), None, "another kind of request");
        assert_eq!(faults.take("b", 8), Some(16));
        assert_eq!(faults.take("a", 8), Some(15));
        assert_eq!(faults.take("a", 8), Some(16));
        assert_eq!(faults.take("a", 8), None);
    }

    #[test]
    fn who_waits_learns_of_a_release() {
        let faults = Faults::default();
        let at = || state_machine::ids::TopicPartition { topic: "t".into(), partition: 0 };
        assert!(faults.hold(at(), true));
        assert!(!faults.hold(at(), true), "it is held already");
        let mut held = faults.held();
        held.mark_unchanged();
        assert!(held.borrow().contains(&at()));
        assert!(faults.hold(at(), false));
        assert!(held.has_changed().expect("the faults live"));
        assert!(held.borrow().is_empty());
    }
}
