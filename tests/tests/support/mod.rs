//! A coordinator in memory, just good enough to drive the consumers of the arena's workloads
//! through their whole lives. It hands partitions over at once, so it is no example of a right one,
//! and no checker is asked about it.

use std::collections::{BTreeMap, BTreeSet};

use arena::history::Micros;
use arena::workloads::spread::{Assignment, Joined, spread};
use serde_json::{Value, json};

#[derive(Default)]
struct Member {
    topics: BTreeSet<String>,
    owned: Value,
    owned_generation: i64,
    assignment: Assignment,
    positions: BTreeMap<(String, u64), usize>,
    seen_us: Micros,
    session_us: Micros,
    /// A join or sync that waits.
    parked: Option<Value>,
}

#[derive(Default)]
struct Group {
    generation: i64,
    members: BTreeMap<String, Member>,
    leader: String,
    /// Members are joining.
    joining: bool,
    /// Assignments of this generation are there.
    assigned: bool,
    cooperative: bool,
}

/// Topics, groups and committed offsets, shared by all nodes.
#[derive(Default)]
pub struct Coordinator {
    topics: BTreeMap<String, Vec<Vec<Value>>>,
    groups: BTreeMap<String, Group>,
    committed: BTreeMap<(String, String, u64), u64>,
    ids: u64,
    now_us: Micros,
}

fn error(code: u32, name: &str) -> Value {
    json!({ "type": "error", "code": code, "error": name })
}

impl Coordinator {
    /// Answers a request: replies with the requests that they belong to, also of such that had
    /// waited.
    pub fn take(&mut self, now_us: Micros, message: &Value) -> Vec<(Value, Value)> {
        self.now_us = now_us;
        self.expire();
        let body = &message["body"];
        let mut replies: Vec<(Value, Value)> = Vec::new();
        if let Some(reply) = self.answer(message, body) {
            replies.push((message.clone(), reply));
        }
        replies.extend(self.ready());
        replies
    }

    /// Time passed: what waited for somebody who has gone is answered.
    pub fn tick(&mut self, now_us: Micros) -> Vec<(Value, Value)> {
        self.now_us = now_us;
        self.expire();
        self.ready()
    }

    fn counts(&self) -> BTreeMap<String, u64> {
        self.topics.iter().map(|(topic, logs)| (topic.clone(), logs.len() as u64)).collect()
    }

    fn expire(&mut self) {
        let (now_us, counts) = (self.now_us, self.counts());
        for group in self.groups.values_mut() {
            let before = group.members.len();
            group.members.retain(|_, m| m.parked.is_some() || now_us < m.seen_us + m.session_us);
            if group.members.len() < before {
                group.changed(&counts);
            }
        }
    }

    /// Joins and syncs that need not wait any longer.
    fn ready(&mut self) -> Vec<(Value, Value)> {
        let mut replies = Vec::new();
        for group in self.groups.values_mut() {
            // Who waits in a sync has to join again.
            for member in group.members.values_mut().filter(|_| group.joining) {
                if let Some(request) =
                    member.parked.take_if(|parked| parked["body"]["type"] == "sync_group")
                {
                    replies.push((request, error(22, "REBALANCE_IN_PROGRESS")));
                }
            }
            if group.joining
                && !group.members.is_empty()
                && group.members.values().all(|m| m.parked.is_some())
            {
                (group.joining, group.assigned) = (false, false);
                group.generation += 1;
                if !group.members.contains_key(&group.leader) {
                    group.leader = group.members.keys().next().cloned().unwrap_or_default();
                }
                let all: Vec<Value> = group
                    .members
                    .iter()
                    .map(|(id, m)| json!({ "member_id": id, "instance_id": null, "topics": m.topics, "owned": m.owned, "generation": m.owned_generation }))
                    .collect();
                for (id, member) in &mut group.members {
                    let Some(request) = member.parked.take() else { continue };
                    let members = if *id == group.leader { all.clone() } else { Vec::new() };
                    let reply = json!({
                        "type": "join_group_ok", "generation": group.generation, "leader": group.leader,
                        "protocol": request["body"]["protocols"][0]["name"], "member_id": id, "members": members,
                    });
                    member.seen_us = self.now_us;
                    replies.push((request, reply));
                }
            }
            if !group.joining && group.assigned {
                for member in group.members.values_mut() {
                    if let Some(request) = member.parked.take() {
                        replies.push((
                            request,
                            json!({ "type": "sync_group_ok", "assignment": member.assignment }),
                        ));
                    }
                }
            }
        }
        replies
    }

