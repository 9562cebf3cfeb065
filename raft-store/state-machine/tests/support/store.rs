//! Records, kept as the events say and in the plainest way.

use std::collections::BTreeMap;
use std::convert::Infallible;

use state_machine::event::Event;
use state_machine::ids::{LogId, Millis, Offset};
use state_machine::keyed_logs::event::KeyedLogEvent;
use state_machine::reply::Reply;
use state_machine::topics::event::TopicEvent;
use state_machine::values::{Extent, Place, Records, StoredBatch};

/// The batches of each log, with where each stands.
#[derive(Debug, Default)]
pub struct Store(BTreeMap<LogId, Vec<(Place, StoredBatch)>>);

impl Store {
    /// Does what an event says.
    pub fn follow(&mut self, event: &Event) {
        match event {
            Event::Topic(TopicEvent::Appended { records, place, offset, timestamp, .. })
            | Event::KeyedLog(KeyedLogEvent::Appended {
                records, place, offset, timestamp, ..
            }) => {
                self.append(*place, records, *offset, *timestamp);
            }
            Event::Topic(TopicEvent::Deleted { logs, .. }) => {
                self.0.retain(|log, _| !logs.contains(log));
            }
            Event::Topic(TopicEvent::Trimmed { log, segments, .. }) => {
                let log = self.0.entry(*log).or_default();
                log.retain(|(place, _)| !segments.contains(&place.segment));
            }
            _ => {}
        }
    }

    fn append(&mut self, place: Place, records: &Records, offset: Offset, timestamp: Millis) {
        let log = self.0.entry(place.log).or_default();
        let same_segment = |(other, _): &&(Place, StoredBatch)| other.segment == place.segment;
        let before: usize = log.iter().filter(same_segment).map(|(_, b)| b.bytes.len()).sum();
        assert_eq!(place.position as usize, before, "a batch stands where the last one ends");
        assert!(before > 0 || place.segment == offset, "a segment's name is its first offset");
        let Records { count, bytes, .. } = records.clone();
        log.push((place, StoredBatch { base_offset: offset, count, timestamp, bytes }));
    }

    /// The batches of an extent. All of it is in the bytes that it names.
    pub fn read(&self, extent: &Extent) -> Vec<StoredBatch> {
        let wanted = |b: &StoredBatch| {
            b.base_offset < extent.to && b.base_offset + u64::from(b.count) > extent.from
        };
        let named = |place: &Place, b: &StoredBatch| {
            let bytes = u64::from(place.position)..u64::from(place.position) + b.bytes.len() as u64;
            extent.pieces.iter().any(|piece| {
                piece.segment == place.segment
                    && piece.bytes.start <= bytes.start
                    && bytes.end <= piece.bytes.end
            })
        };
        let log = self.0.get(&extent.log).into_iter().flatten();
        let found: Vec<_> = log.filter(|(_, batch)| wanted(batch)).collect();
        assert!(found.iter().all(|(place, batch)| named(place, batch)), "{extent:?}: {found:?}");
        found.into_iter().map(|(_, batch)| batch.clone()).collect()
    }

    /// Fills a reply.
    pub fn fill(&self, reply: &mut Reply) {
        let Ok(()) = reply.fill(|extent| Ok::<_, Infallible>(self.read(extent)));
    }
}
