//! A simulated disk: its files and folders, and what its calls do to them. Errors are those of the
//! operating system, without the path.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::RangeInclusive;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::contents::PAGE;
use super::file::FileNode;
use super::folder::{Change, FolderNode, Naming};
use super::random::Random;
use super::record::Step;
use crate::files::{Entry, Kind, Open};

/// A file or folder, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(u64);

/// The folder that holds all.
pub(super) const ROOT: Id = Id(0);

/// How many bytes a disk has unless it is told: more than any simulation writes.
const CAPACITY: u64 = 1 << 40;

#[derive(Debug, Clone)]
pub(super) enum Node {
    File(FileNode),
    Folder(FolderNode),
}

/// What goes wrong, and when.
#[derive(Debug, Clone)]
pub(super) struct Faults {
    /// The numbers of the syncs that fail, from the first one of the disk on.
    pub(super) failing_syncs: BTreeSet<u64>,
    /// How long a sync takes.
    pub(super) sync_time: RangeInclusive<Duration>,
    /// In bytes.
    pub(super) capacity: u64,
    pub(super) short_writes: bool,
    /// Whether a crash may leave a part of a page.
    pub(super) torn_pages: bool,
    /// Files that cannot be read.
    pub(super) unreadable: BTreeSet<Id>,
}

/// A sync that has begun.
#[derive(Debug)]
pub(super) struct Begun {
    /// The first change that it does not cover.
    pub(super) mark: u64,
    pub(super) takes: Duration,
    pub(super) fails: bool,
}

/// How a sync ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Durable,
    Failed,
    /// Whoever waited for it is gone.
    Cut,
}

