//! What `arena check` says of whole histories: files on disk, the order of verdicts, and exit
//! codes.

mod checkers_support;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use arena::checkers::node_fault::MANY_PARTITIONS;
use arena::checkers::{all, judge, state};
use arena::history::History;
use checkers_support::{HistoryBuilder, catches, history_of, leaves_open, passes};
use serde_json::json;

fn read(name: &str) -> History {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("histories").join(name);
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    History::read(BufReader::new(file))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_sound_history_is_valid() {
    let judgement = judge(&read("kafka-sound.jsonl"));
    assert_eq!(judgement.exit_code(), 0, "{judgement}");
    assert!(judgement.summary().starts_with("valid: "), "{judgement}");
    assert!(judgement.not_judged().any(|(name, _)| name == "linearizable-register"));
}

#[test]
fn a_node_that_is_at_fault_itself_is_caught_and_other_refusals_are_not() {
    let fetch = json!({ "topic": "t", "partition": 0, "offset": 0 });
    let refused =
        |code, error| history_of("groups").fail("p0", "fetch", fetch.clone(), (1, 2), code, error);
    catches("node-fault", &refused(13, "UNKNOWN_SERVER_ERROR").end(), &["n1", "fetch", "p0"]);
    passes("node-fault", &refused(20, "UNKNOWN_TOPIC_OR_PARTITION").end());
    let rotten = refused(13, "UNKNOWN_SERVER_ERROR").fault("bit-rot", 0, Some(1)).end();
    leaves_open("node-fault", &rotten, "rotted");
    let too_long = |history: HistoryBuilder, f| {
        history.fail("p0", f, json!({ "group": "g" }), (3, 4), 13, "UNKNOWN_SERVER_ERROR").end()
    };
    let described = too_long(history_of("groups"), "describe_group");
    leaves_open("node-fault", &described, "nothing was answered");
    catches("node-fault", &too_long(history_of("groups"), "poll"), &["n1", "poll", "p0"]);
    let made = json!({ "topic": "t", "partitions": MANY_PARTITIONS });
    let many = history_of("groups").ok("p0", "create_topic", made, (1, 2), json!({}));
    passes("node-fault", &too_long(many, "poll"));
}

#[test]
fn anomalies_are_named_with_their_operations() {
    let judgement = judge(&read("kafka-lost-write.jsonl"));
    assert_eq!(judgement.exit_code(), 1);
    let names: BTreeSet<&str> = judgement.anomalies().map(|(name, _)| name).collect();
    assert!(names.contains("lost-write") && names.contains("inconsistent-offsets"), "{names:?}");
    let text = judgement.to_string();
    assert!(text.starts_with("ANOMALY"), "{text}");
    assert!(text.lines().last().is_some_and(|line| line.starts_with("anomaly: ")), "{text}");
}

#[test]
fn a_zombie_reader_is_caught_by_ownership_and_fencing() {
    let names: BTreeSet<&str> =
        judge(&read("groups-zombie.jsonl")).anomalies().map(|(name, _)| name).collect();
    for name in ["overlapping-ownership", "two-generations", "fenced-commit"] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
}

#[test]
fn an_empty_history_cannot_be_judged() {
    let judgement = judge(&history_of("kafka").end());
    assert_eq!(judgement.exit_code(), 2);
    assert_eq!(judgement.not_judged().count(), all().len(), "{judgement}");
}

#[test]
fn names_are_unique_and_in_kebab_case() {
    let kebab =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let of_histories: Vec<&str> = all().iter().map(|checker| checker.name()).collect();
    let of_traces: Vec<&str> = state::all()
        .iter()
        .map(|checker| checker.name().strip_prefix("state/").expect("its kind"))
        .collect();
    for names in [of_histories, of_traces] {
        assert!(names.iter().all(|name| kebab(name)), "{names:?}");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
}

#[test]
fn every_checker_is_in_the_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/checkers.md");
    let docs = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let told = |name: &str| docs.contains(&format!("`{name}`"));
    for checker in all() {
        assert!(told(checker.name()), "{} is not in docs/checkers.md", checker.name());
    }
    for checker in state::all() {
        // Under the name of the checker of histories where there is one.
        let name = checker.name();
        assert!(
            told(name) || told(name.trim_start_matches("state/")),
            "{name} is not in docs/checkers.md"
        );
    }
}
