//! A node's log and state machine in a simulated folder, driven step by step as openraft does it.

use std::io;
use std::sync::Arc;

use futures::stream;
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogStorage, RaftStateMachine};
use openraft::testing::log_id;
use openraft::{EntryPayload, Membership, RaftLogReader, RaftSnapshotBuilder};
use openraft_rt::Oneshot;
use openraft_rt_tokio::TokioOneshot;
use raft_store::{OpenError, Proposal, RoundId, StateMachine, Storage, TypeConfig, WalSizes};
use runtime::Host;
use runtime::files::simulated::SimFiles;
use state_machine::command::{Batch, LogLimits, Stamp, Write as Command};
use state_machine::keyed_logs::command::KeyedLogCommand;
use state_machine::topics::command::{Retention, TopicCommand};
use state_machine::topics::placement::Placement;
use state_machine::values::Records;
use tokio::sync::oneshot::Receiver;

use super::model::{Entry, Found, Id, Log, Timeline, Universe, Vote, Write};

/// Segments so small that a short run fills several, and uses one again.
pub const SIZES: WalSizes = WalSizes { segment: 12 * 1024, zeroed: 4 * 1024 };

/// Something that a node is told.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// So many entries of about so many bytes, and waits until they are durable.
    Append(u64, usize),
    /// The same without waiting.
    Send(u64, usize),
    /// Votes in the next term.
    Vote,
    /// Another leader's entries will take the place of the last so many, as far as they are not
    /// committed.
    Truncate(u64),
    /// All but the last so many entries are committed.
    Commit(u64),
    /// Applies what is committed.
    Apply,
    /// Applies what is committed, and saves a snapshot.
    Snapshot,
    /// The log drops what the snapshot covers, but for so many entries.
    Purge(u64),
    /// A leader's snapshot comes that is so many entries ahead.
    Install(u64),
    /// An incarnation of a peer is heard.
    Heard,
    /// The node has been idle for a moment.
    Seal,
    /// Waits until everything is durable.
    Sync,
    /// The process is killed and started again.
    Restart,
}

/// A record batch of Kafka's form that nobody has filled in.
fn records(len: usize) -> Records {
    let mut bytes = vec![7; len];
    bytes[8..12].copy_from_slice(&(len as u32 - 12).to_be_bytes());
    bytes[16] = 2;
    bytes[23..27].copy_from_slice(&0_u32.to_be_bytes());
    Records { count: 1, bytes: bytes.into(), created: None, escapes: 0 }
}

/// The entry of a term and an index is always the same one.
pub fn entry(term: u64, index: u64, bytes: usize) -> Entry {
    let id = log_id::<TypeConfig>(term, 1, index);
    if index % 9 == 4 {
        return Entry::new(id, EntryPayload::Blank);
    }
    if index.is_multiple_of(9) {
        let nodes = (1..=1 + index % 4)
            .map(|node| (node, ()))
            .collect::<std::collections::BTreeMap<_, _>>();
        let membership = Membership::from(nodes);
        return Entry::new(id, EntryPayload::Membership(membership));
    }
    let send = |key: &str, len: usize| {
        let command = KeyedLogCommand::Send { key: key.into(), records: records(len.max(70)) };
        Command { request_id: None, command: command.into() }
    };
    let log_limits = LogLimits { segment_bytes: 1_500 };
    let stamp = Stamp { now_ms: 1_000 * index + term, log_limits, ..Stamp::default() };
    let key = if index.is_multiple_of(2) { "even" } else { "odd" };
    let topic = |command: TopicCommand| Command { request_id: None, command: command.into() };
    let produce = TopicCommand::Produce {
        topic: "t".into(),
        placement: Placement::Partition(0),
        new_topic_partitions: 1,
        records: records(400),
    };
    // Nearly always something goes.
    let retain = TopicCommand::Retain(Retention { ms: None, bytes: Some(2_000) });
    let writes = vec![send(key, bytes), send("all", 80), topic(produce), topic(retain)];
    let batch = Batch { stamp, acknowledged: Vec::new(), writes };
    let round = RoundId { incarnation: 1, number: index };
    Entry::new(id, EntryPayload::Normal(Proposal::new(round, batch)))
}

/// Opens the folder of node n1.
pub async fn open(files: &SimFiles) -> Result<Storage, OpenError> {
    open_with(files, SIZES).await
}

