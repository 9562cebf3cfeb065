//! Which groups of a folder count, and what is damage.
//!
//! A crash may tear the last group: it was written and not yet synced, so some of its pages are
//! there and others not. That is no fault, and nobody was told that it was durable. It ends the
//! log. Anything else that cannot be read is *damage*: something that was durable has changed. A
//! node must not go on without it, because it may have been its vote.
//!
//! The two are told apart by what groups say of each other. Each group names the last group that
//! was durable when it was written, and each segment names the last group of the segment before.
//! So a group that cannot be read is torn only where nothing after it vouches for it. What hands do
//! and disks do not, such as removing the last segment or cutting it short, is told by the length
//! in a segment's head and by its note, as far as that was written ([`Note`]).

use std::path::{Path, PathBuf};

use bytes::Bytes;
use runtime::files::{File, Files, Kind, Open};
use thiserror::Error;

use super::format::{ALIGN, BadHead, BadRecord, GROUP_HEAD_LEN, GroupHead, HEAD_LEN, SegmentHead};
use super::format::{LogId, Note, Record};
use super::replay::{Gap, Replay};

/// The folder of the log in a data folder.
pub(crate) const FOLDER: &str = "wal";

const SEGMENT: &str = ".wal";
const SPARE: &str = ".spare";
const NEW: &str = ".new";

/// Reads go in pieces of this size, in bytes.
const READ_PIECE: usize = 1 << 20;

/// The file of a segment.
pub(crate) fn segment_path(number: u64) -> PathBuf {
    Path::new(FOLDER).join(format!("{number:016}{SEGMENT}"))
}

/// A segment that is kept to be used again.
pub(crate) fn spare_path(number: u64) -> PathBuf {
    Path::new(FOLDER).join(format!("{number:016}{SPARE}"))
}

/// A segment before it has a head.
pub(crate) fn new_path(number: u64) -> PathBuf {
    Path::new(FOLDER).join(format!("{number:016}{NEW}"))
}

/// Where and how a log is damaged.
#[derive(Debug, Error)]
pub(crate) enum Damage {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// Something is in the folder that cohort has not put there.
    #[error("{} is no file of cohort's", .0.display())]
    Foreign(PathBuf),
    /// A segment is not there.
    #[error("{} is missing: others say that it was there", .0.display())]
    Missing(PathBuf),
    /// A segment is shorter than it was.
    #[error("{} was cut at byte {len}: it had {was} bytes", path.display())]
    Cut {
        /// The segment.
        path: PathBuf,
        /// How long it is, in bytes.
        len: u64,
        /// How long it was, at least.
        was: u64,
    },
    /// A segment's head is none.
    #[error("{}: {problem}", path.display())]
    Head {
        /// The segment.
        path: PathBuf,
        /// What is wrong.
        problem: BadHead,
    },
    /// A segment was copied or renamed.
    #[error("{} belongs to another place or folder: its head says segment {number}", path.display())]
    Misplaced {
        /// The segment.
        path: PathBuf,
        /// Which it says it is.
        number: u64,
    },
    /// A group that had been durable cannot be read.
    #[error("{} is damaged at byte {offset}: group {seq} had been written and is not there", path.display())]
    Group {
        /// The segment.
        path: PathBuf,
        /// Where the group should begin.
        offset: u64,
        /// Its number.
        seq: u64,
    },
    /// A group whose checksum agrees makes no sense.
    #[error("{} at byte {offset}: {problem}", path.display())]
    Record {
        /// The segment.
        path: PathBuf,
        /// Where the group begins.
        offset: u64,
        /// What is wrong.
        problem: BadRecord,
    },
    /// Entries are missing.
    #[error("{} at byte {offset}: {gap}", path.display())]
    Entries {
        /// The segment.
        path: PathBuf,
        /// Where the group begins.
        offset: u64,
        /// What does not follow.
        gap: Gap,
    },
}

/// A segment as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its number.
    pub(crate) number: u64,
    /// The greatest index of the entries in it, if there are any.
    pub(crate) last_index: Option<u64>,
    /// Where its last good group ends, in bytes.
    pub(crate) end: u64,
}

/// A group as it stands in a segment.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// The segment's number.
    pub(crate) segment: u64,
    /// Where it begins, in bytes.
    pub(crate) offset: u64,
    /// Its head.
    pub(crate) head: GroupHead,
    /// What it says.
    pub(crate) records: Vec<Record>,
}

