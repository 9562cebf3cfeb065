//! Watches anybody's application at work with any broker of Kafka's, and writes down what it saw.
//!
//! | module | owns |
//! | --- | --- |
//! | `proxy` | listeners and connections; passes everything on |
//! | `recording` | a recording's beginning and end |
//! | `frames` | frames off a connection |
//! | `rewrite` | addresses and versions in answers |
//! | `spool` | keeps frames and their times until the watch is over |
//! | `recorder` | from frames and their times to operations |
//! | `sessions` | what a request of a fetch session means |
//! | `ends` | groups and topics that ended unseen |
//! | `compacted` | asks which topics do not keep all records |
//!
//! The result is a history like that of a run, with the stage `watch`. What it lacks stands in the
//! header: `partial` says that others may have been at work beside the watch, `transactions` that
//! somebody used them. `docs/checkers.md`, "On the wire", says what is judged. Nothing here judges.

mod compacted;
mod ends;
mod frames;
mod proxy;
mod recorder;
mod recording;
mod rewrite;
mod sessions;
mod spool;

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::{TcpListener, lookup_host};
use tokio::task::LocalSet;

use crate::checkers::logs::topic;
use crate::history::{Header, History, Op};
pub(crate) use recorder::Recorded;
pub(crate) use recording::Recording;
use rewrite::Address;

/// What is watched, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where clients connect to: host and port.
    pub listen: String,
    /// A broker: host and port.
    pub kafka: String,
    /// After so long the watch ends by itself.
    pub lasts: Option<Duration>,
    /// Whether all clients of the brokers are watched, from the first one on.
    pub whole: bool,
    /// What is kept.
    pub bounds: Bounds,
}

/// What is kept of a recording, and where.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// How many operations and fetched records are judged.
    pub most: usize,
    /// The folder in which traffic is kept until the end.
    pub spool: PathBuf,
    /// How many bytes of traffic are kept.
    pub spool_bytes: u64,
}

impl Bounds {
    /// So many operations and fetched records, and 2 GiB of traffic in the folder of temporary
    /// files.
    #[must_use]
    pub fn of(most: usize) -> Self {
        Self { most, spool: std::env::temp_dir(), spool_bytes: 2 << 30 }
    }
}

/// Why there is no watch.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The broker's address says no host and port.
    #[error("{0}: expected HOST:PORT")]
    Address(String),
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// The operating system's words.
        source: io::Error,
    },
    /// The operating system gives no runtime, thread or signal.
    #[error("cannot watch: {0}")]
    System(#[from] io::Error),
    /// There is no file to keep the traffic in.
    #[error("cannot keep traffic in {folder}: {source}")]
    Spool {
        /// The folder.
        folder: String,
        /// The operating system's words.
        source: io::Error,
    },
    /// What was kept cannot be read again.
    #[error("the recording cannot be read: {0}")]
    Recording(io::Error),
    /// The recorder panicked.
    #[error("the recorder has failed")]
    Recorder,
}

/// What was watched.
#[derive(Debug)]
pub struct Watched {
    /// The history, as a run would have written it.
    pub history: History,
    /// What is to be said to people beside the verdict: each a line.
    pub remarks: Vec<String>,
    /// Whether the recording ended before the watch.
    pub is_cut: bool,
}

/// The address of a broker.
fn broker(text: &str) -> Result<Address, WatchError> {
    let bad = || WatchError::Address(text.to_owned());
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let port = port.parse().map_err(|_| bad())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() { Err(bad()) } else { Ok(Address { host: host.to_owned(), port }) }
}

