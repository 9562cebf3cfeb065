//! Fidelity: the same requests to Kafka and to cohort, and their answers field by field.
//!
//! What Kafka answered lies in `answers/`, a file an API and a line a step, so no Kafka is needed
//! here. `scripts/fidelity record` asks a Kafka anew and writes the files. What differs is listed
//! in `differences.md` with its reason, and nothing else differs.
//!
//! | module | owns |
//! | --- | --- |
//! | `scenario` | which requests, in which order |
//! | `play` | the connections they go through, and the steps that are kept |
//! | `tree` | a message as a tree of fields |
//! | `names` | what varies from run to run gets a name |
//! | `compare` | which fields differ, and whether that is known |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wire::versions;

use super::broker::Broker;
use compare::{differences, known};
use play::{Play, Step};

mod compare;
mod names;
mod play;
mod scenario;
mod tree;

/// Settings of cohort that are those of the Kafka that was asked: `docs/kafka.md` names them.
const SETTINGS: &[&str] =
    &["--node-id", "0", "--group.min.session.timeout.ms", "1000", "--retention.ms", "-1"];

/// The address of a Kafka whose answers are kept in place of those that are there. It is asked
/// before cohort is.
const RECORD_FROM: &str = "COHORT_FIDELITY_KAFKA";

/// What is asked of a broker: stories, one after the other.
struct Scenario {
    /// The folder of its answers.
    folder: &'static str,
    stories: &'static [scenario::Story],
    /// The table of what is known to differ.
    known: &'static str,
}

/// The two have files of their own.
const SCENARIOS: [Scenario; 2] = [
    Scenario { folder: "", stories: scenario::STORIES, known: "differences.md" },
    Scenario { folder: "configs", stories: scenario::CONFIGS, known: "configs-differences.md" },
];

/// Answers of Kafka: which file, which step; what was asked, what was answered.
type Kept = BTreeMap<(PathBuf, String), (Value, Value)>;

impl Scenario {
    /// The steps, and which stories came to no end: one does not hide what the others show.
    fn play(&self, address: &str) -> (Vec<Step>, Vec<&'static str>) {
        let mut play = Play::new(address);
        let mut broken = Vec::new();
        for (name, story) in self.stories {
            play.story(name);
            let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| story(&mut play)));
            if told.is_err() {
                broken.push(*name);
            }
        }
        (play.steps, broken)
    }

    fn own_folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/fidelity")
    }

    fn folder(&self) -> PathBuf {
        Self::own_folder().join("answers").join(self.folder)
    }

    fn files(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.folder()).expect("recorded answers");
        files.map(|file| file.expect("a file").path()).filter(|file| file.is_file()).collect()
    }

    fn file(&self, api: i16) -> PathBuf {
        let name = versions::find(api).map_or("unknown", |api| api.name);
        self.folder().join(format!("{name}.jsonl"))
    }

    fn kept(&self) -> Kept {
        let mut kept = BTreeMap::new();
        for file in self.files() {
            let text = std::fs::read_to_string(&file).expect("text");
            for line in text.lines() {
                let line: Value = serde_json::from_str(line).expect("a line of JSON");
                let step = line["step"].as_str().expect("a name").to_owned();
                let told = (line["request"].clone(), line["answer"].clone());
                kept.insert((file.clone(), step), told);
            }
        }
        kept
    }

    /// Asks a Kafka, and writes its answers.
    fn record(&self, address: &str) {
        let mut files = BTreeMap::<PathBuf, String>::new();
        let (steps, broken) = self.play(address);
        for step in steps {
            let text = files.entry(self.file(step.api)).or_default();
            writeln!(text, "{}", step.line()).expect("a string takes it");
        }
        std::fs::create_dir_all(self.folder()).expect("a folder");
        for old in self.files() {
            std::fs::remove_file(old).expect("a file of answers");
        }
        for (file, text) in files {
            std::fs::write(file, text).expect("a folder that can be written");
        }
        assert!(broken.is_empty(), "stories that came to no end: {broken:?}");
    }

    /// What is wrong; nothing if cohort answers as Kafka does, but for what is known.
    fn compare(&self) -> Vec<String> {
        if let Ok(kafka) = std::env::var(RECORD_FROM) {
            self.record(&kafka);
        }
        let table = Self::own_folder().join(self.known);
        let known = known(&std::fs::read_to_string(table).expect("a table"));
        let broker = Broker::dev(SETTINGS);
        let mut kept = self.kept();
        let (steps, broken) = self.play(&broker.address);
        let mut wrong: Vec<String> = Vec::new();
        let mut used = BTreeSet::new();
        for step in steps {
            let api = versions::find(step.api).map_or("?", |api| api.name);
            let what = format!("{api}: {}", step.name);
            let at = (self.file(step.api), step.name.clone());
            let Some((request, answer)) = kept.remove(&at) else {
                wrong.push(format!("{what}: no answer of Kafka: record it"));
                continue;
            };
            if request != step.request {
                wrong.push(format!("{what}: asked {}, Kafka was asked {request}", step.request));
            }
            for found in differences(&answer, &step.answer) {
                match known.iter().position(|known| known.covers(&step, &found)) {
                    Some(at) => _ = used.insert(at),
                    None => wrong.push(format!("{what}: {found}")),
                }
            }
        }
        let untold =
            kept.keys().map(|(_, step)| format!("{step}: only Kafka was asked: record it"));
        wrong.extend(untold);
        let broken = broken.iter().map(|story| format!("{story}: it came to no end, see above"));
        wrong.extend(broken);
        let unused = (0..known.len()).filter(|at| !used.contains(at));
        wrong.extend(unused.map(|at| format!("covers nothing: {:?}", known[at])));
        wrong
    }
}

#[test]
fn cohort_answers_as_kafka_does_but_for_what_is_listed() {
    for scenario in &SCENARIOS {
        let wrong = scenario.compare();
        assert!(wrong.is_empty(), "{} lines:\n{}", wrong.len(), wrong.join("\n"));
    }
}

/// How many steps are kept at least.
const LEAST: usize = 800;

/// Kafka and cohort both serve every version that cohort serves, so there is none without a
/// reference.
#[test]
fn every_version_that_is_served_was_answered_by_kafka() {
    let mut answered = BTreeSet::new();
    let mut steps = 0;
    for scenario in &SCENARIOS {
        for ((file, step), (_, answer)) in scenario.kept() {
            steps += 1;
            let version = step.rsplit_once(" v").and_then(|(_, version)| version.parse().ok());
            let version: i16 = version.expect("the name of a step ends with its version");
            if answer != play::CLOSED {
                let api = file.file_stem().and_then(|name| name.to_str()).expect("a name");
                answered.insert((api.to_owned(), version));
            }
        }
    }
    assert!(steps >= LEAST, "{steps} steps");
    for api in versions::ALL {
        let missing: Vec<i16> = (api.min..=api.max)
            .filter(|version| api.serves(*version))
            .filter(|version| !answered.contains(&(api.name.to_owned(), *version)))
            .collect();
        assert!(missing.is_empty(), "{} in versions {missing:?}", api.name);
    }
}
