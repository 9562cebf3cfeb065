//! The operating system's files.
//!
//! Every error names the path that it is about. A [`sync`](File::sync) blocks the thread that
//! awaits it, on purpose ([`spawn_disk_task`](super::spawn_disk_task)).

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;

use super::{Entry, File, Files, Kind, Lock, Open, Syncing, about, check_relative};

/// So many files are synced one by one. More are synced with all of their file system: that takes
/// as long as a few.
const SYNCED_ONE_BY_ONE: usize = 16;

/// A folder of this machine, with everything below it.
#[derive(Debug, Clone)]
pub struct OsFiles {
    root: PathBuf,
    /// The root, open since the lock was taken. A write that failed in the background is told once
    /// to each file that was open then. A file that is opened later is not told what anybody else
    /// has heard, such as another node on this file system.
    opened: Arc<OnceLock<fs::File>>,
}

impl OsFiles {
    /// The files of a folder. It need not exist yet: [`create_dir`](Files::create_dir) of the empty
    /// path makes it, and makes its name durable, since nobody else can: no path of this seam leads
    /// above it.
    pub fn new(root: PathBuf) -> Self {
        Self { root, opened: Arc::default() }
    }

    /// The root, open as long as these are.
    fn open_root(&self) -> io::Result<&fs::File> {
        if let Some(root) = self.opened.get() {
            return Ok(root);
        }
        let root = fs::File::open(&self.root)?;
        Ok(self.opened.get_or_init(|| root))
    }

    /// The path for the operating system.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] where the path is not below this folder.
    fn locate(&self, path: &Path) -> io::Result<PathBuf> {
        check_relative(path)?;
        // To join the empty path would end the root with a slash.
        let is_root = path.as_os_str().is_empty();
        Ok(if is_root { self.root.clone() } else { self.root.join(path) })
    }
}

impl Files for OsFiles {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let path = self.locate(path)?;
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match how {
            Open::Read => {}
            Open::Write => _ = options.write(true),
            Open::Create => _ = options.write(true).create_new(true),
        }
        let file = options.open(&path).and_then(|file| {
            // To read, the system opens a folder as well, and refuses only the first read.
            let is_folder = file.metadata()?.is_dir();
            if is_folder { Err(Errno::ISDIR.into()) } else { Ok(Arc::new(file)) }
        });
        let file = file.map_err(|error| about(&path, &error))?;
        Ok(Arc::new(OsFile { file, path }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let is_root = path.as_os_str().is_empty();
        let path = self.locate(path)?;
        let made = missing(&path);
        fs::create_dir_all(&path).map_err(|error| about(&path, &error))?;
        // The names of folders below are for who makes them to sync.
        for folder in made.iter().filter(|_| is_root) {
            sync_dir(folder).map_err(|error| about(folder, &error))?;
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let folder = self.locate(folder)?;
        list(&folder).map_err(|error| about(&folder, &error))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.locate(from)?, self.locate(to)?);
        fs::rename(&from, &to).map_err(|error| {
            let message = format!("{} to {}: {error}", from.display(), to.display());
            io::Error::new(error.kind(), message)
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let path = self.locate(path)?;
        fs::remove_file(&path).map_err(|error| about(&path, &error))
    }

    fn sync_dir(&self, folder: &Path) -> Syncing {
        let folder = self.locate(folder);
        Box::pin(async move {
            let folder = folder?;
            sync_dir(&folder).map_err(|error| about(&folder, &error))
        })
    }

    fn sync_files(&self, paths: Vec<PathBuf>) -> Syncing {
        let files = self.clone();
        Box::pin(async move {
            if paths.len() > SYNCED_ONE_BY_ONE {
                // The whole file system, at the price of a few files.
                let synced = files
                    .open_root()
                    .and_then(|root| rustix::fs::syncfs(root).map_err(io::Error::from));
                return synced.map_err(|error| about(&files.root, &error));
            }
            for path in paths {
                files.open(&path, Open::Write)?.sync().await?;
            }
            Ok(())
        })
    }

    fn free(&self) -> io::Result<u64> {
        let system = rustix::fs::statvfs(&self.root);
        let system = system.map_err(|errno| about(&self.root, &errno.into()))?;
        // What is kept for the superuser does not count: who runs as one must not live on it.
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let path = self.locate(path)?;
        self.open_root().map_err(|error| about(&self.root, &error))?;
        let mut options = fs::OpenOptions::new();
        // Not cut: what is in it belongs to whoever has the lock.
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(|error| about(&path, &error))?;
        file.try_lock().map_err(|error| about(&path, &error.into()))?;
        Ok(Box::new(OsLock { file }))
    }
}

fn list(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file_type = entry.file_type()?;
        let kind = if file_type.is_file() {
            Kind::File
        } else if file_type.is_dir() {
            Kind::Folder
        } else {
            Kind::Other
        };
        entries.push(Entry { name: entry.file_name().to_string_lossy().into_owned(), kind });
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

/// The folders that get a new name when this one is made with those above it that are missing.
fn missing(path: &Path) -> Vec<PathBuf> {
    let above = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    path.ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .map(above)
        .collect()
}

fn sync_dir(folder: &Path) -> io::Result<()> {
    let folder = fs::File::open(folder)?;
    if !folder.metadata()?.is_dir() {
        return Err(Errno::NOTDIR.into());
    }
    folder.sync_all()
}

/// The lock is the open file's: it ends when the file is closed.
#[derive(Debug)]
struct OsLock {
    file: fs::File,
}

impl Lock for OsLock {
    fn number(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.ino())
    }
}

#[derive(Debug)]
struct OsFile {
    /// Shared with syncs, which may outlive the handle.
    file: Arc<fs::File>,
    /// For errors.
    path: PathBuf,
}

impl File for OsFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(into, offset).map_err(|error| about(&self.path, &error))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset).map_err(|error| about(&self.path, &error))
    }