/// A log as it was found.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// What it amounts to.
    pub(crate) replay: Replay,
    /// Its segments, oldest first.
    pub(crate) segments: Vec<Found>,
    /// Files that can be used again.
    pub(crate) spares: Vec<u64>,
    /// Files that a crash left half made.
    pub(crate) leftovers: Vec<PathBuf>,
    /// The number of the last group, 0 if there is none.
    pub(crate) last_seq: u64,
    /// Where the last group of the last segment begins, in bytes, if that has any.
    pub(crate) last_group: Option<u64>,
    /// Whether the last segment ends with a group that was torn.
    pub(crate) torn: bool,
}

/// The files of a log's folder, by what they are.
#[derive(Debug, Default)]
struct Listed {
    segments: Vec<u64>,
    spares: Vec<u64>,
    leftovers: Vec<PathBuf>,
}

fn list(files: &dyn Files) -> Result<Listed, Damage> {
    let folder = Path::new(FOLDER);
    let entries = files.list(folder);
    let entries = entries.map_err(|error| Damage::Io { path: folder.to_owned(), error })?;
    let mut listed = Listed::default();
    for entry in entries {
        let path = folder.join(&entry.name);
        let number = |suffix: &str| {
            let digits = entry.name.strip_suffix(suffix).filter(|digits| digits.len() == 16)?;
            digits.parse::<u64>().ok()
        };
        match (number(SEGMENT), number(SPARE), number(NEW)) {
            _ if entry.kind != Kind::File => return Err(Damage::Foreign(path)),
            (Some(number), ..) => listed.segments.push(number),
            (_, Some(number), _) => listed.spares.push(number),
            (.., Some(_)) => listed.leftovers.push(path),
            _ => return Err(Damage::Foreign(path)),
        }
    }
    listed.segments.sort_unstable();
    for pair in listed.segments.windows(2) {
        if pair[1] != pair[0] + 1 {
            return Err(Damage::Missing(segment_path(pair[0] + 1)));
        }
    }
    Ok(listed)
}

/// The files of a log that nobody was told of, if there is one.
///
/// # Errors
/// Where something else is in its folder.
pub(crate) fn half_made(files: &dyn Files) -> Result<Vec<PathBuf>, Damage> {
    let Listed { segments, spares, mut leftovers } = match list(files) {
        Err(Damage::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Vec::new());
        }
        listed => listed?,
    };
    leftovers.extend(segments.into_iter().map(segment_path));
    leftovers.extend(spares.into_iter().map(spare_path));
    Ok(leftovers)
}

/// Reads the log of a folder. `visit` is told each group that counts.
///
/// # Errors
/// Where it is damaged. Nothing is written.
pub(crate) fn recover(
    files: &dyn Files,
    folder: u64,
    mut visit: impl FnMut(&Group),
) -> Result<Recovered, Damage> {
    let Listed { segments, spares, leftovers } = list(files)?;
    let mut found = Recovered { spares, leftovers, ..Recovered::default() };
    let opened: Vec<Segment> = segments
        .iter()
        .map(|number| Segment::open(files, *number, folder))
        .collect::<Result<_, _>>()?;
    if let Some(Segment { head, note: Some(Note { has_next: true, .. }), .. }) = opened.last() {
        return Err(Damage::Missing(segment_path(head.number + 1)));
    }
    let mut replay = Replay::default();
    let mut last_begin = 0;
    for (i, segment) in opened.iter().enumerate() {
        let before = segment.head.first_seq - 1;
        if i == 0 {
            found.last_seq = before;
        }
        if before != found.last_seq {
            let (path, number) = (segment.path.clone(), segment.head.number);
            return Err(Damage::Misplaced { path, number });
        }
        let next = opened.get(i + 1);
        let until = next.map(|next| next.head.first_seq);
        let (mut at, mut last_index) = (HEAD_LEN, None);
        found.last_group = None;
        while until.is_none_or(|until| found.last_seq + 1 < until) {
            let seq = found.last_seq + 1;
            let Some((head, body)) = segment.group(at, seq)? else {
                if next.is_some() || segment.is_noted(seq) || segment.vouched(at, seq)? {
                    return Err(Damage::Group { path: segment.path.clone(), offset: at, seq });
                }
                found.torn = segment.begun(at)?;
                break;
            };
            let path = || segment.path.clone();
            let records = Record::decode_all(&body).map_err(|problem| Damage::Record {
                path: path(),
                offset: at,
                problem,
            })?;
            let group = Group { segment: segment.head.number, offset: at, head, records };
            visit(&group);
            for record in group.records {
                if let Record::Entry(LogId { index, .. }, _) = &record {
                    last_index = last_index.max(Some(*index));
                }
                let taken = replay.take(record);
                taken.map_err(|gap| Damage::Entries { path: path(), offset: at, gap })?;
            }
            (last_begin, found.last_group) = (at, Some(at));
            at += GroupHead::group_len(body.len());
            found.last_seq = seq;
        }
        found.segments.push(Found { number: segment.head.number, last_index, end: at });
    }
    let finished = replay.finish();
    found.replay = finished.map_err(|gap| Damage::Entries {
        path: opened.last().map(|segment| segment.path.clone()).unwrap_or_default(),
        offset: last_begin,
        gap,
    })?;
    Ok(found)
}

