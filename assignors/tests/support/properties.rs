//! The properties a case may ask for, as `testdata/README.json` defines them.

use std::collections::{BTreeMap, BTreeSet};

use assignors::{Assignor, Group};

use super::vectors::{Case, Lists, Name, Outcome, lists};

/// All that a property may look at.
pub struct Facts<'a> {
    pub case: &'a Case,
    pub outcome: &'a Outcome,
    pub group: &'a Group,
    pub assignor: &'static dyn Assignor,
}

impl Facts<'_> {
    fn subscribes(&self, member: &str, topic: &str) -> bool {
        self.case.members[member].topics.iter().any(|other| other == topic)
    }

    /// Pairs of different members, both ways round.
    fn pairs(&self) -> impl Iterator<Item = (&String, &Vec<Name>, &String, &Vec<Name>)> {
        let target = &self.outcome.target;
        target
            .iter()
            .flat_map(move |(a, a_list)| {
                target.iter().map(move |(b, b_list)| (a, a_list, b, b_list))
            })
            .filter(|(a, _, b, _)| a != b)
    }
}

/// Ok if the property holds; otherwise why not. A property that is not known does not hold.
///
/// While a cooperative round withholds something, how much members have and whether everything is
/// handed out is asked of the target; in a round that withholds nothing the two are the same.
pub fn check_property(property: &str, facts: &Facts<'_>) -> Result<(), String> {
    let (name, argument) = match property.split_once(':') {
        Some((name, argument)) => (name, Some(argument)),
        None => (property, None),
    };
    let argument_missing = || format!("`{property}` lacks its argument");
    match (name, argument) {
        ("valid", None) => valid(facts),
        ("no-double", None) => no_double(facts),
        ("complete", None) => complete(facts),
        ("max-diff-1", None) => max_diff(facts),
        ("balanced", None) => balanced(facts),
        ("no-improving-move", None) => no_improving_move(facts),
        ("sticky", None) => sticky(facts),
        ("retains-owned", None) => {
            retains_owned(facts, &facts.case.members.keys().map(String::as_str).collect::<Vec<_>>())
        }
        ("retains-owned-by", Some(members)) => retains_owned(facts, &named(facts, members)?),
        ("only-from-owned", None) => only_from_owned(
            facts,
            &facts.case.members.keys().map(String::as_str).collect::<Vec<_>>(),
        ),
        ("only-from-owned", Some(members)) => only_from_owned(facts, &named(facts, members)?),
        ("size-between", Some(bounds)) => size_between(facts, bounds),
        ("topic-count-each", Some(counts)) => topic_count_each(facts, counts),
        ("no-transfer", None) => transfer_count(facts, 0),
        ("transfer-count", Some(count)) => {
            transfer_count(facts, count.parse().map_err(|_| format!("`{count}` is not a number"))?)
        }
        ("stable-by-instance", None) => stable_by_instance(facts),
        ("retains-owned-by" | "size-between" | "topic-count-each" | "transfer-count", None) => {
            Err(argument_missing())
        }
        _ => Err("unknown property".into()),
    }
}

fn fail_unless(holds: bool, reason: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(reason()) }
}

fn named<'a>(facts: &Facts<'_>, members: &'a str) -> Result<Vec<&'a str>, String> {
    let members: Vec<&str> = members.split(',').collect();
    match members.iter().find(|&&member| !facts.case.members.contains_key(member)) {
        Some(stranger) => Err(format!("there is no member `{stranger}`")),
        None => Ok(members),
    }
}

fn valid(facts: &Facts<'_>) -> Result<(), String> {
    for (member, list) in &facts.outcome.target {
        for (topic, partition) in list {
            fail_unless(facts.subscribes(member, topic), || {
                format!("{member} gets {topic}-{partition} without a subscription")
            })?;
            fail_unless(
                facts.case.topics.get(topic).is_some_and(|count| partition < count),
                || format!("{member} gets {topic}-{partition}, which does not exist"),
            )?;
        }
    }
    Ok(())
}

fn no_double(facts: &Facts<'_>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (member, list) in &facts.outcome.target {
        for name in list {
            fail_unless(seen.insert(name), || {
                format!("{}-{} is also at {member}", name.0, name.1)
            })?;
        }
    }
    Ok(())
}

fn complete(facts: &Facts<'_>) -> Result<(), String> {
    let assigned: BTreeSet<&Name> = facts.outcome.target.values().flatten().collect();
    let subscribed: BTreeSet<&String> =
        facts.case.members.values().flat_map(|m| &m.topics).collect();
    for topic in subscribed {
        for partition in 0..facts.case.topics.get(topic).copied().unwrap_or(0) {
            fail_unless(assigned.contains(&(topic.clone(), partition)), || {
                format!("{topic}-{partition} is at nobody")
            })?;
        }
    }
    Ok(())
}

fn max_diff(facts: &Facts<'_>) -> Result<(), String> {
    let sizes = || facts.outcome.target.values().map(Vec::len);
    let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
    fail_unless(most - least <= 1, || format!("sizes from {least} to {most}"))
}

