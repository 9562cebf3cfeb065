//! A Raft that panics.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cohort::config::Config;
use cohort::peers::message::{Message, RpcRequest};
use cohort::peers::rpc::{Peers, Timeouts};
use cohort::service::Service;
use openraft::EntryPayload;
use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_std::LeaderId;
use openraft::raft::AppendEntriesRequest;
use openraft::vote::{RaftLeaderId, RaftVote};
use raft_store::{StateMachine, Storage, TypeConfig, WalSizes};
use runtime::Host;
use runtime::files::simulated::SimFiles;

use super::network::{End, Network, Sent};

/// What no peer sends whose own log is right: entries with a gap before them, all raft-committed.
fn append_with_a_gap() -> AppendEntriesRequest<TypeConfig> {
    let leader = LeaderId::new(7, 2);
    let id = LogIdOf::<TypeConfig>::new(leader.to_committed(), 20);
    AppendEntriesRequest {
        vote: VoteOf::<TypeConfig>::from_leader_id(leader, true),
        prev_log_id: None,
        entries: vec![EntryOf::<TypeConfig>::new(id, EntryPayload::Blank)],
        leader_commit: Some(id),
    }
}

#[tokio::test(start_paused = true)]
async fn regression_a_node_whose_raft_panics_ends() {
    let (host, ended) = (Host::new(3, 0), Arc::new(Mutex::new(None)));
    let run = {
        let ended = ended.clone();
        async move {
            let (disk, sizes) = (SimFiles::new(3), WalSizes { segment: 65_536, zeroed: 8_192 });
            let opened = Storage::open(Arc::new(disk), StateMachine::default(), sizes).await;
            let mut storage = opened.expect("an empty folder");
            let names = ["n1".to_owned(), "n2".to_owned(), "n3".to_owned()];
            storage.belong_to("n3", &names).expect("an empty folder");
            let config = Config::parse_from(["cohort"]).expect("no flags");
            let (network, incarnation) = (Network::default(), storage.incarnation());
            let end = End { network, me: 3, incarnation, inbox: Arc::default() };
            let timeouts = Timeouts {
                append: config.append_timeout,
                chunk: config.snapshot_timeout,
                heartbeat: config.heartbeat,
            };
            let peers = Peers::new(3, vec![1, 2], Box::new(end.clone()), timeouts, &storage);
            let service = Service::new(Arc::new(config), 3, vec![1, 2, 3], &storage, peers);
            let message = Message::Request(1, RpcRequest::Append(1, append_with_a_gap()));
            end.deliver(Sent { from: 2, to: 3, incarnation: 5, message });
            let why = service.run().await;
            *ended.lock().expect("the test does not panic with it") = Some(why);
        }
    };
    let _task = host.spawn(run);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let why = ended.lock().expect("the test does not panic with it").take();
    assert!(why.as_ref().is_some_and(|why| why.contains("panicked")), "{why:?}");
}
