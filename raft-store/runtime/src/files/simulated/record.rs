//! What was done to a disk, to do a part of it again.

use std::fmt;
use std::sync::Arc;

use super::disk::{Disk, Id, Outcome};
use crate::files::Kind;

/// One call that changed a disk, or the beginning or the end of a sync. Opaque: it is there to be
/// [replayed](super::SimFiles::replay).
#[derive(Clone)]
pub struct Operation(pub(super) Step);

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            // Neither a whole disk nor what is written is worth reading.
            Step::Disk(_) => f.write_str("Disk"),
            Step::Write { file, bytes, offset } => {
                write!(f, "Write({file:?}, {} bytes from {offset} on)", bytes.len())
            }
            step => step.fmt(f),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// The whole disk as it is from here on: where a recording begins, and after a crash.
    Disk(Arc<Disk>),
    Create {
        folder: Id,
        name: String,
        kind: Kind,
    },
    Move {
        from: (Id, String),
        to: (Id, String),
    },
    Unlink {
        folder: Id,
        name: String,
    },
    Write {
        file: Id,
        bytes: Arc<[u8]>,
        offset: u64,
    },
    SetLen {
        file: Id,
        len: u64,
    },
    FlipBit {
        file: Id,
        bit: u64,
    },
    SyncBegun {
        node: Id,
    },
    SyncEnded {
        node: Id,
        mark: u64,
        outcome: Outcome,
    },
}

impl Disk {
    /// Does once more what was recorded. Nothing is [collected](Disk::collect) meanwhile, since
    /// nobody knows which handles were open.
    pub(super) fn redo(&mut self, step: &Step) {
        match step {
            Step::Disk(disk) => *self = disk.fork(),
            Step::Create { folder, name, kind } => _ = self.create(*folder, name, *kind),
            Step::Move { from, to } => self.move_node((from.0, &from.1), (to.0, &to.1)),
            Step::Unlink { folder, name } => self.unlink(*folder, name),
            Step::Write { file, bytes, offset } => self.put(*file, bytes, *offset),
            Step::SetLen { file, len } => self.set_len(*file, *len),
            Step::FlipBit { file, bit } => self.flip_bit(*file, *bit),
            Step::SyncBegun { node } => _ = self.mark(*node),
            Step::SyncEnded { node, mark, outcome } => self.end_sync(*node, *mark, *outcome),
        }
    }
}
