//! The floor under `scripts/bench --durable`: three processes that take requests off sockets, send
//! them to each other in batches, write each batch and sync it, and answer when two disks have it.
//!
//! There is no Raft in it, no state and nothing that could be read again. A request is a frame of
//! Kafka's wire whose body nobody looks at; an answer is its correlation id. The leader is one
//! thread: it takes what all its clients have sent, sends it to both followers, writes and syncs it
//! itself, waits for one of them, and answers. So one batch is under way at a time. It is the floor
//! of a plain design, and nobody should use it.
//!
//! `durable_floor DIR` is a follower, `durable_floor DIR FOLLOWER FOLLOWER` the leader. Both print
//! where they listen as cohort does: `{"ready":true,"kafka":"HOST:PORT"}`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};

/// The log is written over and over in a file of zeros of so many bytes, as cohort's segments are.
const FILE_BYTES: usize = 64 * 1024 * 1024;
/// How much is read from a socket at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// Where a request's correlation id stands, its length in front.
const ID: std::ops::Range<usize> = 8..12;

/// A file that is never longer than it was, so that a sync writes no length.
struct Log {
    file: File,
    next: usize,
}

impl Log {
    fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut file = File::create(folder.join("log"))?;
        let zeros = vec![0; CHUNK_BYTES];
        for _ in 0..FILE_BYTES / CHUNK_BYTES {
            file.write_all(&zeros)?;
        }
        file.sync_all()?;
        Ok(Self { file, next: 0 })
    }

    fn append(&mut self, batch: &[u8]) -> io::Result<()> {
        if self.next + batch.len() > FILE_BYTES {
            self.next = 0;
        }
        self.file.write_all_at(batch, self.next as u64)?;
        self.next += batch.len();
        self.file.sync_data()
    }
}

/// Writes down what the leader sends, and answers each batch with a byte.
fn follow(mut log: Log, mut leader: TcpStream) -> io::Result<()> {
    let mut batch = Vec::new();
    loop {
        let mut length = [0; 4];
        match leader.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        batch.resize(u32::from_be_bytes(length) as usize, 0);
        leader.read_exact(&mut batch)?;
        log.append(&batch)?;
        leader.write_all(&[1])?;
    }
}

struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    /// The correlation ids of this batch, each after its length.
    answers: Vec<u8>,
}

impl Client {
    /// Reads what there is, and moves whole requests into the batch. Whether it is still there.
    fn read(&mut self, chunk: &mut [u8], batch: &mut Vec<u8>) -> io::Result<bool> {
        let read = self.stream.read(chunk)?;
        self.input.extend_from_slice(&chunk[..read]);
        let mut used = 0;
        while let Some(length) = self.input.get(used..used + 4) {
            let length = length.try_into().map(u32::from_be_bytes).map_err(io::Error::other)?;
            let Some(frame) = self.input.get(used..used + 4 + length as usize) else { break };
            self.answers.extend_from_slice(&4_u32.to_be_bytes());
            self.answers.extend_from_slice(&frame[ID]);
            batch.extend_from_slice(frame);
            used += frame.len();
        }
        self.input.drain(..used);
        Ok(read > 0)
    }
}

struct Follower {
    stream: TcpStream,
    /// How many batches it has answered.
    has: u64,
}

/// Waits until one of both followers has so many batches.
fn wait(followers: &mut [Follower], batches: u64) -> io::Result<()> {
    let mut answers = [0; 64];
    while followers.iter().all(|follower| follower.has < batches) {
        let ready: Vec<bool> = {
            let mut polled: Vec<PollFd<'_>> = followers
                .iter()
                .map(|follower| PollFd::new(&follower.stream, PollFlags::IN))
                .collect();
            poll(&mut polled, None)?;
            polled.iter().map(|fd| !fd.revents().is_empty()).collect()
        };
        for (follower, _) in followers.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            match follower.stream.read(&mut answers)? {
                0 => return Err(io::Error::other("a follower is gone")),
                read => follower.has += read as u64,
            }
        }
    }
    Ok(())
}

fn lead(mut log: Log, listener: &TcpListener, mut followers: Vec<Follower>) -> io::Result<()> {
    let (mut chunk, mut batch) = (vec![0; CHUNK_BYTES], Vec::new());
    let mut clients: Vec<Client> = Vec::new();
    let mut batches = 0;
    loop {
        let ready: Vec<bool> = {
            let mut polled = vec![PollFd::new(listener, PollFlags::IN)];
            let streams = clients.iter().map(|client| &client.stream);
            polled.extend(streams.map(|stream| PollFd::new(stream, PollFlags::IN)));
            poll(&mut polled, None)?;
            polled.iter().map(|fd| !fd.revents().is_empty()).collect()
        };
        let mut gone = Vec::new();
        for (at, client) in clients.iter_mut().enumerate().filter(|(at, _)| ready[at + 1]) {
            if !client.read(&mut chunk, &mut batch)? {
                gone.push(at);
            }
        }
        if !batch.is_empty() {
            batches += 1;
            let length = u32::try_from(batch.len()).map_err(io::Error::other)?;
            for follower in &mut followers {
                follower.stream.write_all(&length.to_be_bytes())?;
                follower.stream.write_all(&batch)?;
            }
            log.append(&batch)?;
            batch.clear();
            wait(&mut followers, batches)?;
            for client in clients.iter_mut().filter(|client| !client.answers.is_empty()) {
                client.stream.write_all(&client.answers)?;
                client.answers.clear();
            }
        }
        for at in gone.into_iter().rev() {
            clients.swap_remove(at);
        }
        if ready[0] {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            clients.push(Client { stream, input: Vec::new(), answers: Vec::new() });
        }
    }
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let usage = || io::Error::other("usage: durable_floor DIR [FOLLOWER FOLLOWER]");
    let log = Log::create(Path::new(&args.next().ok_or_else(usage)?))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut followers = Vec::new();
    for address in args {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        followers.push(Follower { stream, has: 0 });
    }
    writeln!(io::stdout(), r#"{{"ready":true,"kafka":"{}"}}"#, listener.local_addr()?)?;
    if followers.is_empty() {
        let (leader, _) = listener.accept()?;
        leader.set_nodelay(true)?;
        follow(log, leader)
    } else {
        lead(log, &listener, followers)
    }
}