/// The same with segments of another size.
pub async fn open_with(files: &SimFiles, sizes: WalSizes) -> Result<Storage, OpenError> {
    let files = Arc::new(files.clone());
    let mut storage = Storage::open(files, StateMachine::default(), sizes).await?;
    storage.belong_to("n1", &["n1".to_owned()])?;
    storage.log.sync().await?;
    Ok(storage)
}

async fn apply(
    machine: &mut StateMachine,
    entries: impl IntoIterator<Item = Entry>,
) -> io::Result<()> {
    let entries: Vec<_> = entries.into_iter().map(|entry| Ok((entry, None))).collect();
    machine.apply(stream::iter(entries)).await
}

/// A leader in memory that has applied so many entries of about so many bytes.
pub async fn leader(entries: u64, bytes: usize) -> StateMachine {
    let mut leader = StateMachine::default();
    let applied = (0..entries).map(|index| entry(1, index, bytes));
    apply(&mut leader, applied).await.expect("in memory");
    leader
}

/// What a folder says.
pub async fn found(storage: &mut Storage) -> Found {
    let state = storage.log.get_log_state().await.expect("in memory");
    let snapshot = storage.machine.get_current_snapshot().await.expect("in memory");
    let log = Log {
        vote: storage.log.read_vote().await.expect("in memory"),
        entries: storage.log.try_get_log_entries(0..u64::MAX).await.expect("in memory"),
        committed: storage.log.read_committed().await.expect("in memory"),
        purged: state.last_purged_log_id,
        heard: storage.heard().get(&2).copied(),
    };
    assert_eq!(state.last_log_id, log.last(), "the log's end");
    Found { log, snapshot: snapshot.and_then(|snapshot| snapshot.meta.last_log_id) }
}

/// Does what openraft does at a start: installs the snapshot, and drops what is before it where
/// the log ends before it.
pub async fn recover(storage: &mut Storage) -> io::Result<()> {
    if let Some(found) = storage.machine.get_current_snapshot().await? {
        storage.machine.install_snapshot(&found.meta, found.snapshot).await?;
    }
    let last = storage.log.get_log_state().await?.last_log_id;
    match storage.machine.applied() {
        Some(applied) if last < Some(applied) => storage.log.purge(applied).await,
        _ => Ok(()),
    }
}

/// Runs on a machine of its own, as a simulated node does.
pub async fn in_host<T>(future: impl Future<Output = T>) -> T {
    Host::new(1, 0).scope(future).await
}

/// See the [module](self).
pub struct Run {
    pub files: SimFiles,
    pub storage: Storage,
    pub timeline: Timeline,
    pub universe: Universe,
    /// Appends that were not waited for: how many writes there were then.
    pending: Vec<(usize, Receiver<io::Result<()>>)>,
    /// A snapshot that a leader sends: from where on its entries are others, and its entries.
    installing: Option<(u64, Universe)>,
    /// How many of them were answered with an error.
    pub refused: u64,
    term: u64,
    sizes: WalSizes,
    /// The machine of this life of the node.
    host: Host,
    lives: u64,
}

impl Run {
    /// Begins in an empty folder, and records what is done to the disk.
    pub async fn begin(files: SimFiles) -> Result<Self, OpenError> {
        Self::begin_with(files, SIZES, 1).await
    }

    /// The same with segments of another size, on a machine of another seed.
    pub async fn begin_with(
        files: SimFiles,
        sizes: WalSizes,
        seed: u64,
    ) -> Result<Self, OpenError> {
        files.record();
        let mut run = Self {
            files,
            storage: Storage::default(),
            timeline: Timeline::default(),
            universe: Universe::new(),
            pending: Vec::new(),
            installing: None,
            refused: 0,
            term: 1,
            sizes,
            host: Host::new(seed, 0),
            lives: seed,
        };
        run.open().await?;
        Ok(run)
    }

    /// Starts the node on this life's machine.
    async fn open(&mut self) -> Result<(), OpenError> {
        let host = self.host.clone();
        self.storage = host.scope(open_with(&self.files, self.sizes)).await?;
        Ok(())
    }

    /// Nothing of the process runs any more.
    fn dies(&mut self) {
        self.host.kill();
        self.lives += 1;
        self.host = Host::new(self.lives, 0);
    }

    /// The process is killed, and the machine goes on.
    pub fn killed(&mut self) {
        self.dies();
        self.files.restart();
    }

    /// The power fails. What was not synced survives by chance.
    pub fn power_fails(&mut self) {
        self.dies();
        self.files.crash();
    }

