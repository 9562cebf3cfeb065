//! **reset-position** (C3): a consumer began to read a newly assigned partition elsewhere than at
//! its group's committed offset.
//!
//! To a user this is "my consumer started over" or "my consumer skipped": `auto.offset.reset` was
//! applied though there was a committed offset. Holds for classic members that place themselves:
//! who asks for the committed offset (`fetch_offset`) between its `sync_group` and its first
//! `fetch` of the partition must begin at a value that the offset can have had in that time. That
//! the answer to `fetch_offset` was itself wrong is `spurious-offset` or `offset-goes-back`; here
//! it was acted on. In thin groups the coordinator places the reader (`commit-reassign-gap`).
//!
//! Not judged: who never asks (an application may keep its offsets elsewhere); a partition whose
//! offset may be none or 0; who asks for the ends of the log (`list_offsets`) though it was told an
//! offset, for that is a seek; what is read in the final phase, which reads everything; and watched
//! clients, whose applications may seek unseen.

use std::collections::BTreeMap;

use super::epochs::NOT_OF_EPOCHS;
use super::view::{Assignment, Groups, Partition, assignment, partition_text};
use crate::checkers::clock::span;
use crate::checkers::logs::{name, topic};
use crate::checkers::offsets::{Commits, group};
use crate::checkers::wire::{is_watched, stale_since};
use crate::checkers::{Checker, Verdict, Violation};
use crate::history::{History, Micros, Op, Outcome};

/// A consumer that started over.
#[derive(Debug)]
pub struct ResetPosition;

impl Checker for ResetPosition {
    fn name(&self) -> &'static str {
        "reset-position"
    }

    fn check(&self, history: &History) -> Verdict {
        if is_watched(history) {
            return Verdict::NotJudged(
                "an application that was only watched may seek unseen".to_owned(),
            );
        }
        let mut clients: BTreeMap<&str, Client<'_>> = BTreeMap::new();
        let groups = Groups::of(history);
        let heal = history.header.heal_us.unwrap_or(Micros::MAX);
        let mut begun = Vec::new();
        for op in history.ops.iter().filter(|op| op.invoke_us < heal) {
            let client = clients.entry(&op.process).or_default();
            begun.extend(client.operation(op, &groups));
        }
        let commits = Commits::of(history);
        let (mut judged, mut violations) = (0, Vec::new());
        for beginning in &begun {
            judged += usize::from(beginning.judge(history, &commits, &mut violations));
        }
        Verdict::of(
            judged,
            violations,
            "no classic member looked up a committed offset and read from there",
        )
        .unless_empty(groups.only_epochs(), NOT_OF_EPOCHS)
    }
}

/// A partition that was assigned, and has not been read since.
#[derive(Debug, Clone)]
struct Place<'h> {
    sync: &'h Op,
    member: &'h str,
    /// Answers that told the committed offset.
    lookups: Vec<&'h Op>,
    /// The first request for an end of the log.
    sought: Option<&'h Op>,
}

/// A first read.
#[derive(Debug)]
struct Beginning<'h> {
    group: &'h str,
    partition: Partition,
    place: Place<'h>,
    fetch: &'h Op,
}

/// What one process owns, and where it has not begun to read yet.
#[derive(Debug, Default)]
struct Client<'h> {
    held: BTreeMap<&'h str, Assignment>,
    places: BTreeMap<(&'h str, Partition), Place<'h>>,
}

