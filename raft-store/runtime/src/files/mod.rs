//! Files, as a node sees them: the seam under everything that a node keeps.
//!
//! Code that keeps data is written once, over [`Files`]. On a user's machine the operating system's
//! files stand behind it ([`os`]); in a simulation, files that lose, tear, rot and fill
//! ([`simulated`]).
//!
//! Two kinds of calls:
//!
//! - Reading, writing and naming go to the operating system's cache and return at once. They are
//!   plain functions.
//! - A sync waits for the disk, so it is a future. The operating system's files block in it: await
//!   it on a thread of its own ([`spawn_disk_task`]), never on the thread that serves. In a
//!   simulation it takes virtual time.
//!
//! The module knows no format. Paths are relative to the folder that [`Files`] stands for.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

#[cfg(test)]
mod conformance;
pub mod os;
pub mod simulated;

/// A sync under way. Ends when the disk has what was written before the sync began.
///
/// # Errors
/// Whatever the disk says. What was written since the last sync may be lost after an error, and
/// another sync would not say so. So an error is final: never sync again.
pub type Syncing = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// One that exists, to read.
    Read,
    /// One that exists, to read and write.
    Write,
    /// A new one, to read and write. An error where the name is taken.
    Create,
}

/// What a name in a folder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// Anything else: a link, a device, a socket.
    Other,
}

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, without its folder. Bytes that are no UTF-8 are replaced.
    pub name: String,
    /// What it stands for. A link is not followed.
    pub kind: Kind,
}

/// A folder with everything below it. All paths are relative to it; the empty path is the folder
/// itself.
pub trait Files: fmt::Debug + Send + Sync {
    /// Opens a file.
    ///
    /// # Errors
    /// Where it does not exist ([`Open::Read`], [`Open::Write`]), exists ([`Open::Create`]), or the
    /// operating system refuses.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>>;

    /// Makes a folder, and those above it that are missing. No error where it exists.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// What a folder holds, by name.
    ///
    /// # Errors
    /// Where it is no folder or cannot be read.
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>>;

    /// Gives a file another name, in place of a file that has it.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Who has it open can still read it.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable: what was made, renamed and removed there.
    fn sync_dir(&self, folder: &Path) -> Syncing;

    /// Makes the contents of several files durable, as a [`sync`](File::sync) of each would, but
    /// not one after the other. Their names are their folder's.
    fn sync_files(&self, paths: Vec<PathBuf>) -> Syncing;

    /// How many bytes may still be written.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn free(&self) -> io::Result<u64>;

    /// Takes the lock of a file, which is made if it is missing. The lock ends when it is dropped,
    /// or with the process.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] where another process has it; whatever the operating system
    /// says.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;
}

/// A file that is locked for this process.
pub trait Lock: fmt::Debug + Send + Sync {
    /// The file's number on its disk (its inode). It stays as long as the file does; a copy has
    /// another.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn number(&self) -> io::Result<u64>;
}

/// An open file. Calls may come from several threads.
#[expect(clippy::len_without_is_empty, reason = "a length that may fail is no collection's")]
pub trait File: fmt::Debug + Send + Sync {
    /// Reads from a place on, at most as much as the buffer holds. Returns how many bytes were
    /// read; 0 at the end of the file.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes from a place on. Returns how many bytes were written, which may be fewer than were
    /// given: [`write_all_at`] goes on.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// How many bytes it has.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn len(&self) -> io::Result<u64>;

    /// Cuts it, or lengthens it with zeros.
    ///
    /// # Errors
    /// Whatever the operating system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes its contents durable, with what is needed to read them again (`fdatasync`). The name
    /// is its folder's ([`Files::sync_dir`]).
    fn sync(&self) -> Syncing;
}

/// The same error, with the path that it is about.
fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Refuses a path that may lead out of the folder that a [`Files`] stands for.
fn check_relative(path: &Path) -> io::Result<()> {
    let leads_down = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    if path.components().all(leads_down) {
        return Ok(());
    }
    let message = format!("{}: not a path below this folder", path.display());
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// Reads exactly as many bytes as the buffer holds.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] where the file ends before; whatever the operating system says.
pub fn read_exact_at(file: &dyn File, mut into: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !into.is_empty() {
        match file.read_at(into, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                into = &mut into[read..];
                offset += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes all bytes, in as many calls as it takes.
///
/// # Errors
/// [`io::ErrorKind::WriteZero`] where nothing more can be written; whatever the operating system
/// says. Some of the bytes may have been written.
pub fn write_all_at(file: &dyn File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads a whole file.
///
/// # Errors
/// Whatever the operating system says.
pub fn read_all(file: &dyn File) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    read_exact_at(file, &mut bytes, 0)?;
    Ok(bytes)
}

/// Runs a task that writes and syncs files: on a plain thread of its own, where a sync may block;
/// in a simulation as a task of the current host, where a sync takes virtual time. The task must
/// not wait for anything of tokio's that needs its clock or its I/O; channels are well.
///
/// # Errors
/// Where the operating system has no thread left.
pub fn spawn_disk_task<F>(name: &str, task: F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    if crate::host::current().is_some() {
        // It ends by itself or with its host.
        let _task = crate::spawn(task);
        return Ok(());
    }
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || futures::executor::block_on(task))
        .map(drop)
}