    /// The power fails. Nothing survives that was not synced.
    pub fn loses_all_it_may(&mut self) {
        self.dies();
        self.files.crash_keeping(&mut |_| false);
    }

    /// The same node on another disk that has what its own has. It is not started yet.
    pub fn on(&self, files: SimFiles) -> Self {
        let (timeline, universe) = (self.timeline.clone().over(), self.universe.clone());
        Self {
            files,
            storage: Storage::default(),
            timeline,
            universe,
            pending: Vec::new(),
            installing: self.installing.clone(),
            refused: 0,
            host: Host::new(99, 0),
            ..*self
        }
    }

    fn write(&mut self, write: Write) {
        self.timeline.write(self.files.recorded_len(), write);
    }

    /// Everything that was written is durable, and who waits was told so.
    fn all_is_durable(&mut self) {
        for (_, mut flushed) in self.pending.drain(..) {
            flushed.try_recv().expect("answered before what came later").expect("durable");
        }
        self.timeline.acknowledge(self.files.recorded_len(), self.timeline.written());
    }

    /// Looks which appends were answered meanwhile.
    pub fn answers(&mut self) {
        let (files, timeline, refused) = (&self.files, &mut self.timeline, &mut self.refused);
        self.pending.retain_mut(|(writes, flushed)| match flushed.try_recv() {
            Ok(Ok(())) => {
                timeline.acknowledge(files.recorded_len(), *writes);
                false
            }
            Ok(Err(_)) => {
                *refused += 1;
                false
            }
            Err(_) => true,
        });
    }

    /// How many appends have had no answer.
    pub fn unanswered(&self) -> usize {
        self.pending.len()
    }

    fn last_index(&self) -> Option<u64> {
        self.timeline.now().last().map(|id| id.index())
    }

    fn committed_index(&self) -> Option<u64> {
        self.timeline.now().committed.max(self.timeline.snapshot()).map(|id| id.index())
    }

    /// # Errors
    /// Where the disk does not take it.
    pub async fn step(&mut self, step: Step) -> io::Result<()> {
        self.answers();
        if matches!(step, Step::Restart) {
            return self.restart().await;
        }
        let host = self.host.clone();
        host.scope(self.step_in_host(step)).await
    }

    async fn step_in_host(&mut self, step: Step) -> io::Result<()> {
        match step {
            Step::Append(count, bytes) => self.append(count, bytes).await?,
            Step::Send(count, bytes) => {
                self.send(count, bytes).await?;
                return Ok(());
            }
            Step::Vote => self.vote().await?,
            Step::Truncate(back) => self.truncate(back).await?,
            Step::Commit(back) => self.commit(back).await?,
            Step::Apply => _ = self.apply().await?,
            Step::Snapshot => self.snapshot().await?,
            Step::Purge(keep) => self.purge(keep).await?,
            Step::Install(ahead) => self.install(ahead).await?,
            Step::Heard => {
                let incarnation = self.timeline.now().heard.unwrap_or(6) + 1;
                self.write(Write::Heard(incarnation));
                self.storage.log.heard(2, incarnation).await?;
                self.all_is_durable();
            }
            Step::Seal => self.storage.log.seal(),
            Step::Sync => self.sync().await?,
            // It ends the machine's tasks, so it is none of them.
            Step::Restart => {}
        }
        Ok(())
    }

    async fn sync(&mut self) -> io::Result<()> {
        self.storage.log.sync().await?;
        self.all_is_durable();
        Ok(())
    }

    async fn send(&mut self, count: u64, bytes: usize) -> io::Result<()> {
        let next = self.timeline.now().next_index();
        let entries: Vec<Entry> =
            (next..next + count).map(|index| entry(self.term, index, bytes)).collect();
        self.universe.extend(entries.iter().map(|entry| (entry.index(), entry.clone())));
        self.write(Write::Append(entries.clone()));
        let (sender, flushed) = TokioOneshot::channel();
        self.pending.push((self.timeline.written(), flushed));
        self.storage.log.append(entries, IOFlushed::signal(sender)).await
    }

    async fn append(&mut self, count: u64, bytes: usize) -> io::Result<()> {
        self.send(count, bytes).await?;
        let (_, flushed) = self.pending.pop().expect("it was sent");
        flushed.await.expect("answered")?;
        self.all_is_durable();
        Ok(())
    }

