//! What a client asks, one request after the other, and what it has to be answered.
//!
//! A client has a log, a topic, a group and a register of its own, and a node answers it in order.
//! So its own requests alone decide every answer, and an answer is compared byte by byte. The floor
//! and cohort get the same.

use std::time::{Duration, Instant};

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Answered without Raft.
    Echo,
    /// Maelstrom's `send` to the client's log.
    Send,
    /// Maelstrom's `poll` of the last three messages of the client's log.
    Poll,
    /// Maelstrom's `commit_offsets` for the client's log.
    CommitOffsets,
    /// Maelstrom's `list_committed_offsets` of the client's log.
    ListCommittedOffsets,
    /// `commit_offset` of the client's group, six partitions in turn.
    CommitOffset,
    /// `fetch_offset` of the same.
    FetchOffset,
    /// `read` of the client's register.
    Read,
    /// `write` to the client's register.
    Write,
    /// `cas` of the client's register, from what it has.
    Cas,
    /// `create_topic` with one partition.
    CreateTopic,
    /// `send` to the client's topic.
    SendToTopic,
    /// `fetch` of the last three records of the client's topic.
    Fetch,
    /// `subscribe` of the client to its topic, in its group.
    Subscribe,
    /// `poll` of the client as a thin consumer.
    PollGroup,
    /// `heartbeat` of the client as a thin consumer.
    Heartbeat,
    /// `unsubscribe` of the client.
    Unsubscribe,
}

/// What the clients of a run ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// How the command line calls it.
    pub name: &'static str,
    /// How a table calls it.
    pub title: &'static str,
    /// What a client asks once, before anything is counted.
    pub setup: &'static [Op],
    /// What it asks over and over after that.
    pub turns: &'static [Op],
    /// Whether the floor knows all of it.
    pub floor: bool,
}

const THREE_RECORDS: &[Op] = &[Op::CreateTopic, Op::SendToTopic, Op::SendToTopic, Op::SendToTopic];

const fn work(
    name: &'static str,
    title: &'static str,
    setup: &'static [Op],
    turns: &'static [Op],
    floor: bool,
) -> Work {
    Work { name, title, setup, turns, floor }
}

/// The mix of `scripts/bench`. Neighbours differ, so that reads stand between writes.
pub const MIXED: Work = work(
    "mixed",
    "mixed",
    &[],
    &[
        Op::Send,
        Op::FetchOffset,
        Op::CommitOffset,
        Op::Send,
        Op::CommitOffset,
        Op::Poll,
        Op::Send,
        Op::FetchOffset,
        Op::CommitOffset,
        Op::CommitOffset,
    ],
    true,
);

/// `commit_offset` alone.
pub const COMMIT_OFFSET: Work =
    work("commit_offset", "`commit_offset`", &[], &[Op::CommitOffset], true);

/// Maelstrom's `send` alone.
pub const SEND: Work = work("send", "`send`", &[], &[Op::Send], true);

/// Every operation that `arena load` measures.
pub const OPERATIONS: [Work; 14] = [
    work("echo", "`echo`", &[], &[Op::Echo], true),
    SEND,
    work("poll", "`poll`, 3 messages", &[Op::Send; 3], &[Op::Poll], true),
    work("commit_offsets", "`commit_offsets`", &[Op::Send], &[Op::CommitOffsets], false),
    work(
        "list_committed_offsets",
        "`list_committed_offsets`",
        &[Op::Send, Op::CommitOffsets],
        &[Op::ListCommittedOffsets],
        false,
    ),
    COMMIT_OFFSET,
    work("fetch_offset", "`fetch_offset`", &[Op::CommitOffset; 6], &[Op::FetchOffset], true),
    work("read", "`read`", &[Op::Write], &[Op::Read], true),
    work("write", "`write`", &[], &[Op::Write], true),
    work("cas", "`cas`", &[Op::Write], &[Op::Cas], true),
    work("fetch", "`fetch`, 3 records", THREE_RECORDS, &[Op::Fetch], false),
    work(
        "consume",
        "`send` to a topic, `poll` of its consumer",
        &[Op::CreateTopic, Op::Subscribe],
        &[Op::SendToTopic, Op::PollGroup],
        false,
    ),
    work(
        "heartbeat",
        "thin `heartbeat`",
        &[Op::CreateTopic, Op::Subscribe],
        &[Op::Heartbeat],
        false,
    ),
    work(
        "membership",
        "`subscribe`, `poll`, `unsubscribe`",
        &[Op::CreateTopic],
        &[Op::Subscribe, Op::PollGroup, Op::Unsubscribe],
        false,
    ),
];

