//! A toy that answers the workloads `kafka` and `lin-kv`, so that the arena can be proved without
//! cohort.
//!
//! The first node keeps all data in memory; the others pass requests on to it once and forget them
//! after 4 s. That is right, but not available: it must never be killed. The variable `TOY_PLANT`
//! names a fault to put in, see [`Plant`].

#![allow(clippy::print_stdout, reason = "a node speaks on standard output")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// A fault put in on purpose; each but the last few strikes one operation in twenty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plant {
    Nothing,
    /// A send is acknowledged, but not stored.
    LostWrite,
    /// A send is stored twice.
    DoubleApply,
    /// A read gives the value before the last one.
    StaleRead,
    /// A reply comes after 6 s.
    LateReply,
    /// A reply comes twice.
    SecondReply,
    /// A line that is no JSON.
    BadLine,
    /// A refused write takes effect.
    FalseRefusal,
    /// Ends with status 3 after 300 requests.
    Die,
    /// Does not end at the end of input.
    NoExit,
    /// Ends with status 1 at the end of input.
    BadExit,
    /// Stops answering after 200 requests.
    Mute,
}

#[derive(Default)]
struct Toy {
    id: String,
    first: String,
    logs: BTreeMap<String, Vec<Value>>,
    committed: BTreeMap<String, u64>,
    registers: BTreeMap<String, Vec<Value>>,
    applied: BTreeSet<(String, u64)>,
    /// Requests passed on, with the time when they came.
    passed: BTreeMap<u64, (Value, Instant)>,
    seq: u64,
    requests: u64,
}

fn main() {
    let plant = match std::env::var("TOY_PLANT").as_deref() {
        Ok("lost-write") => Plant::LostWrite,
        Ok("double-apply") => Plant::DoubleApply,
        Ok("stale-read") => Plant::StaleRead,
        Ok("late-reply") => Plant::LateReply,
        Ok("second-reply") => Plant::SecondReply,
        Ok("bad-line") => Plant::BadLine,
        Ok("false-refusal") => Plant::FalseRefusal,
        Ok("die") => Plant::Die,
        Ok("no-exit") => Plant::NoExit,
        Ok("bad-exit") => Plant::BadExit,
        Ok("mute") => Plant::Mute,
        _ => Plant::Nothing,
    };
    let mut toy = Toy::default();
    for line in std::io::stdin().lock().lines() {
        let message = line.ok().and_then(|line| serde_json::from_str::<Value>(&line).ok());
        if let Some(message) = message {
            toy.take(message, plant);
        }
    }
    match plant {
        Plant::NoExit => std::thread::sleep(Duration::from_secs(60)),
        Plant::BadExit => std::process::exit(1),
        _ => {}
    }
}

fn print(src: &str, dest: &str, body: &Value) {
    println!("{}", json!({ "src": src, "dest": dest, "body": body }));
}

impl Toy {
    fn take(&mut self, message: Value, plant: Plant) {
        let body = &message["body"];
        match body["type"].as_str() {
            Some("init") => {
                self.id = body["node_id"].as_str().unwrap_or_default().to_owned();
                self.first = body["node_ids"][0].as_str().unwrap_or_default().to_owned();
                self.reply(&message, json!({ "type": "init_ok" }), Plant::Nothing);
            }
            Some("passed") => {
                // The network may deliver it twice.
                let origin = (
                    body["by"].as_str().unwrap_or_default().to_owned(),
                    body["seq"].as_u64().unwrap_or(0),
                );
                if self.applied.insert(origin) {
                    let reply = self.apply(&body["message"]["body"], plant);
                    let back = json!({ "type": "back", "seq": body["seq"], "reply": reply });
                    print(&self.id, body["by"].as_str().unwrap_or_default(), &back);
                }
            }
            Some("back") => {
                let seq = body["seq"].as_u64().unwrap_or(0);
                if let Some((request, since)) = self.passed.remove(&seq)
                    && since.elapsed() < Duration::from_secs(4)
                {
                    self.reply(&request, body["reply"].clone(), plant);
                }
            }
            _ if self.id == self.first => {
                let reply = self.apply(body, plant);
                self.reply(&message, reply, plant);
            }
            _ => {
                self.seq += 1;
                self.passed.insert(self.seq, (message.clone(), Instant::now()));
                let pass =
                    json!({ "type": "passed", "by": self.id, "seq": self.seq, "message": message });
                print(&self.id, &self.first, &pass);
            }
        }
    }

