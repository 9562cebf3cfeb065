//! The file `checkpoint`: the state, and where in the log it was taken. It is a manifest: the state
//! names the segments of records, and how long each is.
//!
//! A checkpoint is what openraft calls a snapshot. Only when it is durable may the log before it
//! go. It is written beside the one before it and then takes its name, so one of the two is always
//! whole.
//!
//! A head of [`HEAD_LEN`] bytes with a checksum of its own, then a body: records of the write-ahead
//! log that say where the state was taken and which membership was in force, then the state in the
//! [`codec`]'s form.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use openraft::alias::SnapshotMetaOf;
use runtime::files::{self, Files, Open};
use state_machine::{State, invariants};
use thiserror::Error;
use tokio::sync::{Mutex, oneshot};

use crate::codec::{self, DecodeError};
use crate::flaws;
use crate::raft::convert::{self, Unreadable};
use crate::raft::types::{Snapshot, TypeConfig};
use crate::records::files::FileStore;
use crate::wal::format::{BadRecord, FORMAT, Payload, Record};
use crate::wal::writer::Wal;

/// The file.
pub(crate) const FILE: &str = "checkpoint";
/// The file while it is written.
pub(crate) const NEW_FILE: &str = "checkpoint.new";

const HEAD_LEN: usize = 48;
const MAGIC: [u8; 8] = *b"cohrtCKP";

/// Why a file is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadCheckpoint {
    /// Another kind of file, or one that was cut.
    #[error("it does not begin as a checkpoint does")]
    Magic,
    /// Damaged.
    #[error("its checksum does not agree")]
    Checksum,
    /// A later version wrote it.
    #[error("it has format {0}, and this version reads formats up to {FORMAT}")]
    Newer(u32),
    /// It was copied from another folder.
    #[error("it belongs to folder {0:016x}")]
    Folder(u64),
    /// Its checksum agrees, and it makes no sense.
    #[error("it cannot be read: {0}")]
    Malformed(String),
}

impl From<BadRecord> for BadCheckpoint {
    fn from(problem: BadRecord) -> Self {
        Self::Malformed(problem.to_string())
    }
}

impl From<Unreadable> for BadCheckpoint {
    fn from(problem: Unreadable) -> Self {
        Self::Malformed(problem.to_string())
    }
}

impl From<DecodeError> for BadCheckpoint {
    fn from(problem: DecodeError) -> Self {
        Self::Malformed(problem.to_string())
    }
}

/// What the file says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loaded {
    /// Where in the log the state was taken, and the membership then.
    pub(crate) meta: SnapshotMetaOf<TypeConfig>,
    /// The state.
    pub(crate) state: State,
}

