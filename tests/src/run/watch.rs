//! What the arena itself asks of the nodes: who leads, whether they serve again, and in the end
//! whether they agree.

use serde_json::{Value, json};

use crate::dialects::Answer;
use crate::history::Micros;
use crate::run::Run;
use crate::run::clients::{Purpose, Taken};
use crate::run::nodes::State;
use crate::run::phases::Phase;

/// Who leads is asked so often; also how often nodes are asked whether they agree.
const STATUS_EVERY_US: Micros = 250_000;
/// A node that does not serve is asked again so soon.
const PROBE_EVERY_US: Micros = 100_000;

#[derive(Debug, Clone, Default)]
struct Seen {
    /// The question that is open: its client, number and time.
    open: Option<(String, u64, Micros)>,
    next_us: Micros,
    /// The last `cluster_status`: when it was asked, and what it said.
    status: Option<(Micros, Value)>,
    /// Came after the final phase's beginning.
    fresh: bool,
    served: bool,
    /// When a client was first served that had asked since the faults ended.
    served_since_us: Option<Micros>,
    probe: Option<(u64, Micros)>,
    probe_next_us: Micros,
    recovered_us: Option<Micros>,
}

/// What is known of each node.
#[derive(Debug)]
pub(super) struct Watch {
    nodes: Vec<Seen>,
    asks_leader: bool,
    /// Some node does not know `cluster_status`.
    unsupported: bool,
    expected: Vec<usize>,
    healed_us: Option<Micros>,
    recovering: Vec<usize>,
}

impl Watch {
    pub(super) fn new(nodes: usize, asks_leader: bool) -> Self {
        Self {
            nodes: vec![Seen::default(); nodes],
            asks_leader,
            unsupported: false,
            expected: Vec::new(),
            healed_us: None,
            recovering: Vec::new(),
        }
    }

    /// The node that the reply with the highest term says leads.
    pub(super) fn leader(&self) -> Option<usize> {
        let all = self.nodes.iter().filter_map(|seen| seen.status.as_ref());
        let known = all.filter_map(|(_, status)| {
            let name = status["leader"].as_str()?;
            let number: usize = name.strip_prefix('n')?.parse().ok()?;
            Some((status["term"].as_u64()?, number.checked_sub(1)?))
        });
        known.max().map(|(_, node)| node).filter(|node| *node < self.nodes.len())
    }

    /// Every one of these has to answer something with ok.
    pub(super) fn expect(&mut self, nodes: Vec<usize>) {
        self.expected = nodes;
    }

    /// A client was served, that had asked then.
    pub(super) fn served(&mut self, node: usize, asked_us: Micros, now_us: Micros) {
        let seen = &mut self.nodes[node];
        seen.served = true;
        if self.healed_us.is_some_and(|healed_us| asked_us >= healed_us) {
            seen.served_since_us.get_or_insert(now_us);
        }
    }

    pub(super) fn not_served(&self) -> Vec<usize> {
        self.expected.iter().copied().filter(|node| !self.nodes[*node].served).collect()
    }

    pub(super) fn all_served(&self) -> bool {
        self.not_served().is_empty()
    }

    /// Faults have ended: every one of these has to serve again.
    pub(super) fn recover(&mut self, nodes: Vec<usize>, now_us: Micros) {
        (self.recovering, self.healed_us) = (nodes, Some(now_us));
    }

    /// This one came after the faults had ended: it has to serve too.
    pub(super) fn recover_also(&mut self, node: usize) {
        self.recovering.push(node);
    }

    pub(super) fn not_recovered(&self) -> Vec<usize> {
        self.recovering
            .iter()
            .copied()
            .filter(|node| self.nodes[*node].recovered_us.is_none())
            .collect()
    }

    /// The time is over in which nodes have to serve again. One that has served a client that asked
    /// since the faults ended has come back: where round trips are long, each of the few probes may
    /// be late.
    pub(super) fn count_clients(&mut self) {
        let Some(healed_us) = self.healed_us else { return };
        for node in &self.recovering {
            let seen = &mut self.nodes[*node];
            let by_clients = seen.served_since_us.map(|at_us| at_us - healed_us);
            seen.recovered_us = seen.recovered_us.or(by_clients);
        }
    }

    /// The final phase begins: only what is said from now on counts.
    pub(super) fn agree(&mut self) {
        self.nodes.iter_mut().for_each(|seen| seen.fresh = false);
    }

    /// Whether all these nodes said that they have applied the same, or one does not know the
    /// question.
    pub(super) fn settled(&self, nodes: &[usize]) -> bool {
        self.unsupported
            || nodes.iter().all(|node| self.nodes[*node].fresh) && self.differing(nodes).is_none()
    }

    /// What nodes say they have applied, where it is not the same.
    fn differing(&self, nodes: &[usize]) -> Option<String> {
        let applied = |node: &usize| {
            self.nodes[*node].status.as_ref().map(|(_, s)| s["applied_index"].clone())
        };
        let all: Vec<Option<Value>> = nodes.iter().map(applied).collect();
        if all.windows(2).all(|pair| pair[0] == pair[1]) {
            return None;
        }
        let say = |(node, index): (&usize, &Option<Value>)| {
            format!("n{}: {}", node + 1, index.as_ref().unwrap_or(&Value::Null))
        };
        Some(nodes.iter().zip(&all).map(say).collect::<Vec<_>>().join(", "))
    }
}

impl Run {
    fn asks_status(&self) -> bool {
        !self.watch.unsupported
            && match self.phase {
                Phase::WarmUp | Phase::Faults => self.watch.asks_leader,
                Phase::Agree => true,
                _ => false,
            }
    }

