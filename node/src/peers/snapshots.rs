//! Snapshots on their way from the leader to a follower, in chunks.
//!
//! Each chunk has a time-out and retries of its own, so that a snapshot gets through however large
//! it is and however much is lost. The receiver says how far it has got, and the sender goes on
//! from there, even back at the beginning.

use std::sync::Arc;
use std::time::Duration;

use openraft::RPCTypes;
use openraft::alias::{SnapshotMetaOf, SnapshotOf, VoteOf};
use openraft::errors::{StreamingError, Unreachable};
use openraft::raft::SnapshotResponse;
use raft_store::{TypeConfig, codec};
use state_machine::State;
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
    state: Arc<State>,
) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
    let unreachable =
        |problem: String| StreamingError::Unreachable(Unreachable::from_string(problem));
    let encoded = runtime::blocking(move || codec::encode(&*state)).await;
    let bytes = encoded.map_err(|error| unreachable(error.to_string()))?;
    let (transfer, total) = (runtime::random(), bytes.len() as u64);
    let (mut offset, mut failures) = (0_usize, 0);
    loop {
        let end = bytes.len().min(offset + limits::SNAPSHOT_CHUNK);
        let begin = offset as u64;
        let chunk = SnapshotChunk {
            transfer,
            vote,
            meta: meta.clone(),
            offset: begin,
            total,
            bytes: bytes[offset..end].to_vec(),
        };
        let times = if end == bytes.len() { limits::SNAPSHOT_INSTALL_TIMES } else { 1 };
        let timeout: Duration = client.chunk_timeout() * times;
        match client.request(RpcRequest::Snapshot(chunk), timeout).await {
            Some(Ok(RpcResponse::Snapshot(response))) => return Ok(response),
            Some(Ok(RpcResponse::ChunkReceived { received })) if received <= total => {
                failures = if received > begin { 0 } else { failures + 1 };
                offset = usize::try_from(received).unwrap_or(0);
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
    bytes: Vec<u8>,
}

/// What a chunk led to.
#[derive(Debug)]
pub enum Received {
    /// So many bytes have come, from the beginning without gaps.
    Part(u64),
    /// All bytes have come: here they are.
    Whole(Vec<u8>),
}

impl Incoming {
    /// Takes a chunk of a peer's in. One that does not continue what has come is passed over.
    pub fn take(&mut self, from: NodeId, chunk: &SnapshotChunk) -> Received {
        let begun = self.0.as_ref().is_some_and(|t| t.from == from && t.number == chunk.transfer);
        if !begun {
            if chunk.offset != 0 {
                return Received::Part(0);
            }
            self.0 = Some(Transfer { from, number: chunk.transfer, bytes: Vec::new() });
        }
        let transfer = self.0.as_mut().expect("a transfer has begun");
        if chunk.offset == transfer.bytes.len() as u64 {
            transfer.bytes.extend_from_slice(&chunk.bytes);
        }
        let received = transfer.bytes.len() as u64;
        if received < chunk.total {
            return Received::Part(received);
        }
        Received::Whole(self.0.take().expect("the transfer is here").bytes)
    }
}

/// Decodes a whole snapshot for Raft.
///
/// # Errors
/// Where the bytes are no state of this version.
pub async fn decode(
    meta: SnapshotMetaOf<TypeConfig>,
    bytes: Vec<u8>,
) -> Result<SnapshotOf<TypeConfig, Arc<State>>, String> {
    let decoded = runtime::blocking(move || codec::decode::<State>(&bytes)).await;
    let state = decoded.map_err(|e| e.to_string())?.map_err(|e| format!("snapshot: {e}"))?;
    Ok(SnapshotOf::<TypeConfig, _> { meta, snapshot: Arc::new(state) })
}
