//! The floor under every figure of `scripts/bench`: the smallest node that parses the same JSON and
//! answers from maps, without Raft, without an order to keep, without limits.
//!
//! It answers `init`, `echo`, Maelstrom's `send`, `poll` and registers, `commit_offset` and
//! `fetch_offset`. One thread reads what there is, answers every whole line of it, and writes all
//! answers at once. In a cluster each floor answers by itself: it is what no replicated node can
//! beat, and nobody should use.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Read, Write};

use serde::Deserialize;
use serde_json::value::RawValue;

/// Input is read in pieces of at most this many bytes; a pipe holds 64 KiB.
const CHUNK_BYTES: usize = 256 * 1024;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    src: Cow<'a, str>,
    #[serde(borrow)]
    body: Body<'a>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    msg_id: i64,
    #[serde(borrow)]
    node_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    echo: Option<&'a RawValue>,
    #[serde(borrow)]
    group: Option<Cow<'a, str>>,
    #[serde(borrow)]
    topic: Option<Cow<'a, str>>,
    partition: Option<u32>,
    offset: Option<u64>,
    /// As JSON text: registers take any value for a key.
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    msg: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    from: Option<&'a RawValue>,
    #[serde(borrow)]
    to: Option<&'a RawValue>,
    offsets: Option<HashMap<String, usize>>,
}

/// The answers of one chunk of input.
#[derive(Default)]
struct Output(Vec<u8>);

impl Output {
    fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn number(&mut self, number: impl serde::Serialize) -> &mut Self {
        serde_json::to_writer(&mut self.0, &number).expect("a number can be written to memory");
        self
    }
}

#[derive(Default)]
struct Floor {
    name: String,
    next_msg_id: u64,
    /// Messages as they were sent, by the JSON text of the key.
    logs: HashMap<String, Vec<Box<str>>>,
    /// By group, topic, partition.
    offsets: HashMap<String, HashMap<String, HashMap<u32, u64>>>,
    registers: HashMap<String, String>,
}

/// The value under `key`, made on first use; only then is the key copied.
fn entry<'m, V: Default>(map: &'m mut HashMap<String, V>, key: &str) -> &'m mut V {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), V::default());
    }
    map.get_mut(key).expect("it was made")
}

impl Floor {
    /// Answers one line; `None` where a field is missing.
    fn answer(&mut self, Message { src, body }: Message<'_>, out: &mut Output) -> Option<()> {
        if body.kind == "init" {
            self.name = body.node_id.as_deref()?.to_owned();
        }
        out.text(r#"{"src":""#)
            .text(&self.name)
            .text(r#"","dest":""#)
            .text(&src)
            .text(r#"","body":{"type":""#);
        let in_reply_to = r#"","in_reply_to":"#;
        let mut begin = |kind: &str| {
            out.text(kind).text(in_reply_to).number(body.msg_id);
        };
        match &*body.kind {
            "init" => begin("init_ok"),
            "echo" => {
                begin("echo_ok");
                out.text(r#","echo":"#).text(body.echo?.get());
            }
            "commit_offset" => {
                let topics = entry(&mut self.offsets, body.group.as_deref()?);
                entry(topics, body.topic.as_deref()?).insert(body.partition?, body.offset?);
                begin("commit_offset_ok");
            }
            "fetch_offset" => {
                let topics = self.offsets.get(body.group.as_deref()?);
                let partitions = topics.and_then(|topics| topics.get(body.topic.as_deref()?));
                let partition = body.partition?;
                let offset =
                    partitions.and_then(|offsets| offsets.get(&partition)).copied().unwrap_or(0);
                begin("fetch_offset_ok");
                out.text(r#","offset":"#).number(offset);
            }
            "send" => {
                let log = entry(&mut self.logs, body.key?.get());
                let offset = log.len();
                log.push(body.msg?.get().into());
                begin("send_ok");
                out.text(r#","offset":"#).number(offset);
            }
            "poll" => {
                begin("poll_ok");
                out.text(r#","msgs":{"#);
                let mut comma = "";
                for (key, from) in body.offsets? {
                    let key = serde_json::to_string(&key).ok()?;
                    let messages =
                        self.logs.get(&key).and_then(|log| log.get(from..)).unwrap_or_default();
                    if messages.is_empty() {
                        continue;
                    }
                    out.text(comma).text(&key).text(":[");
                    for (i, message) in messages.iter().take(1_000).enumerate() {
                        out.text(if i == 0 { "[" } else { ",[" }).number(from + i);
                        out.text(",").text(message).text("]");
                    }
                    out.text("]");
                    comma = ",";
                }
                out.text("}");
            }
            "read" => match self.registers.get(body.key?.get()) {
                Some(value) => {
                    begin("read_ok");
                    out.text(r#","value":"#).text(value);
                }
                None => {
                    begin("error");
                    out.text(r#","code":20"#);
                }
            },
            "write" => {
                body.value?.get().clone_into(entry(&mut self.registers, body.key?.get()));
                begin("write_ok");
            }
            "cas" => match self.registers.get_mut(body.key?.get()) {
                Some(value) if value == body.from?.get() => {
                    body.to?.get().clone_into(value);
                    begin("cas_ok");
                }
                present => {
                    begin("error");
                    out.text(r#","code":"#).number(if present.is_some() { 22 } else { 20 });
                }
            },
            _ => {
                begin("error");
                out.text(r#","code":10"#);
            }
        }
        out.text(r#","msg_id":"#).number(self.next_msg_id).text("}}\n");
        self.next_msg_id += 1;
        Some(())
    }
}

fn main() -> io::Result<()> {
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    let (mut floor, mut out) = (Floor::default(), Output::default());
    let mut input = vec![0; CHUNK_BYTES];
    let mut held = 0;
    loop {
        if held == input.len() {
            input.resize(2 * held, 0);
        }
        let read = stdin.read(&mut input[held..])?;
        if read == 0 {
            return Ok(());
        }
        held += read;
        let whole = input[..held].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in input[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let missing =
                || io::Error::other(format!("a field is missing: {}", line.escape_ascii()));
            floor.answer(serde_json::from_slice(line)?, &mut out).ok_or_else(missing)?;
        }
        input.copy_within(whole..held, 0);
        held -= whole;
        // Whole lines larger than its buffer pass `Stdout` by uncopied.
        stdout.write_all(&out.0)?;
        stdout.flush()?;
        out.0.clear();
    }
}