    fn len(&self) -> io::Result<u64> {
        let metadata = self.file.metadata().map_err(|error| about(&self.path, &error))?;
        Ok(metadata.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len).map_err(|error| about(&self.path, &error))
    }

    fn sync(&self) -> Syncing {
        let (file, path) = (self.file.clone(), self.path.clone());
        Box::pin(async move { file.sync_data().map_err(|error| about(&path, &error)) })
    }
}

/// The text of a file, such as one of settings.
///
/// # Errors
/// Where it cannot be read, or is no text.
pub fn read_text(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

/// The bytes of a file that holds a secret, `most` at most. The rule is that of PostgreSQL's key
/// files: its owner alone may read it, or the group as well where root owns it, which is how
/// systemd and Kubernetes hand secrets out.
///
/// # Errors
/// Where it cannot be read, others may read or change it, or it has more bytes.
pub fn read_secret(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    // Of what was opened: a name may lead elsewhere a moment later.
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    let of_root = meta.uid() == 0;
    if meta.mode() & if of_root { 0o027 } else { 0o077 } != 0 {
        let mode = meta.mode() & 0o777;
        let problem = format!("others may read or change it (mode {mode:04o}); chmod it to 0600");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
    }
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        let problem = format!("it has more than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::conformance::Scratch;
    use super::super::{Entry, Kind, read_all, spawn_disk_task, write_all_at};
    use super::*;

    #[test]
    fn a_secret_that_others_may_read_or_change_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let scratch = Scratch::new();
        let path = scratch.0.join("secret");
        fs::write(&path, "12345").expect("kept");
        let of_root = fs::metadata(&path).expect("there").uid() == 0;
        for (mode, allowed) in [
            (0o600, true),
            (0o400, true),
            (0o440, of_root),
            (0o460, false),
            (0o604, false),
            (0o602, false),
            (0o644, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            let read = read_secret(&path, 5);
            assert_eq!(read.is_ok(), allowed, "{mode:o}: {read:?}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        assert_eq!(read_secret(&path, 5).expect("short enough"), b"12345");
        assert!(read_secret(&path, 4).expect_err("too long").to_string().contains("4 bytes"));
        assert!(read_secret(&scratch.0, 5).is_err(), "a folder");
    }

    /// A file system whose disk has no more room than it pretends to have, in a folder of its own.
    /// `None` where this user may not mount, or there are no tools.
    struct Overcommitted(PathBuf);

    impl Overcommitted {
        fn new(folder: &Path) -> Option<Self> {
            let script = "mkdir disk top && mount -t tmpfs -o size=4m tmpfs disk \
                          && truncate -s 64m disk/image \
                          && mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=0 disk/image \
                          && mount -o loop,errors=continue disk/image top";
            let made = Self(folder.to_owned());
            made.run(script).then_some(made)
        }

        fn run(&self, script: &str) -> bool {
            let mut shell = std::process::Command::new("sh");
            let quiet = std::process::Stdio::null();
            shell.args(["-c", script]).current_dir(&self.0).stderr(quiet);
            shell.status().is_ok_and(|status| status.success())
        }
    }

    impl Drop for Overcommitted {
        fn drop(&mut self) {
            self.run("umount top; umount disk");
        }
    }

    #[tokio::test]
    async fn regression_a_write_that_failed_is_told_though_somebody_else_was_told_before() {
        let scratch = Scratch::new();
        let Some(mounted) = Overcommitted::new(&scratch.0) else {
            // Nothing can be shown to a user who may not mount a file system.
            return;
        };
        let root = scratch.0.join("top/data");
        let files = OsFiles::new(root.clone());
        files.create_dir(Path::new("")).expect("made");
        let _lock = files.lock(Path::new("LOCK")).expect("nobody has it");
        mounted.run("dd if=/dev/zero of=disk/filler bs=64k");
        let names = (0..=SYNCED_ONE_BY_ONE).map(|n| PathBuf::from(n.to_string()));
        let names: Vec<PathBuf> = names.collect();
        for name in &names {
            let file = files.open(name, Open::Create).expect("a new name");
            write_all_at(&*file, &[1; 64 * 1024], 0).expect("the cache takes it");
        }
        // The system tells each open file once, and a new one nothing that somebody was told.
        let other = fs::File::open(&root).expect("there");
        let told = rustix::fs::syncfs(&other);
        mounted.run("rm disk/filler");
        assert!(told.is_err(), "the disk is full");
        drop(other);
        let error = files.sync_files(names).await.expect_err("what was written is lost");
        assert!(error.to_string().starts_with(&root.display().to_string()), "{error}");
    }

    #[test]
    fn the_folders_above_a_new_root_are_synced_up_to_the_first_that_was_there() {
        let scratch = Scratch::new();
        let root = scratch.0.join("a/b/c");
        let above = [scratch.0.join("a/b"), scratch.0.join("a"), scratch.0.clone()];
        assert_eq!(missing(&root), above);
        OsFiles::new(root.clone()).create_dir(Path::new("")).expect("made");
        assert_eq!(missing(&root), Vec::<PathBuf>::new());
        assert_eq!(missing(Path::new("no-such-folder")), [PathBuf::from(".")]);
    }

    #[test]
    fn a_link_is_listed_as_it_is_and_names_are_in_order() {
        let scratch = Scratch::new();
        let files = OsFiles::new(scratch.0.clone());
        for name in ["b", "a", "é"] {
            files.open(Path::new(name), Open::Create).expect("a new name");
        }
        files.create_dir(Path::new("folder")).expect("a new name");
        symlink(scratch.0.join("folder"), scratch.0.join("link")).expect("a new name");
        let entry = |name: &str, kind| Entry { name: name.to_owned(), kind };
        let expected = [
            entry("a", Kind::File),
            entry("b", Kind::File),
            entry("folder", Kind::Folder),
            entry("link", Kind::Other),
            entry("é", Kind::File),
        ];
        assert_eq!(files.list(Path::new("")).expect("it is there"), expected);
    }

    #[test]
    fn room_is_told_and_an_error_names_the_whole_path_and_what_the_system_says() {
        let scratch = Scratch::new();
        let files = OsFiles::new(scratch.0.clone());
        assert!(files.free().expect("it is there") > 0);
        let error = files.open(Path::new("not/there"), Open::Read).expect_err("nothing is there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let path = scratch.0.join("not/there");
        assert!(error.to_string().starts_with(&format!("{}: No such", path.display())), "{error}");
        let gone = OsFiles::new(scratch.0.join("gone"));
        assert_eq!(gone.free().expect_err("no folder").kind(), io::ErrorKind::NotFound);
    }

    /// `/dev/full` is a disk without room, as far as a write sees.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_says_so() {
        let files = OsFiles::new(PathBuf::from("/dev"));
        let full = files.open(Path::new("full"), Open::Write).expect("every Linux has it");
        let error = write_all_at(&*full, b"x", 0).expect_err("no room");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_disk_task_writes_and_syncs_on_a_thread_of_its_own() {
        let scratch = Scratch::new();
        let files = OsFiles::new(scratch.0.clone());
        let (done, wait) = std::sync::mpsc::channel();
        let task = {
            let files = files.clone();
            async move {
                let file = files.open(Path::new("log"), Open::Create)?;
                write_all_at(&*file, b"group", 0)?;
                file.sync().await?;
                files.sync_dir(Path::new("")).await
            }
        };
        spawn_disk_task("disk", async move {
            let name = std::thread::current().name().map(str::to_owned);
            done.send((task.await, name)).expect("the test waits");
        })
        .expect("a thread");
        let (written, name) = wait.recv().expect("the task ends");
        written.expect("the disk has it");
        assert_eq!(name.as_deref(), Some("disk"));
        let file = files.open(Path::new("log"), Open::Read).expect("it is there");
        assert_eq!(read_all(&*file).expect("it can be read"), b"group");
    }
}
