//! Files of a simulation: a disk in memory that loses, tears, rots and fills.
//!
//! It does what a file system may do and no more than that:
//!
//! - What is written is read at once, and is durable when a [`sync`](File::sync) has ended that
//!   began after it. The name of a file is durable when its folder was synced
//!   ([`sync_dir`](Files::sync_dir)), and so is the name of that folder in the one above it.
//! - A [`crash`](SimFiles::crash) takes any part of the rest. Each page of 4 KiB survives or not,
//!   in any of its last few states ([torn](SimFiles::torn_pages), if that is asked for); so does
//!   each length of a file; of what was done to a folder's names, a beginning survives. So a file
//!   may come back shorter, or with zeros where a page did not survive, or empty under a name that
//!   it was given last.
//! - A sync takes virtual time ([`slow_syncs`](SimFiles::slow_syncs)). If the node dies meanwhile,
//!   nothing is sure.
//! - Faults happen where they are asked for, and nowhere else. All randomness is the disk's own, of
//!   its seed: a run repeats.
//!
//! The disk outlives its node: [`crash`](SimFiles::crash) or [`restart`](SimFiles::restart) it when
//! the node's [`Host`](crate::Host) was killed. Handles of before are stale then: every call fails
//! with [`io::ErrorKind::StaleNetworkFileHandle`].

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;

use super::{Entry, File, Files, Lock, Open, Syncing, about};

mod contents;
mod crash;
mod disk;
mod file;
mod folder;
mod handle;
mod random;
mod record;
#[cfg(test)]
mod tests;

pub use crash::Unsynced;
pub use folder::Naming;
pub use record::Operation;

use disk::Disk;
use handle::{Handle, SimFile, SimLock, sync};
use random::Random;
use record::Step;

/// A simulated disk. Clones are the same disk. See the [module](self).
#[derive(Clone)]
pub struct SimFiles {
    disk: Arc<Mutex<Disk>>,
}

impl fmt::Debug for SimFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its bytes would fill a log.
        f.debug_struct("SimFiles").finish_non_exhaustive()
    }
}

impl SimFiles {
    /// An empty disk without faults. The seed decides what a crash takes, and all other chances.
    pub fn new(seed: u64) -> Self {
        Self::of(Disk::new(seed))
    }

    fn of(disk: Disk) -> Self {
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    fn lock_disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // -- Ends of a node.

    /// The power fails. Of what is not durable, a part survives by chance; that is durable then.
    /// Handles become stale, locks are free. Kill the node's host before.
    pub fn crash(&self) {
        self.lock_disk().crash();
    }

    /// Like [`crash`](Self::crash), but `keep` says what survives. It is called once for each of
    /// [`unsynced`](Self::unsynced), in that order. It must not call the disk.
    ///
    /// What it keeps may be lost all the same: a change of names after one that is lost in the same
    /// folder; what is in a file whose name is lost. What it refuses may survive: the
    /// [`MoveIn`](Naming::MoveIn) of a [`MoveOut`](Naming::MoveOut) that it keeps, with what comes
    /// before it in that folder.
    pub fn crash_keeping(&self, keep: &mut dyn FnMut(&Unsynced) -> bool) {
        self.lock_disk().crash_keeping(keep);
    }

    /// The node's process ends (`kill -9`) and the machine goes on. Everything that was written
    /// stays, and what was not durable still is not. Handles become stale, locks are free. Kill the
    /// node's host before.
    pub fn restart(&self) {
        self.lock_disk().restart();
    }

    // -- Looking at it.

    /// Whether the sync of a folder has failed since the last crash. A file system that keeps a
    /// journal writes nothing more then, until the machine is started again.
    pub fn names_failed(&self) -> bool {
        self.lock_disk().names_failed
    }

    /// Everything that a crash may take: names by folder, then the changes of each file, in the
    /// order in which they were made.
    pub fn unsynced(&self) -> Vec<Unsynced> {
        self.lock_disk().unsynced().into_iter().map(|(_, unsynced)| unsynced).collect()
    }

    /// All files by their path, as they are read now. Folders are not listed.
    pub fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        self.lock_disk().tree(false)
    }

    /// All files by their path, as they are after a crash that takes everything it may. Folders are
    /// not listed.
    pub fn durable_tree(&self) -> BTreeMap<String, Vec<u8>> {
        self.lock_disk().tree(true)
    }