    fn reply(&mut self, request: &Value, mut reply: Value, plant: Plant) {
        self.requests += 1;
        reply["in_reply_to"] = request["body"]["msg_id"].clone();
        let client = request["src"].as_str().unwrap_or_default();
        let strikes = self.requests.is_multiple_of(20);
        match plant {
            Plant::LateReply if strikes => {
                let (id, client) = (self.id.clone(), client.to_owned());
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_secs(6));
                    print(&id, &client, &reply);
                });
                return;
            }
            Plant::SecondReply if strikes => print(&self.id, client, &reply),
            Plant::BadLine if strikes => println!("starting up…"),
            Plant::Die if self.requests > 300 => std::process::exit(3),
            Plant::Mute if self.requests > 200 => return,
            _ => {}
        }
        print(&self.id, client, &reply);
    }

    fn apply(&mut self, body: &Value, plant: Plant) -> Value {
        let strikes = self.logs.values().map(Vec::len).sum::<usize>() % 20 == 19;
        let text = |key: &str| body[key].to_string();
        let name = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let error = |code: u32| json!({ "type": "error", "code": code, "text": "" });
        match body["type"].as_str().unwrap_or_default() {
            "send" => {
                let log = self.logs.entry(name("key")).or_default();
                let offset = log.len();
                if plant == Plant::LostWrite && strikes {
                    // The next one must not strike too.
                    self.logs.entry("other".to_owned()).or_default().push(Value::Null);
                    return json!({ "type": "send_ok", "offset": offset });
                }
                log.push(body["msg"].clone());
                if plant == Plant::DoubleApply && strikes {
                    log.push(body["msg"].clone());
                }
                if plant == Plant::FalseRefusal && strikes {
                    return error(11);
                }
                json!({ "type": "send_ok", "offset": offset })
            }
            "poll" => {
                let mut msgs = Map::new();
                for (key, from) in body["offsets"].as_object().into_iter().flatten() {
                    let from = usize::try_from(from.as_u64().unwrap_or(0)).unwrap_or(0);
                    let log = self
                        .logs
                        .get(key)
                        .map_or(&[][..], |log| log.get(from..).unwrap_or_default());
                    if !log.is_empty() {
                        let numbered =
                            log.iter().enumerate().map(|(i, msg)| json!([from + i, msg]));
                        msgs.insert(key.clone(), numbered.collect());
                    }
                }
                json!({ "type": "poll_ok", "msgs": msgs })
            }
            "commit_offsets" => {
                for (key, offset) in body["offsets"].as_object().into_iter().flatten() {
                    let kept = self.committed.entry(key.clone()).or_default();
                    *kept = (*kept).max(offset.as_u64().unwrap_or(0));
                }
                json!({ "type": "commit_offsets_ok" })
            }
            "list_committed_offsets" => {
                let keys = body["keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let known =
                    keys.filter_map(|key| Some((key.to_owned(), json!(self.committed.get(key)?))));
                json!({ "type": "list_committed_offsets_ok", "offsets": known.collect::<Map<_, _>>() })
            }
            "read" => match self.registers.get(&text("key")) {
                Some(values) => {
                    let back = usize::from(plant == Plant::StaleRead && values.len() % 20 == 19);
                    let value = values.len().checked_sub(1 + back).map(|i| &values[i]);
                    json!({ "type": "read_ok", "value": value })
                }
                None => error(20),
            },
            "write" => {
                self.registers.entry(text("key")).or_default().push(body["value"].clone());
                json!({ "type": "write_ok" })
            }
            "cas" => match self.registers.get_mut(&text("key")) {
                Some(values) if values.last() == Some(&body["from"]) => {
                    values.push(body["to"].clone());
                    json!({ "type": "cas_ok" })
                }
                Some(_) => error(22),
                None => error(20),
            },
            _ => error(10),
        }
    }
}
