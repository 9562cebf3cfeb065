//! Draws a schedule of faults from a seed. Each nemesis has a stream of its own, so that adding one
//! to a run leaves the others as they were.

use crate::history::Micros;
use crate::nemesis::Nemesis;
use crate::nemesis::schedule::{ClientFault, Schedule, Scheduled, Shape, Victim, What};
use crate::rng::Rng;

const MS: Micros = 1_000;

/// The latency that `latency` reaches where no more is asked for, in milliseconds.
pub const NEAR_MS: u32 = 100;

/// In so many percent of the cases `one-way` is about the leader alone: it hears nobody, and is
/// heard.
const DEAF_PERCENT: u32 = 30;

/// What there is to break, and how hard.
#[derive(Debug, Clone)]
pub struct Ground {
    /// How many nodes.
    pub nodes: usize,
    /// How many clients.
    pub slots: usize,
    /// How long the fault phase lasts, in microseconds.
    pub length_us: Micros,
    /// Lines lost, of a million, where `loss` is on.
    pub loss_ppm: u32,
    /// Lines doubled, of a million, where `duplicate` is on.
    pub duplicate_ppm: u32,
    /// The longest mean latency of `latency`, in milliseconds.
    pub latency_max_ms: u32,
}

/// Draws faults of these nemeses for the whole phase.
pub fn draw(nemeses: &[Nemesis], ground: &Ground, seed: u64) -> Schedule {
    let mut faults = Vec::new();
    for nemesis in nemeses {
        let rng = Rng::new(seed, nemesis.name());
        match nemesis {
            Nemesis::Loss => faults.push(whole(ground, What::Loss { ppm: ground.loss_ppm })),
            Nemesis::Duplicate => {
                faults.push(whole(ground, What::Duplicate { ppm: ground.duplicate_ppm }))
            }
            Nemesis::Reorder => faults.push(whole(ground, What::Reorder { ppm: 100_000 })),
            Nemesis::Kill => kills(ground, rng, &mut faults),
            Nemesis::Late => late(ground, rng, &mut faults),
            Nemesis::Restart => restarts(ground, rng, &mut faults),
            Nemesis::BitRot => bit_rot(ground, rng, &mut faults),
            Nemesis::SlowDisk => {
                windows(ground, rng, (300, 2_500), (500, 4_000), &mut faults, slow_disk)
            }
            Nemesis::FailingDisk => {
                windows(ground, rng, (500, 3_000), (100, 3_000), &mut faults, |ground, rng| {
                    let (nth, evicted) = (rng.between(1, 20), rng.percent(70));
                    What::FailingDisk { who: victim(ground, rng), nth, evicted }
                })
            }
            Nemesis::FullDisk => {
                windows(ground, rng, (500, 3_000), (500, 4_000), &mut faults, |ground, rng| {
                    let bytes = rng.between(0, 40) * 4_096;
                    What::FullDisk { who: victim(ground, rng), bytes }
                })
            }
            Nemesis::Clock => clocks(ground, rng, &mut faults),
            Nemesis::Latency if ground.latency_max_ms > NEAR_MS => {
                windows(ground, rng, (500, 3_000), (2_000, 8_000), &mut faults, far_latency);
            }
            Nemesis::Latency => {
                windows(ground, rng, (0, 500), (300, 2_500), &mut faults, |_, rng| What::Latency {
                    mean_us: rng.between(0, NEAR_MS.into()) * MS,
                    constant: false,
                })
            }
            Nemesis::Partition => {
                windows(ground, rng, (300, 2_500), (500, 4_000), &mut faults, partition)
            }
            Nemesis::OneWay => {
                // Which of them draws from a stream of its own, so that seeds keep the others.
                let mut deaf = Rng::new(seed, "one-way to the leader");
                if deaf.percent(DEAF_PERCENT) {
                    windows(ground, deaf, (1_000, 3_000), (4_000, 6_000), &mut faults, |_, _| {
                        What::Deaf { who: Victim::Leader }
                    })
                } else {
                    windows(ground, rng, (300, 2_500), (500, 4_000), &mut faults, one_way)
                }
            }
            Nemesis::Pause => {
                windows(ground, rng, (300, 2_500), (50, 3_000), &mut faults, |ground, rng| {
                    What::Pause { who: victim(ground, rng) }
                })
            }
            Nemesis::Slow => {
                windows(ground, rng, (300, 2_500), (500, 4_000), &mut faults, |ground, rng| {
                    let (run_us, stop_us) = (rng.between(2, 15) * MS, rng.between(5, 60) * MS);
                    What::Slow { who: victim(ground, rng), run_us, stop_us }
                })
            }
            Nemesis::Reset => windows(ground, rng, (300, 2_500), (300, 3_000), &mut faults, reset),
            Nemesis::Bandwidth => {
                windows(ground, rng, (500, 3_000), (500, 4_000), &mut faults, bandwidth)
            }
            Nemesis::Clients => {
                windows(ground, rng, (500, 2_000), (200, 5_000), &mut faults, clients)
            }
        }
    }
    faults.sort_by_key(|fault| fault.at_us);
    Schedule { faults }
}