    fn answer(&mut self, message: &Value, body: &Value) -> Option<Value> {
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| body[key].as_u64().unwrap_or(0);
        let (topic, partition) = (text("topic"), number("partition"));
        let kind = body["type"].as_str().unwrap_or_default();
        Some(match kind {
            "create_topic" | "create_partitions" => {
                let logs = self.topics.entry(topic).or_default();
                let wanted = usize::try_from(number("partitions")).unwrap_or(0);
                logs.resize(wanted.max(logs.len()), Vec::new());
                let counts = self.counts();
                self.groups.values_mut().for_each(|group| group.changed(&counts));
                json!({ "type": format!("{kind}_ok") })
            }
            "delete_topic" => {
                if self.topics.remove(&topic).is_none() {
                    return Some(error(20, "UNKNOWN_TOPIC_OR_PARTITION"));
                }
                self.committed.retain(|(_, of, _), _| *of != topic);
                let counts = self.counts();
                self.groups.values_mut().for_each(|group| group.changed(&counts));
                json!({ "type": "delete_topic_ok" })
            }
            "delete_group" => match self.groups.get(&text("group")) {
                None => error(20, "GROUP_ID_NOT_FOUND"),
                Some(group) if !group.members.is_empty() => error(22, "NON_EMPTY_GROUP"),
                Some(_) => {
                    self.groups.remove(&text("group"));
                    self.committed.retain(|(of, ..), _| *of != text("group"));
                    json!({ "type": "delete_group_ok" })
                }
            },
            "delete_offsets" => error(22, "GROUP_SUBSCRIBED_TO_TOPIC"),
            "list_topics" => json!({ "type": "list_topics_ok", "topics": self.counts() }),
            "list_groups" => json!({ "type": "list_groups_ok", "groups": [] }),
            "send" => {
                if !self.topics.contains_key(&topic) {
                    self.topics.insert(topic.clone(), vec![Vec::new(); 6]);
                    let counts = self.counts();
                    self.groups.values_mut().for_each(|group| group.changed(&counts));
                }
                let logs = self.topics.entry(topic).or_default();
                let partition = if body["partition"].is_u64() {
                    partition
                } else {
                    self.ids % logs.len() as u64
                };
                self.ids += 1;
                let log = &mut logs[usize::try_from(partition).unwrap_or(0)];
                log.push(body["message"].clone());
                json!({ "type": "send_ok", "partition": partition, "offset": log.len() - 1 })
            }
            "fetch" => {
                let logs = self.topics.get(&topic).map_or(&[][..], Vec::as_slice);
                let Some(log) = logs.get(usize::try_from(partition).unwrap_or(0)) else {
                    return Some(error(20, "UNKNOWN_TOPIC_OR_PARTITION"));
                };
                let records =
                    records(log, number("offset"), number("max_messages"), &topic, partition);
                json!({ "type": "fetch_ok", "records": records, "high_watermark": log.len() })
            }
            "fetch_offset" => {
                let offset =
                    self.committed.get(&(text("group"), topic, partition)).copied().unwrap_or(0);
                json!({ "type": "fetch_offset_ok", "offset": offset })
            }
            "describe_group" => {
                json!({ "type": "describe_group_ok", "members": [], "offsets": [] })
            }
            "commit" | "commit_offset" => {
                if let Err(refusal) = self.member(body) {
                    return Some(refusal);
                }
                self.committed.insert((text("group"), topic, partition), number("offset"));
                json!({ "type": format!("{kind}_ok") })
            }
            "subscribe" => self.subscribe(body),
            "join_group" => {
                self.join(message, body);
                return None;
            }
            "sync_group" => {
                let counts = self.counts();
                return match self.member(body) {
                    Err(refusal) => Some(refusal),
                    Ok(group) => {
                        group.sync(message, body, &counts);
                        None
                    }
                };
            }
            "poll" => {
                let committed = self.committed.clone();
                let topics = std::mem::take(&mut self.topics);
                let reply = self.poll(body, &committed, &topics);
                self.topics = topics;
                reply
            }
            "heartbeat" => match self.member(body) {
                Err(refusal) => refusal,
                Ok(group) => group.told("heartbeat_ok", &text("consumer")),
            },
            "unsubscribe" | "leave_group" => {
                let counts = self.counts();
                let id = if kind == "unsubscribe" { text("consumer") } else { text("member_id") };
                let group = self.groups.entry(text("group")).or_default();
                if group.members.remove(&id).is_none() {
                    return Some(error(22, "UNKNOWN_MEMBER_ID"));
                }
                group.changed(&counts);
                json!({ "type": format!("{kind}_ok") })
            }
            _ => error(10, "UNSUPPORTED_VERSION"),
        })
    }