    async fn vote(&mut self) -> io::Result<()> {
        self.term += 1;
        let vote = Vote::new(self.term, 1);
        self.write(Write::Vote(vote));
        self.storage.log.save_vote(&vote).await?;
        self.all_is_durable();
        Ok(())
    }

    async fn truncate(&mut self, back: u64) -> io::Result<()> {
        let Some(last) = self.last_index() else { return Ok(()) };
        let fixed = self.committed_index().max(self.timeline.now().purged.map(|id| id.index()));
        let from = (last + 1).saturating_sub(back).max(fixed.map_or(0, |index| index + 1));
        self.term += 1;
        if from > last {
            return Ok(());
        }
        self.truncate_from(from).await
    }

    async fn truncate_from(&mut self, from: u64) -> io::Result<()> {
        self.write(Write::TruncateFrom(from));
        self.universe.retain(|index, _| *index < from);
        let left = from.checked_sub(1).map(|index| self.universe[&index].log_id());
        self.storage.log.truncate_after(left).await
    }

    async fn commit(&mut self, back: u64) -> io::Result<()> {
        let index = self.last_index().and_then(|last| last.checked_sub(back));
        let Some(index) = index.filter(|index| Some(*index) > self.committed_index()) else {
            return Ok(());
        };
        let id = self.universe[&index].log_id();
        self.write(Write::Committed(id));
        self.storage.log.save_committed(Some(id)).await
    }

    /// Returns up to where entries are applied, if there are more than before.
    async fn apply(&mut self) -> io::Result<Option<Id>> {
        let Some(committed) = self.timeline.now().committed else { return Ok(None) };
        let from = self.storage.machine.applied().map_or(0, |id| id.index() + 1);
        let upto = committed.index() + 1;
        if from >= upto {
            return Ok(None);
        }
        let entries = self.universe.range(from..upto);
        let entries: Vec<Entry> = entries.map(|(_, entry)| entry.clone()).collect();
        apply(&mut self.storage.machine, entries).await?;
        Ok(Some(committed))
    }

    async fn snapshot(&mut self) -> io::Result<()> {
        self.apply().await?;
        let Some(committed) = self.storage.machine.applied() else { return Ok(()) };
        if Some(committed) == self.timeline.snapshot() {
            return Ok(());
        }
        self.write(Write::Committed(committed));
        self.timeline.save(self.files.recorded_len(), committed);
        self.storage.machine.build_snapshot().await?;
        self.all_is_durable();
        self.timeline.acknowledge_snapshots(self.files.recorded_len());
        Ok(())
    }

    async fn purge(&mut self, keep: u64) -> io::Result<()> {
        let upto = self.timeline.snapshot().and_then(|id| id.index().checked_sub(keep));
        let purged = self.timeline.now().purged.map(|id| id.index());
        let Some(upto) = upto.filter(|upto| Some(*upto) > purged) else { return Ok(()) };
        let id = self.universe[&upto].log_id();
        self.write(Write::Purge(id));
        self.storage.log.purge(id).await
    }

    /// A leader of the next term has other entries behind the committed ones, and a snapshot.
    async fn install(&mut self, ahead: u64) -> io::Result<()> {
        self.term += 1;
        let from = self.committed_index().map_or(0, |index| index + 1);
        let upto = from + ahead;
        self.universe.retain(|index, _| *index < from);
        self.universe.extend((from..=upto).map(|index| (index, entry(self.term, index, 200))));
        self.installing = Some((from, self.universe.clone()));
        self.go_on_installing().await
    }

    /// Installs the snapshot that a leader sends, from the first time on until it is installed.
    async fn go_on_installing(&mut self) -> io::Result<()> {
        let Some((from, universe)) = self.installing.clone() else { return Ok(()) };
        self.universe = universe;
        let mut leader = StateMachine::default();
        apply(&mut leader, self.universe.values().cloned()).await.expect("in memory");
        let sent = leader.build_snapshot().await.expect("in memory");
        let id = sent.meta.last_log_id.expect("it has applied entries");
        if self.last_index() >= Some(id.index()) {
            // A follower that has another entry there drops what is not committed.
            self.write(Write::TruncateFrom(from));
            let left = from.checked_sub(1).map(|index| self.universe[&index].log_id());
            self.storage.log.truncate_after(left).await?;
        }
        self.write(Write::Committed(id));
        self.timeline.save(self.files.recorded_len(), id);
        self.storage.machine.install_snapshot(&sent.meta, sent.snapshot).await?;
        self.installing = None;
        self.all_is_durable();
        self.timeline.acknowledge_snapshots(self.files.recorded_len());
        self.write(Write::Purge(id));
        self.storage.log.purge(id).await
    }

