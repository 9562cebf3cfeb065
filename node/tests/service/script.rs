//! What a trace may say, one line each. A line in brackets is said, and what comes of it is not
//! printed.
//!
//! | line | what it does |
//! | --- | --- |
//! | `cluster nodes=3 flags=--heartbeat,100` | starts the nodes n1 to n3, and waits until one leads; it has to be the first line |
//! | `n2 c1 write k 1` | the client c1 asks the node n2; the words are those of the state machine's traces. Requests are named r1, r2, … |
//! | `run 2s` | time passes. Each other line takes 20 ms |
//! | `cut n1` | the node n1 is cut off from all others |
//! | `drop n2->n1 forward` | the next such message is lost; `count=all`: each, until `heal` |
//! | `hold n1->n2 forward_ok` | the next such message is kept; `count=all`: each |
//! | `release n1->n2` | what was kept there arrives |
//! | `heal` | cuts and rules end |
//! | `crash n1`, `restart n1` | the process ends; it starts again with what it had written |
//! | `close n1` | no more requests come from n1's clients |
//! | `status n1` | what the node knows of the cluster |
//! | `group n1 g` | the group g as n1 has applied it |
//! | `raft on`, `raft off` | whether Raft's own messages are printed |
//!
//! Printed are messages between services (`->` arrives, `-x` is lost, `-|` is held), changes of
//! leadership, and replies (`n2 c1 < r1 …`). In a member's id, `i1` stands for the first
//! incarnation of n1.

use std::fmt::Write as _;
use std::time::Duration;

use cohort::service::api::Request;
use state_machine::ids::{GroupId, NodeId};

use super::cluster::Cluster;
use super::network::Rule;
use super::show;
use super::words::{self, Ask, Line};

/// A line other than `run` takes this long.
const A_LINE: Duration = Duration::from_millis(20);

/// A cluster has a leader after at most this long.
const FIRST_ELECTION: Duration = Duration::from_secs(5);

/// Runs a trace: blocks of comments and lines, each followed by `---` and what happened; a blank
/// line ends a block. The result is the same trace with the output as it is now.
pub fn run(trace: &str) -> String {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(run_blocks(trace))
}

async fn run_blocks(trace: &str) -> String {
    let (mut cluster, mut out) = (None, String::new());
    for block in trace.split("\n\n").map(|block| block.trim_matches('\n')).filter(|b| !b.is_empty())
    {
        let lines: Vec<&str> = block.lines().take_while(|line| *line != "---").collect();
        if !out.is_empty() {
            out.push('\n');
        }
        let mut printed = String::new();
        for line in &lines {
            writeln!(out, "{line}").expect("a string");
            printed.push_str(&say(&mut cluster, line).await);
        }
        if lines.iter().any(|line| !line.starts_with('#')) {
            writeln!(out, "---\n{}", printed.trim_end()).expect("a string");
        }
    }
    out
}

/// One line; what it prints.
async fn say(cluster: &mut Option<Cluster>, line: &str) -> String {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return String::new();
    }
    let (line, muted) = match line.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => (inner, true),
        None => (line, false),
    };
    let mut printed = if line.starts_with("cluster") {
        *cluster = Some(start(line).await);
        Vec::new()
    } else {
        let cluster = cluster.as_mut().expect("a trace begins with `cluster`");
        let line = cluster.resolve(line);
        act(cluster, &line).await
    };
    let happened = cluster.as_mut().map(Cluster::told).unwrap_or_default();
    if muted {
        return String::new();
    }
    let named = printed
        .pop_if(|line| line.starts_with('('))
        .map_or_else(String::new, |name| format!("  {name}"));
    printed.splice(0..0, happened);
    let mut out = format!("> {line}{named}\n");
    for line in printed {
        let line = cluster.as_ref().map_or_else(|| line.clone(), |cluster| cluster.shown(&line));
        writeln!(out, "    {line}").expect("a string");
    }
    out
}

