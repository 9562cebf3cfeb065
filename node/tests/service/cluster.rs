//! The services of a trace, each on a simulated machine of its own, in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cohort::config::Config;
use cohort::peers::message::{ForwardReply, Message};
use cohort::peers::rpc::{Peers, Timeouts};
use cohort::service::Service;
use cohort::service::api::{Completion, Failure, Request, RequestNumber, Status};
use cohort::service::handle::{Connection, Handle, Replied};
use raft_store::{StateMachine, Storage, WalSizes};
use runtime::files::simulated::SimFiles;
use runtime::{Host, Instant};
use state_machine::State;
use state_machine::command::Lane;
use state_machine::ids::NodeId;

use super::network::{End, Fate, Network, Sent};
use super::show;

/// A message takes this long.
const HOP: Duration = Duration::from_millis(1);

/// What a node is while its process runs.
struct Process {
    handle: Handle,
    connection: Connection,
    end: End,
    storage: Storage,
    /// How many requests each lane has had.
    seqs: BTreeMap<Lane, u64>,
}

struct Node {
    host: Host,
    disk: SimFiles,
    process: Option<Process>,
    /// Who leads, as it said last.
    leader: Option<(Option<NodeId>, u64)>,
}

/// All nodes, the network between them, and what happened since it was last asked for.
pub struct Cluster {
    config: Config,
    nodes: BTreeMap<NodeId, Node>,
    network: Network,
    /// Names of requests, by the node and incarnation that took them in and their number there.
    names: BTreeMap<(NodeId, u64, RequestNumber), String>,
    /// Names of clients' requests, by node and the number given to the service.
    asked: BTreeMap<(NodeId, u64), (String, String)>,
    clients: Vec<String>,
    requests: u64,
    /// Incarnations as they stand in members' ids, and what a trace calls them: `i1` for the first
    /// of n1, `i1'` for its next.
    aliases: Vec<(String, String)>,
    /// Whether Raft's own messages are told.
    pub show_raft: bool,
    told: Vec<String>,
}

impl Cluster {
    /// Starts `count` nodes with these flags of the command line.
    pub async fn start(count: u64, flags: &[&str]) -> Self {
        let config = Config::parse_from(["cohort"].iter().chain(flags)).expect("flags of cohort");
        let mut cluster = Self {
            config,
            nodes: BTreeMap::new(),
            network: Network::default(),
            names: BTreeMap::new(),
            asked: BTreeMap::new(),
            clients: Vec::new(),
            requests: 0,
            aliases: Vec::new(),
            show_raft: false,
            told: Vec::new(),
        };
        for id in 1..=count {
            let (host, disk) = (Host::new(id, 1_000_000), SimFiles::new(id));
            cluster.nodes.insert(id, Node { host, disk, process: None, leader: None });
        }
        for id in 1..=count {
            cluster.boot(id).await;
        }
        cluster
    }

    async fn boot(&mut self, id: NodeId) {
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        let node = self.nodes.get_mut(&id).expect("a node of the trace");
        let (config, network, disk) = (self.config.clone(), self.network.clone(), &node.disk);
        let booted = node.host.scope(async move {
            let sizes = WalSizes { segment: 256 * 1024, zeroed: 64 * 1024 };
            let opened = Storage::open(Arc::new(disk.clone()), StateMachine::default(), sizes);
            let mut storage = opened.await.expect("the folder of this node");
            let names: Vec<String> = nodes.iter().map(|node| format!("n{node}")).collect();
            storage.belong_to(&format!("n{id}"), &names).expect("the folder of this node");
            let incarnation = storage.incarnation();
            let end = End { network, me: id, incarnation, inbox: Arc::default() };
            let timeouts = Timeouts {
                append: config.append_timeout,
                chunk: config.snapshot_timeout,
                heartbeat: config.heartbeat,
            };
            let others = nodes.iter().copied().filter(|node| *node != id).collect();
            let peers = Peers::new(id, others, Box::new(end.clone()), timeouts, &storage);
            let service = Service::new(Arc::new(config), id, nodes, &storage, peers);
            let handle = service.handle();
            let connection = handle.connect();
            (service, handle, connection, end, storage)
        });
        let (service, handle, connection, end, storage) = booted.await;
        let earlier =
            self.aliases.iter().filter(|(_, name)| name.trim_end_matches('\'') == format!("i{id}"));
        let alias = format!("i{id}{}", "'".repeat(earlier.count()));
        self.aliases.push((format!("{:x}", end.incarnation), alias));
        // It ends with its machine.
        let _task = node.host.spawn(service.run());
        node.process = Some(Process { handle, connection, end, storage, seqs: BTreeMap::new() });
    }

