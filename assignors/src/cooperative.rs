//! `cooperative-sticky`: the sticky target, reached without anyone stopping (KIP-429).
//!
//! Members keep reading while the group rebalances. So a partition that changes hands must not be
//! given to its new owner in the round in which its old owner still holds it: it is withheld and
//! listed in [`Assignment::transferring`], the old owner gives it up, and the next round hands it
//! out.

use crate::bits::Bits;
use crate::roster::{MemberOrder, NOBODY, Roster};
use crate::sticky::{Solution, solve};
use crate::{AssignError, Assignment, Assignor, Group, TopicPartition};

/// The client-side cooperative sticky assignor of Kafka, `cooperative-sticky`.
#[derive(Debug, Clone, Copy, Default)]
pub struct CooperativeSticky;

impl Assignor for CooperativeSticky {
    fn name(&self) -> &'static str {
        "cooperative-sticky"
    }

    fn assign(&self, group: &Group) -> Result<Assignment, AssignError> {
        let roster = Roster::new(group, MemberOrder::ById)?;
        let Solution { mut owners, mut sizes, moved } = solve(&roster);
        let moved = moved.unwrap_or_else(|| changes_hands(&roster, &owners));
        let mut transferring = Vec::new();
        for (topic, (&count, &base)) in roster.counts.iter().zip(&roster.base).enumerate() {
            for slot in moved.set_in(base, base + count) {
                let owner = std::mem::replace(&mut owners[slot as usize], NOBODY);
                if owner != NOBODY {
                    sizes[owner as usize] -= 1;
                    let partition = TopicPartition::new(topic as u32, slot - base);
                    transferring.push((partition, roster.members[owner as usize] as usize));
                }
            }
        }
        let mut assignment = roster.collect(&owners, &sizes);
        assignment.transferring = transferring;
        Ok(assignment)
    }
}

/// Partitions that some member owned and loses, and whose new owner did not own them.
fn changes_hands(roster: &Roster<'_>, owners: &[u32]) -> Bits {
    let mut lost = Bits::new(roster.slots);
    let mut kept = Vec::new();
    for seat in 0..roster.seats() {
        for slot in roster.member(seat).owned.iter().filter_map(|&partition| roster.slot(partition))
        {
            if owners[slot as usize] == seat as u32 {
                kept.push(slot);
            } else {
                lost.set(slot);
            }
        }
    }
    for slot in kept {
        lost.clear(slot);
    }
    lost
}
