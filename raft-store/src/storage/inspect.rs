//! What is in a data folder, for people. Reads, takes no lock, and writes nothing.

use std::fmt::{self, Write};
use std::path::Path;
use std::sync::Arc;

use runtime::files::Files;
use state_machine::State;

use super::folder::{self, Contents, OpenError};
use crate::records::files::{FileStore, segments_of};
use crate::wal::format::{LogId, Payload, Record};
use crate::wal::recovery::{Group, segment_path};

/// What was found, as text, and whether a node could start on it.
#[derive(Debug)]
pub struct Inspected {
    /// Lines of text.
    pub text: String,
    /// Why a node would be refused, if it would.
    pub refused: Option<OpenError>,
}

/// Looks into a data folder. `groups`: a line for each group of the write-ahead log.
pub fn inspect(files: &Arc<dyn Files>, groups: bool) -> Inspected {
    let mut text = String::new();
    let refused = match describe(files, groups, &mut text) {
        Ok(described) => described.err(),
        // A string takes whatever is written to it.
        Err(fmt::Error) => None,
    };
    Inspected { text, refused }
}

fn describe(
    files: &Arc<dyn Files>,
    groups: bool,
    out: &mut String,
) -> Result<Result<(), OpenError>, fmt::Error> {
    let mut lines = Vec::new();
    let read = folder::look_into(&**files)
        .and_then(|()| folder::contents(&**files, |group| lines.push(line(group))));
    if groups {
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    let Contents { identity, checkpoint, log } = match read {
        Ok(contents) => contents,
        Err(refused) => return Ok(Err(refused)),
    };
    writeln!(out, "folder      {:016x}", identity.folder)?;
    writeln!(out, "node        {} of {}", identity.node, identity.members.join(", "))?;
    if let Some(cluster) = &identity.cluster {
        writeln!(out, "cluster     {cluster}")?;
    }
    let scalars = &log.replay.scalars;
    writeln!(out, "incarnation {}", scalars.incarnation.unwrap_or_default())?;
    for (node, incarnation) in &scalars.heard {
        writeln!(out, "heard       incarnation {incarnation} of node {node}")?;
    }
    match scalars.vote {
        Some(vote) => {
            let committed = if vote.committed { ", committed" } else { "" };
            writeln!(out, "vote        for node {} in term {}{committed}", vote.node, vote.term)?;
        }
        None => writeln!(out, "vote        none")?,
    }
    writeln!(out, "committed   {}", place(scalars.committed))?;
    writeln!(out, "purged      {}", place(scalars.purged))?;
    let entries = &log.replay.entries;
    match (entries.front(), entries.back()) {
        (Some((first, _)), Some((last, _))) => {
            writeln!(out, "entries     {} to {}", place(Some(*first)), place(Some(*last)))?;
        }
        _ => writeln!(out, "entries     none")?,
    }
    for segment in &log.segments {
        let path = segment_path(segment.number);
        let last = segment.last_index.map_or("no entries".into(), |i| format!("up to entry {i}"));
        writeln!(out, "segment     {}, {last}, {} bytes", path.display(), segment.end)?;
    }
    writeln!(
        out,
        "groups      {}{}",
        log.last_seq,
        if log.torn { ", then a torn one" } else { "" }
    )?;
    let none = State::default();
    let state = checkpoint.as_ref().map_or(&none, |loaded| &loaded.state);
    match &checkpoint {
        Some(loaded) => {
            let taken = loaded.meta.last_log_id.map(crate::raft::convert::log_id);
            writeln!(out, "checkpoint  taken at {}", place(taken))?;
        }
        None => writeln!(out, "checkpoint  none")?,
    }
    let (mut count, mut bytes) = (0_u64, 0);
    for (_, len) in segments_of(state) {
        (count, bytes) = (count + 1, bytes + len);
    }
    writeln!(out, "records     {bytes} bytes in {count} segments of the checkpoint")?;
    match FileStore::open(files.clone(), state) {
        Ok(_) => Ok(Ok(())),
        Err(error) => Ok(Err(OpenError::of_records(error))),
    }
}

fn place(id: Option<LogId>) -> String {
    id.map_or("none".into(), |LogId { term, index }| format!("{index} of term {term}"))
}

/// One line on a group.
fn line(group: &Group) -> String {
    let mut said: Vec<String> = Vec::new();
    for record in &group.records {
        said.push(match record {
            Record::Vote(vote) => format!("vote for {} in term {}", vote.node, vote.term),
            Record::Entry(id, Payload::Blank) => format!("{}.{} blank", id.term, id.index),
            Record::Entry(id, Payload::Batch(batch)) => {
                format!("{}.{} {} bytes", id.term, id.index, batch.len())
            }
            Record::Entry(id, Payload::Membership { .. }) => {
                format!("{}.{} membership", id.term, id.index)
            }
            Record::TruncateFrom(index) => format!("truncate from {index}"),
            Record::Committed(id) => format!("committed {}", id.index),
            Record::Purged(id) => format!("purged {}", id.index),
            Record::Incarnation(incarnation) => format!("incarnation {incarnation}"),
            Record::Heard { node, incarnation } => format!("heard {node} as {incarnation}"),
        });
    }
    let file = segment_path(group.segment);
    let name = file.file_name().map(Path::new).unwrap_or(&file).display().to_string();
    let said = if said.is_empty() { "seal".to_owned() } else { said.join(", ") };
    format!(
        "{name} {:>9}  group {} (durable: {}): {said}",
        group.offset, group.head.seq, group.head.synced
    )
}
