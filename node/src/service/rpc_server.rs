//! Answers what peers' Rafts ask of this node's.

use std::sync::{Arc, Mutex, PoisonError};

use raft_store::Raft;
use state_machine::ids::NodeId;

use crate::peers::message::{Message, RpcRequest, RpcResponse, SnapshotChunk};
use crate::peers::rpc::Peers;
use crate::peers::snapshots::{self, Incoming, Received};

/// What is needed to answer one request.
pub(super) struct RpcServer {
    pub(super) raft: Raft,
    pub(super) peers: Peers,
    pub(super) incoming: Arc<Mutex<Incoming>>,
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
                raft.pre_vote(request).await.map(RpcResponse::Vote).map_err(|e| e.to_string())
            }
            RpcRequest::Snapshot(chunk) => self.install(from, chunk).await,
            RpcRequest::Probe(told) => {
                told.into_iter().for_each(|round_trip_ms| self.peers.told(round_trip_ms));
                Ok(RpcResponse::Probe)
            }
        };
        self.peers.send(from, &Message::Response(incarnation, number, response));
    }

    async fn install(&self, from: NodeId, chunk: SnapshotChunk) -> Result<RpcResponse, String> {
        let received =
            self.incoming.lock().unwrap_or_else(PoisonError::into_inner).take(from, &chunk);
        match received {
            Received::Part(received) => Ok(RpcResponse::ChunkReceived { received }),
            Received::Whole(bytes) => {
                let snapshot = snapshots::decode(chunk.meta, bytes).await?;
                let installed = self.raft.install_full_snapshot(chunk.vote, snapshot).await;
                installed.map(RpcResponse::Snapshot).map_err(|e| e.to_string())
            }
        }
    }
}
