//! Runs cases of the form described in `testdata/README.json` against the assignors.
//!
//! Shared by the test of our own copy of the data and by `examples/vectors.rs`, which takes any
//! file of that form. A case fails with a reason; it never passes because something in it was not
//! understood: unknown assignors, properties and expectations fail, and every case is also held to
//! `valid` and `no-double`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;
use std::sync::Arc;

use assignors::{
    Assignment, Assignor, Group, Member, Topic, TopicId, TopicPartition, UniformServer, by_name,
};
use serde::Deserialize;

use super::properties::{Facts, check_property};

/// A topic's name and a partition's number.
pub type Name = (String, u32);
/// Partitions by member id.
pub type Lists = BTreeMap<String, Vec<Name>>;

#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    pub id: String,
    pub assignor: String,
    pub topics: BTreeMap<String, u32>,
    pub members: BTreeMap<String, CaseMember>,
    pub expect: Expect,
    #[serde(default)]
    pub expect_properties: Vec<String>,
    #[serde(default)]
    pub partition_racks: BTreeMap<String, Vec<Vec<Option<String>>>>,
    /// `homogeneous` or `heterogeneous`: what upstream's test said about the group, which decided
    /// the way taken.
    pub subscription_type: Option<String>,
    #[serde(default)]
    pub topic_order: Vec<String>,
    #[serde(default)]
    pub topic_ids: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct CaseMember {
    pub topics: Vec<String>,
    pub instance_id: Option<String>,
    #[serde(default)]
    pub owned: Vec<Name>,
    pub generation: Option<i32>,
    pub rack: Option<String>,
}

/// What a case expects. A key that is not here makes the file unreadable, rather than being passed
/// over.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub assignment: Option<Lists>,
    #[serde(default)]
    pub ordered: bool,
    pub assignment_later_version: Option<Lists>,
    pub transferring: Option<Vec<(Name, String)>>,
    pub error: Option<String>,
    // Informational, see README.json.
    #[serde(default, rename = "basis")]
    pub _basis: serde_json::Value,
    #[serde(default, rename = "reference_assignment")]
    pub _reference_assignment: serde_json::Value,
    #[serde(default, rename = "reference_transferring")]
    pub _reference_transferring: serde_json::Value,
}