    /// Kills a node's process.
    pub fn crash(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).expect("a node of the trace");
        node.host.kill();
        node.disk.crash();
        (node.process, node.leader) = (None, None);
    }

    /// Starts a node again with what it had written.
    pub async fn restart(&mut self, id: NodeId) {
        self.nodes[&id].host.revive();
        self.boot(id).await;
    }

    fn process(&self, id: NodeId) -> &Process {
        self.nodes[&id].process.as_ref().unwrap_or_else(|| panic!("n{id} is down"))
    }

    /// How many nodes there are, those included that are down.
    pub fn size(&self) -> u64 {
        self.nodes.len() as u64
    }

    /// What a node knows of the cluster.
    pub fn status(&self, id: NodeId) -> Status {
        self.process(id).handle.status()
    }

    /// Reads what a node has applied.
    pub fn state<T>(&self, id: NodeId, read: impl FnOnce(&State) -> T) -> T {
        self.process(id).storage.machine.read(read)
    }

    /// A node's disk.
    pub fn disk(&self, id: NodeId) -> &SimFiles {
        &self.nodes[&id].disk
    }

    /// The network, to cut and mend it.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// A client asks a node. Returns the request's name.
    pub async fn ask(&mut self, id: NodeId, client: &str, request: Request) -> String {
        self.requests += 1;
        let name = format!("r{}", self.requests);
        let number = self.requests;
        let at = self.clients.iter().position(|known| known == client).unwrap_or_else(|| {
            self.clients.push(client.to_owned());
            self.clients.len() - 1
        });
        let node = self.nodes.get_mut(&id).expect("a node of the trace");
        let process = node.process.as_mut().unwrap_or_else(|| panic!("n{id} is down"));
        let lane = request.lane();
        let seq = process.seqs.entry(lane).or_default();
        *seq += 1;
        let request_number = RequestNumber { lane, seq: *seq };
        self.names.insert((id, process.end.incarnation, request_number), name.clone());
        self.asked.insert((id, number), (client.to_owned(), name.clone()));
        let connection = &process.connection;
        node.host
            .scope(async { connection.submit(at as u64, number, request, Instant::now()) })
            .await;
        name
    }

    /// Closes a node's connection: no more requests will come on it.
    pub fn close(&self, id: NodeId) {
        self.process(id).connection.close();
    }

    /// Lets time pass.
    pub async fn run(&mut self, time: Duration) {
        let steps = time.as_millis() / HOP.as_millis();
        for _ in 0..steps {
            self.step().await;
        }
    }

    /// One hop's time: what was sent before arrives, and whatever happens of it happens.
    async fn step(&mut self) {
        tokio::time::sleep(HOP).await;
        let sent = std::mem::take(&mut self.network.lock().fresh);
        for sent in sent {
            let fate = self.network.lock().fate(&sent);
            let line = self.show_sent(&sent, fate);
            match fate {
                Fate::Delivered => self.deliver(sent),
                Fate::Held => self.network.lock().held.push(sent),
                Fate::Lost => {}
            }
            self.told.extend(line);
        }
        // What was delivered is worked on before the replies are looked at.
        for _ in 0..32 {
            tokio::task::yield_now().await;
        }
        self.tell_leaders();
        self.tell_replies();
    }

    fn deliver(&self, sent: Sent) {
        if let Some(process) = self.nodes.get(&sent.to).and_then(|node| node.process.as_ref()) {
            process.end.deliver(sent);
        }
    }

    /// Lets held messages of a kind go on their way.
    pub fn release(&mut self, from: NodeId, to: NodeId) {
        let held = std::mem::take(&mut self.network.lock().held);
        let (released, kept): (Vec<Sent>, Vec<Sent>) =
            held.into_iter().partition(|sent| (sent.from, sent.to) == (from, to));
        {
            let mut wire = self.network.lock();
            wire.held = kept;
            wire.rules.retain(|rule| (rule.from, rule.to) != (from, to));
        }
        for sent in released {
            let line = self.show_sent(&sent, Fate::Delivered);
            self.told.extend(line);
            self.deliver(sent);
        }
    }

    /// Each node that has begun to follow or to lead.
    fn tell_leaders(&mut self) {
        for (id, node) in &mut self.nodes {
            let Some(process) = &node.process else { continue };
            let status = process.handle.status();
            let known = Some((status.leader, status.term));
            if status.term == 0 || node.leader == known {
                continue;
            }
            node.leader = known;
            self.told.push(match status.leader {
                Some(leader) if leader == *id => format!("n{id} leads term {}", status.term),
                Some(leader) => format!("n{id} follows n{leader} in term {}", status.term),
                None => format!("n{id} knows no leader in term {}", status.term),
            });
        }
    }

    fn tell_replies(&mut self) {
        for (id, node) in &self.nodes {
            let Some(process) = &node.process else { continue };
            for Replied { number, completion, .. } in process.connection.take_replies() {
                let (client, name) = &self.asked[&(*id, number)];
                let said = match &completion {
                    Completion::Delayed => "delayed".to_owned(),
                    Completion::Done(Ok(reply)) => show::outcome(&Ok(reply.clone())),
                    Completion::Done(Err(Failure::Rejected(rejection))) => {
                        show::outcome(&Err(rejection.clone()))
                    }
                    Completion::Done(Err(Failure::Service(error))) => format!("failed: {error}"),
                };
                self.told.push(format!("n{id} {client} < {name} {said}"));
            }
        }
    }

    fn name(&self, node: NodeId, incarnation: u64, number: RequestNumber) -> String {
        self.names
            .get(&(node, incarnation, number))
            .cloned()
            .unwrap_or_else(|| format!("{number:?}"))
    }

    /// A message as a line; `None` for Raft's own where they are not told.
    fn show_sent(&self, sent: &Sent, fate: Fate) -> Option<String> {
        let said = match &sent.message {
            Message::Forward(forward) => {
                let items = forward.items.iter().map(|item| {
                    let name = self.name(sent.from, sent.incarnation, item.id);
                    let after = item.after.map(|id| self.name(sent.from, sent.incarnation, id));
                    let after = after.map_or_else(String::new, |after| format!(" after {after}"));
                    let again = if item.attempt > 0 { " again" } else { "" };
                    format!("{name}{again}{after}")
                });
                items.collect::<Vec<_>>().join(", ")
            }
            Message::ForwardReplies(to, replies) => {
                let items = replies.iter().map(|(id, reply)| {
                    let name = self.name(sent.to, *to, *id);
                    match reply {
                        ForwardReply::Delayed => format!("{name} delayed"),
                        ForwardReply::Done(Ok(_)) => format!("{name} done"),
                        ForwardReply::Done(Err(_)) => format!("{name} refused"),
                        ForwardReply::Overtaken => format!("{name} overtaken"),
                    }
                });
                items.collect::<Vec<_>>().join(", ")
            }
            Message::Request(..) | Message::Response(..) if self.show_raft => String::new(),
            Message::Request(..) | Message::Response(..) => return None,
        };
        let arrow = match fate {
            Fate::Delivered => "->",
            Fate::Held => "-|",
            Fate::Lost => "-x",
        };
        let line = format!("n{} {arrow} n{} {} {said}", sent.from, sent.to, sent.message.kind());
        Some(line.trim_end().to_owned())
    }

    /// A line of the trace, with the incarnations that it names.
    pub fn resolve(&self, line: &str) -> String {
        let named = self.aliases.iter().rev();
        named.fold(line.to_owned(), |line, (number, name)| {
            line.replace(&format!("-{name}-"), &format!("-{number}-"))
        })
    }

    /// What is printed, with names instead of incarnations.
    pub fn shown(&self, line: &str) -> String {
        self.aliases.iter().fold(line.to_owned(), |line, (number, name)| line.replace(number, name))
    }

    /// Takes what happened.
    pub fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }
}
