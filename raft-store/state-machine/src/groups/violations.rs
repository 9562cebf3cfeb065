//! What must hold of every group.

use super::{Group, Membership};

impl Group {
    /// What does not hold of the group that should.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Membership::Declared(declared) = &self.membership {
            let mut all: Vec<_> = declared.assignments.values().flatten().collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            if all.len() != count {
                found.push("a partition is assigned to two declared consumers".to_owned());
            }
        }
        found
    }
}
