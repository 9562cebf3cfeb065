//! Who asked what, under which number, and whether it was answered: the arena's side of the nodes'
//! listener.
//!
//! Owns every client id that was ever used with all its requests, also long after the client has
//! gone: only so a late or second reply is told from a stray one. Judges the form, number, order
//! and lateness of replies. Knows nothing of what requests mean.

use std::collections::BTreeMap;

use crate::dialects::{Answer, json};
use crate::history::Micros;

/// What a client's requests are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `init` of this node.
    Init(usize),
    /// The arena asks this node who leads.
    Status(usize),
    /// The arena asks this node whether it serves again.
    Probe(usize),
    /// A client of the workload.
    Slot(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    GivenUp,
    Answered,
}

#[derive(Debug, Clone)]
struct Asked {
    f: String,
    /// Its operation in the history, if it has one.
    op: Option<u64>,
    at_us: Micros,
    patience_us: Micros,
    fate: Fate,
}

#[derive(Debug, Clone)]
struct Client {
    purpose: Purpose,
    node: usize,
    /// By `msg_id`, counted from 1.
    asked: Vec<Asked>,
    /// Highest `msg_id` whose reply has to come before later ones' and has come.
    newest_answered: usize,
}

/// A breach of the protocol: its kind and an account.
pub type Breach = (&'static str, String);

/// A reply that belongs to an open request.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// What the client was for.
    pub purpose: Purpose,
    /// The request's number.
    pub msg_id: u64,
    /// The operation in the history, if it has one.
    pub op: Option<u64>,
    /// What the node said.
    pub answer: Answer,
}

/// All clients that ever were.
#[derive(Debug, Default)]
pub struct Clients {
    all: BTreeMap<String, Client>,
}

impl Clients {
    /// A new client with an id that nobody had before.
    pub fn open(&mut self, purpose: Purpose, node: usize) -> String {
        let id = format!("c{}", self.all.len());
        self.all
            .insert(id.clone(), Client { purpose, node, asked: Vec::new(), newest_answered: 0 });
        id
    }

    /// Takes a number for a request.
    pub fn ask(
        &mut self,
        client: &str,
        f: &str,
        op: Option<u64>,
        now_us: Micros,
        patience_us: Micros,
    ) -> u64 {
        let Some(client) = self.all.get_mut(client) else { return 0 };
        client.asked.push(Asked {
            f: f.to_owned(),
            op,
            at_us: now_us,
            patience_us,
            fate: Fate::Open,
        });
        client.asked.len() as u64
    }

    /// The client does not wait for this reply any longer.
    pub fn give_up(&mut self, client: &str, msg_id: u64) {
        let asked = self.all.get_mut(client).and_then(|c| c.asked.get_mut(index(msg_id)?));
        if let Some(asked) = asked {
            asked.fate = Fate::GivenUp;
        }
    }

    /// A node printed a reply for a client. `stood_us` tells for how long that node stood still
    /// since a given time: that is not held against it.
    pub fn reply(
        &mut self,
        now_us: Micros,
        node: usize,
        dest: &str,
        body: &str,
        stood_us: impl Fn(Micros) -> Micros,
    ) -> (Option<Taken>, Vec<Breach>) {
        let mut breaches = Vec::new();
        let taken = self.judge(now_us, node, dest, body, stood_us, &mut breaches);
        (taken, breaches)
    }