    pub(super) fn next_watch_due(&self) -> Option<Micros> {
        let (status, probe) = (self.asks_status(), self.phase == Phase::Recover);
        let running =
            (0..self.names.len()).filter(|node| self.nodes.state(*node) == State::Running);
        let due = running.flat_map(|node| {
            let seen = &self.watch.nodes[node];
            let asks = match &seen.open {
                Some((_, _, at_us)) => at_us + self.setup.patience_us,
                None => seen.next_us,
            };
            let asks_again_us = match seen.probe {
                Some((_, at_us)) => at_us + self.setup.patience_us,
                None => seen.probe_next_us,
            };
            let probes =
                probe && seen.recovered_us.is_none() && self.watch.recovering.contains(&node);
            let probes = Some(asks_again_us).filter(|_| probes);
            Some(asks).filter(|_| status).into_iter().chain(probes)
        });
        due.min()
    }

    pub(super) fn step_watch(&mut self) {
        for node in 0..self.names.len() {
            if self.nodes.state(node) != State::Running {
                continue;
            }
            if self.asks_status() {
                self.ask_status(node);
            }
            if self.phase == Phase::Recover && self.watch.recovering.contains(&node) {
                self.probe(node);
            }
        }
    }

    fn ask_status(&mut self, node: usize) {
        let now_us = self.now_us;
        let seen = &mut self.watch.nodes[node];
        if let Some((client, msg_id, at_us)) = &seen.open {
            if at_us + self.setup.patience_us > now_us {
                return;
            }
            self.clients.give_up(client, *msg_id);
            seen.open = None;
        }
        if seen.next_us > now_us {
            return;
        }
        seen.next_us = now_us + STATUS_EVERY_US;
        let client = self.clients.open(Purpose::Status(node), node);
        let msg_id = self.ask(&client, node, "cluster_status", &json!({}), None);
        self.watch.nodes[node].open = Some((client, msg_id, now_us));
    }

    /// What was asked of a node that crashed is not answered any more.
    pub(super) fn watch_crashed(&mut self, node: usize) {
        if let Some((client, msg_id, _)) = self.watch.nodes[node].open.take() {
            self.clients.give_up(&client, msg_id);
        }
    }

    pub(super) fn status(&mut self, node: usize, answer: Answer) {
        let seen = &mut self.watch.nodes[node];
        let Some((_, _, asked_us)) = seen.open.take() else { return };
        match answer {
            Answer::Ok(status) => {
                seen.fresh = self.phase == Phase::Agree && asked_us >= self.phase_us;
                seen.status = Some((asked_us, status));
            }
            Answer::Error { code: 10, .. } => {
                if !self.watch.unsupported {
                    self.tell(
                        "cluster_status is unknown to the nodes: faults aimed at the leader are skipped"
                            .to_owned(),
                    );
                }
                self.watch.unsupported = true;
            }
            Answer::Error { .. } => {}
        }
    }

    fn probe(&mut self, node: usize) {
        let now_us = self.now_us;
        let seen = &mut self.watch.nodes[node];
        let waiting = seen.probe.is_some_and(|(_, at_us)| at_us + self.setup.patience_us > now_us);
        if waiting || seen.recovered_us.is_some() || seen.probe_next_us > now_us {
            return;
        }
        seen.probe_next_us = now_us + PROBE_EVERY_US;
        let request = self.workload.probe();
        let client = self.clients.open(Purpose::Probe(node), node);
        let name = &self.names[node];
        let op = self.recorder.invoke(now_us, &client, name, request.f, request.args.clone());
        self.watch.nodes[node].probe = Some((op, now_us));
        self.ask(&client, node, request.f, &request.args, Some(op));
    }

    pub(super) fn probed(&mut self, node: usize, taken: Taken) {
        let Some(op) = taken.op else { return };
        // Not there, but known not to be there: that is service too.
        let served = match &taken.answer {
            Answer::Ok(_) => true,
            Answer::Error { code, .. } => *code == 20,
        };
        self.recorder.answered(self.now_us, op, taken.answer);
        let healed_us = self.watch.healed_us.unwrap_or(self.now_us);
        let seen = &mut self.watch.nodes[node];
        seen.probe = None;
        if served {
            seen.recovered_us.get_or_insert(self.now_us - healed_us);
        }
    }

    /// How long after healing each node served.
    pub(super) fn recovered_us(&self) -> Vec<(String, Option<Micros>)> {
        let all = self.watch.recovering.iter();
        all.map(|node| (self.names[*node].clone(), self.watch.nodes[*node].recovered_us)).collect()
    }

    /// Puts the last word of every node into the history.
    pub(super) fn record_states(&mut self, late: bool) {
        if self.watch.unsupported {
            return;
        }
        let nodes = self.nodes.running();
        for node in &nodes {
            let Some((asked_us, status)) = self.watch.nodes[*node].status.clone() else { continue };
            let name = &self.names[*node];
            let op = self.recorder.invoke(asked_us, "arena", name, "cluster_status", json!({}));
            self.recorder.answered(self.now_us, op, Answer::Ok(status));
        }
        if !late {
            return;
        }
        if let Some(account) = self.watch.differing(&nodes) {
            let account =
                format!("nodes have not applied the same when nobody writes any more: {account}");
            self.breach(0, "no-agreement", &account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_served_has_to_have_asked_since_the_faults_ended() {
        let mut watch = Watch::new(3, false);
        watch.served(0, 5, 20);
        watch.recover(vec![0, 1, 2], 100);
        watch.served(1, 90, 110);
        watch.served(2, 100, 130);
        assert_eq!(watch.not_recovered(), [0, 1, 2], "there is time yet");
        watch.count_clients();
        assert_eq!(watch.not_recovered(), [0, 1]);
        assert_eq!(watch.nodes[2].recovered_us, Some(30));
    }
}