/// The whole program of `examples/vectors.rs`: runs the cases of all files, writes a line for each
/// that fails and the sums, and returns the exit code.
pub fn run_files(
    files: &[OsString],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> std::io::Result<u8> {
    if files.is_empty() {
        writeln!(
            err,
            "usage: vectors FILE…   (JSON files of the form of assignors/testdata/assignors.json)"
        )?;
        return Ok(2);
    }
    let (mut passed, mut failed) = (0, 0);
    for file in files {
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
        let cases = match text.and_then(|text| parse(&text)) {
            Ok(cases) => cases,
            Err(error) => {
                writeln!(err, "{}: {error}", file.display())?;
                return Ok(2);
            }
        };
        for case in &cases {
            match run(case) {
                Ok(()) => passed += 1,
                Err(reason) => {
                    failed += 1;
                    writeln!(out, "{} {}: {reason}", case.id, case.assignor)?;
                }
            }
        }
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(u8::from(failed > 0))
}

/// Reads a file's cases. The error says what is wrong with the text.
pub fn parse(text: &str) -> Result<Vec<Case>, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// Runs one case; the error lists everything that is wrong with the outcome.
pub fn run(case: &Case) -> Result<(), String> {
    let group = group_of(case)?;
    let assignor = assignor_of(case)?;
    let assignment = match (assignor.assign(&group), &case.expect.error) {
        (Err(_), Some(_)) => return Ok(()),
        (Err(error), None) => return Err(format!("unexpected error: {error}")),
        (Ok(_), Some(expected)) => {
            return Err(format!("expected the error {expected}, got an assignment"));
        }
        (Ok(assignment), None) => assignment,
    };
    let mut reasons = Vec::new();
    let outcome = Outcome::new(case, &group, &assignment)?;

    if let Some(expected) = &case.expect.assignment {
        let got =
            if case.expect.ordered { outcome.in_kafkas_order(case) } else { outcome.given.clone() };
        let alternatives = [Some(expected), case.expect.assignment_later_version.as_ref()];
        if !alternatives.iter().flatten().any(|expected| same(expected, &got, case.expect.ordered))
        {
            reasons.push(format!("assignment: expected {}, got {}", show(expected), show(&got)));
        }
    }
    if let Some(expected) = &case.expect.transferring {
        let expected: BTreeMap<Name, String> = expected.iter().cloned().collect();
        if expected != outcome.transferring {
            reasons.push(format!(
                "transferring: expected {expected:?}, got {:?}",
                outcome.transferring
            ));
        }
    }
    let facts = Facts { case, outcome: &outcome, group: &group, assignor };
    let always = ["valid", "no-double"].map(String::from);
    let asked: BTreeSet<&String> = always.iter().chain(&case.expect_properties).collect();
    for property in asked {
        if let Err(reason) = check_property(property, &facts) {
            reasons.push(format!("{property}: {reason}"));
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) }
}

fn assignor_of(case: &Case) -> Result<&'static dyn Assignor, String> {
    let general = case.subscription_type.as_deref() == Some("heterogeneous");
    match case.assignor.as_str() {
        // Some upstream tests call equal subscriptions heterogeneous.
        "uniform-server" if general => Ok(&UniformServer { always_general: true }),
        name => by_name(name).ok_or_else(|| format!("no assignor `{name}`")),
    }
}

/// An assignment in the words of a case.
pub struct Outcome {
    /// What the members get in this round.
    pub given: Lists,
    /// What they get in the end: the same, with what is withheld in it.
    pub target: Lists,
    /// Partitions that change hands, with their new owner.
    pub transferring: BTreeMap<Name, String>,
}

impl Outcome {
    fn new(case: &Case, group: &Group, assignment: &Assignment) -> Result<Self, String> {
        // For `sticky` Kafka keeps the same list, but withholds nothing; it is that of its
        // cooperative twin, which must want the same target.
        let twin = match case.assignor.as_str() {
            "sticky" => {
                let twin = by_name("cooperative-sticky").expect("a known name").assign(group);
                let twin = twin.map_err(|error| error.to_string())?;
                if twin.target() != assignment.members {
                    return Err("sticky and cooperative-sticky want different targets".into());
                }
                Some(twin)
            }
            _ => None,
        };
        let transferring = match case.assignor.as_str() {
            "sticky" | "cooperative-sticky" => twin
                .as_ref()
                .unwrap_or(assignment)
                .transferring
                .iter()
                .map(|&(partition, owner)| {
                    (name(group, partition), group.members[owner].id.to_string())
                })
                .collect(),
            _ => new_owners(case, &lists(group, &assignment.members)),
        };
        Ok(Self {
            given: lists(group, &assignment.members),
            target: lists(group, &assignment.target()),
            transferring,
        })
    }

    /// The lists in the order in which Kafka builds them, where a case asserts it. This crate's
    /// lists are sorted sets. Kafka's sticky assignors put what is kept first (by number, then
    /// topic), then what is new.
    fn in_kafkas_order(&self, case: &Case) -> Lists {
        let mut lists = self.given.clone();
        if case.assignor.contains("sticky") {
            for (id, list) in &mut lists {
                let owned: BTreeSet<&Name> = case.members[id].owned.iter().collect();
                list.sort_by_key(|name| {
                    let kept = owned.contains(name);
                    (!kept, if kept { name.1 } else { 0 }, name.clone())
                });
            }
        }
        lists
    }
}

/// Owned partitions that somebody else has got.
fn new_owners(case: &Case, lists: &Lists) -> BTreeMap<Name, String> {
    let mut owners = BTreeMap::new();
    for (id, list) in lists {
        for partition in list {
            let owned_by = |member: &CaseMember| member.owned.contains(partition);
            if !owned_by(&case.members[id]) && case.members.values().any(owned_by) {
                owners.insert(partition.clone(), id.clone());
            }
        }
    }
    owners
}

/// Builds the input. Topics that are only mentioned do not exist.
pub fn group_of(case: &Case) -> Result<Group, String> {
    let mut names: BTreeSet<&str> = case.topics.keys().map(String::as_str).collect();
    for member in case.members.values() {
        names.extend(member.topics.iter().map(String::as_str));
        names.extend(member.owned.iter().map(|(topic, _)| topic.as_str()));
    }
    let index: BTreeMap<&str, u32> =
        names.iter().zip(0..).map(|(&name, index)| (name, index)).collect();
    let topics: Vec<Topic> =
        names.iter().map(|name| topic_of(case, name)).collect::<Result<_, _>>()?;
    let mut shared: BTreeMap<Vec<u32>, Arc<[u32]>> = BTreeMap::new();
    let members = case
        .members
        .iter()
        .map(|(id, member)| {
            let mut topics: Vec<u32> =
                member.topics.iter().map(|topic| index[topic.as_str()]).collect();
            topics.sort_unstable();
            topics.dedup();
            let topics = shared.entry(topics).or_insert_with_key(|topics| topics.as_slice().into());
            Member {
                id: id.as_str().into(),
                instance_id: member.instance_id.as_deref().map(Into::into),
                rack: member.rack.as_deref().map(Into::into),
                topics: Arc::clone(topics),
                owned: member
                    .owned
                    .iter()
                    .map(|(topic, partition)| {
                        TopicPartition::new(index[topic.as_str()], *partition)
                    })
                    .collect(),
                generation: member.generation,
            }
        })
        .collect();
    Ok(Group { topics, members })
}

fn topic_of(case: &Case, name: &str) -> Result<Topic, String> {
    let Some(&partitions) = case.topics.get(name) else { return Ok(Topic::missing(name)) };
    let mut topic = Topic::new(name, partitions);
    topic.id = case.topic_ids.get(name).map(|id| topic_id(id)).transpose()?;
    topic.rank = case
        .topic_order
        .iter()
        .position(|other| other == name)
        .map_or(u32::MAX, |rank| rank as u32);
    topic.racks = case.partition_racks.get(name).map(|racks| {
        racks
            .iter()
            .map(|racks| racks.iter().flatten().map(|rack| rack.as_str().into()).collect())
            .collect()
    });
    Ok(topic)
}

/// Kafka's text form of an id: base64 for URLs without padding, 22 characters for 16 bytes.
fn topic_id(text: &str) -> Result<TopicId, String> {
    let bad = || format!("topic id `{text}`: expected 22 characters of URL-safe base64");
    let mut bits: u128 = 0;
    if text.len() != 22 {
        return Err(bad());
    }
    for (position, byte) in text.bytes().enumerate() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return Err(bad()),
        };
        // 22 times 6 is 132: the last character carries only its upper two bits.
        bits = if position < 21 {
            bits << 6 | u128::from(six)
        } else {
            bits << 2 | u128::from(six >> 4)
        };
    }
    Ok(TopicId(bits.to_be_bytes()))
}