fn whole(ground: &Ground, what: What) -> Scheduled {
    Scheduled { at_us: 0, for_us: ground.length_us, what }
}

/// Fault after fault with gaps between them; gaps and lengths in milliseconds.
fn windows(
    ground: &Ground,
    mut rng: Rng,
    gap_ms: (u64, u64),
    length_ms: (u64, u64),
    faults: &mut Vec<Scheduled>,
    mut what: impl FnMut(&Ground, &mut Rng) -> What,
) {
    let mut at_us = rng.between(0, gap_ms.1) * MS;
    while at_us < ground.length_us {
        let for_us = (rng.between(length_ms.0, length_ms.1) * MS).min(ground.length_us - at_us);
        faults.push(Scheduled { at_us, for_us, what: what(ground, &mut rng) });
        at_us += for_us + rng.between(gap_ms.0, gap_ms.1) * MS;
    }
}

/// Up to the longest mean, every line the same or not: long enough for nodes to get used to it.
fn far_latency(ground: &Ground, rng: &mut Rng) -> What {
    let mean_us = rng.between(0, ground.latency_max_ms.into()) * MS;
    What::Latency { mean_us, constant: rng.percent(50) }
}

/// A third of the time the leader, where faults hurt most.
fn victim(ground: &Ground, rng: &mut Rng) -> Victim {
    if rng.percent(35) { Victim::Leader } else { Victim::Node(rng.index(ground.nodes)) }
}

fn partition(ground: &Ground, rng: &mut Rng) -> What {
    let n = ground.nodes;
    let mut order: Vec<usize> = (0..n).collect();
    rng.shuffle(&mut order);
    let split = |at: usize| {
        let (left, right) = order.split_at(at.min(n));
        Shape::Sides(vec![left.to_vec(), right.to_vec()])
    };
    let shape = match rng.below(7) {
        0 => split(n / 2),
        1 => split(1),
        // Fewer than a third, but somebody: with three nodes this is one node.
        2 => split((n.saturating_sub(1) / 3).max(1)),
        3 | 4 if n >= 3 => Shape::Ring(order),
        5 if n >= 4 => Shape::LeaderAndFollower(rng.index(n - 1)),
        _ => Shape::LeaderAlone,
    };
    What::Partition { shape }
}

fn one_way(ground: &Ground, rng: &mut Rng) -> What {
    let mut order: Vec<usize> = (0..ground.nodes).collect();
    rng.shuffle(&mut order);
    let some = 1 + rng.index((ground.nodes / 2).max(1));
    let (few, rest) = order.split_at(some.min(order.len()));
    let (few, rest) = (few.to_vec(), rest.to_vec());
    if rng.percent(50) {
        What::OneWay { from: few, to: rest }
    } else {
        What::OneWay { from: rest, to: few }
    }
}

