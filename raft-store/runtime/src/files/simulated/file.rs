//! A simulated file: what its readers see, what the disk has, and the difference.

use std::collections::BTreeMap;

use super::contents::{Contents, PAGE, Page, first_piece, patched, place};

/// How many un-synced states of one page, and how many growths, are told apart. A disk may write a
/// page back at any moment, so an older state may be the one that survives; of a page that is
/// appended to byte by byte, most are much alike.
const STATES: usize = 4;

/// Something that is not durable yet.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// A whole page as it was after a write.
    Page { index: u64, page: Page },
    /// Another length, in bytes.
    Length { from: u64, to: u64 },
}

/// See the [module](self).
#[derive(Debug, Clone, Default)]
pub(super) struct FileNode {
    current: Contents,
    durable: Contents,
    /// By number, in the order in which they were made.
    changes: BTreeMap<u64, Change>,
    /// The next change's number.
    next: u64,
    /// The changes of each page, and those of the length that made the file longer.
    states: BTreeMap<u64, Vec<u64>>,
    growths: Vec<u64>,
    /// For each sync under way, the first change that it does not cover.
    syncing: Vec<u64>,
}

impl FileNode {
    /// What is read.
    pub(super) fn current(&self) -> &Contents {
        &self.current
    }

    /// What is left if a crash takes everything it may.
    pub(super) fn durable(&self) -> &Contents {
        &self.durable
    }

    /// The changes that a crash may take, in their order.
    pub(super) fn unsynced(&self) -> impl Iterator<Item = (u64, &Change)> {
        self.changes.iter().map(|(number, change)| (*number, change))
    }

    /// How many of the bytes find room on a disk that has `room` pages left.
    pub(super) fn fitting(&self, len: usize, offset: u64, mut room: u64) -> usize {
        let mut fits = 0;
        while fits < len {
            let (page, _, piece) = first_piece(offset + fits as u64, len - fits);
            if !self.current.is_allocated(page) {
                if room == 0 {
                    break;
                }
                room -= 1;
            }
            fits += piece;
        }
        fits
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        let end = offset + bytes.len() as u64;
        let (mut rest, mut offset) = (bytes, offset);
        while !rest.is_empty() {
            let (index, begin, len) = first_piece(offset, rest.len());
            let page = patched(&self.current.page(index), begin, &rest[..len]);
            self.current.put(index, page.clone());
            self.push(Change::Page { index, page });
            (rest, offset) = (&rest[len..], offset + len as u64);
        }
        if end > self.current.len() && !bytes.is_empty() {
            self.set_len(end);
        }
    }

    pub(super) fn set_len(&mut self, to: u64) {
        let from = self.current.len();
        if to != from {
            self.current.set_len(to);
            self.push(Change::Length { from, to });
        }
    }

    fn push(&mut self, change: Change) {
        let number = self.next;
        self.next += 1;
        let like = match &change {
            Change::Page { index, .. } => Some(self.states.entry(*index).or_default()),
            // One that made the file shorter is never left out: it also took bytes away.
            Change::Length { from, to } => (to > from).then_some(&mut self.growths),
        };
        self.changes.insert(number, change);
        let Some(like) = like else { return };
        like.push(number);
        if like.len() > STATES {
            // Not one of which a sync under way needs the state that it began with.
            let spare = like.windows(2).position(|pair| {
                !self.syncing.iter().any(|mark| pair[0] < *mark && *mark <= pair[1])
            });
            if let Some(spare) = spare {
                self.changes.remove(&like.remove(spare));
            }
        }
    }

    /// A sync begins. Returns the first change that it does not cover.
    pub(super) fn begin_sync(&mut self) -> u64 {
        self.syncing.push(self.next);
        self.next
    }

    /// A sync is over, however it ended.
    pub(super) fn end_sync(&mut self, mark: u64) {
        if let Some(place) = self.syncing.iter().position(|other| *other == mark) {
            self.syncing.remove(place);
        }
    }

    /// Makes durable what a sync covers.
    pub(super) fn settle(&mut self, mark: u64) {
        for change in self.take(mark).into_values() {
            apply(&mut self.durable, change);
        }
    }

    /// A sync has failed: the pages that it covers are taken for clean, but the disk does not have
    /// them. Lengths are kept elsewhere and wait for the next sync.
    pub(super) fn forget(&mut self, mark: u64) {
        for (number, change) in self.take(mark) {
            if let Change::Length { from, to } = change {
                if to > from {
                    self.growths.push(number);
                }
                self.changes.insert(number, change);
            }
        }
        self.growths.sort_unstable();
    }

    /// Takes out the changes before `mark`.
    fn take(&mut self, mark: u64) -> BTreeMap<u64, Change> {
        let later = self.changes.split_off(&mark);
        self.states.retain(|_, numbers| {
            numbers.retain(|number| *number >= mark);
            !numbers.is_empty()
        });
        self.growths.retain(|number| *number >= mark);
        std::mem::replace(&mut self.changes, later)
    }

    /// The power fails. `survive` says for each change, given what the disk has by then, what of it
    /// survives.
    pub(super) fn crash(
        &mut self,
        survive: &mut dyn FnMut(u64, &Contents, Change) -> Option<Change>,
    ) {
        let mut left = std::mem::take(&mut self.durable);
        for (number, change) in std::mem::take(&mut self.changes) {
            if let Some(change) = survive(number, &left, change) {
                apply(&mut left, change);
            }
        }
        // Pages whose length did not survive are beyond the end.
        left.set_len(left.len());
        *self = Self { current: left.clone(), durable: left, next: self.next, ..Self::default() };
    }

    /// The node ends and the machine goes on: nothing is lost, and no sync is under way.
    pub(super) fn restart(&mut self) {
        self.syncing.clear();
    }

    /// Turns one bit round wherever it is kept.
    pub(super) fn flip(&mut self, bit: u64) {
        let (index, within) = place(bit / 8);
        let mask = 1 << (bit % 8);
        let flipped = |page: &Page| patched(page, within, &[page[within] ^ mask]);
        for contents in [&mut self.current, &mut self.durable] {
            if bit / 8 < contents.len() {
                contents.put(index, flipped(&contents.page(index)));
            }
        }
        for change in self.changes.values_mut() {
            if let Change::Page { index: other, page } = change
                && *other == index
            {
                *page = flipped(page);
            }
        }
    }
}

fn apply(contents: &mut Contents, change: Change) {
    match change {
        Change::Page { index, page } => contents.put(index, page),
        Change::Length { to, .. } => contents.set_len(to),
    }
}

/// How many pages a length takes.
pub(super) fn pages(len: u64) -> u64 {
    len.div_ceil(PAGE as u64)
}
