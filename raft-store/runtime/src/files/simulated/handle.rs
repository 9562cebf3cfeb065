//! What a node holds of a simulated disk: open files, locks, and syncs under way.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::disk::{Disk, Id, Outcome};
use crate::files::{File, Lock, Open, Syncing, about};

/// A file or folder in one life of the node.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) node: Id,
    /// The life that it was made in.
    pub(super) life: u64,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}

impl Handle {
    /// The disk, where it still is the life that this was made in.
    ///
    /// # Errors
    /// [`io::ErrorKind::StaleNetworkFileHandle`] where it is not.
    fn disk(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        if disk.life == self.life { Ok(disk) } else { Err(Errno::STALE.into()) }
    }
}

/// A lock that is held.
#[derive(Debug)]
pub(super) struct SimLock(pub(super) Handle);

/// A simulated disk is never copied.
const NUMBER: u64 = 11;

impl Lock for SimLock {
    fn number(&self) -> io::Result<u64> {
        Ok(NUMBER)
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        // In a later life, it is free already, or another's.
        if let Ok(mut disk) = self.0.disk() {
            disk.unlock(self.0.node);
        }
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct SimFile {
    pub(super) handle: Handle,
    pub(super) how: Open,
    /// For errors.
    pub(super) path: PathBuf,
}

impl SimFile {
    fn try_with<T>(&self, call: impl FnOnce(&mut Disk, Id) -> io::Result<T>) -> io::Result<T> {
        let called = self.handle.disk().and_then(|mut disk| call(&mut disk, self.handle.node));
        called.map_err(|error| about(&self.path, &error))
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        // In a later life, it is closed already.
        if let Ok(mut disk) = self.handle.disk() {
            disk.close(self.handle.node);
        }
    }
}

impl File for SimFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.try_with(|disk, id| {
            if disk.faults.unreadable.contains(&id) {
                return Err(Errno::IO.into());
            }
            if offset > i64::MAX as u64 {
                return Err(Errno::INVAL.into());
            }
            Ok(disk.file(id)?.current().read(into, offset))
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.try_with(|disk, id| {
            if self.how == Open::Read {
                return Err(Errno::BADF.into());
            }
            disk.write(id, bytes, offset)
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.try_with(|disk, id| Ok(disk.file(id)?.current().len()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.try_with(|disk, id| {
            if self.how == Open::Read || len > i64::MAX as u64 {
                return Err(Errno::INVAL.into());
            }
            disk.set_len(id, len);
            Ok(())
        })
    }

    fn sync(&self) -> Syncing {
        sync(self.handle.clone(), self.path.clone())
    }
}

/// Begins a sync of a file or folder.
pub(super) fn sync(handle: Handle, path: PathBuf) -> Syncing {
    // It covers what was written before this call, not what is written before it is first polled.
    let begun = handle.disk().map(|mut disk| disk.begin_sync(handle.node));
    let begun = begun.map(|begun| {
        let under_way = UnderWay { handle, mark: begun.mark, fails: begun.fails, ended: false };
        (under_way, begun.takes)
    });
    Box::pin(async move {
        let ended = match begun {
            Ok((under_way, takes)) => {
                if !takes.is_zero() {
                    crate::sleep(takes).await;
                }
                under_way.end()
            }
            Err(error) => Err(error),
        };
        ended.map_err(|error| about(&path, &error))
    })
}

/// A sync under way. Dropped before its end, it makes nothing durable.
struct UnderWay {
    handle: Handle,
    mark: u64,
    fails: bool,
    ended: bool,
}

impl UnderWay {
    fn end(mut self) -> io::Result<()> {
        let outcome = if self.fails { Outcome::Failed } else { Outcome::Durable };
        let mut disk = self.handle.disk()?;
        disk.end_sync(self.handle.node, self.mark, outcome);
        if disk.folder(self.handle.node).is_ok() {
            // What was removed from it may be forgotten now.
            disk.collect();
        }
        drop(disk);
        self.ended = true;
        if self.fails { Err(Errno::IO.into()) } else { Ok(()) }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // In a later life, no sync of before is under way.
        if let Ok(mut disk) = self.handle.disk() {
            disk.end_sync(self.handle.node, self.mark, Outcome::Cut);
        }
    }
}