/// Between one in two hundred pieces and one in five.
fn reset(_ground: &Ground, rng: &mut Rng) -> What {
    What::Reset { ppm: u32::try_from(rng.between(5_000, 200_000)).unwrap_or(5_000) }
}

fn bandwidth(_ground: &Ground, rng: &mut Rng) -> What {
    What::Bandwidth { bytes_per_s: rng.between(4, 256) * 1024 }
}

fn clients(ground: &Ground, rng: &mut Rng) -> What {
    let how = if rng.percent(50) { ClientFault::Crash } else { ClientFault::Hang };
    let mut slots: Vec<usize> = (0..ground.slots).collect();
    rng.shuffle(&mut slots);
    slots.truncate(1 + rng.index((ground.slots / 4).max(1)));
    slots.sort_unstable();
    What::Clients { how, slots }
}

/// As many as leave a majority, spread over the phase; the first is the leader in half of the runs.
fn kills(ground: &Ground, mut rng: Rng, faults: &mut Vec<Scheduled>) {
    let most = ground.nodes.saturating_sub(1) / 2;
    let mut order: Vec<usize> = (0..ground.nodes).collect();
    rng.shuffle(&mut order);
    for (i, node) in order.into_iter().take(most).enumerate() {
        let who = if rng.percent(50) { Victim::Leader } else { Victim::Node(node) };
        let part_us = ground.length_us / (most as u64 + 1);
        let at_us = part_us * i as u64 + rng.between(part_us / 4, part_us);
        faults.push(Scheduled { at_us, for_us: 0, what: What::Kill { who } });
    }
}

/// Crash after crash: of one node, of a majority at once, or of all; each node is away for a time
/// of its own.
fn restarts(ground: &Ground, mut rng: Rng, faults: &mut Vec<Scheduled>) {
    let mut at_us = rng.between(100, 2_000) * MS;
    while at_us < ground.length_us {
        let mut order: Vec<usize> = (0..ground.nodes).collect();
        rng.shuffle(&mut order);
        order.truncate(match rng.below(10) {
            0..6 => 1,
            6..8 => ground.nodes / 2 + 1,
            _ => ground.nodes,
        });
        let alone = order.len() == 1;
        let mut away_us = 0;
        for node in order {
            let who = if alone && rng.percent(35) { Victim::Leader } else { Victim::Node(node) };
            let for_us = (rng.between(100, 3_000) * MS).min(ground.length_us - at_us);
            faults.push(Scheduled { at_us, for_us, what: What::Restart { who } });
            away_us = away_us.max(for_us);
        }
        at_us += away_us + rng.between(100, 2_500) * MS;
    }
}

fn slow_disk(ground: &Ground, rng: &mut Rng) -> What {
    let most_us = rng.between(100, 5_000) * MS;
    let least_us = rng.between(100 * MS, most_us);
    What::SlowDisk { who: victim(ground, rng), least_us, most_us }
}

/// Of so few nodes that a majority stays, again and again: each may refuse to come back.
fn bit_rot(ground: &Ground, mut rng: Rng, faults: &mut Vec<Scheduled>) {
    let mut order: Vec<usize> = (0..ground.nodes).collect();
    rng.shuffle(&mut order);
    order.truncate(ground.nodes.saturating_sub(1) / 2);
    windows(ground, rng, (500, 3_000), (100, 3_000), faults, |_, rng| What::BitRot {
        who: Victim::Node(rng.pick(&order).copied().unwrap_or(0)),
        bit: rng.u64(),
    });
}

