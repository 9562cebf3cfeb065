//! A data folder: how it is opened, and when it is refused.
//!
//! ```text
//! DIR/LOCK                       held while a process uses the folder
//! DIR/identity                   whose folder it is
//! DIR/checkpoint                 the state as of some entry
//! DIR/wal/0000000000000001.wal   segments of the write-ahead log
//! DIR/records/LOG-OFFSET.seg     segments of records
//! ```
//!
//! A start takes the lock and reads the identity, the checkpoint and the log. It writes nothing
//! before all of it was found good. A folder that is damaged is refused: what is missing may have
//! been acknowledged, and the node's peers would count on it.
//!
//! **A folder's first start.** A new folder becomes a node's when the node learns its name. The
//! identity is written under another name first, then the log's first group, then the identity gets
//! its name. A crash before that leaves a folder that nobody was told of, and the next start begins
//! anew. After that, a folder without a log is damaged.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::files::{self, Files, Kind, Lock, Open};
use state_machine::State;
use thiserror::Error;
use tokio::sync::oneshot;

use super::checkpoint_file::{self, BadCheckpoint, Checkpoints, Loaded};
use super::identity::{BadIdentity, Identity};
use crate::checkpoint::Checkpoint;
use crate::limits::INCARNATION_BITS;
use crate::raft::convert::{self, Unreadable};
use crate::raft::entries::Entries;
use crate::raft::types::Snapshot;
use crate::raft::{RaftLog, StateMachine};
use crate::records::files::FileStore;
use crate::records::{self, RecordStore};
use crate::storage::Storage;
use crate::wal::format::Record;
use crate::wal::recovery::{self, Damage, Recovered};
use crate::wal::writer::{Wal, WalSizes};

const LOCK: &str = "LOCK";
const IDENTITY: &str = "identity";
const NEW_IDENTITY: &str = "identity.new";
/// The file system's own folder at the top of a volume.
const LOST_AND_FOUND: &str = "lost+found";

/// Why a data folder is refused. Nothing was written to it.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The operating system says so.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Another process uses it.
    #[error("another process uses this folder: it has the lock of {LOCK}")]
    Locked,
    /// It holds something else.
    #[error("{} is no file of cohort's; expected an empty folder, or one that cohort made", .0.display())]
    Foreign(PathBuf),
    /// It has files of cohort's, but none that says whose they are.
    #[error("there is no file {IDENTITY}, but there is {}; a folder is not used in part", .0.display())]
    NoIdentity(PathBuf),
    /// Nobody has used it.
    #[error("nothing is in this folder")]
    Empty,
    /// The file that says whose it is.
    #[error("{IDENTITY}: {0}")]
    Identity(#[from] BadIdentity),
    /// It is another node's.
    #[error("the folder is node {found}'s, and this is node {node}")]
    AnotherNode {
        /// Whose it is.
        found: String,
        /// Who this node is.
        node: String,
    },
    /// It is another cluster's.
    #[error("the folder belongs to a cluster of {found}, and this is one of {members}")]
    AnotherCluster {
        /// Whose it is.
        found: String,
        /// Which this is.
        members: String,
    },
    /// It is of a cluster of another name.
    #[error("the folder is of a cluster {found}, and this is cluster {cluster}")]
    ClusterName {
        /// Whose it is.
        found: String,
        /// Which this is.
        cluster: String,
    },
    /// It is a copy, or was moved.
    #[error(
        "the folder was copied or moved: {LOCK} is another file than at its first start. Two nodes \
         must never start on copies of one folder, since each would speak for the other. If the \
         original is gone for good, start once with --moved"
    )]
    Copied,
    /// The checkpoint.
    #[error("{file}: {0}; {REBUILD}", file = checkpoint_file::FILE)]
    Checkpoint(#[from] BadCheckpoint),
    /// The log.
    #[error("{0}; {REBUILD}")]
    Damaged(String),
    /// A name of a node that cannot be written down.
    #[error("{0}")]
    Name(String),
}

/// What to do with a folder that is damaged.
const REBUILD: &str = "nothing was changed. What is missing may have been acknowledged, so this \
                       folder cannot be used any more: restore it, or rebuild the node in an empty \
                       folder under a new name";

impl From<Damage> for OpenError {
    fn from(damage: Damage) -> Self {
        match damage {
            // What cannot be read now may be read later.
            Damage::Io { error, .. } if error.kind() != io::ErrorKind::NotFound => Self::Io(error),
            damage => Self::Damaged(damage.to_string()),
        }
    }
}

