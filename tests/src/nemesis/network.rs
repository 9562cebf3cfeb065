//! The network between nodes: what it does to a line that one node prints for another.
//!
//! Owns the lines under way, their latency, loss, duplication and order, and which links are cut.
//! It applies to lines between nodes alone: those from and to clients never come here. It does not
//! read the lines, and does not know why a link is cut.
//!
//! Without `reorder` a link delivers in the order of sending, as a TCP connection would; lines of
//! different links pass each other freely. A line is lost where its link is cut when it is sent or
//! when it would arrive.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::history::Micros;
use crate::rng::Rng;

/// What has happened to lines so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Lines that a node printed for another.
    pub sent: u64,
    /// Lines that were delivered, copies included.
    pub delivered: u64,
    /// Lines lost at random.
    pub lost: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Lines lost to a cut link.
    pub cut: u64,
}

/// A line under way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    due_us: Micros,
    /// Keeps the order of lines that are due at once.
    seq: u64,
    from: usize,
    to: usize,
    line: Vec<u8>,
}

/// All links between the nodes.
#[derive(Debug)]
pub struct Network {
    nodes: usize,
    /// How many faults cut each link at present; index `from * nodes + to`.
    cuts: Vec<u32>,
    /// When the last line of each link arrives: later ones must not pass it.
    last_due_us: Vec<Micros>,
    /// Losses in a million lines.
    pub loss_ppm: u32,
    /// Copies in a million lines.
    pub duplicate_ppm: u32,
    /// Lines in a million that are held back so that others pass them.
    pub reorder_ppm: u32,
    /// Pieces in a million that are cut in half and end their connection, where clients have
    /// connections.
    pub breaks_ppm: u32,
    /// So many bytes a second pass, where there are connections; 0: as many as there are.
    pub bytes_per_s: u64,
    /// Mean latency in microseconds; 0 delivers at once.
    pub latency_us: Micros,
    /// Whether every line takes exactly the mean.
    pub constant: bool,
    flights: BinaryHeap<Reverse<Flight>>,
    seq: u64,
    rng: Rng,
    traffic: Traffic,
}

impl Network {
    /// A network without faults.
    pub fn new(nodes: usize, latency_us: Micros, rng: Rng) -> Self {
        Self {
            nodes,
            cuts: vec![0; nodes * nodes],
            last_due_us: vec![0; nodes * nodes],
            loss_ppm: 0,
            duplicate_ppm: 0,
            reorder_ppm: 0,
            breaks_ppm: 0,
            bytes_per_s: 0,
            latency_us,
            constant: false,
            flights: BinaryHeap::new(),
            seq: 0,
            rng,
            traffic: Traffic::default(),
        }
    }