    /// The group of a request whose member and generation are right.
    fn member(&mut self, body: &Value) -> Result<&mut Group, Value> {
        let now_us = self.now_us;
        let unknown = || error(22, "UNKNOWN_MEMBER_ID");
        let group =
            self.groups.get_mut(body["group"].as_str().unwrap_or_default()).ok_or_else(unknown)?;
        let classic = body["member_id"].is_string();
        let id = body[if classic { "member_id" } else { "consumer" }].as_str().unwrap_or_default();
        let member = group.members.get_mut(id).ok_or_else(unknown)?;
        member.seen_us = now_us;
        if body["generation"].as_i64().is_some_and(|generation| generation != group.generation) {
            return Err(error(22, "ILLEGAL_GENERATION"));
        }
        let waits = group.joining && body["type"] != "commit_offset";
        if classic && waits { Err(error(22, "REBALANCE_IN_PROGRESS")) } else { Ok(group) }
    }

    fn subscribe(&mut self, body: &Value) -> Value {
        let (counts, now_us) = (self.counts(), self.now_us);
        let group =
            self.groups.entry(body["group"].as_str().unwrap_or_default().to_owned()).or_default();
        let name = body["consumer"].as_str().unwrap_or_default().to_owned();
        let member = group.members.entry(name.clone()).or_default();
        member.topics = strings(&body["topics"]);
        member.session_us = body["session_timeout_ms"].as_u64().unwrap_or(0) * 1000;
        member.seen_us = now_us;
        member.positions.clear();
        group.changed(&counts);
        group.told("subscribe_ok", &name)
    }

    fn poll(
        &mut self,
        body: &Value,
        committed: &BTreeMap<(String, String, u64), u64>,
        topics: &BTreeMap<String, Vec<Vec<Value>>>,
    ) -> Value {
        let name = body["consumer"].as_str().unwrap_or_default();
        let group_name = body["group"].as_str().unwrap_or_default();
        let most = body["max_messages"].as_u64().unwrap_or(10);
        let group = match self.member(body) {
            Ok(group) => group,
            Err(refusal) => return refusal,
        };
        let mut reply = group.told("poll_ok", name);
        let Some(member) = group.members.get_mut(name) else { return reply };
        let mut all = Vec::new();
        for (topic, partitions) in &member.assignment {
            for partition in partitions {
                let at = (topic.clone(), *partition);
                let start = committed
                    .get(&(group_name.to_owned(), topic.clone(), *partition))
                    .copied()
                    .unwrap_or(0);
                let position =
                    member.positions.entry(at).or_insert(usize::try_from(start).unwrap_or(0));
                let logs = topics.get(topic).map_or(&[][..], Vec::as_slice);
                let Some(log) = logs.get(usize::try_from(*partition).unwrap_or(0)) else {
                    continue;
                };
                let more =
                    records(log, *position as u64, most - all.len() as u64, topic, *partition);
                *position += more.len();
                all.extend(more);
            }
        }
        reply["records"] = json!(all);
        reply
    }

