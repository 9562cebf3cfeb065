//! Fetch sessions: a client says once which partitions it reads, and then only what changed.
//!
//! Turns the requests of a session into what they mean: every partition with its offset. A session
//! belongs to a broker, and a client may go on with it over another connection.

use std::collections::HashMap;

use wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use wire::kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};

/// A topic as a request names it: by its name or by its id.
type Topic = (TopicName, [u8; 16]);

/// The partitions of a session.
#[derive(Debug, Clone, Default)]
struct Session {
    topics: HashMap<Topic, FetchTopic>,
}

impl Session {
    /// Takes over what a request says.
    fn apply(&mut self, asked: &FetchRequest) {
        for topic in &asked.forgotten_topics_data {
            let at = (topic.topic.clone(), topic.topic_id.into_bytes());
            if let Some(known) = self.topics.get_mut(&at) {
                known.partitions.retain(|known| !topic.partitions.contains(&known.partition));
            }
        }
        for topic in &asked.topics {
            let at = (topic.topic.clone(), topic.topic_id.into_bytes());
            let known = self.topics.entry(at).or_insert_with(|| {
                let new = FetchTopic::default().with_topic(topic.topic.clone());
                new.with_topic_id(topic.topic_id)
            });
            for partition in &topic.partitions {
                let same = |known: &&mut FetchPartition| known.partition == partition.partition;
                match known.partitions.iter_mut().find(same) {
                    Some(known) => *known = partition.clone(),
                    None => known.partitions.push(partition.clone()),
                }
            }
        }
    }
}

/// The fetch sessions of one broker.
#[derive(Debug, Default)]
pub(super) struct Sessions(HashMap<i32, Session>);

/// The most sessions that are remembered; a broker of Kafka's has 1,000 places.
const MOST: usize = 10_000;

impl Sessions {
    /// What an answered request asked for, all partitions named. None if it belongs to a session
    /// that nobody saw the beginning of.
    pub(super) fn whole(
        &mut self,
        asked: &FetchRequest,
        reply: &FetchResponse,
    ) -> Option<FetchRequest> {
        // Epoch 0 asks for a session, -1 for none or to end one; both name every partition.
        if asked.session_epoch <= 0 {
            self.0.remove(&asked.session_id);
            if asked.session_epoch == 0 && reply.session_id != 0 && reply.error_code == 0 {
                if self.0.len() >= MOST {
                    self.0.clear();
                }
                let mut session = Session::default();
                session.apply(asked);
                self.0.insert(reply.session_id, session);
            }
            return Some(asked.clone());
        }
        let session = self.0.get_mut(&asked.session_id)?;
        if reply.error_code != 0 {
            let mut refused = session.clone();
            refused.apply(asked);
            self.0.remove(&asked.session_id);
            return Some(whole(asked, &refused));
        }
        session.apply(asked);
        Some(whole(asked, session))
    }
}

fn whole(asked: &FetchRequest, session: &Session) -> FetchRequest {
    asked.clone().with_topics(session.topics.values().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::kafka_protocol::messages::fetch_request::ForgottenTopic;
    use wire::kafka_protocol::protocol::StrBytes;

    fn name() -> TopicName {
        StrBytes::from_static_str("t").into()
    }

    fn ask(id: i32, epoch: i32, partitions: &[(i32, i64)]) -> FetchRequest {
        let partition = |(partition, offset): &(i32, i64)| {
            FetchPartition::default().with_partition(*partition).with_fetch_offset(*offset)
        };
        let partitions: Vec<_> = partitions.iter().map(partition).collect();
        let topic = FetchTopic::default().with_topic(name()).with_partitions(partitions);
        FetchRequest::default()
            .with_session_id(id)
            .with_session_epoch(epoch)
            .with_topics(vec![topic])
    }

    fn answer(id: i32, code: i16) -> FetchResponse {
        FetchResponse::default().with_session_id(id).with_error_code(code)
    }

    fn offsets(request: Option<FetchRequest>) -> Option<Vec<(i32, i64)>> {
        let topics = request?.topics.into_iter();
        let pairs = topics.flat_map(|topic| topic.partitions);
        Some(pairs.map(|partition| (partition.partition, partition.fetch_offset)).collect())
    }

    #[test]
    fn a_session_knows_what_was_not_said_again() {
        let mut sessions = Sessions::default();
        let first = sessions.whole(&ask(0, 0, &[(0, 5), (1, 6)]), &answer(9, 0));
        assert_eq!(offsets(first), Some(vec![(0, 5), (1, 6)]));
        let next = sessions.whole(&ask(9, 1, &[(1, 7), (2, 0)]), &answer(9, 0));
        assert_eq!(offsets(next), Some(vec![(0, 5), (1, 7), (2, 0)]));
        let forgotten = ForgottenTopic::default().with_topic(name()).with_partitions(vec![0]);
        let next = ask(9, 2, &[]).with_forgotten_topics_data(vec![forgotten]);
        assert_eq!(offsets(sessions.whole(&next, &answer(9, 0))), Some(vec![(1, 7), (2, 0)]));
        let refused = sessions.whole(&ask(9, 3, &[]), &answer(0, 70));
        assert_eq!(offsets(refused), Some(vec![(1, 7), (2, 0)]));
        assert_eq!(offsets(sessions.whole(&ask(9, 4, &[]), &answer(9, 0))), None);
    }

    #[test]
    fn a_request_without_a_session_stands_for_itself() {
        let mut sessions = Sessions::default();
        assert_eq!(
            offsets(sessions.whole(&ask(0, -1, &[(0, 5)]), &answer(0, 0))),
            Some(vec![(0, 5)])
        );
        assert_eq!(
            offsets(sessions.whole(&ask(0, 0, &[(0, 6)]), &answer(0, 0))),
            Some(vec![(0, 6)])
        );
        assert_eq!(offsets(sessions.whole(&ask(3, 1, &[(0, 6)]), &answer(3, 0))), None);
    }
}
