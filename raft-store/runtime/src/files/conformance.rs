//! The operating system's files and the simulated ones do the same, as far as a node sees them.

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use futures::executor::block_on;

use super::os::OsFiles;
use super::simulated::SimFiles;
use super::*;

/// A folder that is removed in the end.
#[derive(Debug)]
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cohort-files-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a folder of its own");
        Self(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("nobody else removes it");
    }
}

/// What each step of a script gave.
struct Script<'a> {
    files: &'a dyn Files,
    log: Vec<String>,
}

impl Script<'_> {
    /// Notes a result; of an error, its kind. Its text must name a path.
    fn note<T: Debug>(&mut self, step: &str, result: io::Result<T>) {
        let result = result.map_err(|error| {
            let text = error.to_string();
            assert!(text.contains(": ") && text.contains("name"), "{step}: no path in: {text}");
            error.kind()
        });
        self.log.push(format!("{step}: {result:?}"));
    }

    fn open(&mut self, path: &str, how: Open) -> Option<Arc<dyn File>> {
        let opened = self.files.open(Path::new(path), how);
        let file = opened.as_ref().ok().cloned();
        self.note(&format!("open {path} {how:?}"), opened.map(drop));
        file
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> Arc<dyn File> {
        let file = self.open(path, Open::Create).expect("a new name");
        self.note("write", write_all_at(&*file, bytes, 0));
        file
    }

    fn create_dir(&mut self, path: &str) {
        let made = self.files.create_dir(Path::new(path));
        self.note(&format!("create_dir {path}"), made);
    }

    fn rename(&mut self, from: &str, to: &str) {
        let renamed = self.files.rename(Path::new(from), Path::new(to));
        self.note(&format!("rename {from} {to}"), renamed);
    }

    fn remove(&mut self, path: &str) {
        let removed = self.files.remove(Path::new(path));
        self.note(&format!("remove {path}"), removed);
    }

    fn list(&mut self, path: &str) {
        let listed = self.files.list(Path::new(path));
        self.note(&format!("list {path}"), listed);
    }

    fn sync_dir(&mut self, path: &str) {
        let synced = block_on(self.files.sync_dir(Path::new(path)));
        self.note(&format!("sync_dir {path}"), synced);
    }

    fn read(&mut self, path: &str) {
        if let Some(file) = self.open(path, Open::Read) {
            self.note("read", read_all(&*file));
        }
    }
}

fn names(script: &mut Script<'_>) {
    script.create_dir("");
    script.list("");
    script.create_dir("name/of/a/name");
    script.create_dir("name/of");
    let _open = script.file("name/file", b"one");
    for how in [Open::Read, Open::Write, Open::Create] {
        for path in ["name/file", "name", "name/none", "name/none/file", "name/file/x"] {
            script.open(path, how);
        }
    }
    script.create_dir("name/file");
    script.create_dir("name/file/below");
    script.create_dir("name/file/below/it");
    for path in ["", "name", "name/", "./name/of", "name/file", "name/missing"] {
        script.list(path);
        script.sync_dir(path);
    }
    script.file("name/other", b"two");
    script.rename("name/file", "name/other");
    script.read("name/other");
    script.read("name/file");
    script.rename("name/file", "name/other");
    script.rename("name/other", "name/other");
    script.rename("name/other", "name/missing/x");
    script.rename("name/other", "name/of");
    script.rename("name/of", "name/other");
    script.rename("name/of", "name/of/a/name/x");
    script.create_dir("name/free");
    script.rename("name/of", "name/free");
    script.rename("name/free", "name/free");
    script.create_dir("name/full/x");
    script.rename("name/free", "name/full");
    script.rename("name/other", "name/full/x/moved");
    script.list("name");
    script.list("name/full/x");
    script.list("name/free/a");
    script.remove("name/full");
    script.remove("name/missing");
    script.remove("name/full/x/moved/y");
    script.remove("name/full/x/moved");
    script.list("name/full/x");
    for path in ["../name", "/name", "name/../name"] {
        script.open(path, Open::Create);
        script.create_dir(path);
        script.list(path);
        script.remove(path);
        script.rename(path, "name/x");
        script.rename("name/free", path);
        script.sync_dir(path);
    }
}

