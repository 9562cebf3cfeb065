//! A consumer of the arena's own, as an application for the workload `apps`. It shows that the
//! workload and its checkers work where no client library is installed, and can do wrong on
//! purpose.
//!
//! It is a member of an eager classic group. It says what happens as `apps::lines` has it, and
//! leaves when it gets SIGTERM. Unlike a workload's clients it goes on by itself, whatever fails.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

use super::client::{Client, Shared};
use super::discover;
use crate::dialects::Answer;
use crate::targets::brokers::Brokers;
use crate::workloads::spread::{Joined, spread};

/// It commits, and tells that it lives, so often.
const EVERY: Duration = Duration::from_millis(200);
/// Between two rounds of fetches.
const REST: Duration = Duration::from_millis(20);
/// An answer may take so long; that to a join takes as long as a rebalance.
const PATIENCE: Duration = Duration::from_secs(3);

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// Commits one record more than it has read.
    CommitAhead,
    /// Reads on after it was told to let go.
    ReadOn,
    /// Passes over the third record that it reads of a partition.
    Skip,
    /// Does not tell that anything is taken from it.
    SilentRevoke,
}

/// What it is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Brokers, with commas.
    pub bootstrap: String,
    /// Its group.
    pub group: String,
    /// What it reads.
    pub topic: String,
    /// Its client id.
    pub name: String,
    /// Its session time-out, in ms.
    pub session_ms: u64,
    /// Its rebalance time-out, in ms.
    pub rebalance_ms: u64,
    /// What it does wrong, if anything.
    pub fault: Option<Fault>,
}

/// Where it is in a partition.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    next: u64,
    committed: u64,
    read: u64,
}

struct Toy {
    settings: Settings,
    shared: Rc<Shared>,
    client: Client,
    homes: usize,
    leaves: Rc<Cell<bool>>,
    member: String,
    generation: i64,
    /// `None`: where to begin is not known yet.
    held: BTreeMap<u64, Option<Position>>,
}

/// What becomes of its membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    /// It has to join again.
    Rejoins,
    /// It is no member any more.
    Lost,
}

impl Fate {
    fn of(error: Option<&str>) -> Self {
        match error {
            Some("REBALANCE_IN_PROGRESS") => Self::Rejoins,
            Some("UNKNOWN_MEMBER_ID" | "ILLEGAL_GENERATION" | "FENCED_INSTANCE_ID") => Self::Lost,
            _ => Self::Stays,
        }
    }
}

/// Says one line, whole even if the process is killed now.
fn say(event: &str, mut fields: Value) -> Result<(), String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    fields["event"] = json!(event);
    fields["at_us"] = json!(u64::try_from(now.as_micros()).unwrap_or(u64::MAX));
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{fields}\n").as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| error.to_string())
}

/// Reads until it is told to leave.
///
/// # Errors
/// What it cannot do without.
pub fn run(settings: Settings) -> Result<(), String> {
    let found = settings.bootstrap.split(',').map(discover);
    let found = found.reduce(|found, next| found.or(next)).unwrap_or(Ok(Vec::new()));
    let addresses: Vec<String> =
        found.unwrap_or_else(|_| settings.bootstrap.split(',').map(str::to_owned).collect());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let leaves = Rc::new(Cell::new(false));
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let told = Rc::clone(&leaves);
        tokio::task::spawn_local(async move {
            terminate.recv().await;
            told.set(true);
        });
        let brokers = Brokers::elsewhere(&addresses, 0).await;
        let shared = Rc::new(Shared {
            brokers: brokers.map_err(|error| error.to_string())?.into(),
            prefix: String::new(),
            coordinator: None.into(),
        });
        let client = Client::new(settings.name.clone(), 0, Rc::clone(&shared));
        let (homes, member, generation, held) = (1, String::new(), -1, BTreeMap::new());
        let mut toy = Toy { settings, shared, client, homes, leaves, member, generation, held };
        while !toy.leaves.get() {
            if toy.join().await?.is_some() {
                toy.read_on().await?;
            } else {
                sleep(EVERY).await;
            }
        }
        toy.leave().await
    })
}