impl OpenError {
    /// Why the records of a folder are refused. What cannot be read now may be read later.
    pub(super) fn of_records(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Damaged(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

impl From<Unreadable> for OpenError {
    fn from(unreadable: Unreadable) -> Self {
        Self::Damaged(unreadable.to_string())
    }
}

/// What becomes of a folder that does not stand where it was made: a copy, or one that was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copies {
    /// It is refused: nobody knows where the original is.
    Refused,
    /// It is taken: whoever starts the node says that there is no other.
    Accepted,
}

/// A folder that this process uses.
#[derive(Debug)]
pub(super) struct Folder {
    files: Arc<dyn Files>,
    /// `None` as long as nobody knows whose it is.
    identity: Option<Identity>,
    id: u64,
    wal: Wal,
    lock: Arc<dyn Lock>,
}

impl Folder {
    /// Its number, once it belongs to a node.
    pub(super) fn id(&self) -> Option<u64> {
        self.identity.as_ref().map(|identity| identity.folder)
    }

    /// The name of the cluster that it belongs to, if that has one.
    pub(super) fn cluster(&self) -> Option<&str> {
        self.identity.as_ref()?.cluster.as_deref()
    }

    /// Makes a new folder this node's, or looks whether it is. Nobody may hear of the incarnation
    /// before the log is synced: the next one has to have another number.
    ///
    /// # Errors
    /// Where it is another's.
    pub(super) fn belong_to(
        &mut self,
        node: &str,
        members: &[String],
        cluster: Option<&str>,
        incarnation: u64,
    ) -> Result<(), OpenError> {
        if let Some(identity) = &self.identity {
            if identity.node != node {
                let (found, node) = (identity.node.clone(), node.to_owned());
                return Err(OpenError::AnotherNode { found, node });
            }
            if identity.members != members {
                let (found, members) = (identity.members.join(", "), members.join(", "));
                return Err(OpenError::AnotherCluster { found, members });
            }
            // A name that is not written down would be another one at the next start.
            if let Some(cluster) = cluster
                && identity.cluster.as_deref() != Some(cluster)
            {
                let found = identity.cluster.clone().unwrap_or_else(|| "without a name".to_owned());
                return Err(OpenError::ClusterName { found, cluster: cluster.to_owned() });
            }
            self.wal.write(vec![Record::Incarnation(incarnation)]);
            return Ok(());
        }
        let (folder, lock) = (self.id, self.lock.number()?);
        let (node, members, cluster) = (node.into(), members.into(), cluster.map(str::to_owned));
        let identity = Identity { folder, lock, node, members, cluster };
        identity.checked().map_err(OpenError::Name)?;
        let (files, text) = (self.files.clone(), identity.encode());
        self.wal.first_do(async move {
            checkpoint_file::make(&*files, Path::new(NEW_IDENTITY), text.as_bytes()).await?;
            files.create_dir(Path::new(recovery::FOLDER))?;
            files.sync_dir(Path::new("")).await
        });
        self.wal.write(vec![Record::Incarnation(incarnation)]);
        let files = self.files.clone();
        self.wal.first_do(async move {
            files.rename(Path::new(NEW_IDENTITY), Path::new(IDENTITY))?;
            files.sync_dir(Path::new("")).await
        });
        self.identity = Some(identity);
        Ok(())
    }
}

/// What stands at the top of a folder.
#[derive(Debug, Default, PartialEq, Eq)]
struct Top {
    identity: bool,
    new_identity: bool,
    leftovers: Vec<PathBuf>,
    /// Any other file of cohort's.
    other: Option<PathBuf>,
}

impl Top {
    /// Whether the folder is somebody's, or nobody's: not a part of one. A first start that was cut
    /// off leaves a log, but never a checkpoint.
    fn check(&self) -> Result<(), OpenError> {
        let part = self.other.as_ref().filter(|other| {
            !self.new_identity || other.as_path() == Path::new(checkpoint_file::FILE)
        });
        match part {
            Some(part) if !self.identity => Err(OpenError::NoIdentity(part.clone())),
            _ => Ok(()),
        }
    }
}

fn look(files: &dyn Files) -> Result<Top, OpenError> {
    let mut top = Top::default();
    for entry in files.list(Path::new(""))? {
        let path = PathBuf::from(&entry.name);
        match (entry.name.as_str(), entry.kind) {
            (LOCK, Kind::File) | (LOST_AND_FOUND, Kind::Folder) => {}
            (IDENTITY, Kind::File) => top.identity = true,
            (NEW_IDENTITY, Kind::File) => top.new_identity = true,
            (checkpoint_file::NEW_FILE, Kind::File) => top.leftovers.push(path),
            (checkpoint_file::FILE, Kind::File)
            | (recovery::FOLDER | records::files::FOLDER, Kind::Folder) => {
                top.other.get_or_insert(path);
            }
            _ => return Err(OpenError::Foreign(path)),
        }
    }
    Ok(top)
}

/// Whether a folder is somebody's. Writes nothing.
///
/// # Errors
/// Where it is not, or holds something else.
pub(crate) fn look_into(files: &dyn Files) -> Result<(), OpenError> {
    let top = look(files)?;
    match (top.identity, top.other) {
        (true, _) => Ok(()),
        (false, Some(other)) => Err(OpenError::NoIdentity(other)),
        (false, None) => Err(OpenError::Empty),
    }
}

fn read(files: &dyn Files, path: &str) -> io::Result<Vec<u8>> {
    let file = files.open(Path::new(path), Open::Read)?;
    files::read_all(&*file)
}

/// What was found in a folder.
pub(crate) struct Contents {
    pub(crate) identity: Identity,
    pub(crate) checkpoint: Option<Loaded>,
    pub(crate) log: Recovered,
}

/// Reads a folder that is somebody's. Writes nothing.
///
/// # Errors
/// Where it is damaged.
pub(crate) fn contents(
    files: &dyn Files,
    visit: impl FnMut(&recovery::Group),
) -> Result<Contents, OpenError> {
    let identity = Identity::decode(&read(files, IDENTITY)?)?;
    let checkpoint = checkpoint_file::load(files, identity.folder)?.transpose()?;
    let log = recovery::recover(files, identity.folder, visit)?;
    if log.last_seq == 0 {
        let path = Path::new(recovery::FOLDER).display();
        return Err(OpenError::Damaged(format!("{path} has no group, and a used folder has some")));
    }
    let applied = checkpoint.as_ref().and_then(|found| found.meta.last_log_id);
    let purged = log.replay.scalars.purged;
    if let Some(purged) = purged.filter(|id| Some(id.index) > applied.map(|id| id.index())) {
        let (index, file) = (purged.index, checkpoint_file::FILE);
        let found =
            applied.map_or("there is none".into(), |id| format!("it ends at {}", id.index()));
        return Err(OpenError::Damaged(format!(
            "the log begins after entry {index}, and the {file} has to reach there, but {found}"
        )));
    }
    // A checkpoint ahead of the log is a leader's, where the log says that its entry is committed:
    // the node crashed before it let go of the entries that this covers. openraft does so now.
    let (last, committed) = (log.replay.last(), log.replay.scalars.committed);
    let known = last.map(|id| id.index).max(committed.map(|id| id.index));
    if let Some(applied) = applied.filter(|id| Some(id.index()) > known) {
        let (index, found) = (applied.index(), last.map_or(0, |id| id.index));
        return Err(OpenError::Damaged(format!(
            "the checkpoint was taken at entry {index}, and the log ends at entry {found}"
        )));
    }
    Ok(Contents { identity, checkpoint, log })
}

/// Opens a folder, on a task that may wait for the disk.
///
/// # Errors
/// Why it is refused. Nothing was written then.
pub(super) async fn open(
    files: Arc<dyn Files>,
    machine: StateMachine,
    sizes: WalSizes,
    copies: Copies,
) -> Result<Storage, OpenError> {
    let (sender, opened) = oneshot::channel();
    files::spawn_disk_task("open", async move {
        // Who asked has gone where this is not taken.
        let _taken = sender.send(open_here(files, machine, sizes, copies).await);
    })?;
    opened.await.unwrap_or_else(|_| Err(io::Error::other("the task that opens has ended").into()))
}

async fn open_here(
    files: Arc<dyn Files>,
    machine: StateMachine,
    sizes: WalSizes,
    copies: Copies,
) -> Result<Storage, OpenError> {
    // A lock is not taken in a folder that is not cohort's.
    match look(&*files) {
        Err(OpenError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            files.create_dir(Path::new(""))?;
        }
        found => found?.check()?,
    }
    let lock = files.lock(Path::new(LOCK)).map(Arc::from).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked,
        _ => error.into(),
    })?;
    // Whoever had the lock until now may have used the folder since.
    let top = look(&*files)?;
    top.check()?;
    if top.identity {
        reopen(files, machine, sizes, lock, top, copies).await
    } else {
        begin(files, machine, sizes, lock).await
    }
}

