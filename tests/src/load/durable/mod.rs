//! What durability costs beside the floor: the figures of `scripts/bench --durable`.
//!
//! Both clusters, three nodes of cohort and three of the floor (`node/examples/durable_floor.rs`),
//! stand on the same disk at the same time and are asked in turn, so that what else the disk has to
//! do meets both. Requests are Kafka's Produce with one record each, to the leader. The floor takes
//! them as they are. A ratio of a rate says how much of the floor's is reached, one of a latency
//! how many times as long an answer takes.
//!
//! | module | owns |
//! | --- | --- |
//! | `clients` | requests and the times of their answers |
//! | `nodes` | the processes |

mod clients;
mod nodes;

use std::error::Error;
use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use wire::batch::{Record, build};
use wire::frame;
use wire::kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use wire::kafka_protocol::messages::{ProduceRequest, RequestKind};
use wire::kafka_protocol::protocol::StrBytes;
use wire::versions::PRODUCE;

use self::clients::{Counted, Load};
use self::nodes::{Nodes, PARTITIONS, TOPIC};
use super::bench::Programs;
use super::cluster::at;
use super::machine::{cores, load_average};
use super::table::{Pair, Reach, Table};

/// The version of the requests.
const VERSION: i16 = 9;
/// Where an answer to them has its error code: behind length, id, tags, the number of topics, the
/// topic's name with its length, the number of partitions and the partition.
const ERROR_AT: usize = 4 + 4 + 1 + 1 + 1 + TOPIC.len() + 1 + 4;
/// Bytes of a record's value.
const SIZES: [usize; 2] = [256, 1024];
/// Of each load this share comes before what counts.
const WARM_UP: f64 = 0.25;

/// How many clients there are, and what is asked of the ratios.
struct Shape {
    name: &'static str,
    connections: usize,
    window: usize,
    rate: Reach<'static>,
    p50: Reach<'static>,
    p99: Reach<'static>,
}

const SHAPES: [Shape; 4] = [
    Shape {
        name: "1 client that waits",
        connections: 1,
        window: 1,
        rate: None,
        p50: Some(("≤ 1.5", |ratio| ratio <= 1.5)),
        p99: Some(("≤ 2", |ratio| ratio <= 2.0)),
    },
    Shape {
        name: "64 clients that wait",
        connections: 64,
        window: 1,
        rate: Some(("≥ 0.6", |ratio| ratio >= 0.6)),
        p50: None,
        p99: None,
    },
    Shape {
        name: "64 under way on one connection",
        connections: 1,
        window: 64,
        rate: Some(("≥ 0.5", |ratio| ratio >= 0.5)),
        p50: None,
        p99: None,
    },
    Shape {
        name: "1,024 under way on 8 connections",
        connections: 8,
        window: 128,
        rate: Some(("≥ 0.2", |ratio| ratio >= 0.2)),
        p50: None,
        p99: None,
    },
];

/// Where, how often and how long.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    programs: Programs,

    /// The folder in which both keep their data while they run; by default that of temporary files
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Take each figure this many times
    #[arg(long, value_name = "N", default_value = "5")]
    passes: NonZeroU32,

    /// How long each load lasts, in ms
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    span: u64,

    /// Once each and short: whether everything works, not how well
    #[arg(long)]
    quick: bool,
}

/// What one load showed.
#[derive(Debug, Clone, Default)]
struct Run {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Of all three nodes, for one acknowledged request, in microseconds.
    cpu_us: f64,
    /// Bytes that a node wrote to its disk for each acknowledged byte of values.
    written: f64,
    memory_mib: f64,
}

/// Takes the figures, says how far it is, and gives the whole output.
///
/// # Errors
/// Where nodes do not start, or an answer is missing or a refusal.
pub fn measure(args: &Args, tell: &dyn Fn(&str)) -> Result<String, Box<dyn Error>> {
    let (passes, span) = if args.quick { (1, 100) } else { (args.passes.get(), args.span) };
    let span = Duration::from_millis(span);
    let load_before = load_average()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut all: Vec<Vec<Pair<Run>>> = SHAPES
        .iter()
        .map(|_| SIZES.map(|_| Pair { cohort: Vec::new(), floor: Vec::new() }).into())
        .collect();
    let data = args.data.clone().unwrap_or_else(std::env::temp_dir);
    tokio::task::LocalSet::new().block_on(&runtime, async {
        for pass in 0..passes {
            let floor = Nodes::of_floor(&args.programs.floor, &data)?;
            let cohort = Nodes::of_cohort(&args.programs.cohort, &data).await?;
            for (shape, figures) in SHAPES.iter().zip(&mut all) {
                for (size, pair) in SIZES.into_iter().zip(figures) {
                    let name = shape.name;
                    tell(&format!("{name}, {size} B: {} of {passes}", pass + 1));
                    // The other way round in every second pass.
                    for first in [pass % 2 == 0, pass % 2 != 0] {
                        if first {
                            pair.floor.push(take(&floor, shape, size, None, span).await?);
                        } else {
                            let run = take(&cohort, shape, size, Some(ERROR_AT), span).await?;
                            pair.cohort.push(run);
                        }
                    }
                }
            }
        }
        Ok::<_, io::Error>(())
    })?;
    let mut table = Table::default();
    for (shape, figures) in SHAPES.iter().zip(&all) {
        for (size, pair) in SIZES.into_iter().zip(figures) {
            rows(&mut table, shape, size, pair);
        }
    }
    Ok(format!(
        "{table}\nMedian of {passes} runs (least to most) of {} s each, cohort and floor in turn, \
         three nodes of both on the data folder {}, on {} that they share with the clients. \
         Memory: the most that any node held (VmHWM). Load average {load_before} before, \
         {} after.\n",
        span.as_secs_f64(),
        data.display(),
        cores()?,
        load_average()?
    ))
}

