//! Kills of real processes, by the hundred: what is drawn for a case, and what its history says of
//! each kill.
//!
//! A *kill* is a moment at which processes get SIGKILL: one, the leader, a majority or all. Each
//! comes back a moment later on the same data folder. Owns drawing such cases and measuring how
//! soon the cluster acknowledges something afterwards. A case, its run and its judgement are those
//! of [`crate::run::case`].

use std::collections::BTreeMap;

use crate::history::{Fault, History, Micros, Outcome};
use crate::nemesis::Nemesis;
use crate::nemesis::draw::NEAR_MS;
use crate::nemesis::schedule::{Schedule, Scheduled, Victim, What};
use crate::rng::Rng;
use crate::run::case::{Case, Finished};
use crate::workloads::Kind;

const MS: Micros = 1_000;

/// From the moment at which a majority is up, a cluster has to acknowledge something so soon.
pub const MOST_WAIT_US: Micros = 3_000_000;

/// The workloads, in turn.
const WORKLOADS: [Kind; 4] = [Kind::Kafka, Kind::LinKv, Kind::Groups, Kind::Offsets];

/// How long a case kills, in seconds.
const SECONDS: u32 = 30;

/// Checkers that say that something acknowledged is gone.
const LOST: [&str; 4] = ["lost-write", "unseen", "linearizable-register", "linearizable-offset"];

/// The case of a seed: workloads in turn, and of three rounds of them one on a single node.
pub fn case(seed: u64) -> Case {
    let turn = usize::try_from(seed % WORKLOADS.len() as u64).unwrap_or(0);
    let nodes = if (seed / WORKLOADS.len() as u64).is_multiple_of(3) { 1 } else { 3 };
    Case {
        workload: WORKLOADS[turn],
        target: "real",
        nodes,
        seconds: SECONDS,
        nemeses: vec![Nemesis::Restart],
        seed,
        rate: 100,
        latency_ms: 0,
        constant_latency: false,
        latency_max_ms: NEAR_MS,
        patience: 5,
        loss: 0,
        duplicate: 0,
        pipeline: 1,
        clients: Case::usual_clients(nodes),
        recover: 10,
        bin: None,
        args: Vec::new(),
        schedule: None,
        flaw: None,
    }
}

/// Kill after kill. Most leave the cluster time to serve in between; one in four comes while it
/// still recovers.
pub fn schedule(case: &Case) -> Schedule {
    let mut rng = Rng::new(case.seed, "kills");
    let (n, length_us) = (case.nodes, Micros::from(case.seconds) * 1_000_000);
    let mut faults = Vec::new();
    let mut at_us = rng.between(100, 1_000) * MS;
    while at_us < length_us {
        let mut order: Vec<usize> = (0..n).collect();
        rng.shuffle(&mut order);
        let (how_many, leader) = match rng.below(4) {
            0 => (1, false),
            1 => (1, true),
            2 => (n / 2 + 1, false),
            _ => (n, false),
        };
        order.truncate(how_many);
        let mut away_us = 0;
        for node in order {
            // Nobody leads for sure where there is one node only.
            let who = if leader && n > 1 { Victim::Leader } else { Victim::Node(node) };
            let for_us = rng.between(20, 1_000) * MS;
            faults.push(Scheduled { at_us, for_us, what: What::Restart { who } });
            away_us = away_us.max(for_us);
        }
        let gap_ms = if rng.percent(25) { (50, 500) } else { (1_200, 2_500) };
        at_us += away_us + rng.between(gap_ms.0, gap_ms.1) * MS;
    }
    faults.retain(|fault| fault.at_us + fault.for_us <= length_us);
    Schedule { faults }
}

/// One kill, as the history tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kill {
    /// Whom it met.
    pub kind: &'static str,
    /// How many processes.
    pub processes: usize,
    /// How long it took from the moment at which a majority was up to the first acknowledged
    /// operation that was asked for after it. `None` where the next kill came before.
    pub wait_us: Option<Micros>,
}