    /// What has happened so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Cuts one direction of a link once more: faults that overlap each cut it, and it works when
    /// all faults on it have ended.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cuts[from * self.nodes + to] += 1;
    }

    /// Whether a direction of a link is cut.
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cuts[from * self.nodes + to] > 0
    }

    /// Takes back one [`cut`](Self::cut).
    pub fn mend(&mut self, from: usize, to: usize) {
        let cut = &mut self.cuts[from * self.nodes + to];
        *cut = cut.saturating_sub(1);
    }

    /// Takes a line that `from` printed for `to`.
    pub fn send(&mut self, now_us: Micros, from: usize, to: usize, line: Vec<u8>) {
        self.traffic.sent += 1;
        if self.cuts[from * self.nodes + to] > 0 {
            self.traffic.cut += 1;
            return;
        }
        if self.rng.chance_ppm(self.loss_ppm) {
            self.traffic.lost += 1;
            return;
        }
        if self.rng.chance_ppm(self.duplicate_ppm) {
            self.traffic.duplicated += 1;
            let copy = line.clone();
            self.launch(now_us, from, to, line);
            // The copy takes its own time, as one that a sender repeated would.
            let later_us = now_us + self.rng.between(0, 20_000);
            self.launch(later_us, from, to, copy);
        } else {
            self.launch(now_us, from, to, line);
        }
    }

    fn launch(&mut self, now_us: Micros, from: usize, to: usize, line: Vec<u8>) {
        let mut due_us = now_us + self.draw_latency();
        let last = &mut self.last_due_us[from * self.nodes + to];
        if self.reorder_ppm > 0 {
            if self.rng.chance_ppm(self.reorder_ppm) {
                due_us += self.rng.between(1_000, 50_000);
            }
        } else {
            due_us = due_us.max(*last);
        }
        *last = due_us.max(*last);
        self.seq += 1;
        self.flights.push(Reverse(Flight { due_us, seq: self.seq, from, to, line }));
    }

    /// Between a fifth and nine fifths of the mean, one in fifty four times as long; or just the
    /// mean.
    fn draw_latency(&mut self) -> Micros {
        if self.latency_us == 0 || self.constant {
            return self.latency_us;
        }
        let drawn = self.rng.between(self.latency_us / 5, self.latency_us * 9 / 5);
        if self.rng.percent(2) { drawn * 4 } else { drawn }
    }

    /// When the next line arrives.
    pub fn next_due(&self) -> Option<Micros> {
        self.flights.peek().map(|Reverse(flight)| flight.due_us)
    }

    /// The next line that has arrived by now, and for whom.
    pub fn arrived(&mut self, now_us: Micros) -> Option<(usize, Vec<u8>)> {
        while self.next_due().is_some_and(|due_us| due_us <= now_us) {
            let Reverse(flight) = self.flights.pop()?;
            if self.cuts[flight.from * self.nodes + flight.to] > 0 {
                self.traffic.cut += 1;
                continue;
            }
            self.traffic.delivered += 1;
            return Some((flight.to, flight.line));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(net: &mut Network) -> Vec<(Micros, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some(due_us) = net.next_due() {
            while let Some((_, line)) = net.arrived(due_us) {
                all.push((due_us, line));
            }
        }
        all
    }

    #[test]
    fn keeps_order_with_latency_and_breaks_it_with_reorder() {
        let mut net = Network::new(2, 10_000, Rng::new(1, "net"));
        let lines: Vec<Vec<u8>> = (0..100).map(|i| vec![i]).collect();
        for line in &lines {
            net.send(0, 0, 1, line.clone());
        }
        let arrived: Vec<Vec<u8>> = arrivals(&mut net).into_iter().map(|(_, line)| line).collect();
        assert_eq!(arrived, lines);

        net.reorder_ppm = 100_000;
        for line in &lines {
            net.send(1_000_000, 0, 1, line.clone());
        }
        let mut arrived: Vec<Vec<u8>> =
            arrivals(&mut net).into_iter().map(|(_, line)| line).collect();
        assert_ne!(arrived, lines);
        arrived.sort();
        assert_eq!(arrived, lines);
    }

    #[test]
    fn cuts_count_and_take_what_is_under_way() {
        let mut net = Network::new(2, 10_000, Rng::new(1, "net"));
        net.send(0, 0, 1, vec![1]);
        net.cut(0, 1);
        net.cut(0, 1);
        net.send(0, 0, 1, vec![2]);
        net.send(0, 1, 0, vec![3]);
        assert_eq!(arrivals(&mut net).len(), 1, "only the other direction works");
        net.mend(0, 1);
        net.send(50_000, 0, 1, vec![4]);
        assert!(arrivals(&mut net).is_empty(), "the second fault still cuts it");
        net.mend(0, 1);
        net.send(90_000, 0, 1, vec![5]);
        assert_eq!(arrivals(&mut net).len(), 1);
        assert_eq!(net.traffic().cut, 3);
    }

    #[test]
    fn loses_and_duplicates_at_the_rate_asked_for() {
        let mut net = Network::new(2, 0, Rng::new(1, "net"));
        (net.loss_ppm, net.duplicate_ppm) = (50_000, 50_000);
        for _ in 0..10_000 {
            net.send(0, 0, 1, Vec::new());
        }
        let traffic = net.traffic();
        assert!((400..600).contains(&traffic.lost), "{traffic:?}");
        assert!((400..600).contains(&traffic.duplicated), "{traffic:?}");
        assert_eq!(arrivals(&mut net).len() as u64, 10_000 - traffic.lost + traffic.duplicated);
    }
}