    fn judge(
        &mut self,
        now_us: Micros,
        node: usize,
        dest: &str,
        body: &str,
        stood_us: impl Fn(Micros) -> Micros,
        breaches: &mut Vec<Breach>,
    ) -> Option<Taken> {
        let Some(client) = self.all.get_mut(dest) else {
            breaches.push((
                "stray-line",
                format!("{dest} is neither a node nor a client; body: {body:.200}"),
            ));
            return None;
        };
        let reply = match json::reply(body) {
            Ok(reply) => reply,
            Err(why) => {
                breaches.push(("malformed-reply", format!("to {dest}: {why}; body: {body:.200}")));
                return None;
            }
        };
        let msg_id = reply.in_reply_to;
        let number = index(msg_id).filter(|i| *i < client.asked.len() && client.node == node);
        let Some(number) = number else {
            let account =
                format!("{dest} never asked this node anything as msg_id {msg_id}: {body:.200}");
            breaches.push(("stray-reply", account));
            return None;
        };
        let asked = &mut client.asked[number];
        let (f, at_us) = (asked.f.clone(), asked.at_us);
        let waited_us = now_us.saturating_sub(at_us);
        let what = format!("{f} of {dest}, msg_id {msg_id}, sent at {:.3} s", seconds(at_us));
        if asked.fate == Fate::Answered {
            breaches
                .push(("second-reply", format!("{what}, was answered before; now {body:.200}")));
            return None;
        }
        // How long a start may take is the run's to say, which knows its disk.
        if f != "init" && waited_us > asked.patience_us + stood_us(at_us) {
            let account = format!(
                "{what}, was answered after {:.3} s; the client had gone",
                seconds(waited_us)
            );
            breaches.push(("late-reply", account));
        }
        let open = asked.fate == Fate::Open;
        asked.fate = Fate::Answered;
        let (op, purpose) = (asked.op, client.purpose);
        // Joins and syncs wait by design, and hold nobody up.
        if f != "join_group" && f != "sync_group" {
            if number < client.newest_answered {
                breaches.push((
                    "order",
                    format!("{what}, was answered after a later request of this client"),
                ));
            }
            client.newest_answered = client.newest_answered.max(number + 1);
        }
        match reply.answer(&f) {
            Ok(answer) => open.then_some(Taken { purpose, msg_id, op, answer }),
            Err(why) => {
                breaches.push(("malformed-reply", format!("{what}: {why}; body: {body:.200}")));
                // As in Maelstrom: whatever that was, nobody knows what became of the request.
                let answer = Answer::Error { code: 13, error: None };
                open.then_some(Taken { purpose, msg_id, op, answer })
            }
        }
    }
}

fn index(msg_id: u64) -> Option<usize> {
    usize::try_from(msg_id).ok()?.checked_sub(1)
}

fn seconds(us: Micros) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str = r#"{"type":"write_ok","in_reply_to":1}"#;

    fn asked(n: usize) -> Clients {
        let mut clients = Clients::default();
        let id = clients.open(Purpose::Slot(0), 0);
        for _ in 0..n {
            clients.ask(&id, "write", Some(0), 0, 5_000_000);
        }
        clients
    }

    fn kinds(breaches: Vec<Breach>) -> Vec<&'static str> {
        breaches.into_iter().map(|(kind, _)| kind).collect()
    }

    #[test]
    fn a_second_reply_and_a_late_one_are_breaches() {
        let mut clients = asked(1);
        let (taken, breaches) = clients.reply(1, 0, "c0", OK, |_| 0);
        assert!(taken.is_some() && breaches.is_empty());
        assert_eq!(kinds(clients.reply(2, 0, "c0", OK, |_| 0).1), ["second-reply"]);

        let mut clients = asked(1);
        clients.give_up("c0", 1);
        let (taken, breaches) = clients.reply(5_000_001, 0, "c0", OK, |_| 0);
        assert!(taken.is_none());
        assert_eq!(kinds(breaches), ["late-reply"]);
        let mut clients = asked(1);
        clients.give_up("c0", 1);
        assert_eq!(
            kinds(clients.reply(7_000_000, 0, "c0", OK, |_| 2_000_000).1),
            Vec::<&str>::new(),
            "paused"
        );
    }

    #[test]
    fn replies_come_in_the_order_of_requests() {
        let mut clients = asked(3);
        assert_eq!(clients.reply(1, 0, "c0", &OK.replace(":1}", ":2}"), |_| 0).1, []);
        assert_eq!(kinds(clients.reply(2, 0, "c0", OK, |_| 0).1), ["order"]);
        assert_eq!(clients.reply(3, 0, "c0", &OK.replace(":1}", ":3}"), |_| 0).1, []);
    }

    #[test]
    fn strays_and_malformed_replies_are_breaches() {
        let mut clients = asked(1);
        assert_eq!(kinds(clients.reply(1, 0, "c9", OK, |_| 0).1), ["stray-line"]);
        assert_eq!(
            kinds(clients.reply(1, 1, "c0", OK, |_| 0).1),
            ["stray-reply"],
            "another node was asked"
        );
        assert_eq!(
            kinds(clients.reply(1, 0, "c0", &OK.replace(":1}", ":7}"), |_| 0).1),
            ["stray-reply"]
        );
        assert_eq!(
            kinds(clients.reply(1, 0, "c0", r#"{"type":"write_ok"}"#, |_| 0).1),
            ["malformed-reply"]
        );
        let (taken, breaches) =
            clients.reply(1, 0, "c0", r#"{"type":"read_ok","in_reply_to":1}"#, |_| 0);
        assert_eq!(kinds(breaches), ["malformed-reply"]);
        assert_eq!(taken.map(|t| t.answer), Some(Answer::Error { code: 13, error: None }));
    }
}
