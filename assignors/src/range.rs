//! `range`: each topic is cut into contiguous pieces, one for each subscriber (KIP-881 for racks).
//!
//! Members stand static ones first, by instance id, then dynamic ones by id. Of a topic with `n` partitions and
//! `m` subscribers the first `n mod m` get one partition more. Not sticky: what members owned is not looked at.
//! Topics with equal counts and the same subscribers are cut alike, so their equal-numbered partitions meet at one
//! member (*co-partitioning*).

use crate::roster::{MemberOrder, NOBODY, Roster, Subscribers};
use crate::{AssignError, Assignment, Assignor, Group};

/// The client-side range assignor of Kafka, `range`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range;

impl Assignor for Range {
    fn name(&self) -> &'static str {
        "range"
    }

    fn assign(&self, group: &Group) -> Result<Assignment, AssignError> {
        let roster = Roster::new(group, MemberOrder::StaticFirst)?;
        let subscribers = Subscribers::new(&roster);
        Ok(assign_plain(&roster, &subscribers))
    }
}

/// Ranges without regard to racks, which is also all that the server-side `range` does.
pub(crate) fn assign_plain(roster: &Roster<'_>, subscribers: &Subscribers) -> Assignment {
    let mut owners = vec![NOBODY; roster.slots as usize];
    let mut sizes = vec![0u32; roster.seats()];
    for topic in 0..roster.counts.len() {
        let seats = subscribers.of(topic as u32);
        if seats.is_empty() {
            continue;
        }
        let count = roster.counts[topic];
        let (share, extra) = (count / seats.len() as u32, count % seats.len() as u32);
        let mut slot = roster.base[topic] as usize;
        for (place, &seat) in seats.iter().enumerate() {
            let length = share + u32::from((place as u32) < extra);
            owners[slot..slot + length as usize].fill(seat);
            slot += length as usize;
            sizes[seat as usize] += length;
        }
    }
    roster.collect(&owners, &sizes)
}
