//! `arena load`: throughput and latency of each operation at each size, with the floor beside it.
//!
//! Each figure is taken once, in fresh processes: first of clients that ask at set times and wait
//! (latency, of a cluster that has little to do), then, on the same nodes, of clients that keep a
//! window of requests under way (throughput). The floor (`node/examples/floor.rs`) is one process
//! whatever the size, under the same clients; where it does not know the operation there is a dash.
//!
//! A figure that fails is told, the others are taken all the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, io};

use clap::builder::PossibleValuesParser;

use super::cluster::{Cluster, Plan, Result, Run, Span};
use super::machine::{cores, load_average};
use super::script::{OPERATIONS, Work};
use super::table::{Column, markdown, numbers, short, words};

/// Clients that take latencies.
const WAITING: usize = 10;

/// How often each of them asks at most: together 500 times a second, far below what one node can
/// answer.
const PACE: Duration = Duration::from_millis(20);

/// How long a quick figure takes.
const QUICK: Duration = Duration::from_millis(50);

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Sizes of the cluster, with commas.
    #[arg(long, value_delimiter = ',', default_value = "1,3,5", value_parser = clap::value_parser!(u16).range(1..=25))]
    nodes: Vec<u16>,
    /// How long each figure is taken: throughput, and as long again latency. A quarter of it comes
    /// on top as a warm-up.
    #[arg(long, default_value = "2", value_parser = seconds)]
    seconds: Duration,
    /// Clients that keep requests under way, spread over all nodes.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    clients: u16,
    /// Requests that each of them has under way.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    window: u16,
    /// Only these operations, with commas.
    #[arg(long, value_name = "OP", value_delimiter = ',', value_parser = PossibleValuesParser::new(OPERATIONS.map(|work| work.name)))]
    only: Vec<String>,
    /// A moment each, with small windows: whether it works, not how well.
    #[arg(long)]
    quick: bool,
    /// The program to measure; `cohort` beside this one where it is not given.
    #[arg(long, value_name = "PATH")]
    pub bin: Option<PathBuf>,
    /// The floor; `examples/floor` beside this program where it is not given.
    #[arg(long, value_name = "PATH")]
    pub floor: Option<PathBuf>,
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|e| format!("{e}"))?;
    if (0.01..=3_600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("it has to be from 0.01 to 3600".to_owned())
    }
}

impl Args {
    fn take(&self, program: &Path, nodes: u16, work: Work) -> Result<Both> {
        let mut cluster = Cluster::start(program, nodes.into())?;
        cluster.ready()?;
        let all: Vec<usize> = (0..nodes.into()).collect();
        let time = self.time();
        let (warm_up, counted) = (Span::Time(time / 4), Span::Time(time));
        let calm = Plan { work, clients: WAITING, window: 1, pace: Some(PACE), warm_up, counted };
        let full = Plan { clients: self.clients.into(), window: self.window(), pace: None, ..calm };
        Ok(Both { calm: cluster.run(&calm, &all)?, full: cluster.run(&full, &all)? })
    }

    fn time(&self) -> Duration {
        if self.quick { QUICK } else { self.seconds }
    }

    fn window(&self) -> u64 {
        if self.quick { self.window.min(4).into() } else { self.window.into() }
    }

    /// How everything was measured, in words.
    fn conditions(&self) -> String {
        format!(
            "Throughput: {} clients with {} requests under way each, for {} s. Latency: {WAITING} clients that wait for \
             each reply and ask {} times a second each, for as long. Over pipes, spread over all nodes, in fresh processes; \
             the floor is one process",
            self.clients,
            self.window(),
            self.time().as_secs_f64(),
            1_000 / PACE.as_millis(),
        )
    }
}

/// What one cluster showed.
#[derive(Debug)]
struct Both {
    calm: Run,
    full: Run,
}

/// What became of a figure.
#[derive(Debug)]
enum Taken {
    Is(Box<Both>),
    Failed,
    /// The floor does not know the operation, or there is no floor.
    Unknown,
}

impl Taken {
    fn is(&self) -> Option<&Both> {
        if let Self::Is(both) = self { Some(both) } else { None }
    }

    fn cell(&self, of: fn(&Both) -> f64) -> String {
        match self {
            Self::Is(both) => short(of(both)),
            Self::Failed => "failed".to_owned(),
            Self::Unknown => "–".to_owned(),
        }
    }
}

