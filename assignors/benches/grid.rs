//! The grid of Kafka's own assignor benchmarks, and the times we set out to reach.
//!
//! `cargo bench -p assignors` runs both; `cargo bench -p assignors -- reach` only the second, `--
//! uniform-server/unequal` a part of the grid. Names read `assignor/subscriptions/situation/members
//! x partitions x topics`. *Unequal* subscriptions are five buckets: the n-th member wants each
//! fifth topic, beginning with the n-th. Situations: `nothing` owned before; one member `joins`;
//! one `leaves`. What a call returns is dropped within the measured time.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use assignors::{Assignor, Group, Member, Topic, all, by_name};
use criterion::{BenchmarkId, Criterion, Throughput};

const BUCKETS: u32 = 5;

#[derive(Clone, Copy)]
struct Size {
    members: u32,
    partitions: u32,
    topics: u32,
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.members, self.partitions, self.topics)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Situation {
    Nothing,
    Joins,
    Leaves,
}

impl Situation {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Joins => "joins",
            Self::Leaves => "leaves",
        }
    }
}

fn member(index: u32, subscriptions: &[Arc<[u32]>]) -> Member {
    Member::new(
        format!("member-{index:06}"),
        subscriptions[index as usize % subscriptions.len()].clone(),
    )
}

/// A group of that size in that situation.
fn group(assignor: &dyn Assignor, size: Size, equal: bool, situation: Situation) -> Group {
    let topics = (0..size.topics)
        .map(|topic| Topic::new(format!("topic-{topic:06}"), size.partitions / size.topics))
        .collect();
    let subscriptions: Vec<Arc<[u32]>> = if equal {
        vec![(0..size.topics).collect()]
    } else {
        (0..BUCKETS)
            .map(|bucket| (bucket..size.topics).step_by(BUCKETS as usize).collect())
            .collect()
    };
    let before = match situation {
        Situation::Nothing | Situation::Leaves => size.members,
        Situation::Joins => size.members - 1,
    };
    let members = (0..before).map(|index| member(index, &subscriptions)).collect();
    let mut group = Group { topics, members };
    if situation != Situation::Nothing {
        let target = assignor.assign(&group).expect("a possible group").into_target();
        for (member, owned) in group.members.iter_mut().zip(target) {
            member.owned = owned;
            member.generation = Some(1);
        }
        match situation {
            Situation::Joins => group.members.push(member(size.members - 1, &subscriptions)),
            _ => _ = group.members.remove(size.members as usize / 2),
        }
    }
    group
}

fn grid(criterion: &mut Criterion) {
    for assignor in all() {
        for equal in [true, false] {
            for situation in [Situation::Nothing, Situation::Joins] {
                let name = format!(
                    "{}/{}/{}",
                    assignor.name(),
                    if equal { "equal" } else { "unequal" },
                    situation.name()
                );
                let mut benches = criterion.benchmark_group(name);
                benches
                    .sample_size(10)
                    .warm_up_time(Duration::from_millis(100))
                    .measurement_time(Duration::from_millis(300));
                for members in [100, 1_000, 10_000] {
                    for topics in [10, 100, 1_000] {
                        let size = Size { members, partitions: members * 100, topics };
                        benches.throughput(Throughput::Elements(size.partitions.into()));
                        // Made when the first sample is taken, so that a filter saves the work.
                        let mut prepared = None;
                        benches.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                            let group = prepared
                                .get_or_insert_with(|| group(*assignor, size, equal, situation));
                            bencher.iter(|| assignor.assign(black_box(group)));
                        });
                    }
                }
            }
        }
    }
}

/// Medians of single runs against the times to reach, at a million partitions of a thousand topics.
fn reach() {
    use Situation::{Joins, Leaves, Nothing};
    let rows = [
        ("uniform-server", 10_000, true, Nothing, 15),
        ("uniform-server", 10_000, true, Joins, 8),
        ("uniform-server", 10_000, false, Nothing, 150),
        ("uniform-server", 10_000, false, Joins, 150),
        ("range", 2_000, true, Nothing, 60),
        ("roundrobin", 2_000, true, Nothing, 60),
        ("sticky", 2_000, true, Nothing, 60),
        ("sticky", 2_000, true, Joins, 150),
        ("sticky", 2_000, true, Leaves, 150),
        ("cooperative-sticky", 2_000, true, Nothing, 60),
        ("cooperative-sticky", 2_000, true, Joins, 150),
        ("cooperative-sticky", 2_000, true, Leaves, 150),
    ];
    let mut out = std::io::stdout().lock();
    _ = writeln!(out, "\nreach: 1,000,000 partitions of 1,000 topics, median of 15 runs");
    _ = writeln!(
        out,
        "{:<20} {:>7} {:<8} {:<8} {:>9} {:>9}",
        "assignor", "members", "subs", "before", "ms", "to reach"
    );
    for (name, members, equal, situation, target_ms) in rows {
        let assignor = by_name(name).expect("a known name");
        let size = Size { members, partitions: 1_000_000, topics: 1_000 };
        let group = group(assignor, size, equal, situation);
        let mut times: Vec<f64> = (0..15)
            .map(|_| {
                let start = Instant::now();
                drop(black_box(assignor.assign(black_box(&group))));
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        _ = writeln!(
            out,
            "{name:<20} {members:>7} {:<8} {:<8} {:>9.2} {target_ms:>9}",
            if equal { "equal" } else { "unequal" },
            situation.name(),
            times[times.len() / 2],
        );
    }
}

fn main() {
    let only_reach = std::env::args().skip(1).any(|argument| argument == "reach");
    if !only_reach {
        let mut criterion = Criterion::default().configure_from_args();
        grid(&mut criterion);
        criterion.final_summary();
    }
    reach();
}
