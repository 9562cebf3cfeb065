//! Idempotent producers: who they are. Each gets an id that no other ever had.
//!
//! This folder gives out ids. What each partition knows of a producer's batches stands with the
//! partition (`topics/sequences.rs`).

use crate::reply::Outcome;
use crate::transition::Transition;

pub mod command;
pub mod event;
pub mod reply;

use command::ProducerCommand;
use event::ProducerEvent;
use reply::ProducerReply;

pub(crate) fn decide(tx: &mut Transition<'_>, command: &ProducerCommand) -> Outcome {
    match command {
        ProducerCommand::Make => {
            let id = tx.state().next_producer();
            tx.emit(ProducerEvent::Made { id });
            Ok(ProducerReply::Made { id }.into())
        }
    }
}
