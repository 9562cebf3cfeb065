//! What clients ask, the same of the floor and of cohort, and what they remember of it.

use std::time::{Duration, Instant};

/// What a run consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// `commit_offset` alone.
    Commit,
    /// Maelstrom's `send` alone.
    Send,
    /// Of ten requests four `commit_offset`, three `send`, two `fetch_offset`, one `poll`.
    Mixed,
}

impl Work {
    pub const ALL: [Self; 3] = [Self::Commit, Self::Send, Self::Mixed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Commit => "`commit_offset`",
            Self::Send => "`send`",
            Self::Mixed => "mixed",
        }
    }
}

/// What node `index` is called.
pub fn name(index: usize) -> String {
    format!("n{}", index + 1)
}

/// A client: its requests go to one node, under a group and a key of its own.
pub struct Client {
    pub number: usize,
    work: Work,
    head: String,
    sent: u64,
    answered: u64,
    messages: u64,
    /// Whether it has one request under way at a time, and says how long each took.
    pub timed: bool,
    asked_at: Instant,
    pub latencies: Vec<Duration>,
}

impl Client {
    pub fn new(number: usize, node: String, work: Work) -> Self {
        let head = format!(r#"{{"src":"c{number}","dest":"{node}","body":{{"type":""#);
        Self {
            number,
            work,
            head,
            sent: 0,
            answered: 0,
            messages: 0,
            timed: false,
            asked_at: Instant::now(),
            latencies: Vec::new(),
        }
    }

    /// A reply has come; false where it is not the one that was expected.
    pub fn answered(&mut self, in_reply_to: u64, now: Instant) -> bool {
        self.answered += 1;
        if self.timed {
            self.latencies.push(now.saturating_duration_since(self.asked_at));
        }
        in_reply_to == self.answered
    }

    /// Asks the next request.
    pub fn next(&mut self, out: &mut Vec<u8>) {
        self.sent += 1;
        let turn = match self.work {
            Work::Commit => 0,
            Work::Send => 1,
            // Neighbours differ, so that reads stand between writes.
            Work::Mixed => [0, 1, 2, 0, 1, 0, 3, 1, 2, 0][(self.sent % 10) as usize],
        };
        let (number, partition) = (self.number as u64, self.sent % 6);
        out.extend_from_slice(self.head.as_bytes());
        match turn {
            0 => {
                put(out, r#"commit_offset","msg_id":"#, self.sent);
                put(out, r#","group":"g"#, number);
                put(out, r#"","topic":"orders","partition":"#, partition);
                put(out, r#","offset":"#, self.sent);
            }
            1 => {
                put(out, r#"send","msg_id":"#, self.sent);
                put(out, r#","key":"k"#, number);
                put(out, r#"","msg":"#, self.messages);
                self.messages += 1;
            }
            2 => {
                put(out, r#"fetch_offset","msg_id":"#, self.sent);
                put(out, r#","group":"g"#, number);
                put(out, r#"","topic":"orders","partition":"#, partition);
            }
            _ => {
                put(out, r#"poll","msg_id":"#, self.sent);
                put(out, r#","offsets":{"k"#, number);
                // The last three messages.
                put(out, r#"":"#, self.messages.saturating_sub(3));
                out.push(b'}');
            }
        }
        out.extend_from_slice(b"}}\n");
        self.asked_at = Instant::now();
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