/// What node `index` is called.
pub fn name(index: usize) -> String {
    format!("n{}", index + 1)
}

/// One request, with all that it and its answer say.
struct Turn {
    op: Op,
    msg_id: u64,
    /// The first offset of what is read; the partition of an offset commit; what a `cas` expects.
    from: u64,
    /// What is written or read; the end of what is read.
    value: u64,
    generation: u64,
}

/// A way through a client's requests. It knows what they do to what the client has.
struct Walk {
    work: Work,
    turns: u64,
    messages: u64,
    committed: u64,
    offsets: [u64; 6],
    register: u64,
    records: u64,
    /// Where the next poll of the client's group goes on.
    position: u64,
    generation: u64,
}

impl Walk {
    fn new(work: Work) -> Self {
        Self {
            work,
            turns: 0,
            messages: 0,
            committed: 0,
            offsets: [0; 6],
            register: 0,
            records: 0,
            position: 0,
            generation: 0,
        }
    }

    fn next(&mut self) -> Turn {
        let (turn, setup) = (self.turns as usize, self.work.setup);
        let op = match setup.get(turn) {
            Some(op) => *op,
            None => self.work.turns[(turn - setup.len()) % self.work.turns.len()],
        };
        self.turns += 1;
        let msg_id = self.turns;
        let (mut from, mut value) = (0, 0);
        match op {
            Op::Echo => value = msg_id,
            Op::Send => (value, self.messages) = (self.messages, self.messages + 1),
            Op::Poll => (from, value) = (self.messages.saturating_sub(3), self.messages),
            Op::CommitOffsets => (value, self.committed) = (msg_id, msg_id),
            Op::ListCommittedOffsets => value = self.committed,
            Op::CommitOffset => {
                (from, value) = (msg_id % 6, msg_id);
                self.offsets[from as usize] = value;
            }
            Op::FetchOffset => {
                from = msg_id % 6;
                value = self.offsets[from as usize];
            }
            Op::Read => value = self.register,
            Op::Write => (value, self.register) = (msg_id, msg_id),
            Op::Cas => (from, value, self.register) = (self.register, msg_id, msg_id),
            Op::CreateTopic => value = 1,
            Op::SendToTopic => (value, self.records) = (self.records, self.records + 1),
            Op::Fetch => (from, value) = (self.records.saturating_sub(3), self.records),
            // Nothing is ever committed here, so a new member begins at 0.
            Op::Subscribe => (self.generation, self.position) = (self.generation + 1, 0),
            Op::PollGroup => {
                (from, value, self.position) = (self.position, self.records, self.records)
            }
            Op::Heartbeat | Op::Unsubscribe => {}
        }
        Turn { op, msg_id, from, value, generation: self.generation }
    }
}

