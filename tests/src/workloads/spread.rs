//! What the leader of a classic group computes: who gets which partition.
//!
//! Two rules, eager and cooperative, small and the arena's own: any assignment that covers all
//! partitions once is right for the coordinator, and a bench should not share its assignors. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Partitions by topic, as in `sync_group`.
pub type Assignment = BTreeMap<String, Vec<u64>>;

/// A member as `join_group_ok` names it to the leader.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joined {
    /// Its id.
    pub member_id: String,
    /// What it subscribes to.
    pub topics: BTreeSet<String>,
    /// What it owns, by its own account.
    pub owned: BTreeSet<(String, u64)>,
    /// The generation in which it owned that; -1 where it does not say.
    pub generation: i64,
}

impl Joined {
    /// Reads one of `members`.
    pub fn read(member: &Value) -> Option<Self> {
        let mut owned = BTreeSet::new();
        for (topic, partitions) in member["owned"].as_object().into_iter().flatten() {
            let partitions = partitions.as_array().into_iter().flatten().filter_map(Value::as_u64);
            owned.extend(partitions.map(|partition| (topic.clone(), partition)));
        }
        let topics = member["topics"].as_array().into_iter().flatten();
        Some(Self {
            member_id: member["member_id"].as_str()?.to_owned(),
            topics: topics.filter_map(|topic| topic.as_str().map(str::to_owned)).collect(),
            owned,
            generation: member["generation"].as_i64().unwrap_or(-1),
        })
    }
}

/// Gives every partition to the member that has fewest so far, or, if `cooperative`, to the one
/// that has it already unless that one has too many. Cooperative: what changes its owner goes to
/// nobody in this round.
pub fn spread(
    members: &[Joined],
    topics: &BTreeMap<String, u64>,
    cooperative: bool,
) -> BTreeMap<String, Assignment> {
    let mut given: BTreeMap<&str, Vec<(String, u64)>> =
        members.iter().map(|member| (member.member_id.as_str(), Vec::new())).collect();
    let partitions: u64 = topics.values().sum();
    let fair = usize::try_from(partitions).unwrap_or(0).div_ceil(members.len().max(1));
    for (topic, count) in topics {
        for partition in 0..*count {
            let slot = (topic.clone(), partition);
            let able = || members.iter().filter(|member| member.topics.contains(topic));
            let claims: Vec<&Joined> =
                members.iter().filter(|member| member.owned.contains(&slot)).collect();
            let newest = claims.iter().map(|member| member.generation).max();
            let mut owners = claims.iter().filter(|member| Some(member.generation) == newest);
            // Where two claim it for the same generation, neither keeps it.
            let owner = owners.next().filter(|_| owners.next().is_none());
            let keeps = owner.filter(|owner| {
                cooperative
                    && owner.topics.contains(topic)
                    && given.get(owner.member_id.as_str()).is_some_and(|has| has.len() < fair)
            });
            let target = match keeps {
                Some(owner) => Some(owner.member_id.as_str()),
                None => able()
                    .map(|member| member.member_id.as_str())
                    .min_by_key(|id| given.get(id).map_or(0, Vec::len)),
            };
            let Some(target) = target else { continue };
            let held_by_another = claims.iter().any(|claim| claim.member_id != target);
            if cooperative && held_by_another {
                continue;
            }
            given.entry(target).or_default().push(slot);
        }
    }
    let by_topic = |slots: Vec<(String, u64)>| {
        let mut assignment = Assignment::new();
        for (topic, partition) in slots {
            assignment.entry(topic).or_default().push(partition);
        }
        assignment
    };
    given.into_iter().map(|(id, slots)| (id.to_owned(), by_topic(slots))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(id: &str, owned: &[u64], generation: i64) -> Joined {
        Joined {
            member_id: id.to_owned(),
            topics: ["t".to_owned()].into(),
            owned: owned.iter().map(|p| ("t".to_owned(), *p)).collect(),
            generation,
        }
    }

    fn result(members: &[Joined], cooperative: bool) -> Vec<Vec<u64>> {
        let all = spread(members, &[("t".to_owned(), 4)].into(), cooperative);
        all.into_values()
            .map(|assignment| assignment.get("t").cloned().unwrap_or_default())
            .collect()
    }

    #[test]
    fn eager_covers_everything_at_once() {
        let members = [joined("a", &[0, 1, 2, 3], 3), joined("b", &[], -1)];
        assert_eq!(result(&members, false), [[0, 2], [1, 3]]);
    }

    #[test]
    fn cooperative_withholds_what_moves() {
        let members = [joined("a", &[0, 1, 2, 3], 3), joined("b", &[], -1)];
        assert_eq!(result(&members, true), [vec![0, 1], vec![]]);
        let members = [joined("a", &[0, 1], 4), joined("b", &[], 4)];
        assert_eq!(result(&members, true), [[0, 1], [2, 3]]);
    }

    #[test]
    fn of_two_claims_the_newer_counts_and_equal_ones_cancel() {
        let members = [joined("a", &[0], 3), joined("b", &[0], 4)];
        assert!(result(&members, true).iter().all(|p| !p.contains(&0)), "still held by the other");
        let members = [joined("a", &[0], 4), joined("b", &[0], 4)];
        assert!(result(&members, true).iter().all(|p| !p.contains(&0)));
    }
}