fn balanced(facts: &Facts<'_>) -> Result<(), String> {
    for (a, a_list, b, b_list) in facts.pairs() {
        if a_list.len() >= b_list.len() + 2 {
            let topics: BTreeSet<&String> = b_list.iter().map(|(topic, _)| topic).collect();
            let common = a_list.iter().find(|(topic, _)| topics.contains(topic));
            fail_unless(common.is_none(), || {
                format!(
                    "{a} has {}, {b} has {}, both of {}",
                    a_list.len(),
                    b_list.len(),
                    common.unwrap().0
                )
            })?;
        }
    }
    Ok(())
}

fn no_improving_move(facts: &Facts<'_>) -> Result<(), String> {
    for (a, a_list, b, b_list) in facts.pairs() {
        if a_list.len() >= b_list.len() + 2 {
            let movable = a_list.iter().find(|(topic, _)| facts.subscribes(b, topic));
            fail_unless(movable.is_none(), || {
                format!("{:?} could go from {a} to {b}", movable.unwrap())
            })?;
        }
    }
    Ok(())
}

fn sticky(facts: &Facts<'_>) -> Result<(), String> {
    let mut moves: BTreeSet<(&str, &str, &str)> = BTreeSet::new();
    for (to, list) in &facts.outcome.target {
        for name in list {
            for (from, member) in facts.case.members.iter().filter(|(from, _)| *from != to) {
                if member.owned.contains(name) {
                    moves.insert((&name.0, from, to));
                }
            }
        }
    }
    match moves.iter().find(|(topic, from, to)| moves.contains(&(*topic, *to, *from))) {
        Some((topic, from, to)) => Err(format!("{topic} moves from {from} to {to} and back")),
        None => Ok(()),
    }
}

fn retains_owned(facts: &Facts<'_>, members: &[&str]) -> Result<(), String> {
    for &member in members {
        let lost = facts.case.members[member]
            .owned
            .iter()
            .find(|name| !facts.outcome.given[member].contains(name));
        fail_unless(lost.is_none(), || format!("{member} loses {:?}", lost.unwrap()))?;
    }
    Ok(())
}

fn only_from_owned(facts: &Facts<'_>, members: &[&str]) -> Result<(), String> {
    for &member in members {
        let new = facts.outcome.target[member]
            .iter()
            .find(|name| !facts.case.members[member].owned.contains(name));
        fail_unless(new.is_none(), || {
            format!("{member} gets {:?}, which it did not own", new.unwrap())
        })?;
    }
    Ok(())
}

fn size_between(facts: &Facts<'_>, bounds: &str) -> Result<(), String> {
    let parsed = bounds.split_once(',').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let Some((least, most)) = parsed else {
        return Err(format!("`{bounds}` is not a pair of numbers"));
    };
    for (member, list) in &facts.outcome.target {
        fail_unless((least..=most).contains(&list.len()), || {
            format!("{member} has {}", list.len())
        })?;
    }
    Ok(())
}

fn topic_count_each(facts: &Facts<'_>, counts: &str) -> Result<(), String> {
    for count in counts.split(',') {
        let parsed =
            count.split_once('=').and_then(|(topic, n)| Some((topic, n.parse::<usize>().ok()?)));
        let Some((topic, expected)) = parsed else {
            return Err(format!("`{count}` is not topic=number"));
        };
        fail_unless(facts.case.topics.contains_key(topic), || {
            format!("there is no topic `{topic}`")
        })?;
        for (member, list) in &facts.outcome.target {
            let got = list.iter().filter(|(other, _)| other == topic).count();
            fail_unless(got == expected, || format!("{member} has {got} of {topic}"))?;
        }
    }
    Ok(())
}

fn transfer_count(facts: &Facts<'_>, expected: usize) -> Result<(), String> {
    let transferring = &facts.outcome.transferring;
    fail_unless(transferring.len() == expected, || {
        format!("{} change owner: {transferring:?}", transferring.len())
    })
}

/// Runs the case again under other member ids, which sort the other way round.
fn stable_by_instance(facts: &Facts<'_>) -> Result<(), String> {
    let instances = |group: &Group, outcome: &Lists| -> BTreeMap<String, Vec<Name>> {
        let members = group.members.iter();
        members
            .filter_map(|member| {
                Some((member.instance_id.as_ref()?.to_string(), outcome[&*member.id].clone()))
            })
            .collect()
    };
    let before = instances(facts.group, &facts.outcome.target);
    fail_unless(!before.is_empty(), || "no member has an instance id".into())?;
    let mut renamed = facts.group.clone();
    let members = renamed.members.len();
    for (index, member) in renamed.members.iter_mut().enumerate() {
        if member.instance_id.is_some() {
            member.id = format!("renamed-{:06}", members - index).into();
        }
    }
    let again = facts.assignor.assign(&renamed).map_err(|error| error.to_string())?;
    let after = instances(&renamed, &lists(&renamed, &again.target()));
    fail_unless(before == after, || format!("before {before:?}, after {after:?}"))
}