impl Turn {
    /// The type of the request.
    fn kind(&self) -> &'static str {
        match self.op {
            Op::Echo => "echo",
            Op::Send | Op::SendToTopic => "send",
            Op::Poll | Op::PollGroup => "poll",
            Op::CommitOffsets => "commit_offsets",
            Op::ListCommittedOffsets => "list_committed_offsets",
            Op::CommitOffset => "commit_offset",
            Op::FetchOffset => "fetch_offset",
            Op::Read => "read",
            Op::Write => "write",
            Op::Cas => "cas",
            Op::CreateTopic => "create_topic",
            Op::Fetch => "fetch",
            Op::Subscribe => "subscribe",
            Op::Heartbeat => "heartbeat",
            Op::Unsubscribe => "unsubscribe",
        }
    }

    /// The request's body from its type on, and the end of the line.
    fn ask(&self, client: u64, out: &mut Vec<u8>) {
        let Self { msg_id, from, value, .. } = *self;
        out.extend_from_slice(self.kind().as_bytes());
        put(out, r#"","msg_id":"#, msg_id);
        let mut put = |text: &str, number: u64| put(out, text, number);
        let end: &[u8] = match self.op {
            Op::Echo => {
                put(r#","echo":"#, value);
                b"}}\n"
            }
            Op::Send => {
                put(r#","key":"k"#, client);
                put(r#"","msg":"#, value);
                b"}}\n"
            }
            Op::Poll => {
                put(r#","offsets":{"k"#, client);
                put(r#"":"#, from);
                b"}}}\n"
            }
            Op::CommitOffsets => {
                put(r#","offsets":{"k"#, client);
                put(r#"":"#, value);
                b"}}}\n"
            }
            Op::ListCommittedOffsets => {
                put(r#","keys":["k"#, client);
                b"\"]}}\n"
            }
            Op::CommitOffset => {
                put(r#","group":"g"#, client);
                put(r#"","topic":"orders","partition":"#, from);
                put(r#","offset":"#, value);
                b"}}\n"
            }
            Op::FetchOffset => {
                put(r#","group":"g"#, client);
                put(r#"","topic":"orders","partition":"#, from);
                b"}}\n"
            }
            Op::Read => {
                put(r#","key":"#, client);
                b"}}\n"
            }
            Op::Write => {
                put(r#","key":"#, client);
                put(r#","value":"#, value);
                b"}}\n"
            }
            Op::Cas => {
                put(r#","key":"#, client);
                put(r#","from":"#, from);
                put(r#","to":"#, value);
                b"}}\n"
            }
            Op::CreateTopic => {
                put(r#","topic":"t"#, client);
                put(r#"","partitions":"#, value);
                b"}}\n"
            }
            Op::SendToTopic => {
                put(r#","topic":"t"#, client);
                put(r#"","message":"#, value);
                b"}}\n"
            }
            Op::Fetch => {
                put(r#","topic":"t"#, client);
                put(r#"","partition":0,"offset":"#, from);
                b"}}\n"
            }
            Op::Subscribe => {
                put(r#","group":"g"#, client);
                put(r#"","topics":["t"#, client);
                put(r#""],"consumer":"c"#, client);
                b"\"}}\n"
            }
            Op::PollGroup | Op::Heartbeat | Op::Unsubscribe => {
                put(r#","group":"g"#, client);
                put(r#"","consumer":"c"#, client);
                b"\"}}\n"
            }
        };
        out.extend_from_slice(end);
    }

    /// The answer's body from its type on, up to the number that the node gives it, or to the first
    /// thing in it that only the node can know: a time.
    fn answer(&self, client: u64, out: &mut Vec<u8>) {
        let Self { msg_id, from, value, generation, .. } = *self;
        out.extend_from_slice(self.kind().as_bytes());
        put(out, r#"_ok","in_reply_to":"#, msg_id);
        match self.op {
            Op::Echo => put(out, r#","echo":"#, value),
            Op::Send => put(out, r#","offset":"#, value),
            Op::SendToTopic => put(out, r#","partition":0,"offset":"#, value),
            Op::FetchOffset => put(out, r#","offset":"#, value),
            Op::Read => put(out, r#","value":"#, value),
            Op::ListCommittedOffsets => {
                put(out, r#","offsets":{"k"#, client);
                put(out, r#"":"#, value);
                out.push(b'}');
            }
            Op::Poll if from == value => out.extend_from_slice(br#","msgs":{}"#),
            Op::Poll => {
                put(out, r#","msgs":{"k"#, client);
                let mut before = r#"":[["#;
                for offset in from..value {
                    put(out, before, offset);
                    put(out, ",", offset);
                    before = "],[";
                }
                out.extend_from_slice(b"]]}");
            }
            Op::Fetch => {
                put(out, r#","records":[{"offset":"#, from);
                put(out, r#","key":null,"message":"#, from);
                out.extend_from_slice(br#","timestamp":"#);
                return;
            }
            Op::Subscribe | Op::PollGroup | Op::Heartbeat => {
                put(out, r#","generation":"#, generation);
                put(out, r#","state":"Stable","assignment":{"t"#, client);
                out.extend_from_slice(br#"":[0]}"#);
                if self.op == Op::PollGroup && from == value {
                    out.extend_from_slice(br#","records":[]"#);
                } else if self.op == Op::PollGroup {
                    put(out, r#","records":[{"topic":"t"#, client);
                    put(out, r#"","partition":0,"offset":"#, from);
                    put(out, r#","key":null,"message":"#, from);
                    out.extend_from_slice(br#","timestamp":"#);
                    return;
                }
            }
            Op::CommitOffsets
            | Op::CommitOffset
            | Op::Write
            | Op::Cas
            | Op::CreateTopic
            | Op::Unsubscribe => {}
        }
        out.extend_from_slice(br#","msg_id":"#);
    }
}

/// A client: its requests go to one node.
pub struct Client {
    /// What its name and those of all that it has end with.
    pub number: usize,
    head: String,
    asking: Walk,
    expecting: Walk,
    expected: Vec<u8>,
    /// Whether it waits for each reply, and notes how long that took.
    pub timed: bool,
    /// When it asks next, where it does so at set times once its set-up is over.
    pub due: Option<Instant>,
    /// Whether it waits for that time, with nothing under way.
    pub idle: bool,
    asked_at: Instant,
    /// How long it waited for each reply, in the order of asking.
    pub latencies: Vec<Duration>,
}

impl Client {
    /// A client that has asked nothing yet.
    pub fn new(number: usize, node: &str, work: Work) -> Self {
        Self {
            number,
            head: format!(r#"{{"src":"c{number}","dest":"{node}","body":{{"type":""#),
            asking: Walk::new(work),
            expecting: Walk::new(work),
            expected: Vec::new(),
            timed: false,
            due: None,
            idle: false,
            asked_at: Instant::now(),
            latencies: Vec::new(),
        }
    }

    /// Writes the next request, a whole line.
    pub fn ask(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head.as_bytes());
        self.asking.next().ask(self.number as u64, out);
        if self.timed {
            self.asked_at = Instant::now();
        }
    }

    /// Takes a reply's body from its type on; false where it is not the one that had to come.
    pub fn take(&mut self, body: &[u8], now: Instant) -> bool {
        if self.timed {
            self.latencies.push(now.saturating_duration_since(self.asked_at));
        }
        self.expected.clear();
        self.expecting.next().answer(self.number as u64, &mut self.expected);
        body.starts_with(&self.expected)
    }

    /// Whether the last reply was the one to the last request of its set-up.
    pub fn just_prepared(&self) -> bool {
        self.expecting.turns == self.expecting.work.setup.len().max(1) as u64
    }

    /// Whether all of its set-up has been answered.
    pub fn prepared(&self) -> bool {
        self.expecting.turns >= self.expecting.work.setup.len().max(1) as u64
    }
}

fn put(out: &mut Vec<u8>, text: &str, number: u64) {
    out.extend_from_slice(text.as_bytes());
    let (mut digits, mut first, mut rest) = ([0; 20], 20, number);
    while first == 20 || rest > 0 {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Work {
        OPERATIONS.into_iter().find(|work| work.name == name).expect("an operation")
    }

    #[test]
    fn every_request_is_a_line_of_json_for_its_node() {
        for work in OPERATIONS {
            let mut client = Client::new(7, "n2", work);
            for msg_id in 1..=30 {
                let mut line = Vec::new();
                client.ask(&mut line);
                assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
                let request: serde_json::Value = serde_json::from_slice(&line).expect(work.name);
                assert_eq!((&request["src"], &request["dest"]), (&"c7".into(), &"n2".into()));
                assert_eq!(request["body"]["msg_id"], msg_id, "{request}");
            }
        }
    }

    #[test]
    fn only_the_right_answer_will_do() {
        let now = Instant::now();
        let send = |offset| format!(r#"send_ok","in_reply_to":2,"offset":{offset},"msg_id":9}}}}"#);
        for (offset, right) in [(1, true), (0, false), (11, false)] {
            let mut client = Client::new(1, "n1", SEND);
            assert!(client.take(br#"send_ok","in_reply_to":1,"offset":0,"msg_id":8}}"#, now));
            assert_eq!(client.take(send(offset).as_bytes(), now), right, "offset {offset}");
        }
        let mut client = Client::new(3, "n1", of("poll"));
        for turn in 1..=3 {
            let reply =
                format!(r#"send_ok","in_reply_to":{turn},"offset":{},"msg_id":1}}}}"#, turn - 1);
            assert!(client.take(reply.as_bytes(), now) && client.just_prepared() == (turn == 3));
        }
        let last = br#"poll_ok","in_reply_to":4,"msgs":{"k3":[[0,0],[1,1],[2,2]]},"msg_id":4}}"#;
        assert!(client.take(last, now) && client.prepared() && !client.just_prepared());
        let short = br#"poll_ok","in_reply_to":5,"msgs":{"k3":[[0,0],[1,1]]},"msg_id":4}}"#;
        assert!(!client.take(short, now));
    }
}
