//! Answers what peers' Rafts ask of this node's.

use std::sync::{Arc, Mutex, PoisonError};

use openraft::alias::SnapshotOf;
use openraft::raft::TransferLeaderRequest;
use raft_store::transfer::Arrived;
use raft_store::{Checkpoint, Raft, RaftLog, StateMachine, TypeConfig};
use runtime::PacedInstant;
use state_machine::ids::NodeId;

use crate::limits;
use crate::peers::message::{Message, RpcRequest, RpcResponse, SnapshotChunk};
use crate::peers::rpc::Peers;
use crate::peers::snapshots::Incoming;

/// What is needed to answer one request.
pub(super) struct RpcServer {
    pub(super) raft: Raft,
    pub(super) peers: Peers,
    pub(super) incoming: Arc<Mutex<Incoming>>,
    pub(super) machine: StateMachine,
    pub(super) log: RaftLog,
}

impl RpcServer {
    /// Answers a request that the peer `from` made in its incarnation `incarnation`. Runs until
    /// Raft has answered: call it in a task of its own.
    pub(super) async fn serve(
        self,
        from: NodeId,
        incarnation: u64,
        number: u64,
        request: RpcRequest,
    ) {
        let raft = &self.raft;
        let response = match request {
            RpcRequest::Append(round_trip_ms, request) => {
                self.peers.told(round_trip_ms);
                raft.append_entries(request)
                    .await
                    .map(RpcResponse::Append)
                    .map_err(|e| e.to_string())
            }
            RpcRequest::Vote(request) => {
                raft.vote(request).await.map(RpcResponse::Vote).map_err(|e| e.to_string())
            }
            RpcRequest::PreVote(request) => {
                let response = raft.pre_vote(request).await;
                if response.as_ref().is_ok_and(|response| response.vote_granted) {
                    self.peers.promised_vote(from);
                }
                response.map(RpcResponse::Vote).map_err(|e| e.to_string())
            }
            RpcRequest::Snapshot(chunk) => self.install(from, chunk).await,
            RpcRequest::Probe(told) => {
                told.into_iter().for_each(|round_trip_ms| self.peers.told(round_trip_ms));
                Ok(RpcResponse::Probe)
            }
            RpcRequest::Transfer(request) => raft
                .handle_transfer_leader(request)
                .await
                .map(RpcResponse::Transfer)
                .map_err(|e| e.to_string()),
            RpcRequest::Release(vote) => {
                // A transfer to the leader itself: nobody is chosen, but its lease is over.
                let release = TransferLeaderRequest::new(vote, from, None);
                raft.handle_transfer_leader(release)
                    .await
                    .map(|_| RpcResponse::Probe)
                    .map_err(|e| e.to_string())
            }
        };
        self.peers.send(from, &Message::Response(incarnation, number, response));
    }

    async fn install(&self, from: NodeId, chunk: SnapshotChunk) -> Result<RpcResponse, String> {
        let (incoming, machine) = (self.incoming.clone(), self.machine.clone());
        let SnapshotChunk { vote, meta, offset, .. } = &chunk;
        let (vote, meta, before) = (*vote, meta.clone(), *offset);
        let now = PacedInstant::now();
        let arrived = runtime::blocking(move || {
            let mut incoming = incoming.lock().unwrap_or_else(PoisonError::into_inner);
            incoming.take(&machine, from, &chunk, now)
        });
        let arrived = arrived.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        match arrived {
            Arrived::Part(received) => {
                // All of it at once, in the end, would hold up whoever else uses that disk.
                if before / limits::SNAPSHOT_SYNCED < received / limits::SNAPSHOT_SYNCED {
                    let synced = self.log.sync_records(&self.machine).await;
                    synced.map_err(|e| e.to_string())?;
                }
                Ok(RpcResponse::ChunkReceived { received })
            }
            Arrived::Whole(checkpoint) => {
                let snapshot = SnapshotOf::<TypeConfig, Arc<Checkpoint>> {
                    meta,
                    snapshot: Arc::new(*checkpoint),
                };
                let installed = self.raft.install_full_snapshot(vote, snapshot).await;
                let response = installed.map_err(|e| e.to_string())?;
                // Raft passes over a snapshot up to where it knows the log to be committed. This
                // node may have that log in memory only, and the leader takes it for kept.
                self.log.sync().await.map_err(|e| e.to_string())?;
                Ok(RpcResponse::Snapshot(response))
            }
        }
    }
}
