//! The simulator repeats itself, and random cases of it are valid.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use arena::run::case::Case;
use arena::targets::sim::Sim;
use arena::workloads::Kind;
use cohort::config::Config;

#[path = "support/cases.rs"]
mod cases;

/// Seeds that are run; `ARENA_SEEDS` asks for more.
const SEEDS: u64 = 300;

/// All that a run says and leaves behind: what it printed and its exit status, and every file that
/// it wrote.
#[derive(Debug, PartialEq)]
struct Left {
    status: Option<i32>,
    stdout: String,
    stderr: String,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Left {
    /// Runs a case in a process of its own, in an empty folder.
    fn by(workload: Kind, seed: u64, folder: &Path) -> Self {
        if folder.exists() {
            std::fs::remove_dir_all(folder).expect("an earlier run's folder can go");
        }
        std::fs::create_dir_all(folder).expect("a folder for the run");
        let output = Command::new(env!("CARGO_BIN_EXE_arena"))
            .args([
                workload.name(),
                "--stage",
                "sim",
                "--nodes",
                "5",
                "--seconds",
                "6",
                "--nemesis",
                "all",
            ])
            .args(["--seed", &seed.to_string()])
            .current_dir(folder)
            .output()
            .expect("the arena runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the arena prints text");
        let mut files = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).expect("the run's folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(folder).expect("below it").to_owned();
                files.insert(name, std::fs::read(&path).expect("the run has ended"));
            }
        }
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Self { status: output.status.code(), stdout, stderr, files }
    }

    /// The file of that name, wherever it is.
    fn file(&self, name: &str) -> &[u8] {
        let mut found = self.files.iter().filter(|(path, _)| path.ends_with(name));
        match (found.next(), found.next()) {
            (Some((_, bytes)), None) => bytes,
            _ => panic!("not one `{name}` among {:?}", self.files.keys()),
        }
    }
}

#[test]
fn a_seed_gives_the_same_output_in_two_processes() {
    for (workload, seed) in Kind::ALL.into_iter().chain(Kind::APART).zip(20_u64..) {
        let folder = |which: &str| {
            let name = format!("sim-twice-{}-{which}", workload.name());
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
        };
        let first = Left::by(workload, seed, &folder("first"));
        let second = Left::by(workload, seed, &folder("second"));
        let name = workload.name();
        // There is something to compare: faults, operations, figures, a verdict.
        assert!(first.file("schedule.json").len() > 500, "{name} has hardly any faults");
        assert!(first.file("history.jsonl").len() > 10_000, "{name} has hardly any history");
        assert!(first.file("report.html").len() > 10_000, "{name} has hardly any report");
        for figure in ["operations", "network", "recovery"] {
            assert!(
                first.stdout.lines().any(|line| line.starts_with(figure)),
                "{figure}: {}",
                first.stdout
            );
        }
        assert_eq!(first.status, Some(0), "{}", first.stdout);
        assert!(
            first.stdout.lines().last().is_some_and(|line| line.starts_with("valid")),
            "{}",
            first.stdout
        );
        assert_eq!(first.stdout, second.stdout, "{name} with seed {seed} did not print the same");
        assert_eq!(first.stderr, second.stderr, "{name} with seed {seed} did not tell the same");
        // Not printed where it differs: nobody reads that much.
        assert!(first == second, "{name} with seed {seed} left other files");
    }
}

#[test]
fn records_that_come_and_go_are_valid() {
    let case = |seed| Case::swarm(seed, &Sim::new(seed, Config::default()), &Kind::APART);
    cases::all_are_valid(SEEDS / 10, case, |_| {});
}

#[test]
fn the_seeds_of_other_workloads_do_not_know_those_apart() {
    for seed in 1..=300 {
        let case = Case::swarm(seed, &Sim::new(seed, Config::default()), &Kind::ALL);
        assert!(!Kind::APART.contains(&case.workload), "seed {seed}");
        assert!(!case.args.iter().any(|arg| arg.starts_with("--retention")), "seed {seed}");
    }
}

#[test]
fn random_cases_are_valid() {
    let case = |seed| Case::swarm(seed, &Sim::new(seed, Config::default()), &Kind::ALL);
    cases::all_are_valid(SEEDS, case, |_| {});
}
