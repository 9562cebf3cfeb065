//! The disk of a simulated machine: how it behaves, and what it keeps between two processes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use raft_store::{Inspected, inspect};
use runtime::files::Files;
use runtime::files::simulated::SimFiles;

use crate::rng::Rng;
use crate::targets::DiskFault;

/// A node's disk syncs in one of these times, where nodes come back: at once, or so late that a
/// crash takes something.
const SYNC_MS: [u64; 4] = [0, 3, 10, 40];
/// Where nodes come back they take a snapshot after at most so many entries, so that they begin
/// with one.
const SNAPSHOT_ENTRIES: [u64; 3] = [20, 200, 5_000];
/// A page of a file, in bytes.
const PAGE: usize = 4_096;

/// What outlives a node's process.
#[derive(Debug)]
pub(super) struct MachineDisk {
    files: SimFiles,
    snapshot_entries: u64,
    /// How long a sync takes without a fault.
    sync: Duration,
    /// The process ended, and the machine has gone on.
    machine_goes_on: bool,
    /// What was not synced is not in memory any more, though the machine has gone on.
    evicted: bool,
    /// Draws the bit that turns round before the next process begins.
    rotten: Option<u64>,
}

impl MachineDisk {
    /// An empty disk.
    pub(super) fn new(seed: u64, node: usize) -> Self {
        let mut rng = Rng::new(seed, &format!("disk {node}"));
        let mut pick = |of: &[u64]| rng.pick(of).copied().unwrap_or_default();
        let sync = Duration::from_millis(pick(&SYNC_MS));
        let files = SimFiles::new(pick(&[1, 2, 3, 4]) ^ seed << 8 ^ (node as u64) << 4);
        files.slow_syncs(sync..=sync);
        let snapshot_entries = pick(&SNAPSHOT_ENTRIES);
        let (machine_goes_on, evicted, rotten) = (false, false, None);
        Self { files, snapshot_entries, sync, machine_goes_on, evicted, rotten }
    }

    /// The node takes a snapshot after at most so many entries.
    pub(super) fn snapshot_entries(&self) -> u64 {
        self.snapshot_entries
    }

    /// A process begins, on what the one before it has left: all of it, or after a power failure
    /// what had been synced and a part of the rest.
    pub(super) fn begin_life(&mut self) -> SimFiles {
        if self.machine_goes_on && !self.evicted && !self.files.names_failed() {
            self.files.restart();
        } else {
            self.files.crash();
        }
        if let Some(bit) = self.rotten.take() {
            self.rot(bit);
        }
        (self.machine_goes_on, self.evicted) = (false, false);
        self.files.clone()
    }

    /// The node's process has ended by itself.
    pub(super) fn process_ended(&mut self) {
        self.machine_goes_on = true;
    }

    /// Changes how the disk behaves.
    pub(super) fn set(&mut self, fault: DiskFault) {
        match fault {
            DiskFault::None => {
                self.files.mend();
                self.files.slow_syncs(self.sync..=self.sync);
            }
            DiskFault::Slow { least_us, most_us } => {
                let (least, most) =
                    (Duration::from_micros(least_us), Duration::from_micros(most_us));
                self.files.slow_syncs(least..=most);
            }
            DiskFault::Failing { nth, evicted } => {
                self.files.fail_sync(nth);
                self.evicted |= evicted;
            }
            DiskFault::Full(bytes) => self.files.leave_room(bytes),
            DiskFault::Rotten(bit) => self.rotten = Some(bit),
        }
    }

    /// Turns a bit round in a page that has something else than zeros.
    ///
    /// Not in the last group of the write-ahead log where the node crashed before anything vouched
    /// for it: nobody can tell a group that rotted from one that the crash has torn.
    fn rot(&self, draw: u64) {
        let tree = self.files.tree();
        let pages: Vec<(&str, usize, usize)> = tree
            .iter()
            .flat_map(|(path, bytes)| {
                let pages = bytes.chunks(PAGE).enumerate();
                let used = pages.filter(|(_, page)| page.iter().any(|byte| *byte != 0));
                used.map(move |(index, page)| (path.as_str(), index, page.len()))
            })
            .collect();
        let mut rng = Rng::new(draw, "bit");
        let Some((path, index, len)) = rng.pick(&pages) else { return };
        let bit = 8 * (index * PAGE) as u64 + rng.below(8 * *len as u64);
        let flipped = self.files.flip_bit(Path::new(path), bit);
        debug_assert!(flipped.is_ok(), "the page is there: {flipped:?}");
        let groups = || {
            let files: Arc<dyn Files> = Arc::new(self.files.clone());
            let Inspected { text, refused } = inspect(&files, true);
            refused.is_none().then(|| text.lines().filter(|line| line.contains("  group ")).count())
        };
        let after = groups();
        let back = self.files.flip_bit(Path::new(path), bit);
        debug_assert!(back.is_ok(), "the page is there: {back:?}");
        if after.is_some_and(|after| groups().is_some_and(|before| after < before)) {
            return;
        }
        let flipped = self.files.flip_bit(Path::new(path), bit);
        debug_assert!(flipped.is_ok(), "the page is there: {flipped:?}");
    }
}