/// A folder that nobody has used yet, or whose first user was never told that it had it.
async fn begin(
    files: Arc<dyn Files>,
    machine: StateMachine,
    sizes: WalSizes,
    lock: Arc<dyn Lock>,
) -> Result<Storage, OpenError> {
    let wal = Path::new(recovery::FOLDER);
    let half_made = recovery::half_made(&*files)?;
    for path in &half_made {
        files.remove(path)?;
    }
    if !half_made.is_empty() {
        files.sync_dir(wal).await?;
    }
    let (id, recovered) = (runtime::random(), Recovered::default());
    let wal = Wal::start(files.clone(), id, sizes, &recovered, lock.clone())?;
    // Nobody names a segment that a first start may have left.
    let store = FileStore::open(files.clone(), &State::default())?;
    store.remove_unused(&State::default()).await?;
    keep(&machine, &files, id, &wal, store, None);
    Ok(Storage {
        log: RaftLog::on(wal.clone(), Entries::default()),
        machine,
        incarnation: runtime::random() >> (u64::BITS - INCARNATION_BITS),
        heard: recovered.replay.scalars.heard,
        folder: Some(Folder { files, identity: None, id, wal, lock }),
    })
}

async fn reopen(
    files: Arc<dyn Files>,
    machine: StateMachine,
    sizes: WalSizes,
    lock: Arc<dyn Lock>,
    top: Top,
    copies: Copies,
) -> Result<Storage, OpenError> {
    let Contents { mut identity, checkpoint, mut log } = contents(&*files, |_| {})?;
    let number = lock.number()?;
    if identity.lock != number && copies == Copies::Refused {
        return Err(OpenError::Copied);
    }
    let entries = entries(&mut log)?;
    let no_state = State::default();
    let state = checkpoint.as_ref().map_or(&no_state, |loaded| &loaded.state);
    let store = FileStore::open(files.clone(), state).map_err(OpenError::of_records)?;
    for path in top.leftovers.iter().chain(&log.leftovers) {
        files.remove(path)?;
    }
    if top.new_identity {
        files.remove(Path::new(NEW_IDENTITY))?;
    }
    if identity.lock != number {
        identity.lock = number;
        let text = identity.encode();
        checkpoint_file::make(&*files, Path::new(NEW_IDENTITY), text.as_bytes()).await?;
        files.rename(Path::new(NEW_IDENTITY), Path::new(IDENTITY))?;
    }
    // What was read may be in the operating system's cache only. From here on it is relied on.
    recovery::settle(&*files, &log).await?;
    files.sync_dir(Path::new("")).await?;
    let id = identity.folder;
    let wal = Wal::start(files.clone(), id, sizes, &log, lock.clone())?;
    let incarnation = log.replay.scalars.incarnation.unwrap_or_default() + 1;
    keep(&machine, &files, id, &wal, store, checkpoint);
    Ok(Storage {
        log: RaftLog::on(wal.clone(), entries),
        machine,
        incarnation,
        heard: log.replay.scalars.heard,
        folder: Some(Folder { files, identity: Some(identity), id, wal, lock }),
    })
}