    /// A disk of its own with the same contents, durable and not, the same faults and the same
    /// chances to come. No file of it is open. Pages are shared until they are written, so this is
    /// cheap.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::of(self.lock_disk().fork())
    }

    // -- Doing it again.

    /// Begins a recording, in place of an earlier one.
    pub fn record(&self) {
        let mut disk = self.lock_disk();
        let begin = Arc::new(disk.fork());
        disk.recording = Some(vec![Step::Disk(begin)]);
    }

    /// What was done since [`record`](Self::record), in order; the first one is the disk as it was
    /// then. Empty where nothing is recorded.
    pub fn recorded(&self) -> Vec<Operation> {
        let disk = self.lock_disk();
        disk.recording.iter().flatten().cloned().map(Operation).collect()
    }

    /// How many operations are recorded. What a node has been promised when there are `n` must hold
    /// for every replay of `n` operations or more.
    pub fn recorded_len(&self) -> usize {
        self.lock_disk().recording.as_ref().map_or(0, Vec::len)
    }

    /// A disk to which was done what was [recorded](Self::recorded), or a beginning of it: with the
    /// same contents, durable and not. A sync counts where it ended. It has the faults and chances
    /// that the recorded one had at the beginning. Of nothing, it is an empty disk with seed 0.
    pub fn replay(operations: &[Operation]) -> Self {
        let mut disk = Disk::new(0);
        for Operation(step) in operations {
            disk.redo(step);
        }
        Self::of(disk)
    }

    // -- Faults.

    /// Sets the seed of all chances to come.
    pub fn set_seed(&self, seed: u64) {
        self.lock_disk().random = Random::new(seed);
    }

    /// Lets the `nth` sync from now on fail (1 is the next one), of a file or of a folder. The
    /// pages or names that it covers are taken for clean from then on, though the disk does not
    /// have them: a later sync of them succeeds and does nothing.
    pub fn fail_sync(&self, nth: u64) {
        let mut disk = self.lock_disk();
        let number = disk.syncs + nth;
        disk.faults.failing_syncs.insert(number);
    }

    /// Sets how many bytes the disk has, in whole pages of 4 KiB. Beyond them, a write that needs a
    /// new page is short, and then fails with [`io::ErrorKind::StorageFull`]; one over pages that
    /// were written before succeeds. Names need no room.
    pub fn set_capacity(&self, bytes: u64) {
        self.lock_disk().faults.capacity = bytes;
    }

    /// Leaves room for so many more bytes, in whole pages of 4 KiB. See
    /// [`set_capacity`](Self::set_capacity).
    pub fn leave_room(&self, bytes: u64) {
        let mut disk = self.lock_disk();
        disk.faults.capacity = disk.in_use().saturating_add(bytes);
    }

    /// Takes back what [`fail_sync`](Self::fail_sync), [`set_capacity`](Self::set_capacity) and
    /// [`leave_room`](Self::leave_room) have asked for. A sync that has begun ends as it would
    /// have.
    pub fn mend(&self) {
        self.lock_disk().mend();
    }

    /// Whether each write takes only a part of its bytes, by chance, and at least one.
    pub fn short_writes(&self, short: bool) {
        self.lock_disk().faults.short_writes = short;
    }

    /// Sets how long a sync takes, of its host's time, by chance within a range. One that takes no
    /// time is over when it is first polled.
    pub fn slow_syncs(&self, range: RangeInclusive<Duration>) {
        self.lock_disk().faults.sync_time = range;
    }

    /// Whether a crash may leave a part of a page: any of its sectors of 512 bytes. And a part of
    /// what a file has grown by: whole pages. Not with [`crash_keeping`](Self::crash_keeping).
    pub fn torn_pages(&self, torn: bool) {
        self.lock_disk().faults.torn_pages = torn;
    }

    /// Turns one bit of a file round, wherever it is kept: bit `bit % 8` of byte `bit / 8`.
    ///
    /// # Errors
    /// Where there is no such file; [`io::ErrorKind::InvalidInput`] where it ends before.
    pub fn flip_bit(&self, path: &Path, bit: u64) -> io::Result<()> {
        let mut disk = self.lock_disk();
        let file = disk.find(path).and_then(|id| {
            let is_there = bit / 8 < disk.file(id)?.current().len();
            if is_there { Ok(id) } else { Err(Errno::INVAL.into()) }
        });
        let file = file.map_err(|error| about(path, &error))?;
        disk.flip_bit(file, bit);
        Ok(())
    }

    /// Lets every read of a file fail from now on, whatever its name becomes.
    ///
    /// # Errors
    /// Where there is no such file.
    pub fn fail_read(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.lock_disk();
        let file = disk.find(path).and_then(|id| disk.file(id).map(|_| id));
        let file = file.map_err(|error| about(path, &error))?;
        disk.faults.unreadable.insert(file);
        Ok(())
    }
}

impl Files for SimFiles {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let mut disk = self.lock_disk();
        let id = disk.open(path, how).map_err(|error| about(path, &error))?;
        let handle = Handle { disk: self.disk.clone(), node: id, life: disk.life };
        Ok(Arc::new(SimFile { handle, how, path: path.to_owned() }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.lock_disk().create_dir(path).map_err(|error| about(path, &error))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        self.lock_disk().list(folder).map_err(|error| about(folder, &error))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.lock_disk().rename(from, to).map_err(|error| {
            let message = format!("{} to {}: {error}", from.display(), to.display());
            io::Error::new(error.kind(), message)
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.lock_disk().remove(path).map_err(|error| about(path, &error))
    }

    fn sync_dir(&self, folder: &Path) -> Syncing {
        let path: PathBuf = folder.to_owned();
        let handle = {
            let disk = self.lock_disk();
            let found = disk.find(folder).and_then(|id| disk.folder(id).map(|_| id));
            found.map(|node| Handle { disk: self.disk.clone(), node, life: disk.life })
        };
        match handle {
            Ok(handle) => sync(handle, path),
            Err(error) => {
                let error = about(folder, &error);
                Box::pin(async move { Err(error) })
            }
        }
    }

    fn sync_files(&self, paths: Vec<PathBuf>) -> Syncing {
        // All begin now, and take as long as the slowest.
        let opened: io::Result<Vec<Arc<dyn File>>> =
            paths.iter().map(|path| self.open(path, Open::Write)).collect();
        let syncs = opened.map(|files| files.iter().map(|file| file.sync()).collect::<Vec<_>>());
        Box::pin(async move { futures::future::try_join_all(syncs?).await.map(drop) })
    }

    fn free(&self) -> io::Result<u64> {
        Ok(self.lock_disk().free())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let mut disk = self.lock_disk();
        let node = disk.lock(path).map_err(|error| about(path, &error))?;
        Ok(Box::new(SimLock(Handle { disk: self.disk.clone(), node, life: disk.life })))
    }
}