/// The kills of a history.
pub fn kills(history: &History) -> Vec<Kill> {
    let mut at = BTreeMap::<Micros, Vec<&Fault>>::new();
    for fault in history.faults.iter().filter(|fault| fault.fault == "restart") {
        at.entry(fault.from_us).or_default().push(fault);
    }
    let moments: Vec<Micros> = at.keys().copied().collect();
    let (nodes, majority) = (history.header.nodes.len(), history.header.nodes.len() / 2 + 1);
    let mut kills = Vec::new();
    for (i, (from_us, killed)) in at.iter().enumerate() {
        let kind = match killed.len() {
            _ if nodes == 1 => "the only node",
            all if all == nodes => "all",
            many if many >= majority => "a majority",
            _ if killed.iter().any(|fault| fault.detail.contains("leader")) => "the leader",
            _ => "one",
        };
        let mut back_us: Vec<Micros> = killed.iter().filter_map(|fault| fault.to_us).collect();
        back_us.sort_unstable();
        let needed = (majority + killed.len()).saturating_sub(nodes);
        let up_us = match needed {
            0 => Some(*from_us),
            needed => back_us.get(needed - 1).copied(),
        };
        let wait_us = up_us.and_then(|up_us| {
            let until_us = moments.get(i + 1).copied().unwrap_or(Micros::MAX);
            let first_us = first_acknowledged(history, up_us);
            match first_us.filter(|first_us| *first_us < until_us) {
                Some(first_us) => Some(first_us - up_us),
                // Longer than it may take is too long, however long it would have been.
                None => until_us.checked_sub(up_us).filter(|us| *us >= MOST_WAIT_US),
            }
        });
        kills.push(Kill { kind, processes: killed.len(), wait_us });
    }
    kills
}

/// When the first operation was acknowledged that a client asked for at that time or later.
fn first_acknowledged(history: &History, from_us: Micros) -> Option<Micros> {
    let later = history.ops.iter().filter(|op| op.invoke_us >= from_us && op.process != "arena");
    later.filter(|op| op.outcome == Outcome::Ok).filter_map(|op| op.complete_us).min()
}

/// What all cases have come to so far.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Histories.
    pub cases: usize,
    /// Histories that were judged valid.
    pub valid: usize,
    /// Operations that were acknowledged.
    pub acknowledged: usize,
    /// Times that something acknowledged was found gone.
    pub lost: usize,
    /// By kind: how many kills, and of how many processes.
    by_kind: BTreeMap<&'static str, (usize, usize)>,
    /// By kind: each measured time, with the seed of its case.
    waits: BTreeMap<&'static str, Vec<(Micros, u64)>>,
}

impl Tally {
    /// Adds a case that has been run. Returns what is wrong with it, if anything is.
    pub fn add(&mut self, case: &Case, finished: &Finished) -> Option<String> {
        let (history, judgement) = (&finished.outcome.history, &finished.judgement);
        self.cases += 1;
        let ops = history.ops.iter().filter(|op| op.process != "arena");
        self.acknowledged += ops.filter(|op| op.outcome == Outcome::Ok).count();
        let lost = judgement.anomalies().filter(|(checker, _)| LOST.contains(checker));
        self.lost += lost.map(|(_, violations)| violations.len()).sum::<usize>();
        let mut wrong = finished.outcome.failure.clone();
        if judgement.exit_code() == 0 && wrong.is_none() {
            self.valid += 1;
        } else {
            wrong.get_or_insert_with(|| judgement.summary());
        }
        for kill in kills(history) {
            let (moments, processes) = self.by_kind.entry(kill.kind).or_default();
            (*moments, *processes) = (*moments + 1, *processes + kill.processes);
            let Some(wait_us) = kill.wait_us else { continue };
            self.waits.entry(kill.kind).or_default().push((wait_us, case.seed));
            if wait_us >= MOST_WAIT_US {
                let kind = kill.kind;
                let ms = wait_us / MS;
                wrong.get_or_insert(format!("{ms} ms without an acknowledgement after {kind}"));
            }
        }
        wrong
    }

    /// Kills so far.
    pub fn kills(&self) -> usize {
        self.by_kind.values().map(|(moments, _)| moments).sum()
    }

