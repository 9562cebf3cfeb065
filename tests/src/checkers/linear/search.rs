//! The search for a linearization of one register; see the module above.

use std::collections::{BTreeMap, HashMap};

use crate::history::Micros;

/// What an operation does to a register, or shows of it. States are numbers that the caller gives
/// to values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// It saw this state.
    Saw(u32),
    /// It saw a state other than these two.
    SawNeither(u32, u32),
    /// It set this state.
    Set(u32),
    /// It found the first state and set the second.
    Swap(u32, u32),
    /// It found one of the first two states and set the third.
    SwapEither(u32, u32, u32),
    /// It raised the state to at least this one; the caller's numbers are in the order of values.
    Raise(u32),
}

impl Effect {
    /// The state after the operation, or `None` where it cannot have been done in this state.
    #[must_use]
    pub fn act(self, state: u32) -> Option<u32> {
        match self {
            Self::Saw(seen) => (state == seen).then_some(state),
            Self::SawNeither(a, b) => (state != a && state != b).then_some(state),
            Self::Set(new) => Some(new),
            Self::Swap(from, to) => (state == from).then_some(to),
            Self::SwapEither(a, b, to) => (state == a || state == b).then_some(to),
            Self::Raise(least) => Some(state.max(least)),
        }
    }

    /// Whether it never changes a state.
    fn is_sight(self) -> bool {
        matches!(self, Self::Saw(_) | Self::SawNeither(..))
    }
}

/// One operation on one register.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// When it was invoked.
    pub invoke: Micros,
    /// When it completed; `None` if it may act at any later time, or never.
    pub complete: Option<Micros>,
    /// What it did.
    pub effect: Effect,
}

/// What the search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// There is a linearization.
    Linearizable,
    /// There is none.
    Not {
        /// The operation (by its place in the input) whose answer cannot be explained.
        unexplained: usize,
        /// The states that the register could have had when that operation completed, sorted.
        states: Vec<u32>,
        /// The operations that could have put it into those states, sorted.
        setters: Vec<usize>,
        /// The operations that were pending then, sorted.
        pending: Vec<usize>,
    },
    /// The search was given up after this many steps.
    GaveUp(usize),
}

/// Steps after which a search is given up by default; a step is one configuration reached. A few
/// seconds.
pub const STEPS: usize = 5_000_000;

/// A set of small numbers, sorted: pending operations that have acted. Few are pending at once.
type Acted = Vec<u32>;

/// Where the register can be: equal ones are the same for all that follows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Configuration {
    state: u32,
    /// Pending operations with an answer that have acted.
    acted: Acted,
    /// Kinds of operations without an answer, and how many of each have acted.
    used: Vec<(u32, u32)>,
}

impl Configuration {
    /// Whether this one can do all that the other can: it has the same state and the same answered
    /// operations behind it, and has used no more of the unanswered ones.
    fn dominates(&self, other: &Self) -> bool {
        self.used.iter().all(|(kind, count)| {
            other
                .used
                .binary_search_by_key(kind, |used| used.0)
                .is_ok_and(|at| other.used[at].1 >= *count)
        })
    }
}

/// A configuration, and the operation that set its state, if any did.
type Place = (Configuration, Option<usize>);

/// Configurations of which none dominates another, each with the operation that set its state.
#[derive(Default)]
struct Frontier {
    /// By state and acted operations: what else differs.
    groups: BTreeMap<(u32, Acted), Vec<Place>>,
}

impl Frontier {
    /// Adds a configuration; false if one that is at least as good is there already.
    fn add(&mut self, configuration: Configuration, setter: Option<usize>) -> bool {
        let group =
            self.groups.entry((configuration.state, configuration.acted.clone())).or_default();
        if group.iter().any(|(known, _)| known.dominates(&configuration)) {
            return false;
        }
        group.retain(|(known, _)| !configuration.dominates(known));
        group.push((configuration, setter));
        true
    }

    fn into_vec(self) -> Vec<Place> {
        self.groups.into_values().flatten().collect()
    }
}

/// What is pending at an instant.
#[derive(Default)]
struct Pending {
    /// Operations with an answer that changes states.
    answered: Vec<u32>,
    /// Operations with an answer that only saw a state.
    sights: Vec<u32>,
    /// Unanswered ones: effect, how many were invoked, one of them.
    kinds: Vec<(Effect, u32, usize)>,
    by_effect: HashMap<Effect, u32>,
}

enum Event {
    Invoke(usize),
    Complete(usize),
}

/// Looks for a linearization of the operations on one register that begins in state `initial`, for
/// at most `steps` steps.
///
/// Operations that complete at the very time at which another is invoked count as concurrent with
/// it.
#[must_use]
pub fn linearizable(initial: u32, operations: &[Operation], steps: usize) -> Answer {
    let mut search = Search { operations, pending: Pending::default(), left: steps };
    let mut configurations =
        vec![(Configuration { state: initial, acted: vec![], used: vec![] }, None)];
    for event in events(operations) {
        match event {
            Event::Invoke(at) => search.invoke(at, &mut configurations),
            Event::Complete(at) => match search.complete(at, configurations) {
                Ok(next) => configurations = next,
                Err(Some(answer)) => return answer,
                Err(None) => return Answer::GaveUp(steps),
            },
        }
    }
    Answer::Linearizable
}

