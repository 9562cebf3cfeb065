//! A simulated folder: the names that are in use, those that the disk has, and the difference.

use std::collections::BTreeMap;

use super::disk::Id;

/// What was done to a folder's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// A file was made.
    Create {
        /// The new name.
        name: String,
    },
    /// A folder was made.
    CreateFolder {
        /// The new name.
        name: String,
    },
    /// A name became another one in this folder, and took the place of what had it.
    Rename {
        /// The old name.
        from: String,
        /// The new name.
        to: String,
    },
    /// A name came from another folder.
    MoveIn {
        /// The name here.
        name: String,
    },
    /// A name went to another folder. This never survives without the [`MoveIn`](Self::MoveIn)
    /// there: a crash may leave both names, not none.
    MoveOut {
        /// The name here.
        name: String,
    },
    /// A file was removed.
    Remove {
        /// The name it had.
        name: String,
    },
}

/// A change of names that is not durable yet.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) naming: Naming,
    /// What is named by it; what was, if it is removed.
    pub(super) node: Id,
    /// The other half of a move out: its folder and its number.
    pub(super) moved_in: Option<(Id, u64)>,
}

/// See the [module](self).
#[derive(Debug, Clone, Default)]
pub(super) struct FolderNode {
    pub(super) current: BTreeMap<String, Id>,
    pub(super) durable: BTreeMap<String, Id>,
    /// By number. Numbers are the disk's, so that those of two folders compare.
    pub(super) changes: BTreeMap<u64, Change>,
}

impl FolderNode {
    pub(super) fn push(&mut self, number: u64, change: Change) {
        apply(&mut self.current, &change);
        self.changes.insert(number, change);
    }

    /// The first change, if its number is below `mark`.
    pub(super) fn first_below(&self, mark: u64) -> Option<(u64, &Change)> {
        let (number, change) = self.changes.first_key_value()?;
        (*number < mark).then_some((*number, change))
    }

    /// Makes the first change durable.
    pub(super) fn settle_first(&mut self) {
        if let Some((_, change)) = self.changes.pop_first() {
            apply(&mut self.durable, &change);
        }
    }

    /// A sync has failed: changes before `mark` are taken for clean, but the disk does not have
    /// them. Returns them.
    pub(super) fn forget(&mut self, mark: u64) -> BTreeMap<u64, Change> {
        let later = self.changes.split_off(&mark);
        std::mem::replace(&mut self.changes, later)
    }

    /// The names that the changes give, with what they stand for.
    pub(super) fn unsynced_names(&self) -> impl Iterator<Item = (&String, Id)> {
        self.changes.values().filter_map(|change| match &change.naming {
            Naming::Create { name }
            | Naming::CreateFolder { name }
            | Naming::MoveIn { name }
            | Naming::Rename { to: name, .. } => Some((name, change.node)),
            Naming::MoveOut { .. } | Naming::Remove { .. } => None,
        })
    }

    /// The power has failed, and what survives is durable by now.
    pub(super) fn crash(&mut self) {
        self.changes.clear();
        self.current = self.durable.clone();
    }
}

fn apply(names: &mut BTreeMap<String, Id>, change: &Change) {
    match &change.naming {
        Naming::Create { name } | Naming::CreateFolder { name } | Naming::MoveIn { name } => {
            names.insert(name.clone(), change.node);
        }
        Naming::Rename { from, to } => {
            names.remove(from);
            names.insert(to.clone(), change.node);
        }
        Naming::MoveOut { name } | Naming::Remove { name } => {
            names.remove(name);
        }
    }
}