/// The first line of a trace.
pub async fn start(line: &str) -> Cluster {
    let value = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name));
    let nodes = value("nodes=").map_or(3, |nodes| nodes.parse().expect("a number of nodes"));
    let flags: Vec<&str> =
        value("flags=").map(|flags| flags.split(',').collect()).unwrap_or_default();
    let mut cluster = Cluster::start(nodes, &flags).await;
    // Only n1 stands for election, so that it is the first leader in every trace.
    let others = (2..=nodes).flat_map(|from| (1..=nodes).map(move |to| (from, to)));
    let silent =
        |(from, to)| Rule { from, to, kind: "raft_pre_vote".to_owned(), count: None, hold: false };
    cluster.network().lock().rules.extend(others.map(silent));
    let all_know = |cluster: &Cluster| (1..=nodes).all(|id| cluster.status(id).leader.is_some());
    let mut waited = Duration::ZERO;
    while !all_know(&cluster) {
        assert!(waited < FIRST_ELECTION, "no leader after {waited:?}");
        cluster.run(A_LINE).await;
        waited += A_LINE;
    }
    cluster.network().lock().rules.clear();
    // The leader's first entry is applied everywhere.
    cluster.run(Duration::from_millis(400)).await;
    cluster
}

fn node(name: &str) -> NodeId {
    let number = name.strip_prefix('n').and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("`{name}` is no node"))
}

fn link(text: &str) -> (NodeId, NodeId) {
    let (from, to) = text.split_once("->").unwrap_or_else(|| panic!("`{text}` is not n1->n2"));
    (node(from), node(to))
}

/// Any other line; what it prints besides what happens.
pub async fn act(cluster: &mut Cluster, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut printed = Vec::new();
    let mut time = A_LINE;
    match words.as_slice() {
        ["run", how_long] => time = Duration::from_millis(words::time(how_long)),
        ["cut", name] => {
            let (cut, all) = (node(name), cluster.size());
            let links = (1..=all).filter(|id| *id != cut).flat_map(|id| [(id, cut), (cut, id)]);
            cluster.network().lock().cut.extend(links);
        }
        ["drop" | "hold", on, kind, rest @ ..] => {
            let (from, to) = link(on);
            let count = if rest.contains(&"count=all") { None } else { Some(1) };
            let rule = Rule { from, to, kind: (*kind).to_owned(), count, hold: words[0] == "hold" };
            cluster.network().lock().rules.push(rule);
        }
        ["release", on] => {
            let (from, to) = link(on);
            cluster.release(from, to);
        }
        ["heal"] => {
            let mut wire = cluster.network().lock();
            wire.cut.clear();
            wire.rules.clear();
        }
        ["crash", name] => cluster.crash(node(name)),
        ["restart", name] => cluster.restart(node(name)).await,
        ["close", name] => cluster.close(node(name)),
        ["raft", how] => cluster.show_raft = *how == "on",
        ["status", name] => {
            let status = cluster.status(node(name));
            let leader =
                status.leader.map_or_else(|| "-".to_owned(), |leader| format!("n{leader}"));
            let index =
                |index: Option<u64>| index.map_or_else(|| "-".to_owned(), |i| i.to_string());
            let (applied, snapshot) = (index(status.applied_index), index(status.snapshot_index));
            let term = status.term;
            printed
                .push(format!("leader={leader} term={term} applied={applied} snapshot={snapshot}"));
        }
        ["group", name, group] => {
            let id = GroupId::from(*group);
            printed.push(cluster.state(node(name), |state| {
                state
                    .group(&id)
                    .map_or_else(|| "no such group".to_owned(), |g| show::group(group, g))
            }));
        }
        [name, client, request @ ..] => {
            let request = request_of(&request.join(" "));
            let named = cluster.ask(node(name), client, request).await;
            printed.push(format!("({named})"));
        }
        _ => panic!("`{line}` is no line of a trace"),
    }
    if !matches!(words[0], "status" | "group") {
        cluster.run(time).await;
    }
    printed
}

/// The words of the state machine's traces, as a request.
fn request_of(line: &str) -> Request {
    match Line::parse(line).ask {
        Ask::Command(command) => Request::Command(command),
        Ask::Query(query) => Request::Query(query),
        other => panic!("`{line}` is no request of a client: {other:?}"),
    }
}