    /// Whether all went well.
    pub fn good(&self) -> bool {
        let slow = self.waits.values().flatten().any(|(us, _)| *us >= MOST_WAIT_US);
        self.lost == 0 && self.valid == self.cases && !slow
    }

    /// The figures, for people.
    pub fn summary(&self) -> String {
        let mut text = String::from(
            "killed          kills  processes  measured  median ms  worst ms  its seed\n",
        );
        let all: Vec<(Micros, u64)> = self.waits.values().flatten().copied().collect();
        let processes = self.by_kind.values().map(|(_, processes)| processes).sum();
        for (kind, (moments, processes)) in &self.by_kind {
            let waits = self.waits.get(kind).cloned().unwrap_or_default();
            text.push_str(&row(kind, *moments, *processes, waits));
        }
        text.push_str(&row("together", self.kills(), processes, all));
        text.push_str(&format!(
            "histories       {} of {} valid\nacknowledged    {} operations, {} lost\n",
            self.valid, self.cases, self.acknowledged, self.lost
        ));
        text
    }
}

fn row(kind: &str, kills: usize, processes: usize, mut waits: Vec<(Micros, u64)>) -> String {
    waits.sort_unstable();
    let figures = match (waits.get(waits.len() / 2), waits.last()) {
        (Some((median_us, _)), Some((worst_us, seed))) => {
            format!("{:>9}  {:>8}  {seed:>8}", median_us / MS, worst_us / MS)
        }
        _ => String::new(),
    };
    format!("{kind:<14}  {kills:>5}  {processes:>9}  {:>8}  {figures}\n", waits.len())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::history::{Header, Op};

    fn restart(node: &str, from_us: Micros, to_us: Micros) -> Fault {
        let (fault, detail) = ("restart".to_owned(), node.to_owned());
        Fault { fault, detail, from_us, to_us: Some(to_us) }
    }

    fn acknowledged(id: u64, invoke_us: Micros, complete_us: Micros) -> Op {
        Op {
            id,
            process: "c1".to_owned(),
            node: "n1".to_owned(),
            f: "send".to_owned(),
            args: Value::Null,
            invoke_us,
            complete_us: Some(complete_us),
            outcome: Outcome::Ok,
            result: None,
            code: None,
            error: None,
        }
    }

    #[test]
    fn the_time_is_taken_from_the_moment_at_which_a_majority_is_up() {
        let history = History {
            header: Header {
                arena: 1,
                workload: "kafka".to_owned(),
                stage: "real".to_owned(),
                nodes: ["n1", "n2", "n3"].map(str::to_owned).to_vec(),
                seed: 1,
                heal_us: None,
                config: Value::Null,
            },
            // The first was asked for before the kill, so it says nothing of what came after.
            ops: vec![
                acknowledged(0, 90, 110),
                acknowledged(1, 120, 130),
                acknowledged(2, 450, 650),
                acknowledged(3, 9_000_000, 9_000_001),
            ],
            faults: vec![
                restart("n1 (the leader)", 100, 200),
                restart("n1", 300, 600),
                restart("n2", 300, 400),
                restart("n1", 700, 800),
                restart("n2", 700, 900),
                restart("n3", 700, 1_000),
                restart("n3", 910, 920),
                restart("n1", 5_000_000, 5_000_001),
            ],
        };
        let seen: Vec<_> = kills(&history).into_iter().map(|k| (k.kind, k.wait_us)).collect();
        let expected = [
            ("the leader", Some(30)),
            ("a majority", Some(250)),
            ("all", None),
            ("one", Some(5_000_000 - 910)),
            ("one", Some(4_000_001)),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn every_seed_kills_and_both_sizes_and_all_workloads_have_their_turn() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 1..=24 {
            let case = case(seed);
            assert!(schedule(&case).faults.len() > 3);
            assert_eq!(schedule(&case).stranger(case.nodes), None);
            seen.insert((case.workload.name(), case.nodes));
        }
        assert_eq!(seen.len(), 8);
    }
}
