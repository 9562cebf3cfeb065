//! Planted bugs of who handles files. They stand between a node and its disk, so that no file of
//! production knows of them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::files::{Entry, File, Files, Lock, Open, Syncing};

use super::planted::Flaw;
use crate::storage::checkpoint_file;

/// The files as a node with this flaw handles them.
pub fn files(flaw: Flaw, files: Arc<dyn Files>) -> Arc<dyn Files> {
    match flaw {
        Flaw::AcknowledgedBeforeSync
        | Flaw::NamesNotSynced
        | Flaw::SyncRetried
        | Flaw::CheckpointNotSynced
        | Flaw::SegmentsNotSynced => Arc::new(Flawed { flaw, files }),
        _ => files,
    }
}

#[derive(Debug)]
struct Flawed {
    flaw: Flaw,
    files: Arc<dyn Files>,
}

/// What becomes of a sync. `again` begins another one.
fn syncing(flaw: Flaw, again: impl Fn() -> Syncing + Send + Sync + 'static) -> Syncing {
    match flaw {
        Flaw::AcknowledgedBeforeSync => Box::pin(async { Ok(()) }),
        Flaw::SyncRetried => {
            let first = again();
            Box::pin(async move {
                match first.await {
                    Ok(()) => Ok(()),
                    Err(_) => again().await,
                }
            })
        }
        _ => again(),
    }
}

impl Files for Flawed {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let file = self.files.open(path, how)?;
        let is_checkpoint = path == Path::new(checkpoint_file::NEW_FILE);
        Ok(Arc::new(FlawedFile { flaw: self.flaw, file, is_checkpoint }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.files.create_dir(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        self.files.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }

    fn sync_dir(&self, folder: &Path) -> Syncing {
        if self.flaw == Flaw::NamesNotSynced {
            return Box::pin(async { Ok(()) });
        }
        let (files, folder) = (self.files.clone(), folder.to_owned());
        syncing(self.flaw, move || files.sync_dir(&folder))
    }

    fn sync_files(&self, paths: Vec<PathBuf>) -> Syncing {
        if self.flaw == Flaw::SegmentsNotSynced {
            return Box::pin(async { Ok(()) });
        }
        let files = self.files.clone();
        syncing(self.flaw, move || files.sync_files(paths.clone()))
    }

    fn free(&self) -> io::Result<u64> {
        self.files.free()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.files.lock(path)
    }
}

#[derive(Debug)]
struct FlawedFile {
    flaw: Flaw,
    is_checkpoint: bool,
    file: Arc<dyn File>,
}

impl File for FlawedFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> Syncing {
        if self.is_checkpoint && self.flaw == Flaw::CheckpointNotSynced {
            return Box::pin(async { Ok(()) });
        }
        let file = self.file.clone();
        syncing(self.flaw, move || file.sync())
    }
}