/// The file's contents.
pub(crate) fn encode(taken: &Snapshot, folder: u64) -> Vec<u8> {
    let Snapshot { meta, snapshot } = taken;
    let taken_at = meta.last_log_id.map(|id| Record::Committed(convert::log_id(id)));
    let membership = convert::stored_membership(&meta.last_membership);
    let mut records = Vec::new();
    taken_at.iter().chain(&membership).for_each(|record| record.encode(&mut records));
    let state = codec::encode(&snapshot.state);
    let mut bytes = Vec::with_capacity(HEAD_LEN + records.len() + state.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&(records.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&folder.to_le_bytes());
    bytes.extend_from_slice(&((records.len() + state.len()) as u64).to_le_bytes());
    let body_crc = crc32c::crc32c_append(crc32c::crc32c(&records), &state);
    bytes.extend_from_slice(&body_crc.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    let head_crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&head_crc.to_le_bytes());
    debug_assert_eq!(bytes.len(), HEAD_LEN);
    bytes.extend_from_slice(&records);
    bytes.extend_from_slice(&state);
    bytes
}

/// From a file's contents.
///
/// # Errors
/// Where they are no checkpoint of that folder.
pub(crate) fn decode(bytes: &Bytes, folder: u64) -> Result<Loaded, BadCheckpoint> {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
    let short = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
    if bytes.len() < HEAD_LEN || bytes[..8] != MAGIC {
        return Err(BadCheckpoint::Magic);
    }
    if short(HEAD_LEN - 4) != crc32c::crc32c(&bytes[..HEAD_LEN - 4]) {
        return Err(BadCheckpoint::Checksum);
    }
    if short(8) > FORMAT {
        return Err(BadCheckpoint::Newer(short(8)));
    }
    if number(16) != folder {
        return Err(BadCheckpoint::Folder(number(16)));
    }
    let body = bytes.slice(HEAD_LEN..);
    if body.len() as u64 != number(24) || crc32c::crc32c(&body) != short(32) {
        return Err(BadCheckpoint::Checksum);
    }
    let records_len = short(12) as usize;
    if records_len > body.len() {
        return Err(BadCheckpoint::Malformed("its records are longer than it is".into()));
    }
    let mut meta = SnapshotMetaOf::<TypeConfig>::default();
    for record in Record::decode_all(&body.slice(..records_len))? {
        match record {
            Record::Committed(id) => meta.last_log_id = Some(convert::raft_log_id(id)),
            Record::Entry(id, Payload::Membership { configs, nodes }) => {
                meta.last_membership = convert::raft_stored_membership(id, configs, nodes)?;
            }
            other => return Err(BadCheckpoint::Malformed(format!("{other:?}"))),
        }
    }
    let state: State = codec::decode(&body[records_len..])?;
    if let Some(violation) = invariants::logs(&state).first() {
        return Err(BadCheckpoint::Malformed(violation.to_string()));
    }
    Ok(Loaded { meta, state })
}

/// Reads the checkpoint of a folder, if there is one.
///
/// # Errors
/// What the operating system says, or why the file is none.
pub(crate) fn load(
    files: &dyn Files,
    folder: u64,
) -> io::Result<Option<Result<Loaded, BadCheckpoint>>> {
    let file = match files.open(Path::new(FILE), Open::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let bytes = files::read_all(&*file)?;
    Ok(Some(decode(&bytes.into(), folder)))
}

/// Where checkpoints are kept.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoints {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) folder: u64,
    pub(crate) wal: Wal,
    pub(crate) records: FileStore,
    /// One checkpoint is saved at a time. The index of the last one.
    pub(crate) saving: Arc<Mutex<Option<u64>>>,
}

impl Checkpoints {
    /// Makes a snapshot durable.
    ///
    /// A node applies what a quorum has, and that may be more than it has on its own disk. So the
    /// log is synced first: a checkpoint of this node's own is never ahead of it. One that a leader
    /// has sent may be, until the log is purged up to it. So the log says first that the entry is
    /// committed. A node may be taking one when a leader's comes, which is newer: that one stays,
    /// because the log is dropped up to it.
    ///
    /// # Errors
    /// What the operating system says. It is not known then which checkpoint the folder has, and
    /// the node has to stop.
    pub(crate) async fn save(&self, snapshot: Snapshot) -> io::Result<()> {
        let mut last = self.saving.lock().await;
        let index = snapshot.meta.last_log_id.map(|id| id.index());
        if *last > index {
            return Ok(());
        }
        let taken_at = snapshot.meta.last_log_id.map(convert::log_id);
        self.wal.sync(flaws::before_checkpoint(taken_at)).await?;
        let checkpoints = self.clone();
        in_task(async move { checkpoints.write(snapshot).await }).await?;
        *last = index;
        Ok(())
    }

    /// First the records that the state names, then the state.
    async fn write(&self, snapshot: Snapshot) -> io::Result<()> {
        self.records.sync().await?;
        let bytes = encode(&snapshot, self.folder);
        replace(&*self.files, Path::new(NEW_FILE), Path::new(FILE), &bytes).await
    }

    /// Removes what nobody names any more, after a snapshot was [saved](Self::save). Call it when
    /// the node has let go of the one before, which names files as long as anybody has it.
    ///
    /// # Errors
    /// What the operating system says. The node has to stop.
    pub(crate) async fn tidy(&self, saved: Snapshot) -> io::Result<()> {
        let last = self.saving.lock().await;
        if *last != saved.meta.last_log_id.map(|id| id.index()) {
            // The folder has a later one, and that one's turn comes.
            return Ok(());
        }
        let records = self.records.clone();
        in_task(async move { records.remove_unused(&saved.snapshot.state).await }).await
    }
}

/// Does work on the disk beside everything else that the node does.
async fn in_task(work: impl Future<Output = io::Result<()>> + Send + 'static) -> io::Result<()> {
    let (sender, done) = oneshot::channel();
    files::spawn_disk_task("checkpoint", async move {
        // Nobody waits any more where the node has stopped.
        drop(sender.send(work.await));
    })?;
    let ended = |_| Err(io::Error::other("the checkpoint's task has ended"));
    done.await.unwrap_or_else(ended)
}

/// Writes a file under another name, syncs it, and gives it its own. A crash leaves the old file or
/// the new one.
///
/// # Errors
/// What the operating system says.
pub(crate) async fn replace(
    files: &dyn Files,
    new: &Path,
    path: &Path,
    bytes: &[u8],
) -> io::Result<()> {
    make(files, new, bytes).await?;
    files.rename(new, path)?;
    files.sync_dir(Path::new("")).await
}

/// Writes a new file and syncs its contents. One that is there already is overwritten.
///
/// # Errors
/// What the operating system says.
pub(crate) async fn make(files: &dyn Files, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = match files.open(path, Open::Create) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = files.open(path, Open::Write)?;
            file.set_len(0)?;
            file
        }
        opened => opened?,
    };
    files::write_all_at(&*file, bytes, 0)?;
    file.sync().await
}