impl Toy {
    /// Asks once. `Err` has the error's name, if there was an answer.
    async fn ask(
        &mut self,
        f: &str,
        args: Value,
        patience: Duration,
    ) -> Result<Value, Option<String>> {
        let done = timeout(patience, self.client.perform(f, args)).await;
        match done.ok().and_then(|done| Some((done.answer?, done.args))) {
            Some((Answer::Ok(mut result), args)) => {
                if f == "join_group" && result["member_id"].is_null() {
                    result["member_id"] = args["member_id"].clone();
                }
                Ok(result)
            }
            Some((Answer::Error { error, .. }, _)) => Err(Some(error.unwrap_or_default())),
            None => {
                // Its connections may be in the middle of anything.
                let home = self.homes % self.shared.brokers.borrow().count().max(1);
                self.homes += 1;
                let name = self.settings.name.clone();
                self.client = Client::new(name, home, Rc::clone(&self.shared));
                Err(None)
            }
        }
    }

    /// Joins and syncs. `None`: not this time.
    async fn join(&mut self) -> Result<Option<()>, String> {
        let Settings { group, topic, session_ms, rebalance_ms, .. } = self.settings.clone();
        let protocols = json!([{ "name": "range", "topics": [topic] }]);
        let args = json!({
            "group": group, "member_id": self.member, "protocols": protocols,
            "session_timeout_ms": session_ms, "rebalance_timeout_ms": rebalance_ms,
        });
        let long = PATIENCE + Duration::from_millis(rebalance_ms);
        let joined = match self.ask("join_group", args, long).await {
            Ok(joined) => joined,
            Err(error) => return self.failed(error),
        };
        self.member = joined["member_id"].as_str().unwrap_or_default().to_owned();
        self.generation = joined["generation"].as_i64().unwrap_or(-1);
        let mut args = self.as_member();
        if joined["leader"] == json!(self.member) {
            let topics = match self.ask("list_topics", json!({}), PATIENCE).await {
                Ok(told) => told,
                Err(error) => return self.failed(error),
            };
            let count = topics["topics"][&topic].as_u64().unwrap_or(0);
            let members = joined["members"].as_array().into_iter().flatten();
            let members: Vec<Joined> = members.filter_map(Joined::read).collect();
            args["assignments"] = json!(spread(&members, &BTreeMap::from([(topic, count)]), false));
        }
        let told = match self.ask("sync_group", args, PATIENCE).await {
            Ok(told) => told,
            Err(error) => return self.failed(error),
        };
        let told = told["assignment"][&self.settings.topic].as_array().cloned();
        let told = told.into_iter().flatten().filter_map(|number| number.as_u64());
        self.held = told.map(|number| (number, None)).collect();
        self.tell("assigned")?;
        Ok(Some(()))
    }

    fn failed(&mut self, error: Option<String>) -> Result<Option<()>, String> {
        // Who does not know whether it joined asks as nobody: the member that it may be will go.
        if error.is_none() || Fate::of(error.as_deref()) == Fate::Lost {
            self.member.clear();
        }
        Ok(None)
    }

    fn as_member(&self) -> Value {
        json!({
            "group": self.settings.group, "member_id": self.member, "generation": self.generation,
        })
    }

    fn at(&self, partition: u64) -> Value {
        json!({ "topic": self.settings.topic, "partition": partition })
    }

    fn tell(&self, event: &str) -> Result<(), String> {
        let held: Vec<Value> =
            self.held.keys().map(|number| json!([self.settings.topic, number])).collect();
        say(event, json!({ "partitions": held }))
    }