fn name(group: &Group, partition: TopicPartition) -> Name {
    (group.topics[partition.topic as usize].name.to_string(), partition.partition)
}

/// An assignment's lists by member id.
pub fn lists(group: &Group, lists: &[Vec<TopicPartition>]) -> Lists {
    let named =
        |list: &Vec<TopicPartition>| list.iter().map(|&partition| name(group, partition)).collect();
    group
        .members
        .iter()
        .zip(lists)
        .map(|(member, list)| (member.id.to_string(), named(list)))
        .collect()
}

/// Equal lists; a member without a list has an empty one.
fn same(expected: &Lists, got: &Lists, ordered: bool) -> bool {
    let members: BTreeSet<&String> = expected.keys().chain(got.keys()).collect();
    members.into_iter().all(|member| {
        let list = |lists: &Lists| {
            let mut list = lists.get(member).cloned().unwrap_or_default();
            if !ordered {
                list.sort();
            }
            list
        };
        list(expected) == list(got)
    })
}

fn show(lists: &Lists) -> String {
    let list = |list: &Vec<Name>| {
        let names: Vec<String> =
            list.iter().map(|(topic, partition)| format!("{topic}-{partition}")).collect();
        names.join(" ")
    };
    let lists: Vec<String> =
        lists.iter().map(|(id, names)| format!("{id}=[{}]", list(names))).collect();
    lists.join(" ")
}