/// See the [module](self).
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) nodes: BTreeMap<Id, Node>,
    next_node: u64,
    next_naming: u64,
    /// How many handles are open. A file without a name lives as long as one is.
    pub(super) open: BTreeMap<Id, u64>,
    pub(super) locked: BTreeSet<Id>,
    /// How often the node has ended. A handle of an earlier life is stale.
    pub(super) life: u64,
    pub(super) random: Random,
    pub(super) faults: Faults,
    /// How many syncs have begun.
    pub(super) syncs: u64,
    /// A folder's sync has failed in this life of the machine.
    pub(super) names_failed: bool,
    pub(super) recording: Option<Vec<Step>>,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node::Folder(FolderNode::default()))]),
            next_node: 1,
            next_naming: 0,
            open: BTreeMap::new(),
            locked: BTreeSet::new(),
            life: 0,
            random: Random::new(seed),
            faults: Faults {
                failing_syncs: BTreeSet::new(),
                sync_time: Duration::ZERO..=Duration::ZERO,
                capacity: CAPACITY,
                short_writes: false,
                torn_pages: false,
                unreadable: BTreeSet::new(),
            },
            syncs: 0,
            names_failed: false,
            recording: None,
        }
    }

    /// The same disk, for nobody yet: no handle is open.
    pub(super) fn fork(&self) -> Self {
        let mut fork = Self { recording: None, ..self.clone() };
        fork.open.clear();
        fork.locked.clear();
        fork
    }

    pub(super) fn record(&mut self, step: impl FnOnce() -> Step) {
        if let Some(recording) = &mut self.recording {
            recording.push(step());
        }
    }

    // -- Names.

    /// What a path leads to.
    pub(super) fn find(&self, path: &Path) -> io::Result<Id> {
        self.walk_down(&names(path)?)
    }

    fn walk_down(&self, names: &[&str]) -> io::Result<Id> {
        names.iter().try_fold(ROOT, |folder, name| {
            Ok(*self.folder(folder)?.current.get(*name).ok_or(Errno::NOENT)?)
        })
    }

    /// The folder of a path, and the name in it.
    fn parent<'a>(&self, path: &'a Path) -> io::Result<(Id, &'a str)> {
        let names = names(path)?;
        let (name, above) = names.split_last().ok_or(Errno::BUSY)?;
        let folder = self.walk_down(above)?;
        self.folder(folder)?;
        Ok((folder, name))
    }

    pub(super) fn file(&self, id: Id) -> io::Result<&FileNode> {
        match self.nodes.get(&id) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Folder(_)) => Err(Errno::ISDIR.into()),
            None => Err(Errno::STALE.into()),
        }
    }

    pub(super) fn folder(&self, id: Id) -> io::Result<&FolderNode> {
        match self.nodes.get(&id) {
            Some(Node::Folder(folder)) => Ok(folder),
            Some(Node::File(_)) => Err(Errno::NOTDIR.into()),
            None => Err(Errno::STALE.into()),
        }
    }

    fn is_folder(&self, id: Id) -> bool {
        matches!(self.nodes.get(&id), Some(Node::Folder(_)))
    }

    /// The file that is to be opened.
    pub(super) fn open(&mut self, path: &Path, how: Open) -> io::Result<Id> {
        let id = if how == Open::Create {
            if self.find(path).is_ok() {
                return Err(Errno::EXIST.into());
            }
            let (folder, name) = self.parent(path)?;
            self.create(folder, name, Kind::File)
        } else {
            let id = self.find(path)?;
            self.file(id)?;
            id
        };
        *self.open.entry(id).or_default() += 1;
        Ok(id)
    }

    /// A handle is closed.
    pub(super) fn close(&mut self, id: Id) {
        if let Some(handles) = self.open.get_mut(&id) {
            *handles -= 1;
            if *handles == 0 {
                self.open.remove(&id);
            }
        }
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let names = names(path)?;
        let mut above = ROOT;
        for (depth, name) in names.iter().enumerate() {
            above = match self.folder(above)?.current.get(*name) {
                Some(id) if depth + 1 == names.len() && !self.is_folder(*id) => {
                    return Err(Errno::EXIST.into());
                }
                Some(id) => *id,
                None => self.create(above, name, Kind::Folder),
            };
        }
        Ok(())
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let folder = self.folder(self.find(path)?)?;
        let entries = folder.current.iter().map(|(name, id)| Entry {
            name: name.clone(),
            kind: if self.is_folder(*id) { Kind::Folder } else { Kind::File },
        });
        Ok(entries.collect())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        let (from_folder, old) = self.parent(from)?;
        let (to_folder, new) = self.parent(to)?;
        if self.is_folder(node) && names(to)?.starts_with(&names(from)?) && from != to {
            return Err(Errno::INVAL.into());
        }
        if let Some(target) = self.folder(to_folder)?.current.get(new) {
            if *target == node {
                return Ok(());
            }
            match (self.is_folder(node), self.folder(*target)) {
                (false, Ok(_)) => return Err(Errno::ISDIR.into()),
                (true, Ok(folder)) if !folder.current.is_empty() => {
                    return Err(Errno::NOTEMPTY.into());
                }
                (true, Err(error)) => return Err(error),
                (true, Ok(_)) | (false, Err(_)) => {}
            }
        }
        self.move_node((from_folder, old), (to_folder, new));
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.file(self.find(path)?)?;
        let (folder, name) = self.parent(path)?;
        self.unlink(folder, name);
        Ok(())
    }

    /// The file of a lock, which is made if it is missing.
    pub(super) fn lock(&mut self, path: &Path) -> io::Result<Id> {
        let how = if self.find(path).is_ok() { Open::Write } else { Open::Create };
        let id = self.open(path, how)?;
        if self.locked.insert(id) {
            return Ok(id);
        }
        self.close(id);
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// A lock is dropped.
    pub(super) fn unlock(&mut self, id: Id) {
        self.locked.remove(&id);
        self.close(id);
    }

    // -- What changes the disk: checked before, and recorded.

    pub(super) fn create(&mut self, folder: Id, name: &str, kind: Kind) -> Id {
        self.record(|| Step::Create { folder, name: name.to_owned(), kind });
        let (id, name) = (Id(self.next_node), name.to_owned());
        self.next_node += 1;
        let (node, naming) = if kind == Kind::Folder {
            (Node::Folder(FolderNode::default()), Naming::CreateFolder { name })
        } else {
            (Node::File(FileNode::default()), Naming::Create { name })
        };
        self.nodes.insert(id, node);
        self.change_names(folder, naming, id, None);
        id
    }

    pub(super) fn move_node(&mut self, from: (Id, &str), to: (Id, &str)) {
        self.record(|| Step::Move {
            from: (from.0, from.1.to_owned()),
            to: (to.0, to.1.to_owned()),
        });
        let ((from, old), (to, new)) = ((from.0, from.1.to_owned()), (to.0, to.1.to_owned()));
        let node = self.folder(from).ok().and_then(|folder| folder.current.get(&old).copied());
        let node = node.expect("whoever moves a name has looked it up");
        if from == to {
            self.change_names(from, Naming::Rename { from: old, to: new }, node, None);
        } else {
            let moved_in = self.change_names(to, Naming::MoveIn { name: new }, node, None);
            let moved_in = Some((to, moved_in));
            self.change_names(from, Naming::MoveOut { name: old }, node, moved_in);
        }
    }

    pub(super) fn unlink(&mut self, folder: Id, name: &str) {
        self.record(|| Step::Unlink { folder, name: name.to_owned() });
        let node = self.folder(folder).ok().and_then(|folder| folder.current.get(name).copied());
        let node = node.expect("whoever removes a name has looked it up");
        self.change_names(folder, Naming::Remove { name: name.to_owned() }, node, None);
    }

    /// Returns the change's number.
    fn change_names(
        &mut self,
        folder: Id,
        naming: Naming,
        node: Id,
        moved_in: Option<(Id, u64)>,
    ) -> u64 {
        let number = self.next_naming;
        self.next_naming += 1;
        if let Some(Node::Folder(folder)) = self.nodes.get_mut(&folder) {
            folder.push(number, Change { naming, node, moved_in });
        }
        number
    }

    /// Writes as many of the bytes as the disk takes. Returns how many.
    pub(super) fn write(&mut self, id: Id, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if offset > i64::MAX as u64 {
            return Err(Errno::INVAL.into());
        }
        if bytes.len() as u64 > i64::MAX as u64 - offset {
            return Err(Errno::FBIG.into());
        }
        let file = self.file(id)?;
        let room = self.free() / PAGE as u64;
        let mut len = file.fitting(bytes.len(), offset, room);
        if len == 0 && !bytes.is_empty() {
            return Err(Errno::NOSPC.into());
        }
        if self.faults.short_writes && len > 1 {
            len = 1 + usize::try_from(self.random.below(len as u64)).expect("below a usize");
        }
        self.put(id, &bytes[..len], offset);
        Ok(len)
    }

    pub(super) fn put(&mut self, id: Id, bytes: &[u8], offset: u64) {
        self.record(|| Step::Write { file: id, bytes: Arc::from(bytes), offset });
        if let Some(Node::File(file)) = self.nodes.get_mut(&id) {
            file.write(bytes, offset);
        }
    }

    pub(super) fn set_len(&mut self, id: Id, len: u64) {
        self.record(|| Step::SetLen { file: id, len });
        if let Some(Node::File(file)) = self.nodes.get_mut(&id) {
            file.set_len(len);
        }
    }

    pub(super) fn flip_bit(&mut self, id: Id, bit: u64) {
        self.record(|| Step::FlipBit { file: id, bit });
        if let Some(Node::File(file)) = self.nodes.get_mut(&id) {
            file.flip(bit);
        }
    }

    // -- Syncs.

    /// A sync of a file or folder begins.
    pub(super) fn begin_sync(&mut self, id: Id) -> Begun {
        let mark = self.mark(id);
        self.syncs += 1;
        let fails = self.faults.failing_syncs.remove(&self.syncs);
        let (least, most) = (*self.faults.sync_time.start(), *self.faults.sync_time.end());
        let spread = u64::try_from(most.saturating_sub(least).as_nanos()).unwrap_or(u64::MAX);
        // No draw where there is nothing to draw: a disk without that fault crashes the same.
        let more = if spread == 0 { 0 } else { self.random.below(spread.saturating_add(1)) };
        Begun { mark, takes: least + Duration::from_nanos(more), fails }
    }

    pub(super) fn mark(&mut self, id: Id) -> u64 {
        self.record(|| Step::SyncBegun { node: id });
        match self.nodes.get_mut(&id) {
            Some(Node::File(file)) => file.begin_sync(),
            Some(Node::Folder(_)) | None => self.next_naming,
        }
    }

    pub(super) fn end_sync(&mut self, id: Id, mark: u64, outcome: Outcome) {
        self.record(|| Step::SyncEnded { node: id, mark, outcome });
        match (self.nodes.get_mut(&id), outcome) {
            (Some(Node::File(file)), _) => {
                file.end_sync(mark);
                match outcome {
                    Outcome::Durable => file.settle(mark),
                    Outcome::Failed => file.forget(mark),
                    Outcome::Cut => {}
                }
            }
            (Some(Node::Folder(_)), Outcome::Durable) => self.settle_names(id, mark),
            (Some(Node::Folder(_)), Outcome::Failed) => {
                self.names_failed = true;
                self.forget_names(id, mark);
            }
            (Some(Node::Folder(_)), Outcome::Cut) | (None, _) => {}
        }
    }

    /// Makes the changes of a folder before `mark` durable.
    pub(super) fn settle_names(&mut self, id: Id, mark: u64) {
        loop {
            let Ok(folder) = self.folder(id) else { return };
            let Some((number, change)) = folder.first_below(mark) else { return };
            // A file system's journal has both halves of a move as one. The other half's number is
            // lower, so this ends, and does not come to this change.
            if let Some((other, moved_in)) = change.moved_in {
                debug_assert!(moved_in < number, "a move out is numbered after the move in");
                self.settle_names(other, moved_in + 1);
            }
            if let Some(Node::Folder(folder)) = self.nodes.get_mut(&id) {
                folder.settle_first();
            }
        }
    }

    fn forget_names(&mut self, id: Id, mark: u64) {
        let Some(Node::Folder(folder)) = self.nodes.get_mut(&id) else { return };
        let forgotten = folder.forget(mark);
        for node in self.nodes.values_mut() {
            if let Node::Folder(other) = node {
                // A move that is lost here is lost there too: the file keeps its old name.
                other.changes.retain(|_, change| {
                    change
                        .moved_in
                        .is_none_or(|(to, number)| to != id || !forgotten.contains_key(&number))
                });
            }
        }
    }

    // -- All of it.

    /// How many bytes may still be written.
    pub(super) fn free(&self) -> u64 {
        if self.faults.capacity == CAPACITY {
            // Not worth to be counted for every write.
            return CAPACITY;
        }
        self.faults.capacity.saturating_sub(self.in_use())
    }

    /// How many bytes files take, in whole pages.
    pub(super) fn in_use(&self) -> u64 {
        let named = self.reachable(false);
        let in_use = self.nodes.iter().filter_map(|(id, node)| match node {
            Node::File(file) if named.contains_key(id) || self.open.contains_key(id) => {
                Some(file.current().allocated() * PAGE as u64)
            }
            Node::File(_) | Node::Folder(_) => None,
        });
        in_use.sum()
    }

    /// No sync fails any more, and there is room.
    pub(super) fn mend(&mut self) {
        self.faults.failing_syncs.clear();
        self.faults.capacity = CAPACITY;
    }

    /// Everything that a name leads to, with its path: now, or also after some crash.
    pub(super) fn reachable(&self, after_crashes: bool) -> BTreeMap<Id, String> {
        let mut found = BTreeMap::from([(ROOT, String::new())]);
        // First all names of now, so that a path is one of now wherever there is one.
        for all in [false, true] {
            if all && !after_crashes {
                break;
            }
            let mut queue: Vec<Id> = found.keys().copied().collect();
            while let Some(id) = queue.pop() {
                let Some(Node::Folder(folder)) = self.nodes.get(&id) else { continue };
                let above = found[&id].clone();
                let names = folder.current.iter().map(|(name, id)| (name, *id));
                let lasting = folder.durable.iter().map(|(name, id)| (name, *id));
                let lasting = lasting.chain(folder.unsynced_names()).filter(|_| all);
                for (name, id) in names.chain(lasting) {
                    found.entry(id).or_insert_with(|| {
                        queue.push(id);
                        joined(&above, name)
                    });
                }
            }
        }
        found
    }

    /// Forgets what no name and no handle leads to, whatever crashes.
    pub(super) fn collect(&mut self) {
        let reachable = self.reachable(true);
        let open = &self.open;
        self.nodes.retain(|id, _| reachable.contains_key(id) || open.contains_key(id));
    }

    /// The contents of all files by path: as they are read, or as they are if a crash takes
    /// everything it may.
    pub(super) fn tree(&self, durable: bool) -> BTreeMap<String, Vec<u8>> {
        let mut tree = BTreeMap::new();
        let mut queue = vec![(String::new(), ROOT)];
        while let Some((path, id)) = queue.pop() {
            match self.nodes.get(&id) {
                Some(Node::Folder(folder)) => {
                    let names = if durable { &folder.durable } else { &folder.current };
                    queue.extend(names.iter().map(|(name, id)| (joined(&path, name), *id)));
                }
                Some(Node::File(file)) => {
                    let contents = if durable { file.durable() } else { file.current() };
                    tree.insert(path, contents.bytes());
                }
                None => {}
            }
        }
        tree
    }
}

fn joined(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}

/// The names on a path, which leads down.
fn names(path: &Path) -> io::Result<Vec<&str>> {
    crate::files::check_relative(path)?;
    let named = path.components().filter(|component| *component != Component::CurDir);
    named.map(|name| name.as_os_str().to_str().ok_or_else(|| Errno::ILSEQ.into())).collect()
}
