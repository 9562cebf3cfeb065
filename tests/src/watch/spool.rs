//! Keeps frames as they are until the watch is over.
//!
//! To understand a record costs some microseconds, which would be missing where clients and brokers
//! share the processors with the watch. A copy into a file costs next to nothing. So traffic is
//! only written down while it flows, and understood afterwards. The module owns the file and its
//! bound. It does not know what a frame means.
//!
//! The file has no name: it goes when the watch ends, however that happens. Nobody else reads it,
//! so its form is nobody else's business.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use bytes::Bytes;

use super::recorder::Event;
use crate::history::Micros;

/// How much is written at a time, in bytes.
const CHUNK: usize = 1024 * 1024;
/// What an event takes beside its frame, at most: its kind, three numbers and a length.
const FRONT: u64 = 1 + 3 * 8 + 4;

/// Why and when a spool took no more.
#[derive(Debug)]
pub(crate) struct Full {
    /// When the first event came that is not kept.
    pub(crate) at: Micros,
    /// Why, for people.
    pub(crate) why: String,
}

/// Events, one after another, in a file.
#[derive(Debug)]
pub(super) struct Spool {
    file: BufWriter<File>,
    /// How many bytes it may still take.
    room: u64,
    /// When the last event came that says when it came.
    last: Micros,
    full: Option<Full>,
}

impl Spool {
    /// A spool of so many bytes, in a file of that folder.
    ///
    /// # Errors
    /// Where the folder takes no file.
    pub(super) fn create(folder: &Path, most: u64) -> io::Result<Self> {
        let file = BufWriter::with_capacity(CHUNK, tempfile::tempfile_in(folder)?);
        Ok(Self { file, room: most, last: 0, full: None })
    }

    /// Keeps an event. From the first one on that cannot be kept it keeps none: a history with
    /// holes would tell of anomalies that never were.
    pub(super) fn take(&mut self, event: &Event) {
        if self.full.is_some() {
            return;
        }
        self.last = event.at().unwrap_or(self.last);
        let size = FRONT + event.size() as u64;
        let kept = match self.room.checked_sub(size) {
            Some(room) => {
                self.room = room;
                put(&mut self.file, event).map_err(|error| error.to_string())
            }
            None => Err("as much traffic is kept as may be".to_owned()),
        };
        self.full = kept.err().map(|why| Full { at: self.last, why });
    }

    /// All events, in their order, to somebody who takes them until he says no.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub(super) fn replay(self, mut to: impl FnMut(Event) -> bool) -> io::Result<Option<Full>> {
        let mut full = self.full;
        let mut file = match self.file.into_inner() {
            Ok(file) => file,
            Err(error) => {
                // Some events of the last mebibyte are missing, nobody knows which.
                let why = error.error().to_string();
                full.get_or_insert(Full { at: self.last, why });
                error.into_inner().into_parts().0
            }
        };
        // What a failed write has left behind ends in the middle of an event.
        let torn = full.is_some();
        file.rewind()?;
        let mut from = BufReader::with_capacity(CHUNK, file);
        loop {
            let event = match get(&mut from) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && torn => None,
                event => event?,
            };
            let Some(event) = event else { break };
            if !to(event) {
                break;
            }
        }
        Ok(full)
    }
}

fn put(to: &mut impl Write, event: &Event) -> io::Result<()> {
    let (kind, connection, number, at, bytes) = match event {
        Event::Opened { connection, node } => (0, connection, &0, &0, node.as_bytes()),
        Event::Request { connection, number, at, frame } => (1, connection, number, at, &frame[..]),
        Event::Answer { connection, number, at, frame } => (2, connection, number, at, &frame[..]),
        Event::Closed { connection, at } => (3, connection, &0, at, &[][..]),
    };
    to.write_all(&[kind])?;
    for number in [connection, number, at] {
        to.write_all(&number.to_le_bytes())?;
    }
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(bytes)
}

