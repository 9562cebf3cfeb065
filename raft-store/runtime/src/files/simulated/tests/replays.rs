//! The same again: from a seed, a fork, or a recording.

use super::random::Random;
use super::*;

/// Everything that tells two disks apart.
type Look = (BTreeMap<String, Vec<u8>>, BTreeMap<String, Vec<u8>>, Vec<Unsynced>);

fn look(files: &SimFiles) -> Look {
    (files.tree(), files.durable_tree(), files.unsynced())
}

/// Does something at random, as a node without plan would.
struct Monkey {
    random: Random,
    handles: Vec<Arc<dyn File>>,
    syncing: Vec<Syncing>,
}

impl Monkey {
    fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), handles: Vec::new(), syncing: Vec::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).expect("below a usize")
    }

    fn path(&mut self) -> String {
        let (folder, name) = (["", "x/", "y/"][self.below(3)], ["a", "b", "c"][self.below(3)]);
        format!("{folder}{name}")
    }

    /// What fails because nothing is there does no harm.
    fn act(&mut self, files: &SimFiles) {
        let (path, other) = (self.path(), self.path());
        let (path, other) = (Path::new(&path), Path::new(&other));
        let handle = match self.handles.len() {
            0 => None,
            handles => Some(self.below(handles)),
        };
        let file = handle.map(|handle| self.handles[handle].clone());
        match (self.below(16), file) {
            (0, _) => drop(files.create_dir(Path::new(["x", "y"][self.below(2)]))),
            (1 | 2, _) => self.handles.extend(files.open(path, Open::Create)),
            (3, _) => self.handles.extend(files.open(path, Open::Write)),
            (4, _) => drop(files.rename(path, other)),
            (5, _) => drop(files.remove(path)),
            (6, _) => {
                let folder = ["", "x", "y"][self.below(3)];
                self.syncing.push(files.sync_dir(Path::new(folder)));
            }
            (7, Some(file)) => self.syncing.push(file.sync()),
            (8, Some(file)) => {
                let len = self.below(4 * PAGE) as u64;
                drop(file.set_len(len));
            }
            (9..13, Some(file)) => {
                let bytes = vec![u8::try_from(self.below(256)).expect("a byte"); self.below(9000)];
                let offset = self.below(2 * PAGE) as u64;
                drop(file.write_at(&bytes, offset));
            }
            // A sync ends, in any order; or nobody waits for it any more.
            (13 | 14, _) if !self.syncing.is_empty() => {
                let place = self.below(self.syncing.len());
                drop(block_on(self.syncing.remove(place)));
            }
            (_, Some(_)) if self.below(8) == 0 => {
                self.handles.swap_remove(handle.expect("there is one"));
                let left = self.syncing.len().saturating_sub(1);
                self.syncing.truncate(left);
            }
            _ => {}
        }
    }
}

#[test]
fn a_replay_of_each_beginning_is_the_disk_as_it_was() {
    for seed in 0..30 {
        let files = SimFiles::new(seed);
        let mut monkey = Monkey::new(seed);
        for _ in 0..50 {
            monkey.act(&files);
        }
        files.short_writes(seed % 3 == 0);
        files.fail_sync(7);
        assert_eq!((files.recorded_len(), files.recorded().len()), (0, 0));
        files.record();
        let mut looks = vec![(files.recorded_len(), look(&files))];
        for step in 0..150 {
            match step {
                60 => files.restart(),
                100 => files.crash(),
                _ => monkey.act(&files),
            }
            if step == 60 || step == 100 {
                monkey.handles.clear();
                monkey.syncing.clear();
            }
            looks.push((files.recorded_len(), look(&files)));
        }
        let recorded = files.recorded();
        assert!(recorded.len() > 60, "{}", recorded.len());
        for (operations, expected) in looks {
            let replay = SimFiles::replay(&recorded[..operations]);
            assert!(look(&replay) == expected, "seed {seed}, {operations} of {recorded:?}");
        }
    }
    assert_eq!(look(&SimFiles::replay(&[])), look(&SimFiles::new(0)));
}

#[test]
fn a_crash_that_takes_all_leaves_what_is_durable_and_one_that_takes_nothing_leaves_all() {
    for seed in 0..100 {
        let files = SimFiles::new(seed);
        let mut monkey = Monkey::new(seed);
        for _ in 0..100 {
            monkey.act(&files);
        }
        let (tree, durable, _) = look(&files);
        let (all, none) = (files.fork(), files.fork());
        all.crash_keeping(&mut |_| true);
        assert!(all.tree() == tree && all.durable_tree() == tree, "seed {seed}");
        none.crash_keeping(&mut |_| false);
        assert!(none.tree() == durable, "seed {seed}");
        // What is synced is durable, however it was written.
        for file in &monkey.handles {
            block_on(file.sync()).expect("nothing fails");
        }
        for folder in files.list(Path::new("")).expect("the root is there") {
            if folder.kind == crate::files::Kind::Folder {
                sync_names(&files, &folder.name);
            }
        }
        sync_names(&files, "");
        for path in paths(&files) {
            block_on(open(&files, &path).sync()).expect("nothing fails");
        }
        assert!(files.durable_tree() == tree, "seed {seed}");
        assert_eq!(files.unsynced(), []);
    }
}

#[test]
fn the_same_seed_gives_the_same_crash_and_a_replay_crashes_as_the_disk_does() {
    let crashed = |monkey: u64, seed: u64| {
        let files = SimFiles::new(9);
        files.record();
        let mut monkey = Monkey::new(monkey);
        for _ in 0..200 {
            monkey.act(&files);
        }
        let replay = SimFiles::replay(&files.recorded());
        for files in [&files, &replay] {
            files.torn_pages(true);
            files.set_seed(seed);
            files.crash();
        }
        assert!(look(&files) == look(&replay));
        look(&files)
    };
    let differing = (0..30).filter(|monkey| {
        assert!(crashed(*monkey, 1) == crashed(*monkey, 1));
        crashed(*monkey, 1) != crashed(*monkey, 2)
    });
    assert!(differing.count() > 20);
}

#[test]
fn a_fork_goes_its_own_way() {
    let files = SimFiles::new(1);
    let file = create_durable(&files, "log", b"one");
    write_all_at(&*file, b"two", 3).expect("there is room");
    let lock = files.lock(Path::new("log")).expect("nobody has it");
    let (fork, before) = (files.fork(), look(&files));
    assert_eq!(look(&fork), before);
    drop(fork.lock(Path::new("log")).expect("nobody has it there"));
    write_all_at(&*open(&fork, "log"), b"ONE", 0).expect("there is room");
    remove(&fork, "log");
    fork.crash();
    assert_eq!(look(&files), before);
    // What is open here is not open there: without a name, it takes no room.
    remove(&files, "log");
    let [free, free_there] = [&files, &files.fork()].map(|files| {
        files.set_capacity(10 * PAGE as u64);
        files.free().expect("it is told")
    });
    assert_eq!((free, free_there), (9 * PAGE as u64, 10 * PAGE as u64));
    assert_eq!(read_all(&*file).expect("the handle is good"), b"onetwo");
    drop(lock);
}