/// Makes the end of a log durable that was found.
///
/// It may be in the operating system's memory only: the process before was killed before its last
/// sync ended, or that sync failed. After a failed one the operating system takes what it did not
/// write for written, and another sync does nothing. So the last group, which is all that was not
/// known to be durable, is written again.
///
/// # Errors
/// What the operating system says.
pub(crate) async fn settle(files: &dyn Files, found: &Recovered) -> std::io::Result<()> {
    if let Some(last) = found.segments.last() {
        let file = files.open(&segment_path(last.number), Open::Write)?;
        if let Some(begin) = found.last_group {
            let mut group = vec![0; (last.end - begin) as usize];
            runtime::files::read_exact_at(&*file, &mut group, begin)?;
            runtime::files::write_all_at(&*file, &group, begin)?;
        }
        file.sync().await?;
    }
    files.sync_dir(Path::new(FOLDER)).await
}

/// A segment that is read.
struct Segment {
    path: PathBuf,
    file: std::sync::Arc<dyn File>,
    len: u64,
    head: SegmentHead,
    note: Option<Note>,
}

impl Segment {
    fn open(files: &dyn Files, number: u64, folder: u64) -> Result<Self, Damage> {
        let path = segment_path(number);
        let io = |error| Damage::Io { path: path.clone(), error };
        let file = files.open(&path, Open::Read).map_err(io)?;
        let len = file.len().map_err(io)?;
        let mut bytes = vec![0; len.min(HEAD_LEN) as usize];
        runtime::files::read_exact_at(&*file, &mut bytes, 0).map_err(io)?;
        let head = SegmentHead::decode(&bytes);
        let head = head.map_err(|problem| Damage::Head { path: path.clone(), problem })?;
        if head.number != number || head.folder != folder || head.first_seq == 0 {
            return Err(Damage::Misplaced { path, number: head.number });
        }
        if len < head.len {
            return Err(Damage::Cut { path, len, was: head.len });
        }
        Ok(Self { path, file, len, head, note: Note::decode(&bytes) })
    }

    fn read(&self, at: u64, len: usize) -> Result<Vec<u8>, Damage> {
        let len = (len as u64).min(self.len.saturating_sub(at));
        let mut bytes = vec![0; len as usize];
        let read = runtime::files::read_exact_at(&*self.file, &mut bytes, at);
        read.map_err(|error| Damage::Io { path: self.path.clone(), error })?;
        Ok(bytes)
    }

    /// The group that stands there, if it is good and the one expected.
    fn group(&self, at: u64, seq: u64) -> Result<Option<(GroupHead, Bytes)>, Damage> {
        let head = self.read(at, GROUP_HEAD_LEN)?;
        let head = GroupHead::decode(&head, self.head.salt).filter(|head| head.seq == seq);
        let Some(head) = head else { return Ok(None) };
        // What follows begins behind the padding, so a file that ends within it was cut.
        if at + GroupHead::group_len(head.body_len as usize) > self.len {
            return Ok(None);
        }
        let body = self.read(at + GROUP_HEAD_LEN as u64, head.body_len as usize)?;
        let good = body.len() == head.body_len as usize && crc32c::crc32c(&body) == head.body_crc;
        Ok(good.then(|| (head, body.into())))
    }

    /// Whether the segment's note says that the group `seq` had been durable.
    fn is_noted(&self, seq: u64) -> bool {
        self.note.is_some_and(|note| note.synced >= seq)
    }

    /// Whether anything after a place says that the group `seq` had been durable.
    fn vouched(&self, from: u64, seq: u64) -> Result<bool, Damage> {
        let mut at = from;
        while at < self.len {
            let piece = self.read(at, READ_PIECE + GROUP_HEAD_LEN)?;
            for begin in (0..piece.len().min(READ_PIECE)).step_by(ALIGN as usize) {
                let head = GroupHead::decode(&piece[begin..], self.head.salt);
                if head.is_some_and(|head| head.synced >= seq) {
                    return Ok(true);
                }
            }
            at += READ_PIECE as u64;
        }
        Ok(false)
    }

    /// Whether something was written where the next group would begin.
    fn begun(&self, at: u64) -> Result<bool, Damage> {
        let head = self.read(at, GROUP_HEAD_LEN)?;
        Ok(GroupHead::decode(&head, self.head.salt).is_some())
    }
}