    fn join(&mut self, message: &Value, body: &Value) {
        self.ids += 1;
        let group =
            self.groups.entry(body["group"].as_str().unwrap_or_default().to_owned()).or_default();
        let given = body["member_id"].as_str().unwrap_or_default();
        let id = if given.is_empty() { format!("member-{}", self.ids) } else { given.to_owned() };
        let protocol = &body["protocols"][0];
        group.cooperative = protocol["name"] == "cooperative-sticky";
        group.joining = true;
        let member = group.members.entry(id).or_default();
        member.topics = strings(&protocol["topics"]);
        member.owned = protocol["owned"].clone();
        member.owned_generation = protocol["generation"].as_i64().unwrap_or(-1);
        member.session_us = body["session_timeout_ms"].as_u64().unwrap_or(0) * 1000;
        member.parked = Some(message.clone());
        member.seen_us = self.now_us;
    }
}

fn strings(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn records(log: &[Value], from: u64, most: u64, topic: &str, partition: u64) -> Vec<Value> {
    let numbered = (0_u64..).zip(log).skip(usize::try_from(from).unwrap_or(usize::MAX));
    let record = |(offset, message): (u64, &Value)| json!({ "topic": topic, "partition": partition, "offset": offset, "key": null, "message": message });
    numbered.take(usize::try_from(most).unwrap_or(0)).map(record).collect()
}

impl Group {
    fn joined(&self) -> Vec<Joined> {
        let read = |(id, m): (&String, &Member)| {
            Joined::read(&json!({
                "member_id": id, "topics": m.topics, "owned": m.owned, "generation": m.owned_generation,
            }))
        };
        self.members.iter().filter_map(read).collect()
    }

    fn assign(&mut self, all: BTreeMap<String, Assignment>) {
        for (id, assignment) in all {
            if let Some(member) = self.members.get_mut(&id) {
                member.positions.retain(|(topic, p), _| {
                    assignment.get(topic).is_some_and(|has| has.contains(p))
                });
                member.assignment = assignment;
            }
        }
    }

    /// A thin group assigns at once; a classic one (which has a leader) has to join again.
    fn changed(&mut self, counts: &BTreeMap<String, u64>) {
        if self.leader.is_empty() && !self.joining {
            self.generation += 1;
            self.assign(spread(&self.joined(), counts, false));
        } else {
            self.joining = true;
        }
    }

    fn told(&self, kind: &str, name: &str) -> Value {
        let assignment = self.members.get(name).map(|member| &member.assignment);
        if name.is_empty() {
            return json!({ "type": kind });
        }
        json!({ "type": kind, "generation": self.generation, "state": "Stable", "assignment": assignment })
    }

    fn sync(&mut self, message: &Value, body: &Value, counts: &BTreeMap<String, u64>) {
        let id = body["member_id"].as_str().unwrap_or_default();
        if id == self.leader {
            let sent = serde_json::from_value(body["assignments"].clone());
            let all = sent.unwrap_or_else(|_| spread(&self.joined(), counts, self.cooperative));
            self.members.values_mut().for_each(|member| member.assignment = Assignment::new());
            self.assign(all);
            self.assigned = true;
        }
        if let Some(member) = self.members.get_mut(id) {
            member.parked = Some(message.clone());
        }
    }
}
