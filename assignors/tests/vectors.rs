//! Kafka's own cases, and proof that the runner can fail.

#[path = "support/properties.rs"]
mod properties;
#[path = "support/vectors.rs"]
mod vectors;

use std::path::Path;
use std::process::Command;

use vectors::{Case, parse, run};

const DATA: &str = include_str!("../testdata/assignors.json");

fn cases() -> Vec<Case> {
    parse(DATA).expect("the test data")
}

#[test]
fn kafkas_cases() {
    let cases = cases();
    assert_eq!(cases.len(), 213);
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| run(case).err().map(|reason| format!("{} {}: {reason}", case.id, case.assignor)))
        .collect();
    assert!(failed.is_empty(), "{} failed\n{}", failed.len(), failed.join("\n"));
}
