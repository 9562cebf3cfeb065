//! What cohort costs beside the floor: the figures of `scripts/bench`, as a table in Markdown.
//!
//! Every figure is taken of cohort and of the floor (`node/examples/floor.rs`) in turn, several
//! times, each in fresh processes and under the same requests. It knows what the project wants to
//! reach.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::cluster::{self, Cluster, Failure, Plan, Result, Run, Span};
use super::machine::{cores, load_average, peak_mib};
use super::script::{self, Client, Work};
use super::table::{Pair, Reach, Spread, Table};

/// What the bench's requests are.
const WORKS: [Work; 3] = [script::COMMIT_OFFSET, script::SEND, script::MIXED];

/// Clients that ask at once.
const CLIENTS: usize = 64;

/// Requests that a client that does not wait has under way.
const WINDOW: u64 = 256;

/// Messages whose memory is taken.
const MESSAGES: u64 = 300_000;

/// Nodes of a cluster.
const NODES: usize = 3;

/// What is compared; `scripts/bench` names both.
#[derive(Debug, Clone, clap::Args)]
pub struct Programs {
    /// The binary of cohort
    #[arg(long, value_name = "FILE", hide = true)]
    pub cohort: PathBuf,

    /// The binary of the floor
    #[arg(long, value_name = "FILE", hide = true)]
    pub floor: PathBuf,
}

/// Which figures, and how often.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    programs: Programs,

    /// Take each figure this many times
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    passes: u32,

    /// Requests of each run that are counted, in thousands
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    requests: u64,

    /// Once each and few requests: whether everything works, not how well
    #[arg(long)]
    quick: bool,

    /// Only these figures
    #[arg(long, value_name = "FIGURE", value_delimiter = ',', value_enum)]
    only: Vec<Figure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Figure {
    /// Requests a second on one node
    Rate,
    /// CPU time over three nodes
    Cpu,
    /// What a node holds at rest, and for each message
    Memory,
    /// Messages between three nodes
    Messages,
    /// Of one client, and from the start of a node
    Latency,
}

/// Takes the figures, says how far it is, and gives the whole output.
pub fn measure(args: &Args, tell: &dyn Fn(&str)) -> std::result::Result<String, Box<dyn Error>> {
    let (passes, requests) =
        if args.quick { (1, 10_000) } else { (args.passes, args.requests * 1_000) };
    let bench = Bench {
        cohort: &args.programs.cohort,
        floor: &args.programs.floor,
        passes,
        requests,
        tell,
    };
    let wanted = |figure| args.only.is_empty() || args.only.contains(&figure);
    let load_before = load_average()?;
    let mut table = Table::default();
    if wanted(Figure::Rate) {
        for work in WORKS {
            bench.rate(work, &mut table)?;
        }
    }
    if wanted(Figure::Cpu) {
        for work in WORKS {
            bench.cpu(work, &mut table)?;
        }
    }
    if wanted(Figure::Memory) {
        bench.memory(&mut table)?;
    }
    if wanted(Figure::Messages) {
        bench.messages(&mut table)?;
    }
    if wanted(Figure::Latency) {
        bench.latency(&mut table)?;
    }
    Ok(format!(
        "{table}\nMedian of {passes} runs (least to most) of {requests} requests each, cohort and floor in turn, in fresh \
         processes, on {} that they share with the clients. Memory: the most that any node held (VmHWM). \
         Load average {load_before} before, {} after.\n",
        cores()?,
        load_average()?
    ))
}

struct Bench<'a> {
    cohort: &'a Path,
    floor: &'a Path,
    passes: u32,
    requests: u64,
    tell: &'a dyn Fn(&str),
}