fn late(ground: &Ground, mut rng: Rng, faults: &mut Vec<Scheduled>) {
    let most = ground.nodes.saturating_sub(1) / 2;
    let mut order: Vec<usize> = (0..ground.nodes).collect();
    rng.shuffle(&mut order);
    let how_many = 1 + rng.index(most.max(1));
    for node in order.into_iter().take(how_many.min(most)) {
        let for_us = rng.between(1_500, 6_000) * MS;
        faults.push(Scheduled { at_us: 0, for_us, what: What::Late { node } });
    }
}

fn clocks(ground: &Ground, mut rng: Rng, faults: &mut Vec<Scheduled>) {
    for node in 0..ground.nodes {
        // Within 5% of the truth each, so that two nodes differ by 10% at most.
        let rate_ppm = i32::try_from(rng.below(100_001)).unwrap_or(0) - 50_000;
        let jump_us = if rng.percent(40) { rng.between(10, 3_000) * MS } else { 0 };
        let at_us = if jump_us == 0 { 0 } else { rng.between(0, ground.length_us) };
        let for_us = ground.length_us - at_us;
        faults.push(Scheduled { at_us, for_us, what: What::Clock { node, rate_ppm, jump_us } });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground() -> Ground {
        Ground {
            nodes: 5,
            slots: 10,
            length_us: 60_000_000,
            loss_ppm: 50_000,
            duplicate_ppm: 50_000,
            latency_max_ms: NEAR_MS,
        }
    }

    #[test]
    fn one_more_nemesis_leaves_the_others_as_they_were() {
        let alone = draw(&[Nemesis::Partition], &ground(), 3);
        let mixed = draw(&[Nemesis::Pause, Nemesis::Partition], &ground(), 3);
        let partitions: Vec<_> =
            mixed.faults.into_iter().filter(|f| f.what.name() == "partition").collect();
        assert!(partitions.len() > 5);
        assert_eq!(alone.faults, partitions);
    }

    #[test]
    fn every_nemesis_draws_faults_that_end_within_the_phase_and_name_nodes_that_exist() {
        for seed in 0..50 {
            for nemesis in Nemesis::ALL {
                let schedule = draw(&[nemesis], &ground(), seed);
                assert!(!schedule.faults.is_empty(), "{}", nemesis.name());
                assert_eq!(schedule.stranger(5), None);
                for fault in &schedule.faults {
                    assert_eq!(fault.what.name(), nemesis.name());
                    assert!(fault.at_us + fault.for_us <= 60_000_000, "{fault:?}");
                }
                let most = if nemesis == Nemesis::Kill { 2 } else { usize::MAX };
                assert!(schedule.faults.len() <= most);
            }
        }
    }

    #[test]
    fn one_node_a_majority_and_all_nodes_are_restarted() {
        let schedule = draw(&[Nemesis::Restart], &Ground { length_us: 600_000_000, ..ground() }, 1);
        let mut at_once = std::collections::BTreeMap::<Micros, usize>::new();
        for fault in &schedule.faults {
            assert!(
                (100 * MS..=3_000 * MS).contains(&fault.for_us) || fault.at_us > 590_000_000,
                "{fault:?}"
            );
            *at_once.entry(fault.at_us).or_default() += 1;
        }
        let sizes: std::collections::BTreeSet<usize> = at_once.into_values().collect();
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [1, 3, 5]);
    }

    #[test]
    fn all_kinds_of_partition_are_drawn() {
        let mut seen = std::collections::BTreeSet::new();
        for fault in
            draw(&[Nemesis::Partition], &Ground { length_us: 900_000_000, ..ground() }, 1).faults
        {
            if let What::Partition { shape } = fault.what {
                seen.insert(match shape {
                    Shape::Sides(sides) => format!("sides {}", sides[0].len()),
                    Shape::Ring(_) => "ring".into(),
                    Shape::LeaderAlone => "leader".into(),
                    Shape::LeaderAndFollower(_) => "leader and one".into(),
                });
            }
        }
        let seen: Vec<_> = seen.into_iter().collect();
        assert_eq!(seen, ["leader", "leader and one", "ring", "sides 1", "sides 2"]);
    }
}