    /// The process is killed when everything was durable, and started again.
    async fn restart(&mut self) -> io::Result<()> {
        self.sync().await?;
        self.killed();
        self.open().await.map_err(io::Error::other)?;
        let host = self.host.clone();
        host.scope(recover(&mut self.storage)).await
    }

    /// The process is gone and what was not durable may be. What is found is compared, and the run
    /// goes on with it.
    pub async fn start_again(&mut self) -> Result<(), String> {
        self.answers();
        let operations = self.files.recorded_len();
        self.pending.clear();
        // The comparison applies all entries, so it has a disk of its own.
        let disk = self.files.fork();
        let found = in_host(async {
            let opened = open_with(&disk, self.sizes).await;
            let mut storage = opened.map_err(|refused| format!("refused: {refused}"))?;
            let found = found(&mut storage).await;
            self.timeline.check(&found, operations)?;
            states_agree(&mut storage, &found, &self.universe).await?;
            Ok::<_, String>(found)
        })
        .await?;
        self.open().await.map_err(|refused| format!("refused: {refused}"))?;
        let host = self.host.clone();
        let recovered = host.scope(recover(&mut self.storage)).await;
        recovered.map_err(|error| error.to_string())?;
        let last: Option<Id> = found.log.last().max(found.snapshot);
        let next = last.map_or(0, |id| id.index() + 1);
        self.universe.retain(|index, _| *index < next);
        let behind = found
            .log
            .entries
            .iter()
            .filter(|e| Some(e.index()) > found.snapshot.map(|id| id.index()));
        self.universe.extend(behind.map(|entry| (entry.index(), entry.clone())));
        let hole = found.snapshot.filter(|taken| Some(*taken) > found.log.last());
        self.timeline.rebase(found);
        if let Some(id) = hole {
            // What openraft does, and the comparison has done.
            self.write(Write::Purge(id));
        }
        self.term += 1;
        let sent = self.installing.as_ref().and_then(|(_, universe)| universe.values().last());
        if sent.map(RaftEntry::log_id) <= self.timeline.snapshot() {
            self.installing = None;
        }
        // A leader whose snapshot did not arrive sends it again, before anything else.
        let host = self.host.clone();
        let installed = host.scope(self.go_on_installing()).await;
        installed.map_err(|error| error.to_string())
    }
}

/// Looks whether the state after all entries that a folder has is that of a replay in memory.
pub async fn states_agree(
    storage: &mut Storage,
    found: &Found,
    universe: &Universe,
) -> Result<(), String> {
    recover(storage).await.map_err(|error| error.to_string())?;
    let from = found.snapshot.map_or(0, |id| id.index() + 1);
    let behind = found.log.entries.iter().filter(|entry| entry.index() >= from).cloned();
    apply(&mut storage.machine, behind).await.map_err(|error| error.to_string())?;
    let replay = replay_upto(universe, found).await;
    let encoded = |machine: &StateMachine| machine.checkpoint().encode();
    let here = encoded(&storage.machine).map_err(|error| error.to_string())?;
    let replayed = encoded(&replay).expect("in memory");
    let membership = |machine: &StateMachine| {
        let mut machine = machine.clone();
        async move { machine.applied_state().await.expect("in memory") }
    };
    if membership(&storage.machine).await != membership(&replay).await {
        return Err("another membership than a replay's".to_owned());
    }
    if here == replayed { Ok(()) } else { Err("another state than a replay's".to_owned()) }
}

/// A replay in memory of all entries that a folder has.
pub async fn replay_upto(universe: &Universe, found: &Found) -> StateMachine {
    let from = found.snapshot.map_or(0, |id| id.index() + 1);
    let mut all = universe.clone();
    // What is before the snapshot may be another leader's, where the snapshot came from a leader.
    let behind = found.log.entries.iter().filter(|entry| entry.index() >= from);
    all.extend(behind.map(|entry| (entry.index(), entry.clone())));
    let upto = found.log.last().max(found.snapshot).map_or(0, |id| id.index() + 1);
    let mut replay = StateMachine::default();
    let replayed = apply(&mut replay, all.range(..upto).map(|(_, entry)| entry.clone())).await;
    replayed.expect("in memory");
    replay
}
