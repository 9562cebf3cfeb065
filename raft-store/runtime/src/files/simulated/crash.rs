//! What a crash takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::contents::{Contents, PAGE, SECTOR, patched};
use super::disk::{Disk, Id, Node};
use super::file::{self, pages};
use super::folder::Naming;
use super::random::Random;
use super::record::Step;

/// Something that was written and is not durable: a crash may take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsynced {
    /// A page of a file, as a write left it.
    Page {
        /// The file's path, or the last one it had.
        path: String,
        /// Which page of the file, from 0 on.
        page: u64,
        /// Its number among all changes of the file. Of two states of a page that survive, the
        /// later one is found.
        change: u64,
    },
    /// A length of a file.
    Length {
        /// The file's path, or the last one it had.
        path: String,
        /// How many bytes it had before.
        from: u64,
        /// How many bytes it had then.
        to: u64,
        /// Its number among all changes of the file.
        change: u64,
    },
    /// A change of the names in a folder. It is lost where an earlier one of its folder is.
    Naming {
        /// The folder's path, or the last one it had.
        folder: String,
        /// Its place among the folder's changes that are not durable, from 0 on.
        place: usize,
        /// What was done.
        naming: Naming,
    },
}

/// How a crash deals with one file or folder: a coin for each of many changes would never take all,
/// nor none.
#[derive(Clone, Copy)]
enum Mood {
    TakesAll,
    TakesNone,
    Takes,
}

impl Mood {
    fn draw(random: &mut Random) -> Self {
        match random.below(4) {
            0 => Self::TakesAll,
            1 => Self::TakesNone,
            _ => Self::Takes,
        }
    }
}

impl Disk {
    /// Everything that a crash may take: names by folder, then changes by file, each in their
    /// order; with the node and the number of the change.
    pub(super) fn unsynced(&self) -> Vec<((Id, u64), Unsynced)> {
        let (mut names, mut changes) = (Vec::new(), Vec::new());
        for (id, path) in self.reachable(true) {
            match self.nodes.get(&id) {
                Some(Node::Folder(folder)) => {
                    let listed = folder.changes.iter().enumerate();
                    names.extend(listed.map(|(place, (number, change))| {
                        let (folder, naming) = (path.clone(), change.naming.clone());
                        ((id, *number), Unsynced::Naming { folder, place, naming })
                    }));
                }
                Some(Node::File(file)) => {
                    changes.extend(file.unsynced().map(|(number, change)| {
                        ((id, number), described(path.clone(), number, change))
                    }));
                }
                None => {}
            }
        }
        names.append(&mut changes);
        names
    }

    /// The power fails. What is not durable survives where `keep` says so.
    pub(super) fn crash_keeping(&mut self, keep: &mut dyn FnMut(&Unsynced) -> bool) {
        let mut kept = BTreeSet::new();
        let mut lost_names = BTreeMap::new();
        for ((id, number), unsynced) in self.unsynced() {
            if keep(&unsynced) {
                kept.insert((id, number));
            } else if matches!(unsynced, Unsynced::Naming { .. }) {
                lost_names.entry(id).or_insert(number);
            }
        }
        self.lose_names(&lost_names);
        for (id, node) in &mut self.nodes {
            if let Node::File(file) = node {
                file.crash(&mut |number, _, change| {
                    kept.contains(&(*id, number)).then_some(change)
                });
            }
        }
        self.names_failed = false;
        self.end_life();
    }

    /// The power fails. What is not durable survives by chance.
    pub(super) fn crash(&mut self) {
        let reachable = self.reachable(true);
        let mut random = self.random.clone();
        let mut lost_names = BTreeMap::new();
        for id in reachable.keys() {
            let Some(Node::Folder(folder)) = self.nodes.get(id) else { continue };
            let numbers: Vec<u64> = folder.changes.keys().copied().collect();
            if numbers.is_empty() {
                continue;
            }
            let surviving = match Mood::draw(&mut random) {
                Mood::TakesAll => 0,
                Mood::TakesNone => numbers.len(),
                Mood::Takes => usize::try_from(random.below(numbers.len() as u64 + 1))
                    .expect("not above a usize"),
            };
            if let Some(lost) = numbers.get(surviving) {
                lost_names.insert(*id, *lost);
            }
        }
        self.lose_names(&lost_names);
        let torn_pages = self.faults.torn_pages;
        for (id, node) in &mut self.nodes {
            let Node::File(file) = node else { continue };
            // What no name leads to is gone anyway, and must not cost a draw: whether it is still
            // here depends on who had it open.
            let has_choice = reachable.contains_key(id) && file.unsynced().next().is_some();
            let mood = if has_choice { Mood::draw(&mut random) } else { Mood::TakesAll };
            // Without a choice as well: after a sync that failed, the disk has not what is read.
            file.crash(&mut |_, left, change| {
                survivor(&mut random, mood, torn_pages, left, change)
            });
        }
        self.random = random;
        self.names_failed = false;
        self.end_life();
    }

    /// The node ends and the machine goes on: whatever was written stays.
    pub(super) fn restart(&mut self) {
        for node in self.nodes.values_mut() {
            if let Node::File(file) = node {
                file.restart();
            }
        }
        self.end_life();
    }

    /// Lets the changes of names survive, of each folder those before the number given.
    fn lose_names(&mut self, lost: &BTreeMap<Id, u64>) {
        let ids: Vec<Id> = self.nodes.keys().copied().collect();
        for id in ids {
            self.settle_names(id, lost.get(&id).copied().unwrap_or(u64::MAX));
        }
        for node in self.nodes.values_mut() {
            if let Node::Folder(folder) = node {
                folder.crash();
            }
        }
    }

    /// No handle is good any more, and no lock is held.
    fn end_life(&mut self) {
        self.life += 1;
        self.open.clear();
        self.locked.clear();
        self.collect();
        if self.recording.is_some() {
            let disk = Arc::new(self.fork());
            self.record(|| Step::Disk(disk));
        }
    }
}

/// What survives of a change by chance. `left` is what the disk has.
fn survivor(
    random: &mut Random,
    mood: Mood,
    torn_pages: bool,
    left: &Contents,
    change: file::Change,
) -> Option<file::Change> {
    match mood {
        Mood::TakesAll => None,
        Mood::TakesNone => Some(change),
        Mood::Takes if random.coin() => None,
        Mood::Takes if torn_pages && random.coin() => Some(torn(random, left, change)),
        Mood::Takes => Some(change),
    }
}

/// A part of a change.
fn torn(random: &mut Random, left: &Contents, change: file::Change) -> file::Change {
    match change {
        file::Change::Page { index, page } => {
            let mut mixed = left.page(index);
            for begin in (0..PAGE).step_by(SECTOR) {
                if random.coin() {
                    mixed = patched(&mixed, begin, &page[begin..begin + SECTOR]);
                }
            }
            file::Change::Page { index, page: mixed }
        }
        // A file system may write the pages of a long write one by one, each with its length.
        file::Change::Length { from, to } if pages(to) > pages(from) + 1 => {
            let whole = pages(from) + random.below(pages(to) - pages(from));
            file::Change::Length { from, to: (whole * PAGE as u64).max(from) }
        }
        file::Change::Length { .. } => change,
    }
}

fn described(path: String, change: u64, what: &file::Change) -> Unsynced {
    match *what {
        file::Change::Page { index, .. } => Unsynced::Page { path, page: index, change },
        file::Change::Length { from, to } => Unsynced::Length { path, from, to, change },
    }
}