impl<'h> Client<'h> {
    /// Follows a request. Returns the first read of a partition.
    fn operation(&mut self, op: &'h Op, groups: &Groups<'h>) -> Option<Beginning<'h>> {
        let partition = || {
            let number = op.args.get("partition").and_then(serde_json::Value::as_i64)?;
            Some((topic(&op.args).to_owned(), number))
        };
        match (op.f.as_str(), group(&op.args)) {
            ("sync_group", Some(group)) if op.outcome == Outcome::Ok => {
                self.assigned(group, op, groups.groups.get(group)?.cooperative);
            }
            ("join_group" | "leave_group", Some(group))
                if groups.groups.get(group).is_none_or(|group| !group.cooperative) =>
            {
                self.lose(group);
            }
            ("fetch_offset", Some(group)) => {
                let place = self.places.get_mut(&(group, partition()?))?;
                place.lookups.extend((op.outcome == Outcome::Ok).then_some(op));
            }
            ("list_offsets", _) => {
                let partition = partition()?;
                let places = self.places.iter_mut().filter(|((_, of), _)| *of == partition);
                places.for_each(|(_, place)| place.sought = place.sought.or(Some(op)));
            }
            ("fetch", _) => return self.fetched(op, &partition()?),
            (_, Some(group)) if is_out(op) => self.lose(group),
            _ => {}
        }
        None
    }

    fn lose(&mut self, group: &str) {
        self.held.remove(group);
        self.places.retain(|(of, _), _| *of != group);
    }

    fn assigned(&mut self, group: &'h str, sync: &'h Op, cooperative: bool) {
        let told = sync.result.as_ref().and_then(|reply| assignment(reply.get("assignment")?));
        let (Some(told), Some(member)) = (told, name(&sync.args, "member_id")) else {
            return self.lose(group);
        };
        let held = self.held.insert(group, told.clone()).filter(|_| cooperative);
        self.places.retain(|(of, partition), _| *of != group || told.contains(partition));
        for partition in told {
            if held.as_ref().is_none_or(|held| !held.contains(&partition)) {
                let place = Place { sync, member, lookups: Vec::new(), sought: None };
                self.places.insert((group, partition), place);
            }
        }
    }

    fn fetched(&mut self, fetch: &'h Op, partition: &Partition) -> Option<Beginning<'h>> {
        let of = |key: &(&str, Partition)| key.1 == *partition;
        let keys: Vec<_> = self.places.keys().filter(|key| of(key)).cloned().collect();
        let places = keys.into_iter().filter_map(|key| Some((key.0, self.places.remove(&key)?)));
        let mut places: Vec<_> = places.collect();
        // Who reads the partition for two groups reads for neither, as far as one can tell.
        let (group, place) = places.pop().filter(|_| places.is_empty())?;
        let by_member = name(&fetch.args, "member_id").is_none_or(|by| by == place.member);
        by_member.then(|| Beginning { group, partition: partition.clone(), place, fetch })
    }
}

/// Whether an answer tells a member that it is out, or of an older generation.
fn is_out(op: &Op) -> bool {
    matches!(
        op.error.as_deref(),
        Some("UNKNOWN_MEMBER_ID" | "FENCED_INSTANCE_ID" | "ILLEGAL_GENERATION")
    )
}

impl Beginning<'_> {
    /// Whether it could be judged.
    fn judge(
        &self,
        history: &History,
        commits: &Commits<'_>,
        violations: &mut Vec<Violation>,
    ) -> bool {
        let Self { group, partition, place, fetch } = self;
        let from = fetch.args.get("offset").and_then(serde_json::Value::as_i64);
        let last = place.lookups.iter().filter_map(|lookup| lookup.complete_us).max();
        let (Some(from), Some(last)) = (from, last) else { return false };
        // What overlaps was not waited for.
        if last > fetch.invoke_us || place.sync.complete_us > Some(fetch.invoke_us) {
            return false;
        }
        let told = place.lookups.iter().filter_map(|lookup| lookup.result.as_ref()?.get("offset"));
        let told: Vec<i64> = told.filter_map(serde_json::Value::as_i64).collect();
        if place.sought.is_some() && told.iter().any(|told| *told >= 0) {
            return false;
        }
        let Some(register) = commits.register(group, &partition.0, partition.1) else {
            return true;
        };
        let since = place.lookups.iter().map(|lookup| stale_since(history, lookup)).min();
        let since = since.unwrap_or(place.sync.invoke_us).min(place.sync.invoke_us);
        let possible = register.possible(since, fetch.invoke_us);
        // Nothing may be committed: then the client begins where it likes.
        if possible.values.contains_key(&0) || possible.values.contains_key(&from) {
            return true;
        }
        let told = told.last().map_or("nothing".to_owned(), i64::to_string);
        let shown = place.lookups.iter().chain(&place.sought).map(|op| op.id);
        violations.push(Violation::new(
            format!(
                "group {group}: {} was assigned {} in {} and began to read it at {from} in {}; it was told {told}, but the committed offset can only have been {}",
                place.member,
                partition_text(partition),
                span(place.sync),
                span(fetch),
                possible.text()
            ),
            possible.ops().chain(shown).chain([place.sync.id, fetch.id]),
        ));
        true
    }
}
