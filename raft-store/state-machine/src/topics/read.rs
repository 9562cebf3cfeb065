//! Records and offsets of several partitions at once (Kafka's Fetch and ListOffsets).

use super::budget::ReadBudget;
use super::command::{OffsetAt, ReadFrom};
use super::existing_partition;
use super::reply::{OffsetsFound, ReadPart, TopicReply};
use crate::ids::TopicPartition;
use crate::rejection::Rejection;
use crate::reply::Outcome;
use crate::state::State;

/// Each partition is read, or refused, on its own.
pub(super) fn read(state: &State, partitions: &[ReadFrom], max_bytes: u32) -> Outcome {
    let mut left = u64::from(max_bytes);
    let mut is_first = true;
    let mut parts = Vec::with_capacity(partitions.len());
    for from in partitions {
        let part = read_one(state, from, left, is_first);
        if let Ok(part) = &part {
            is_first &= part.found.extent.is_empty();
            left = left.saturating_sub(part.found.extent.byte_len());
        }
        parts.push(part);
    }
    Ok(TopicReply::Read(parts).into())
}

fn read_one(
    state: &State,
    from: &ReadFrom,
    left: u64,
    is_first: bool,
) -> Result<ReadPart, Rejection> {
    let log = existing_partition(state, &from.topic, from.partition)?;
    let (start, end) = (log.start_offset(), log.end_offset());
    if from.offset < start || from.offset > end {
        let partition = TopicPartition { topic: from.topic.clone(), partition: from.partition };
        return Err(Rejection::OffsetOutOfRange { partition, offset: from.offset, start, end });
    }
    let most = left.min(from.max_bytes.into());
    let mut budget = ReadBudget::of_bytes(most, is_first);
    let found = log.read(from.offset, u32::MAX, &mut budget).into();
    Ok(ReadPart { found, start, high_watermark: end })
}

pub(super) fn offsets(state: &State, partitions: &[OffsetAt]) -> Outcome {
    let of_one = |at: &OffsetAt| {
        let log = existing_partition(state, &at.topic, at.partition)?;
        let within = at.since.and_then(|(time, from)| log.find(time, from)).map(Into::into);
        let (start, end) = (log.start_offset(), log.end_offset());
        Ok(OffsetsFound { start, end, bytes: log.byte_len(), newest: log.newest(), within })
    };
    Ok(TopicReply::Offsets(partitions.iter().map(of_one).collect()).into())
}
