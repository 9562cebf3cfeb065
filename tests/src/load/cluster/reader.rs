//! What a node prints: lines for other nodes are passed on, replies are compared and answered with
//! the client's next request.

use std::io::Read;
use std::process::ChildStdout;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use super::Shared;

/// Reads what a node prints.
pub(super) struct Reader {
    node: usize,
    shared: Arc<Shared>,
    control: mpsc::Sender<String>,
    /// For each node, what came for it in this chunk.
    passed: Vec<Vec<u8>>,
}

impl Reader {
    pub(super) fn new(node: usize, shared: Arc<Shared>, control: mpsc::Sender<String>) -> Self {
        let passed = vec![Vec::new(); shared.pipes.len()];
        Self { node, shared, control, passed }
    }

    /// Reads until the node ends.
    pub(super) fn run(mut self, stdout: ChildStdout) {
        self.read(stdout);
        self.shared.counters.ended.fetch_add(1, SeqCst);
    }

    fn read(&mut self, mut stdout: ChildStdout) {
        let mut input = vec![0; 256 * 1024];
        let mut held = 0;
        loop {
            if held == input.len() {
                input.resize(2 * held, 0);
            }
            let Ok(read @ 1..) = stdout.read(&mut input[held..]) else { return };
            let searched = held;
            held += read;
            let Some(whole) = input[searched..held].iter().rposition(|byte| *byte == b'\n') else {
                continue;
            };
            let whole = searched + whole + 1;
            self.pass_on(&input[..whole]);
            input.copy_within(whole..held, 0);
            held -= whole;
        }
    }

    fn pass_on(&mut self, lines: &[u8]) {
        let now = Instant::now();
        let shared = self.shared.clone();
        let counters = &shared.counters;
        let stopping = counters.stopping.load(SeqCst) > 0;
        let mut clients = shared.clients(self.node);
        let (mut acknowledged, mut refused, mut wrong) = (0, 0, 0);
        let (mut prepared, mut ended, mut between) = (0, 0, 0);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let right = match Line::parse(line) {
                Some(Line::Peer(node)) if node < self.passed.len() => {
                    self.passed[node].extend_from_slice(line);
                    between += 1;
                    true
                }
                Some(Line::Client { number: 0, .. }) => {
                    // Nobody waits for it when the run is over.
                    let _told = self.control.send(String::from_utf8_lossy(line).into_owned());
                    true
                }
                Some(Line::Client { number, body }) => {
                    // Those of this node are in the order of their numbers.
                    let place = clients.binary_search_by_key(&number, |client| client.number);
                    if let Some(client) = place.ok().map(|place| &mut clients[place]) {
                        let right = client.take(body, now);
                        if body.starts_with(b"error\"") {
                            refused += 1;
                        } else {
                            acknowledged += 1;
                            wrong += u64::from(!right);
                        }
                        prepared += u64::from(client.just_prepared());
                        client.idle = client.due.is_some() && client.prepared();
                        if stopping || client.idle {
                            ended += 1;
                        } else {
                            client.ask(&mut self.passed[self.node]);
                        }
                        right
                    } else {
                        wrong += 1;
                        false
                    }
                }
                Some(Line::Peer(_)) | None => {
                    wrong += 1;
                    false
                }
            };
            if !right {
                shared
                    .first_wrong()
                    .get_or_insert_with(|| String::from_utf8_lossy(line).trim_end().to_owned());
            }
        }
        drop(clients);
        for (pipe, lines) in shared.pipes.iter().zip(&mut self.passed) {
            pipe.push(lines);
        }
        for (counter, count) in [
            (&counters.acknowledged, acknowledged),
            (&counters.refused, refused),
            (&counters.wrong, wrong),
            (&counters.prepared, prepared),
            (&counters.between, between),
        ] {
            counter.fetch_add(count, SeqCst);
        }
        counters.under_way.fetch_sub(ended, SeqCst);
    }
}

/// What the harness has to know of a line that a node printed. It has the keys in the contract's
/// order.
enum Line<'a> {
    Peer(usize),
    Client {
        number: usize,
        /// From its type on.
        body: &'a [u8],
    },
}

impl<'a> Line<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(br#"{"src":""#)?;
        let rest = after(rest, br#"","dest":""#)?;
        let (number, after_number) = number(rest.get(1..)?)?;
        match rest[0] {
            b'n' => Some(Self::Peer(usize::try_from(number).ok()?.checked_sub(1)?)),
            b'c' => {
                let body = after_number.strip_prefix(br#"","body":{"type":""#)?;
                Some(Self::Client { number: usize::try_from(number).ok()?, body })
            }
            _ => None,
        }
    }
}

/// What follows a name that is ended by `mark`.
fn after<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let end = text.iter().position(|byte| *byte == b'"')?;
    text[end..].strip_prefix(mark)
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let number = text[..end].iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    (end > 0).then_some((number, &text[end..]))
}