    /// Reads and commits until it has to join again.
    async fn read_on(&mut self) -> Result<(), String> {
        let mut due = Instant::now() + EVERY;
        while !self.leaves.get() {
            let partitions: Vec<u64> = self.held.keys().copied().collect();
            for partition in partitions {
                self.read(partition).await?;
            }
            if Instant::now() >= due {
                due = Instant::now() + EVERY;
                let mut fate = self.commit().await?;
                if fate == Fate::Stays {
                    let args = self.as_member();
                    let beat = self.ask("heartbeat", args, PATIENCE).await;
                    fate = Fate::of(beat.err().flatten().as_deref());
                }
                if fate != Fate::Stays {
                    return self.let_go(fate).await;
                }
            }
            sleep(REST).await;
        }
        Ok(())
    }

    async fn let_go(&mut self, fate: Fate) -> Result<(), String> {
        if self.settings.fault != Some(Fault::SilentRevoke) {
            self.tell(if fate == Fate::Lost { "lost" } else { "revoked" })?;
        }
        if self.settings.fault == Some(Fault::ReadOn) {
            let partitions: Vec<u64> = self.held.keys().copied().collect();
            for partition in partitions {
                self.read(partition).await?;
            }
        }
        if fate == Fate::Lost {
            self.member.clear();
        }
        self.held.clear();
        Ok(())
    }

    async fn read(&mut self, partition: u64) -> Result<(), String> {
        let Some(Some(mut position)) = self.held.get(&partition).copied() else {
            return self.look_up(partition).await;
        };
        let mut args = self.at(partition);
        (args["offset"], args["max_messages"]) = (json!(position.next), json!(50));
        // What was not answered is asked again.
        let Ok(found) = self.ask("fetch", args, PATIENCE).await else { return Ok(()) };
        for record in found["records"].as_array().into_iter().flatten() {
            let Some(offset) = record["offset"].as_u64() else { continue };
            position.next = offset + 1;
            position.read += 1;
            if position.read == 3 && self.settings.fault == Some(Fault::Skip) {
                continue;
            }
            let mut fields = self.at(partition);
            (fields["offset"], fields["message"]) = (json!(offset), record["message"].clone());
            say("read", fields)?;
        }
        self.held.insert(partition, Some(position));
        Ok(())
    }

    /// Where the group has got to.
    async fn look_up(&mut self, partition: u64) -> Result<(), String> {
        let mut args = self.at(partition);
        args["group"] = json!(self.settings.group);
        if let Ok(told) = self.ask("fetch_offset", args, PATIENCE).await {
            let next = told["offset"].as_u64().unwrap_or(0);
            let position = Position { next, committed: next, read: 0 };
            self.held.insert(partition, Some(position));
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<Fate, String> {
        let ahead = u64::from(self.settings.fault == Some(Fault::CommitAhead));
        let held: Vec<(u64, Position)> =
            self.held.iter().filter_map(|(number, at)| Some((*number, (*at)?))).collect();
        for (partition, mut position) in held.into_iter().filter(|(_, at)| at.next > at.committed) {
            let offset = position.next + ahead;
            let topic = &self.settings.topic;
            say("committing", json!({ "offsets": [[topic, partition, offset]] }))?;
            let mut args = self.as_member();
            args["topic"] = json!(topic);
            (args["partition"], args["offset"]) = (json!(partition), json!(offset));
            match self.ask("commit_offset", args, PATIENCE).await {
                Ok(_) => {
                    say("committed", json!({}))?;
                    position.committed = position.next;
                    self.held.insert(partition, Some(position));
                }
                Err(error) => {
                    let error = error.unwrap_or_else(|| "no answer".to_owned());
                    say("refused", json!({ "error": error }))?;
                    let fate = Fate::of(Some(&error));
                    if fate != Fate::Stays {
                        return Ok(fate);
                    }
                }
            }
        }
        Ok(Fate::Stays)
    }

    async fn leave(&mut self) -> Result<(), String> {
        self.commit().await?;
        self.tell("revoked")?;
        let args = json!({ "group": self.settings.group, "member_id": self.member });
        if !self.member.is_empty() {
            // Who cannot be told sees the session end.
            let _told = self.ask("leave_group", args, PATIENCE).await;
        }
        Ok(())
    }
}
