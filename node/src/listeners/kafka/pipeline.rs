//! What the client of a connection is owed, in the order of its requests, and whether its next
//! request may be taken. It knows no sockets, and nothing of a request but its kind and length.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::poll_immediate;
use futures::stream::FuturesOrdered;
use wire::versions;

use super::Held;
use super::connection::Closed;
use crate::limits;

/// A reply as it goes out.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) bytes: Bytes,
    /// Its bytes among those of all replies, where they are counted.
    pub(super) held: Option<Held>,
}

/// The reply to a request; nothing where none is owed.
pub(super) type Answer = Result<Option<Reply>, Closed>;

/// An answer that is worked at.
pub(super) type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A request that was taken.
#[derive(Debug, Clone, Copy)]
struct Taken {
    is_produce: bool,
    bytes: usize,
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Pipeline {
    answers: FuturesOrdered<Answering>,
    /// The requests of the answers, in the same order.
    taken: VecDeque<Taken>,
    /// How many bytes they have.
    bytes: usize,
    /// How many of them are not Produce.
    others: usize,
    /// The last one's answer may be large. Nothing behind it is taken, so that a connection has one
    /// such answer at a time.
    is_large: bool,
}

impl Pipeline {
    /// Whether the next request may be taken. Many small Produces may be under way, as their
    /// answers are small too, and they share rounds.
    pub(super) fn may_take(&self) -> bool {
        let is_short = self.taken.len() < limits::KAFKA_PIPELINE;
        let is_small = self.others < limits::KAFKA_PIPELINE
            && self.taken.len() < limits::KAFKA_PRODUCES
            && self.bytes < limits::KAFKA_PRODUCES_BYTES;
        !self.is_large && (is_short || is_small)
    }

    /// A request was taken: of which kind, how long, and who works at its answer.
    pub(super) fn push(&mut self, key: i16, bytes: usize, answering: Answering) {
        let is_produce = key == versions::PRODUCE;
        self.is_large |= may_be_large(key);
        self.others += usize::from(!is_produce);
        self.bytes += bytes;
        self.taken.push_back(Taken { is_produce, bytes });
        self.answers.push_back(answering);
    }

    /// How many answers are owed.
    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }

    /// Waits for the next answer, for ever if none is owed. Cancelling it loses nothing.
    pub(super) async fn next(&mut self) -> Answer {
        match self.answers.next().await {
            Some(answer) => self.answered(answer),
            None => std::future::pending().await,
        }
    }

    /// The next answer, if it is known already.
    pub(super) async fn known(&mut self) -> Option<Answer> {
        let answer = poll_immediate(self.answers.next()).await??;
        Some(self.answered(answer))
    }

    fn answered(&mut self, answer: Answer) -> Answer {
        if let Some(Taken { is_produce, bytes }) = self.taken.pop_front() {
            self.others -= usize::from(!is_produce);
            self.bytes -= bytes;
        }
        self.is_large &= !self.taken.is_empty();
        answer
    }
}

/// Whether an answer of this kind may be many times as large as its request. A fetch may wait long,
/// too.
fn may_be_large(key: i16) -> bool {
    matches!(
        key,
        versions::FETCH
            | versions::METADATA
            | versions::OFFSET_FETCH
            | versions::LIST_GROUPS
            | versions::DESCRIBE_GROUPS
            | versions::DESCRIBE_CONFIGS
            | versions::DESCRIBE_LOG_DIRS
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owed(pipeline: &mut Pipeline, key: i16, bytes: usize, count: usize) {
        for _ in 0..count {
            pipeline.push(key, bytes, Box::pin(std::future::pending()));
        }
    }

    #[test]
    fn small_produces_are_taken_by_the_hundred_and_anything_else_is_not() {
        let most = |key, bytes| {
            let mut pipeline = Pipeline::default();
            while pipeline.may_take() {
                owed(&mut pipeline, key, bytes, 1);
            }
            pipeline.len()
        };
        assert_eq!(most(versions::PRODUCE, 300), limits::KAFKA_PRODUCES);
        assert_eq!(most(versions::PRODUCE, limits::KAFKA_PRODUCES_BYTES), limits::KAFKA_PIPELINE);
        let of_kib = limits::KAFKA_PRODUCES_BYTES / 32;
        assert_eq!(most(versions::PRODUCE, of_kib), 32);
        assert_eq!(most(versions::HEARTBEAT, 30), limits::KAFKA_PIPELINE);
        assert_eq!(most(versions::FETCH, 60), 1);
        assert_eq!(most(versions::METADATA, 30), 1, "its answer may be large");
    }

    #[test]
    fn sixteen_of_other_kinds_among_produces_are_enough() {
        let mut pipeline = Pipeline::default();
        owed(&mut pipeline, versions::PRODUCE, 100, 100);
        owed(&mut pipeline, versions::HEARTBEAT, 30, limits::KAFKA_PIPELINE - 1);
        assert!(pipeline.may_take());
        owed(&mut pipeline, versions::HEARTBEAT, 30, 1);
        assert!(!pipeline.may_take());
    }

    #[tokio::test]
    async fn an_answer_makes_room_and_only_known_ones_are_given_without_waiting() {
        let mut pipeline = Pipeline::default();
        let reply = || Reply { bytes: Bytes::from_static(b"answer"), held: None };
        let known = || -> Answering { Box::pin(async move { Ok(Some(reply())) }) };
        pipeline.push(versions::FETCH, 60, known());
        assert!(!pipeline.may_take());
        assert!(pipeline.next().await.is_ok());
        assert!(pipeline.may_take() && pipeline.len() == 0);
        pipeline.push(versions::PRODUCE, 300, known());
        owed(&mut pipeline, versions::PRODUCE, 300, 1);
        pipeline.push(versions::PRODUCE, 300, known());
        assert!(pipeline.known().await.is_some());
        assert!(pipeline.known().await.is_none(), "the one before it is not known");
        assert_eq!((pipeline.len(), pipeline.bytes), (2, 600));
    }
}