/// Gives the state machine its place in a folder.
fn keep(
    machine: &StateMachine,
    files: &Arc<dyn Files>,
    folder: u64,
    wal: &Wal,
    store: FileStore,
    loaded: Option<Loaded>,
) {
    let records = RecordStore::in_files(store.clone());
    let snapshot = loaded.map(|Loaded { meta, state }| {
        let snapshot = Arc::new(Checkpoint { state, records: records.freeze() });
        Snapshot { meta, snapshot }
    });
    let (files, wal) = (files.clone(), wal.clone());
    let checkpoints = Checkpoints { files, folder, wal, records: store, saving: Arc::default() };
    machine.keep_on(checkpoints, records, snapshot);
}

/// The log in openraft's types.
fn entries(recovered: &mut Recovered) -> Result<Entries, OpenError> {
    let scalars = &recovered.replay.scalars;
    let mut entries = Entries::default();
    entries.vote = scalars.vote.map(convert::raft_vote);
    if let Some(purged) = scalars.purged {
        entries.purge(convert::raft_log_id(purged));
    }
    // A mark that is ahead of the log came with a leader's checkpoint. It says nothing of the
    // entries here, which may be another leader's.
    let committed = scalars.committed.filter(|id| recovered.replay.has(*id));
    entries.committed = committed.map(convert::raft_log_id);
    for (id, payload) in std::mem::take(&mut recovered.replay.entries) {
        entries.push(convert::raft_entry(id, payload)?)?;
    }
    Ok(entries)
}