/// One operation: the floor, and cohort at each size.
#[derive(Debug)]
struct Measured {
    title: &'static str,
    floor: Taken,
    cohort: Vec<(u16, Taken)>,
}

impl Measured {
    /// A row for each size, with the cells that `of` makes of cohort and the floor.
    fn rows(
        &self,
        of: impl Fn(&Taken, &Taken) -> Vec<String>,
    ) -> impl Iterator<Item = Vec<String>> {
        self.cohort.iter().map(move |(nodes, cohort)| {
            let mut row = vec![self.title.to_owned(), nodes.to_string()];
            row.extend(of(cohort, &self.floor));
            row
        })
    }
}

/// Cohort, floor, and how many times the floor's figure cohort's is.
fn compared(cohort: &Taken, floor: &Taken, of: fn(&Both) -> f64) -> [String; 3] {
    let ratio = cohort.is().zip(floor.is()).map(|(cohort, floor)| of(cohort) / of(floor));
    // Where a process took less than can be measured there is none.
    let ratio = ratio.filter(|ratio| ratio.is_finite()).map_or_else(|| "–".to_owned(), short);
    [cohort.cell(of), floor.cell(of), ratio]
}

const THROUGHPUT: [Column; 11] = [
    words("throughput"),
    numbers("nodes"),
    numbers("requests/s"),
    numbers("floor"),
    numbers("ratio"),
    numbers("CPU µs per request, all nodes"),
    numbers("floor"),
    numbers("ratio"),
    numbers("of the clients"),
    numbers("floor"),
    numbers("MiB of a node"),
];

fn throughput(cohort: &Taken, floor: &Taken) -> Vec<String> {
    let rate = compared(cohort, floor, |both| both.full.per_second);
    let cpu = compared(cohort, floor, |both| both.full.cpu_us);
    let clients: fn(&Both) -> f64 = |both| both.full.own_cpu_us;
    let rest =
        [cohort.cell(clients), floor.cell(clients), cohort.cell(|both| both.full.memory_mib)];
    rate.into_iter().chain(cpu).chain(rest).collect()
}

const LATENCY: [Column; 9] = [
    words("latency, ms"),
    numbers("nodes"),
    numbers("p50"),
    numbers("floor"),
    numbers("ratio"),
    numbers("p99"),
    numbers("floor"),
    numbers("max"),
    numbers("floor"),
];

fn latency(cohort: &Taken, floor: &Taken) -> Vec<String> {
    let p99: fn(&Both) -> f64 = |both| both.calm.latency_ms(0.99);
    let max: fn(&Both) -> f64 = |both| both.calm.latency_ms(1.0);
    let rest = [cohort.cell(p99), floor.cell(p99), cohort.cell(max), floor.cell(max)];
    compared(cohort, floor, |both| both.calm.latency_ms(0.5)).into_iter().chain(rest).collect()
}

/// All that was measured. It displays itself as two tables and a line about how it was measured.
#[derive(Debug)]
pub struct Figures {
    all: Vec<Measured>,
    conditions: String,
}

impl Figures {
    /// Whether a figure, the floor's too, failed: a request was refused, answered wrongly or not at
    /// all.
    pub fn failed(&self) -> bool {
        let mut taken = self.all.iter().flat_map(|measured| {
            measured.cohort.iter().map(|(_, taken)| taken).chain([&measured.floor])
        });
        taken.any(|taken| matches!(taken, Taken::Failed))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = |of: fn(&Taken, &Taken) -> Vec<String>| -> Vec<Vec<String>> {
            self.all.iter().flat_map(|measured| measured.rows(of)).collect()
        };
        markdown(f, &THROUGHPUT, &rows(throughput))?;
        writeln!(f)?;
        markdown(f, &LATENCY, &rows(latency))?;
        write!(f, "\n{}", self.conditions)
    }
}

