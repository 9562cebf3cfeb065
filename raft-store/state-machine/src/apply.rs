//! The one entry point: a batch of commands goes in, decisions and events come out.
//!
//! Each command is *decided* by a function that reads the state and says what happened, as
//! [`Event`]s. Each event is made true by `State::evolve`, the only writer. A decision checks
//! before it emits: a refused command has changed nothing.
//!
//! Replies say where records lie and have none in them, so that remembering one for a retry costs
//! little. Whoever sends a reply [fills](crate::reply::Reply::fill) it.
//!
//! Nothing here reads a clock, draws a number or does input or output. The same batch on the same
//! state has the same result on every node.

use crate::command::{Batch, Command, Query, Write};
use crate::dedup::Seen;
use crate::event::Event;
use crate::rejection::Rejection;
use crate::reply::{Answered, Decided, Outcome, Reply};
use crate::state::State;
use crate::transition::Transition;
use crate::{groups, keyed_logs, offsets, producers, registers, topics};

impl State {
    /// Begins a batch: time moves forward, finished requests are forgotten.
    pub fn begin(&mut self, batch: &Batch) {
        self.advance(batch.stamp, &batch.acknowledged);
    }

    /// Applies one write of a batch that has begun. Events are pushed to `events`, if anybody wants
    /// them.
    ///
    /// # Errors
    /// [`Rejection`], the same on every node, with nothing changed but the memory of the request.
    pub fn apply(&mut self, write: &Write, events: Option<&mut Vec<Event>>) -> Decided {
        if let Some(request_id) = &write.request_id {
            match self.dedup().seen(request_id) {
                Seen::New => {}
                Seen::Decided(decided) => return decided.clone(),
                Seen::Over => return Err(Rejection::RequestOver),
            }
        }
        let mut tx = Transition::new(self, write.request_id, events);
        let decided = decide(&mut tx, &write.command);
        if let Some(request_id) = &write.request_id {
            self.remember(request_id, decided.clone());
        }
        decided
    }

    /// Reads the state as it stands.
    ///
    /// # Errors
    /// [`Rejection`] where what is asked for does not exist, or the asker has no right to it.
    pub fn query(&self, query: &Query) -> Answered {
        match query {
            Query::Topic(query) => Ok(topics::query(self, query)?.into()),
            Query::KeyedLog(query) => Ok(keyed_logs::query(self, query)?.into()),
            Query::Register(query) => Ok(registers::query(self, query)?.into()),
            Query::Offset(query) => Ok(offsets::query(self, query)?.into()),
            Query::Group(query) => groups::query(self, query),
        }
    }
}

fn decide(tx: &mut Transition<'_>, command: &Command) -> Decided {
    let decided: Outcome = match command {
        Command::Topic(command) => topics::decide(tx, command),
        Command::KeyedLog(command) => keyed_logs::decide(tx, command),
        Command::Register(command) => registers::decide(tx, command),
        Command::Offset(command) => offsets::decide(tx, command),
        Command::Producer(command) => producers::decide(tx, command),
        // A member's request may be delayed.
        Command::Group(command) => return groups::decide(tx, command),
        Command::NewCoordinator { node } => {
            tx.emit(Event::CoordinatorChanged { node: *node });
            Ok(Reply::Done)
        }
        Command::AdvanceClock { ms } => {
            tx.emit(Event::ClockAdvanced { ms: (*ms).into() });
            Ok(Reply::Done)
        }
    };
    Ok(decided?.into())
}