/// The next event; none at the end.
fn get(from: &mut impl Read) -> io::Result<Option<Event>> {
    let mut kind = [0];
    if from.read(&mut kind)? == 0 {
        return Ok(None);
    }
    let mut number = || {
        let mut bytes = [0; 8];
        from.read_exact(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    };
    let (connection, number, at) = (number()?, number()?, number()?);
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
    from.read_exact(&mut bytes)?;
    let frame = Bytes::from(bytes);
    Ok(Some(match kind {
        [0] => {
            let node = String::from_utf8(frame.into()).map_err(io::Error::other)?;
            Event::Opened { connection, node }
        }
        [1] => Event::Request { connection, number, at, frame },
        [2] => Event::Answer { connection, number, at, frame },
        _ => Event::Closed { connection, at },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<Event> {
        let frame = |text: &'static str| Bytes::from_static(text.as_bytes());
        vec![
            Event::Opened { connection: 7, node: "b:9092".to_owned() },
            Event::Request { connection: 7, number: 1, at: 10, frame: frame("asked") },
            Event::Answer { connection: 7, number: 1, at: 20, frame: frame("") },
            Event::Closed { connection: 7, at: 30 },
        ]
    }

    /// What comes out of a spool of so many bytes.
    fn through(most: u64) -> (Vec<String>, Option<Full>) {
        let mut spool = Spool::create(&std::env::temp_dir(), most).expect("a file");
        events().iter().for_each(|event| spool.take(event));
        let mut told = Vec::new();
        let full = spool.replay(|event| {
            told.push(format!("{event:?}"));
            true
        });
        (told, full.expect("it can be read"))
    }

    #[test]
    fn events_come_out_as_they_went_in() {
        let (told, full) = through(1_000);
        assert_eq!(told, events().iter().map(|event| format!("{event:?}")).collect::<Vec<_>>());
        assert!(full.is_none());
    }

    #[test]
    fn from_the_first_event_that_has_no_room_on_none_is_kept() {
        // The third would fit, were it not for the second.
        let (told, full) = through(FRONT + 6 + FRONT + 4);
        assert_eq!(told.len(), 1);
        let full = full.expect("it is full");
        assert_eq!(full.at, 10);
        assert!(full.why.contains("traffic"), "{}", full.why);
    }

    #[test]
    fn a_disk_that_takes_no_more_ends_the_recording() {
        let file = File::options().write(true).open("/dev/full").expect("Linux has it");
        let file = BufWriter::with_capacity(8, file);
        let mut spool = Spool { file, room: 1_000, last: 0, full: None };
        events().iter().for_each(|event| spool.take(event));
        let full = spool.full.expect("it is full");
        assert!(full.why.contains("No space left"), "{}", full.why);
    }

    /// The disk is full only when the last mebibyte is written: what came before is judged.
    #[test]
    fn a_disk_that_is_full_at_the_end_ends_the_recording_too() {
        let file = File::options().read(true).write(true).open("/dev/full").expect("Linux has it");
        let file = BufWriter::with_capacity(CHUNK, file);
        let mut spool = Spool { file, room: 1_000, last: 0, full: None };
        events().iter().for_each(|event| spool.take(event));
        assert!(spool.full.is_none());
        // Read, that device has zeros without an end.
        let full = spool.replay(|_| false).expect("it can be read").expect("it is full");
        assert_eq!(full.at, 30);
        assert!(full.why.contains("No space left"), "{}", full.why);
    }

    #[test]
    fn whoever_has_enough_is_told_no_more() {
        let mut spool = Spool::create(&std::env::temp_dir(), 1_000).expect("a file");
        events().iter().for_each(|event| spool.take(event));
        let mut told = 0;
        let enough = spool.replay(|_| {
            told += 1;
            told < 2
        });
        assert!(enough.expect("it can be read").is_none());
        assert_eq!(told, 2);
    }
}