impl Bench<'_> {
    /// Takes a figure of both, in turn, and the other way round in every second pass.
    fn in_turn<T>(&self, name: &str, take: impl Fn(&Path) -> Result<T>) -> Result<Pair<T>> {
        let mut pair = Pair { cohort: Vec::new(), floor: Vec::new() };
        for pass in 0..self.passes {
            (self.tell)(&format!("{name}: {} of {}", pass + 1, self.passes));
            if pass % 2 == 0 {
                pair.floor.push(take(self.floor)?);
                pair.cohort.push(take(self.cohort)?);
            } else {
                pair.cohort.push(take(self.cohort)?);
                pair.floor.push(take(self.floor)?);
            }
        }
        Ok(pair)
    }

    fn plan(&self, work: Work, clients: usize, window: u64) -> Plan {
        // At least twice what is under way at first: then the nodes are in the swing of it.
        let warm_up = (self.requests / 10).max(2 * clients as u64 * window).min(self.requests);
        let (warm_up, counted) = (Span::Requests(warm_up), Span::Requests(self.requests));
        Plan { work, clients, window, pace: None, warm_up, counted }
    }

    /// With pipelined clients, spread over `nodes` nodes.
    fn pipelined(&self, work: Work, nodes: usize, program: &Path) -> Result<Run> {
        let mut cluster = Cluster::start(program, nodes)?;
        cluster.ready()?;
        cluster.run(&self.plan(work, CLIENTS, WINDOW), &(0..nodes).collect::<Vec<_>>())
    }

    fn rate(&self, work: Work, table: &mut Table) -> Result<()> {
        let name = format!("{} on one node", work.title);
        let runs = self.in_turn(&name, |program| self.pipelined(work, 1, program))?;
        let rates = runs.map(|run| run.per_second);
        table.compare(&format!("requests/s, {name}"), &rates, "≥ 0.4", |ratio| ratio >= 0.4, &runs);
        table.inform(&format!("CPU µs per request, {name}"), &runs.map(|run| run.cpu_us), &runs);
        Ok(())
    }

    /// What a node holds before the first request, and more for each message that was sent.
    fn memory(&self, table: &mut Table) -> Result<()> {
        for (nodes, whom) in [(1, "one node"), (NODES, "the largest of three")] {
            let [mut rest, mut each, mut peak] = [const { Vec::new() }; 3];
            for pass in 0..self.passes {
                (self.tell)(&format!("memory of {whom}: {} of {}", pass + 1, self.passes));
                let mut cluster = Cluster::start(self.cohort, nodes)?;
                cluster.ready()?;
                let at_rest = cluster.resident_mib()?;
                let counted = Span::Requests(MESSAGES.min(self.requests));
                let plan = Plan {
                    warm_up: Span::Requests(0),
                    counted,
                    ..self.plan(script::SEND, CLIENTS, WINDOW)
                };
                let run = cluster.run(&plan, &(0..nodes).collect::<Vec<_>>())?;
                let sent = run.acknowledged.max(1) as f64;
                each.push((cluster.resident_mib()? - at_rest) * 1024.0 * 1024.0 / sent);
                rest.push(at_rest);
                peak.push(run.memory_mib);
            }
            let held = Spread::of(peak.iter().copied());
            let [rest, each] = [rest, each].map(Spread::of);
            let small: Reach<'_> = Some(("≤ 10", |mib| mib <= 10.0));
            table.push_alone(&format!("MiB at rest, {whom}"), rest, small, held);
            let small: Reach<'_> = (nodes == 1).then_some(("≤ 150", |bytes| bytes <= 150.0));
            table.push_alone(&format!("bytes a message of one number, {whom}"), each, small, held);
        }
        Ok(())
    }

    fn cpu(&self, work: Work, table: &mut Table) -> Result<()> {
        let name = format!("{} over three nodes", work.title);
        let runs = self.in_turn(&name, |program| self.pipelined(work, NODES, program))?;
        let cpu = runs.map(|run| run.cpu_us);
        table.compare(
            &format!("CPU µs per request, {name}"),
            &cpu,
            "≤ 8",
            |ratio| ratio <= 8.0,
            &runs,
        );
        table.inform(&format!("requests/s, {name}"), &runs.map(|run| run.per_second), &runs);
        Ok(())
    }

    /// A cluster whose clients wait for each reply and all ask its leader, or else a follower.
    fn waiting(&self, clients: usize, requests: u64, at_leader: bool) -> Result<Run> {
        let mut cluster = Cluster::start(self.cohort, NODES)?;
        let leader = cluster.ready()?.ok_or(Failure::NoLeader)?;
        let node = if at_leader { leader } else { (leader + 1) % NODES };
        let (warm_up, counted) = (Span::Requests(requests / 10), Span::Requests(requests));
        let plan = Plan { warm_up, counted, ..self.plan(script::COMMIT_OFFSET, clients, 1) };
        cluster.run(&plan, &[node])
    }

    fn messages(&self, table: &mut Table) -> Result<()> {
        let mut runs = Vec::new();
        for pass in 0..self.passes {
            (self.tell)(&format!("messages: {} of {}", pass + 1, self.passes));
            runs.push(self.waiting(CLIENTS, self.requests / 5, true)?);
        }
        let name =
            "messages between three nodes per request, `commit_offset`, 64 clients that wait";
        table.alone(name, &runs, |run| run.messages, Some(("≤ 1", |messages| messages <= 1.0)));
        table.alone("requests/s of the same", &runs, |run| run.per_second, None);
        table.alone("CPU µs per request of the same", &runs, |run| run.cpu_us, None);
        Ok(())
    }

    fn latency(&self, table: &mut Table) -> Result<()> {
        let requests = (self.requests / 100).clamp(100, 3_000);
        let solos =
            self.in_turn("one client on one node", |program| Solo::take(program, requests))?;
        for (name, of) in [
            (
                "ms to the first reply after start",
                (|solo| solo.first_reply) as fn(&Solo) -> Duration,
            ),
            ("ms to the first replicated reply after start, one node", |solo| {
                solo.first_replicated
            }),
            ("ms, one client, `commit_offset` on one node, p50", |solo| {
                cluster::at(&solo.latencies, 0.5)
            }),
            ("the same, p99", |solo| cluster::at(&solo.latencies, 0.99)),
        ] {
            table.row(
                name,
                &solos.map(|solo| of(solo).as_secs_f64() * 1e3),
                solos.map(|solo| solo.memory_mib),
            );
        }
        for (whom, at_leader) in [("the leader of three", true), ("a follower of three", false)] {
            let mut runs = Vec::new();
            for pass in 0..self.passes {
                (self.tell)(&format!("one client at {whom}: {} of {}", pass + 1, self.passes));
                runs.push(self.waiting(1, requests, at_leader)?);
            }
            let ms = |share| move |run: &Run| run.latency_ms(share);
            table.alone(
                &format!("ms, one client, `commit_offset` at {whom}, p50"),
                &runs,
                ms(0.5),
                None,
            );
            table.alone("the same, p99", &runs, ms(0.99), None);
        }
        Ok(())
    }
}