fn events(operations: &[Operation]) -> Vec<Event> {
    let mut events = Vec::with_capacity(2 * operations.len());
    for (at, operation) in operations.iter().enumerate() {
        // Without an answer, what only saw a state shows nothing.
        if operation.complete.is_none() && operation.effect.is_sight() {
            continue;
        }
        events.push((operation.invoke, 0, at));
        if let Some(complete) = operation.complete {
            events.push((complete, 1, at));
        }
    }
    events.sort_unstable();
    events
        .into_iter()
        .map(|(_, kind, at)| if kind == 0 { Event::Invoke(at) } else { Event::Complete(at) })
        .collect()
}

struct Search<'a> {
    operations: &'a [Operation],
    pending: Pending,
    left: usize,
}

fn number(at: usize) -> u32 {
    u32::try_from(at).expect("fewer than 2^32 operations")
}

fn insert(set: &mut Acted, item: u32) {
    if let Err(place) = set.binary_search(&item) {
        set.insert(place, item);
    }
}

impl Search<'_> {
    fn invoke(&mut self, at: usize, configurations: &mut [Place]) {
        let operation = self.operations[at];
        let id = number(at);
        if operation.complete.is_none() {
            let next = number(self.pending.kinds.len());
            let kind = *self.pending.by_effect.entry(operation.effect).or_insert(next);
            if kind == next {
                self.pending.kinds.push((operation.effect, 1, at));
            } else {
                self.pending.kinds[kind as usize].1 += 1;
            }
        } else if operation.effect.is_sight() {
            self.pending.sights.push(id);
            for (configuration, _) in configurations {
                self.see(configuration);
            }
        } else {
            self.pending.answered.push(id);
        }
    }

    /// Lets every pending sight act that can. It changes nothing, so acting at once is never the
    /// wrong choice.
    fn see(&self, configuration: &mut Configuration) {
        for id in &self.pending.sights {
            if self.operations[*id as usize].effect.act(configuration.state).is_some() {
                insert(&mut configuration.acted, *id);
            }
        }
    }

    /// The configurations after `at` has completed. `Err(None)` where the steps are used up.
    fn complete(
        &mut self,
        at: usize,
        configurations: Vec<Place>,
    ) -> Result<Vec<Place>, Option<Answer>> {
        let id = number(at);
        let mut done = Frontier::default();
        // What was reached on the way. Breadth first, so that configurations that use up few
        // unanswered operations come first and spare us the others.
        let mut seen = Frontier::default();
        let mut before: Vec<(u32, Option<usize>)> = Vec::new();
        let mut layer = Vec::new();
        for (configuration, setter) in configurations {
            before.push((configuration.state, setter));
            if seen.add(configuration.clone(), setter) {
                layer.push((configuration, setter));
            }
        }
        while !layer.is_empty() {
            let mut next = Vec::new();
            for (mut configuration, setter) in layer {
                self.left = self.left.checked_sub(1).ok_or(None)?;
                if let Ok(place) = configuration.acted.binary_search(&id) {
                    configuration.acted.remove(place);
                    done.add(configuration, setter);
                    continue;
                }
                let mut made = 0;
                self.successors(&configuration, |successor, by| {
                    made += 1;
                    if seen.add(successor.clone(), Some(by)) {
                        next.push((successor, Some(by)));
                    }
                });
                self.left = self.left.checked_sub(made).ok_or(None)?;
            }
            layer = next;
        }
        self.pending.answered.retain(|other| *other != id);
        self.pending.sights.retain(|other| *other != id);
        let done = done.into_vec();
        if done.is_empty() {
            return Err(Some(self.unexplained(at, before)));
        }
        Ok(done)
    }

    fn successors(
        &self,
        configuration: &Configuration,
        mut each: impl FnMut(Configuration, usize),
    ) {
        for id in &self.pending.answered {
            if configuration.acted.binary_search(id).is_ok() {
                continue;
            }
            let Some(state) = self.operations[*id as usize].effect.act(configuration.state) else {
                continue;
            };
            let mut successor = Configuration { state, ..configuration.clone() };
            insert(&mut successor.acted, *id);
            self.see(&mut successor);
            each(successor, *id as usize);
        }
        for (kind, (effect, invoked, at)) in self.pending.kinds.iter().enumerate() {
            let kind = number(kind);
            // What would not change the state need not act.
            let Some(state) =
                effect.act(configuration.state).filter(|state| *state != configuration.state)
            else {
                continue;
            };
            let place = configuration.used.binary_search_by_key(&kind, |used| used.0);
            if place.is_ok_and(|place| configuration.used[place].1 >= *invoked) {
                continue;
            }
            let mut successor = Configuration { state, ..configuration.clone() };
            match place {
                Ok(place) => successor.used[place].1 += 1,
                Err(place) => successor.used.insert(place, (kind, 1)),
            }
            self.see(&mut successor);
            each(successor, *at);
        }
    }

    fn unexplained(&self, at: usize, before: Vec<(u32, Option<usize>)>) -> Answer {
        let mut states: Vec<u32> = before.iter().map(|(state, _)| *state).collect();
        let mut setters: Vec<usize> = before.iter().filter_map(|(_, setter)| *setter).collect();
        let pending =
            self.pending.answered.iter().chain(&self.pending.sights).map(|id| *id as usize);
        let mut pending: Vec<usize> = pending.collect();
        states.sort_unstable();
        states.dedup();
        setters.sort_unstable();
        setters.dedup();
        pending.sort_unstable();
        Answer::Not { unexplained: at, states, setters, pending }
    }
}
