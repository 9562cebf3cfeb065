//! The applications' part of a run over the wire: when they begin, what they say, how they end, and
//! what was recorded of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use ::wire::versions::FETCH;
use serde_json::Value;

use super::apps::{Apps, AppsSetup, Said};
use super::client::without_prefix;
use super::{Event, Run, Setup};
use crate::history::{History, Micros};
use crate::targets::TargetError;
use crate::targets::brokers::Brokers;
use crate::watch::{Bounds, Recording, WatchError, in_order};
use crate::workloads::apps::{GROUP, TOPIC};

/// So many operations and fetched records of applications are kept.
const MOST: usize = 2_000_000;
/// After the final reads the applications may take so long to leave.
const LEAVE_US: Micros = 20_000_000;

impl From<WatchError> for TargetError {
    fn from(error: WatchError) -> Self {
        Self::Unable(format!("the applications' recording: {error}"))
    }
}

/// A recording in front of the brokers' proxies, and the applications that will connect to it.
pub(super) async fn prepare(
    apps: &AppsSetup,
    setup: &Setup,
    brokers: &Brokers,
    begun: Instant,
) -> Result<(Recording, Apps), TargetError> {
    let told: Vec<String> =
        (0..brokers.count()).map(|node| brokers.told_at(node).to_owned()).collect();
    let reached = (0..brokers.count()).map(|node| brokers.reached_at(node));
    let routes = Recording::routes(told.iter().cloned().zip(reached))?;
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let recording = Recording::start(begun, here, routes, &Bounds::of(MOST))?;
    let mut bootstrap = Vec::new();
    for address in &told {
        bootstrap.push(recording.address_of(address).await?.to_string());
    }
    let name = |name: &str| format!("{}{name}", setup.prefix);
    let (group, topic) = (name(GROUP), name(TOPIC));
    let drawn = (setup.seed, setup.faults_us);
    let apps = Apps::new(apps.clone(), &bootstrap.join(","), (&group, &topic), drawn, begun)?;
    Ok((recording, apps))
}

/// Adds what was recorded to a history, under the names that the history has.
pub(super) fn merge(
    history: &mut History,
    recording: Recording,
    nodes: &[String],
    prefix: &str,
) -> Result<(), TargetError> {
    let recorded = recording.finish()?;
    // A fetch that is left out shows less. Anything else may be what explains an answer.
    let kinds = recorded.not_understood.iter().filter(|(key, _)| **key != FETCH);
    let kinds: BTreeMap<i16, u64> = kinds.map(|(key, count)| (*key, *count)).collect();
    let lost = kinds.values().sum::<u64>() + recorded.untold;
    if lost > 0 {
        return Err(TargetError::Unable(format!(
            "{lost} answers to applications were not understood, by their keys: {kinds:?}"
        )));
    }
    if let Some(full) = recorded.full {
        return Err(TargetError::Unable(format!("the recording ended early: {}", full.why)));
    }
    let named = |told: &str| {
        let number = nodes.iter().position(|address| address == told);
        number.map_or_else(|| told.to_owned(), |number| format!("n{}", number + 1))
    };
    let mut ops = std::mem::take(&mut history.ops);
    ops.extend(recorded.ops.into_iter().map(|mut op| {
        op.node = named(&op.node);
        op
    }));
    for op in &mut ops {
        op.args = without_prefix(op.args.take(), prefix);
        op.result = op.result.take().map(|result| without_prefix(result, prefix));
    }
    history.ops = in_order(ops, true);
    if let Value::Object(config) = &mut history.header.config {
        config.insert("transactions".to_owned(), recorded.transactions.into());
    }
    Ok(())
}

impl Run<'_> {
    /// How a new instance's lines come back.
    fn hear(&self) -> impl Fn() -> Box<dyn FnMut(Said) -> bool + Send> + use<> {
        let events = self.events.clone();
        move || {
            let events = events.clone();
            // The run is over where nobody listens.
            Box::new(move |said| events.send(Event::Said(said)).is_ok())
        }
    }

    /// The topic is there: the first instances start.
    pub(super) fn begin_apps(&mut self) -> Result<(), TargetError> {
        let (now_us, hear) = (self.now_us, self.hear());
        self.apps.as_mut().map_or(Ok(()), |apps| apps.begin(now_us, hear))
    }

    /// The faults begin.
    pub(super) fn trouble_apps(&mut self) {
        let now_us = self.now_us;
        if let Some(apps) = &mut self.apps {
            apps.follow_plan(now_us);
        }
    }

    /// The faults are over.
    pub(super) fn heal_apps(&mut self) -> Result<(), TargetError> {
        let (now_us, hear) = (self.now_us, self.hear());
        self.apps.as_mut().map_or(Ok(()), |apps| apps.heal(now_us, hear))
    }

    /// Everything was read: all may go.
    pub(super) fn dismiss_apps(&mut self) -> Result<(), TargetError> {
        let now_us = self.now_us;
        self.apps.as_mut().map_or(Ok(()), |apps| apps.dismiss(now_us))
    }

    /// Whether all have gone, or had the time to.
    pub(super) fn apps_are_gone(&mut self, elapsed_us: Micros) -> bool {
        let Some(apps) = &self.apps else { return true };
        let present = apps.present().join(", ");
        if present.is_empty() {
            return true;
        }
        if elapsed_us < LEAVE_US {
            return false;
        }
        let seconds = LEAVE_US / 1_000_000;
        let account = format!("not gone {seconds} s after they were told to leave: {present}");
        self.breach(0, "app-stays", &account);
        true
    }

    /// Does what is planned, and sees who has ended.
    pub(super) fn step_apps(&mut self) -> Result<(), TargetError> {
        let (now_us, hear) = (self.now_us, self.hear());
        let Some(apps) = &mut self.apps else { return Ok(()) };
        let happened = apps.step(now_us, hear)?;
        let ended = apps.ended()?;
        for text in happened {
            (self.tell)(now_us, &text);
        }
        for (name, how) in ended {
            self.breach(0, "app-ended", &format!("{name} {how}"));
        }
        Ok(())
    }

    pub(super) fn said(&mut self, said: Said) {
        let Some(apps) = &mut self.apps else { return };
        if let Err(problem) = apps.take(said) {
            self.failure.get_or_insert(problem);
        }
    }
}
