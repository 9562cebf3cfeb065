//! Snapshots on their way from the leader to a follower, in chunks.
//!
//! Each chunk has a time-out and retries of its own, so that a snapshot gets through however large
//! it is and however much is lost. The receiver says how far it has got, and the sender goes on
//! from there, even back at the beginning.

use std::sync::Arc;
use std::time::Duration;

use openraft::RPCTypes;
use openraft::alias::{SnapshotMetaOf, VoteOf};
use openraft::errors::{StreamingError, Unreachable};
use openraft::raft::SnapshotResponse;
use raft_store::transfer::{ArrivalError, Arrived, Arriving, Outgoing};
use raft_store::{Checkpoint, StateMachine, TypeConfig};
use runtime::PacedInstant;
use state_machine::ids::NodeId;

use super::message::{RpcRequest, RpcResponse, SnapshotChunk};
use super::rpc::Client;
use crate::limits;

/// Sends a snapshot and waits until the follower has installed it.
///
/// # Errors
/// Where the follower says that it cannot, or says nothing to [`limits::SNAPSHOT_CHUNK_ATTEMPTS`]
/// chunks in a row.
pub(super) async fn send(
    client: &Client,
    vote: VoteOf<TypeConfig>,
    meta: SnapshotMetaOf<TypeConfig>,
    checkpoint: Arc<Checkpoint>,
) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
    let unreachable =
        |problem: String| StreamingError::Unreachable(Unreachable::from_string(problem));
    let outgoing = runtime::blocking(move || Outgoing::new((*checkpoint).clone())).await;
    let outgoing = Arc::new(outgoing.map_err(|error| unreachable(error.to_string()))?);
    let (transfer, total) = (runtime::random(), outgoing.total());
    let (mut offset, mut failures) = (0, 0);
    loop {
        let reader = outgoing.clone();
        let read = runtime::blocking(move || reader.read(offset, limits::SNAPSHOT_CHUNK)).await;
        let bytes = read.and_then(|read| read).map_err(|error| unreachable(error.to_string()))?;
        let begin = offset;
        let is_last = begin + bytes.len() as u64 == total;
        let chunk = SnapshotChunk {
            transfer,
            vote,
            meta: meta.clone(),
            offset: begin,
            state_len: outgoing.state_len(),
            total,
            bytes,
        };
        let times = if is_last { limits::SNAPSHOT_INSTALL_TIMES } else { 1 };
        let timeout: Duration = client.chunk_timeout() * times;
        match client.request(RpcRequest::Snapshot(chunk), || timeout).await {
            Some(Ok(RpcResponse::Snapshot(response))) => return Ok(response),
            Some(Ok(RpcResponse::ChunkReceived { received })) if received <= total => {
                failures = if received > begin { 0 } else { failures + 1 };
                offset = received;
            }
            Some(Ok(_)) | None => failures += 1,
            Some(Err(problem)) => return Err(unreachable(problem)),
        }
        if failures >= limits::SNAPSHOT_CHUNK_ATTEMPTS {
            return Err(StreamingError::Timeout(
                client.timeout(RPCTypes::InstallSnapshot, timeout),
            ));
        }
    }
}

/// The snapshot that is coming in, if any; a new transfer takes the place of one that was not
/// finished.
#[derive(Debug, Default)]
pub struct Incoming(Option<Transfer>);

#[derive(Debug)]
struct Transfer {
    from: NodeId,
    number: u64,
    arriving: Arriving,
    /// When its last chunk came.
    heard: PacedInstant,
}

impl Incoming {
    /// Takes a chunk of a peer's in that came at `now`, for a node's state machine. One that does
    /// not continue what has come is passed over.
    ///
    /// # Errors
    /// Where the checkpoint cannot be taken in. What has come of it is forgotten.
    pub fn take(
        &mut self,
        machine: &StateMachine,
        from: NodeId,
        chunk: &SnapshotChunk,
        now: PacedInstant,
    ) -> Result<Arrived, ArrivalError> {
        let begun = self.0.as_ref().is_some_and(|t| t.from == from && t.number == chunk.transfer);
        if !begun {
            if chunk.offset != 0 {
                return Ok(Arrived::Part(0));
            }
            let arriving = Arriving::new(machine, chunk.state_len, chunk.total);
            self.0 = Some(Transfer { from, number: chunk.transfer, arriving, heard: now });
        }
        let transfer = self.0.as_mut().expect("a transfer has begun");
        transfer.heard = now;
        let arrived = transfer.arriving.take(chunk.offset, &chunk.bytes);
        if !matches!(arrived, Ok(Arrived::Part(_))) {
            self.0 = None;
        }
        arrived
    }

    /// Lets go of a transfer whose sender has given it up: nothing has come of it for as long as
    /// one tries to send its last chunk, where `timeout` is a chunk's. What has come of it holds
    /// memory, and files.
    pub fn forget_silent(&mut self, timeout: Duration, now: PacedInstant) {
        let longest =
            timeout * (limits::SNAPSHOT_CHUNK_ATTEMPTS + 1) * limits::SNAPSHOT_INSTALL_TIMES;
        let is_silent = |transfer: &mut Transfer| now - transfer.heard > longest;
        if let Some(silent) = self.0.take_if(is_silent) {
            tracing::info!(from = silent.from, "a snapshot did not come to its end");
        }
    }
}

#[cfg(test)]
mod tests {
    use runtime::Host;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn regression_a_transfer_that_its_sender_has_given_up_is_let_go_of() {
        let transfer = async {
            let (machine, heard) = (StateMachine::default(), PacedInstant::now());
            let arriving = Arriving::new(&machine, 10, 20);
            let mut incoming = Incoming(Some(Transfer { from: 2, number: 1, arriving, heard }));
            // The last chunk has five times the time of any other, and is sent eight times.
            runtime::sleep(Duration::from_secs(41)).await;
            incoming.forget_silent(TIMEOUT, PacedInstant::now());
            assert!(incoming.0.is_some(), "the last try may be under way");
            runtime::sleep(Duration::from_secs(5)).await;
            incoming.forget_silent(TIMEOUT, PacedInstant::now());
            assert!(incoming.0.is_none());
        };
        Host::new(1, 0).scope(transfer).await;
    }
}