/// One node and one client that waits, without a thread between them.
struct Solo {
    first_reply: Duration,
    first_replicated: Duration,
    latencies: Vec<Duration>,
    memory_mib: f64,
}

impl Solo {
    fn take(program: &Path, requests: u64) -> Result<Self> {
        let started = Instant::now();
        let (mut child, mut stdin, stdout) = cluster::spawn(program)?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let mut client = Client::new(1, &script::name(0), script::COMMIT_OFFSET);
        let mut requests_out =
            b"{\"src\":\"c0\",\"dest\":\"n1\",\"body\":{\"type\":\"init\",\"msg_id\":1,\"node_id\":\"n1\",\"node_ids\":[\"n1\"]}}\n"
                .to_vec();
        client.ask(&mut requests_out);
        let mut ask = |out: &mut Vec<u8>| stdin.write_all(out).map(|()| out.clear());
        let mut read = |kind: &str| {
            line.clear();
            stdout.read_line(&mut line)?;
            let wrong = || Failure::Wrong { refused: 0, wrong: 1, first: line.clone() };
            if line.contains(kind) { Ok(()) } else { Err(wrong()) }
        };
        ask(&mut requests_out)?;
        read("init_ok")?;
        let first_reply = started.elapsed();
        read("commit_offset_ok")?;
        let first_replicated = started.elapsed();
        let mut latencies = Vec::new();
        for _ in 0..requests {
            client.ask(&mut requests_out);
            let asked = Instant::now();
            ask(&mut requests_out)?;
            read("commit_offset_ok")?;
            latencies.push(asked.elapsed());
        }
        latencies.sort_unstable();
        let memory_mib = peak_mib(child.id())?;
        drop(stdin);
        if !child.wait()?.success() {
            return Err(Failure::Ended { ended: 1, nodes: 1 });
        }
        Ok(Self { first_reply, first_replicated, latencies, memory_mib })
    }
}

impl Pair<Run> {
    fn memory(&self) -> Pair<f64> {
        self.map(|run| run.memory_mib)
    }
}

impl Table {
    /// A row of both, with the memory of their runs, and what the ratio should be.
    fn compare(
        &mut self,
        name: &str,
        both: &Pair<f64>,
        reach: &str,
        met: fn(f64) -> bool,
        runs: &Pair<Run>,
    ) {
        self.push(name, both, Some((reach, met)), runs.memory());
    }

    /// A row of both that no ratio is asked of.
    fn inform(&mut self, name: &str, both: &Pair<f64>, runs: &Pair<Run>) {
        self.push(name, both, None, runs.memory());
    }

    /// The same, of what are no runs.
    fn row(&mut self, name: &str, both: &Pair<f64>, memory: Pair<f64>) {
        self.push(name, both, None, memory);
    }

    /// A row of cohort alone, and what the figure should be.
    fn alone(&mut self, name: &str, runs: &[Run], figure: impl Fn(&Run) -> f64, reach: Reach<'_>) {
        let cohort = Spread::of(runs.iter().map(figure));
        self.push_alone(name, cohort, reach, Spread::of(runs.iter().map(|run| run.memory_mib)));
    }
}
