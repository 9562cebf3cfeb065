//! Appends on their way to one peer, whose answers come from the test.

use futures::{StreamExt, stream};
use openraft::EntryPayload;
use openraft::alias::{EntryOf, LogIdOf};
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_std::LeaderId;
use openraft::vote::{RaftLeaderId, RaftVote};
use raft_store::{Proposal, RoundId};
use runtime::Host;
use state_machine::command::{Batch, Write};
use state_machine::keyed_logs::command::KeyedLogCommand;
use state_machine::values::Records;

use super::super::transport::{Inbox, Receiving};
use super::*;

const ME: NodeId = 1;
const PEER: NodeId = 2;
const TIMEOUT: Duration = Duration::from_millis(400);
const HEARTBEAT: Duration = Duration::from_millis(300);

/// Keeps what is sent, and gives what the test delivers.
#[derive(Clone, Default)]
struct Line {
    sent: Arc<Mutex<Vec<Message>>>,
    inbox: Arc<Inbox>,
}

impl Transport for Line {
    fn send(&self, _to: NodeId, message: &Message) {
        self.sent.lock().expect("no test panics with it").push(message.clone());
    }

    fn receive(&self) -> Receiving<'_> {
        Box::pin(self.inbox.take())
    }
}

impl Line {
    /// The numbers of the appends that were sent since the last look.
    fn appends(&self) -> Vec<u64> {
        let number = |message| match message {
            Message::Request(number, RpcRequest::Append(..)) => Some(number),
            _ => None,
        };
        self.sent.lock().expect("no test panics with it").drain(..).filter_map(number).collect()
    }
}

fn id(index: u64) -> LogIdOf<TypeConfig> {
    LogIdOf::<TypeConfig>::new(LeaderId::new(1, ME).to_committed(), index)
}

/// An append of entries behind `before`.
fn append(
    before: u64,
    entries: Vec<EntryPayload<Proposal, NodeId, ()>>,
) -> AppendEntriesRequest<TypeConfig> {
    let entry = |(payload, index)| EntryOf::<TypeConfig>::new(id(index), payload);
    AppendEntriesRequest {
        vote: VoteOf::<TypeConfig>::from_leader_id(LeaderId::new(1, ME), true),
        prev_log_id: Some(id(before)),
        entries: entries.into_iter().zip(before + 1..).map(entry).collect(),
        leader_commit: Some(id(before)),
    }
}

/// An entry of so many bytes.
fn entry_of(bytes: usize) -> EntryPayload<Proposal, NodeId, ()> {
    let bytes = vec![7; bytes].into();
    let records = Records { count: 1, bytes, created: None, escapes: 0 };
    let command = KeyedLogCommand::Send { key: "k".into(), records }.into();
    let writes = vec![Write { request_id: None, command }];
    let batch = Batch { writes, ..Batch::default() };
    EntryPayload::Normal(Proposal::new(RoundId::default(), batch))
}

/// A leader to whom its peer has answered so far after `round_trip`.
fn leader(line: &Line, round_trip: Duration) -> Peers {
    let timeouts = Timeouts { append: TIMEOUT, chunk: TIMEOUT, heartbeat: HEARTBEAT };
    let peers =
        Peers::new(ME, vec![PEER, 3], Box::new(line.clone()), timeouts, &Storage::default());
    let begun = Instant::now();
    for nth in 1..=8 {
        peers.measured(|trips| {
            trips.observe(PEER, round_trip, begun + Duration::from_millis(100 * nth));
        });
    }
    peers.calls().quorum.answer(PEER, PacedInstant::now());
    peers
}

/// What the stream of appends gives within a time, by its kind.
async fn given(answers: &mut BoxStream<'_, Appended>, time: Duration) -> Option<bool> {
    tokio::select! {
        biased;
        answer = answers.next() => Some(answer?.is_ok_and(|answer| answer.is_ok())),
        () = runtime::sleep(time) => None,
    }
}

const MOMENT: Duration = Duration::from_millis(50);

fn taken() -> Result<RpcResponse, String> {
    Ok(RpcResponse::Append(AppendEntriesResponse::Success))
}

#[tokio::test(start_paused = true)]
async fn regression_a_large_append_has_the_time_that_a_slow_link_needs_for_it() {
    let lines = async {
        let line = Line::default();
        let peers = leader(&line, Duration::from_millis(1));
        let mut client = Network(peers.clone()).new_client(PEER, &()).await;
        for (bytes, at_ms, is_answered) in [(1_000, 300, true), (1_000, 500, false)]
            .into_iter()
            .chain([(1_048_576, 1_200, true), (1_048_576, 1_700, false)])
        {
            peers.calls().quorum.answer(PEER, PacedInstant::now());
            let appends = stream::iter([append(0, vec![entry_of(bytes)])]);
            let option = RPCOption::new(HEARTBEAT);
            let mut answers = client.stream_append(appends, option).await.expect("a stream");
            let at = Duration::from_millis(at_ms);
            let before = given(&mut answers, at).await;
            assert_eq!(before.is_none(), is_answered, "{bytes} bytes, after {at:?}: {before:?}");
            let sent = line.appends();
            assert_eq!(sent.len(), 1);
            peers.respond(sent[0], taken());
            if is_answered {
                assert_eq!(given(&mut answers, MOMENT).await, Some(true), "{bytes} bytes");
            }
        }
    };
    Host::new(1, 0).scope(lines).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_where_the_incarnation_that_was_asked_is_gone() {
    let lines = async {
        let line = Line::default();
        let peers = leader(&line, Duration::from_millis(1));
        let says = |incarnation| {
            let message = Message::Request(1, RpcRequest::Probe(None));
            line.inbox.deliver(Received { from: PEER, incarnation, message }, 0);
            peers.receive()
        };
        let mut client = Network(peers.clone()).new_client(PEER, &()).await;
        says(70).await;
        let appends = stream::iter([append(0, vec![entry_of(1_048_576)])]);
        let option = RPCOption::new(HEARTBEAT);
        let mut answers = client.stream_append(appends, option).await.expect("a stream");
        says(70).await;
        assert_eq!(given(&mut answers, MOMENT).await, None, "it is there still");
        says(71).await;
        assert_eq!(given(&mut answers, MOMENT).await, None, "its answer may have come with that");
        says(71).await;
        assert_eq!(given(&mut answers, MOMENT).await, Some(false), "nobody answers any more");
        drop(answers);
        // The next one answers what it was asked before it was heard.
        let appends = stream::iter([append(0, vec![entry_of(10)])]);
        let option = RPCOption::new(HEARTBEAT);
        let mut answers = client.stream_append(appends, option).await.expect("a stream");
        line.appends();
        assert_eq!(given(&mut answers, MOMENT).await, None);
        let sent = line.appends();
        says(72).await;
        peers.respond(sent[0], taken());
        says(72).await;
        assert_eq!(given(&mut answers, MOMENT).await, Some(true));
    };
    Host::new(1, 0).scope(lines).await;
}