fn rows(table: &mut Table, shape: &Shape, size: usize, pair: &Pair<Run>) {
    let name = format!("{}, {size} B", shape.name);
    let mut row = |what: &str, of: fn(&Run) -> f64, reach: Reach<'_>| {
        table.push(
            &format!("{what}, {name}"),
            &pair.map(of),
            reach,
            pair.map(|run| run.memory_mib),
        );
    };
    row("requests/s", |run| run.per_second, shape.rate);
    row("ms p50", |run| run.p50_ms, shape.p50);
    row("ms p99", |run| run.p99_ms, shape.p99);
    row("CPU µs per request, three nodes", |run| run.cpu_us, None);
    row("bytes written per byte, a node", |run| run.written, None);
}

/// Loads a cluster once.
async fn take(
    nodes: &Nodes,
    shape: &Shape,
    size: usize,
    error_at: Option<usize>,
    span: Duration,
) -> io::Result<Run> {
    let frames: Vec<Vec<u8>> =
        (0..PARTITIONS).map(|partition| produce(partition, size)).collect::<io::Result<_>>()?;
    let (connections, window) = (shape.connections, shape.window);
    let load = Load { address: nodes.leader, connections, window, frames, error_at };
    let from = Instant::now() + span.mul_f64(WARM_UP);
    let counted = Counted { from, until: from + span };
    // Processor time and bytes are those of the time that counts.
    let look = async {
        tokio::time::sleep_until(counted.from.into()).await;
        let before = nodes.taken()?;
        tokio::time::sleep_until(counted.until.into()).await;
        let after = nodes.taken()?;
        Ok((after.cpu - before.cpu, after.written - before.written))
    };
    let (latencies, (cpu, written)) = tokio::try_join!(load.run(counted), look)?;
    let answered = latencies.len().max(1) as f64;
    let ms = |share| at(&latencies, share).as_secs_f64() * 1e3;
    Ok(Run {
        per_second: latencies.len() as f64 / span.as_secs_f64(),
        p50_ms: ms(0.5),
        p99_ms: ms(0.99),
        cpu_us: cpu * 1e6 / answered,
        written: written as f64 / 3.0 / (answered * size as f64),
        memory_mib: nodes.peak_mib()?,
    })
}

/// A request with one record, which waits until all copies are there.
fn produce(partition: i32, size: usize) -> io::Result<Vec<u8>> {
    let value = vec![b'x'; size].into();
    let records = build(&[Record { value: Some(value), ..Record::default() }], 0, None);
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(StrBytes::from_static_str(TOPIC).into())
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic]);
    let request = RequestKind::Produce(request);
    let frame = frame::request(PRODUCE, VERSION, 0, Some("bench"), &request);
    frame.map(|frame| frame.to_vec()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use wire::kafka_protocol::messages::produce_response::{
        PartitionProduceResponse, TopicProduceResponse,
    };
    use wire::kafka_protocol::messages::{ProduceResponse, ResponseKind};

    use super::*;

    #[test]
    fn a_refusal_is_seen() {
        let refused = PartitionProduceResponse::default().with_index(3).with_error_code(0x0102);
        let topic = TopicProduceResponse::default()
            .with_name(StrBytes::from_static_str(TOPIC).into())
            .with_partition_responses(vec![refused]);
        let reply = ProduceResponse::default().with_responses(vec![topic]);
        let answer = frame::encode(PRODUCE, VERSION, 7, &ResponseKind::Produce(reply));
        let answer = answer.expect("an answer");
        assert_eq!(answer[ERROR_AT..ERROR_AT + 2], [1, 2]);
    }
}