/// Watches until `end` is there, or for as long as the settings say. `ready` is told the address
/// that clients connect to.
///
/// # Errors
/// Where there is nothing to listen at, or the operating system gives no thread.
pub fn watch(
    settings: &Settings,
    ready: impl FnOnce(&str),
    end: impl Future<Output = ()>,
) -> Result<Watched, WatchError> {
    let kafka = broker(&settings.kafka)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = LocalSet::new();
    let recording = tasks.block_on(&runtime, async {
        let failed = |source| WatchError::Listen { address: settings.listen.clone(), source };
        let mut addresses = lookup_host(&settings.listen).await.map_err(failed)?;
        let none = || failed(io::Error::from(io::ErrorKind::AddrNotAvailable));
        let address = addresses.next().ok_or_else(none)?;
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let routes = HashMap::new();
        let recording = Recording::start(Instant::now(), address.ip(), routes, &settings.bounds)?;
        recording.serve(listener, kafka.clone());
        ready(&address.to_string());
        match settings.lasts {
            None => end.await,
            // The end of its time is what it was asked for.
            Some(lasts) => drop(tokio::time::timeout(lasts, end).await),
        }
        Ok::<_, WatchError>(recording)
    })?;
    let (counts, mut brokers) = (recording.counts(), recording.brokers());
    drop(tasks);
    let mut recorded = recording.finish()?;
    let topics: BTreeSet<String> = recorded
        .ops
        .iter()
        .filter(|op| matches!(op.f.as_str(), "send" | "fetch"))
        .map(|op| topic(&op.args).to_owned())
        .collect();
    let compacted = runtime.block_on(compacted::compacted(&kafka, topics));
    let left_out = leave_out(&mut recorded, &compacted);
    if brokers.is_empty() {
        brokers.push(kafka.to_string());
    }
    let mut remarks = remarks(&recorded, counts);
    remarks.extend(left_out);
    let is_cut = recorded.full.is_some();
    Ok(Watched { history: history(settings, recorded, brokers), remarks, is_cut })
}

/// Leaves out what was read of topics that do not keep all records.
fn leave_out(recorded: &mut Recorded, compacted: &compacted::Compacted) -> Option<String> {
    let before = recorded.ops.len();
    recorded.ops.retain(|op| op.f != "fetch" || !compacted.may_be(topic(&op.args)));
    (recorded.ops.len() < before).then(|| {
        let what = match compacted {
            compacted::Compacted::Unknown(why) => {
                format!("topics that may be compacted ({why})")
            }
            compacted::Compacted::Known(topics) => {
                let names: Vec<&str> = topics.iter().map(String::as_str).collect();
                format!("topics that are compacted, or gone ({})", names.join(", "))
            }
        };
        format!("left out      {} fetches from {what}", before - recorded.ops.len())
    })
}

fn remarks(recorded: &Recorded, counts: proxy::Counts) -> Vec<String> {
    let mut remarks = vec![format!(
        "watched       {} connections, {} requests, {} operations",
        counts.connections,
        counts.requests,
        recorded.ops.len()
    )];
    let mut say = |count: u64, what: &str| {
        if count > 0 {
            remarks.push(format!("{count} {what}"));
        }
    };
    for (key, count) in &recorded.not_understood {
        let name = wire::versions::find(*key).map_or("?", |api| api.name);
        say(*count, &format!("answers not understood: {name}"));
    }
    say(recorded.untold, "partitions of other answers not understood");
    say(counts.not_rewritten, "answers passed on that may name brokers and could not be read");
    say(counts.opaque, "connections that were not Kafka's, or not to the end");
    say(counts.not_taken, "connections that the broker did not take");
    if !recorded.unknown.is_empty() {
        let kinds: Vec<String> =
            recorded.unknown.iter().map(|(key, count)| format!("{key} ({count})")).collect();
        remarks.push(format!("passed on unread: requests with the keys {}", kinds.join(", ")));
    }
    if let Some(full) = &recorded.full {
        let at = crate::checkers::clock::at(full.at);
        remarks.push(format!("the recording ended at {at}: {}", full.why));
    }
    remarks
}

/// The operations as a history has them, with the ends of groups that nobody asked for.
pub(crate) fn in_order(mut ops: Vec<Op>, whole: bool) -> Vec<Op> {
    ops.extend(ends::of_groups(&ops, whole));
    ops.sort_by_key(|op| (op.invoke_us, op.complete_us));
    for (id, op) in (0..).zip(&mut ops) {
        op.id = id;
    }
    ops
}

fn history(settings: &Settings, recorded: Recorded, nodes: Vec<String>) -> History {
    let ops = in_order(recorded.ops, settings.whole);
    let header = Header {
        arena: 1,
        workload: "watch".to_owned(),
        stage: "watch".to_owned(),
        nodes,
        seed: 0,
        heal_us: None,
        config: json!({ "partial": !settings.whole, "transactions": recorded.transactions }),
    };
    History { header, ops, faults: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::broker;

    #[test]
    fn a_broker_is_a_host_and_a_port() {
        let told = |text: &str| broker(text).ok().map(|address| (address.host, address.port));
        assert_eq!(told("b:9092"), Some(("b".to_owned(), 9092)));
        assert_eq!(told("[::1]:1"), Some(("::1".to_owned(), 1)));
        for bad in ["b", ":9092", "b:", "b:x", "b:70000"] {
            assert!(broker(bad).is_err(), "{bad}");
        }
    }
}
