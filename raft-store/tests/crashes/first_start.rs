//! Whose a folder is when it is used for the first time.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use raft_store::{OpenError, StateMachine, Storage};
use runtime::files::simulated::SimFiles;
use runtime::files::{Entry, File, Files, Lock, Open, Syncing, write_all_at};

use super::run::{Run, SIZES, Step, found, in_host, open};

/// All files of a folder.
type Tree = BTreeMap<String, Vec<u8>>;

/// Puts files into a folder.
fn put(files: &dyn Files, tree: &Tree) {
    for (path, bytes) in tree.iter().filter(|(path, _)| *path != "LOCK") {
        let path = Path::new(path);
        if let Some(folder) = path.parent() {
            files.create_dir(folder).expect("made");
        }
        let file = files.open(path, Open::Create).expect("a new name");
        write_all_at(&*file, bytes, 0).expect("written");
    }
}

/// What a node leaves that has kept three entries.
async fn used() -> (SimFiles, Tree) {
    let mut run = Run::begin(SimFiles::new(5)).await.expect("an empty folder");
    run.step(Step::Append(3, 100)).await.expect("nothing fails");
    run.step(Step::Sync).await.expect("nothing fails");
    let tree = run.files.tree();
    (run.files, tree)
}

/// A folder in which another process lives its whole life while this one waits for the lock.
#[derive(Debug)]
struct Contended {
    files: SimFiles,
    left_by_the_other: Mutex<Option<Tree>>,
}

impl Files for Contended {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        self.files.open(path, how)
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
        self.files.sync_dir(folder)
    }

    fn sync_files(&self, paths: Vec<PathBuf>) -> Syncing {
        self.files.sync_files(paths)
    }

    fn free(&self) -> io::Result<u64> {
        self.files.free()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let left = self.left_by_the_other.lock().expect("no panic").take();
        if let Some(left) = left {
            put(&self.files, &left);
        }
        self.files.lock(path)
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_was_used_while_the_lock_was_waited_for_is_not_begun_anew() {
    in_host(async {
        let (_, left) = used().await;
        let left_by_the_other = Mutex::new(Some(left));
        let files = Arc::new(Contended { files: SimFiles::new(6), left_by_the_other });
        let opened = Storage::open(files, StateMachine::default(), SIZES).await;
        let mut storage = opened.expect("the other has ended");
        assert_eq!(found(&mut storage).await.log.entries.len(), 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_first_start_that_was_cut_off_is_begun_anew() {
    in_host(async {
        let files = SimFiles::new(7);
        let left = [("identity.new", "cohort data"), ("wal/0000000000000001.wal", "half")];
        let left = left.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        put(&files, &left.into());
        open(&files).await.expect("nobody was told of it");
        files.restart();
        open(&files).await.expect("its own folder");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_first_start_does_not_leave_is_not_removed() {
    in_host(async {
        for stranger in ["wal/notes", "wal/0000000000000001.wal/x", "records/notes"] {
            let files = SimFiles::new(7);
            let left =
                [("identity.new".to_owned(), b"cohort".to_vec()), (stranger.into(), vec![1])];
            put(&files, &left.into());
            let before = files.tree();
            open(&files).await.expect_err("it is not cohort's");
            let mut after = files.tree();
            after.remove("LOCK");
            assert_eq!(after, before, "{stranger}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_used_folder_without_its_identity_is_refused_whatever_lies_beside() {
    in_host(async {
        let mut run = Run::begin(SimFiles::new(5)).await.expect("an empty folder");
        for step in [Step::Append(3, 100), Step::Commit(0), Step::Snapshot] {
            run.step(step).await.expect("nothing fails");
        }
        run.killed();
        run.files.rename(Path::new("identity"), Path::new("identity.new")).expect("renamed");
        let before = run.files.tree();
        let refused = open(&run.files).await.expect_err("a checkpoint has an owner");
        assert!(matches!(refused, OpenError::NoIdentity(_)), "{refused}");
        assert_eq!(run.files.tree(), before);
    })
    .await;
}