fn contents(script: &mut Script<'_>) {
    let file = script.file("name", b"0123456789");
    let mut into = [0; 6];
    for offset in [0, 7, 10, 1 << 40, u64::MAX] {
        let read = file.read_at(&mut into, offset).map(|read| into[..read].to_vec());
        script.note("read_at", read);
    }
    script.note("read_exact_at", read_exact_at(&*file, &mut into, 3).map(|()| into));
    let beyond = read_exact_at(&*file, &mut into, 7).map_err(|error| error.kind());
    assert_eq!(beyond, Err(io::ErrorKind::UnexpectedEof));
    script.note("write in it", file.write_at(b"abc", 4));
    script.note("write none", file.write_at(b"", 1 << 20));
    script.note("write nowhere", file.write_at(b"x", u64::MAX));
    // Over the ends of pages, and with a hole.
    script.note("write behind it", file.write_at(&[7; 9000], 20_000));
    script.note("len", file.len());
    script.read("name");
    for len in [25_000, 20_001, 4096, 12, 5, 9000, 0, 3] {
        script.note("set_len", file.set_len(len));
        script.note("sync", block_on(file.sync()));
        script.note("len", file.len());
        script.read("name");
    }
    script.note("set_len", file.set_len(u64::MAX));
    let reader = script.open("name", Open::Read).expect("it is there");
    script.note("write by a reader", reader.write_at(b"x", 0));
    script.note("write none by a reader", reader.write_at(b"", 0));
    script.note("cut by a reader", reader.set_len(1));
    script.note("sync by a reader", block_on(reader.sync()));
    let writer = script.open("name", Open::Write).expect("it is there");
    script.note("write by a writer", writer.write_at(b"xyz", 1));
    script.note("read what another wrote", read_all(&*reader));
    // Without a name, it lives for those who have it open.
    script.file("name of another", b"in its place");
    script.rename("name of another", "name");
    script.note("write without a name", writer.write_at(b"w", 9));
    script.note("read without a name", read_all(&*reader));
    script.remove("name");
    script.note("sync without a name", block_on(writer.sync()));
    script.read("name");
    script.list("");
}

fn locks(script: &mut Script<'_>) {
    script.file("name", b"kept");
    for path in ["name", "name new"] {
        let lock = |path: &str| script.files.lock(Path::new(path));
        let (first, second) = (lock(path), lock(path));
        assert!(first.is_ok() && lock("name free").is_ok());
        script.note("the second lock", second.map(drop));
        drop(first);
        let third = script.files.lock(Path::new(path));
        script.note("the third lock", third.map(drop));
        script.read(path);
    }
    script.create_dir("name of folder");
    for path in ["name of folder", "name missing/x"] {
        let locked = script.files.lock(Path::new(path)).map(drop);
        script.note("lock nothing", locked);
    }
}

#[test]
fn both_kinds_of_files_do_the_same() {
    for run in [names, contents, locks] {
        let scratch = Scratch::new();
        let operating_system = OsFiles::new(scratch.0.join("root"));
        operating_system.create_dir(Path::new("")).expect("the folder can be made");
        let simulated = SimFiles::new(1);
        let logs = [&operating_system as &dyn Files, &simulated].map(|files| {
            let mut script = Script { files, log: Vec::new() };
            run(&mut script);
            script.log
        });
        assert!(logs[0].len() > 10);
        for (real, simulated) in logs[0].iter().zip(&logs[1]) {
            assert_eq!(real, simulated);
        }
        assert_eq!(logs[0].len(), logs[1].len());
    }
}