/// Takes all figures, and tells each when it is there.
pub fn measure(
    args: &Args,
    cohort: &Path,
    floor: Option<&Path>,
    tell: &dyn Fn(&str),
) -> io::Result<Figures> {
    let before = load_average()?;
    let sizes: BTreeSet<u16> = args.nodes.iter().copied().collect();
    let wanted =
        |work: &Work| args.only.is_empty() || args.only.iter().any(|name| name == work.name);
    let mut all = Vec::new();
    for work in OPERATIONS.into_iter().filter(wanted) {
        let take = |program: &Path, nodes: u16, whose: &str| {
            let both = args.take(program, nodes, work);
            let said = match &both {
                Ok(both) => format!(
                    "{} requests/s, p50 {} ms",
                    short(both.full.per_second),
                    short(both.calm.latency_ms(0.5))
                ),
                Err(failure) => format!("FAILED: {failure}"),
            };
            tell(&format!("{}, {whose}: {said}", work.name));
            both.map_or(Taken::Failed, |both| Taken::Is(Box::new(both)))
        };
        let floor = floor
            .filter(|_| work.floor)
            .map_or(Taken::Unknown, |program| take(program, 1, "floor"));
        let cohort = sizes.iter().map(|nodes| {
            let whose = if *nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
            (*nodes, take(cohort, *nodes, &whose))
        });
        all.push(Measured { title: work.title, floor, cohort: cohort.collect() });
    }
    let conditions = format!(
        "{}; {} that nodes and clients share, load average {before} before, {} after. MiB: the most that any node held (VmHWM).",
        args.conditions(),
        cores()?,
        load_average()?
    );
    Ok(Figures { all, conditions })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(line: &str) -> std::result::Result<Args, clap::error::ErrorKind> {
        let words = std::iter::once("load").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.args).map_err(|e| e.kind())
    }

    #[test]
    fn arguments_are_checked_before_anything_starts() {
        let usual = parsed("").expect("no argument is needed");
        assert_eq!(
            (usual.nodes.as_slice(), usual.time(), usual.window()),
            (&[1, 3, 5][..], Duration::from_secs(2), 256)
        );
        let few =
            parsed("--nodes 3,1 --seconds 0.5 --only cas,read --window 2 --quick").expect("right");
        assert_eq!(
            (few.nodes.as_slice(), few.only.len(), few.time(), few.window()),
            (&[3, 1][..], 2, QUICK, 2)
        );
        for wrong in [
            "--nodes 0",
            "--nodes 1,,3",
            "--seconds 0",
            "--seconds NaN",
            "--only nothing",
            "--clients 0",
            "--window 0",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    fn taken(per_second: f64, ms: [u64; 4]) -> Taken {
        let calm = Run { latencies: ms.map(Duration::from_millis).to_vec(), ..Run::default() };
        let full = Run {
            per_second,
            cpu_us: 1e5 / per_second,
            own_cpu_us: 0.5,
            memory_mib: 12.34,
            ..Run::default()
        };
        Taken::Is(Box::new(Both { calm, full }))
    }

    #[test]
    fn ratios_are_cohort_over_floor_and_a_dash_stands_for_what_is_not_known() {
        let known = Measured {
            title: "a",
            floor: taken(400_000.0, [1, 1, 2, 3]),
            cohort: vec![(1, taken(100_000.0, [1, 2, 3, 30])), (3, Taken::Failed)],
        };
        let unknown = Measured {
            title: "b",
            floor: Taken::Unknown,
            cohort: vec![(5, taken(50.0, [1, 1, 1, 1]))],
        };
        let figures = Figures { all: vec![known, unknown], conditions: "With care.".to_owned() };
        assert!(figures.failed());
        let text = figures.to_string();
        let rows: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("| a") || line.starts_with("| b"))
            .collect();
        assert_eq!(
            rows,
            [
                "| a | 1 | 100,000 | 400,000 | 0.250 | 1.00 | 0.250 | 4.00 | 0.500 | 0.500 | 12.3 |",
                "| a | 3 | failed | 400,000 | – | failed | 0.250 | – | failed | 0.500 | failed |",
                "| b | 5 | 50.0 | – | – | 2,000 | – | – | 0.500 | – | 12.3 |",
                "| a | 1 | 3.00 | 2.00 | 1.50 | 30.0 | 3.00 | 30.0 | 3.00 |",
                "| a | 3 | failed | 2.00 | – | failed | 3.00 | failed | 3.00 |",
                "| b | 5 | 1.00 | – | – | 1.00 | – | 1.00 | – |",
            ]
        );
        for (columns, rule) in [(THROUGHPUT.len(), 1), (LATENCY.len(), 7)] {
            let line = text.lines().nth(rule).expect("a rule below the titles");
            assert_eq!(line.matches("---").count(), columns, "{line}");
        }
        assert_eq!(text.lines().last(), Some("With care."));
    }
}
