//! A state with its clock, to which the lines of a trace are said. Invariants are checked after
//! every one.

use std::fmt::Write as _;

use state_machine::State;
use state_machine::command::{Batch, Command, RequestId, Stamp, Write};
use state_machine::event::Event;
use state_machine::groups::command::{Deadline, GroupCommand};
use state_machine::invariants::{check, check_step};
use state_machine::reply::{Answer, Decided, Decision};

use super::show;
use super::store::Store;
use super::targets::Targets;
use super::words::{Ask, ExpireWhat, Line};

#[derive(Default)]
pub struct World {
    pub state: State,
    /// The records, as a node keeps them beside the state.
    pub store: Store,
    pub stamp: Stamp,
}

impl World {
    /// Runs a trace: blocks of comments and commands, each followed by `---` and what it printed; a
    /// blank line ends a block. The result is the same trace with the output as it is now.
    pub fn run(trace: &str) -> String {
        let mut world = Self::default();
        let mut out = String::new();
        for block in trace.split("\n\n").map(|b| b.trim_matches('\n')).filter(|b| !b.is_empty()) {
            let commands: Vec<&str> = block.lines().take_while(|line| *line != "---").collect();
            if !out.is_empty() {
                out.push('\n');
            }
            let mut printed = String::new();
            for line in &commands {
                writeln!(out, "{line}").expect("a string");
                printed.push_str(&world.say(line));
            }
            if commands.iter().any(|line| !line.starts_with('#')) {
                writeln!(out, "---\n{}", printed.trim_end()).expect("a string");
            }
        }
        out
    }

    /// One line; what it prints.
    pub fn say(&mut self, line: &str) -> String {
        let line = line.split(" #").next().expect("has a first part").trim();
        if line.is_empty() || line.starts_with('#') {
            return String::new();
        }
        if let Some(muted) = line.strip_prefix('(') {
            let muted =
                muted.strip_suffix(')').unwrap_or_else(|| panic!("`{line}`: no closing bracket"));
            let printed = self.say(muted);
            assert!(!printed.contains("refused"), "set-up was refused:\n{printed}");
            return String::new();
        }
        let Line { at_ms, request_id, ask } = Line::parse(line);
        if let Some(at_ms) = at_ms {
            self.stamp.now_ms = at_ms;
        }
        let printed = self.answer(request_id, ask);
        if printed.is_empty() {
            return String::new();
        }
        format!("> {line}\n{printed}\n")
    }

    fn answer(&mut self, request_id: Option<RequestId>, ask: Ask) -> String {
        match ask {
            Ask::Command(command) => self.command(request_id, command),
            Ask::Query(query) => match self.state.query(&query) {
                Ok(Answer::NeedsCommand(command)) => self.command(request_id, command),
                Ok(Answer::Reply(mut reply)) => {
                    self.store.fill(&mut reply);
                    format!("    reply  {}", show::outcome(&Ok(reply)))
                }
                Err(refused) => format!("    reply  {}", show::outcome(&Err(refused))),
            },
            Ask::Expire(group, what) => {
                let found = self.state.group(&group);
                let epoch = found.map_or(0, |g| g.epoch);
                let generation = found.map_or_else(Default::default, |g| g.generation);
                let deadline = match what {
                    ExpireWhat::Deadline(deadline) => deadline,
                    ExpireWhat::Rebalance => Deadline::Rebalance { epoch },
                    ExpireWhat::InitialDelay => Deadline::InitialDelay { epoch },
                    ExpireWhat::Sync => Deadline::Sync { generation },
                    ExpireWhat::Revocation(member) => Deadline::Revocation { member, generation },
                };
                self.command(request_id, GroupCommand::Expire { group, deadline }.into())
            }
            Ask::Acknowledged(acknowledged) => {
                let acknowledged = vec![acknowledged];
                self.state.begin(&Batch { stamp: self.stamp, acknowledged, writes: Vec::new() });
                self.check();
                String::new()
            }
            Ask::Limits { max_size, initial_delay_ms } => {
                let limits = &mut self.stamp.limits;
                limits.max_size = max_size.unwrap_or(limits.max_size);
                limits.initial_rebalance_delay_ms =
                    initial_delay_ms.unwrap_or(limits.initial_rebalance_delay_ms);
                String::new()
            }
            Ask::Nothing => String::new(),
            Ask::ShowGroup(id) => match self.state.group(&id) {
                Some(group) => format!("    state  {}", show::group(id.as_str(), group)),
                None => "    state  no such group".to_owned(),
            },
            Ask::ShowDeadlines(id) => {
                let all = self.state.group(&id).map_or_else(Vec::new, |g| g.deadlines());
                let one = |(d, ms): &(Deadline, u64)| {
                    format!("    armed  {} after {}", show::deadline(d), show::time(*ms))
                };
                let all: Vec<_> = all.iter().map(one).collect();
                if all.is_empty() { "    armed  nothing".to_owned() } else { all.join("\n") }
            }
            Ask::ShowSessions => format!("    remembered answers: {}", self.state.dedup().len()),
            Ask::Restore => {
                let bytes = postcard::to_stdvec(&self.state).expect("a state is written");
                let restored: State = postcard::from_bytes(&bytes).expect("and read");
                assert_eq!(restored, self.state, "a snapshot keeps everything");
                self.state = restored;
                "    restored from a snapshot".to_owned()
            }
        }
    }

    fn command(&mut self, request_id: Option<RequestId>, command: Command) -> String {
        let mut events = Vec::new();
        let mut targets = Targets::of(&self.state);
        let decided = self.apply(Write { request_id, command }, &mut events);
        events.iter_mut().for_each(|event| targets.complete(event));
        let mut out = String::new();
        for event in &events {
            writeln!(out, "    event  {}", show::event(event)).expect("a string");
        }
        write!(out, "    reply  {}", show::decided(&decided)).expect("a string");
        out
    }

    /// Applies one write as a batch of its own.
    pub fn apply(&mut self, write: Write, events: &mut Vec<Event>) -> Decided {
        let before = self.state.clone();
        let batch = Batch { stamp: self.stamp, acknowledged: Vec::new(), writes: vec![write] };
        self.state.begin(&batch);
        let first = events.len();
        let decided = self.state.apply(&batch.writes[0], Some(events));
        events[first..].iter().for_each(|event| self.store.follow(event));
        if let Ok(Decision::Reply(reply)) = &decided {
            // All that it says where to find is there.
            self.store.fill(&mut reply.clone());
        }
        let broken = check_step(&before, &self.state);
        assert!(broken.is_empty(), "{:?} broke {broken:?}", batch.writes[0]);
        self.check();
        decided
    }

    fn check(&self) {
        let broken = check(&self.state);
        assert!(broken.is_empty(), "{broken:?}");
    }
}
