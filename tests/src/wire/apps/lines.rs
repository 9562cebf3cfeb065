//! From the lines that an instance of an application prints to operations of the history.
//!
//! Each line is a JSON object. `event` says what happened, `at_us` when, in microseconds since 1970
//! by the clock of the machine.
//!
//! | `event` | other fields | |
//! | --- | --- | --- |
//! | `assigned`, `revoked`, `lost` | `partitions`: `[[topic, partition], …]` | first of all |
//! | `read` | `topic`, `partition`, `offset`, `message` | before anything is done with the record |
//! | `committing` | `offsets`: `[[topic, partition, offset], …]` | before the commit |
//! | `committed` | | it was acknowledged |
//! | `refused` | `error` | it was not, or nobody knows |
//!
//! Owns this form. The operations are `app_assigned`, `app_revoked`, `app_lost`, `app_read` and
//! `app_commit`; what the arena does to an instance is `app_signal`. They begin when the instance
//! says that it happened, and end when the arena has read that.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::history::{Micros, Op, Outcome};

/// The node of operations that no node saw.
const NO_NODE: &str = "app";

#[derive(Debug, Deserialize)]
struct Line {
    at_us: u64,
    #[serde(flatten)]
    event: Event,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Assigned { partitions: Vec<(String, u64)> },
    Revoked { partitions: Vec<(String, u64)> },
    Lost { partitions: Vec<(String, u64)> },
    Read { topic: String, partition: u64, offset: u64, message: String },
    Committing { offsets: Vec<(String, u64, u64)> },
    Committed,
    Refused { error: String },
}

/// What one instance has said so far.
#[derive(Debug)]
pub struct Lines {
    app: String,
    group: String,
    /// What the clock of the machine showed when the run's began.
    began_us: u64,
    last_us: Micros,
    ops: Vec<Op>,
    /// The commit that is under way: the first of its operations.
    open: Option<usize>,
}

fn by_topic(partitions: &[(String, u64)]) -> Value {
    let mut topics = serde_json::Map::new();
    for (topic, partition) in partitions {
        let of = topics.entry(topic.clone()).or_insert_with(|| json!([]));
        if let Value::Array(of) = of {
            of.push(json!(partition));
        }
    }
    Value::Object(topics)
}

impl Lines {
    /// Of an instance that has said nothing.
    pub fn new(app: &str, group: &str, began_us: u64) -> Self {
        let (app, group) = (app.to_owned(), group.to_owned());
        Self { app, group, began_us, last_us: 0, ops: Vec::new(), open: None }
    }

    /// Takes a line that was read at that time.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn take(&mut self, read_us: Micros, text: &str) -> Result<(), String> {
        let line: Line = serde_json::from_str(text).map_err(|error| {
            format!("{} says what is no event ({error}): {text:.200}", self.app)
        })?;
        // What was read has happened, after all that was said before it.
        let at_us = line.at_us.saturating_sub(self.began_us).min(read_us).max(self.last_us);
        self.last_us = at_us;
        let span = (at_us, read_us);
        match line.event {
            Event::Assigned { partitions } => self.holds("app_assigned", &partitions, span),
            Event::Revoked { partitions } => self.holds("app_revoked", &partitions, span),
            Event::Lost { partitions } => self.holds("app_lost", &partitions, span),
            Event::Read { topic, partition, offset, message } => {
                let args = json!({
                    "topic": topic, "partition": partition, "offset": offset, "message": message,
                });
                self.push("app_read", args, span, Outcome::Ok);
            }
            Event::Committing { offsets } => {
                if self.open.is_some() {
                    return Err(format!("{} commits before its last commit is over", self.app));
                }
                self.open = Some(self.ops.len());
                for (topic, partition, offset) in offsets {
                    let args = json!({ "topic": topic, "partition": partition, "offset": offset });
                    self.push("app_commit", args, span, Outcome::Info);
                }
            }
            Event::Committed => self.close(read_us, None)?,
            Event::Refused { error } => self.close(read_us, Some(error))?,
        }
        Ok(())
    }

    /// The arena does something to the instance.
    pub fn signal(&mut self, now_us: Micros, signal: &str) {
        self.push("app_signal", json!({ "signal": signal }), (now_us, now_us), Outcome::Ok);
    }

    /// All operations.
    pub fn into_ops(self) -> Vec<Op> {
        self.ops
    }

    fn holds(&mut self, f: &str, partitions: &[(String, u64)], span: (Micros, Micros)) {
        self.push(f, json!({ "topics": by_topic(partitions) }), span, Outcome::Ok);
    }

    fn close(&mut self, now_us: Micros, error: Option<String>) -> Result<(), String> {
        let open = self.open.take();
        let open = open.ok_or_else(|| format!("{} ends a commit that never began", self.app))?;
        let commits = self.ops.iter_mut().skip(open).filter(|op| op.f == "app_commit");
        for op in commits {
            op.complete_us = Some(now_us);
            match &error {
                None => (op.outcome, op.result) = (Outcome::Ok, Some(json!({}))),
                // Some of its partitions may have been committed.
                Some(error) => op.error = Some(error.clone()),
            }
        }
        Ok(())
    }

    fn push(&mut self, f: &str, mut args: Value, (from, to): (Micros, Micros), outcome: Outcome) {
        args["group"] = json!(self.group);
        // Times may be equal, and the order of what an instance says may not be lost.
        args["line"] = json!(self.ops.len());
        self.ops.push(Op {
            id: 0,
            process: self.app.clone(),
            node: NO_NODE.to_owned(),
            f: f.to_owned(),
            args,
            invoke_us: from,
            complete_us: (outcome == Outcome::Ok).then_some(to),
            outcome,
            result: (outcome == Outcome::Ok).then(|| json!({})),
            code: None,
            error: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &str = r#"{
        "at_us": 900, "event": "read", "topic": "t", "partition": 0, "offset": 7, "message": "v"
    }"#;

    #[test]
    fn lines_become_operations_in_their_order() {
        let mut lines = Lines::new("app1", "g", 1_000);
        for (read_us, text) in [
            (30, r#"{"at_us":1020,"event":"assigned","partitions":[["t",0],["t",1]]}"#),
            // Its clock went back: what came later happened no earlier.
            (40, READ),
            (50, r#"{"at_us":1050,"event":"committing","offsets":[["t",0,8]]}"#),
            (60, r#"{"at_us":2000,"event":"committed"}"#),
        ] {
            lines.take(read_us, text).expect("of the form");
        }
        lines.signal(70, "kill");
        let ops = lines.into_ops();
        let told = |op: &Op| (op.f.clone(), op.invoke_us, op.complete_us, op.outcome);
        let told: Vec<_> = ops.iter().map(told).collect();
        assert_eq!(
            told,
            [
                ("app_assigned".to_owned(), 20, Some(30), Outcome::Ok),
                ("app_read".to_owned(), 20, Some(40), Outcome::Ok),
                ("app_commit".to_owned(), 50, Some(60), Outcome::Ok),
                ("app_signal".to_owned(), 70, Some(70), Outcome::Ok),
            ]
        );
        assert_eq!(ops[0].args, json!({ "group": "g", "line": 0, "topics": { "t": [0, 1] } }));
        assert_eq!(ops[2].args["offset"], 8);
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let mut lines = Lines::new("app1", "g", 0);
        for (text, expected) in [
            ("hello", "app1 says what is no event"),
            (r#"{"at_us":1,"event":"rests"}"#, "no event"),
            (r#"{"at_us":1,"event":"committed"}"#, "never began"),
        ] {
            let problem = lines.take(1, text).expect_err("not of the form");
            assert!(problem.contains(expected), "{problem}");
        }
        let commit = r#"{"at_us":1,"event":"committing","offsets":[]}"#;
        lines.take(1, commit).expect("of the form");
        assert!(lines.take(1, commit).is_err(), "one after the other");
    }
}
